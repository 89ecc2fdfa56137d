// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table against a model of it: entries in a sorted array, and on small devices
 * an owner for every sector. One thread, which looks at the table as a reader
 * wherever the table lets others run.
 */
#include "../../src/module/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/shim.h"
#include "unit.h"

/* Devices up to so many sectors have an owner for each. */
#define SMALL BIT_ULL(16)

/*
 * What a lookup of a clean range costs is bounded by the sectors of a slice, which
 * are many on devices above so many: there the ranges are those of bios.
 */
#define LARGE BIT_ULL(33)

#define MAX_PARTS 8

/**
 * struct model - what the table should say
 * @t:		the table
 * @r:		where all choices come from
 * @len:	sectors of the device
 * @least:	shortest entry but for a few, so that there may be none of low level
 * @usual:	longest entry but for a few, so that many find room
 * @v:		the entries in order, @n of them in room for @room
 * @sectors:	in them
 * @owner:	the entry of every sector of a small device, else NULL
 * @parts:	of an entry that is being replaced: both are in the table
 * @nr_parts:	how many
 */
struct model {
	struct dmr_table	t;
	struct rnd		r;
	u64			len;
	u64			least;
	u64			usual;
	struct dmr_remap	**v;
	size_t			n;
	size_t			room;
	u64			sectors;
	struct dmr_remap	**owner;
	struct dmr_remap	*parts[MAX_PARTS];
	unsigned int		nr_parts;
};

/*
 *----------------------------------------------------------------
 * The model
 *----------------------------------------------------------------
 */

/* The first entry that ends above @sector, as a place in @v. */
static size_t model_from(const struct model *m, u64 sector)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (dmr_remap_end(m->v[mid]) > sector)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void model_own(struct model *m, u64 start, u64 end, struct dmr_remap *remap)
{
	if (m->owner)
		for (u64 i = start; i < end; i++)
			m->owner[i] = remap;
}

static void model_add(struct model *m, struct dmr_remap *remap)
{
	size_t at = model_from(m, remap->start);

	if (m->n == m->room) {
		m->room = 2 * m->room + 16;
		m->v = realloc(m->v, m->room * sizeof(*m->v));
	}
	memmove(&m->v[at + 1], &m->v[at], (m->n++ - at) * sizeof(*m->v));
	m->v[at] = remap;
	m->sectors += remap->ext.len;
	model_own(m, remap->start, dmr_remap_end(remap), remap);
}

static void model_del(struct model *m, struct dmr_remap *remap)
{
	size_t at = model_from(m, remap->start);

	memmove(&m->v[at], &m->v[at + 1], (--m->n - at) * sizeof(*m->v));
	m->sectors -= remap->ext.len;
	model_own(m, remap->start, dmr_remap_end(remap), NULL);
}

static struct dmr_run model_lookup(const struct model *m, u64 start, u64 end)
{
	struct dmr_run run = { .end = end };
	size_t at;

	if (m->owner) {
		run.remap = m->owner[start];
		for (run.end = start + 1; run.end < end; run.end++)
			if (m->owner[run.end] != run.remap)
				break;
		return run;
	}

	at = model_from(m, start);
	if (at == m->n)
		return run;
	if (m->v[at]->start <= start) {
		run.remap = m->v[at];
		run.end = min(end, dmr_remap_end(m->v[at]));
	} else {
		run.end = min_t(u64, end, m->v[at]->start);
	}
	return run;
}

/* Which slice, by what the slices are said to be. */
static u64 model_slice(const struct model *m, u64 sector)
{
	return sector >> m->t.slices->shift;
}

static bool model_clean(const struct model *m, u64 start, u64 end)
{
	size_t at = model_from(m, start);
	u64 first = model_slice(m, start);
	u64 last = model_slice(m, end - 1);

	if (last > first + 1)
		return false;
	if (at < m->n && model_slice(m, m->v[at]->start) <= last)
		return false;
	return !at || model_slice(m, dmr_remap_end(m->v[at - 1]) - 1) < first;
}

/*
 *----------------------------------------------------------------
 * Looking
 *----------------------------------------------------------------
 */

/* While parts and whole are there, the answer may be by the one or the other. */
static void check_parts(const struct model *m, u64 start, u64 end,
			const struct dmr_run *run)
{
	struct dmr_run whole = model_lookup(m, start, end);
	const struct dmr_remap *r = run->remap;
	bool known = r == whole.remap;

	CHECK(!r == !whole.remap, "[%lu, %lu)", start, end);
	for (unsigned int i = 0; i < m->nr_parts; i++)
		known |= r == m->parts[i];
	CHECK(known, "[%lu, %lu)", start, end);
	if (r) {
		CHECK(r->start <= start && run->end == min(end, dmr_remap_end(r)),
		      "[%lu, %lu) ends at %lu", start, end, run->end);
		CHECK(r->ext.start - r->start ==
		      whole.remap->ext.start - whole.remap->start,
		      "[%lu, %lu)", start, end);
	} else {
		CHECK(run->end == whole.end, "[%lu, %lu)", start, end);
	}
}

static void check_lookup(const struct model *m, u64 start, u64 end)
{
	struct dmr_run run = { 0 }, want;
	bool clean;

	if (m->len > LARGE)
		end = min(end, start + (1 << 14));
	want = model_lookup(m, start, end);
	rcu_read_lock();
	dmr_table_lookup(&m->t, start, end, &run);
	clean = dmr_table_clean(&m->t, start, end);
	rcu_read_unlock();

	CHECK(clean == model_clean(m, start, end), "[%lu, %lu)", start, end);
	if (m->nr_parts) {
		check_parts(m, start, end, &run);
		return;
	}
	CHECK(run.remap == want.remap, "[%lu, %lu)", start, end);
	CHECK(run.end == want.end, "[%lu, %lu): %lu, not %lu", start, end, run.end,
	      want.end);
}

static void check_next(const struct model *m, u64 from)
{
	size_t at = model_from(m, from);
	struct dmr_remap *remap;

	if (m->nr_parts)
		return;
	rcu_read_lock();
	remap = dmr_table_next(&m->t, from);
	rcu_read_unlock();
	CHECK(remap == (at < m->n ? m->v[at] : NULL), "from %lu", from);
}

/* A sector where something may happen. */
static u64 pick_sector(struct model *m)
{
	u64 near = rnd_below(&m->r, 4) - 2;
	u64 sector;

	switch (rnd_below(&m->r, 4)) {
	case 0:
		sector = rnd_below(&m->r, m->len);
		break;
	case 1:
		sector = rnd_below(&m->r, 2) ? m->len : 0;
		sector += near;
		break;
	case 2:
		sector = rnd_below(&m->r, m->len);
		sector &= ~0ULL << rnd_below(&m->r, 40);
		sector += near;
		break;
	default:
		if (!m->n)
			return rnd_below(&m->r, m->len);
		sector = m->v[rnd_below(&m->r, m->n)]->start;
		if (rnd_below(&m->r, 2))
			sector = dmr_remap_end(m->v[model_from(m, sector)]);
		sector += near;
	}
	return sector < m->len ? sector : rnd_below(&m->r, m->len);
}

static void look(void *context)
{
	struct model *m = context;

	for (unsigned int i = 0; i < 4; i++) {
		u64 start = pick_sector(m);

		check_lookup(m, start, start + rnd_log(&m->r, m->len - start));
	}
}

static void look_everywhere(const struct model *m)
{
	struct dmr_run run;
	u64 from = 0;

	CHECK(m->t.count == m->n, "%lu, not %lu", m->t.count, m->n);
	CHECK(m->t.sectors == m->sectors, "%lu, not %lu", m->t.sectors, m->sectors);
	if (m->len > LARGE)
		return;

	for (size_t i = 0; i < m->n; i++, from = dmr_remap_end(m->v[i - 1]))
		check_next(m, from);
	check_next(m, from < m->len ? from : m->len - 1);
	for (u64 at = 0; at < m->len; at = run.end) {
		run = model_lookup(m, at, m->len);
		check_lookup(m, at, m->len);
	}
}

/*
 *----------------------------------------------------------------
 * Changing
 *----------------------------------------------------------------
 */

static struct dmr_remap *remap_new(u64 start, u64 len, u64 spare)
{
	struct dmr_remap *remap = malloc(sizeof(*remap));

	memset(remap, 0xa5, sizeof(*remap));
	remap->start = start;
	remap->ext.flags = 0;
	remap->ext.start = spare;
	remap->ext.len = len;
	return remap;
}

/* Lengths where levels begin and end, and anything between, up to @max. */
static u64 pick_len(struct model *m, u64 max)
{
	u64 len;

	if (!rnd_below(&m->r, 256))
		return rnd_log(&m->r, max);
	len = m->least - 1 + rnd_log(&m->r, m->usual);
	switch (rnd_below(&m->r, 6)) {
	case 0:
		len = m->usual;
		break;
	case 1:
		len = 1ULL << (63 - __builtin_clzll(len));
		break;
	case 2:
		len = (1ULL << (63 - __builtin_clzll(len))) + 1;
		break;
	case 3:
		len = m->least;
		break;
	}
	return min(max(len, m->least), max);
}

static void do_insert_at(struct model *m, u64 start, u64 len)
{
	struct dmr_remap *remap = remap_new(start, len, rnd_below(&m->r, 1ULL << 40));

	unit_context("%zu entries, inserted [%lu, %lu)", m->n, start, start + len);
	dmr_table_insert(&m->t, remap);
	model_add(m, remap);
	check_lookup(m, start, m->len);
}

static void do_insert(struct model *m)
{
	u64 start = pick_sector(m), low, high, len;
	size_t at = model_from(m, start);

	if (at < m->n && m->v[at]->start <= start)
		start = dmr_remap_end(m->v[at++]);
	high = at < m->n ? m->v[at]->start : m->len;
	low = at ? dmr_remap_end(m->v[at - 1]) : 0;
	if (start >= high)
		return;
	len = pick_len(m, high - start);
	/* Sometimes up against what follows, or what is before. */
	if (!rnd_below(&m->r, 4))
		start = high - len;
	else if (!rnd_below(&m->r, 4))
		start = low;
	do_insert_at(m, start, len);
}

static void do_remove_at(struct model *m, size_t at)
{
	struct dmr_remap *remap = m->v[at];

	unit_context("%zu entries, removed [%lu, %lu)", m->n, (u64)remap->start,
		     dmr_remap_end(remap));
	dmr_table_remove(&m->t, remap);
	model_del(m, remap);
	check_lookup(m, remap->start, dmr_remap_end(remap));
	free(remap);
}

static void do_remove(struct model *m)
{
	if (m->n)
		do_remove_at(m, rnd_below(&m->r, m->n));
}

/* Replace an entry by parts of it, which leave out something or nothing. */
static void do_replace(struct model *m)
{
	struct dmr_remap *whole;
	unsigned int nr;
	u64 at, end;

	if (!m->n)
		return;
	whole = m->v[rnd_below(&m->r, m->n)];
	at = whole->start;
	end = dmr_remap_end(whole);
	nr = 1 + rnd_below(&m->r, MAX_PARTS);
	unit_context("%zu entries, replaced [%lu, %lu) by %u parts", m->n, at, end, nr);

	while (m->nr_parts < nr && at < end) {
		u64 from = at, to;
		struct dmr_remap *part;

		if (rnd_below(&m->r, 2))
			from += rnd_below(&m->r, end - at);
		to = from + pick_len(m, end - from);
		at = to;
		part = remap_new(from, to - from, whole->ext.start + (from - whole->start));
		dmr_table_insert(&m->t, part);
		m->parts[m->nr_parts++] = part;
		check_lookup(m, from, to);
		look(m);
	}

	/* A reader may still be on its way that has not met the parts. */
	synchronize_rcu();
	dmr_table_remove(&m->t, whole);
	model_del(m, whole);
	for (unsigned int i = 0; i < m->nr_parts; i++)
		model_add(m, m->parts[i]);
	m->nr_parts = 0;
	check_lookup(m, whole->start, dmr_remap_end(whole));
	free(whole);
}

/* As the core does it, and at times to where it would not. */
static void do_resize(struct model *m)
{
	unsigned long from = dmr_table_buckets(&m->t);
	unsigned long to = dmr_table_wants(&m->t);
	u64 resizes = m->t.resizes;

	if (!rnd_below(&m->r, 256))
		to = DMR_MIN_BUCKETS << rnd_below(&m->r, 9);
	if (to == from)
		return;
	unit_context("%zu entries, resized %lu -> %lu", m->n, from, to);
	shim.reader = look;
	shim.context = m;
	shim.fail_at = rnd_below(&m->r, 4) == 0;
	if (dmr_table_resize(&m->t, to)) {
		CHECK(dmr_table_buckets(&m->t) == from, "after -ENOMEM");
		CHECK(m->t.resizes == resizes, "after -ENOMEM");
	} else {
		CHECK(dmr_table_buckets(&m->t) == to, "%lu", to);
		CHECK(m->t.resizes == resizes + 1, "%lu", resizes);
	}
	shim.fail_at = 0;
	shim.reader = NULL;
	look(m);
}

static void do_extend(struct model *m)
{
	u64 len = m->len + rnd_log(&m->r, m->len);
	size_t allocated = shim.allocated;
	int r;

	if (len > 1ULL << DMR_SECTOR_BITS || (m->owner && len > SMALL))
		return;
	unit_context("%zu entries, extended %lu -> %lu", m->n, m->len, len);
	shim.reader = look;
	shim.context = m;
	shim.fail_at = rnd_below(&m->r, 3);
	r = dmr_table_extend(&m->t, len);
	CHECK(!r || (r == -ENOMEM && shim.allocated == allocated), "%d", r);
	if (!r)
		m->len = len;
	shim.fail_at = 0;
	shim.reader = NULL;
	look(m);
}

/*
 *----------------------------------------------------------------
 * Tests
 *----------------------------------------------------------------
 */

static void model_init(struct model *m, u64 len, u64 seed)
{
	*m = (struct model) { .r.state = seed, .len = len, .least = 1, .usual = len };
	memset(&shim, 0, sizeof(shim));
	if (len <= SMALL)
		m->owner = calloc(SMALL, sizeof(*m->owner));
	CHECK(!dmr_table_init(&m->t, len, rnd64(&m->r)), "%lu", len);
}

static void model_exit(struct model *m)
{
	/* Nothing is left in any slice: all must be clean again. */
	while (m->n)
		do_remove(m);
	look_everywhere(m);
	CHECK(!m->t.levels, "%#lx", m->t.levels);
	dmr_table_exit(&m->t);
	CHECK(!shim.allocated, "%zu bytes", shim.allocated);
	free(m->v);
	free(m->owner);
}

/* Grow to @most entries and shrink to none, again and again. */
static void random_changes(u64 len, size_t most, unsigned long times)
{
	bool growing = false;
	struct model m;

	model_init(&m, len, unit_seed ^ len);
	for (unsigned long i = 0; i < times; i++) {
		u64 dice = rnd_below(&m.r, 100);

		if (growing) {
			growing = m.n < most && rnd_below(&m.r, 2 * most);
		} else if (!m.n) {
			growing = true;
			m.usual = rnd_log(&m.r, max(1UL, len / (rnd_below(&m.r, 2) ? 4 : most)));
			m.least = rnd_below(&m.r, 2) ? 1 : rnd_log(&m.r, m.usual);
		}
		/* Parts are of any length. */
		if (dice < 10 && m.least == 1)
			do_replace(&m);
		else if (dice < (growing ? 75 : 30))
			do_insert(&m);
		else
			do_remove(&m);
		do_resize(&m);
		if (!rnd_below(&m.r, 2000))
			do_extend(&m);
		look(&m);
		if (!rnd_below(&m.r, 4096))
			look_everywhere(&m);
	}
	unit_note("%lu sectors: %lu changes, %lu resizes, extended to %lu", len, times,
		  m.t.resizes, m.len);
	model_exit(&m);
}

static void test_small(void)
{
	static const u64 lens[] = { 1, 2, 63, 64, 65, 257, 1000, 4096, 40000 };

	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++)
		random_changes(lens[i], min(lens[i], 3000UL),
			       unit_times(5000, 60000, 1000000));
}

static void test_large(void)
{
	random_changes(1ULL << 21, 20000, unit_times(20000, 80000, 4000000));
	random_changes((1ULL << 31) + 12345, 2000, unit_times(4000, 15000, 1000000));
	random_changes(1ULL << 40, 20000, unit_times(10000, 40000, 1000000));
	random_changes(1ULL << DMR_SECTOR_BITS, 2000, unit_times(5000, 20000, 1000000));
}

/* Few entries or many, short or long, on a few slices, looked at from every sector. */
static void test_ranges(void)
{
	for (unsigned long i = 0; i < unit_times(200, 2000, 50000); i++) {
		struct model m;

		model_init(&m, 1 + rnd_below(&(struct rnd){ unit_seed + i }, 2000),
			   unit_seed + i);
		m.usual = rnd_log(&m.r, m.len);
		m.least = rnd_below(&m.r, 2) ? 1 : rnd_log(&m.r, m.usual);
		for (u64 n = rnd_log(&m.r, 256); n; n--)
			do_insert(&m);
		for (u64 start = 0; start < m.len; start++)
			for (unsigned int j = 0; j < 10; j++)
				check_lookup(&m, start,
					     start + 1 + rnd_below(&m.r, m.len - start));
		model_exit(&m);
	}
}

/* Growth at exactly 2 * count > 3 * buckets, one insert at a time. */
static void test_growth(void)
{
	static const u64 at[] = { 97, 385, 1537, 6145, 24577, 98305, 393217, 1572865 };
	unsigned int steps = unit_times(5, 6, ARRAY_SIZE(at));
	unsigned long buckets = DMR_MIN_BUCKETS;
	unsigned int step = 0;
	struct model m;

	model_init(&m, 1ULL << 24, unit_seed);
	CHECK(dmr_table_buckets(&m.t) == DMR_MIN_BUCKETS, "at first");
	for (u64 i = 1; step < steps; i++) {
		unsigned long resched = shim.resched;

		do_insert_at(&m, 8 * i, 1);
		if (i < at[step]) {
			CHECK(dmr_table_wants(&m.t) == buckets, "at %lu", i);
			continue;
		}
		CHECK(dmr_table_wants(&m.t) == 4 * buckets, "at %lu", i);
		buckets *= 4;
		CHECK(!dmr_table_resize(&m.t, buckets), "at %lu", i);
		CHECK(dmr_table_wants(&m.t) == buckets, "at %lu", i);
		CHECK(m.t.resizes == ++step, "at %lu", i);
		CHECK(shim.resched - resched >= i / 512, "%lu of %lu entries",
		      shim.resched - resched, i);
		CHECK(shim.grace == step, "the old array went too early");
	}
	while (m.n)
		do_remove_at(&m, m.n - 1);
	model_exit(&m);
}

/* As entries go one by one, and the table follows as the core lets it. */
static void test_shrink(void)
{
	struct model m;

	model_init(&m, 1ULL << 20, unit_seed);
	while (m.n < 7000) {
		do_insert_at(&m, 8 * m.n, 1);
		if (dmr_table_wants(&m.t) != dmr_table_buckets(&m.t))
			dmr_table_resize(&m.t, dmr_table_wants(&m.t));
	}
	CHECK(dmr_table_buckets(&m.t) == 16384, "%lu", dmr_table_buckets(&m.t));
	while (m.n) {
		unsigned long buckets = dmr_table_buckets(&m.t);
		bool sparse;

		do_remove(&m);
		sparse = buckets > DMR_MIN_BUCKETS && 32 * m.n < 3 * buckets;
		CHECK(dmr_table_wants(&m.t) == (sparse ? buckets / 4 : buckets),
		      "%lu, %zu in %lu", dmr_table_wants(&m.t), m.n, buckets);
		if (sparse)
			dmr_table_resize(&m.t, dmr_table_wants(&m.t));
	}
	CHECK(dmr_table_buckets(&m.t) == DMR_MIN_BUCKETS, "at last");
	model_exit(&m);
}

/*
 * Walk at random up and down across the thresholds: between two resizes most of
 * the entries must have come or gone. On until there were some: a short walk may
 * stay between two of them.
 */
static void test_hysteresis(void)
{
	u64 last = 0, steps = unit_times(100000, 500000, 10000000);
	bool up = true;
	struct model m;

	model_init(&m, 1ULL << 20, unit_seed);
	for (u64 i = 0; i < steps || (m.t.resizes < 4 && i < 100 * steps); i++) {
		unsigned long buckets = dmr_table_buckets(&m.t), wants;

		if (!m.n || m.n > 8000)
			up = !m.n;
		else if (!rnd_below(&m.r, 3000))
			up = !up;
		if (!m.n || rnd_below(&m.r, 100) < (up ? 60 : 40))
			do_insert_at(&m, m.n, 1);
		else
			do_remove_at(&m, m.n - 1);
		wants = dmr_table_wants(&m.t);
		if (wants == buckets)
			continue;
		CHECK(wants == buckets * 4 || wants == buckets / 4, "%lu", wants);
		CHECK(wants >= DMR_MIN_BUCKETS, "%lu", wants);
		/* Three quarters of the larger count, give or take the rounding. */
		CHECK(4 * (max(last, m.n) - min(last, m.n)) + 4 >= 3 * max(last, m.n),
		      "%lu -> %lu buckets after %lu -> %lu entries", buckets, wants,
		      last, m.n);
		last = m.n;
		CHECK(!dmr_table_resize(&m.t, wants), "%lu", wants);
		CHECK(dmr_table_wants(&m.t) == wants, "flaps at %lu", m.n);
	}
	CHECK(m.t.resizes >= 4, "%lu resizes", m.t.resizes);
	unit_note("%lu resizes", m.t.resizes);
	model_exit(&m);
}

/* Each allocation of each function fails in turn, and nothing has changed. */
static void test_no_memory(void)
{
	struct model m;
	unsigned int at;
	int r;

	memset(&shim, 0, sizeof(shim));
	for (at = 1, r = -ENOMEM; r; at++) {
		shim.fail_at = at;
		r = dmr_table_init(&m.t, 1ULL << 21, 1);
		CHECK(!r || (r == -ENOMEM && !shim.allocated), "%d at %u", r, at);
	}
	CHECK(at > 2, "nothing failed");
	dmr_table_exit(&m.t);

	model_init(&m, 1ULL << 20, unit_seed);
	while (m.n < 500)
		do_insert_at(&m, 100 * m.n, 1 + m.n % 100);
	shim.reader = look;
	shim.context = &m;
	for (at = 1, r = -ENOMEM; r; at++) {
		size_t allocated = shim.allocated;

		shim.fail_at = at;
		r = dmr_table_resize(&m.t, 1024);
		CHECK(!r || (r == -ENOMEM && shim.allocated == allocated), "%d at %u", r, at);
		CHECK(dmr_table_buckets(&m.t) == (r ? 64 : 1024), "%d at %u", r, at);
		CHECK(m.t.resizes == !r, "%d at %u", r, at);
		look_everywhere(&m);
	}
	CHECK(at > 2, "nothing failed");
	for (at = 1, r = -ENOMEM; r; at++) {
		size_t allocated = shim.allocated;

		shim.fail_at = at;
		r = dmr_table_extend(&m.t, 1ULL << 22);
		CHECK(!r || (r == -ENOMEM && shim.allocated == allocated), "%d at %u", r, at);
		look_everywhere(&m);
	}
	CHECK(at > 2, "nothing failed");
	m.len = 1ULL << 22;
	shim.fail_at = 0;
	shim.reader = NULL;
	look_everywhere(&m);
	model_exit(&m);
}

/* At a million remaps, all that hangs on a remap is at most 96 bytes. */
static void test_memory(void)
{
	u64 n = 1000000, bytes;
	struct dmr_remap *remaps = calloc(n, sizeof(*remaps));
	struct dmr_table t;

	memset(&shim, 0, sizeof(shim));
	CHECK(!dmr_table_init(&t, 1ULL << 31, unit_seed), "1 TiB");
	for (u64 i = 0; i < n; i++) {
		remaps[i].start = 2048 * i;
		remaps[i].ext.len = 8;
		dmr_table_insert(&t, &remaps[i]);
		if (dmr_table_wants(&t) != dmr_table_buckets(&t))
			CHECK(!dmr_table_resize(&t, dmr_table_wants(&t)), "at %lu", i);
	}
	bytes = n * sizeof(*remaps) + shim.allocated;
	unit_note("%lu.%02lu bytes a remap", bytes / n, bytes % n * 100 / n);
	CHECK(bytes <= 96 * n, "%lu bytes", bytes);
	dmr_table_exit(&t);
	free(remaps);
}

static const struct unit_test tests[] = {
	{ "small", test_small },
	{ "ranges", test_ranges },
	{ "large", test_large },
	{ "growth", test_growth },
	{ "shrink", test_shrink },
	{ "hysteresis", test_hysteresis },
	{ "no-memory", test_no_memory },
	{ "memory", test_memory },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

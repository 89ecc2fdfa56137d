// SPDX-License-Identifier: GPL-2.0-only
/*
 * The space of the spare against a model of it: a flag for every sector, and on
 * large spares an array of the extents in order.
 */
#include "../../src/module/spare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim/shim.h"
#include "unit.h"

#define MAX_EXTENTS 4096

/**
 * struct model - what the spare should say
 * @sp:		the spare
 * @r:		where all choices come from
 * @first:	first sector that may be handed out
 * @size:	sectors in all
 * @used:	a flag for every sector, or NULL: too many
 * @v:		the extents in order, @n of them
 * @taken:	sectors in them
 */
struct model {
	struct dmr_spare	sp;
	struct rnd		r;
	u64			first;
	u64			size;
	bool			*used;
	struct dmr_extent	*v[MAX_EXTENTS];
	unsigned int		n;
	u64			taken;
};

/*
 *----------------------------------------------------------------
 * The model
 *----------------------------------------------------------------
 */

static u64 extent_end(const struct dmr_extent *ext)
{
	return ext->start + ext->len;
}

/* The first extent that ends above @sector. */
static unsigned int model_from(const struct model *m, u64 sector)
{
	unsigned int lo = 0, hi = m->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (extent_end(m->v[mid]) > sector)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void model_use(struct model *m, const struct dmr_extent *ext, bool used)
{
	m->taken += used ? ext->len : -ext->len;
	if (m->used)
		memset(m->used + ext->start, used, ext->len);
}

static void model_add(struct model *m, struct dmr_extent *ext)
{
	unsigned int at = model_from(m, ext->start);

	memmove(&m->v[at + 1], &m->v[at], (m->n++ - at) * sizeof(*m->v));
	m->v[at] = ext;
	model_use(m, ext, true);
}

static void model_del(struct model *m, struct dmr_extent *ext)
{
	unsigned int at = model_from(m, ext->start);

	memmove(&m->v[at], &m->v[at + 1], (--m->n - at) * sizeof(*m->v));
	model_use(m, ext, false);
}

/* First fit, sector by sector. */
static u64 model_find_small(const struct model *m, u64 len, u64 *start)
{
	u64 room = 0;

	for (u64 i = 0; i <= m->size; i++) {
		if (i < m->size && !m->used[i]) {
			room++;
			continue;
		}
		if (room >= len) {
			*start = i - room;
			return room;
		}
		room = 0;
	}
	return 0;
}

static u64 model_find(const struct model *m, u64 len, u64 *start)
{
	u64 from = m->first;

	if (m->used)
		return model_find_small(m, len, start);
	for (unsigned int i = 0; i <= m->n; i++) {
		u64 to = i < m->n ? m->v[i]->start : m->size;

		if (to - from >= len) {
			*start = from;
			return to - from;
		}
		if (i < m->n)
			from = extent_end(m->v[i]);
	}
	return 0;
}

static int model_take(const struct model *m, u64 start, u64 len)
{
	unsigned int at;

	if (len > m->size || start > m->size - len)
		return -ERANGE;
	if (m->used) {
		for (u64 i = start; i < start + len; i++)
			if (m->used[i])
				return -EBUSY;
		return 0;
	}
	at = model_from(m, start);
	if (start < m->first || (at < m->n && m->v[at]->start < start + len))
		return -EBUSY;
	return 0;
}

/*
 *----------------------------------------------------------------
 * Looking
 *----------------------------------------------------------------
 */

static void check_find(struct model *m, u64 len)
{
	u64 start = 0, want_start = 0;
	u64 room = dmr_spare_find(&m->sp, len, &start);
	u64 want = model_find(m, len, &want_start);

	CHECK(room == want, "%lu sectors: %lu, not %lu", len, room, want);
	CHECK(!room || start == want_start, "%lu sectors: at %lu, not %lu", len, start,
	      want_start);
}

/* The highest gap: the one that the gaps above it are all smaller than. */
static void check_find_last(struct model *m, u64 len)
{
	u64 start = 0, want = 0, to = m->size;
	u64 room = dmr_spare_find_last(&m->sp, len, &start);

	for (unsigned int i = m->n + 1; i-- && !want;) {
		u64 from = i ? extent_end(m->v[i - 1]) : m->first;

		if (to - from >= len)
			want = from;
		else if (i)
			to = m->v[i - 1]->start;
	}
	CHECK(!room == !want && (!room || (start == want && room == to - want)),
	      "%lu sectors: %lu at %lu, not at %lu", len, room, start, want);
}

static void check_free(const struct model *m)
{
	CHECK(m->sp.free == m->size - m->first - m->taken, "%lu, not %lu", m->sp.free,
	      m->size - m->first - m->taken);
	CHECK(dmr_spare_size(&m->sp) == m->size, "%lu", dmr_spare_size(&m->sp));
	CHECK(dmr_spare_room(&m->sp) == m->size - m->first, "%lu", dmr_spare_room(&m->sp));
}

static u64 check_subtree(const struct rb_node *node)
{
	const struct dmr_extent *ext = rb_entry_safe(node, struct dmr_extent, node);
	u64 max_gap;

	if (!ext)
		return 0;
	max_gap = max(check_subtree(node->rb_left), check_subtree(node->rb_right));
	/* That before the sentinel does not count. */
	max_gap = max(max_gap, ext->len ? (u64)ext->gap : 0);
	CHECK(ext->max_gap == max_gap, "extent at %lu: %lu, not %lu", ext->start,
	      ext->max_gap, max_gap);
	return max_gap;
}

/* The order, the gaps, and the largest gap of every subtree. */
static void check_tree(const struct model *m)
{
	struct rb_node *node = rb_first(&m->sp.used);
	const struct dmr_extent *head = rb_entry(node, struct dmr_extent, node);
	u64 end = m->first;

	CHECK(!head->start && head->len == m->first && !head->gap, "%lu", head->len);
	for (unsigned int i = 0; i < m->n; i++) {
		node = rb_next(node);
		CHECK(node == &m->v[i]->node, "at %lu", m->v[i]->start);
		CHECK(m->v[i]->gap == m->v[i]->start - end, "at %lu", m->v[i]->start);
		end = extent_end(m->v[i]);
	}
	node = rb_next(node);
	CHECK(node && !rb_next(node), "the end");
	CHECK(rb_entry(node, struct dmr_extent, node)->gap == m->size - end, "the end");
	check_subtree(m->sp.used.rb_node);
}

/*
 *----------------------------------------------------------------
 * Changing
 *----------------------------------------------------------------
 */

static struct dmr_extent *extent_new(u64 start, u64 len)
{
	struct dmr_extent *ext = malloc(sizeof(*ext));

	memset(ext, 0xa5, sizeof(*ext));
	ext->start = start;
	ext->len = len;
	return ext;
}

static int do_take(struct model *m, u64 start, u64 len)
{
	struct dmr_extent *ext = extent_new(start, len);
	int want = model_take(m, start, len);
	int r;

	unit_context("%u extents, took %lu from %lu", m->n, len, start);
	r = dmr_spare_take(&m->sp, ext);
	CHECK(r == want, "%d, not %d", r, want);
	if (r)
		free(ext);
	else
		model_add(m, ext);
	return r;
}

/* Anywhere, also where it cannot be: at edges, in what is used, beyond the end. */
static void do_take_somewhere(struct model *m)
{
	u64 start = rnd_below(&m->r, m->size + 2);
	u64 len = rnd_log(&m->r, m->size + 1);

	if (m->n == MAX_EXTENTS)
		return;
	switch (rnd_below(&m->r, 8)) {
	case 0:
		start = rnd64(&m->r) >> rnd_below(&m->r, 64);
		len = 1 + (rnd64(&m->r) >> rnd_below(&m->r, 64)) / 2;
		break;
	case 1:
		start = rnd_below(&m->r, m->first + 1);
		break;
	case 2:
		start = m->size - min(len, m->size);
		break;
	case 3:
	case 4:
		if (!m->n)
			break;
		start = extent_end(m->v[rnd_below(&m->r, m->n)]);
		break;
	case 5:
		if (!m->n)
			break;
		start = m->v[rnd_below(&m->r, m->n)]->start;
		start -= min(start, len);
		break;
	}
	do_take(m, start, len);
}

/* As `auto` does it. */
static void do_take_found(struct model *m)
{
	u64 len = rnd_log(&m->r, max(1UL, m->size / 64)), start;

	if (m->n == MAX_EXTENTS || !dmr_spare_find(&m->sp, len, &start))
		return;
	CHECK(!do_take(m, start, len), "%lu sectors at %lu", len, start);
}

static void do_give(struct model *m)
{
	struct dmr_extent *ext;

	if (!m->n)
		return;
	ext = m->v[rnd_below(&m->r, m->n)];
	unit_context("%u extents, gave [%lu, %lu)", m->n, ext->start, extent_end(ext));
	dmr_spare_give(&m->sp, ext);
	model_del(m, ext);
	free(ext);
}

static void do_cut(struct model *m)
{
	struct dmr_extent *parts[6], *whole;
	unsigned int nr = 0, most;
	u64 at, end;

	if (!m->n || m->n > MAX_EXTENTS - ARRAY_SIZE(parts))
		return;
	whole = m->v[rnd_below(&m->r, m->n)];
	at = whole->start;
	end = extent_end(whole);
	for (most = rnd_below(&m->r, ARRAY_SIZE(parts) + 1); nr < most && at < end; nr++) {
		u64 from = at;

		if (rnd_below(&m->r, 2))
			from += rnd_below(&m->r, end - at);
		at = from + rnd_log(&m->r, end - from);
		parts[nr] = extent_new(from, at - from);
	}

	unit_context("%u extents, cut [%lu, %lu) to %u parts", m->n, whole->start, end, nr);
	dmr_spare_cut(&m->sp, whole, parts, nr);
	model_del(m, whole);
	for (unsigned int i = 0; i < nr; i++)
		model_add(m, parts[i]);
	free(whole);
}

/*
 *----------------------------------------------------------------
 * Tests
 *----------------------------------------------------------------
 */

static void model_init(struct model *m, u64 first, u64 size, u64 seed)
{
	*m = (struct model) { .r.state = seed, .first = first, .size = size };
	if (size <= 4096) {
		m->used = calloc(size, sizeof(*m->used));
		memset(m->used, true, first);
	}
	dmr_spare_init(&m->sp, first, size);
	check_tree(m);
	check_free(m);
}

static void model_exit(struct model *m)
{
	while (m->n)
		do_give(m);
	check_tree(m);
	check_free(m);
	check_find(m, m->size - m->first);
	free(m->used);
}

static struct model model;

static void random_changes(u64 first, u64 size)
{
	unsigned long times = unit_times(4000, 60000, 1000000);
	struct model *m = &model;
	unsigned int most = 0;
	bool growing = true;

	model_init(m, first, size, unit_seed ^ size);
	for (unsigned long i = 0; i < times; i++) {
		u64 dice = rnd_below(&m->r, 100);

		if (!m->n || m->sp.free < m->size / 16 || !rnd_below(&m->r, 4000))
			growing = !m->n;
		if (dice < (growing ? 30 : 10))
			do_take_somewhere(m);
		else if (dice < (growing ? 75 : 25))
			do_take_found(m);
		else if (dice < 85)
			do_give(m);
		else
			do_cut(m);
		most = max(most, m->n);

		check_free(m);
		check_find(m, 1);
		check_find(m, rnd_log(&m->r, m->size));
		check_find_last(m, 1);
		check_find_last(m, rnd_log(&m->r, m->size));
		if (m->n < 64 || !rnd_below(&m->r, 64))
			check_tree(m);
	}
	unit_note("%lu sectors: up to %u extents", size, most);
	model_exit(m);
}

static void test_small(void)
{
	random_changes(DMR_SPARE_FIRST, DMR_SPARE_FIRST + 1);
	random_changes(DMR_SPARE_FIRST, 64);
	random_changes(DMR_SPARE_FIRST, 1000);
	random_changes(2048, 4096);
}

static void test_large(void)
{
	random_changes(DMR_SPARE_FIRST, 1ULL << 20);
	random_changes(DMR_SPARE_FIRST, 1ULL << 40);
	random_changes(1ULL << 20, 1ULL << DMR_SECTOR_BITS);
}

/* The superblock's place is never handed out, by whatever request. */
static void test_reserved(void)
{
	struct dmr_spare sp;
	u64 start;

	dmr_spare_init(&sp, DMR_SPARE_FIRST, 100);
	for (u64 from = 0; from < DMR_SPARE_FIRST; from++)
		for (u64 len = 1; len <= 100 - from; len++)
			CHECK(dmr_spare_take(&sp, &(struct dmr_extent){
				.start = from, .len = len }) == -EBUSY, "%lu + %lu", from, len);
	CHECK(dmr_spare_find(&sp, 1, &start) == 92 && start == DMR_SPARE_FIRST, "%lu", start);
	CHECK(dmr_spare_find(&sp, 92, &start) == 92 && start == DMR_SPARE_FIRST, "%lu", start);
	CHECK(!dmr_spare_find(&sp, 93, &start), "%lu", start);
}

/* What lies beyond the end, or wraps around. */
static void test_range(void)
{
	static const struct { u64 start, len; int want; } asks[] = {
		{ 99, 1, 0 },
		{ 99, 2, -ERANGE },
		{ 100, 1, -ERANGE },
		{ 101, 1, -ERANGE },
		{ 8, 92, 0 },
		{ 8, 93, -ERANGE },
		{ ~0UL, 1, -ERANGE },
		{ ~0UL, 2, -ERANGE },
		{ ~0UL - 8, 20, -ERANGE },
		{ 8, ~0UL, -ERANGE },
		{ 16, ~0UL - 8, -ERANGE },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(asks); i++) {
		struct dmr_extent ext = { .start = asks[i].start, .len = asks[i].len };
		struct dmr_spare sp;
		int r;

		dmr_spare_init(&sp, DMR_SPARE_FIRST, 100);
		r = dmr_spare_take(&sp, &ext);
		CHECK(r == asks[i].want, "%lu + %lu: %d", ext.start, ext.len, r);
	}
}

/* A tree of a million extents is searched along one path. */
static void test_fill(void)
{
	u64 n = unit_times(20000, 200000, 1000000), start;
	struct dmr_extent *exts = calloc(n, sizeof(*exts));
	struct dmr_spare sp;

	dmr_spare_init(&sp, DMR_SPARE_FIRST, DMR_SPARE_FIRST + 8 * n);
	for (u64 i = 0; i < n; i++) {
		CHECK(dmr_spare_find(&sp, 8, &start) == 8 * (n - i), "at %lu", i);
		CHECK(start == DMR_SPARE_FIRST + 8 * i, "%lu at %lu", start, i);
		exts[i] = (struct dmr_extent){ .start = start, .len = 8 };
		CHECK(!dmr_spare_take(&sp, &exts[i]), "at %lu", i);
	}
	CHECK(!sp.free && !dmr_spare_find(&sp, 1, &start), "%lu", start);

	/* Holes from the far end: the lowest that fits is always the newest. */
	for (u64 i = n; i; i -= 2) {
		dmr_spare_give(&sp, &exts[i - 1]);
		CHECK(dmr_spare_find(&sp, 5, &start) == 8, "at %lu", i);
		CHECK(start == exts[i - 1].start, "%lu at %lu", start, i);
		CHECK(!dmr_spare_find(&sp, 9, &start), "at %lu", i);
	}
	CHECK(sp.free == 4 * n, "%lu", sp.free);
	free(exts);
}

static const struct unit_test tests[] = {
	{ "reserved", test_reserved },
	{ "range", test_range },
	{ "small", test_small },
	{ "large", test_large },
	{ "fill", test_fill },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

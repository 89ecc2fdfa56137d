// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readers against a writer that inserts, removes, replaces, resizes and extends
 * without pause, under ThreadSanitizer.
 *
 * The device is made of stripes, each of three zones:
 *
 *   kept	served by the spare at any time, by changing entries that agree
 *   guard	never served by the spare
 *   loose	where entries come and go, up to what is kept next
 *
 * So a reader knows what it may see without knowing what the writer is doing.
 */
#include "../../src/module/table.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/shim.h"
#include "unit.h"

#define STRIPE		256
#define KEPT		100
#define GUARD		28
#define NR_STRIPES	64
#define LEN		(NR_STRIPES * STRIPE)

/* Entries of a zone at a time. */
#define MAX_ENTRIES	12

/* What is kept is served by the spare from here on. */
#define SPARE		BIT_ULL(40)

#define NR_READERS	3

/**
 * struct zone - entries of one zone; the writer's
 * @from:	its first sector
 * @to:		... and the first behind it
 * @n:		entries, which cover all of it if it is kept
 * @v:		in order, if it is kept
 */
struct zone {
	u64			from;
	u64			to;
	unsigned int		n;
	struct dmr_remap	*v[MAX_ENTRIES];
};

static struct dmr_table table;
static struct zone kept[NR_STRIPES], loose[NR_STRIPES];

static bool stop;
static unsigned long hits, misses, nexts;

/* The first fault that any thread found. */
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static char fault[256];

/*
 *----------------------------------------------------------------
 * Readers
 *----------------------------------------------------------------
 */

__printf(1, 2)
static void report(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&fault_lock);
	if (!*fault)
		vsnprintf(fault, sizeof(fault), fmt, ap);
	pthread_mutex_unlock(&fault_lock);
	va_end(ap);
	WRITE_ONCE(stop, true);
}

#define EXPECT(cond, fmt, ...)						\
	do {								\
		if (!(cond))						\
			report("line %d: %s: " fmt, __LINE__, #cond,	\
			       ##__VA_ARGS__);				\
	} while (0)

static bool is_kept(u64 sector)
{
	return sector % STRIPE < KEPT;
}

static bool is_guard(u64 sector)
{
	sector %= STRIPE;
	return sector >= KEPT && sector < KEPT + GUARD;
}

/* The first sector from @sector on that is always served by the spare. */
static u64 next_kept(u64 sector)
{
	return is_kept(sector) ? sector : (sector / STRIPE + 1) * STRIPE;
}

/* Sealed by remap_new(): shows an entry that is torn, or was freed. */
static u64 seal(const struct dmr_remap *remap)
{
	return (remap->start * 31 + remap->ext.len) * 31 + remap->ext.start;
}

static void check_remap(const struct dmr_remap *remap, u64 from, u64 to)
{
	u64 start = remap->start, end = dmr_remap_end(remap);

	EXPECT(remap->ext.gap == seal(remap), "%p at %lu", remap, from);
	EXPECT(start <= from && to <= end, "[%lu, %lu) by [%lu, %lu)", from, to, start, end);
	EXPECT(!is_guard(from) && !is_guard(to - 1), "[%lu, %lu)", from, to);
	if (is_kept(from))
		EXPECT(remap->ext.start == SPARE + start, "%lu at %lu", remap->ext.start,
		       start);
	/* Written by the core while the entry is in the table. */
	EXPECT(smp_load_acquire(&remap->ext.flags) <= DMR_REMOVING, "%lu", start);
}

static void read_run(u64 start, u64 end)
{
	struct dmr_run run;
	bool clean;

	rcu_read_lock();
	clean = dmr_table_clean(&table, start, end);
	dmr_table_lookup(&table, start, end, &run);
	EXPECT(run.end > start && run.end <= end, "[%lu, %lu) ends at %lu", start, end,
	       run.end);
	if (run.remap) {
		check_remap(run.remap, start, run.end);
		EXPECT(run.end == min(end, dmr_remap_end(run.remap)),
		       "[%lu, %lu) ends at %lu", start, end, run.end);
	} else {
		EXPECT(run.end <= next_kept(start), "[%lu, %lu) to %lu is main", start,
		       end, run.end);
	}
	EXPECT(!clean || next_kept(start) >= end, "[%lu, %lu) is clean", start, end);
	rcu_read_unlock();

	__atomic_fetch_add(run.remap ? &hits : &misses, 1, __ATOMIC_RELAXED);
}

static void read_next(u64 from)
{
	const struct dmr_remap *remap;

	rcu_read_lock();
	remap = dmr_table_next(&table, from);
	if (remap) {
		EXPECT(dmr_remap_end(remap) > from, "%lu from %lu", (u64)remap->start, from);
		EXPECT(remap->start <= next_kept(from), "%lu from %lu", (u64)remap->start,
		       from);
		check_remap(remap, max_t(u64, from, remap->start), dmr_remap_end(remap));
	} else {
		EXPECT(next_kept(from) >= LEN, "nothing from %lu", from);
	}
	rcu_read_unlock();
	__atomic_fetch_add(&nexts, 1, __ATOMIC_RELAXED);
}

static void *reader(void *arg)
{
	struct rnd r = { unit_seed + (unsigned long)arg };

	shim_rcu_register();
	while (!READ_ONCE(stop)) {
		u64 start = rnd_below(&r, LEN);

		if (rnd_below(&r, 16))
			read_run(start, start + rnd_log(&r, LEN - start));
		else
			read_next(start);
	}
	shim_rcu_unregister();
	return NULL;
}

/*
 *----------------------------------------------------------------
 * The writer
 *----------------------------------------------------------------
 */

static struct dmr_remap *remap_new(u64 start, u64 len, u64 spare)
{
	struct dmr_remap *remap = malloc(sizeof(*remap));

	remap->start = start;
	remap->ext.flags = 0;
	remap->ext.start = spare;
	remap->ext.len = len;
	remap->ext.gap = seal(remap);
	return remap;
}

static void remap_insert(struct zone *z, u64 start, u64 end, u64 spare)
{
	struct dmr_remap *remap = remap_new(start, end - start, spare);

	dmr_table_insert(&table, remap);
	z->v[z->n++] = remap;
}

/* A grace period behind its removal. */
static void remap_free(struct dmr_remap *remap)
{
	memset(remap, 0xa5, sizeof(*remap));
	free(remap);
}

/*
 * Replace what keeps a zone, or the end of it, by one entry or several. The new are
 * there for a grace period before the old go, for readers on their way.
 */
static void replace_kept(struct zone *z, struct rnd *r)
{
	unsigned int first = rnd_below(r, z->n);
	struct zone old = *z;
	u64 at, cut;

	z->n = first;
	for (at = old.v[first]->start; at < z->to; at = cut) {
		cut = at + rnd_log(r, z->to - at);
		if (z->n == MAX_ENTRIES - 1)
			cut = z->to;
		remap_insert(z, at, cut, SPARE + at);
	}
	synchronize_rcu();
	for (unsigned int i = first; i < old.n; i++)
		dmr_table_remove(&table, old.v[i]);
	synchronize_rcu();
	for (unsigned int i = first; i < old.n; i++)
		remap_free(old.v[i]);
}

/* Side by side, on any place of the spare. */
static void fill_loose(struct zone *z, struct rnd *r)
{
	u64 at = z->from, end;

	for (; at < z->to && z->n < MAX_ENTRIES; at = end) {
		at += rnd_below(r, 4);
		if (at >= z->to)
			break;
		end = at + rnd_log(r, z->to - at);
		remap_insert(z, at, end, rnd_below(r, SPARE));
	}
}

static void clear_loose(struct zone *z)
{
	for (unsigned int i = 0; i < z->n; i++) {
		/* As a removal does it that copies back first. */
		smp_store_release(&z->v[i]->ext.flags, DMR_REMOVING);
		dmr_table_remove(&table, z->v[i]);
	}
	synchronize_rcu();
	while (z->n)
		remap_free(z->v[--z->n]);
}

/* @growth: the device has been extended so often. */
static void change(struct rnd *r, unsigned int *growth)
{
	unsigned int i = rnd_below(r, NR_STRIPES);
	u64 dice = rnd_below(r, 100);

	if (dice < 50) {
		replace_kept(&kept[i], r);
	} else if (dice < 90) {
		if (loose[i].n)
			clear_loose(&loose[i]);
		else
			fill_loose(&loose[i], r);
	} else if (dice < 99 || *growth == 20) {
		dmr_table_resize(&table, DMR_MIN_BUCKETS << rnd_below(r, 5));
	} else {
		dmr_table_extend(&table, (u64)LEN << ++*growth);
	}
}

/*
 *----------------------------------------------------------------
 * Tests
 *----------------------------------------------------------------
 */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void setup(struct rnd *r)
{
	CHECK(!dmr_table_init(&table, LEN, rnd64(r)), "memory");
	for (unsigned int i = 0; i < NR_STRIPES; i++) {
		u64 from = i * STRIPE;

		kept[i] = (struct zone){ .from = from, .to = from + KEPT };
		loose[i] = (struct zone){
			.from = from + KEPT + GUARD, .to = from + STRIPE,
		};
		remap_insert(&kept[i], from, from + KEPT, SPARE + from);
	}
}

static void teardown(void)
{
	for (unsigned int i = 0; i < NR_STRIPES; i++) {
		clear_loose(&loose[i]);
		clear_loose(&kept[i]);
	}
	dmr_table_exit(&table);
	CHECK(!shim.allocated, "%zu bytes", shim.allocated);
}

static void test_race(void)
{
	double end = now() + unit_times(4, 15, 600);
	struct rnd r = { unit_seed };
	pthread_t readers[NR_READERS];
	unsigned long changes = 0;
	unsigned int growth = 0;

	shim_rcu_register();
	setup(&r);
	for (unsigned long i = 0; i < NR_READERS; i++)
		pthread_create(&readers[i], NULL, reader, (void *)(i + 1));
	for (; now() < end && !READ_ONCE(stop); changes++)
		change(&r, &growth);
	WRITE_ONCE(stop, true);
	for (unsigned int i = 0; i < NR_READERS; i++)
		pthread_join(readers[i], NULL);

	unit_note("%lu changes, %lu resizes, %u extensions", changes, table.resizes, growth);
	unit_note("%lu hits, %lu misses, %lu nexts", hits, misses, nexts);
	CHECK(!*fault, "%s", fault);
	/* Or nothing was raced. */
	CHECK(table.resizes >= 10 && hits >= 10000 && misses >= 10000, "too little");
	teardown();
	shim_rcu_unregister();
}

static const struct unit_test tests[] = {
	{ "race", test_race },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

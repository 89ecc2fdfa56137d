// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a lookup costs at most: the cells it probes, and the entries in a chain,
 * whatever the pattern of the remaps.
 */
/* The code itself, for its hash. */
#include "table.c"

#include <stdlib.h>
#include <string.h>

#include "shim/probe.h"
#include "shim/shim.h"
#include "unit.h"

#define MILLION 1000000

/* No chain may be longer. */
#define MAX_CHAIN 16

struct probe probe;

static struct dmr_remap *remaps;

/*
 *----------------------------------------------------------------
 * Patterns
 *----------------------------------------------------------------
 */

/**
 * struct pattern - how remaps may lie
 * @name:	what it is called
 * @from:	its parameter goes from here ...
 * @to:		... to here ...
 * @by:		... in steps of so many: what only has another level, has
 *		another hash and nothing else
 * @step:	the length of entry @i, with @skip sectors free behind it
 */
struct pattern {
	const char	*name;
	unsigned int	from;
	unsigned int	to;
	unsigned int	by;
	u64		(*step)(struct rnd *r, u64 i, unsigned int param, u64 *skip);
};

/* One sector in every 2^param. */
static u64 step_stride(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = BIT_ULL(param) - 1;
	return 1;
}

/* Runs of 2^param sectors side by side. */
static u64 step_runs(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = 0;
	return BIT_ULL(param);
}

/* One more than a power of two: side by side they fill nearly every cell. */
static u64 step_crowd(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = 0;
	return BIT_ULL(param - 1) + 1;
}

/* Likewise in twos. */
static u64 step_pairs(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	u64 cell = BIT_ULL(param), len = cell / 2 + 1;

	*skip = i % 2 ? 2 * cell - 2 * len : 0;
	return len;
}

/* As pairs, at random distances. */
static u64 step_loose_pairs(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	u64 cell = BIT_ULL(param), len = cell / 2 + 1;

	*skip = i % 2 ? (2 + rnd_below(r, 64)) * cell - 2 * len : 0;
	return len;
}

/* The longest of a level: they reach farthest. */
static u64 step_longest(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = i % 3;
	return BIT_ULL(param) - 1;
}

/* A giant, then single sectors. */
static u64 step_giant(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = 0;
	return i ? 1 : BIT_ULL(param);
}

/* Every length up to 1024. */
static u64 step_lengths(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = 0;
	return 1 + i % 1024;
}

/* Every level up to that of a TiB. */
static u64 step_levels(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = 0;
	return 1 + rnd_below(r, BIT_ULL(i % 32));
}

/* Bad blocks of 4 KiB, one in a MiB. */
static u64 step_blocks(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = 2040;
	return 8;
}

static u64 step_random(struct rnd *r, u64 i, unsigned int param, u64 *skip)
{
	*skip = rnd_below(r, BIT_ULL(param));
	return rnd_log(r, BIT_ULL(param));
}

static const struct pattern patterns[] = {
	{ "stride",		0, 34, 1, step_stride },
	{ "runs",		1, 34, 8, step_runs },
	{ "crowd",		2, 34, 8, step_crowd },
	{ "pairs",		2, 34, 8, step_pairs },
	{ "loose pairs",	2, 28, 8, step_loose_pairs },
	{ "longest",		2, 34, 8, step_longest },
	{ "giant",		20, 54, 17, step_giant },
	{ "every length",	0, 0, 1, step_lengths },
	{ "every level",	0, 0, 1, step_levels },
	{ "blocks",		0, 0, 1, step_blocks },
	{ "random",		6, 30, 8, step_random },
};

static const struct pattern *const blocks = &patterns[9];

/* The next parameter, or the next pattern: false behind the last. */
static bool pattern_next(const struct pattern **p, unsigned int *param)
{
	if (*p && *param + (*p)->by <= (*p)->to) {
		*param += (*p)->by;
		return true;
	}
	*p = *p ? *p + 1 : patterns;
	if (*p == patterns + ARRAY_SIZE(patterns))
		return false;
	*param = (*p)->from;
	return true;
}

/* What the table grows to for @n remaps. */
static unsigned long buckets_for(u64 n)
{
	unsigned long buckets = DMR_MIN_BUCKETS;

	while (2 * n > 3 * buckets)
		buckets *= 4;
	return buckets;
}

/* Make the pattern's first @n remaps, and call @fn for each. */
static void pattern_make(const struct pattern *p, unsigned int param, u64 n, u64 seed,
			 void (*fn)(struct dmr_table *t, struct dmr_remap *remap, u64 i),
			 struct dmr_table *t)
{
	struct rnd r = { seed };
	u64 at = 0, skip;

	t->seed = rnd64(&r);
	for (u64 i = 0; i < n; i++) {
		struct dmr_remap remap = { .start = at };

		remap.ext.len = p->step(&r, i, param, &skip);
		at += remap.ext.len + skip;
		fn(t, &remap, i);
	}
	CHECK(at <= BIT_ULL(DMR_SECTOR_BITS), "%s %u ends", p->name, param);
}

static void file_one(struct dmr_table *t, struct dmr_remap *remap, u64 i)
{
	remaps[i] = *remap;
	dmr_table_insert(t, &remaps[i]);
}

static void pattern_file(const struct pattern *p, unsigned int param, u64 n, u64 seed,
			 struct dmr_table *t)
{
	CHECK(!dmr_table_init(t, BIT_ULL(DMR_SECTOR_BITS), 0), "memory");
	CHECK(!dmr_table_resize(t, buckets_for(n)), "memory");
	pattern_make(p, param, n, seed, file_one, t);
	CHECK(dmr_table_wants(t) == buckets_for(n), "%lu", buckets_for(n));
}

/*
 *----------------------------------------------------------------
 * Chains
 *----------------------------------------------------------------
 */

/* Entries in each bucket, and the most in any. */
static u8 chains[BIT(20)];
static unsigned long longest, mask;

static void count_one(struct dmr_table *t, struct dmr_remap *remap, u64 i)
{
	unsigned int level = dmr_level(remap);
	unsigned long bucket = dmr_hash(t, remap->start >> level, level) & mask;

	if (++chains[bucket] > longest)
		longest = chains[bucket];
}

static unsigned long longest_chain(const struct pattern *p, unsigned int param, u64 n,
				   u64 seed)
{
	struct dmr_table t;

	memset(chains, 0, sizeof(chains));
	longest = 0;
	mask = buckets_for(n) - 1;
	pattern_make(p, param, n, seed, count_one, &t);
	return longest;
}

/* Every pattern at a million remaps, with many seeds. */
static void test_chains(void)
{
	unsigned int seeds = unit_times(2, 15, 100);
	unsigned long most = 0, tables = 0;
	const struct pattern *p = NULL;
	unsigned int param;

	while (pattern_next(&p, &param)) {
		unsigned long most_here = 0;

		for (u64 seed = unit_seed; seed < unit_seed + seeds; seed++, tables++) {
			unsigned long chain = longest_chain(p, param, MILLION, seed);

			CHECK(chain <= MAX_CHAIN,
			      "%s %u, seed %lu: a chain of %lu", p->name, param, seed,
			      chain);
			most_here = max(most_here, chain);
		}
		most = max(most, most_here);
		if (unit_level == FULL)
			unit_note("%s %u: no chain above %lu", p->name, param, most_here);
	}
	unit_note("%lu tables of a million remaps: no chain above %lu", tables, most);
}

/*
 * The chains of the table are those: every entry is found by its first sector, which
 * walks the cell it is filed in as far as the entry, so that the longest walk is the
 * longest chain.
 */
static void test_walks(void)
{
	u64 n = unit_times(MILLION / 16, MILLION / 16, MILLION);
	const struct pattern *p = NULL;
	unsigned int param;

	while (pattern_next(&p, &param)) {
		struct dmr_table t;
		struct dmr_run run;

		pattern_file(p, param, n, unit_seed, &t);
		memset(&probe, 0, sizeof(probe));
		for (u64 i = 0; i < n; i++) {
			u64 start = remaps[i].start;

			rcu_read_lock();
			dmr_table_lookup(&t, start, start + 1, &run);
			rcu_read_unlock();
			CHECK(run.remap == &remaps[i], "%s %u: %lu", p->name, param, i);
		}
		CHECK(probe.longest == longest_chain(p, param, n, unit_seed),
		      "%s %u: a walk of %lu, a chain of %lu", p->name, param,
		      probe.longest, longest);
		dmr_table_exit(&t);
	}
}

/*
 *----------------------------------------------------------------
 * Cells
 *----------------------------------------------------------------
 */

/*
 * What table.h promises: in each window of 64 sectors up to the first edge, for
 * each level in use, max(1, 64 >> level) cells, and in the first three more, or two where
 * no entry is long. Windows in clean slices are free. A sector that a remap serves is found
 * with those.
 */
static unsigned long cover_cells(const struct dmr_table *t)
{
	return 2 * __builtin_popcountl(t->levels) + __builtin_popcountl(t->longs);
}

static unsigned long most_cells(const struct dmr_table *t, u64 start, u64 end,
				const struct dmr_run *run)
{
	u64 last = min(run->end, end - 1), sector;
	unsigned long a_window = 0, cells;

	if (run->remap)
		return cover_cells(t);
	for (unsigned int level = 0; level <= DMR_SECTOR_BITS; level++)
		if (t->levels & BIT_ULL(level))
			a_window += max(1, (1 << DMR_WINDOW_SHIFT) >> level);

	cells = cover_cells(t);
	for (sector = start; sector <= last;
	     sector = ((sector >> DMR_WINDOW_SHIFT) + 1) << DMR_WINDOW_SHIFT)
		if (!dmr_table_clean(t, sector, sector + 1))
			cells += a_window;
	return cells;
}

static void check_cells(const struct pattern *p, unsigned int param, u64 n, u64 lookups)
{
	struct rnd r = { unit_seed };
	unsigned long single = 0;
	struct dmr_table t;

	pattern_file(p, param, n, unit_seed, &t);
	for (u64 i = 0; i < lookups; i++) {
		const struct dmr_remap *near = &remaps[rnd_below(&r, n)];
		u64 start = near->start + rnd_below(&r, 3 * near->ext.len);
		u64 end = start + rnd_log(&r, 1 << 14);
		struct dmr_run run;
		unsigned long most;

		start -= min(start, rnd_below(&r, 64));
		if (i % 4 == 0)
			end = start + 1;
		end = min(end, BIT_ULL(DMR_SECTOR_BITS));
		if (start >= end)
			continue;
		memset(&probe, 0, sizeof(probe));
		rcu_read_lock();
		dmr_table_lookup(&t, start, end, &run);
		most = most_cells(&t, start, end, &run);
		rcu_read_unlock();
		CHECK(probe.cells <= most, "%s %u [%lu, %lu): %lu cells, not %lu",
		      p->name, param, start, end, probe.cells, most);
		if (end == start + 1) {
			CHECK(probe.cells <= cover_cells(&t),
			      "%s %u at %lu: %lu cells", p->name, param, start, probe.cells);
			single = max(single, probe.cells);
		}
	}
	if (unit_level == FULL)
		unit_note("%s %u: a sector is found in %lu cells, of %d levels", p->name,
			  param, single, __builtin_popcountl(t.levels));
	dmr_table_exit(&t);
}

static void test_cells(void)
{
	const struct pattern *p = NULL;
	unsigned int param;

	while (pattern_next(&p, &param))
		check_cells(p, param, unit_times(5000, 20000, MILLION),
			    unit_times(5000, 20000, 1000000));
}

/*
 * The same lookups at a hundred remaps and at a million probe as many cells: the
 * number of remaps has no part in it.
 */
static void test_scale(void)
{
	unsigned long cells[2];

	for (unsigned int i = 0; i < 2; i++) {
		struct rnd r = { unit_seed };
		struct dmr_table t;

		pattern_file(blocks, 0, i ? MILLION : 100, unit_seed, &t);
		memset(&probe, 0, sizeof(probe));
		for (unsigned int j = 0; j < 10000; j++) {
			u64 start = rnd_below(&r, 98 * 2048);
			struct dmr_run run;

			rcu_read_lock();
			dmr_table_lookup(&t, start, start + rnd_log(&r, 2048), &run);
			rcu_read_unlock();
		}
		cells[i] = probe.cells;
		dmr_table_exit(&t);
	}
	/* A chain may tell of an edge by chance, and end a lookup early. */
	CHECK(100 * max(cells[0], cells[1]) < 103 * min(cells[0], cells[1]),
	      "%lu at 100, %lu at a million", cells[0], cells[1]);
}

static const struct unit_test tests[] = {
	{ "cells", test_cells },
	{ "scale", test_scale },
	{ "chains", test_chains },
	{ "walks", test_walks },
};

int main(int argc, char **argv)
{
	remaps = calloc(MILLION, sizeof(*remaps));
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

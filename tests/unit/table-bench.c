// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nanoseconds of a lookup, on one CPU, beside liburcu's hash table with as many
 * entries in as many buckets, which finds a key and does nothing else.
 *
 * The remaps are blocks of 4 KiB all over the device, the lookups those of a bio of
 * 4 KiB. The best of some rounds counts: a shared machine only adds.
 */
#include "../../src/module/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lfht.h"
#include "unit.h"

#define DEVICE		BIT_ULL(33)
#define BLOCK		8
#define LOOKUPS		1000000
/* Of what takes microseconds. */
#define LONG_LOOKUPS	20000
#define ROUNDS		7

/**
 * struct figures - nanoseconds a lookup
 * @hit:	of a block that is remapped
 * @lfht_hit:	of a key that is there
 * @miss:	of a block that is not, in a slice with remaps
 * @lfht_miss:	of a key that is not there
 * @clean:	in a slice without
 * @mib:	of 1 MiB without remaps, in slices with some
 * @next:	from a remap to the next
 * @insert:	without the resizes
 * @resize:	fourfold, an entry
 */
struct figures {
	double	hit, lfht_hit, miss, lfht_miss, clean, mib, next, insert, resize;
};

static u64 keys[LOOKUPS];
static u64 spacing;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

/* Remap @i is at its beginning. */
static unsigned long place(size_t i)
{
	return i * spacing;
}

static size_t lookup(const struct dmr_table *t, u64 sectors, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		struct dmr_run run;

		dmr_table_lookup(t, keys[i], keys[i] + sectors, &run);
		found += run.remap && run.end == keys[i] + sectors;
	}
	return found;
}

static void must(bool cond, const char *what)
{
	if (cond)
		return;
	fprintf(stderr, "table-bench: %s\n", what);
	exit(1);
}

static void best(double *figure, double from, size_t n)
{
	double ns = (now() - from) / n;

	if (!*figure || ns < *figure)
		*figure = ns;
}

static void fill(struct dmr_table *t, struct dmr_remap *remaps, size_t n,
		 struct figures *f)
{
	double start;

	must(!dmr_table_init(t, DEVICE, unit_seed), "memory");
	while (dmr_table_buckets(t) * 3 < 2 * n)
		must(!dmr_table_resize(t, 4 * dmr_table_buckets(t)), "memory");
	start = now();
	for (size_t i = 0; i < n; i++) {
		remaps[i].start = place(i);
		remaps[i].ext.len = BLOCK;
		dmr_table_insert(t, &remaps[i]);
	}
	best(&f->insert, start, n);
	start = now();
	must(!dmr_table_resize(t, 4 * dmr_table_buckets(t)), "memory");
	best(&f->resize, start, n);
	must(!dmr_table_resize(t, dmr_table_buckets(t) / 4), "memory");
}

static void pick_keys(size_t n, u64 offset)
{
	struct rnd r = { unit_seed };

	for (size_t i = 0; i < LOOKUPS; i++)
		keys[i] = place(rnd_below(&r, n)) + offset;
}

static void measure_next(const struct dmr_table *t, size_t n, struct figures *f)
{
	double start = now();
	size_t i;
	u64 from = 0;

	for (i = 0; i < LONG_LOOKUPS && i < n; i++)
		from = dmr_remap_end(dmr_table_next(t, from));
	best(&f->next, start, i);
}

static void measure(size_t n, struct figures *f)
{
	struct dmr_remap *remaps = calloc(n, sizeof(*remaps));
	unsigned long slice;
	struct dmr_table t;
	struct lfht *lfht;

	must(remaps, "memory");
	spacing = DEVICE / n / BLOCK * BLOCK;
	fill(&t, remaps, n, f);
	lfht = lfht_new(n, place, dmr_table_buckets(&t));
	slice = 1UL << t.slices->shift;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		double start;

		pick_keys(n, 0);
		start = now();
		must(lookup(&t, BLOCK, LOOKUPS) == LOOKUPS, "a hit is a miss");
		best(&f->hit, start, LOOKUPS);
		start = now();
		must(lfht_lookup(lfht, keys, LOOKUPS) == LOOKUPS, "a key is not there");
		best(&f->lfht_hit, start, LOOKUPS);

		pick_keys(n, 2 * BLOCK);
		start = now();
		must(!lookup(&t, BLOCK, LOOKUPS), "a miss is a hit");
		best(&f->miss, start, LOOKUPS);
		start = now();
		must(!lfht_lookup(lfht, keys, LOOKUPS), "a key is there");
		best(&f->lfht_miss, start, LOOKUPS);

		if (spacing > 2048 + BLOCK) {
			start = now();
			must(!lookup(&t, 2048, LONG_LOOKUPS), "a miss is a hit");
			best(&f->mib, start, LONG_LOOKUPS);
		}
		if (spacing >= 2 * slice) {
			pick_keys(n, slice);
			start = now();
			must(!lookup(&t, BLOCK, LOOKUPS), "a miss is a hit");
			best(&f->clean, start, LOOKUPS);
		}
		measure_next(&t, n, f);
	}

	lfht_free(lfht);
	dmr_table_exit(&t);
	free(remaps);
}

/* A figure, or none where there are no such lookups. */
static void cell(double figure, int width, int digits)
{
	if (figure)
		printf(" %*.*f", width, digits, figure);
	else
		printf(" %*s", width, "-");
}

static void row(const char *name, const struct figures *f)
{
	printf("%-6s", name);
	cell(f->hit, 6, 1);
	cell(f->lfht_hit, 6, 1);
	cell(f->hit / f->lfht_hit, 6, 2);
	cell(f->miss, 8, 1);
	cell(f->lfht_miss, 6, 1);
	cell(f->miss / f->lfht_miss, 6, 2);
	cell(f->clean, 8, 1);
	cell(f->mib, 8, 1);
	cell(f->next, 8, 1);
	cell(f->insert, 8, 1);
	cell(f->resize, 8, 1);
	printf("\n");
	fflush(stdout);
}

static void lines(const char *name, const struct figures *f)
{
	printf("unit_%s_hit_ns=%.1f\n", name, f->hit);
	printf("unit_%s_hit_ratio=%.2f\n", name, f->hit / f->lfht_hit);
	printf("unit_%s_miss_ns=%.1f\n", name, f->miss);
	printf("unit_%s_miss_ratio=%.2f\n", name, f->miss / f->lfht_miss);
	if (f->clean)
		printf("unit_%s_clean_ns=%.1f\n", name, f->clean);
	if (f->mib)
		printf("unit_%s_mib_ns=%.1f\n", name, f->mib);
}

int main(void)
{
	static const struct {
		const char	*name;
		size_t		n;
	} sizes[] = {
		{ "64",		64 },
		{ "1k",		1000 },
		{ "100k",	100000 },
		{ "1M",		1000000 },
		{ "10M",	10000000 },
	};
	struct figures f[ARRAY_SIZE(sizes)] = {};

	unit_seed = 1;
	printf("ns a lookup of 4 KiB in 4 TiB, beside liburcu's lfht\n\n");
	printf("%-6s %6s %6s %6s %8s %6s %6s %8s %8s %8s %8s %8s\n", "", "hit", "lfht",
	       "ratio", "miss", "lfht", "ratio", "clean", "1 MiB", "next", "insert",
	       "resize");
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		measure(sizes[i].n, &f[i]);
		row(sizes[i].name, &f[i]);
	}
	printf("\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		lines(sizes[i].name, &f[i]);
	return 0;
}

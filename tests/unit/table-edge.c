// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens in the middle of a lookup: entries that come or go while it is on its
 * way must not change the answer for the others.
 */
#include "../../src/module/table.h"

#include <stdlib.h>
#include <string.h>

#include "shim/probe.h"
#include "unit.h"

struct probe probe;

static struct dmr_table table;
static struct dmr_remap first, second;

static void insert_first(void)
{
	dmr_table_insert(&table, &first);
}

/*
 * [300, 600) is mapped, in slices 1 and 2. After the lookup has seen that slice 0 is
 * clean, [0, 300) comes, into the same cell and so before it in the chain.
 */
static void test_hidden(void)
{
	struct dmr_run run;

	first = (struct dmr_remap) { .start = 0, .ext = { .start = 9000, .len = 300 } };
	second = (struct dmr_remap) { .start = 300, .ext = { .start = 5000, .len = 300 } };
	CHECK(!dmr_table_init(&table, 1 << 20, unit_seed), "no memory");
	dmr_table_insert(&table, &second);

	rcu_read_lock();
	dmr_table_lookup(&table, 10, 1034, &run);
	CHECK(!run.remap && run.end == 300, "before: the run ends at %lu", run.end);

	probe.meanwhile = insert_first;
	dmr_table_lookup(&table, 10, 1034, &run);
	rcu_read_unlock();
	CHECK(!probe.meanwhile, "nothing was inserted");
	CHECK(run.end <= 300, "meanwhile: the run ends at %lu", run.end);
	dmr_table_exit(&table);
}

/*
 *----------------------------------------------------------------
 * At random
 *----------------------------------------------------------------
 */

#define LEN		2048
#define MAX_ENTRIES	96

static struct rnd rnd;
static struct dmr_remap *owner[LEN + 1];
/* Sectors whose owner has changed during the lookup. */
static bool changed[LEN + 1];
static struct dmr_remap *entries[MAX_ENTRIES], *gone[MAX_ENTRIES];
static unsigned int nr_entries, nr_gone;
/* What the lookup asks for: there something is likely to happen. */
static u64 asked;

static void own(const struct dmr_remap *remap, struct dmr_remap *by)
{
	for (u64 i = remap->start; i < dmr_remap_end(remap); i++) {
		owner[i] = by;
		changed[i] = true;
	}
}

static void insert_somewhere(void)
{
	u64 start = rnd_below(&rnd, LEN), end, most;
	struct dmr_remap *remap;

	if (rnd_below(&rnd, 2))
		start = asked - min(asked, rnd_log(&rnd, 64) - 1);
	if (nr_entries == MAX_ENTRIES || owner[start])
		return;
	most = min(LEN - start, rnd_below(&rnd, 8) ? 64UL : 1024UL);
	most = rnd_log(&rnd, most);
	for (end = start + 1; end < start + most && !owner[end];)
		end++;

	remap = calloc(1, sizeof(*remap));
	remap->start = start;
	remap->ext.len = end - start;
	dmr_table_insert(&table, remap);
	entries[nr_entries++] = remap;
	own(remap, remap);
}

/* It is freed after the lookup: a grace period would wait for that. */
static void remove_some(void)
{
	unsigned int i = rnd_below(&rnd, MAX_ENTRIES);

	if (i >= nr_entries || nr_gone == MAX_ENTRIES)
		return;
	dmr_table_remove(&table, entries[i]);
	own(entries[i], NULL);
	gone[nr_gone++] = entries[i];
	entries[i] = entries[--nr_entries];
}

static void change_some(void)
{
	for (u64 i = rnd_log(&rnd, 8); i; i--)
		if (rnd_below(&rnd, 2))
			insert_somewhere();
		else
			remove_some();
}

static bool starts_at(u64 sector)
{
	for (unsigned int i = 0; i < nr_entries; i++)
		if (entries[i]->start == sector)
			return true;
	for (unsigned int i = 0; i < nr_gone; i++)
		if (gone[i]->start == sector)
			return true;
	return false;
}

static void check_run(u64 start, u64 end, const struct dmr_run *run)
{
	const struct dmr_remap *r = run->remap;

	CHECK(run->end > start && run->end <= end, "[%lu, %lu) ends at %lu", start, end,
	      run->end);
	for (u64 i = start; i < run->end; i++)
		CHECK(changed[i] || owner[i] == r, "[%lu, %lu) to %lu: sector %lu is %s",
		      start, end, run->end, i, owner[i] ? "remapped" : "main's");
	if (r)
		CHECK(r->start <= start && run->end == min(end, dmr_remap_end(r)),
		      "[%lu, %lu) ends at %lu", start, end, run->end);
	else
		CHECK(run->end == end || starts_at(run->end), "[%lu, %lu) ends at %lu",
		      start, end, run->end);
}

static void test_random(void)
{
	unsigned long happened = 0;

	rnd = (struct rnd){ unit_seed };
	CHECK(!dmr_table_init(&table, LEN, rnd64(&rnd)), "no memory");
	for (unsigned long i = unit_times(200000, 1000000, 50000000); i; i--) {
		u64 start = rnd_below(&rnd, LEN);
		u64 end = start + rnd_log(&rnd, LEN - start);
		struct dmr_run run;

		asked = start;
		memset(changed, false, sizeof(changed));
		probe.meanwhile = change_some;
		probe.when = rnd_log(&rnd, 256) - 1;
		rcu_read_lock();
		dmr_table_lookup(&table, start, end, &run);
		check_run(start, end, &run);
		rcu_read_unlock();

		happened += !probe.meanwhile;
		probe.meanwhile = NULL;
		while (nr_gone)
			free(gone[--nr_gone]);
		change_some();
		while (nr_gone)
			free(gone[--nr_gone]);
	}
	unit_note("in the middle of %lu lookups", happened);
	while (nr_entries) {
		dmr_table_remove(&table, entries[--nr_entries]);
		free(entries[nr_entries]);
	}
	dmr_table_exit(&table);
}

static const struct unit_test tests[] = {
	{ "hidden", test_hidden },
	{ "random", test_random },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens in the middle of a lookup: entries that come while it is on its way
 * must not hide those that were there before.
 */
#include "../../src/module/table.h"

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

static const struct unit_test tests[] = {
	{ "what comes meanwhile hides nothing", test_hidden },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

// SPDX-License-Identifier: GPL-2.0-only
#include "kind.h"

#include <linux/kernel.h>

const struct kind kinds[] = {
	{ DMR_RECORD_MAP, "map", "msl", "linear" },
	{ DMR_RECORD_LOST, "lost", "msl", "error" },
	{ DMR_RECORD_PENDING, "pending", "ml", NULL },
	{ DMR_RECORD_ASIDE, "aside", "sl", NULL },
	/* Where it is, where it ends, how fast. */
	{ DMR_RECORD_SCRUB, "scrub", "msl", NULL },
};

const unsigned int nr_kinds = ARRAY_SIZE(kinds);

const struct kind *kind_of(u8 type)
{
	const struct kind *kind = kinds;

	while (kind->type != type)
		kind++;
	return kind;
}

static u64 *column(struct dmr_change *change, char name)
{
	return name == 'm' ? &change->main : name == 's' ? &change->spare : &change->len;
}

unsigned int kind_get(const struct kind *kind, const struct dmr_change *change, u64 n[3])
{
	struct dmr_change copy = *change;
	unsigned int nr = 0;

	for (; kind->columns[nr]; nr++)
		n[nr] = *column(&copy, kind->columns[nr]);
	return nr;
}

void kind_put(const struct kind *kind, struct dmr_change *change, const u64 *n)
{
	*change = (struct dmr_change) { .type = kind->type };
	for (unsigned int i = 0; kind->columns[i]; i++)
		*column(change, kind->columns[i]) = n[i];
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of runs of sectors that do not overlap, in order: sorted arrays of a bounded
 * size, so that a change moves little, and a million of them take 32 bytes each.
 */
#ifndef DMREMAP_RUNS_H
#define DMREMAP_RUNS_H

#include <linux/types.h>

/**
 * struct run - some sectors
 * @start:	the first
 * @len:	how many, not 0
 * @to:		sector that the first one is served by; the next by the next
 * @type:	the owner's
 */
struct run {
	u64	start;
	u64	len;
	u64	to;
	u8	type;
};

struct runs_chunk;

/**
 * struct runs - the set; all zeros is empty
 * @chunks:	in order, none of them empty
 * @nr_chunks:	how many
 * @room:	and how many @chunks has room for
 * @nr:		runs in all
 */
struct runs {
	struct runs_chunk	**chunks;
	u64			nr_chunks;
	u64			room;
	u64			nr;
};

/* The first run that ends above @sector, or NULL; until the set changes. */
const struct run *runs_from(const struct runs *set, u64 sector);

/* The first run with sectors of [@start, @start + @len), or NULL. */
const struct run *runs_find(const struct runs *set, u64 start, u64 len);

/* Add a run. Returns 0; -EBUSY some of it is there already; -ENOMEM. */
int runs_add(struct runs *set, const struct run *run);

/* Take sectors out of whatever runs have them. Returns 0; -ENOMEM, done in part. */
int runs_cut(struct runs *set, u64 start, u64 len);

/* Empty it. */
void runs_clear(struct runs *set);

#endif /* DMREMAP_RUNS_H */

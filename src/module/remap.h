/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A remap: one run of main sectors that a run of spare sectors serves.
 *
 * One object hangs in two structures that know nothing of each other: the hash
 * table that the map path reads (table.h), and the ordered set of spare extents
 * in use, whose gaps are the free space (spare.h). It costs 80 bytes; with the
 * bucket array that stays below 96 bytes a remap at a million of them.
 *
 * All sectors are 512 bytes.
 */
#ifndef DMR_REMAP_H
#define DMR_REMAP_H

#include <linux/build_bug.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

/* 2^55 sectors are 2^64 bytes: no block device is larger. */
#define DMR_SECTOR_BITS	55

/**
 * struct dmr_extent - a run of spare sectors that is in use
 * @node:	place in the order of @start; the spare's lock
 * @start:	first spare sector; never changes while in the spare
 * @len:	number of sectors, not 0
 * @gap:	free sectors between the extent before it and @start; the spare's lock
 * @flags:	the owner's; written under the spare's lock. It shares a word with what
 *		nobody reads without that lock: a reader under RCU that loaded the
 *		word around the flags would race with whoever sets them
 * @max_gap:	the largest @gap in the subtree below @node; the spare's lock
 */
struct dmr_extent {
	struct rb_node	node;
	u64		start;
	u64		len;
	u64		gap : 56;
	u8		flags;
	u64		max_gap;
};

/*
 * What dmr_remap.ext.flags says: of a remap that is being moved (relocate.h) ...
 */
#define DMR_ADDING	0x01	/* published, but main still has the data */
#define DMR_REMOVING	0x02	/* the spare still has the data */
#define DMR_LEAVING	0x80	/* also on the spare of a migration: written to both; with
				 * DMR_REMOVING it is on its way there
				 */
/* ... of what the medium did (repair.h) ... */
#define DMR_LOST	0x04	/* the spare sectors hold no data: reads fail */
#define DMR_PENDING	0x08	/* could not be read: writes are seen to */
#define DMR_DOUBT	0x10	/* a commit may be on disk or not: writes fail */
/* ... and of what is no remap, though the same kind of object. */
#define DMR_HOLE	0x20	/* pending sectors of main: in the table, not on the spare */
#define DMR_ASIDE	0x40	/* spare sectors never to be used: in no table */

/**
 * struct dmr_remap - an entry of the table
 * @next:	the chain, once for each of two bucket arrays: while a resize
 *		builds the new array the readers walk the old one
 * @start:	first main sector; never changes while in the table
 * @ext:	where on the spare; its length is the remap's, its flags are DMR_*:
 *		written under the core's change lock, read under RCU. That of a
 *		DMR_HOLE hangs in core.holes, by @start
 */
struct dmr_remap {
	struct dmr_remap __rcu *next[2];
	u64			start;
	struct dmr_extent	ext;
};

static_assert(sizeof(struct dmr_remap) <= 80 || sizeof(void *) != 8);

static inline u64 dmr_remap_end(const struct dmr_remap *remap)
{
	return remap->start + remap->ext.len;
}

#endif /* DMR_REMAP_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's map: what is in the table, and what status counts of it.
 *
 * Beside remaps the table has holes: pending sectors of main that nothing maps. They
 * also hang in core.holes, in order, so that a commit finds them without a walk over
 * the device.
 *
 * Every function wants the change lock, or for what only looks, whatever keeps those entries.
 */
#ifndef DMR_MAP_H
#define DMR_MAP_H

#include "core.h"

#include <linux/jiffies.h>

/* Jiffies: as far ahead as can be told, and half of it is still. */
#define DMR_REST_FOREVER	BIT_ULL(62)

/* Append a remap. Context: sleeps. Return: 0 or -ENOMEM. */
int dmr_batch_push(struct dmr_batch *batch, struct dmr_remap *remap);

/* Free the remaps: they are in no table and no spare. */
void dmr_batch_free(struct dmr_batch *batch);

/* Free the array, not the remaps. */
void dmr_batch_exit(struct dmr_batch *batch);

/* Of remaps in order, the first that ends above a sector, or NULL. Context: any. */
struct dmr_remap *dmr_batch_at(const struct dmr_batch *batch, u64 sector);

/*
 * An object for what must go on without memory: from the reserve, if need be; it waits when
 * that is empty. Context: the change lock; sleeps.
 */
struct dmr_remap *dmr_reserve_take(struct dmr_core *core);

/**
 * dmr_map_insert - publish an entry, and count it
 * @core:	the core
 * @remap:	not in the table; start, ext and its flags are set. A hole must not
 *		overlap another
 *
 * See dmr_table_insert(). Context: the change lock; does not sleep.
 */
void dmr_map_insert(struct dmr_map *map, struct dmr_remap *remap);

/* Unpublish it; readers may hold it until a grace period has passed. */
void dmr_map_remove(struct dmr_map *map, struct dmr_remap *remap);

/* What was unpublished, and is on no spare, is freed by the next dmr_map_reap(). */
void dmr_map_doom(struct dmr_map *map, struct dmr_remap *remap);

/*
 * Free what is doomed, when readers are gone; nothing while a replay goes on, which would wait
 * for a grace period at each record. Context: the change lock; sleeps.
 */
void dmr_map_reap(struct dmr_map *map);

/* Change what the flags of an entry of the table say. */
void dmr_map_flags(struct dmr_map *map, struct dmr_remap *remap, u8 set, u8 clear);

/* ... of all entries of a batch. Context: sleeps. */
void dmr_batch_flags(struct dmr_map *map, const struct dmr_batch *batch, u8 set, u8 clear);

/*
 * The first remap that ends above @from, or NULL; holes are none. No remap goes but by
 * the caller, while it has the lock.
 */
struct dmr_remap *dmr_next(struct dmr_map *map, u64 from);

/* A remap of some sector from @first to before @last, or NULL. */
struct dmr_remap *dmr_mapped(struct dmr_map *map, u64 first, u64 last);

/* The first hole that ends above @from, or NULL. */
struct dmr_remap *dmr_next_hole(const struct dmr_map *map, u64 from);

/**
 * dmr_remap_part - some sectors of a remap as a remap of their own
 * @remap:	a remap, or a hole
 * @from:	first main sector
 * @to:		first behind the last
 *
 * It has the flags that tell of the medium. Context: sleeps (GFP_KERNEL).
 * Return: the part, in no table and no spare; NULL without memory.
 */
struct dmr_remap *dmr_remap_part(const struct dmr_remap *remap, u64 from, u64 to);

/* Make @part what dmr_remap_part() returns. Context: any. */
void dmr_part_init(struct dmr_remap *part, const struct dmr_remap *remap, u64 from,
		   u64 to);

/**
 * dmr_holes_take - main sectors are no holes any more
 * @core:	the core
 * @first:	first main sector
 * @last:	first behind the last
 *
 * Context: the change lock; sleeps, for a few grace periods if there were any.
 */
void dmr_holes_take(struct dmr_core *core, u64 first, u64 last);

/* Likewise, all that dmr_holes_copy() has found. */
void dmr_holes_take_all(struct dmr_core *core, const struct dmr_batch *copies);

/**
 * dmr_holes_copy - add copies of holes to a batch, which has those before them
 * @core:	the core
 * @first:	first main sector
 * @last:	first behind the last
 * @copies:	of what is between the two
 *
 * Context: the change lock; sleeps. Return: 0; -ENOMEM: some are copied.
 */
int dmr_holes_copy(struct dmr_core *core, u64 first, u64 last, struct dmr_batch *copies);

/* What dmr_holes_copy() has found, and dmr_holes_take() taken, is there again. */
void dmr_holes_put(struct dmr_core *core, const struct dmr_batch *copies);

/*
 * Main is another than where it could not be read: it rests for ever. @hole: or a copy.
 * Context: any.
 */
static inline bool dmr_hole_void(const struct dmr_remap *hole)
{
	return time_after64(READ_ONCE(hole->ext.start),
			    get_jiffies_64() + DMR_REST_FOREVER / 2);
}

/**
 * dmr_holes_fit - forget the holes that a table has no use for
 * @core:	the core
 * @len:	its sectors of main
 * @block:	its logical block
 *
 * Context: the change lock; sleeps.
 */
void dmr_holes_fit(struct dmr_core *core, u64 len, unsigned int block);

/* What keeps what is put aside from a logical block: NULL, or why not. Context: the change lock. */
char *dmr_asides_misfit(const struct dmr_map *map, unsigned int block);

/**
 * struct dmr_split - a remap that is replaced by its parts
 * @whole:	the remap
 * @left:	what stays below the middle, or NULL
 * @right:	what stays above it, or NULL
 * @mid:	the middle, as it is from now on; may be elsewhere on the spare. NULL: it
 *		is not in the table any more
 * @place:	whose the spare sectors of the middle are: @mid, or put aside
 */
struct dmr_split {
	struct dmr_remap	*whole;
	struct dmr_remap	*left;
	struct dmr_remap	*right;
	struct dmr_remap	*mid;
	struct dmr_remap	*place;
};

/**
 * dmr_split_publish - put the parts in the place of the whole, which is freed
 *
 * A reader finds the whole or the parts. Whoever looks after it has returned finds
 * the parts. The caller counts them.
 *
 * Context: the change lock; sleeps for grace periods.
 */
void dmr_split_publish(struct dmr_map *map, const struct dmr_split *split);

/**
 * dmr_split_make - the parts of a remap, where it is on the spare
 * @split:	is set; @split->place is the middle
 * @whole:	the remap
 * @first:	first main sector of the middle
 * @last:	first behind it
 *
 * Context: sleeps (GFP_KERNEL).
 * Return: 0 or -ENOMEM; on success dmr_split_publish() or dmr_split_free().
 */
int dmr_split_make(struct dmr_split *split, struct dmr_remap *whole, u64 first, u64 last);

/* Free the parts; they were not published. */
void dmr_split_free(const struct dmr_split *split);

/**
 * dmr_pending_set - main sectors cannot be read where they are served from
 * @core:	the core
 * @first:	first main sector
 * @last:	first behind the last
 *
 * In memory; what is remapped stays so.
 *
 * Context: the change lock; sleeps.
 * Return: 0; -ENOMEM: some are pending.
 */
int dmr_pending_set(struct dmr_core *core, u64 first, u64 last);

/* Free what was put aside. */
void dmr_asides_free(struct dmr_map *map);

#endif /* DMR_MAP_H */

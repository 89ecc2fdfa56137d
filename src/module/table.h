/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The adaptive hash table: main sectors -> remap.
 *
 * Knows no bio and no disk, allocates nothing but its own arrays, and logs
 * nothing. Readers take no lock and write nothing: RCU. Writers are serialized by
 * the caller ("the writers' lock" below). Entries do not overlap, but while a
 * remap is replaced by its parts both are there for a moment and agree; a lookup
 * returns either.
 *
 * An entry of length n has level ceil(log2(n)) and is filed under the cell
 * start >> level, in bucket (hash(cell >> 3, level) ^ (cell & 7)) & mask. Entries
 * of one level that do not overlap start at most twice in one cell, and a sector
 * is covered from its own cell or the one before it; so a sector is found with
 * two cells a level in use, and the cells of a long bio lie side by side.
 *
 * A bitmap with one bit a slice of the device answers for clean slices without
 * the hash. Its bits, like those of the levels in use, are set before an entry
 * is published and cleared after it is unpublished.
 */
#ifndef DMR_TABLE_H
#define DMR_TABLE_H

#include <linux/bitops.h>
#include <linux/types.h>

#include "remap.h"

#define DMR_MIN_BUCKETS	64

/* Slices are 128 KiB or larger, such that there are no more than so many. */
#define DMR_SLICE_SHIFT_MIN	8
#define DMR_SLICES_MAX		BIT(19)

/* What a lookup scans at a time, all levels of it. */
#define DMR_WINDOW_SHIFT	6

struct dmr_buckets;

/**
 * struct dmr_slices - which parts of the device may hold entries
 * @shift:	a slice is 2^@shift sectors
 * @nr:		number of slices; entries end within them
 * @entries:	how many entries touch each slice; the writers' lock
 * @dirty:	one bit a slice: touched by an entry
 */
struct dmr_slices {
	unsigned int	shift;
	unsigned long	nr;
	u32		*entries;
	unsigned long	dirty[];
};

/**
 * struct dmr_table - the table
 * @buckets:	the bucket array in force
 * @slices:	the clean-slice shortcut
 * @levels:	bit l: there may be entries of level l
 * @seed:	of the hash
 * @count:	entries
 * @sectors:	the sum of their lengths
 * @resizes:	how many resizes there were
 * @per_level:	entries of each level
 *
 * The first four are read-mostly and share a cache line; what is below belongs
 * to the writers (and may be read racily for status).
 */
struct dmr_table {
	struct dmr_buckets __rcu	*buckets;
	struct dmr_slices __rcu		*slices;
	u64				levels;
	u64				seed;

	u64				count ____cacheline_aligned;
	u64				sectors;
	u64				resizes;
	u64				per_level[DMR_SECTOR_BITS + 1];
};

/**
 * struct dmr_run - how a run of main sectors is served
 * @end:	first sector that is served otherwise, or the end that was asked for
 * @remap:	the remap that covers the run, or NULL: the main device
 */
struct dmr_run {
	u64			end;
	struct dmr_remap	*remap;
};

/**
 * dmr_table_init - make an empty table of DMR_MIN_BUCKETS buckets
 * @t:		memory for it
 * @len:	sectors of the device, not 0; no entry may end beyond
 * @seed:	random: no pattern of remaps is slow on every machine
 *
 * Context: may sleep (GFP_KERNEL).
 * Return: 0 or -ENOMEM.
 */
int dmr_table_init(struct dmr_table *t, u64 len, u64 seed);

/**
 * dmr_table_extend - make room for entries up to another length of the device
 *
 * Context: the writers' lock; sleeps.
 * Return: 0, or -ENOMEM and nothing changed.
 */
int dmr_table_extend(struct dmr_table *t, u64 len);

/**
 * dmr_table_exit - free the arrays; the entries are the caller's
 * @t:		the table; no reader may be left
 *
 * Context: may sleep.
 */
void dmr_table_exit(struct dmr_table *t);

/**
 * dmr_table_lookup - how are the sectors from @start on served?
 * @t:		the table
 * @start:	first main sector
 * @end:	first sector that is not asked for; above @start
 * @run:	the answer for [@start, @run->end)
 *
 * The run ends at the first sector that another remap, or none, serves. Its cost
 * does not depend on the number of entries. It goes in windows of 64 sectors up to
 * the first edge, steps over clean slices by their bits, and in each window probes,
 * for each level l in use, max(1, 64 >> l) cells, and in the first two more. The
 * first dirty slice that it covers whole has an edge, so no more than two slices
 * and what @start is in are ever scanned.
 *
 * Context: any, under rcu_read_lock(); @run->remap is good until the unlock, or as
 * long as the writers' lock is held as well.
 */
void dmr_table_lookup(const struct dmr_table *t, u64 start, u64 end,
		      struct dmr_run *run);

/**
 * dmr_table_clean - is [@start, @end) surely without remaps?
 *
 * The shortcut of the map path for what is not longer than a slice: one or two
 * bits. Longer ranges are answered "no" and left to dmr_table_lookup().
 *
 * Context: as dmr_table_lookup().
 */
static inline bool dmr_table_clean(const struct dmr_table *t, u64 start, u64 end)
{
	const struct dmr_slices *slices = rcu_dereference(t->slices);
	u64 first = start >> slices->shift;
	u64 last = (end - 1) >> slices->shift;

	if (test_bit(first, slices->dirty))
		return false;
	return first == last ||
	       (last == first + 1 && !test_bit(last, slices->dirty));
}

/**
 * dmr_table_next - the first remap in order of main sectors that ends above @from
 *
 * Steps over clean slices by their bits, and scans the dirty ones.
 *
 * Context: as dmr_table_lookup().
 * Return: the remap, or NULL.
 */
struct dmr_remap *dmr_table_next(const struct dmr_table *t, u64 from);

/**
 * dmr_table_each - call a function for every entry, in no order
 * @t:		the table
 * @fn:		may free the entry, if no reader is left and the table is not used
 *		any more; must not sleep
 * @context:	for @fn
 *
 * Context: sleeps, between buckets. Without the writers' lock some may be missed.
 */
void dmr_table_each(const struct dmr_table *t,
		    void (*fn)(const struct dmr_table *t, struct dmr_remap *remap,
			       void *context), void *context);

/**
 * dmr_table_insert - publish an entry
 * @t:		the table
 * @remap:	not in a table; start, flags and ext are set
 *
 * It may overlap others only as a part that agrees with them: before the whole is
 * removed a grace period must pass, for a reader that has looked for the part
 * already, in vain, to find the whole yet. Never fails, never allocates; call
 * dmr_table_resize() when dmr_table_wants() says so.
 *
 * Context: the writers' lock.
 */
void dmr_table_insert(struct dmr_table *t, struct dmr_remap *remap);

/**
 * dmr_table_remove - unpublish an entry
 *
 * Readers may hold it until an RCU grace period has passed.
 *
 * Context: the writers' lock.
 */
void dmr_table_remove(struct dmr_table *t, struct dmr_remap *remap);

/**
 * dmr_table_wants - the number of buckets that the entries ask for
 *
 * Fourfold when count / buckets passes 1.5, a quarter when it falls below 3/32,
 * where a quarter of the buckets has the load that growing leaves behind (3/8), and
 * so on down when many went at once: at least three quarters of the entries come or
 * go between two resizes.
 *
 * Context: the writers' lock.
 * Return: the present number when nothing is to be done.
 */
unsigned long dmr_table_wants(const struct dmr_table *t);

/* What an empty table grows to for so many entries. Context: any. */
unsigned long dmr_table_buckets_for(u64 count);

/* Number of buckets now. Context: as dmr_table_lookup(). */
unsigned long dmr_table_buckets(const struct dmr_table *t);

/**
 * dmr_table_resize - file all entries into another number of buckets
 * @t:		the table
 * @buckets:	a power of two, at least DMR_MIN_BUCKETS
 *
 * The new array is built beside the old one on the other chain of each entry, then
 * put in force with one store; readers see the one or the other, complete. The
 * old one goes after a grace period, before which there is no further resize.
 *
 * Context: the writers' lock; sleeps; reschedules every few hundred entries.
 * Return: 0, or -ENOMEM and nothing changed.
 */
int dmr_table_resize(struct dmr_table *t, unsigned long buckets);

#endif /* DMR_TABLE_H */

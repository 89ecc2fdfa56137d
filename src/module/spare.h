/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which sectors of the spare are free.
 *
 * Kept as the extents in use, in order, each knowing the gap before it; what is
 * between them is free. Extents are embedded in their owners (remaps, areas), so
 * taking and returning sectors never allocates and never fails for want of memory.
 * Searching is first fit from the lowest sector, O(log n), by the largest gap of
 * every subtree (an augmented red-black tree, as the kernel's rbtree.rst). What lies
 * behind all others is put there without a search.
 *
 * Knows no disk. All sectors are 512-byte sectors of the spare. Every function
 * wants the caller's lock (the core's change lock), unless it says otherwise.
 */
#ifndef DMR_SPARE_H
#define DMR_SPARE_H

#include "remap.h"

/**
 * struct dmr_spare - the space of one spare device
 * @used:	the extents in use, by start
 * @head:	the first sectors, which are never handed out
 * @end:	a sentinel behind the last sector, for the gap before it
 * @free:	sectors in no extent; may be read without the lock
 */
struct dmr_spare {
	struct rb_root		used;
	struct dmr_extent	head;
	struct dmr_extent	end;
	u64			free;
};

/* The superblock's place: never handed out (design, section 5). */
#define DMR_SPARE_FIRST	8

/**
 * dmr_spare_init - all free but the first sectors
 * @sp:		memory for it
 * @first:	first sector that may be handed out, at least DMR_SPARE_FIRST
 * @size:	sectors in all, above @first
 */
void dmr_spare_init(struct dmr_spare *sp, u64 first, u64 size);

/* Sectors in all. Context: any. */
static inline u64 dmr_spare_size(const struct dmr_spare *sp)
{
	return READ_ONCE(sp->end.start);
}

/* Sectors that may be handed out. Context: any. */
static inline u64 dmr_spare_room(const struct dmr_spare *sp)
{
	return READ_ONCE(sp->end.start) - READ_ONCE(sp->head.len);
}

/**
 * dmr_spare_find - the lowest gap with room for @len sectors
 * @sp:		the spare
 * @len:	sectors, not 0
 * @start:	set to the first sector of the gap
 *
 * Return: the length of the gap (may be more than @len), or 0 when there is none.
 */
u64 dmr_spare_find(const struct dmr_spare *sp, u64 len, u64 *start);

/**
 * dmr_spare_find_most - room for @len sectors, or for as many as the lowest gap has
 * @sp:		the spare
 * @len:	sectors, a multiple of @block and not 0
 * @block:	the least that is of use: a power of two
 * @start:	set to the first sector
 *
 * Return: @len, or less, in whole blocks, where no gap holds that; 0 when none holds one.
 */
u64 dmr_spare_find_most(const struct dmr_spare *sp, u64 len, u64 block, u64 *start);

/* As dmr_spare_find(), the highest such gap. */
u64 dmr_spare_find_last(const struct dmr_spare *sp, u64 len, u64 *start);

/* The first extent in use that starts at @from or above, or NULL. */
struct dmr_extent *dmr_spare_next(const struct dmr_spare *sp, u64 from);

/* The device has grown to @size sectors. */
void dmr_spare_extend(struct dmr_spare *sp, u64 size);

/**
 * dmr_spare_take - put an extent in use
 * @sp:		the spare
 * @ext:	start and len are set; in no spare
 *
 * Return: 0; -ERANGE beyond the end; -EBUSY when a sector of it is in use, also the
 * first ones; then nothing changed.
 */
int dmr_spare_take(struct dmr_spare *sp, struct dmr_extent *ext);

/**
 * dmr_spare_give - return an extent's sectors
 *
 * When the caller calls it, no I/O may be left that could use the sectors.
 */
void dmr_spare_give(struct dmr_spare *sp, struct dmr_extent *ext);

/**
 * dmr_spare_cut - shorten an extent in place, or divide it
 * @sp:		the spare
 * @ext:	in use
 * @parts:	extents in no spare, start and len set, apart from each other and
 *		all within @ext, which they replace
 * @nr:		number of @parts
 *
 * What no part covers is free afterwards.
 */
void dmr_spare_cut(struct dmr_spare *sp, struct dmr_extent *ext,
		   struct dmr_extent **parts, unsigned int nr);

#endif /* DMR_SPARE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks of the on-disk format: made, and told from others. Plain C, for the
 * module and for the tool alike; docs/format.md explains the format.
 *
 * Everything here may be called in any context; nothing sleeps or allocates.
 */
#ifndef DMR_CODEC_H
#define DMR_CODEC_H

#include <linux/types.h>

#include "../../include/dm-remap-format.h"

/* More MiB in a second no DMR_RECORD_SCRUB has. */
#define DMR_SCRUB_RATE_MAX	100000

/**
 * struct dmr_change - a record in the machine's own numbers
 * @type:	DMR_RECORD_*
 * @main:	first main sector; of all but DMR_RECORD_ASIDE
 * @spare:	first spare sector; of DMR_RECORD_MAP, _LOST and _ASIDE
 * @len:	sectors
 */
struct dmr_change {
	u8	type;
	u64	main;
	u64	spare;
	u64	len;
};

/**
 * dmr_super_seal - set magic, position and checksum of a superblock
 * @super:	all else is set
 * @position:	the sector it goes to
 */
void dmr_super_seal(struct dmr_super *super, u64 position);

/* Is it one, undamaged, and at its place? Of whatever version. */
bool dmr_super_intact(const struct dmr_super *super, u64 position);

/**
 * dmr_block_begin - an empty block
 * @block:	memory for it
 * @uuid:	of the format
 * @epoch:	of the half
 * @seq:	its place in the half
 * @first:	that of the first block of its commit
 */
void dmr_block_begin(struct dmr_block *block, const u8 *uuid, u64 epoch, u32 seq,
		     u32 first);

/* Add a record; the block must have room. */
void dmr_block_add(struct dmr_block *block, const struct dmr_change *change);

/**
 * dmr_block_close - the block is complete, but for its position
 * @block:	from dmr_block_begin()
 * @prev:	what this returned for the block before it, or 0
 * @more:	the commit goes on in the next block
 *
 * Return: the body checksum: @prev of the next.
 */
u32 dmr_block_close(struct dmr_block *block, u32 prev, bool more);

/* Set position and checksum of a closed block; it may be done again. */
void dmr_block_seal(struct dmr_block *block, u64 position);

/**
 * dmr_block_intact - is it a block of the log, undamaged, at its place?
 * @block:	what was read
 * @uuid:	of the format
 * @seq:	its place in the half
 * @position:	its sector
 * @body:	set to its body checksum, @prev of the next; if it is not intact, to anything
 */
bool dmr_block_intact(const struct dmr_block *block, const u8 *uuid, u32 seq,
		      u64 position, u32 *body);

/* Record @i of an intact block. */
void dmr_block_get(const struct dmr_block *block, unsigned int i,
		   struct dmr_change *change);

#endif /* DMR_CODEC_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of the metadata on a spare is intact, block by block: for those who tell it, or
 * save what there is. metadata.c only finds out whether it can be loaded.
 */
#ifndef DMREMAP_SURVEY_H
#define DMREMAP_SURVEY_H

#include "owner.h"

/**
 * struct survey - goes through the blocks of a spare
 * @m:		says where they are; its buffer is used
 * @supers:	the superblocks, as they were read last
 * @half:	of the log, in which
 * @epoch:	the blocks that count are of this one
 * @end:	behind the last of them, in either copy
 * @blocks:	of one sequence, by copy, as they were read last
 * @fault:	what is wrong with each of them, or NULL
 */
struct survey {
	struct dmr_meta		*m;
	unsigned int		half;
	u64			epoch;
	u32			end;
	struct dmr_block	*blocks[DMR_COPIES];
	const char		*fault[DMR_COPIES];
};

/* What is wrong with the superblock at a sector, or NULL; it is read to @super. */
const char *survey_super(struct dmr_meta *m, u64 sector, struct dmr_super *super);

/*
 * Look for the epoch of a half and for its end; in copies that are not flagged stale.
 * The epoch is 0 when there is nothing.
 */
void survey_half(struct survey *s, struct dmr_meta *m, unsigned int half);

/* The highest epoch that any block of the log has, also in stale copies; or 0. */
u64 survey_epoch(struct dmr_meta *m);

/* Read block @seq of the half in both copies: @fault says what is wrong with them. */
void survey_read(struct survey *s, u32 seq);

/* The sector of a block. */
u64 survey_sector(const struct survey *s, unsigned int copy, u32 seq);

/* Tell of the faults of blocks [0, @end) in the copies of @copies, runs of them in a line. */
void survey_tell(struct survey *s, u32 end, unsigned int copies);

#endif /* DMREMAP_SURVEY_H */

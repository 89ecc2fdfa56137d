/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes that are read back before they are acknowledged, for a disk that takes what it
 * does not keep. `set verify all` has every write go this way; those to pending sectors do
 * by themselves (repair.h).
 *
 * Such a write is made of a copy: what has the pages may change them meanwhile, and that
 * would look like a disk that lies. It is written through the cache (FUA), as far as a
 * target can see to that.
 */
#ifndef DMR_VERIFY_H
#define DMR_VERIFY_H

#include "core.h"

/* Sectors at a time: the largest logical block there is. */
#define DMR_VERIFY_SECTORS (65536 >> SECTOR_SHIFT)

/* More of a write does not wait for a worker in one piece. */
#define DMR_VERIFY_MOST (1048576 >> SECTOR_SHIFT)

/* Copy what a write has for main sectors from @sector on, or zeroes has. Context: any. */
void dmr_verify_copy(struct bio *bio, u64 sector, void *data, unsigned int sectors);

/**
 * struct dmr_verify_buffer - a write, and what reads back of it
 * @out:	what is written
 * @in:		what is read
 */
struct dmr_verify_buffer {
	u8	out[DMR_VERIFY_SECTORS << SECTOR_SHIFT];
	u8	in[DMR_VERIFY_SECTORS << SECTOR_SHIFT];
};

/**
 * dmr_verify_begin - begin to write, and to read back
 * @core:	the core
 * @span:	until dmr_verify_end(), who else writes there waits: that would look like a lie
 * @from:	first main sector
 * @to:		first behind the last
 *
 * Context: sleeps. Whoever has begun must wait for no lock.
 * Return: a buffer, until dmr_verify_end().
 */
struct dmr_verify_buffer *dmr_verify_begin(struct dmr_core *core, struct dmr_span *span,
					   u64 from, u64 to);
void dmr_verify_end(struct dmr_core *core, struct dmr_span *span,
		    struct dmr_verify_buffer *buffer);

/* Must it be read back? Context: any; for each bio. */
static inline bool dmr_verify_wants(const struct dmr_core *core, enum req_op op)
{
	return unlikely(READ_ONCE(core->verify) == DMR_VERIFY_ALL) &&
	       (op == REQ_OP_WRITE || op == REQ_OP_WRITE_ZEROES);
}

/**
 * dmr_verify_write - send a part of a write, and read it back
 * @core:	the core
 * @bio:	as in dmr_probe()
 * @from:	first main sector of the part
 * @to:		first behind the last, at most DMR_VERIFY_SECTORS
 *
 * Context, return: as dmr_probe(); BLK_STS_MEDIUM also if it reads back as something else.
 */
blk_status_t dmr_verify_write(struct dmr_core *core, struct bio *bio, u64 from, u64 to);

/* Which writes are read back from now on. Context: the verb lock. */
static inline void dmr_verify_set(struct dmr_core *core, enum dmr_verify verify)
{
	WRITE_ONCE(core->verify, verify);
}

/* Set up what belongs to it in a core. Context: sleeps. Return: 0 or -ENOMEM. */
int dmr_verify_init(struct dmr_core *core);

/* No bio is left. */
void dmr_verify_exit(struct dmr_core *core);

#endif /* DMR_VERIFY_H */

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
 * struct dmr_verified - a write that is being read back
 * @node:	in core->verifying
 * @from:	first main sector
 * @to:		first behind the last
 */
struct dmr_verified {
	struct list_head	node;
	u64			from;
	u64			to;
};

/*
 * Wait for those that are under way there: what they write would look like a lie. Whoever
 * has begun must wait for no lock, and for no buffer of those who have not.
 *
 * Context: sleeps, also under the change lock.
 */
void dmr_verify_begin(struct dmr_core *core, struct dmr_verified *v, u64 from, u64 to);
void dmr_verify_end(struct dmr_core *core, struct dmr_verified *v);

/* Must it be read back? Context: any; for each bio. */
static inline bool dmr_verify_wants(const struct dmr_core *core, enum req_op op)
{
	/* Who sees it finds the pool: see dmr_verify_set(). */
	return unlikely(smp_load_acquire(&core->verify) == DMR_VERIFY_ALL) &&
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

/**
 * dmr_verify_set - which writes are read back
 *
 * Context: the change lock; sleeps.
 * Return: 0 or -ENOMEM.
 */
int dmr_verify_set(struct dmr_core *core, enum dmr_verify verify);

/* Set up what belongs to it in a core; and for the end, when no bio is left. */
void dmr_verify_init(struct dmr_core *core);
void dmr_verify_exit(struct dmr_core *core);

#endif /* DMR_VERIFY_H */

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

/*
 * Is what a write has for main sectors from @sector on the same as @data? Context: any.
 */
bool dmr_verify_same(struct bio *bio, u64 sector, const void *data, unsigned int sectors);

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

/**
 * dmr_verify_set - which writes are read back
 *
 * Context: the change lock; sleeps.
 * Return: 0 or -ENOMEM.
 */
int dmr_verify_set(struct dmr_core *core, enum dmr_verify verify);

/* No bio is left. */
void dmr_verify_exit(struct dmr_core *core);

#endif /* DMR_VERIFY_H */

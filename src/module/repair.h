/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of the map that the medium asks for: a write finds a place that takes it, a
 * weak block moves, what cannot be read is remembered.
 *
 * A write that fails takes the change lock alone, so it waits for no verb that moves other
 * sectors; within a move it waits for the end of that, and before one begins for those that
 * have failed between its first and its last sector. What follows a read that failed takes
 * its turn as a verb does. Everything is committed before the bio that needed it ends.
 *
 * The breaker: a main device that fails as a whole would eat the spare. When as many
 * blocks as `set breaker` says were spent on it, some scattered sectors are read; when
 * none of them comes back, automatic remapping ends until it is set on again.
 */
#ifndef DMR_REPAIR_H
#define DMR_REPAIR_H

#include "core.h"

/* Is it the medium that fails? No other error is anything for us. */
bool dmr_medium_error(blk_status_t status);

/**
 * struct dmr_tried - where a part of a write was sent, and has failed
 * @bdev:	the device, main or a spare; NULL: it is not known
 * @sector:	its first sector there
 * @from:	first main sector
 */
struct dmr_tried {
	struct block_device	*bdev;
	u64			sector;
	u64			from;
};

/**
 * dmr_repair_write - find a place for a part of a write, and map it there
 * @core:	the core
 * @bio:	the write, or write-zeroes, as in dmr_probe()
 * @from:	first main sector of the part
 * @to:		first behind the last
 * @error:	how it failed where it was sent; what is returned when there is no place
 * @tried:	where it has failed: it may be served from elsewhere by now. NULL: it was not
 *		sent
 *
 * Lost and pending sectors are tried where they are first, all others go elsewhere. A
 * place that does not take it is put aside for good.
 *
 * Context: a worker, under memalloc_noio_save(); takes the change lock, and the verb lock if
 * the sectors are part of a move.
 * Return: BLK_STS_OK when the data is where the map says, and the map is durable.
 */
blk_status_t dmr_repair_write(struct dmr_core *core, struct bio *bio, u64 from, u64 to,
			      blk_status_t error, const struct dmr_tried *tried);

/* Can a block be read, where it is served from? Context: the verb lock; sleeps. */
bool dmr_readable(struct dmr_core *core, u64 sector);

/**
 * dmr_repair_note - tell what a read has found out, to be acted upon later
 * @core:	the core
 * @from:	first main sector
 * @to:		first behind the last
 * @weak:	they came back when tried again: to be moved; else they are pending
 *
 * Context: any but interrupts.
 */
void dmr_repair_note(struct dmr_core *core, u64 from, u64 to, bool weak);

/**
 * dmr_repair_forget - the table is another: what was noted does not speak of it
 * @core:	the core
 * @main:	so is main: what was pending has no data there, whatever it reads as, and
 *		is not read before it is written
 *
 * Context: the change lock.
 */
void dmr_repair_forget(struct dmr_core *core, bool main);

/* Act upon what was noted while the device was suspended. Context: any. */
void dmr_repair_resume(struct dmr_core *core);

/**
 * dmr_repair_streak - so many blocks have failed without a success between
 *
 * Trips automatic remapping when main is gone. While a verb is under way it is left for
 * the next block that fails.
 *
 * Context: a worker; tries the change lock. Return: it is gone.
 */
bool dmr_repair_streak(struct dmr_core *core);

/* What was in doubt has not happened. Context: the change lock; sleeps. */
void dmr_repair_settle(struct dmr_core *core);

/**
 * dmr_repair_init - set up what belongs to repair in a core
 *
 * Context: sleeps.
 * Return: 0 or -ENOMEM; on success dmr_repair_exit() when no bio is left.
 */
int dmr_repair_init(struct dmr_core *core);

/* End what is under way. The map is as it was. */
void dmr_repair_exit(struct dmr_core *core);

#endif /* DMR_REPAIR_H */

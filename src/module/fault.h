/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What becomes of a bio that the medium has failed.
 *
 * It is taken over when it ends, narrowed by a worker to the blocks that fail again,
 * and ended when that is settled: a write when all of it has a place, a read with what
 * could be read. While it is here it is not counted as in flight, so no change of the
 * map waits for it.
 *
 * Errors that say nothing about the medium are passed on as they come, and so are
 * those of flushes, discards, read-ahead and failfast I/O.
 */
#ifndef DMR_FAULT_H
#define DMR_FAULT_H

#include "core.h"

/**
 * enum dmr_fault_state - where a bio is
 * @DMR_FAULT_NONE:	it was sent, and nothing is wrong
 * @DMR_FAULT_CARE:	it was not sent: it writes sectors that need more than that
 * @DMR_FAULT_DONE:	what it ends with now is what the caller gets
 */
enum dmr_fault_state { DMR_FAULT_NONE, DMR_FAULT_CARE, DMR_FAULT_DONE };

/**
 * struct dmr_fault - what each bio has for the case
 * @iter:	what it covers; its sector is that of main
 * @state:	enum dmr_fault_state
 * @status:	what it failed with
 * @core:	the core, once it was taken over
 * @work:	for the worker, likewise
 */
struct dmr_fault {
	struct bvec_iter	iter;
	u8			state;
	blk_status_t		status;
	struct dmr_core		*core;
	struct work_struct	work;
};

/**
 * struct dmr_bio - device-mapper's data of each bio of ours
 * @ref:	what it is counted in, or NULL
 * @fault:	see there
 */
struct dmr_bio {
	struct percpu_ref	*ref;
	struct dmr_fault	fault;
};

/**
 * dmr_fault_take - take over a bio that has failed, or that map cannot send
 * @core:	the core
 * @bio:	of device-mapper, not counted any more; its dmr_bio is filled in
 * @status:	what it failed with
 *
 * Context: any. Return: whether it was; then it will be ended here.
 */
bool dmr_fault_take(struct dmr_core *core, struct bio *bio, blk_status_t status);

/*
 * A bio ends with an error, which nothing was or could be done about. What says nothing
 * about the devices is not counted, nor is what read-ahead and failfast I/O put up with.
 *
 * Context: any.
 */
void dmr_fault_tell(struct dmr_core *core, struct bio *bio, blk_status_t status);

#endif /* DMR_FAULT_H */

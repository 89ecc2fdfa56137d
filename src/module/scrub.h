/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scrubbing: reading all that is served, on main and on the spare, in the background.
 *
 * It goes through the map as a reader would, at a limited rate and a low I/O
 * priority. What it cannot read, or only when it tries again, is noted as it is for any
 * read (repair.h). It stops while the device is suspended, goes on with another table,
 * and the log on the spare has how far it came.
 */
#ifndef DMR_SCRUB_H
#define DMR_SCRUB_H

#include "core.h"

/* MiB in a second, if nothing is said. */
#define DMR_SCRUB_RATE		16

/**
 * dmr_scrub_start - begin, or begin anew
 * @core:	the core
 * @from:	first main sector
 * @to:		first behind the last
 * @rate:	MiB in a second
 *
 * Context: the change lock; sleeps.
 * Return: 0, or an errno that was said to dmr_refuse().
 */
int dmr_scrub_start(struct dmr_core *core, u64 from, u64 to, unsigned int rate);

/* End it. Context: the change lock; sleeps. Return: as dmr_scrub_start(). */
int dmr_scrub_stop(struct dmr_core *core);

/* Take scrub.lock, of a scrub that reads no more than the block it is at. Context: sleeps. */
void dmr_scrub_lock(struct dmr_core *core);

/* Make sure of a buffer. Context: sleeps. */
bool dmr_scrub_ready(struct dmr_core *core);

/* Go on where it was left: the device is resumed. Context: any. */
void dmr_scrub_resume(struct dmr_core *core);

/* Set up what belongs to scrubbing in a core. Context: any. */
void dmr_scrub_init(struct dmr_core *core);

/* End what is under way. */
void dmr_scrub_exit(struct dmr_core *core);

#endif /* DMR_SCRUB_H */

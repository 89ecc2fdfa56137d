/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Main sectors that a write is being mended on.
 *
 * It takes a disk's time to find a place for what has failed, and many may fail at once: so
 * that is done without the change lock. A claim keeps all others from changing where those
 * sectors are meanwhile. What covers them in the table may be divided beside them, so it is
 * looked up again whenever the lock was let go of.
 *
 * Whoever has a claim waits for the change lock, but for no verb and for no other claim.
 */
#ifndef DMR_CLAIM_H
#define DMR_CLAIM_H

#include "core.h"

/* Has somebody a claim on some of these? Context: the change lock. */
bool dmr_claimed(struct dmr_core *core, u64 from, u64 to);

/* Claim sectors on which nobody has one. Context: the change lock. */
void dmr_claim(struct dmr_core *core, struct dmr_span *claim, u64 from, u64 to);

/* ... until now. Context: any but interrupts. */
void dmr_unclaim(struct dmr_core *core, struct dmr_span *claim);

/**
 * dmr_claim_wait - wait until nobody has a claim
 * @core:	the core
 * @from:	first main sector
 * @to:		first behind the last
 * @may_stop:	give up for a fatal signal or a suspend; else the caller is a worker
 *
 * Context: the change lock, which is let go of meanwhile; sleeps. Another may have one by
 * now.
 * Return: 0, or -EINTR, only with @may_stop.
 */
int dmr_claim_wait(struct dmr_core *core, u64 from, u64 to, bool may_stop);

#endif /* DMR_CLAIM_H */

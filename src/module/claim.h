/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Main sectors that a write is being mended on.
 *
 * It takes a disk's time to find a place for what has failed, and many may fail at once: so
 * that is done without the change lock. A claim keeps all others from changing where those
 * sectors are meanwhile. What covers them in the table may be divided beside them, so it is
 * looked up again whenever the lock was let go of.
 *
 * Whoever has a claim waits for the change lock, and for those who have asked for it and hold
 * nothing yet, but for no verb and for no other claim.
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

/* Wait until nobody has one on these. Context: the change lock, let go of meanwhile; a worker. */
void dmr_claim_wait(struct dmr_core *core, u64 from, u64 to);

/**
 * dmr_claim_drain - see that nobody has a claim
 * @core:	the core
 * @from:	first main sector
 * @to:		first behind the last
 *
 * Whoever has one is waited for, and whoever wants one meanwhile waits for us: until the
 * change lock is let go of again nobody has.
 *
 * Context: both locks; that of changes is let go of meanwhile.
 * Return: 0; -EINTR: a fatal signal, or a suspend.
 */
int dmr_claim_drain(struct dmr_core *core, u64 from, u64 to);

#endif /* DMR_CLAIM_H */

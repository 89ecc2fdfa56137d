// SPDX-License-Identifier: GPL-2.0-only
#include "claim.h"

bool dmr_claimed(struct dmr_core *core, u64 from, u64 to)
{
	return dmr_spans_taken(&core->claims, from, to);
}

void dmr_claim(struct dmr_core *core, struct dmr_span *claim, u64 from, u64 to)
{
	claim->from = from;
	claim->to = to;
	dmr_spans_add(&core->claims, claim);
}

void dmr_unclaim(struct dmr_core *core, struct dmr_span *claim)
{
	dmr_spans_del(&core->claims, claim);
	wake_up_all(&core->wait);
}

void dmr_claim_wait(struct dmr_core *core, u64 from, u64 to)
{
	mutex_unlock(&core->change);
	wait_event_idle(core->wait, !dmr_claimed(core, from, to));
	dmr_change_lock(core);
}

int dmr_claim_drain(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_span claim;
	int r;

	if (!dmr_claimed(core, from, to))
		return 0;
	dmr_claim(core, &claim, from, to);
	mutex_unlock(&core->change);
	r = wait_event_killable(core->wait, dmr_spans_alone(&core->claims, &claim) ||
				READ_ONCE(core->stop));
	dmr_change_relock(core);
	if (!r && !dmr_spans_alone(&core->claims, &claim))
		r = -EINTR;
	dmr_unclaim(core, &claim);
	return r ? -EINTR : 0;
}

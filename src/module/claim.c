// SPDX-License-Identifier: GPL-2.0-only
#include "claim.h"

bool dmr_claimed(struct dmr_core *core, u64 from, u64 to)
{
	bool claimed;

	spin_lock(&core->claim_lock);
	claimed = dmr_spans_meet(&core->claims, from, to);
	spin_unlock(&core->claim_lock);
	return claimed;
}

void dmr_claim(struct dmr_core *core, struct dmr_span *claim, u64 from, u64 to)
{
	claim->from = from;
	claim->to = to;
	spin_lock(&core->claim_lock);
	list_add(&claim->node, &core->claims);
	spin_unlock(&core->claim_lock);
}

void dmr_unclaim(struct dmr_core *core, struct dmr_span *claim)
{
	spin_lock(&core->claim_lock);
	list_del(&claim->node);
	spin_unlock(&core->claim_lock);
	wake_up_all(&core->wait);
}

void dmr_claim_wait(struct dmr_core *core, u64 from, u64 to)
{
	mutex_unlock(&core->change);
	wait_event_idle(core->wait, !dmr_claimed(core, from, to));
	dmr_change_lock(core);
}

/* Has anybody one but us? */
static bool dmr_claim_alone(struct dmr_core *core, struct dmr_span *claim)
{
	bool alone;

	spin_lock(&core->claim_lock);
	list_del(&claim->node);
	alone = !dmr_spans_meet(&core->claims, claim->from, claim->to);
	list_add(&claim->node, &core->claims);
	spin_unlock(&core->claim_lock);
	return alone;
}

int dmr_claim_drain(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_span claim;
	int r;

	if (!dmr_claimed(core, from, to))
		return 0;
	dmr_claim(core, &claim, from, to);
	mutex_unlock(&core->change);
	r = wait_event_killable(core->wait, dmr_claim_alone(core, &claim) ||
				READ_ONCE(core->stop));
	dmr_change_relock(core);
	if (!r && !dmr_claim_alone(core, &claim))
		r = -EINTR;
	dmr_unclaim(core, &claim);
	return r ? -EINTR : 0;
}

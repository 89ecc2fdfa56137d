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

int dmr_claim_wait(struct dmr_core *core, u64 from, u64 to, bool may_stop)
{
	int r = 0;

	mutex_unlock(&core->change);
	if (may_stop)
		r = wait_event_killable(core->wait, !dmr_claimed(core, from, to) ||
					READ_ONCE(core->stop));
	else
		wait_event_idle(core->wait, !dmr_claimed(core, from, to));
	mutex_lock(&core->change);
	return r || (may_stop && READ_ONCE(core->stop)) ? -EINTR : 0;
}

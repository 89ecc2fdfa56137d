// SPDX-License-Identifier: GPL-2.0-only
#include "span.h"

void dmr_spans_init(struct dmr_spans *spans)
{
	spin_lock_init(&spans->lock);
	INIT_LIST_HEAD(&spans->list);
}

bool dmr_spans_meet(const struct list_head *list, u64 from, u64 to)
{
	const struct dmr_span *span;

	list_for_each_entry(span, list, node)
		if (from < span->to && span->from < to)
			return true;
	return false;
}

bool dmr_spans_taken(struct dmr_spans *spans, u64 from, u64 to)
{
	bool taken;

	spin_lock(&spans->lock);
	taken = dmr_spans_meet(&spans->list, from, to);
	spin_unlock(&spans->lock);
	return taken;
}

void dmr_spans_add(struct dmr_spans *spans, struct dmr_span *span)
{
	spin_lock(&spans->lock);
	list_add(&span->node, &spans->list);
	spin_unlock(&spans->lock);
}

bool dmr_spans_try(struct dmr_spans *spans, struct dmr_span *span)
{
	bool alone;

	spin_lock(&spans->lock);
	alone = !dmr_spans_meet(&spans->list, span->from, span->to);
	if (alone)
		list_add(&span->node, &spans->list);
	spin_unlock(&spans->lock);
	return alone;
}

bool dmr_spans_alone(struct dmr_spans *spans, struct dmr_span *span)
{
	bool alone;

	spin_lock(&spans->lock);
	list_del(&span->node);
	alone = !dmr_spans_meet(&spans->list, span->from, span->to);
	list_add(&span->node, &spans->list);
	spin_unlock(&spans->lock);
	return alone;
}

void dmr_spans_del(struct dmr_spans *spans, struct dmr_span *span)
{
	spin_lock(&spans->lock);
	list_del(&span->node);
	spin_unlock(&spans->lock);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs of main sectors that somebody has for himself, in a list that has a lock of its own.
 */
#ifndef DMR_SPAN_H
#define DMR_SPAN_H

#include <linux/list.h>
#include <linux/types.h>

/**
 * struct dmr_span - main sectors
 * @node:	in its list
 * @from:	the first
 * @to:		the first behind the last
 */
struct dmr_span {
	struct list_head	node;
	u64			from;
	u64			to;
};

/* Does one of the list reach into the sectors? Context: the list's lock. */
static inline bool dmr_spans_meet(const struct list_head *spans, u64 from, u64 to)
{
	const struct dmr_span *span;

	list_for_each_entry(span, spans, node)
		if (from < span->to && span->from < to)
			return true;
	return false;
}

#endif /* DMR_SPAN_H */

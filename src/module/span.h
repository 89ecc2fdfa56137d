/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs of main sectors that somebody has for himself.
 */
#ifndef DMR_SPAN_H
#define DMR_SPAN_H

#include <linux/list.h>
#include <linux/spinlock.h>
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

/**
 * struct dmr_spans - who has which
 * @lock:	never taken in interrupts
 * @list:	the spans; a few at a time, so they are looked through
 */
struct dmr_spans {
	spinlock_t		lock;		/* @list */
	struct list_head	list;
};

void dmr_spans_init(struct dmr_spans *spans);

/* Does one of the list reach into the sectors? Context: the list's lock. */
bool dmr_spans_meet(const struct list_head *list, u64 from, u64 to);

/* ... for a list that has its lock. Context of this and what follows: any but interrupts. */
bool dmr_spans_taken(struct dmr_spans *spans, u64 from, u64 to);

void dmr_spans_add(struct dmr_spans *spans, struct dmr_span *span);

/* Add it unless another reaches into its sectors. Return: was it added? */
bool dmr_spans_try(struct dmr_spans *spans, struct dmr_span *span);

/* Does none but @span, which is there, reach into its sectors? */
bool dmr_spans_alone(struct dmr_spans *spans, struct dmr_span *span);

void dmr_spans_del(struct dmr_spans *spans, struct dmr_span *span);

#endif /* DMR_SPAN_H */

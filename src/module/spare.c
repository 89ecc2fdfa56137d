// SPDX-License-Identifier: GPL-2.0-only
#include "spare.h"

#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/rbtree_augmented.h>

/*
 * The gap before the sentinel is in no max_gap: it changes with each extent that is
 * put behind all others, and would change the whole path to the root.
 */
static u64 dmr_extent_gap(const struct dmr_extent *ext)
{
	return ext->len ? ext->gap : 0;
}

RB_DECLARE_CALLBACKS_MAX(static, dmr_gap_callbacks, struct dmr_extent, node,
			 u64, max_gap, dmr_extent_gap)

static struct dmr_extent *dmr_extent_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct dmr_extent, node);
}

static u64 dmr_extent_end(const struct dmr_extent *ext)
{
	return ext->start + ext->len;
}

static void dmr_set_gap(struct dmr_extent *ext, u64 gap)
{
	ext->gap = gap;
	if (ext->len)
		dmr_gap_callbacks.propagate(&ext->node, NULL);
}

/* Hang an extent, its gap set, into the tree before another. */
static void dmr_spare_link(struct dmr_spare *sp, struct dmr_extent *ext,
			   struct dmr_extent *next)
{
	struct rb_node *parent = &next->node;
	struct rb_node **link = &parent->rb_left;

	if (*link) {
		parent = rb_prev(parent);
		link = &parent->rb_right;
	}
	ext->max_gap = dmr_extent_gap(ext);
	rb_link_node(&ext->node, parent, link);
	if (ext->max_gap)
		dmr_gap_callbacks.propagate(parent, NULL);
	rb_insert_augmented(&ext->node, &sp->used, &dmr_gap_callbacks);
}

/* The first extent that starts at @sector or above: the sentinel at the latest. */
static struct dmr_extent *dmr_spare_from(const struct dmr_spare *sp, u64 sector)
{
	struct rb_node *node = sp->used.rb_node;
	struct dmr_extent *found = NULL;

	while (node) {
		struct dmr_extent *ext = dmr_extent_of(node);

		if (ext->start >= sector) {
			found = ext;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

void dmr_spare_init(struct dmr_spare *sp, u64 first, u64 size)
{
	/* It may be one in use, and who asks how large it is has no lock: no other values. */
	WRITE_ONCE(sp->head.len, first);
	WRITE_ONCE(sp->end.start, size);
	WRITE_ONCE(sp->free, size - first);
	sp->head.start = 0;
	sp->head.gap = 0;
	sp->head.flags = 0;
	sp->end.len = 0;
	sp->end.gap = size - first;
	sp->end.flags = 0;
	sp->end.max_gap = 0;
	sp->used = RB_ROOT;
	rb_link_node(&sp->end.node, NULL, &sp->used.rb_node);
	rb_insert_augmented(&sp->end.node, &sp->used, &dmr_gap_callbacks);
	dmr_spare_link(sp, &sp->head, &sp->end);
}

/* The gap before an extent. */
static u64 dmr_gap_of(const struct dmr_extent *ext, u64 *start)
{
	*start = ext->start - ext->gap;
	return ext->gap;
}

u64 dmr_spare_find(const struct dmr_spare *sp, u64 len, u64 *start)
{
	struct dmr_extent *ext = dmr_extent_of(sp->used.rb_node);

	if (ext->max_gap < len)
		return sp->end.gap < len ? 0 : dmr_gap_of(&sp->end, start);
	for (;;) {
		struct dmr_extent *left = dmr_extent_of(ext->node.rb_left);

		if (left && left->max_gap >= len)
			ext = left;
		else if (ext->gap < len)
			ext = dmr_extent_of(ext->node.rb_right);
		else
			break;
	}
	return dmr_gap_of(ext, start);
}

u64 dmr_spare_find_most(const struct dmr_spare *sp, u64 len, u64 block, u64 *start)
{
	if (dmr_spare_find(sp, len, start))
		return len;
	return round_down(dmr_spare_find(sp, block, start), block);
}

u64 dmr_spare_find_last(const struct dmr_spare *sp, u64 len, u64 *start)
{
	struct dmr_extent *ext = dmr_extent_of(sp->used.rb_node);

	if (sp->end.gap >= len)
		return dmr_gap_of(&sp->end, start);
	if (ext->max_gap < len)
		return 0;
	for (;;) {
		struct dmr_extent *right = dmr_extent_of(ext->node.rb_right);

		if (right && right->max_gap >= len)
			ext = right;
		else if (ext->gap < len)
			ext = dmr_extent_of(ext->node.rb_left);
		else
			break;
	}
	return dmr_gap_of(ext, start);
}

struct dmr_extent *dmr_spare_next(const struct dmr_spare *sp, u64 from)
{
	struct dmr_extent *ext = dmr_spare_from(sp, from);

	return ext == &sp->end ? NULL : ext;
}

void dmr_spare_extend(struct dmr_spare *sp, u64 size)
{
	u64 more = size - sp->end.start;

	WRITE_ONCE(sp->end.start, size);
	sp->end.gap += more;
	WRITE_ONCE(sp->free, sp->free + more);
}

int dmr_spare_take(struct dmr_spare *sp, struct dmr_extent *ext)
{
	struct dmr_extent *next;
	u64 gap_start;

	if (ext->len > dmr_spare_size(sp) ||
	    ext->start > dmr_spare_size(sp) - ext->len)
		return -ERANGE;

	/* Behind all others, as they come when a log is loaded: no search. */
	next = &sp->end;
	if (ext->start < sp->end.start - sp->end.gap)
		next = dmr_spare_from(sp, ext->start);
	gap_start = next->start - next->gap;
	if (ext->start < gap_start || dmr_extent_end(ext) > next->start)
		return -EBUSY;

	ext->gap = ext->start - gap_start;
	dmr_set_gap(next, next->start - dmr_extent_end(ext));
	dmr_spare_link(sp, ext, next);
	WRITE_ONCE(sp->free, sp->free - ext->len);
	return 0;
}

void dmr_spare_give(struct dmr_spare *sp, struct dmr_extent *ext)
{
	struct dmr_extent *next = dmr_extent_of(rb_next(&ext->node));

	rb_erase_augmented(&ext->node, &sp->used, &dmr_gap_callbacks);
	dmr_set_gap(next, next->gap + ext->len + ext->gap);
	WRITE_ONCE(sp->free, sp->free + ext->len);
}

void dmr_spare_cut(struct dmr_spare *sp, struct dmr_extent *ext,
		   struct dmr_extent **parts, unsigned int nr)
{
	dmr_spare_give(sp, ext);
	/* They lie in what was just given, so this cannot fail. */
	for (unsigned int i = 0; i < nr; i++)
		WARN_ON_ONCE(dmr_spare_take(sp, parts[i]));
}

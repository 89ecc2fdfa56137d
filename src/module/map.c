// SPDX-License-Identifier: GPL-2.0-only
#include "map.h"

#include <linux/rcupdate.h>
#include <linux/slab.h>

/* What a part has of its whole; a move is the whole's alone. */
#define DMR_MEDIUM (DMR_LOST | DMR_PENDING | DMR_HOLE)

int dmr_batch_push(struct dmr_batch *batch, struct dmr_remap *remap)
{
	if (batch->nr == batch->room) {
		size_t room = max_t(size_t, 16, 2 * batch->room);
		struct dmr_remap **remaps;

		remaps = kvmalloc_array(room, sizeof(*remaps),
					GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
		if (!remaps)
			return -ENOMEM;
		if (batch->nr)
			memcpy(remaps, batch->remaps, batch->nr * sizeof(*remaps));
		kvfree(batch->remaps);
		batch->remaps = remaps;
		batch->room = room;
	}
	batch->remaps[batch->nr] = remap;
	/* That of core->taken is read without a lock (fault.c). */
	WRITE_ONCE(batch->nr, batch->nr + 1);
	return 0;
}

void dmr_batch_free(struct dmr_batch *batch)
{
	while (batch->nr) {
		WRITE_ONCE(batch->nr, batch->nr - 1);
		dmr_remap_free(batch->remaps[batch->nr]);
	}
}

void dmr_batch_exit(struct dmr_batch *batch)
{
	kvfree(batch->remaps);
}

struct dmr_remap *dmr_batch_at(const struct dmr_batch *batch, u64 sector)
{
	size_t lo = 0, hi = batch->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (dmr_remap_end(batch->remaps[mid]) <= sector)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < batch->nr ? batch->remaps[lo] : NULL;
}

static void dmr_map_count(struct dmr_map *map, u8 flags, s64 sectors)
{
	/* What is being added is as it was on main, to whoever asks. */
	if (flags & DMR_ADDING) {
		map->nr_adding += sectors < 0 ? -1 : 1;
		map->adding_sectors += sectors;
		return;
	}
	if (flags & DMR_LOST)
		WRITE_ONCE(map->lost, map->lost + sectors);
	if (flags & DMR_PENDING)
		WRITE_ONCE(map->pending, map->pending + sectors);
	if ((flags & (DMR_PENDING | DMR_HOLE)) == DMR_PENDING)
		map->nr_pending += sectors < 0 ? -1 : 1;
}

static void dmr_hole_link(struct dmr_map *map, struct dmr_remap *hole)
{
	struct rb_node **link = &map->holes.rb_node;
	struct rb_node *parent = NULL;

	while (*link) {
		parent = *link;
		link = hole->start < rb_entry(parent, struct dmr_remap, ext.node)->start ?
		       &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&hole->ext.node, parent, link);
	rb_insert_color(&hole->ext.node, &map->holes);
}

void dmr_map_insert(struct dmr_map *map, struct dmr_remap *remap)
{
	u8 flags = remap->ext.flags;

	/* Before anything can be written there: a flush goes by it. */
	if (!(flags & DMR_HOLE))
		WRITE_ONCE(map->mapped, map->mapped + 1);
	dmr_table_insert(&map->table, remap);
	WRITE_ONCE(map->top, max(map->top, dmr_remap_end(remap)));
	dmr_map_count(map, flags, remap->ext.len);
	if (!(flags & DMR_HOLE))
		return;
	map->nr_holes++;
	map->hole_sectors += remap->ext.len;
	dmr_hole_link(map, remap);
}

void dmr_map_remove(struct dmr_map *map, struct dmr_remap *remap)
{
	u8 flags = remap->ext.flags;

	dmr_table_remove(&map->table, remap);
	dmr_map_count(map, flags, -remap->ext.len);
	if (!(flags & DMR_HOLE)) {
		WRITE_ONCE(map->mapped, map->mapped - 1);
		return;
	}
	map->nr_holes--;
	map->hole_sectors -= remap->ext.len;
	rb_erase(&remap->ext.node, &map->holes);
	RB_CLEAR_NODE(&remap->ext.node);
}

/* Its place in the tree that it was in is free for a link. */
void dmr_map_doom(struct dmr_map *map, struct dmr_remap *remap)
{
	remap->ext.node.rb_right = map->doomed;
	map->doomed = &remap->ext.node;
}

/* Readers of the table are past what was changed so far. */
static void dmr_map_sync(const struct dmr_map *map)
{
	if (!map->replay)
		synchronize_rcu();
}

void dmr_map_reap(struct dmr_map *map)
{
	struct rb_node *node = map->doomed, *next;

	if (map->replay)
		return;
	if (node)
		synchronize_rcu();
	for (; node; node = next) {
		next = node->rb_right;
		dmr_remap_free(rb_entry(node, struct dmr_remap, ext.node));
		cond_resched();
	}
	map->doomed = NULL;
}

void dmr_map_flags(struct dmr_map *map, struct dmr_remap *remap, u8 set, u8 clear)
{
	u8 flags = remap->ext.flags;

	dmr_map_count(map, flags, -remap->ext.len);
	flags = (flags & ~clear) | set;
	dmr_map_count(map, flags, remap->ext.len);
	/* Pairs with dmr_route(): the move, or what it left, is all there. */
	smp_store_release(&remap->ext.flags, flags);
}

void dmr_batch_flags(struct dmr_map *map, const struct dmr_batch *batch, u8 set, u8 clear)
{
	for (size_t i = 0; i < batch->nr; i++) {
		dmr_map_flags(map, batch->remaps[i], set, clear);
		cond_resched();
	}
}

struct dmr_remap *dmr_next(struct dmr_map *map, u64 from)
{
	struct dmr_remap *remap;

	do {
		rcu_read_lock();
		remap = dmr_table_next(&map->table, from);
		rcu_read_unlock();
		if (remap)
			from = dmr_remap_end(remap);
	} while (remap && remap->ext.flags & DMR_HOLE);
	return remap;
}

struct dmr_remap *dmr_mapped(struct dmr_map *map, u64 first, u64 last)
{
	struct dmr_run run;

	/* As they come when a log is loaded: no search. */
	if (first >= READ_ONCE(map->top))
		return NULL;
	for (u64 from = first; from < last; from = run.end) {
		rcu_read_lock();
		dmr_table_lookup(&map->table, from, last, &run);
		rcu_read_unlock();
		if (run.remap && !(run.remap->ext.flags & DMR_HOLE))
			return run.remap;
	}
	return NULL;
}

struct dmr_remap *dmr_next_hole(const struct dmr_map *map, u64 from)
{
	struct rb_node *node = map->holes.rb_node;
	struct dmr_remap *found = NULL;

	while (node) {
		struct dmr_remap *hole = rb_entry(node, struct dmr_remap, ext.node);

		if (dmr_remap_end(hole) > from) {
			found = hole;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

void dmr_part_init(struct dmr_remap *part, const struct dmr_remap *remap, u64 from,
		   u64 to)
{
	part->start = from;
	/* A write may be on its way to what an add has taken, and say that it can be read. */
	part->ext.start = READ_ONCE(remap->ext.start);
	if (!(remap->ext.flags & DMR_HOLE))
		part->ext.start += from - remap->start;
	part->ext.len = to - from;
	part->ext.flags = remap->ext.flags & DMR_MEDIUM;
}

struct dmr_remap *dmr_remap_part(const struct dmr_remap *remap, u64 from, u64 to)
{
	struct dmr_remap *part = dmr_remap_alloc();

	if (part)
		dmr_part_init(part, remap, from, to);
	return part;
}

struct dmr_remap *dmr_reserve_take(struct dmr_core *core)
{
	struct dmr_remap *remap = dmr_remap_alloc();

	if (remap)
		return remap;
	queue_work(system_unbound_wq, &core->refill);
	return core->nr_reserve ? core->reserve[--core->nr_reserve] :
				  dmr_remap_alloc_nofail();
}

/* A hole is replaced by what is left of it on either side. */
static void dmr_hole_cut(struct dmr_core *core, struct dmr_remap *hole, u64 first, u64 last)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 from[2] = { hole->start, last };
	u64 to[2] = { first, dmr_remap_end(hole) };
	bool parts = false;

	for (int i = 0; i < 2; i++) {
		struct dmr_remap *part;

		if (from[i] >= to[i])
			continue;
		part = dmr_reserve_take(core);
		dmr_part_init(part, hole, from[i], to[i]);
		dmr_map_insert(map, part);
		parts = true;
	}
	/* Lest a write miss the parts, which came behind it, and then the whole. */
	if (parts)
		dmr_map_sync(map);
	dmr_map_remove(map, hole);
	dmr_map_doom(map, hole);
}

static void dmr_holes_cut(struct dmr_core *core, u64 first, u64 last)
{
	struct dmr_remap *hole;

	while ((hole = dmr_next_hole(dmr_map_of(core), first)) && hole->start < last) {
		dmr_hole_cut(core, hole, first, last);
		cond_resched();
	}
}

static void dmr_holes_gone(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);

	dmr_map_reap(map);
	dmr_core_counted(core);
}

void dmr_holes_take(struct dmr_core *core, u64 first, u64 last)
{
	dmr_holes_cut(core, first, last);
	dmr_holes_gone(core);
}

void dmr_holes_take_all(struct dmr_core *core, const struct dmr_batch *copies)
{
	for (size_t i = 0; i < copies->nr; i++)
		dmr_holes_cut(core, copies->remaps[i]->start,
			      dmr_remap_end(copies->remaps[i]));
	dmr_holes_gone(core);
}

int dmr_holes_copy(struct dmr_core *core, u64 first, u64 last, struct dmr_batch *copies)
{
	struct dmr_remap *hole, *copy;

	for (u64 from = first; (hole = dmr_next_hole(dmr_map_of(core), from)) &&
	     hole->start < last; from = dmr_remap_end(hole)) {
		copy = dmr_remap_part(hole, max(first, hole->start),
				      min(last, dmr_remap_end(hole)));
		if (!copy || dmr_batch_push(copies, copy)) {
			if (copy)
				dmr_remap_free(copy);
			return -ENOMEM;
		}
		cond_resched();
	}
	return 0;
}

void dmr_holes_put(struct dmr_core *core, const struct dmr_batch *copies)
{
	/* Nobody would know that they are pending: it must not fail. */
	for (size_t i = 0; i < copies->nr; i++) {
		const struct dmr_remap *copy = copies->remaps[i];
		struct dmr_remap *hole = dmr_reserve_take(core);

		dmr_part_init(hole, copy, copy->start, dmr_remap_end(copy));
		/* Whoever has written there meanwhile may read it. */
		if (!dmr_hole_void(hole))
			hole->ext.start = 0;
		dmr_map_insert(dmr_map_of(core), hole);
		cond_resched();
	}
	dmr_core_counted(core);
}

void dmr_holes_fit(struct dmr_core *core, u64 len, unsigned int block)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *hole;
	u64 from = 0;

	while ((hole = dmr_next_hole(map, from))) {
		from = dmr_remap_end(hole);
		if (from <= len && !((hole->start | hole->ext.len) & (block - 1)))
			continue;
		/* What is held for a doubt goes when that is settled. */
		if (hole->ext.flags & DMR_DOUBT) {
			dmr_map_flags(map, hole, 0, DMR_PENDING);
			continue;
		}
		dmr_map_remove(map, hole);
		dmr_map_doom(map, hole);
		cond_resched();
	}
	dmr_map_reap(map);
	dmr_core_counted(core);
}

char *dmr_asides_misfit(const struct dmr_map *map, unsigned int block)
{
	struct rb_node *node;

	for (node = rb_first(&map->spare.used); node; node = rb_next(node)) {
		const struct dmr_extent *ext = rb_entry(node, struct dmr_extent, node);

		if (ext->flags & DMR_ASIDE && (ext->start | ext->len) & (block - 1))
			return "Main device's logical block misaligns what was put aside";
		cond_resched();
	}
	return NULL;
}

void dmr_split_publish(struct dmr_map *map, const struct dmr_split *split)
{
	struct dmr_remap *in_table[] = { split->left, split->mid, split->right };
	struct dmr_remap *on_spare[] = { split->left, split->place, split->right };
	struct dmr_extent *parts[3];
	unsigned int nr = 0;

	for (int i = 0; i < 3; i++)
		if (in_table[i])
			dmr_map_insert(map, in_table[i]);
	/* Lest a bio miss the parts, which came behind it, and then the whole. */
	dmr_map_sync(map);
	dmr_map_remove(map, split->whole);
	dmr_map_sync(map);

	for (int i = 0; i < 3; i++)
		if (on_spare[i])
			parts[nr++] = &on_spare[i]->ext;
	dmr_spare_cut(&map->spare, &split->whole->ext, parts, nr);
	dmr_map_doom(map, split->whole);
	dmr_map_reap(map);
}

void dmr_split_free(const struct dmr_split *split)
{
	struct dmr_remap *parts[] = { split->left, split->mid, split->right };

	for (int i = 0; i < 3; i++)
		if (parts[i])
			dmr_remap_free(parts[i]);
}

int dmr_split_make(struct dmr_split *split, struct dmr_remap *whole, u64 first, u64 last)
{
	u64 end = dmr_remap_end(whole);

	*split = (struct dmr_split) { .whole = whole };
	if (whole->start < first)
		split->left = dmr_remap_part(whole, whole->start, first);
	if (last < end)
		split->right = dmr_remap_part(whole, last, end);
	split->mid = dmr_remap_part(whole, first, last);
	split->place = split->mid;
	if (split->mid && (whole->start == first || split->left) &&
	    (last == end || split->right))
		return 0;
	dmr_split_free(split);
	return -ENOMEM;
}

/* The sectors of a remap from @first to before @last become pending. */
static int dmr_pending_split(struct dmr_core *core, struct dmr_remap *remap, u64 first,
			     u64 last)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_split split;

	if (first == remap->start && last == dmr_remap_end(remap)) {
		dmr_map_flags(map, remap, DMR_PENDING, 0);
		return 0;
	}
	if (dmr_split_make(&split, remap, first, last))
		return -ENOMEM;
	split.mid->ext.flags |= DMR_PENDING;
	/* What a migration has copied is good there, whatever becomes of it here. */
	split.mid->ext.flags |= remap->ext.flags & DMR_LEAVING;
	if (split.left)
		split.left->ext.flags |= remap->ext.flags & DMR_LEAVING;
	if (split.right)
		split.right->ext.flags |= remap->ext.flags & DMR_LEAVING;
	dmr_split_publish(map, &split);
	dmr_core_counted(core);
	return 0;
}

static int dmr_pending_hole(struct dmr_core *core, u64 first, u64 last)
{
	struct dmr_remap *hole = dmr_remap_alloc();

	if (!hole)
		return -ENOMEM;
	hole->start = first;
	hole->ext.len = last - first;
	hole->ext.flags = DMR_HOLE | DMR_PENDING;
	dmr_map_insert(dmr_map_of(core), hole);
	dmr_core_counted(core);
	return 0;
}

int dmr_pending_set(struct dmr_core *core, u64 first, u64 last)
{
	struct dmr_run run;
	int r = 0;

	for (u64 from = first; from < last && !r; from = run.end) {
		rcu_read_lock();
		dmr_table_lookup(&dmr_map_of(core)->table, from, last, &run);
		rcu_read_unlock();
		if (!run.remap)
			r = dmr_pending_hole(core, from, run.end);
		else if (!(run.remap->ext.flags & (DMR_PENDING | DMR_LOST | DMR_DOUBT)))
			r = dmr_pending_split(core, run.remap, from, run.end);
		cond_resched();
	}
	dmr_core_resize(core);
	return r;
}

void dmr_asides_free(struct dmr_map *map)
{
	struct rb_node *node, *next;

	for (node = rb_first(&map->spare.used); node; node = next) {
		struct dmr_remap *remap = rb_entry(node, struct dmr_remap, ext.node);

		next = rb_next(node);
		if (!(rb_entry(node, struct dmr_extent, node)->flags & DMR_ASIDE))
			continue;
		dmr_spare_give(&map->spare, &remap->ext);
		dmr_remap_free(remap);
	}
	map->nr_aside = 0;
	WRITE_ONCE(map->aside, 0);
}

// SPDX-License-Identifier: GPL-2.0-only
#include "claim.h"
#include "map.h"
#include "migrate.h"
#include "persist.h"
#include "relocate.h"
#include "repair.h"
#include "route.h"

#include <linux/slab.h>

/**
 * struct dmr_migration - a migration under way
 * @core:	the core
 * @map:	the map in force
 * @next:	the one that is built
 * @w:		a window, and room to try again
 * @at:		main sector to look for remaps from
 * @old:	remaps that are copied now ...
 * @fresh:	... and their places, in the same order; there may be more of them
 * @stale:	places that are in no table any more, until no write is on its way there
 */
struct dmr_migration {
	struct dmr_core		*core;
	struct dmr_map		*map;
	struct dmr_map		*next;
	struct dmr_window	*w;
	u64			at;
	struct dmr_batch	old;
	struct dmr_batch	fresh;
	struct dmr_batch	stale;
};

static int dmr_no_memory(const struct dmr_migration *mg)
{
	return dmr_refuse(mg->core, -ENOMEM, "no memory for a second map; nothing was changed");
}

/*
 *----------------------------------------------------------------
 * Places on the next spare
 *----------------------------------------------------------------
 */

/*
 * Cut the sectors from @from to before @to out of a place. They are free when no write is
 * on its way there any more; what is beside them stays.
 */
static int dmr_mig_cut(struct dmr_migration *mg, struct dmr_remap *place, u64 from, u64 to)
{
	struct dmr_split split;

	if (dmr_split_make(&split, place, from, to))
		return dmr_no_memory(mg);
	if (dmr_batch_push(&mg->stale, split.mid)) {
		dmr_split_free(&split);
		return dmr_no_memory(mg);
	}
	split.mid = NULL;
	dmr_split_publish(mg->next, &split);
	return 0;
}

/* Sectors of main have no place any more: what was copied of them has changed since. */
static int dmr_mig_forget(struct dmr_migration *mg, u64 first, u64 last)
{
	struct dmr_remap *place;
	u64 end;
	int r = 0;

	for (; (place = dmr_next(mg->next, first)) && place->start < last && !r; first = end) {
		end = dmr_remap_end(place);
		r = dmr_mig_cut(mg, place, max(first, place->start), min(last, end));
	}
	return r;
}

/* No write is on its way there any more: somebody else may have the sectors. */
static void dmr_mig_free_stale(struct dmr_migration *mg)
{
	for (size_t i = 0; i < mg->stale.nr; i++) {
		dmr_spare_give(&mg->next->spare, &mg->stale.remaps[i]->ext);
		dmr_remap_free(mg->stale.remaps[i]);
	}
	mg->stale.nr = 0;
}

/*
 * Before stale places are used again, and before it is looked whether what is pending can be
 * read: a write to it may be on its way, from before it was pending.
 */
static int dmr_mig_drain(struct dmr_migration *mg)
{
	bool wanted = mg->stale.nr;
	int r;

	for (size_t i = 0; i < mg->old.nr; i++)
		wanted |= !!(mg->old.remaps[i]->ext.flags & DMR_PENDING);
	if (!wanted)
		return 0;
	r = dmr_core_quiesce(mg->core, true);
	if (r)
		return dmr_refuse(mg->core, r, "migrate was interrupted; nothing was changed");
	dmr_mig_free_stale(mg);
	return 0;
}

/* The lowest run that holds the sectors, or the lowest and the rest elsewhere. */
static int dmr_mig_place_run(struct dmr_migration *mg, u64 main, u64 len, u8 flags)
{
	struct dmr_spare *sp = &mg->next->spare;
	u64 start, room;

	for (; len; main += room, len -= room) {
		struct dmr_remap *place;

		room = dmr_spare_find_most(sp, len, mg->core->block, &start);
		if (!room)
			return dmr_refuse(mg->core, -ENOSPC,
					  "no room on the new spare for main sector %llu: %llu sectors are free; nothing was changed",
					  main, sp->free);
		place = dmr_remap_alloc();
		if (!place || dmr_batch_push(&mg->fresh, place)) {
			if (place)
				dmr_remap_free(place);
			return dmr_no_memory(mg);
		}
		place->start = main;
		place->ext.start = start;
		place->ext.len = room;
		place->ext.flags = flags;
		dmr_spare_take(sp, &place->ext);
		dmr_map_insert(mg->next, place);
	}
	return 0;
}

/* Some of it could not be read: what still cannot is lost there. */
static int dmr_mig_place_pending(struct dmr_migration *mg, const struct dmr_remap *remap)
{
	u64 end = dmr_remap_end(remap), block = mg->core->block;
	int r = 0;

	/* Block by block: one that fails as it is copied is lost by itself. */
	for (u64 from = remap->start; from < end && !r; from += block) {
		bool readable;

		if (dmr_core_stopping(mg->core))
			return dmr_refuse(mg->core, -EINTR,
					  "migrate was interrupted; nothing was changed");
		readable = dmr_readable(mg->core, from);
		r = dmr_mig_place_run(mg, from, block, readable ? 0 : DMR_LOST);
		cond_resched();
	}
	return r;
}

static int dmr_mig_place(struct dmr_migration *mg)
{
	int r = 0;

	for (size_t i = 0; i < mg->old.nr && !r; i++) {
		const struct dmr_remap *remap = mg->old.remaps[i];

		if (remap->ext.flags & DMR_PENDING)
			r = dmr_mig_place_pending(mg, remap);
		else
			r = dmr_mig_place_run(mg, remap->start, remap->ext.len,
					      remap->ext.flags & DMR_LOST);
		cond_resched();
	}
	return r;
}

/*
 *----------------------------------------------------------------
 * Copying
 *----------------------------------------------------------------
 */

/* The next remaps that are not on both spares: a window of them, or a large one. */
static int dmr_mig_collect(struct dmr_migration *mg)
{
	struct dmr_remap *remap;
	u64 sectors = 0;

	mg->old.nr = 0;
	mg->fresh.nr = 0;
	while (mg->old.nr < DMR_WINDOW_RUNS && sectors < DMR_WINDOW_SECTORS &&
	       (remap = dmr_next(mg->map, mg->at))) {
		mg->at = dmr_remap_end(remap);
		cond_resched();
		/* What is being written will be seen in another pass. */
		if (remap->ext.flags & DMR_LEAVING ||
		    dmr_claimed(mg->core, remap->start, mg->at))
			continue;
		if (dmr_batch_push(&mg->old, remap))
			return dmr_no_memory(mg);
		sectors += remap->ext.len;
		if (dmr_mig_forget(mg, remap->start, mg->at))
			return -ENOMEM;
	}
	return 0;
}

static void dmr_mig_run(struct dmr_migration *mg, const struct dmr_remap *place, u64 from,
			u64 len)
{
	const struct dmr_remap *remap = dmr_mapped(mg->map, from, from + 1);
	struct dmr_run_copy *run = &mg->w->runs[mg->w->nr++];

	*run = (struct dmr_run_copy) {
		.w = mg->w,
		.main = from,
		.from = {
			.bdev = mg->map->bdev, .count = len,
			.sector = remap->ext.start + (from - remap->start),
		},
		.to = {
			.bdev = mg->next->bdev, .count = len,
			.sector = place->ext.start + (from - place->start),
		},
	};
	mg->w->sectors += len;
}

/* As dmr_window_fill(); what is lost is passed over. */
static u64 dmr_mig_fill(struct dmr_migration *mg, size_t *i, u64 hi)
{
	struct dmr_window *w = mg->w;

	w->nr = 0;
	w->sectors = 0;
	while (*i < mg->fresh.nr && w->nr < DMR_WINDOW_RUNS &&
	       w->sectors < DMR_WINDOW_SECTORS) {
		const struct dmr_remap *place = mg->fresh.remaps[*i];
		u64 from = max(hi, place->start), len = dmr_remap_end(place) - from;

		if (!(place->ext.flags & DMR_LOST)) {
			len = min_t(u64, len, DMR_WINDOW_SECTORS - w->sectors);
			dmr_mig_run(mg, place, from, len);
		}
		hi = from + len;
		if (hi == dmr_remap_end(place))
			++*i;
	}
	return hi;
}

static int dmr_mig_copy(struct dmr_migration *mg)
{
	u64 hi = mg->old.remaps[0]->start;
	size_t i = 0;
	int r = 0;

	while (i < mg->fresh.nr && !r) {
		hi = dmr_mig_fill(mg, &i, hi);
		r = dmr_move_window(mg->core, mg->w, hi, true);
	}
	return r;
}

/* A block that could not be read is pending, and looked at once more. */
static int dmr_mig_pending(struct dmr_migration *mg, u64 sector)
{
	if (dmr_pending_set(mg->core, sector, sector + mg->core->block))
		return dmr_no_memory(mg);
	dmr_map_flags(mg->map, dmr_mapped(mg->map, sector, sector + 1), 0, DMR_LEAVING);
	mg->at = min(mg->at, sector);
	return 0;
}

/* What could not be read. */
static int dmr_mig_lost(struct dmr_migration *mg)
{
	const struct dmr_move *m = &mg->core->move;
	int r = 0;

	for (size_t i = 0; i < m->nr_lost && !r; i++) {
		u64 sector = m->lost[i];
		const struct dmr_remap *remap = dmr_mapped(mg->map, sector, sector + 1);

		if (remap->ext.flags & DMR_PENDING)
			/* It could be read a moment ago. */
			dmr_map_flags(mg->next, dmr_mapped(mg->next, sector, sector + 1),
				      DMR_LOST, 0);
		else
			r = dmr_mig_pending(mg, sector);
	}
	return r;
}

/* On the way: writes go by the window. What is seen to as it is written need not. */
static void dmr_mig_leave(struct dmr_migration *mg)
{
	for (size_t i = 0; i < mg->old.nr; i++) {
		struct dmr_remap *remap = mg->old.remaps[i];
		bool medium = remap->ext.flags & (DMR_LOST | DMR_PENDING);

		dmr_map_flags(mg->map, remap, DMR_LEAVING | (medium ? 0 : DMR_REMOVING), 0);
	}
}

static int dmr_mig_failed(struct dmr_migration *mg)
{
	blk_status_t error = READ_ONCE(mg->core->next_error);

	return error ? dmr_refuse(mg->core, -EIO,
				  "a write to the new spare failed (status %u); nothing was changed",
				  (__force u8)error) : 0;
}

/* Copy what was collected. */
static int dmr_mig_batch(struct dmr_migration *mg)
{
	struct dmr_core *core = mg->core;
	struct dmr_batch *old = &mg->old;
	int r;

	r = dmr_mig_drain(mg);
	if (!r)
		r = dmr_mig_place(mg);
	if (r)
		return r;
	dmr_move_begin(core, true, old->remaps[0]->start,
		       dmr_remap_end(old->remaps[old->nr - 1]));
	dmr_mig_leave(mg);
	/* As in a move of any kind, nobody else touches what is copied: see dmr_moves(). */
	mutex_unlock(&core->change);
	r = dmr_mig_copy(mg);
	dmr_change_relock(core);
	if (!r)
		r = dmr_mig_failed(mg);
	dmr_batch_flags(mg->map, old, 0, r ? DMR_LEAVING | DMR_REMOVING : DMR_REMOVING);
	if (!r)
		r = dmr_mig_lost(mg);
	dmr_move_end(core);
	/* The next move begins with nobody left who looks at this one. */
	synchronize_rcu();
	return r;
}

/* Others may have their turn. What they leave in doubt uses the move. */
static int dmr_mig_yield(struct dmr_migration *mg)
{
	struct dmr_core *core = mg->core;

	dmr_verb_unlock(core);
	cond_resched();
	mutex_lock(&core->verb);
	mutex_lock(&core->change);
	if (dmr_core_stopping(core))
		return dmr_refuse(core, -EINTR,
				  "migrate was interrupted at main sector %llu; nothing was changed",
				  mg->at);
	return dmr_persist_settle(core);
}

/* Nobody mends a write, from now on: whoever comes now takes the verb lock for it. */
static int dmr_mig_close(struct dmr_migration *mg)
{
	struct dmr_core *core = mg->core;

	core->closing = true;
	if (dmr_claim_drain(core, 0, core->len))
		return dmr_refuse(core, -EINTR, "migrate was interrupted; nothing was changed");
	return dmr_persist_settle(core);
}

/* One pass, until nothing is left to copy from where it is. */
static int dmr_mig_pass(struct dmr_migration *mg, bool *copied)
{
	int r;

	mg->at = 0;
	*copied = false;
	for (;;) {
		r = dmr_mig_collect(mg);
		if (r || !mg->old.nr)
			return r;
		*copied = true;
		r = dmr_mig_batch(mg);
		if (!r)
			r = dmr_mig_yield(mg);
		if (r)
			return r;
	}
}

/* Until a whole pass, in one turn, with nobody at work, has found nothing to copy. */
static int dmr_mig_everything(struct dmr_migration *mg)
{
	bool copied;
	int r;

	for (;;) {
		r = dmr_mig_pass(mg, &copied);
		if (r || (!copied && mg->core->closing))
			return r;
		if (!copied)
			r = dmr_mig_close(mg);
		if (r)
			return r;
	}
}

/*
 *----------------------------------------------------------------
 * The end
 *----------------------------------------------------------------
 */

/* Places of what is remapped no more. */
static int dmr_mig_sweep(struct dmr_migration *mg)
{
	struct dmr_remap *place;
	int r = 0;

	for (u64 from = 0; (place = dmr_next(mg->next, from)) && !r;) {
		const struct dmr_remap *remap = dmr_mapped(mg->map, place->start,
							   place->start + 1);

		from = dmr_remap_end(place);
		if (!remap)
			r = dmr_mig_forget(mg, place->start, from);
		cond_resched();
	}
	return r ? r : dmr_mig_drain(mg);
}

/* Pending sectors of main, which no spare serves. */
static int dmr_mig_holes(struct dmr_migration *mg)
{
	struct dmr_remap *hole, *copy;

	for (u64 from = 0; (hole = dmr_next_hole(mg->map, from)); from = dmr_remap_end(hole)) {
		copy = dmr_remap_part(hole, hole->start, dmr_remap_end(hole));
		if (!copy)
			return dmr_no_memory(mg);
		dmr_map_insert(mg->next, copy);
		cond_resched();
	}
	return 0;
}

static void dmr_mig_hold(struct dmr_core *core, bool held)
{
	spin_lock_irq(&core->move.lock);
	WRITE_ONCE(core->next_held, held);
	spin_unlock_irq(&core->move.lock);
	if (!held)
		dmr_resend_waiting(core);
}

/* Both spares hold the same, and nobody writes there: all that was written is durable. */
static int dmr_mig_flush(struct dmr_migration *mg)
{
	struct dmr_core *core = mg->core;
	int r;

	dmr_mig_hold(core, true);
	r = dmr_core_quiesce(core, true);
	if (r)
		return dmr_refuse(core, r, "migrate was interrupted; nothing was changed");
	r = dmr_mig_failed(mg);
	if (r)
		return r;
	r = blkdev_issue_flush(mg->next->bdev);
	if (r)
		return dmr_refuse(core, -EIO,
				  "the new spare failed to flush (error %d); nothing was changed",
				  r);
	return 0;
}

/* From here on there is no way back: one spare gives up, then the other one counts. */
static bool dmr_mig_commit(struct dmr_migration *mg)
{
	struct dmr_map *map = mg->map, *next = mg->next;
	const char *name = dm_device_name(mg->core->md);
	bool retired;

	if (mg->core->volatile_)
		return true;
	retired = !dmr_meta_retire(&map->meta, next->meta.uuid);
	if (!retired)
		DMWARN("%s: the old spare (UUID %pUb) cannot be marked: never use it again",
		       name, map->meta.uuid);
	if (dmr_meta_join(&next->meta))
		DMWARN("%s: the new spare's superblocks cannot be written for the time being",
		       name);
	return retired;
}

static int dmr_mig_finish(struct dmr_migration *mg, bool *retired)
{
	struct dmr_core *core = mg->core;
	int r;

	r = dmr_mig_sweep(mg);
	if (!r)
		r = dmr_mig_holes(mg);
	dmr_map_counted(mg->next);
	if (!r && !core->volatile_) {
		r = dmr_meta_resume(&mg->next->meta);
		if (r)
			r = dmr_refuse(core, -EIO,
				       "the new spare's metadata cannot be written (error %d); nothing was changed",
				       r);
	}
	if (!r)
		r = dmr_mig_flush(mg);
	if (r)
		return r;

	*retired = dmr_mig_commit(mg);
	dmr_core_publish(core, mg->next);
	/* Nobody looks at the old map any more, but some still read from its spare. */
	synchronize_rcu();
	RCU_INIT_POINTER(core->next, NULL);
	core->closing = false;
	dmr_mig_hold(core, false);
	dmr_core_quiesce(core, false);
	dmr_core_free_map(mg->map);
	return 0;
}

static void dmr_mig_stay(const struct dmr_table *t, struct dmr_remap *remap, void *map)
{
	if (remap->ext.flags & DMR_LEAVING)
		dmr_map_flags(map, remap, 0, DMR_LEAVING);
}

static void dmr_mig_abort(struct dmr_migration *mg)
{
	struct dmr_core *core = mg->core;

	dmr_table_each(&mg->map->table, dmr_mig_stay, mg->map);
	core->closing = false;
	dmr_mig_hold(core, false);
	/* Who has seen a flag has looked for the place. */
	dmr_core_quiesce(core, false);
	RCU_INIT_POINTER(core->next, NULL);
	dmr_mig_free_stale(mg);
	dmr_core_free_map(mg->next);
}

/*
 *----------------------------------------------------------------
 * The beginning
 *----------------------------------------------------------------
 */

static int dmr_mig_prepare(struct dmr_migration *mg, const struct dmr_user *to)
{
	struct dmr_core *core = mg->core;

	mg->w = kvmalloc_array(2, sizeof(*mg->w), GFP_KERNEL);
	mg->next = mg->w ? dmr_core_make_map(core, to) : NULL;
	if (!mg->next)
		return dmr_no_memory(mg);
	/* Without memory for them it grows later. */
	dmr_table_resize(&mg->next->table, dmr_table_buckets_for(mg->map->remaps));
	return core->volatile_ ? 0 : dmr_persist_join(mg->next, mg->map);
}

int dmr_migrate(struct dmr_core *core, const struct dmr_user *to, u64 *moved, bool *retired)
{
	struct dmr_migration mg = { .core = core, .map = dmr_map_of(core) };
	int r;

	r = dmr_mig_prepare(&mg, to);
	if (r) {
		if (mg.next)
			dmr_core_free_map(mg.next);
		kvfree(mg.w);
		return r;
	}
	core->next_error = BLK_STS_OK;
	rcu_assign_pointer(core->next, mg.next);
	r = dmr_mig_everything(&mg);
	if (!r)
		r = dmr_mig_finish(&mg, retired);
	if (r)
		dmr_mig_abort(&mg);
	else
		*moved = mg.next->remaps;
	dmr_batch_exit(&mg.old);
	dmr_batch_exit(&mg.fresh);
	dmr_batch_exit(&mg.stale);
	kvfree(mg.w);
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only
#include "claim.h"
#include "map.h"
#include "persist.h"
#include "relocate.h"
#include "route.h"
#include "trace.h"

#include <linux/dm-kcopyd.h>
#include <linux/slab.h>
#include <linux/sort.h>

/*
 *----------------------------------------------------------------
 * Batches
 *----------------------------------------------------------------
 */

static int dmr_remap_cmp(const void *a, const void *b)
{
	u64 x = (*(struct dmr_remap **)a)->start;
	u64 y = (*(struct dmr_remap **)b)->start;

	/* A long message sorts long. */
	cond_resched();
	return x < y ? -1 : x > y;
}

static void dmr_batch_sort(struct dmr_batch *batch)
{
	sort(batch->remaps, batch->nr, sizeof(*batch->remaps), dmr_remap_cmp, NULL);
}

/*
 *----------------------------------------------------------------
 * Copying
 *----------------------------------------------------------------
 */

static void dmr_run_copied(int read_error, unsigned long write_error, void *context)
{
	struct dmr_run_copy *run = context;

	run->read_error = read_error;
	run->write_error = write_error;
	if (atomic_dec_and_test(&run->w->left))
		complete(&run->w->done);
}

static void dmr_copy_runs(struct dmr_core *core, struct dmr_window *w)
{
	init_completion(&w->done);
	atomic_set(&w->left, w->nr + 1);
	for (unsigned int i = 0; i < w->nr; i++)
		dm_kcopyd_copy(core->kcopyd, &w->runs[i].from, 1, &w->runs[i].to,
			       0, dmr_run_copied, &w->runs[i]);
	if (!atomic_dec_and_test(&w->left))
		wait_for_completion_io(&w->done);
}

/* kcopyd tells that it failed, not how. */
static void dmr_copy_failed(struct dmr_core *core, const struct dmr_run_copy *run)
{
	const struct dm_io_region *bad = run->read_error ? &run->from : &run->to;

	dmr_error_saw(core, &(struct dmr_error) {
		.sector = bad->sector, .len = bad->count,
		.spare = bad->bdev != core->main,
		.opf = run->read_error ? REQ_OP_READ : REQ_OP_WRITE,
		.status = BLK_STS_IOERR,
	});
}

static int dmr_copy_refused(struct dmr_core *core, const struct dmr_run_copy *run)
{
	const struct dm_io_region *bad = run->read_error ? &run->from : &run->to;

	return dmr_refuse(core, -EIO, "%s sector %llu cannot be %s; nothing was changed",
			  bad->bdev == core->main ? "main" : "spare",
			  (u64)bad->sector, run->read_error ? "read" : "written");
}

/* Room for one more lost block, before it is found. Return: 0 or -ENOMEM. */
static int dmr_lost_reserve(struct dmr_move *m)
{
	size_t room = max_t(size_t, 64, 2 * m->lost_room);
	u64 *lost, *old = m->lost;

	if (m->nr_lost < m->lost_room)
		return 0;
	lost = kvmalloc_array(room, sizeof(*lost), GFP_KERNEL | __GFP_NOWARN);
	if (!lost)
		return -ENOMEM;
	spin_lock_irq(&m->lock);
	if (m->nr_lost)
		memcpy(lost, old, m->nr_lost * sizeof(*lost));
	m->lost = lost;
	m->lost_room = room;
	spin_unlock_irq(&m->lock);
	kvfree(old);
	return 0;
}

/* The block cannot be read: it will be mapped, but as lost, unless it is written. */
static int dmr_lost_add(struct dmr_core *core, u64 sector)
{
	struct dmr_move *m = &core->move;

	if (dmr_lost_reserve(m))
		return dmr_refuse(core, -ENOMEM, "no memory for one more lost sector");
	spin_lock_irq(&m->lock);
	m->lost[m->nr_lost++] = sector;
	spin_unlock_irq(&m->lock);
	return 0;
}

/* A block that fails is tried so often before it is given up. */
#define DMR_COPY_TRIES 3

/* Has main something there that is not what could not be read, on another main? */
static bool dmr_copy_void(const struct dmr_core *core, u64 from, u64 to)
{
	const struct dmr_remap *taken;

	for (; (taken = dmr_batch_at(&core->taken, from)) && taken->start < to;
	     from = dmr_remap_end(taken))
		if (dmr_hole_void(taken))
			return true;
	return false;
}

/* Return: false when that is an error of the medium. */
static bool dmr_copy_block(struct dmr_core *core, struct dmr_window *one, bool salvage)
{
	struct dmr_run_copy *run = &one->runs[0];

	run->write_error = false;
	run->read_error = salvage && dmr_copy_void(core, run->main, run->main + core->block);
	if (run->read_error)
		return true;
	for (int i = 0; i < DMR_COPY_TRIES; i++) {
		run->read_error = false;
		run->write_error = false;
		dmr_copy_runs(core, one);
		if (!run->read_error && !run->write_error)
			return true;
	}
	return false;
}

/* A run failed: try it block by block, to save what can be and name what cannot. */
static int dmr_copy_blocks(struct dmr_core *core, struct dmr_window *one,
			   const struct dmr_run_copy *run, bool salvage)
{
	int r = 0;

	dmr_count(core, DMR_STAT_COPY_ERRORS, 1);
	one->nr = 1;
	one->runs[0] = *run;
	one->runs[0].w = one;
	for (u64 i = 0; i < run->from.count && !r; i += core->block) {
		one->runs[0].main = run->main + i;
		one->runs[0].from.sector = run->from.sector + i;
		one->runs[0].to.sector = run->to.sector + i;
		one->runs[0].from.count = core->block;
		one->runs[0].to.count = core->block;
		if (!dmr_copy_block(core, one, salvage))
			dmr_copy_failed(core, &one->runs[0]);
		if (one->runs[0].read_error && salvage)
			r = dmr_lost_add(core, run->main + i);
		else if (one->runs[0].read_error || one->runs[0].write_error)
			r = dmr_copy_refused(core, &one->runs[0]);
		/* A dead zone is read block by block for a long time. */
		if (!r && dmr_core_stopping(core))
			r = dmr_refuse(core, -EINTR,
				       "interrupted at %s sector %llu; no remap of this move was changed",
				       run->from.bdev == core->main ? "main" : "spare",
				       (u64)one->runs[0].from.sector);
	}
	return r;
}

/* @w[1] is room for trying again. */
static int dmr_copy_window(struct dmr_core *core, struct dmr_window *w, bool salvage)
{
	int r = 0;

	dmr_copy_runs(core, &w[0]);
	for (unsigned int i = 0; i < w[0].nr && !r; i++) {
		const struct dmr_run_copy *run = &w[0].runs[i];

		if (run->read_error || run->write_error ||
		    (salvage && dmr_copy_void(core, run->main, run->main + run->from.count)))
			r = dmr_copy_blocks(core, &w[1], run, salvage);
	}
	if (!r)
		dmr_count(core, DMR_STAT_SECTORS_COPIED, w[0].sectors);
	return r;
}

/*
 *----------------------------------------------------------------
 * Moves
 *----------------------------------------------------------------
 */

void dmr_move_begin(struct dmr_core *core, bool removing, u64 first, u64 last)
{
	struct dmr_move *m = &core->move;

	spin_lock_irq(&m->lock);
	m->removing = removing;
	m->committed = false;
	m->error = BLK_STS_OK;
	m->held = false;
	m->nr_lost = 0;
	m->first = first;
	m->last = last;
	m->lo = first;
	m->hi = first;
	m->active = true;
	spin_unlock_irq(&m->lock);
}

void dmr_move_end(struct dmr_core *core)
{
	struct dmr_move *m = &core->move;
	u64 *lost = m->lost;

	spin_lock_irq(&m->lock);
	m->active = false;
	/* Who has seen a flag of the move may still be looking. */
	WRITE_ONCE(m->held, false);
	m->lost = NULL;
	m->nr_lost = 0;
	m->lost_room = 0;
	spin_unlock_irq(&m->lock);
	kvfree(lost);
	dmr_resend_waiting(core);
}

/* Add the part of @remap from @from on that is moved and still fits. */
static u64 dmr_window_add(struct dmr_core *core, struct dmr_window *w,
			  const struct dmr_remap *remap, u64 from)
{
	const struct dmr_move *m = &core->move;
	struct dmr_run_copy *run = &w->runs[w->nr++];
	u64 end = min(dmr_remap_end(remap), m->last);
	u64 len = min_t(u64, end - from, DMR_WINDOW_SECTORS - w->sectors);
	struct dm_io_region main = {
		.bdev = core->main, .sector = from, .count = len,
	};
	struct dm_io_region spare = {
		.bdev = dmr_map_of(core)->bdev, .count = len,
		.sector = remap->ext.start + (from - remap->start),
	};

	run->w = w;
	run->main = from;
	run->from = m->removing ? spare : main;
	run->to = m->removing ? main : spare;
	run->read_error = false;
	run->write_error = false;
	w->sectors += len;
	return from + len;
}

/*
 * Fill a window from remap *@i, from sector @from on, leaving *@i at the remap to go
 * on with. A remap too large for the rest of it ends it. Returns its end.
 */
static u64 dmr_window_fill(struct dmr_core *core, struct dmr_window *w,
			   const struct dmr_batch *batch, size_t *i, u64 from)
{
	w->nr = 0;
	w->sectors = 0;
	while (*i < batch->nr && w->nr < DMR_WINDOW_RUNS &&
	       w->sectors < DMR_WINDOW_SECTORS) {
		const struct dmr_remap *remap = batch->remaps[*i];

		from = dmr_window_add(core, w, remap, max_t(u64, from, remap->start));
		if (from == dmr_remap_end(remap) || from == core->move.last)
			++*i;
	}
	return from;
}

int dmr_move_window(struct dmr_core *core, struct dmr_window *w, u64 hi, bool salvage)
{
	struct dmr_move *m = &core->move;
	int r;

	spin_lock_irq(&m->lock);
	WRITE_ONCE(m->hi, hi);
	spin_unlock_irq(&m->lock);

	r = dmr_core_quiesce(core, true);
	if (r)
		return dmr_refuse(core, r,
				  "interrupted at main sector %llu; no remap of this move was changed",
				  m->lo);

	r = dmr_copy_window(core, w, salvage);
	if (r)
		return r;

	spin_lock_irq(&m->lock);
	/* Pairs with dmr_route_moving(): who sees the new lo sees the hi. */
	smp_store_release(&m->lo, hi);
	spin_unlock_irq(&m->lock);
	dmr_resend_waiting(core);
	return 0;
}

/* Copy everything, window by window, and make it durable on the new side. */
static int dmr_move_windows(struct dmr_core *core, const struct dmr_batch *batch,
			    bool salvage)
{
	struct dmr_window *w = kvmalloc_array(2, sizeof(*w), GFP_KERNEL);
	u64 hi = core->move.first;
	size_t i = 0;
	int r = 0;

	if (!w)
		return dmr_refuse(core, -ENOMEM, "no memory for a window of %u sectors",
				  DMR_WINDOW_SECTORS);
	while (i < batch->nr && !r) {
		hi = dmr_window_fill(core, w, batch, &i, hi);
		r = dmr_move_window(core, w, hi, salvage);
	}
	kvfree(w);
	if (r)
		return r;

	/* The commit flushes the spare. */
	if (!core->move.removing && !core->volatile_)
		return 0;
	r = blkdev_issue_flush(core->move.removing ? core->main : dmr_map_of(core)->bdev);
	if (r)
		return dmr_refuse(core, -EIO,
				  "the %s device failed to flush (error %d); nothing was changed",
				  core->move.removing ? "main" : "spare", r);
	return 0;
}

/* A write that fails elsewhere does not wait for all that. */
static int dmr_move_copy(struct dmr_core *core, const struct dmr_batch *batch,
			 bool salvage)
{
	int r;

	mutex_unlock(&core->change);
	r = dmr_move_windows(core, batch, salvage);
	dmr_change_relock(core);
	/* It may have left a commit in doubt. */
	return r ? r : dmr_persist_settle(core);
}

/* Nobody mends a write of these sectors, nor begins to before they move. */
static int dmr_move_alone(struct dmr_core *core, u64 first, u64 last)
{
	if (dmr_claim_drain(core, first, last))
		return dmr_refuse(core, -EINTR,
				  "interrupted before main sector %llu was moved; nothing was changed",
				  first);
	return dmr_persist_settle(core);
}

bool dmr_moves(const struct dmr_core *core, const struct dmr_remap *remap)
{
	const struct dmr_move *m = &core->move;
	u8 flags = remap->ext.flags;

	if (flags & (DMR_ADDING | DMR_REMOVING))
		return true;
	/* What a migration copies has no flag of its own if it is lost, or pending. */
	return flags & DMR_LEAVING && m->active && remap->start >= m->first &&
	       remap->start < m->last;
}

/*
 * Nobody knows whether the commit is on disk: until that is settled all writes go to
 * both sides, so that either map serves them. The batch is kept for that.
 */
static void dmr_move_doubt(struct dmr_core *core, struct dmr_batch *batch)
{
	struct dmr_move *m = &core->move;

	/* What may be lost on disk must not be written here. */
	for (size_t i = 0; i < batch->nr; i++)
		if (batch->remaps[i]->ext.flags & DMR_LOST)
			dmr_map_flags(dmr_map_of(core), batch->remaps[i], DMR_DOUBT, 0);

	spin_lock_irq(&m->lock);
	WRITE_ONCE(m->hi, m->last);
	/* Pairs with dmr_route_moving(): who sees the new lo sees the hi. */
	smp_store_release(&m->lo, m->last);
	WRITE_ONCE(m->held, false);
	spin_unlock_irq(&m->lock);
	dmr_resend_waiting(core);
	core->doubt = *batch;
	*batch = (struct dmr_batch) {};
}

/*
 * The point of no return: from here on the new side counts, and a write to both
 * that fails there fails. Writes that failed there before have spoiled the move.
 */
static int dmr_move_commit(struct dmr_core *core, struct dmr_batch *batch)
{
	struct dmr_move *m = &core->move;
	blk_status_t error;
	int r;

	spin_lock_irq(&m->lock);
	error = m->error;
	m->committed = !error;
	spin_unlock_irq(&m->lock);
	if (error)
		return dmr_refuse(core, -EIO,
				  "a write to the %s device failed during the move (status %u); nothing was changed",
				  m->removing ? "main" : "spare", (__force u8)error);

	r = m->removing ? dmr_persist_remove(core, batch, m->first, m->last) :
			  dmr_persist_add(core, batch);
	if (r && !core->volatile_ && dmr_map_of(core)->meta.doubt)
		dmr_move_doubt(core, batch);
	return r;
}

/*
 *----------------------------------------------------------------
 * Adding
 *----------------------------------------------------------------
 */

/* No two remaps of the batch, and none of the table, may share a main sector. */
static int dmr_add_check(struct dmr_core *core, const struct dmr_batch *batch)
{
	u64 end = 0;

	for (size_t i = 0; i < batch->nr; i++) {
		const struct dmr_remap *remap = batch->remaps[i];
		const struct dmr_remap *other;

		if (remap->start < end)
			return dmr_refuse(core, -EEXIST, "main sector %llu is twice in the message",
					  remap->start);
		end = dmr_remap_end(remap);
		other = dmr_mapped(dmr_map_of(core), remap->start, end);
		if (other)
			return dmr_refuse(core, -EEXIST, "main sector %llu is remapped already",
					  max(other->start, remap->start));
		cond_resched();
	}
	return 0;
}

/* Explicit addresses first, lest an automatic one takes their place. */
static int dmr_take_explicit(struct dmr_core *core, struct dmr_batch *batch)
{
	for (size_t i = 0; i < batch->nr; i++) {
		struct dmr_extent *ext = &batch->remaps[i]->ext;
		int r;

		if (ext->start == DMR_AUTO)
			continue;
		r = dmr_spare_take(&dmr_map_of(core)->spare, ext);
		if (r)
			return dmr_refuse(core, r,
					  "spare sectors %llu to %llu are in use or reserved",
					  ext->start, ext->start + ext->len - 1);
		cond_resched();
	}
	return 0;
}

/* Give a remap the lowest run that holds it, or the lowest and a remap for the rest. */
static int dmr_take_auto(struct dmr_core *core, struct dmr_batch *batch, size_t i)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *remap = batch->remaps[i];
	struct dmr_remap *rest;
	u64 start, room;

	room = dmr_spare_find_most(&map->spare, remap->ext.len, core->block, &start);
	if (!room)
		return dmr_refuse(core, -ENOSPC,
				  "no room on the spare for %llu sectors: %llu are free",
				  remap->ext.len, map->spare.free);
	if (room < remap->ext.len) {
		rest = dmr_remap_alloc();
		if (!rest || dmr_batch_push(batch, rest)) {
			if (rest)
				dmr_remap_free(rest);
			return dmr_refuse(core, -ENOMEM, "no memory for a remap in parts");
		}
		rest->start = remap->start + room;
		rest->ext.start = DMR_AUTO;
		rest->ext.len = remap->ext.len - room;
		remap->ext.len = room;
	}
	remap->ext.start = start;
	return dmr_spare_take(&map->spare, &remap->ext);
}

static int dmr_add_take(struct dmr_core *core, struct dmr_batch *batch)
{
	struct dmr_map *map = dmr_map_of(core);
	size_t given = batch->nr;
	u64 wanted = 0;
	int r;

	r = dmr_take_explicit(core, batch);
	if (r)
		return r;
	for (size_t i = 0; i < batch->nr; i++)
		if (batch->remaps[i]->ext.start == DMR_AUTO)
			wanted += batch->remaps[i]->ext.len;
	if (wanted > map->spare.free)
		return dmr_refuse(core, -ENOSPC,
				  "no room on the spare for %llu sectors: %llu are free",
				  wanted, map->spare.free);
	/* The batch may grow behind i. */
	for (size_t i = 0; i < batch->nr; i++) {
		if (batch->remaps[i]->ext.start != DMR_AUTO)
			continue;
		r = dmr_take_auto(core, batch, i);
		if (r)
			return r;
		cond_resched();
	}
	if (batch->nr > given)
		dmr_batch_sort(batch);
	return 0;
}

/* Into the table, but not in force; it grows step by step as for single adds. */
static void dmr_add_insert(struct dmr_core *core, const struct dmr_batch *batch,
			   u8 flags)
{
	for (size_t i = 0; i < batch->nr; i++) {
		struct dmr_remap *remap = batch->remaps[i];

		remap->ext.flags = flags;
		dmr_map_insert(dmr_map_of(core), remap);
		/* While memory is short, once a message is enough. */
		if (!core->resize_failed)
			dmr_core_resize(core);
		cond_resched();
	}
	dmr_core_resize(core);
}

static void dmr_add_undo(struct dmr_core *core, const struct dmr_batch *batch)
{
	struct dmr_map *map = dmr_map_of(core);
	bool copied = core->move.lo > core->move.first;

	/* First: a write that came between would be as any other. */
	if (core->taken.nr && batch->remaps[0]->ext.flags) {
		dmr_holes_put(core, &core->taken);
		synchronize_rcu();
	}
	for (size_t i = 0; i < batch->nr; i++) {
		if (batch->remaps[i]->ext.flags)
			dmr_map_remove(map, batch->remaps[i]);
		cond_resched();
	}
	dmr_move_end(core);
	/*
	 * If writes went to both sides the disk must be done with them; else nothing
	 * ever went to the spare, and a killed verb need not wait for a stuck disk.
	 */
	if (copied)
		dmr_core_quiesce(core, false);
	else
		synchronize_rcu();

	for (size_t i = 0; i < batch->nr; i++) {
		struct dmr_remap *remap = batch->remaps[i];

		if (!RB_EMPTY_NODE(&remap->ext.node))
			dmr_spare_give(&map->spare, &remap->ext);
		cond_resched();
	}
	dmr_core_resize(core);
}

/*
 * Which blocks of the move are lost becomes final: no write may be on its way to them.
 * Those that were written to both sides meanwhile are not. Return: 0 or -EINTR.
 */
static int dmr_lost_settle(struct dmr_core *core)
{
	struct dmr_move *m = &core->move;
	size_t nr = 0;
	int r;

	spin_lock_irq(&m->lock);
	WRITE_ONCE(m->held, true);
	spin_unlock_irq(&m->lock);
	r = dmr_core_quiesce(core, true);
	if (r)
		return dmr_refuse(core, r, "interrupted; no remap of this move was changed");
	for (size_t i = 0; i < m->nr_lost; i++)
		if (!(m->lost[i] & DMR_REWRITTEN))
			m->lost[nr++] = m->lost[i];
	/* No write of the move is on its way; one of a migration looks, and leaves it at that. */
	WRITE_ONCE(m->nr_lost, nr);
	return 0;
}

/* The end of the run from @from on that is lost, or is not; *@i is the lost block next. */
static u64 dmr_lost_run(const struct dmr_core *core, u64 from, u64 end, size_t *i,
			u8 *flags)
{
	const struct dmr_move *m = &core->move;
	u64 to = from;

	*flags = DMR_ADDING;
	if (*i == m->nr_lost || m->lost[*i] >= end)
		return end;
	if (m->lost[*i] > from)
		return m->lost[*i];
	*flags |= DMR_LOST;
	for (; *i < m->nr_lost && m->lost[*i] == to && to < end; ++*i)
		to += core->block;
	return to;
}

/* Divide a remap, which is in the table, into what is lost of it and what is not. */
static int dmr_lost_divide(struct dmr_core *core, struct dmr_remap *whole, size_t *i,
			   struct dmr_batch *parts)
{
	u64 end = dmr_remap_end(whole);
	struct dmr_remap *part;
	u64 to;
	u8 flags;

	for (u64 from = whole->start; from < end; from = to) {
		to = dmr_lost_run(core, from, end, i, &flags);
		part = dmr_remap_part(whole, from, to);
		if (!part || dmr_batch_push(parts, part)) {
			if (part)
				dmr_remap_free(part);
			return dmr_refuse(core, -ENOMEM, "no memory for the lost sectors");
		}
		part->ext.flags = flags;
	}
	return 0;
}

/* Put the parts in the place of their wholes: in the table, the spare and the batch. */
static void dmr_lost_publish(struct dmr_core *core, struct dmr_batch *batch,
			     struct dmr_batch *parts)
{
	struct dmr_map *map = dmr_map_of(core);
	size_t at = 0;

	for (size_t i = 0; i < parts->nr; i++)
		dmr_map_insert(map, parts->remaps[i]);
	/* Lest a write miss the parts, which came behind it, then the whole, and not wait. */
	synchronize_rcu();
	for (size_t i = 0; i < batch->nr; i++)
		dmr_map_remove(map, batch->remaps[i]);
	synchronize_rcu();
	for (size_t i = 0; i < batch->nr; i++) {
		struct dmr_remap *whole = batch->remaps[i];

		dmr_spare_give(&map->spare, &whole->ext);
		for (; at < parts->nr &&
		     parts->remaps[at]->start < dmr_remap_end(whole); at++)
			dmr_spare_take(&map->spare, &parts->remaps[at]->ext);
		dmr_remap_free(whole);
		cond_resched();
	}
	swap(*batch, *parts);
	dmr_core_resize(core);
}

static int dmr_add_lost(struct dmr_core *core, struct dmr_batch *batch)
{
	struct dmr_batch parts = {};
	size_t i = 0;
	int r;

	if (!core->move.nr_lost)
		return 0;
	r = dmr_lost_settle(core);
	for (size_t n = 0; n < batch->nr && !r; n++) {
		r = dmr_lost_divide(core, batch->remaps[n], &i, &parts);
		cond_resched();
	}
	if (!r)
		dmr_lost_publish(core, batch, &parts);
	else
		for (size_t n = 0; n < parts.nr; n++)
			dmr_remap_free(parts.remaps[n]);
	dmr_batch_exit(&parts);
	return r;
}

static int dmr_add_run(struct dmr_core *core, struct dmr_batch *batch, enum dmr_how how)
{
	bool copies = how == DMR_COPY || how == DMR_SALVAGE;
	int r;

	dmr_move_begin(core, false, batch->remaps[0]->start,
		       dmr_remap_end(batch->remaps[batch->nr - 1]));
	r = dmr_add_take(core, batch);
	if (!r) {
		dmr_add_insert(core, batch,
			       DMR_ADDING | (how == DMR_DEAD ? DMR_LOST : 0));
		/* Not before: a write that came between would be as any other. */
		if (core->taken.nr) {
			synchronize_rcu();
			dmr_holes_take_all(core, &core->taken);
		}
	}
	if (!r && copies)
		r = dmr_move_copy(core, batch, how == DMR_SALVAGE);
	if (!r)
		r = dmr_add_lost(core, batch);
	if (!r)
		r = dmr_move_commit(core, batch);
	if (r) {
		if (batch->nr)
			dmr_add_undo(core, batch);
		return r;
	}

	dmr_batch_flags(dmr_map_of(core), batch, 0, DMR_ADDING);
	for (size_t i = 0; trace_dmr_add_enabled() && i < batch->nr; i++)
		trace_dmr_add(core, batch->remaps[i]->start, batch->remaps[i]->ext.start,
			      batch->remaps[i]->ext.len);
	dmr_core_counted(core);
	dmr_count(core, DMR_STAT_REMAPS_ADDED, batch->nr);
	dmr_move_end(core);
	/* The next move begins with nobody left who looks at this one. */
	dmr_core_quiesce(core, false);
	return 0;
}

/* No flag of the add is seen by anybody any more. */
static void dmr_taken_free(struct dmr_core *core)
{
	dmr_batch_free(&core->taken);
	dmr_batch_exit(&core->taken);
	/* There are none left: who has failed may be reading how many (fault.c). */
	core->taken.remaps = NULL;
	core->taken.room = 0;
	dmr_core_counted(core);
}

int dmr_add(struct dmr_core *core, struct dmr_batch *batch, enum dmr_how how)
{
	int r;

	dmr_batch_sort(batch);
	r = dmr_move_alone(core, batch->remaps[0]->start,
			   dmr_remap_end(batch->remaps[batch->nr - 1]));
	if (!r)
		r = dmr_add_check(core, batch);
	for (size_t i = 0; i < batch->nr && !r; i++)
		if (dmr_holes_copy(core, batch->remaps[i]->start,
				   dmr_remap_end(batch->remaps[i]), &core->taken))
			r = dmr_refuse(core, -ENOMEM, "no memory for the pending sectors");
	if (!r)
		r = dmr_add_run(core, batch, how);
	/* What is in doubt may have to be undone. */
	if (!core->doubt.nr)
		dmr_taken_free(core);
	if (!r)
		dmr_persist_mend(core);
	return r;
}

/*
 *----------------------------------------------------------------
 * Removing
 *----------------------------------------------------------------
 */

/**
 * struct dmr_removal - what a removal takes out and leaves
 * @whole:	the remaps that it touches, in order
 * @left:	what stays of the first, or NULL
 * @right:	what stays of the last, or NULL
 */
struct dmr_removal {
	struct dmr_batch	whole;
	struct dmr_remap	*left;
	struct dmr_remap	*right;
};

static int dmr_removal_prepare(struct dmr_core *core, struct dmr_removal *rm,
			       u64 first, u64 last)
{
	struct dmr_remap *remap;

	for (u64 from = first; from < last; from = dmr_remap_end(remap)) {
		remap = dmr_next(dmr_map_of(core), from);
		if (!remap || remap->start >= last)
			break;
		if (dmr_batch_push(&rm->whole, remap))
			return -ENOMEM;
		if (remap->start < first) {
			rm->left = dmr_remap_part(remap, remap->start, first);
			if (!rm->left)
				return -ENOMEM;
		}
		if (dmr_remap_end(remap) > last) {
			rm->right = dmr_remap_part(remap, last, dmr_remap_end(remap));
			if (!rm->right)
				return -ENOMEM;
		}
		cond_resched();
	}
	return 0;
}

/*
 * Parts first, and readers that have missed them gone, before the whole goes: none
 * may slip through to main between the two.
 */
static void dmr_removal_publish(struct dmr_core *core, const struct dmr_removal *rm)
{
	struct dmr_map *map = dmr_map_of(core);

	if (rm->left)
		dmr_map_insert(map, rm->left);
	if (rm->right)
		dmr_map_insert(map, rm->right);
	if (rm->left || rm->right)
		synchronize_rcu();
	for (size_t i = 0; i < rm->whole.nr; i++) {
		dmr_map_remove(map, rm->whole.remaps[i]);
		cond_resched();
	}
	dmr_core_counted(core);
}

/* Nobody uses the spare sectors any more: they are free. */
static void dmr_removal_free(struct dmr_core *core, const struct dmr_removal *rm,
			     struct dmr_removed *removed)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 free = map->spare.free;

	for (size_t i = 0; i < rm->whole.nr; i++) {
		struct dmr_remap *remap = rm->whole.remaps[i];
		struct dmr_extent *parts[2];
		unsigned int nr = 0;

		if (rm->left && i == 0)
			parts[nr++] = &rm->left->ext;
		if (rm->right && i == rm->whole.nr - 1)
			parts[nr++] = &rm->right->ext;
		trace_dmr_remove(core, remap->start, remap->ext.start, remap->ext.len);
		if (nr)
			dmr_spare_cut(&map->spare, &remap->ext, parts, nr);
		else
			dmr_spare_give(&map->spare, &remap->ext);
		dmr_remap_free(remap);
		cond_resched();
	}
	dmr_count(core, DMR_STAT_REMAPS_REMOVED, rm->whole.nr);
	removed->remaps += rm->whole.nr;
	removed->sectors += map->spare.free - free;
}

/* What is lost cannot be copied back. */
static int dmr_removal_check(struct dmr_core *core, const struct dmr_removal *rm,
			     u64 first, u64 last)
{
	for (size_t i = 0; i < rm->whole.nr; i++) {
		const struct dmr_remap *remap = rm->whole.remaps[i];

		if (remap->ext.flags & DMR_LOST)
			return dmr_refuse(core, -EIO,
					  "main sectors %llu to %llu are lost: write them first, or remove them with nocopy",
					  max(remap->start, first),
					  min(dmr_remap_end(remap), last) - 1);
		cond_resched();
	}
	return 0;
}

static int dmr_removal_run(struct dmr_core *core, struct dmr_removal *rm,
			   u64 first, u64 last, bool nocopy)
{
	int r = 0;

	dmr_move_begin(core, true, first, last);
	/* It leaves for main, and no more for another spare. */
	dmr_batch_flags(dmr_map_of(core), &rm->whole, DMR_REMOVING, DMR_LEAVING);
	if (!nocopy)
		r = dmr_move_copy(core, &rm->whole, false);
	if (!r)
		r = dmr_move_commit(core, &rm->whole);
	if (r && !rm->whole.nr)
		return r;
	if (r)
		dmr_batch_flags(dmr_map_of(core), &rm->whole, 0, DMR_REMOVING);
	else
		dmr_removal_publish(core, rm);
	dmr_move_end(core);

	/* A killed verb need not wait for a disk that it has not written to. */
	if (r && core->move.lo == first)
		synchronize_rcu();
	else
		dmr_core_quiesce(core, false);
	return r;
}

/* It takes remaps whole, those at its edges, too; what they are is seen with nobody there. */
static int dmr_removal_alone(struct dmr_core *core, u64 first, u64 last)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 from, to;
	int r;

	do {
		const struct dmr_remap *left = dmr_mapped(map, first, first + 1);
		const struct dmr_remap *right = dmr_mapped(map, last - 1, last);

		from = left ? left->start : first;
		to = right ? dmr_remap_end(right) : last;
		if (!dmr_claimed(core, from, to))
			return 0;
		r = dmr_move_alone(core, from, to);
	} while (!r);
	return r;
}

int dmr_remove(struct dmr_core *core, u64 first, u64 last, bool nocopy,
	       struct dmr_removed *removed)
{
	struct dmr_removal rm = {};
	int r;

	r = dmr_removal_alone(core, first, last);
	if (r)
		return r;
	r = dmr_removal_prepare(core, &rm, first, last);
	if (r)
		dmr_refuse(core, r, "no memory to remove main sectors %llu to %llu",
			   first, last - 1);
	else if (!nocopy)
		r = dmr_removal_check(core, &rm, first, last);
	if (!r && rm.whole.nr)
		r = dmr_removal_run(core, &rm, first, last, nocopy);

	if (r) {
		if (rm.left)
			dmr_remap_free(rm.left);
		if (rm.right)
			dmr_remap_free(rm.right);
	} else {
		dmr_removal_free(core, &rm, removed);
		dmr_core_resize(core);
		dmr_persist_mend(core);
	}
	dmr_batch_exit(&rm.whole);
	return r;
}

/*
 *----------------------------------------------------------------
 * Doubt
 *----------------------------------------------------------------
 */

void dmr_move_settle(struct dmr_core *core)
{
	struct dmr_batch *batch = &core->doubt;

	if (!batch->nr)
		return;
	if (core->move.removing) {
		dmr_batch_flags(dmr_map_of(core), batch, 0, DMR_REMOVING | DMR_DOUBT);
		dmr_move_end(core);
		dmr_core_quiesce(core, false);
	} else {
		dmr_add_undo(core, batch);
		dmr_batch_free(batch);
	}
	dmr_move_forget(core);
}

void dmr_move_forget(struct dmr_core *core)
{
	dmr_batch_exit(&core->doubt);
	core->doubt = (struct dmr_batch) {};
	kvfree(core->move.lost);
	core->move.lost = NULL;
	dmr_taken_free(core);
}

bool dmr_next_window(struct dmr_core *core, u64 from, u64 *first, u64 *last)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *remap = dmr_next(map, from);
	u64 sectors = 0;

	if (!remap)
		return false;
	*first = remap->start;
	for (unsigned int nr = 0; remap && nr < DMR_WINDOW_RUNS; nr++) {
		sectors += remap->ext.len;
		if (nr && sectors > DMR_WINDOW_SECTORS)
			break;
		*last = dmr_remap_end(remap);
		remap = dmr_next(map, *last);
	}
	return true;
}

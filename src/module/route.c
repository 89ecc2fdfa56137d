// SPDX-License-Identifier: GPL-2.0-only
#include "route.h"
#include "fault.h"
#include "map.h"

#include <linux/bio.h>
#include <linux/device-mapper.h>

/* Parts that make progress without memory; each is soon on its way below. */
#define DMR_MIN_CHILDREN 64

/**
 * struct dmr_child - a part of a bio that the worker sends
 * @core:	the core
 * @parent:	device-mapper's bio
 * @ref:	the part's count of I/O in flight
 * @old:	of a write to both sides: the child for the old side, which keeps
 *		what the two share; else NULL
 * @mirror:	the two sides are two spares
 * @span:	what is written, in move.duals
 * @left:	how many of the two are on their way
 * @bio:	must be last
 */
struct dmr_child {
	struct dmr_core		*core;
	struct bio		*parent;
	struct percpu_ref	*ref;
	struct dmr_child	*old;
	bool			mirror;
	struct dmr_span		span;
	atomic_t		left;
	struct bio		bio;
};

/**
 * struct dmr_probe - a part of a bio that is sent again
 * @dm:		the bio of device-mapper that it is a part of
 * @verified:	a write that is read back by who sends it
 * @done:	it has ended
 * @bio:	must be last
 */
struct dmr_probe {
	struct bio		*dm;
	bool			verified;
	struct completion	done;
	struct bio		bio;
};

/*
 *----------------------------------------------------------------
 * Where to
 *----------------------------------------------------------------
 */

/*
 * The pending sectors that an add has taken and that a bio begins with, or NULL; the run ends
 * with them, or before the next. They stay for as long as a flag of that add can be seen.
 */
static struct dmr_remap *dmr_route_taken(const struct dmr_batch *taken, u64 start,
					 struct dmr_route *route)
{
	struct dmr_remap *next = dmr_batch_at(taken, start);

	if (!next)
		return NULL;
	if (next->start > start) {
		route->end = min(route->end, next->start);
		return NULL;
	}
	route->end = min(route->end, dmr_remap_end(next));
	return next;
}

/* A remap that is being moved: the flags were seen, so the move is set up. */
static void dmr_route_moving(const struct dmr_core *core, u8 flags, enum req_op op,
			     u64 start, struct dmr_route *route)
{
	const struct dmr_move *m = &core->move;
	struct dmr_remap *taken = NULL;
	bool pending = flags & DMR_PENDING;
	u64 lo, hi;

	route->side = flags & DMR_ADDING ? DMR_MAIN : DMR_SPARE;
	if (flags & DMR_ADDING) {
		taken = dmr_route_taken(&core->taken, start, route);
		pending = taken;
	}
	if (!op_is_write(op)) {
		if (taken && time_before64(get_jiffies_64(), READ_ONCE(taken->ext.start)))
			route->side = DMR_FAIL;
		return;
	}
	pending &= op != REQ_OP_DISCARD;
	if (start < m->first || start >= m->last) {
		if (start < m->first)
			route->end = min(route->end, m->first);
		if (pending)
			route->side = DMR_FAIL;
		return;
	}
	route->end = min(route->end, m->last);
	/* lo first: it never passes a hi that was not seen yet. */
	lo = smp_load_acquire(&m->lo);
	/*
	 * Who waits for the commit, or has an error while that is in doubt. And who writes
	 * what reads as anything: it must not be read before it is mapped.
	 */
	if (pending && (lo >= m->last || (taken && dmr_hole_void(taken)))) {
		route->side = DMR_FAIL;
		return;
	}
	if (READ_ONCE(m->held)) {
		route->side = DMR_WAIT;
		return;
	}

	hi = READ_ONCE(m->hi);
	if (start < lo) {
		route->side = flags & DMR_LEAVING ? DMR_MIRROR : DMR_BOTH;
		route->end = min(route->end, lo);
	} else if (start < hi) {
		route->side = DMR_WAIT;
		route->end = min(route->end, hi);
	}
	if (!pending)
		return;
	/* Reading it back takes the medium. */
	if (taken)
		WRITE_ONCE(taken->ext.start, 0);
	route->sent = route->side;
	route->side = DMR_VERIFY;
}

/*
 * What a migration has copied is written to both spares. Its flag was seen, so the other
 * map stays until this bio is counted no more.
 */
static void dmr_route_mirror(const struct dmr_core *core, enum req_op op, u64 start,
			     struct dmr_route *route)
{
	const struct dmr_map *next = rcu_dereference(core->next);
	struct dmr_run run;

	/* The two need not agree on what was discarded. */
	if (op == REQ_OP_DISCARD) {
		route->side = DMR_NONE;
		return;
	}
	dmr_table_lookup(&next->table, start, route->end, &run);
	route->end = run.end;
	/* The flag went meanwhile: it is copied again, when this has been drained. */
	if (!run.remap) {
		route->side = DMR_SPARE;
		return;
	}
	route->next = next->bdev;
	route->next_sector = run.remap->ext.start + (start - run.remap->start);
}

/*
 * A spare that cannot discard does not take discard from main. What was discarded
 * reads as anything, so that the sides of a move may differ there.
 */
static void dmr_route_discard(struct dmr_route *route)
{
	if (route->side == DMR_SPARE)
		route->side = DMR_NONE;
	else if (route->side == DMR_BOTH)
		route->side = DMR_MAIN;
}

/*
 * What could not be read, or was not: reads of lost sectors have no answer, and writes
 * need more than to be sent. A discard changes nothing of that.
 */
static void dmr_route_medium(const struct dmr_remap *remap, enum req_op op, u8 flags,
			     struct dmr_route *route)
{
	if (flags & DMR_HOLE)
		route->side = DMR_MAIN;
	if (op == REQ_OP_DISCARD)
		route->side = flags & DMR_LOST ? DMR_NONE : route->side;
	else if (op_is_write(op) || flags & DMR_LOST)
		route->side = DMR_FAIL;
	else if (flags & DMR_HOLE &&
		 time_before64(get_jiffies_64(), READ_ONCE(remap->ext.start)))
		route->side = DMR_FAIL;
}

void dmr_route_rare(const struct dmr_map *map, enum req_op op,
		    const struct dmr_remap *remap, u8 flags, u64 start,
		    struct dmr_route *route)
{
	bool write = op_is_write(op);

	if (flags & DMR_DOUBT && write) {
		route->side = op == REQ_OP_DISCARD ? DMR_NONE : DMR_FAIL;
		return;
	}
	if (flags & DMR_ADDING || (flags & DMR_REMOVING && !(flags & DMR_LOST)))
		dmr_route_moving(map->core, flags, op, start, route);
	else if (flags & (DMR_LOST | DMR_PENDING))
		dmr_route_medium(remap, op, flags, route);
	else if (flags & DMR_HOLE)
		route->side = DMR_MAIN;
	else if (flags & DMR_LEAVING && write)
		route->side = READ_ONCE(map->core->next_held) ? DMR_WAIT : DMR_MIRROR;
	if (route->side == DMR_MIRROR)
		dmr_route_mirror(map->core, op, start, route);
	if (op == REQ_OP_DISCARD && !bdev_max_discard_sectors(map->bdev))
		dmr_route_discard(route);
}

/*
 *----------------------------------------------------------------
 * Sending again
 *----------------------------------------------------------------
 */

void dmr_resend(struct dmr_core *core, struct bio *bio)
{
	unsigned long flags;

	/* Its parts are other bios, which nobody would poll for. */
	bio->bi_opf &= ~REQ_POLLED;

	spin_lock_irqsave(&core->ready_lock, flags);
	bio_list_add(&core->ready, bio);
	spin_unlock_irqrestore(&core->ready_lock, flags);
	queue_work(core->wq, &core->resend);
}

void dmr_resend_waiting(struct dmr_core *core)
{
	struct bio_list bios;
	unsigned long flags;

	spin_lock_irqsave(&core->move.lock, flags);
	bios = core->move.waiting;
	bio_list_init(&core->move.waiting);
	spin_unlock_irqrestore(&core->move.lock, flags);

	if (bio_list_empty(&bios))
		return;
	spin_lock_irqsave(&core->ready_lock, flags);
	bio_list_merge(&core->ready, &bios);
	spin_unlock_irqrestore(&core->ready_lock, flags);
	queue_work(core->wq, &core->resend);
}

static void dmr_probe_end(struct bio *bio)
{
	complete(&container_of(bio, struct dmr_probe, bio)->done);
}

/* What device-mapper accounts for is its own bio. */
static struct bio *dmr_dm_bio(struct bio *parent)
{
	if (parent->bi_end_io != dmr_probe_end)
		return parent;
	return container_of(parent, struct dmr_probe, bio)->dm;
}

/* Does who has sent it read it back? */
static bool dmr_is_verified(struct bio *bio)
{
	return bio->bi_end_io == dmr_probe_end &&
	       container_of(bio, struct dmr_probe, bio)->verified;
}

/* Let a write wait for its window, unless that has moved on meanwhile. */
static bool dmr_wait_for_window(struct dmr_core *core, struct bio *bio)
{
	struct dmr_move *m = &core->move;
	u64 start = bio->bi_iter.bi_sector;
	bool waits;

	spin_lock_irq(&m->lock);
	waits = core->next_held || (m->active && ((start >= m->lo && start < m->hi) ||
			      (m->held && start >= m->first && start < m->last)));
	if (waits)
		bio_list_add(&m->waiting, bio);
	spin_unlock_irq(&m->lock);

	if (waits)
		dmr_count(core, DMR_STAT_DEFERRED, 1);
	return waits;
}

static void dmr_parent_error(struct bio *parent, blk_status_t status)
{
	/* As bio_chain does it: one of the errors, it does not matter which. */
	if (status && !READ_ONCE(parent->bi_status))
		WRITE_ONCE(parent->bi_status, status);
}

static void dmr_child_end(struct bio *bio)
{
	struct dmr_child *child = container_of(bio, struct dmr_child, bio);
	struct bio *parent = child->parent;

	dmr_parent_error(parent, bio->bi_status);
	dmr_core_leave(child->ref);
	bio_put(bio);
	/* The core may go with the parent. */
	bio_endio(parent);
}

/*
 * Blocks of a move that could not be read were written, by a bio to both sides: there
 * is data on the spare now. Called with the move's lock.
 */
static void dmr_rewritten(struct dmr_move *m, u64 start, u64 end)
{
	size_t lo = 0, hi = m->nr_lost;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((m->lost[mid] & ~DMR_REWRITTEN) < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < m->nr_lost && (m->lost[lo] & ~DMR_REWRITTEN) < end; lo++)
		m->lost[lo] |= DMR_REWRITTEN;
}

/* No fault of the medium: whoever asked will write zeroes instead, to both sides. */
static bool dmr_cannot_zero(const struct bio *bio)
{
	return bio_op(bio) == REQ_OP_WRITE_ZEROES &&
	       (bio->bi_status == BLK_STS_NOTSUPP ||
		bio->bi_status == BLK_STS_TARGET);
}

static void dmr_dual_end(struct bio *bio)
{
	struct dmr_child *child = container_of(bio, struct dmr_child, bio);
	struct dmr_child *old = child->old;
	struct dmr_core *core = child->core;
	struct dmr_move *m = &core->move;
	struct bio *parent = old->parent;
	bool last, ours = child == old;
	unsigned long flags;

	spin_lock_irqsave(&m->lock, flags);
	/*
	 * Before the commit the old side alone counts, and a new side that does not
	 * take its writes must not become the only one. After it both do.
	 */
	if (ours || (m->committed && !old->mirror) || dmr_cannot_zero(bio))
		dmr_parent_error(parent, bio->bi_status);
	else if (bio->bi_status && old->mirror)
		WRITE_ONCE(core->next_error, bio->bi_status);
	else if (bio->bi_status && bio_op(bio) != REQ_OP_DISCARD)
		m->error = bio->bi_status;
	else if (READ_ONCE(m->nr_lost) && !old->mirror && !bio->bi_status &&
		 bio_op(bio) != REQ_OP_DISCARD)
		dmr_rewritten(m, old->span.from, old->span.to);
	last = atomic_dec_and_test(&old->left);
	if (last)
		list_del(&old->span.node);
	spin_unlock_irqrestore(&m->lock, flags);

	if (!ours)
		bio_put(bio);
	if (!last)
		return;
	dmr_resend_waiting(core);
	dmr_core_leave(old->ref);
	bio_put(&old->bio);
	bio_endio(parent);
}

/* The first @sectors of what is left of @parent, for a device. */
static struct dmr_child *dmr_child_alloc(struct dmr_core *core, struct bio *parent,
					 unsigned int sectors,
					 struct block_device *bdev, u64 sector)
{
	struct bio *bio = bio_alloc_clone(bdev, parent, GFP_NOIO, &core->bios);
	struct dmr_child *child = container_of(bio, struct dmr_child, bio);

	bio_trim(bio, 0, sectors);
	bio->bi_iter.bi_sector = sector;
	child->core = core;
	child->parent = parent;
	child->old = NULL;
	return child;
}

static void dmr_send_part(struct dmr_core *core, struct bio *parent,
			  struct percpu_ref *ref, const struct dmr_map *map,
			  const struct dmr_route *route)
{
	u64 start = parent->bi_iter.bi_sector;
	unsigned int sectors = route->end - start;
	bool main = route->side == DMR_MAIN;
	struct dmr_child *child;

	child = dmr_child_alloc(core, parent, sectors,
				main ? core->main : map->bdev,
				main ? start : route->spare);
	child->ref = ref;
	child->bio.bi_end_io = dmr_child_end;
	bio_inc_remaining(parent);
	bio_advance(parent, sectors << SECTOR_SHIFT);
	dm_submit_bio_remap(dmr_dm_bio(parent), &child->bio);
}

/* Put a write to both sides on the list, unless one that it overlaps is there. */
static bool dmr_dual_start(struct dmr_core *core, struct dmr_child *dual,
			   struct bio *parent)
{
	struct dmr_move *m = &core->move;
	bool alone;

	spin_lock_irq(&m->lock);
	alone = !dmr_spans_meet(&m->duals, dual->span.from, dual->span.to);
	if (alone)
		list_add_tail(&dual->span.node, &m->duals);
	else
		bio_list_add(&m->waiting, parent);
	spin_unlock_irq(&m->lock);
	return alone;
}

static bool dmr_send_both(struct dmr_core *core, struct bio *parent,
			  struct percpu_ref *ref, const struct dmr_map *map,
			  const struct dmr_route *route)
{
	bool mirror = route->side == DMR_MIRROR;
	u64 start = parent->bi_iter.bi_sector;
	unsigned int sectors = route->end - start;
	struct dmr_child *other, *spare, *old;

	other = dmr_child_alloc(core, parent, sectors, mirror ? route->next : core->main,
				mirror ? route->next_sector : start);
	spare = dmr_child_alloc(core, parent, sectors, map->bdev, route->spare);
	old = mirror || core->move.removing ? spare : other;
	other->old = old;
	spare->old = old;
	other->bio.bi_end_io = dmr_dual_end;
	spare->bio.bi_end_io = dmr_dual_end;
	old->mirror = mirror;
	old->ref = ref;
	old->span.from = start;
	old->span.to = route->end;
	atomic_set(&old->left, 2);

	if (!dmr_dual_start(core, old, parent)) {
		bio_put(&other->bio);
		bio_put(&spare->bio);
		dmr_core_leave(ref);
		return false;
	}

	dmr_count(core, DMR_STAT_WRITTEN_TWICE, 1);
	bio_inc_remaining(parent);
	bio_advance(parent, sectors << SECTOR_SHIFT);
	dm_submit_bio_remap(dmr_dm_bio(parent), &other->bio);
	dm_submit_bio_remap(dmr_dm_bio(parent), &spare->bio);
	return true;
}

/*
 * Some of a bio is not sent as it is: if it is a write, fault.h has to see to all of it,
 * whatever becomes of it. Return: what it ends with.
 */
static blk_status_t dmr_send_care(struct bio *parent)
{
	struct dmr_bio *b;

	if (!op_is_write(bio_op(parent)))
		return BLK_STS_MEDIUM;
	if (parent->bi_end_io == dmr_probe_end)
		return DMR_UNSENT;
	b = dm_per_bio_data(parent, sizeof(*b));
	b->fault.state = DMR_FAULT_CARE;
	return BLK_STS_MEDIUM;
}

/*
 * Send a bio part by part. The parent itself never goes below: it ends when its
 * parts have ended and this function has let go of it, or has put what is left of
 * it where it waits.
 */
static void dmr_send(struct dmr_core *core, struct bio *parent)
{
	const struct dmr_map *map;
	struct dmr_route route;
	struct percpu_ref *ref;

	while (parent->bi_iter.bi_size) {
		rcu_read_lock();
		ref = dmr_core_enter(core);
		/* It stays as long as this is counted. */
		map = dmr_map_of(core);
		dmr_route(map, bio_op(parent), parent->bi_iter.bi_sector,
			  bio_end_sector(parent), &route);
		rcu_read_unlock();

		/* In the window who reads it back waits as well, with no worker held. */
		if (route.side == DMR_VERIFY &&
		    (route.sent == DMR_WAIT || dmr_is_verified(parent)))
			route.side = route.sent;
		switch (route.side) {
		case DMR_WAIT:
			dmr_core_leave(ref);
			if (dmr_wait_for_window(core, parent))
				return;
			break;
		case DMR_BOTH:
		case DMR_MIRROR:
			if (!dmr_send_both(core, parent, ref, map, &route))
				return;
			break;
		case DMR_VERIFY:
		case DMR_FAIL:
			dmr_parent_error(parent, dmr_send_care(parent));
			fallthrough;
		case DMR_NONE:
			dmr_core_leave(ref);
			bio_advance(parent, (route.end - parent->bi_iter.bi_sector)
				    << SECTOR_SHIFT);
			break;
		default:
			dmr_send_part(core, parent, ref, map, &route);
		}
	}
	bio_endio(parent);
}

static void dmr_resend_work(struct work_struct *work)
{
	struct dmr_core *core = container_of(work, struct dmr_core, resend);
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&core->ready_lock);
	bios = core->ready;
	bio_list_init(&core->ready);
	spin_unlock_irq(&core->ready_lock);

	while ((bio = bio_list_pop(&bios)))
		dmr_send(core, bio);
}

static struct dmr_probe *dmr_probe_alloc(struct dmr_core *core, struct bio *bio,
					 struct block_device *bdev, u64 from, u64 to)
{
	struct bio *part = bio_alloc_clone(bdev, bio, GFP_NOIO, &core->probes);
	struct dmr_probe *probe = container_of(part, struct dmr_probe, bio);

	bio_trim(part, from - bio->bi_iter.bi_sector, to - from);
	/* We may wait, and are not polled. */
	part->bi_opf &= ~(REQ_NOWAIT | REQ_POLLED);
	part->bi_end_io = dmr_probe_end;
	probe->dm = bio;
	probe->verified = false;
	init_completion(&probe->done);
	return probe;
}

static blk_status_t dmr_probe_wait(struct dmr_probe *probe)
{
	blk_status_t status;

	wait_for_completion_io(&probe->done);
	status = probe->bio.bi_status;
	bio_put(&probe->bio);
	return status;
}

blk_status_t dmr_probe(struct dmr_core *core, struct bio *bio, u64 from, u64 to)
{
	struct dmr_probe *probe = dmr_probe_alloc(core, bio, bio->bi_bdev, from, to);

	dmr_resend(core, &probe->bio);
	return dmr_probe_wait(probe);
}

blk_status_t dmr_write_own(struct dmr_core *core, struct bio *bio, u64 from, void *data,
			   unsigned int bytes)
{
	struct dmr_probe *probe;
	blk_status_t status;
	struct bio_vec vec;
	struct bio own;

	bio_init(&own, bio->bi_bdev, &vec, 1, REQ_OP_WRITE | REQ_SYNC | REQ_FUA);
	bio_clone_blkg_association(&own, bio);
	own.bi_ioprio = bio->bi_ioprio;
	own.bi_iter.bi_sector = from;
	__bio_add_page(&own, virt_to_page(data), bytes, offset_in_page(data));
	/* What is sent has a count of its parts, and room of its own in each. */
	probe = dmr_probe_alloc(core, &own, bio->bi_bdev, from, bio_end_sector(&own));
	probe->dm = bio;
	probe->verified = true;
	dmr_resend(core, &probe->bio);
	status = dmr_probe_wait(probe);
	bio_uninit(&own);
	return status;
}

u64 dmr_read_run(struct dmr_core *core, u64 from, u64 to, struct bio *bio,
		 blk_status_t *status)
{
	const struct dmr_map *map;
	struct percpu_ref *ref;
	struct dmr_route route;

	rcu_read_lock();
	ref = dmr_core_enter(core);
	map = dmr_map_of(core);
	dmr_route(map, REQ_OP_READ, from, to, &route);
	rcu_read_unlock();

	*status = BLK_STS_AGAIN;
	if (route.side <= DMR_SPARE) {
		bool main = route.side == DMR_MAIN;

		bio_set_dev(bio, main ? core->main : map->bdev);
		bio->bi_iter.bi_sector = main ? from : route.spare;
		bio->bi_iter.bi_size = (route.end - from) << SECTOR_SHIFT;
		*status = errno_to_blk_status(submit_bio_wait(bio));
	}
	dmr_core_leave(ref);
	return route.end;
}

blk_status_t dmr_part_io(struct dmr_core *core, struct bio *bio, u64 from, u64 to,
			 struct block_device *bdev, u64 sector, blk_opf_t opf)
{
	struct dmr_probe *probe = dmr_probe_alloc(core, bio, bdev, from, to);

	probe->bio.bi_iter.bi_sector = sector;
	probe->bio.bi_opf |= opf;
	dm_submit_bio_remap(bio, &probe->bio);
	return dmr_probe_wait(probe);
}

int dmr_route_init(struct dmr_core *core)
{
	int r;

	spin_lock_init(&core->move.lock);
	bio_list_init(&core->move.waiting);
	INIT_LIST_HEAD(&core->move.duals);
	spin_lock_init(&core->ready_lock);
	bio_list_init(&core->ready);
	INIT_WORK(&core->resend, dmr_resend_work);

	r = bioset_init(&core->bios, DMR_MIN_CHILDREN,
			offsetof(struct dmr_child, bio), 0);
	if (r)
		return r;

	r = bioset_init(&core->probes, DMR_MIN_CHILDREN,
			offsetof(struct dmr_probe, bio), 0);
	if (r)
		goto bad_probes;

	core->wq = alloc_workqueue("dm-remap-v4", WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	if (!core->wq)
		goto bad_wq;
	return 0;

bad_wq:
	bioset_exit(&core->probes);
bad_probes:
	bioset_exit(&core->bios);
	return -ENOMEM;
}

void dmr_route_exit(struct dmr_core *core)
{
	destroy_workqueue(core->wq);
	bioset_exit(&core->probes);
	bioset_exit(&core->bios);
}

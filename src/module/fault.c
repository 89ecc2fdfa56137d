// SPDX-License-Identifier: GPL-2.0-only
#include "fault.h"
#include "repair.h"
#include "route.h"
#include "trace.h"
#include "verify.h"

#include <linux/bio.h>
#include <linux/jiffies.h>
#include <linux/sched/mm.h>

/* So many blocks that fail without a success between: is main there at all? */
#define DMR_MAX_STREAK 64

/**
 * struct dmr_narrow - a failed bio, on its way through its blocks
 * @core:	the core
 * @bio:	the bio, as it was in map
 * @at:		the main sector to go on with
 * @end:	first behind the last
 * @step:	sectors to try next
 * @bad:	blocks before @at, from here on, have failed and are not yet seen to
 * @error:	what the last of them failed with
 * @result:	what the caller gets
 * @deadline:	what is not reached by then has its error
 * @tried:	where the blocks from @bad on were sent
 * @moves:	... in a move: whose end they wait for, however long that takes
 * @failed:	something else of it has failed; else it was never sent
 * @told:	so has been told where
 */
struct dmr_narrow {
	struct dmr_core	*core;
	struct bio	*bio;
	u64		at;
	u64		end;
	u64		step;
	u64		bad;
	blk_status_t	error;
	blk_status_t	result;
	unsigned long	deadline;
	struct dmr_tried tried;
	bool		moves;
	bool		failed;
	bool		told;
};

static bool dmr_fault_over(const struct dmr_narrow *n)
{
	return time_after(jiffies, n->deadline) ||
	       READ_ONCE(n->core->auto_) == DMR_AUTO_TRIPPED;
}

/* How is the run from n->at on served, and where? */
static enum dmr_side dmr_narrow_route(const struct dmr_narrow *n, u64 *end,
				      struct dmr_tried *where)
{
	const struct dmr_map *map;
	struct dmr_route route;

	*where = (struct dmr_tried) { .from = n->at, .sector = n->at };
	rcu_read_lock();
	map = dmr_map_of(n->core);
	dmr_route(map, bio_op(n->bio), n->at, n->end, &route);
	if (route.side == DMR_MAIN) {
		where->bdev = n->core->main;
	} else if (route.side == DMR_SPARE) {
		where->bdev = map->bdev;
		where->sector = route.spare;
	}
	rcu_read_unlock();
	*end = route.end;
	return route.side;
}

/* What lies from n->at to @to has failed. */
static void dmr_narrow_saw(struct dmr_narrow *n, u64 to, blk_status_t status)
{
	struct dmr_error error = {
		.sector = n->at,
		.len = to - n->at,
		.opf = n->bio->bi_opf & REQ_OP_MASK,
		.status = status,
	};

	dmr_error_saw(n->core, &error);
	n->told = true;
}

/* A block has failed by itself. */
static void dmr_narrow_failed(struct dmr_narrow *n, blk_status_t status)
{
	dmr_narrow_saw(n, n->at + n->core->block, status);
	if (atomic_inc_return(&n->core->streak) >= DMR_MAX_STREAK)
		dmr_repair_streak(n->core);
}

/* No part of the rest has its own error. */
static void dmr_narrow_end(struct dmr_narrow *n)
{
	n->result = n->error;
	dmr_narrow_saw(n, n->end, n->error);
}

/* More at a time again, as long as it goes well. */
static void dmr_narrow_good(struct dmr_narrow *n, u64 to)
{
	if (atomic_read(&n->core->streak))
		atomic_set(&n->core->streak, 0);
	n->step = 2 * (to - n->at);
	n->at = to;
	n->bad = to;
}

/*
 *----------------------------------------------------------------
 * Writes
 *----------------------------------------------------------------
 */

/* Find a place for the blocks that have failed. */
static void dmr_write_mend(struct dmr_narrow *n)
{
	blk_status_t status;

	if (n->bad == n->at)
		return;
	status = dmr_fault_over(n) && !n->moves ? n->error :
		 dmr_repair_write(n->core, n->bio, n->bad, n->at, n->error, &n->tried);
	if (status)
		n->result = status;
	n->bad = n->at;
	/* That was no time of the medium's. */
	if (n->moves)
		n->deadline = jiffies + READ_ONCE(n->core->budget) * HZ;
	n->moves = false;
}

/* What has failed is seen to before blocks that are served from elsewhere. */
static void dmr_write_tried(struct dmr_narrow *n, const struct dmr_tried *where)
{
	const struct dmr_tried *tried = &n->tried;

	if (n->bad < n->at &&
	    (where->bdev != tried->bdev ||
	     where->sector != tried->sector + (n->at - tried->from)))
		dmr_write_mend(n);
	if (n->bad == n->at)
		n->tried = *where;
}

/* Send some blocks again; those that fail alone are bad. */
static void dmr_write_try(struct dmr_narrow *n, u64 end, const struct dmr_tried *where,
			  bool moves)
{
	bool verify = moves || dmr_verify_wants(n->core, bio_op(n->bio));
	u64 to = min3(n->at + n->step, end, n->end);
	blk_status_t status;

	dmr_write_tried(n, where);
	if (verify)
		to = min_t(u64, to, n->at + DMR_VERIFY_SECTORS);
	status = (verify ? dmr_verify_write : dmr_probe)(n->core, n->bio, n->at, to);
	/* Another look tells how it is served now. */
	if (status == DMR_UNSENT)
		return;
	n->failed |= status && !moves;
	if (!status) {
		dmr_write_mend(n);
		dmr_narrow_good(n, to);
	} else if (!dmr_medium_error(status)) {
		dmr_write_mend(n);
		dmr_narrow_saw(n, to, status);
		n->result = status;
		n->at = to;
		n->bad = to;
	} else if (to - n->at > n->core->block) {
		n->step = round_up((to - n->at) / 2, n->core->block);
	} else {
		dmr_narrow_failed(n, status);
		n->error = status;
		n->moves |= moves;
		n->at = to;
	}
}

/* Only what was not sent needs us, if remapping is by hand. */
static bool dmr_write_wanted(struct dmr_narrow *n)
{
	u64 at = n->at, end;
	struct dmr_tried where;
	bool wanted = false;
	enum dmr_side side;

	if (!n->failed || READ_ONCE(n->core->auto_) == DMR_AUTO_ON)
		return true;
	for (; n->at < n->end && !wanted; n->at = end) {
		side = dmr_narrow_route(n, &end, &where);
		wanted = side == DMR_FAIL || side == DMR_VERIFY;
	}
	n->at = at;
	return wanted;
}

static void dmr_write_narrow(struct dmr_narrow *n)
{
	struct dmr_tried where;
	enum dmr_side side;
	u64 end;

	if (!dmr_write_wanted(n)) {
		dmr_narrow_end(n);
		return;
	}
	while (n->at < n->end) {
		side = dmr_narrow_route(n, &end, &where);
		if (side != DMR_FAIL && side != DMR_VERIFY && n->failed && dmr_fault_over(n)) {
			dmr_narrow_end(n);
			return;
		}
		if (side != DMR_FAIL) {
			dmr_write_try(n, end, &where, side == DMR_VERIFY);
			continue;
		}
		dmr_write_mend(n);
		n->error = BLK_STS_IOERR;
		n->result = dmr_repair_write(n->core, n->bio, n->at, end, n->error, NULL) ?:
			    n->result;
		n->at = end;
		n->bad = end;
	}
	dmr_write_mend(n);
}

/*
 *----------------------------------------------------------------
 * Reads
 *----------------------------------------------------------------
 */

/*
 * A block that has failed alone, and fails again, is pending; one that comes back is
 * weak. @alone: it has failed so before.
 */
static void dmr_read_block(struct dmr_narrow *n, u64 to, bool alone)
{
	blk_status_t status = dmr_probe(n->core, n->bio, n->at, to);

	if (status && dmr_medium_error(status) && !alone) {
		alone = true;
		status = dmr_probe(n->core, n->bio, n->at, to);
	}
	if (!status) {
		if (alone) {
			dmr_narrow_saw(n, to, n->error);
			dmr_count(n->core, DMR_STAT_WEAK, to - n->at);
			dmr_repair_note(n->core, n->at, to, true);
		}
		dmr_narrow_good(n, to);
		return;
	}
	n->result = status;
	if (dmr_medium_error(status)) {
		dmr_narrow_failed(n, status);
		dmr_repair_note(n->core, n->at, to, false);
	} else {
		dmr_narrow_saw(n, to, status);
	}
	n->at = to;
}

static void dmr_read_try(struct dmr_narrow *n, u64 to, bool alone)
{
	blk_status_t status;

	if (to - n->at <= n->core->block) {
		dmr_read_block(n, to, alone);
		return;
	}
	status = dmr_probe(n->core, n->bio, n->at, to);
	if (!status) {
		dmr_narrow_good(n, to);
	} else if (dmr_medium_error(status)) {
		n->step = round_up((to - n->at) / 2, n->core->block);
	} else {
		dmr_narrow_saw(n, to, status);
		n->result = status;
		n->at = to;
	}
}

static void dmr_read_narrow(struct dmr_narrow *n)
{
	bool alone = n->end - n->at <= n->core->block;
	struct dmr_tried where;
	u64 end;

	while (n->at < n->end) {
		if (dmr_fault_over(n)) {
			dmr_narrow_end(n);
			break;
		}
		if (dmr_narrow_route(n, &end, &where) == DMR_FAIL) {
			n->result = BLK_STS_MEDIUM;
			n->at = end;
			continue;
		}
		dmr_read_try(n, min3(n->at + n->step, end, n->end), alone);
	}
}

/*
 *----------------------------------------------------------------
 * Taking over
 *----------------------------------------------------------------
 */

/* A bio has failed as a whole. */
static void dmr_fault_saw(struct dmr_core *core, struct bio *bio,
			  const struct dmr_fault *f, blk_status_t status)
{
	struct dmr_error error = {
		.sector = f->iter.bi_sector,
		.len = f->iter.bi_size >> SECTOR_SHIFT,
		.opf = bio->bi_opf & (REQ_OP_MASK | REQ_PREFLUSH),
		.status = status,
	};

	/* A flush is one for each device. */
	if (!error.len)
		error.spare = dm_bio_get_target_bio_nr(bio);
	dmr_error_saw(core, &error);
}

static void dmr_fault_work(struct work_struct *work)
{
	struct dmr_fault *f = container_of(work, struct dmr_fault, work);
	struct dmr_bio *b = container_of(f, struct dmr_bio, fault);
	struct bio *bio = dm_bio_from_per_bio_data(b, sizeof(*b));
	unsigned int noio = memalloc_noio_save();
	struct dmr_narrow n = {
		.core = f->core,
		.bio = bio,
		.at = f->iter.bi_sector,
		.end = f->iter.bi_sector + (f->iter.bi_size >> SECTOR_SHIFT),
		.bad = f->iter.bi_sector,
		.error = f->status,
		.failed = f->state != DMR_FAULT_CARE,
		.deadline = jiffies + READ_ONCE(f->core->budget) * HZ,
	};

	bio->bi_iter = f->iter;
	bio->bi_status = BLK_STS_OK;
	/* Its parts are sectors of a partition once more, not yet of the disk. */
	bio_clear_flag(bio, BIO_REMAPPED);
	n.step = n.end - n.at;
	if (n.failed)
		n.step = round_up((n.step + 1) / 2, n.core->block);
	if (op_is_write(bio_op(bio)))
		dmr_write_narrow(&n);
	else
		dmr_read_narrow(&n);
	memalloc_noio_restore(noio);

	/* It came back whole, or in halves. */
	if (n.failed && !n.told)
		dmr_fault_saw(n.core, bio, f, f->status);
	if (!n.result && n.failed)
		dmr_count(n.core, DMR_STAT_SAVED, 1);
	f->state = DMR_FAULT_DONE;
	/* The core may go with the bio. */
	bio->bi_status = n.result;
	bio_endio(bio);
}

/* Is the error one that something can be done about? */
static bool dmr_fault_wants(const struct dmr_core *core, const struct bio *bio,
			    const struct dmr_fault *f, blk_status_t status)
{
	const struct dmr_map *map;
	bool writes;

	if (f->state != DMR_FAULT_NONE || !dmr_medium_error(status) || !f->iter.bi_size)
		return f->state == DMR_FAULT_CARE;
	if (bio->bi_opf & (REQ_RAHEAD | REQ_FAILFAST_MASK))
		return false;

	writes = bio_op(bio) == REQ_OP_WRITE || bio_op(bio) == REQ_OP_WRITE_ZEROES;
	if (!writes && bio_op(bio) != REQ_OP_READ)
		return false;
	if (READ_ONCE(core->auto_) == DMR_AUTO_ON)
		return !READ_ONCE(core->readonly) || !writes;
	/* By hand, or too late: but what is lost can be written still. */
	rcu_read_lock();
	map = dmr_map_of(core);
	writes = writes && (READ_ONCE(map->lost) || READ_ONCE(map->pending) ||
			    READ_ONCE(core->taken.nr));
	rcu_read_unlock();
	return writes;
}

bool dmr_fault_take(struct dmr_core *core, struct bio *bio, blk_status_t status)
{
	struct dmr_bio *b = dm_per_bio_data(bio, sizeof(*b));
	struct dmr_fault *f = &b->fault;

	if (!dmr_fault_wants(core, bio, f, status))
		return false;
	if (f->state == DMR_FAULT_NONE)
		trace_dmr_error(core, f->iter.bi_sector, f->iter.bi_size >> SECTOR_SHIFT,
				op_is_write(bio_op(bio)), blk_status_to_errno(status));
	f->status = status;
	f->core = core;
	INIT_WORK(&f->work, dmr_fault_work);
	queue_work(core->mender, &f->work);
	return true;
}

void dmr_fault_tell(struct dmr_core *core, struct bio *bio, blk_status_t status)
{
	struct dmr_bio *b = dm_per_bio_data(bio, sizeof(*b));

	if (status == BLK_STS_AGAIN || status == BLK_STS_NOTSUPP ||
	    bio->bi_opf & (REQ_RAHEAD | REQ_FAILFAST_MASK))
		return;
	dmr_error_ends(core, bio->bi_opf);
	/* Else its blocks were told, or it was never sent. */
	if (b->fault.state == DMR_FAULT_NONE)
		dmr_fault_saw(core, bio, &b->fault, status);
}

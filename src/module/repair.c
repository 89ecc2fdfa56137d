// SPDX-License-Identifier: GPL-2.0-only
#include "repair.h"
#include "map.h"
#include "persist.h"
#include "relocate.h"
#include "route.h"
#include "trace.h"
#include "verify.h"

#include <linux/bio.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

/* Sectors of main that are read to see whether it is still there. */
#define DMR_ALIVE_READS		4

/* Pages of a bio that zeroes. */
#define DMR_ZERO_PAGES		16

/* Spare blocks that one part of a write may find bad before it gives up. */
#define DMR_MAX_ASIDE		64

/**
 * struct dmr_repair - a part of a write that needs a place
 * @core:	the core
 * @bio:	the write
 * @from:	first main sector
 * @to:		first behind the last; what is done at a time may be less
 * @whole:	the entry of the table that covers @from, or NULL
 * @split:	how it is divided
 */
struct dmr_repair {
	struct dmr_core		*core;
	struct bio		*bio;
	u64			from;
	u64			to;
	struct dmr_remap	*whole;
	struct dmr_split	split;
};

bool dmr_medium_error(blk_status_t status)
{
	return status == BLK_STS_MEDIUM || status == BLK_STS_IOERR ||
	       status == BLK_STS_PROTECTION;
}

/*
 *----------------------------------------------------------------
 * Objects that are there when memory is not
 *----------------------------------------------------------------
 */

static void dmr_refill_work(struct work_struct *work)
{
	struct dmr_core *core = container_of(work, struct dmr_core, refill);
	struct dmr_remap *remap;
	bool more = true;

	/* No lock is held while it allocates, so that it may wait for our own I/O. */
	while (more && (remap = dmr_remap_alloc())) {
		dmr_change_lock(core);
		more = core->nr_reserve < DMR_RESERVE;
		if (more) {
			core->reserve[core->nr_reserve++] = remap;
			remap = NULL;
		}
		mutex_unlock(&core->change);
		if (remap)
			dmr_remap_free(remap);
	}
}

/*
 *----------------------------------------------------------------
 * Is main still there?
 *----------------------------------------------------------------
 */

static int dmr_sync_io(struct block_device *bdev, blk_opf_t opf, u64 sector, void *data,
		       unsigned int sectors)
{
	struct bio_vec vec;
	struct bio bio;
	int r;

	bio_init(&bio, bdev, &vec, 1, opf | REQ_SYNC);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, virt_to_page(data), sectors << SECTOR_SHIFT,
		       offset_in_page(data));
	r = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return r;
}

static int dmr_read_sync(struct dmr_core *core, struct block_device *bdev, u64 sector,
			 unsigned int sectors)
{
	return dmr_sync_io(bdev, REQ_OP_READ, sector, core->check, sectors);
}

static bool dmr_main_alive(struct dmr_core *core)
{
	unsigned int tried = 0;

	for (unsigned int i = 0; i < DMR_ALIVE_READS; i++) {
		u64 at = round_down(core->len / (2 * DMR_ALIVE_READS) * (2 * i + 1),
				    core->block);
		struct dmr_run run;

		/* One that worked before: not one that was remapped, or is pending. */
		rcu_read_lock();
		dmr_table_lookup(&dmr_map_of(core)->table, at, at + core->block, &run);
		rcu_read_unlock();
		if (run.remap)
			continue;
		tried++;
		if (!dmr_read_sync(core, core->main, at, core->block))
			return true;
	}
	return !tried;
}

static void dmr_trip(struct dmr_core *core)
{
	if (core->auto_ != DMR_AUTO_ON)
		return;
	WRITE_ONCE(core->auto_, DMR_AUTO_TRIPPED);
	DMERR("%s: main seems to fail as a whole: automatic remapping ends until 'set auto on'",
	      dm_device_name(core->md));
}

/* May so many sectors of the spare be spent on main? */
static bool dmr_breaker(struct dmr_core *core, u64 sectors)
{
	u64 blocks = div_u64(sectors, core->block);

	if (core->auto_ != DMR_AUTO_ON)
		return false;
	if (core->spent + blocks > core->breaker) {
		if (!dmr_main_alive(core)) {
			dmr_trip(core);
			return false;
		}
		core->spent = 0;
	}
	core->spent += blocks;
	return true;
}

void dmr_repair_streak(struct dmr_core *core)
{
	/* Whoever fails must not wait for a verb; there will be another block. */
	if (!mutex_trylock(&core->change))
		return;
	if (!core->stop && core->auto_ == DMR_AUTO_ON && !dmr_main_alive(core))
		dmr_trip(core);
	atomic_set(&core->streak, 0);
	dmr_core_notice(core);
	mutex_unlock(&core->change);
}

/*
 *----------------------------------------------------------------
 * Writing
 *----------------------------------------------------------------
 */

/* Write zeros, page by page: it must need no memory, and not end in a discard. */
static blk_status_t dmr_zero(struct block_device *bdev, u64 sector, u64 sectors,
			     blk_opf_t opf)
{
	struct bio_vec vecs[DMR_ZERO_PAGES];
	u64 left = sectors << SECTOR_SHIFT;
	struct bio bio;
	int r = 0;

	while (left && !r) {
		bio_init(&bio, bdev, vecs, DMR_ZERO_PAGES, REQ_OP_WRITE | REQ_SYNC | opf);
		bio.bi_iter.bi_sector = sector;
		for (int i = 0; i < DMR_ZERO_PAGES && left; i++) {
			unsigned int len = min_t(u64, left, PAGE_SIZE);

			__bio_add_page(&bio, ZERO_PAGE(0), len, 0);
			left -= len;
		}
		sector += bio_sectors(&bio);
		r = submit_bio_wait(&bio);
		bio_uninit(&bio);
	}
	return errno_to_blk_status(r);
}

static blk_status_t dmr_repair_io(const struct dmr_repair *rp, struct block_device *bdev,
				  u64 sector, blk_opf_t opf)
{
	/* What cannot zero is made to: the write must not fail for that. */
	if (bio_op(rp->bio) == REQ_OP_WRITE_ZEROES)
		return dmr_zero(bdev, sector, rp->to - rp->from,
				opf | (rp->bio->bi_opf & REQ_FUA));
	return dmr_part_io(rp->core, rp->bio, rp->from, rp->to, bdev, sector, opf);
}

static blk_status_t dmr_repair_verify(const struct dmr_repair *rp, u64 at,
				      struct block_device *bdev, u64 sector, u64 sectors)
{
	struct dmr_core *core = rp->core;
	int r;

	/* A copy, for its pages may change. */
	dmr_verify_copy(rp->bio, at, core->copy, sectors);
	r = dmr_sync_io(bdev, REQ_OP_WRITE | REQ_FUA, sector, core->copy, sectors);
	if (!r)
		r = dmr_read_sync(core, bdev, sector, sectors);
	if (r)
		return errno_to_blk_status(r);
	return memcmp(core->copy, core->check, sectors << SECTOR_SHIFT) ? BLK_STS_MEDIUM :
									  BLK_STS_OK;
}

/* Write the part, and see that it is there. */
static blk_status_t dmr_repair_verified(const struct dmr_repair *rp,
					struct block_device *bdev, u64 sector)
{
	blk_status_t status = BLK_STS_OK;
	struct dmr_verified v;
	u64 sectors;

	dmr_verify_begin(rp->core, &v, rp->from, rp->to);
	for (u64 at = rp->from; at < rp->to && !status; at += sectors, sector += sectors) {
		sectors = min_t(u64, rp->to - at, DMR_VERIFY_SECTORS);
		status = dmr_repair_verify(rp, at, bdev, sector, sectors);
	}
	dmr_verify_end(rp->core, &v);
	return status;
}

/* As `set verify` has it of all writes. */
static blk_status_t dmr_repair_put(const struct dmr_repair *rp, struct block_device *bdev,
				   u64 sector)
{
	if (rp->core->verify == DMR_VERIFY_ALL)
		return dmr_repair_verified(rp, bdev, sector);
	return dmr_repair_io(rp, bdev, sector, 0);
}

static struct dmr_change dmr_change_of(u8 type, u64 main, u64 spare, u64 len)
{
	return (struct dmr_change) {
		.type = type, .main = main, .spare = spare, .len = len,
	};
}

static void dmr_put_aside(struct dmr_core *core, struct dmr_remap *aside)
{
	aside->ext.flags = DMR_ASIDE;
	dmr_map_aside(dmr_map_of(core), aside->ext.len);
	dmr_count(core, DMR_STAT_ASIDE, aside->ext.len);
	DMWARN_LIMIT("%s: spare sectors %llu to %llu are put aside",
		     dm_device_name(core->md), aside->ext.start,
		     aside->ext.start + aside->ext.len - 1);
}

/* Take room on the spare for the first sectors of the part, as many as there is. */
static struct dmr_remap *dmr_take_room(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *mid;
	u64 len, start;

	len = dmr_spare_find_most(&map->spare, rp->to - rp->from, core->block, &start);
	if (!len)
		return NULL;
	rp->to = rp->from + len;

	mid = dmr_reserve_take(core);
	mid->start = rp->from;
	mid->ext.start = start;
	mid->ext.len = len;
	/* Not for a commit of others before its own. */
	mid->ext.flags = DMR_ADDING;
	dmr_spare_take(&map->spare, &mid->ext);
	return mid;
}

static void dmr_drop_room(struct dmr_core *core, struct dmr_remap *mid)
{
	dmr_spare_give(&dmr_map_of(core)->spare, &mid->ext);
	dmr_remap_free(mid);
}

/* A spare that is gone says nothing of its sectors. */
static bool dmr_spare_alive(struct dmr_core *core)
{
	return !dmr_read_sync(core, dmr_map_of(core)->bdev, 0, core->block);
}

/* A block of the spare does not take writes: never use it again, if that can be told. */
static bool dmr_repair_aside(struct dmr_core *core, struct dmr_remap *mid)
{
	struct dmr_change aside = dmr_change_of(DMR_RECORD_ASIDE, 0, mid->ext.start,
						mid->ext.len);

	if (!dmr_spare_alive(core) || dmr_persist_changes(core, &aside, 1)) {
		dmr_drop_room(core, mid);
		return false;
	}
	dmr_count(core, DMR_STAT_SPENT, mid->ext.len);
	dmr_put_aside(core, mid);
	return true;
}

/*
 * Write the part, or the beginning of it, to free sectors of the spare. Blocks that do
 * not take it are put aside.
 */
static blk_status_t dmr_repair_elsewhere(struct dmr_repair *rp, blk_status_t error)
{
	struct dmr_core *core = rp->core;

	for (int i = 0; i < DMR_MAX_ASIDE;) {
		struct dmr_remap *mid = dmr_take_room(rp);
		blk_status_t status;

		if (!mid)
			return error;
		status = dmr_repair_put(rp, dmr_map_of(core)->bdev, mid->ext.start);
		if (!status) {
			rp->split.mid = mid;
			return BLK_STS_OK;
		}
		if (!dmr_medium_error(status)) {
			dmr_drop_room(core, mid);
			return status;
		}
		if (rp->to - rp->from > core->block) {
			dmr_drop_room(core, mid);
			rp->to = rp->from + round_up((rp->to - rp->from) / 2, core->block);
			continue;
		}
		dmr_error_saw(core, &(struct dmr_error) {
			.sector = mid->ext.start, .len = mid->ext.len, .spare = true,
			.opf = REQ_OP_WRITE, .status = status,
		});
		if (!dmr_repair_aside(core, mid))
			return error;
		i++;
	}
	return error;
}

/*
 *----------------------------------------------------------------
 * Changing the map
 *----------------------------------------------------------------
 */

/* The objects for what stays of the entry that is there. */
static void dmr_repair_divide(struct dmr_repair *rp, bool elsewhere)
{
	struct dmr_split *split = &rp->split;
	struct dmr_remap *whole = rp->whole;
	u64 end = dmr_remap_end(whole);

	split->whole = whole;
	if (whole->start < rp->from) {
		split->left = dmr_reserve_take(rp->core);
		dmr_part_init(split->left, whole, whole->start, rp->from);
	}
	if (rp->to < end) {
		split->right = dmr_reserve_take(rp->core);
		dmr_part_init(split->right, whole, rp->to, end);
	}
	split->place = split->mid;
	if (elsewhere) {
		split->place = dmr_reserve_take(rp->core);
		dmr_part_init(split->place, whole, rp->from, rp->to);
		split->place->ext.flags = DMR_ASIDE;
	}
}

static int dmr_repair_commit(const struct dmr_repair *rp)
{
	const struct dmr_split *split = &rp->split;
	const struct dmr_remap *mid = split->mid;
	struct dmr_change changes[3];
	unsigned int nr = 0;

	if (split->whole)
		changes[nr++] = dmr_change_of(DMR_RECORD_UNMAP, mid->start, 0, mid->ext.len);
	changes[nr++] = dmr_change_of(DMR_RECORD_MAP, mid->start, mid->ext.start,
				      mid->ext.len);
	if (split->whole && split->place != mid)
		changes[nr++] = dmr_change_of(DMR_RECORD_ASIDE, 0, split->place->ext.start,
					      split->place->ext.len);
	return dmr_persist_changes(rp->core, changes, nr);
}

/*
 * Whether the commit is on disk nobody knows, and no other can be made. What is there
 * goes on being read; a write would be lost if the commit counts: it fails instead.
 */
static void dmr_repair_doubt(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *held = rp->whole;

	if (!held) {
		held = dmr_reserve_take(core);
		held->start = rp->from;
		held->ext.len = rp->to - rp->from;
		held->ext.flags = DMR_HOLE | DMR_DOUBT;
		dmr_map_insert(map, held);
	} else {
		dmr_map_flags(map, held, DMR_DOUBT, 0);
	}
	core->doubt_held = held;
	if (!rp->split.whole || rp->split.place != rp->split.mid) {
		core->doubt_fresh = rp->split.mid;
		rp->split.mid = NULL;
	}
}

void dmr_repair_settle(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *held = core->doubt_held;

	if (!held)
		return;
	core->doubt_held = NULL;
	if (core->doubt_fresh)
		dmr_drop_room(core, core->doubt_fresh);
	core->doubt_fresh = NULL;
	if (held->ext.flags & DMR_PENDING || !(held->ext.flags & DMR_HOLE)) {
		dmr_map_flags(map, held, 0, DMR_DOUBT);
		return;
	}
	dmr_map_remove(map, held);
	synchronize_rcu();
	dmr_remap_free(held);
}

/* Nothing has changed: give back what was taken. */
static void dmr_repair_undo(struct dmr_repair *rp)
{
	struct dmr_split *split = &rp->split;
	struct dmr_remap *mid = split->mid;

	if (split->left)
		dmr_remap_free(split->left);
	if (split->right)
		dmr_remap_free(split->right);
	if (split->place && split->place != mid)
		dmr_remap_free(split->place);
	if (!mid)
		return;
	if (split->place == mid)
		dmr_remap_free(mid);
	else
		dmr_drop_room(rp->core, mid);
}

static void dmr_repair_publish(struct dmr_repair *rp)
{
	struct dmr_split *split = &rp->split;
	struct dmr_core *core = rp->core;

	split->mid->ext.flags = 0;
	if (split->whole) {
		if (split->place != split->mid)
			dmr_put_aside(core, split->place);
		dmr_split_publish(dmr_map_of(core), split);
		dmr_core_counted(core);
	} else {
		/* One that stayed would hide the remap. */
		dmr_holes_take(core, rp->from, rp->to, NULL);
		dmr_map_insert(dmr_map_of(core), split->mid);
		dmr_core_counted(core);
	}
	dmr_core_resize(core);
	dmr_persist_mend(core);
}

/* The data is written: make it the map's, durably. */
static blk_status_t dmr_repair_map(struct dmr_repair *rp, bool elsewhere,
				   blk_status_t error)
{
	struct dmr_core *core = rp->core;
	struct dmr_map *map = dmr_map_of(core);
	int r;

	if (rp->whole && !(rp->whole->ext.flags & DMR_HOLE))
		dmr_repair_divide(rp, elsewhere);
	r = dmr_repair_commit(rp);
	/* Another half of the log may take it, where this one has not. */
	if (r && !core->volatile_ && map->meta.doubt && !dmr_persist_settle(core))
		r = dmr_repair_commit(rp);
	if (!r) {
		dmr_repair_publish(rp);
		return BLK_STS_OK;
	}
	if (!core->volatile_ && map->meta.doubt)
		dmr_repair_doubt(rp);
	dmr_repair_undo(rp);
	return error;
}

static u64 dmr_repair_place(const struct dmr_repair *rp)
{
	return rp->whole->ext.start + (rp->from - rp->whole->start);
}

/* On the spare where it is: from now on neither lost nor pending. */
static blk_status_t dmr_repair_there(struct dmr_repair *rp, bool verify)
{
	struct dmr_core *core = rp->core;
	struct dmr_map *map = dmr_map_of(core);
	blk_status_t status;

	status = (verify ? dmr_repair_verified : dmr_repair_put)(rp, map->bdev,
								  dmr_repair_place(rp));
	if (status)
		return status;
	rp->split = (struct dmr_split) { .mid = dmr_reserve_take(core) };
	dmr_part_init(rp->split.mid, rp->whole, rp->from, rp->to);
	return dmr_repair_map(rp, false, BLK_STS_IOERR);
}

static bool dmr_hole_takes(const struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;

	if (core->verify == DMR_VERIFY_OFF)
		return !dmr_repair_io(rp, core->main, rp->from, REQ_FUA);
	return !dmr_repair_verified(rp, core->main, rp->from);
}

/*
 * The drive may have taken the write as its chance to use a sector of its own reserve:
 * see whether it reads back, past its cache as far as a target can.
 */
static blk_status_t dmr_repair_hole(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	struct dmr_change change;

	if (!dmr_hole_takes(rp)) {
		/* One block of them, lest the good go with the bad. */
		if (rp->to - rp->from <= core->block)
			return BLK_STS_MEDIUM;
		rp->to = rp->from + core->block;
		if (!dmr_hole_takes(rp))
			return BLK_STS_MEDIUM;
	}
	/* It is written; that it is pending on disk, should this fail, harms nobody. */
	change = dmr_change_of(DMR_RECORD_SOUND, rp->from, 0, rp->to - rp->from);
	dmr_persist_changes(core, &change, 1);
	dmr_holes_take(core, rp->from, rp->to, NULL);
	dmr_count(core, DMR_STAT_HEALED, rp->to - rp->from);
	return BLK_STS_OK;
}

/* Where the map has it now, if it may not have been tried there yet. */
static blk_status_t dmr_repair_here(struct dmr_repair *rp, bool tried)
{
	u8 flags = rp->whole ? rp->whole->ext.flags : 0;

	if (flags & DMR_LOST)
		return dmr_repair_there(rp, false);
	if (flags & DMR_HOLE)
		return dmr_repair_hole(rp);
	if (flags & DMR_PENDING || tried)
		return BLK_STS_MEDIUM;
	if (rp->whole)
		return dmr_repair_put(rp, dmr_map_of(rp->core)->bdev, dmr_repair_place(rp));
	return dmr_repair_put(rp, rp->core->main, rp->from);
}

static void dmr_repair_told(const struct dmr_repair *rp, bool main)
{
	struct dmr_core *core = rp->core;

	trace_dmr_relocate(core, rp->from, rp->split.mid->ext.start, rp->to - rp->from);
	dmr_count(core, DMR_STAT_AUTO_WRITES, rp->to - rp->from);
	dmr_count(core, DMR_STAT_SPENT, rp->to - rp->from);
	DMWARN_LIMIT("%s: main sectors %llu to %llu cannot be written %s: now on the spare%s",
		     dm_device_name(core->md), rp->from, rp->to - 1,
		     main ? "there" : "to the spare", main ? "" : " elsewhere");
	dmr_core_event(core);
}

/* Where it is, if that is worth a try; else somewhere else. */
static blk_status_t dmr_repair_part(struct dmr_repair *rp, blk_status_t error, bool tried)
{
	u8 flags = rp->whole ? rp->whole->ext.flags : 0;
	bool main = !rp->whole || flags & DMR_HOLE;
	struct dmr_core *core = rp->core;
	blk_status_t status;
	bool may;

	status = dmr_repair_here(rp, tried);
	if (!dmr_medium_error(status))
		return status;
	if (!core->volatile_ && dmr_map_of(core)->meta.doubt)
		return error;

	/* What the spare fails to take does not speak against main. */
	may = main ? dmr_breaker(core, rp->to - rp->from) : core->auto_ == DMR_AUTO_ON;
	status = error;
	rp->split = (struct dmr_split) {};
	if (may)
		status = dmr_repair_elsewhere(rp, error);
	/* Where it could not be read it may be written all the same. */
	if (status && flags & DMR_PENDING && !main)
		return dmr_repair_there(rp, true) ? error : BLK_STS_OK;
	if (!status)
		status = dmr_repair_map(rp, true, error);
	if (!status)
		dmr_repair_told(rp, main);
	return status;
}

/* Has it failed where the map has it now? */
static bool dmr_repair_tried(const struct dmr_repair *rp, const struct dmr_tried *tried)
{
	if (!tried)
		return false;
	if (!rp->whole)
		return tried->side == DMR_MAIN;
	return tried->side == DMR_SPARE &&
	       tried->spare + (rp->from - tried->from) == dmr_repair_place(rp);
}

/* The entry that covers the first sectors, and how far. */
static void dmr_repair_look(struct dmr_repair *rp, u64 to)
{
	struct dmr_run run;

	rcu_read_lock();
	dmr_table_lookup(&dmr_map_of(rp->core)->table, rp->from, to, &run);
	rcu_read_unlock();
	rp->whole = run.remap;
	rp->to = run.end;
}

blk_status_t dmr_repair_write(struct dmr_core *core, struct bio *bio, u64 from, u64 to,
			      blk_status_t error, const struct dmr_tried *tried)
{
	blk_status_t status = BLK_STS_OK;
	bool verb = false;

	dmr_change_lock(core);
	while (from < to && !status) {
		struct dmr_repair rp = { .core = core, .bio = bio, .from = from };

		status = error;
		if (core->readonly || dmr_persist_settle(core))
			break;
		dmr_repair_look(&rp, to);
		if (rp.whole && dmr_moves(core, rp.whole)) {
			/* Where it is going to be is known when that is over. */
			mutex_unlock(&core->change);
			dmr_verb_lock(core);
			verb = true;
			status = BLK_STS_OK;
			continue;
		}
		/* What is written now a migration has to copy again. */
		if (rp.whole && rp.whole->ext.flags & DMR_LEAVING)
			dmr_map_flags(dmr_map_of(core), rp.whole, 0, DMR_LEAVING);
		status = dmr_repair_part(&rp, error, dmr_repair_tried(&rp, tried));
		from = rp.to;
	}
	dmr_core_notice(core);
	mutex_unlock(&core->change);
	if (verb)
		mutex_unlock(&core->verb);
	return status;
}

/*
 *----------------------------------------------------------------
 * What reads have found out
 *----------------------------------------------------------------
 */

void dmr_repair_note(struct dmr_core *core, u64 from, u64 to, bool weak)
{
	struct dmr_note *note;

	spin_lock(&core->note_lock);
	note = core->nr_notes ? &core->notes[core->nr_notes - 1] : NULL;
	if (note && note->weak == weak && note->to == from)
		note->to = to;
	else if (core->nr_notes < DMR_NR_NOTES)
		core->notes[core->nr_notes++] = (struct dmr_note) { from, to, weak };
	/* Else the next failed read will tell again. */
	spin_unlock(&core->note_lock);
	queue_work(core->mender, &core->note_work);
}

static bool dmr_note_take(struct dmr_core *core, struct dmr_note *note)
{
	bool any;

	spin_lock(&core->note_lock);
	any = core->nr_notes;
	if (any)
		*note = core->notes[--core->nr_notes];
	spin_unlock(&core->note_lock);
	return any;
}

/* Until then reads of it are answered without the medium. */
static void dmr_rest(struct dmr_core *core, u64 from, u64 to)
{
	u64 until = get_jiffies_64() + core->rest * HZ;
	struct dmr_remap *hole;

	for (; (hole = dmr_next_hole(dmr_map_of(core), from)) && hole->start < to;
	     from = dmr_remap_end(hole))
		WRITE_ONCE(hole->ext.start, until);
}

/* The spare sector that serves a block, or U64_MAX: main does. */
static u64 dmr_spare_sector(struct dmr_core *core, u64 sector)
{
	struct dmr_run run;
	u64 spare = U64_MAX;

	rcu_read_lock();
	dmr_table_lookup(&dmr_map_of(core)->table, sector, sector + core->block, &run);
	if (run.remap && !(READ_ONCE(run.remap->ext.flags) & DMR_HOLE))
		spare = run.remap->ext.start + (sector - run.remap->start);
	rcu_read_unlock();
	return spare;
}

bool dmr_readable(struct dmr_core *core, u64 sector)
{
	u64 spare = dmr_spare_sector(core, sector);
	bool main = spare == U64_MAX;

	return !dmr_sync_io(main ? core->main : dmr_map_of(core)->bdev, REQ_OP_READ,
			    main ? sector : spare, core->look, core->block);
}

/*
 * A bad medium takes its time: a write that fails elsewhere does not wait for it. False also
 * if that one has left a commit in doubt, which must be settled first.
 */
static bool dmr_note_reads(struct dmr_core *core, u64 sector, bool *readable)
{
	mutex_unlock(&core->change);
	*readable = dmr_readable(core, sector);
	dmr_change_lock(core);
	return !core->doubt_held;
}

/* No write that came before they were pending is on its way any more: read again. */
static void dmr_pending_check(struct dmr_core *core, u64 from, u64 to)
{
	bool readable;

	for (; from < to && !dmr_core_stopping(core); from += core->block) {
		if (!dmr_note_reads(core, from, &readable))
			break;
		if (readable)
			dmr_holes_take(core, from, from + core->block, NULL);
		cond_resched();
	}
}

static void dmr_pending_commit(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_remap *hole;
	struct dmr_change change;

	dmr_rest(core, from, to);
	for (; (hole = dmr_next_hole(dmr_map_of(core), from)) && hole->start < to;
	     from = dmr_remap_end(hole)) {
		u64 first = max(from, hole->start), last = min(to, dmr_remap_end(hole));

		DMWARN_LIMIT("%s: main sectors %llu to %llu cannot be read",
			     dm_device_name(core->md), first, last - 1);
		change = dmr_change_of(DMR_RECORD_PENDING, first, 0, last - first);
		/* If it cannot be committed the next failed read tells again. */
		dmr_persist_changes(core, &change, 1);
	}
}

/*
 * Main sectors that nothing maps. Whoever had the error may have written them since:
 * they are pending first, so that writes come to us, and then looked at once more.
 */
static void dmr_note_hole(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 before = map->pending;
	bool news;
	int r;

	if (dmr_pending_set(core, from, to))
		return;
	news = map->pending != before;
	mutex_unlock(&core->change);
	r = dmr_core_quiesce(core, true);
	dmr_change_lock(core);
	if (r)
		return;
	dmr_pending_check(core, from, to);
	if (news)
		dmr_pending_commit(core, from, to);
	else
		dmr_rest(core, from, to);
}

/* Main sectors that the spare serves; a spare that is gone says nothing of them. */
static void dmr_note_mapped(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_change change;
	u64 before;

	for (; from < to && !dmr_core_stopping(core); from += core->block) {
		u64 spare = dmr_spare_sector(core, from);
		bool readable;

		if (!dmr_note_reads(core, from, &readable))
			break;
		/* What was written since may be somewhere else. */
		if (readable || dmr_spare_sector(core, from) != spare ||
		    !dmr_spare_alive(core))
			continue;
		before = map->pending;
		if (dmr_pending_set(core, from, from + core->block) ||
		    map->pending == before)
			continue;
		DMWARN_LIMIT("%s: main sector %llu cannot be read from the spare",
			     dm_device_name(core->md), from);
		change = dmr_change_of(DMR_RECORD_PENDING, from, 0, core->block);
		dmr_persist_changes(core, &change, 1);
	}
}

static void dmr_note_pending(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_run run;

	for (; from < to; from = run.end) {
		rcu_read_lock();
		dmr_table_lookup(&dmr_map_of(core)->table, from, to, &run);
		rcu_read_unlock();
		if (!run.remap || run.remap->ext.flags & DMR_HOLE)
			dmr_note_hole(core, from, run.end);
		else if (!(run.remap->ext.flags & DMR_LOST))
			dmr_note_mapped(core, from, run.end);
	}
}

/* Move what is not mapped yet, as a person would: nobody may write meanwhile. */
static int dmr_note_weak(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_batch batch = {};
	struct dmr_remap *remap;
	u64 len = to - from;
	int r = -ENOMEM;

	if (dmr_mapped(dmr_map_of(core), from, to) || !dmr_breaker(core, len))
		return 0;
	/* Now that it can be read: it may not come back another time. */
	remap = dmr_reserve_take(core);
	if (!dmr_batch_push(&batch, remap)) {
		remap->start = from;
		remap->ext.start = DMR_AUTO;
		remap->ext.len = len;
		r = dmr_add(core, &batch, DMR_COPY);
	} else {
		dmr_remap_free(remap);
	}
	if (r)
		dmr_batch_free(&batch);
	dmr_batch_exit(&batch);
	if (r)
		return r;
	dmr_count(core, DMR_STAT_AUTO_WEAK, len);
	dmr_count(core, DMR_STAT_SPENT, len);
	DMWARN_LIMIT("%s: main sectors %llu to %llu are weak, and on the spare now",
		     dm_device_name(core->md), from, to - 1);
	dmr_core_event(core);
	return 0;
}

static void dmr_note_work(struct work_struct *work)
{
	struct dmr_core *core = container_of(work, struct dmr_core, note_work);
	unsigned int noio = memalloc_noio_save();
	struct dmr_note note;

	dmr_verb_lock(core);
	while (!READ_ONCE(core->stop) && !core->readonly && dmr_note_take(core, &note)) {
		if (dmr_persist_settle(core))
			break;
		/* It may be of another table. */
		if (note.to > core->len || (note.from | note.to) & (core->block - 1))
			continue;
		if (note.weak && dmr_note_weak(core, note.from, note.to) != -EIO)
			continue;
		/* Unless it is the commit that failed. */
		if (!core->doubt.nr)
			dmr_note_pending(core, note.from, note.to);
	}
	dmr_core_notice(core);
	dmr_verb_unlock(core);
	memalloc_noio_restore(noio);
}

void dmr_repair_forget(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *hole;

	spin_lock(&core->note_lock);
	core->nr_notes = 0;
	spin_unlock(&core->note_lock);
	for (u64 from = 0; (hole = dmr_next_hole(map, from)); from = dmr_remap_end(hole))
		WRITE_ONCE(hole->ext.start, 0);
}

void dmr_repair_resume(struct dmr_core *core)
{
	queue_work(core->mender, &core->note_work);
}

/*
 *----------------------------------------------------------------
 * Making and unmaking
 *----------------------------------------------------------------
 */

int dmr_repair_init(struct dmr_core *core)
{
	core->breaker = DMR_BREAKER_DEFAULT;
	core->rest = DMR_REST_DEFAULT;
	core->budget = DMR_BUDGET_DEFAULT;
	dmr_verify_init(core);
	spin_lock_init(&core->note_lock);
	INIT_WORK(&core->note_work, dmr_note_work);
	INIT_WORK(&core->refill, dmr_refill_work);

	core->check = kmalloc(DMR_VERIFY_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
	core->look = kmalloc(DMR_VERIFY_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
	core->copy = kmalloc(DMR_VERIFY_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
	if (!core->check || !core->look || !core->copy)
		goto bad;
	/* Many at a time: a slow one delays no other. */
	core->mender = alloc_workqueue("dm-remap-v4-mend", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!core->mender)
		goto bad;
	dmr_refill_work(&core->refill);
	return 0;

bad:
	kfree(core->copy);
	kfree(core->look);
	kfree(core->check);
	return -ENOMEM;
}

void dmr_repair_exit(struct dmr_core *core)
{
	destroy_workqueue(core->mender);
	dmr_verify_exit(core);
	cancel_work_sync(&core->refill);
	while (core->nr_reserve)
		dmr_remap_free(core->reserve[--core->nr_reserve]);
	/* What is held is in the table. */
	if (core->doubt_fresh)
		dmr_drop_room(core, core->doubt_fresh);
	kfree(core->copy);
	kfree(core->look);
	kfree(core->check);
}

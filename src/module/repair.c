// SPDX-License-Identifier: GPL-2.0-only
#include "repair.h"
#include "claim.h"
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

/* Runs of the table that are passed over to find one of those. */
#define DMR_ALIVE_LOOKS		1024

/* Pages of a bio that zeroes. */
#define DMR_ZERO_PAGES		16

/* Blocks that could not be read are looked at so many at a time. */
#define DMR_NOTE_BLOCKS		8

/* Spare blocks that one part of a write may find bad before it gives up, within the budget. */
#define DMR_MAX_ASIDE		1024

/**
 * enum dmr_mend - what is to be committed of a part of a write that has been written
 * @DMR_AS_IT_IS:	nothing: it is where the map has it
 * @DMR_ELSEWHERE:	it is on other sectors of the spare now
 * @DMR_THERE:		it is where it was on the spare, and neither lost nor pending now
 * @DMR_SOUND:		it is on main, and not pending now
 */
enum dmr_mend { DMR_AS_IT_IS, DMR_ELSEWHERE, DMR_THERE, DMR_SOUND };

/**
 * struct dmr_repair - a part of a write that needs a place
 * @core:	the core
 * @bio:	the write
 * @from:	first main sector
 * @to:		first behind the last; what is done at a time may be less
 * @error:	how it ends if there is no place
 * @claim:	while the change lock is let go of, nobody else changes where they are
 * @whole:	the entry of the table that covers @from, or NULL; looked up again when
 *		the lock was let go of
 * @mend:	what is to be committed when it is written ...
 * @mid:	... and with DMR_ELSEWHERE, the remap
 * @node:	in core->commits
 * @over:	it was committed, or that has failed ...
 * @status:	... how
 */
struct dmr_repair {
	struct dmr_core		*core;
	struct bio		*bio;
	u64			from;
	u64			to;
	blk_status_t		error;
	struct dmr_span		claim;
	struct dmr_remap	*whole;
	enum dmr_mend		mend;
	struct dmr_remap	*mid;
	struct list_head	node;
	bool			over;
	blk_status_t		status;
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

/* The first block from @at on that is not in the table, or U64_MAX. */
static u64 dmr_main_block(struct dmr_core *core, u64 at)
{
	struct dmr_run run;

	for (unsigned int i = 0; i < DMR_ALIVE_LOOKS && at < core->len; i++) {
		rcu_read_lock();
		dmr_table_lookup(&dmr_map_of(core)->table, at,
				 min(at + DMR_WINDOW_SECTORS, core->len), &run);
		rcu_read_unlock();
		if (!run.remap)
			return at;
		at = run.end;
	}
	return U64_MAX;
}

static bool dmr_main_alive(struct dmr_core *core)
{
	unsigned int tried = 0;

	for (unsigned int i = 0; i < DMR_ALIVE_READS; i++) {
		/* One that worked before: not one that was remapped, or is pending. */
		u64 at = dmr_main_block(core, round_down(core->len / (2 * DMR_ALIVE_READS) *
							 (2 * i + 1), core->block));

		if (at == U64_MAX)
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

bool dmr_repair_streak(struct dmr_core *core)
{
	bool dead;

	/* Whoever fails must not wait for a verb; there will be another block. */
	if (!mutex_trylock(&core->change))
		return false;
	dead = !READ_ONCE(core->stop) && !dmr_main_alive(core);
	if (dead)
		dmr_trip(core);
	atomic_set(&core->streak, 0);
	dmr_core_notice(core);
	mutex_unlock(&core->change);
	return dead;
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
				      struct block_device *bdev, u64 sector, u64 sectors,
				      struct dmr_verify_buffer *buffer)
{
	int r;

	/* A copy, for its pages may change. */
	dmr_verify_copy(rp->bio, at, buffer->out, sectors);
	r = dmr_sync_io(bdev, REQ_OP_WRITE | REQ_FUA, sector, buffer->out, sectors);
	if (!r)
		r = dmr_sync_io(bdev, REQ_OP_READ, sector, buffer->in, sectors);
	if (r)
		return errno_to_blk_status(r);
	if (!memcmp(buffer->out, buffer->in, sectors << SECTOR_SHIFT))
		return BLK_STS_OK;
	if (sectors == rp->core->block)
		dmr_count(rp->core, DMR_STAT_MISMATCHES, sectors);
	return BLK_STS_MEDIUM;
}

/* Write the part, and see that it is there. */
static blk_status_t dmr_repair_verified(const struct dmr_repair *rp,
					struct block_device *bdev, u64 sector)
{
	blk_status_t status = BLK_STS_OK;
	struct dmr_verify_buffer *buffer;
	struct dmr_span span;
	u64 sectors;

	buffer = dmr_verify_begin(rp->core, &span, rp->from, rp->to);
	for (u64 at = rp->from; at < rp->to && !status; at += sectors, sector += sectors) {
		sectors = min_t(u64, rp->to - at, DMR_VERIFY_SECTORS);
		status = dmr_repair_verify(rp, at, bdev, sector, sectors, buffer);
	}
	dmr_verify_end(rp->core, &span, buffer);
	return status;
}

/* The entry that covers @from. Return: where it ends to cover, at most @to. */
static u64 dmr_repair_look(struct dmr_repair *rp)
{
	struct dmr_run run;

	rcu_read_lock();
	dmr_table_lookup(&dmr_map_of(rp->core)->table, rp->from, rp->to, &run);
	rcu_read_unlock();
	rp->whole = run.remap;
	return run.end;
}

/*
 * Write the part, and read it back if `set verify` has it so: of all writes, or of those to
 * pending sectors. That takes its time: others have the lock meanwhile. When it is written
 * it waits for its commit, before it has the lock again: see dmr_repair_commit().
 */
static blk_status_t dmr_repair_put(struct dmr_repair *rp, struct block_device *bdev,
				   u64 sector, enum dmr_verify verify, enum dmr_mend mend)
{
	struct dmr_core *core = rp->core;
	blk_status_t status;
	int arrived;

	mutex_unlock(&core->change);
	if (READ_ONCE(core->verify) >= verify)
		status = dmr_repair_verified(rp, bdev, sector);
	else
		status = dmr_repair_io(rp, bdev, sector,
				       verify == DMR_VERIFY_PENDING ? REQ_FUA : 0);
	rp->mend = mend;
	if (!status && mend != DMR_AS_IT_IS) {
		spin_lock(&core->commit_lock);
		list_add_tail(&rp->node, &core->commits);
		spin_unlock(&core->commit_lock);
		/*
		 * The lock goes to whoever asks just then: a commit for each, one by one. As
		 * many as came before have had it first; not all, for they may go on coming.
		 */
		arrived = atomic_read(&core->arrived);
		wait_event_idle(core->wait, READ_ONCE(rp->over) ||
				READ_ONCE(core->entered) - arrived >= 0);
	}
	dmr_change_lock(core);
	dmr_repair_look(rp);
	return status;
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

/*
 * An object for the remap. Those in the reserve that it takes to publish a group are left for
 * that; who finds no other waits without the lock, so that writes can end, and free memory.
 */
static struct dmr_remap *dmr_take_object(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	struct dmr_remap *mid = dmr_remap_alloc();

	if (mid || core->nr_reserve > 3 * DMR_GROUP)
		return mid ?: dmr_reserve_take(core);
	queue_work(system_unbound_wq, &core->refill);
	mutex_unlock(&core->change);
	mid = dmr_remap_alloc_nofail();
	dmr_change_lock(core);
	dmr_repair_look(rp);
	return mid;
}

/* Take room on the spare for the first sectors of the part, as many as there is. */
static struct dmr_remap *dmr_take_room(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *mid = dmr_take_object(rp);
	u64 len, start;

	len = dmr_spare_find_most(&map->spare, rp->to - rp->from, core->block, &start);
	if (!len) {
		dmr_remap_free(mid);
		return NULL;
	}
	rp->to = rp->from + len;
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

/* A spare that is gone says nothing of its sectors; its first may be bad, as any other. */
static bool dmr_spare_alive(struct dmr_core *core)
{
	const struct dmr_map *map = dmr_map_of(core);
	u64 last = dmr_spare_size(&map->spare) - core->block;

	return !dmr_read_sync(core, map->bdev, 0, core->block) ||
	       !dmr_read_sync(core, map->bdev, last, core->block);
}

/* A block of the spare does not take writes: never use it again, if that can be told. */
static bool dmr_repair_aside(struct dmr_core *core, struct dmr_remap *mid)
{
	struct dmr_change aside = dmr_change_of(DMR_RECORD_ASIDE, 0, mid->ext.start,
						mid->ext.len);

	if (!dmr_spare_alive(core) || dmr_persist_settle(core) ||
	    dmr_persist_changes(core, &aside, 1)) {
		dmr_drop_room(core, mid);
		return false;
	}
	dmr_count(core, DMR_STAT_SPENT, mid->ext.len);
	dmr_put_aside(core, mid);
	return true;
}

/*
 *----------------------------------------------------------------
 * Changing the map
 *----------------------------------------------------------------
 */

static u64 dmr_repair_place(const struct dmr_repair *rp)
{
	return rp->whole->ext.start + (rp->from - rp->whole->start);
}

static bool dmr_repair_mapped(const struct dmr_repair *rp)
{
	return rp->whole && !(rp->whole->ext.flags & DMR_HOLE);
}

/* What stays of the remap that is there, and the part as it is there. */
static void dmr_repair_divide(struct dmr_repair *rp, struct dmr_split *split)
{
	struct dmr_remap *whole = rp->whole;
	u64 end = dmr_remap_end(whole);

	*split = (struct dmr_split) { .whole = whole };
	if (whole->start < rp->from) {
		split->left = dmr_reserve_take(rp->core);
		dmr_part_init(split->left, whole, whole->start, rp->from);
	}
	if (rp->to < end) {
		split->right = dmr_reserve_take(rp->core);
		dmr_part_init(split->right, whole, rp->to, end);
	}
	split->place = dmr_reserve_take(rp->core);
	dmr_part_init(split->place, whole, rp->from, rp->to);
	split->mid = split->place;
}

static void dmr_repair_told(const struct dmr_repair *rp, bool main)
{
	struct dmr_core *core = rp->core;

	trace_dmr_relocate(core, rp->from, rp->mid->ext.start, rp->to - rp->from);
	dmr_count(core, DMR_STAT_AUTO_WRITES, rp->to - rp->from);
	dmr_count(core, DMR_STAT_SPENT, rp->to - rp->from);
	DMWARN_LIMIT("%s: main sectors %llu to %llu cannot be written %s: now on the spare%s",
		     dm_device_name(core->md), rp->from, rp->to - 1,
		     main ? "there" : "to the spare", main ? "" : " elsewhere");
	dmr_core_event(core);
}

static void dmr_repair_publish(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_split split;
	bool mapped, hole;

	dmr_repair_look(rp);
	mapped = dmr_repair_mapped(rp);
	hole = rp->whole && !mapped;
	if (mapped) {
		dmr_repair_divide(rp, &split);
		if (rp->mend == DMR_ELSEWHERE) {
			dmr_put_aside(core, split.place);
			split.mid = rp->mid;
		}
		split.mid->ext.flags = 0;
		dmr_split_publish(map, &split);
	} else {
		/*
		 * Before the hole goes: main is not to be seen in between. A lookup may find
		 * either, so nobody writes there until it has gone.
		 */
		if (rp->mend == DMR_ELSEWHERE) {
			rp->mid->ext.flags = hole ? DMR_DOUBT : 0;
			dmr_map_insert(map, rp->mid);
			if (hole)
				synchronize_rcu();
		}
		dmr_holes_take(core, rp->from, rp->to);
		if (rp->mend == DMR_SOUND) {
			dmr_count(core, DMR_STAT_HEALED, rp->to - rp->from);
			return;
		}
		dmr_map_flags(map, rp->mid, 0, DMR_DOUBT);
	}
	dmr_core_counted(core);
	if (rp->mend == DMR_ELSEWHERE)
		dmr_repair_told(rp, !mapped);
}

/*
 *----------------------------------------------------------------
 * Commits
 *----------------------------------------------------------------
 */

/* An entry that is the part, and no more: what is beside it is not in doubt. */
static struct dmr_remap *dmr_repair_hold(struct dmr_repair *rp)
{
	struct dmr_map *map = dmr_map_of(rp->core);
	struct dmr_split split;
	struct dmr_remap *held;

	dmr_repair_look(rp);
	if (dmr_repair_mapped(rp)) {
		dmr_repair_divide(rp, &split);
		held = split.mid;
		held->ext.flags |= DMR_DOUBT;
		dmr_split_publish(map, &split);
		return held;
	}
	held = dmr_reserve_take(rp->core);
	held->start = rp->from;
	held->ext.len = rp->to - rp->from;
	held->ext.flags = DMR_HOLE | DMR_DOUBT;
	if (rp->whole) {
		held->ext.start = rp->whole->ext.start;
		held->ext.flags |= rp->whole->ext.flags & DMR_PENDING;
	}
	dmr_holes_take(rp->core, rp->from, rp->to);
	dmr_map_insert(map, held);
	return held;
}

/*
 * Whether the commit is on disk nobody knows, and no other can be made. What is there
 * goes on being read; a write would be lost if the commit counts: it fails instead.
 */
static void dmr_repair_doubt(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;

	core->doubt_held[core->nr_held] = dmr_repair_hold(rp);
	core->doubt_fresh[core->nr_held++] = rp->mid;
	rp->mid = NULL;
	dmr_core_counted(core);
}

void dmr_repair_settle(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);

	while (core->nr_held) {
		struct dmr_remap *held = core->doubt_held[--core->nr_held];
		struct dmr_remap *fresh = core->doubt_fresh[core->nr_held];

		if (fresh)
			dmr_drop_room(core, fresh);
		if (held->ext.flags & DMR_PENDING || !(held->ext.flags & DMR_HOLE)) {
			dmr_map_flags(map, held, 0, DMR_DOUBT);
			continue;
		}
		dmr_map_remove(map, held);
		synchronize_rcu();
		dmr_remap_free(held);
	}
}

/* The records of a repair. Return: how many. */
static unsigned int dmr_repair_records(struct dmr_repair *rp, struct dmr_change *changes)
{
	u64 len = rp->to - rp->from, spare;
	unsigned int nr = 0;

	if (rp->mend == DMR_SOUND) {
		changes[0] = dmr_change_of(DMR_RECORD_SOUND, rp->from, 0, len);
		return 1;
	}
	dmr_repair_look(rp);
	if (dmr_repair_mapped(rp))
		changes[nr++] = dmr_change_of(DMR_RECORD_UNMAP, rp->from, 0, len);
	spare = rp->mid ? rp->mid->ext.start : dmr_repair_place(rp);
	changes[nr++] = dmr_change_of(DMR_RECORD_MAP, rp->from, spare, len);
	if (dmr_repair_mapped(rp) && rp->mid)
		changes[nr++] = dmr_change_of(DMR_RECORD_ASIDE, 0, dmr_repair_place(rp), len);
	return nr;
}

/* One commit for all of them. Return: 0, or -EIO: they may be on disk if in doubt. */
static int dmr_group_write(struct dmr_core *core, const struct list_head *group)
{
	struct dmr_change changes[3 * DMR_GROUP];
	struct dmr_repair *rp;
	unsigned int nr = 0;
	int r;

	list_for_each_entry(rp, group, node)
		nr += dmr_repair_records(rp, changes + nr);
	r = dmr_persist_changes(core, changes, nr);
	/* Another half of the log may take it, where this one has not. */
	if (r && !core->volatile_ && dmr_map_of(core)->meta.doubt &&
	    !dmr_persist_settle(core))
		r = dmr_persist_changes(core, changes, nr);
	return r;
}

/* It is written down, or not. */
static void dmr_repair_over(struct dmr_repair *rp, bool committed, bool doubt)
{
	/* That it is pending on disk, where that has failed, harms nobody. */
	bool good = committed || rp->mend == DMR_SOUND;

	rp->status = good ? BLK_STS_OK : rp->error;
	if (good)
		dmr_repair_publish(rp);
	else if (doubt)
		dmr_repair_doubt(rp);
	else if (rp->mid)
		dmr_drop_room(rp->core, rp->mid);
	list_del(&rp->node);
	WRITE_ONCE(rp->over, true);
}

/* As many as share a commit, the first to come first. */
static void dmr_repair_group(struct dmr_core *core)
{
	/* Each may take three objects. */
	unsigned int most = clamp(core->nr_reserve / 3, 1U, (unsigned int)DMR_GROUP);
	struct dmr_repair *rp, *next;
	unsigned int nr = 0;
	LIST_HEAD(group);
	bool doubt;
	int r;

	spin_lock(&core->commit_lock);
	list_for_each_entry_safe(rp, next, &core->commits, node)
		if (nr++ < most)
			list_move_tail(&rp->node, &group);
	spin_unlock(&core->commit_lock);
	/* What others have left in doubt is not on disk. */
	r = dmr_persist_settle(core);
	doubt = !r;
	if (!r)
		r = dmr_group_write(core, &group);
	doubt = doubt && r && !core->volatile_ && dmr_map_of(core)->meta.doubt;
	list_for_each_entry_safe(rp, next, &group, node)
		dmr_repair_over(rp, !r, doubt);
	dmr_core_resize(core);
	if (!r)
		dmr_persist_mend(core);
}

/*
 * What is written becomes the map's, durably; with it all others that have come as far, and
 * wait for the lock. Or one of those has done it for us.
 */
static blk_status_t dmr_repair_commit(struct dmr_repair *rp)
{
	while (!rp->over)
		dmr_repair_group(rp->core);
	return rp->status;
}

/*
 *----------------------------------------------------------------
 * A place for a write
 *----------------------------------------------------------------
 */

/*
 * Write the part, or the beginning of it, to free sectors of the spare. Blocks that do
 * not take it are put aside.
 */
static blk_status_t dmr_repair_elsewhere(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	unsigned long deadline = jiffies + core->budget * HZ;

	for (int i = 0; i < DMR_MAX_ASIDE && !time_after(jiffies, deadline);) {
		struct dmr_remap *mid = dmr_take_room(rp);
		blk_status_t status;

		if (!mid)
			return rp->error;
		rp->mid = mid;
		status = dmr_repair_put(rp, dmr_map_of(core)->bdev, mid->ext.start,
					DMR_VERIFY_ALL, DMR_ELSEWHERE);
		if (!status)
			return BLK_STS_OK;
		rp->mid = NULL;
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
			return rp->error;
		i++;
	}
	return rp->error;
}

/*
 * On the spare where it is: from now on neither lost nor pending. Those that the spare takes,
 * lest they are put aside with those that it does not.
 */
static blk_status_t dmr_repair_there(struct dmr_repair *rp, enum dmr_verify verify)
{
	unsigned int block = rp->core->block;
	blk_status_t status;

	for (;;) {
		status = dmr_repair_put(rp, dmr_map_of(rp->core)->bdev, dmr_repair_place(rp),
					verify, DMR_THERE);
		if (!dmr_medium_error(status) || rp->to - rp->from <= block)
			break;
		rp->to = rp->from + round_up((rp->to - rp->from) / 2, block);
	}
	return status ?: dmr_repair_commit(rp);
}

/*
 * The drive may have taken the write as its chance to use a sector of its own reserve:
 * see whether it reads back, past its cache as far as a target can.
 */
static blk_status_t dmr_repair_hole(struct dmr_repair *rp)
{
	struct dmr_core *core = rp->core;
	blk_status_t status;

	status = dmr_repair_put(rp, core->main, rp->from, DMR_VERIFY_PENDING, DMR_SOUND);
	if (dmr_medium_error(status) && rp->to - rp->from > core->block) {
		/* One block of them, lest the good go with the bad. */
		rp->to = rp->from + core->block;
		status = dmr_repair_put(rp, core->main, rp->from, DMR_VERIFY_PENDING,
					DMR_SOUND);
	}
	return status ?: dmr_repair_commit(rp);
}

/* Where the map has it now, if it may not have been tried there yet. */
static blk_status_t dmr_repair_here(struct dmr_repair *rp, bool tried)
{
	u8 flags = rp->whole ? rp->whole->ext.flags : 0;

	if (flags & DMR_LOST)
		return dmr_repair_there(rp, DMR_VERIFY_ALL);
	if (flags & DMR_HOLE)
		return dmr_repair_hole(rp);
	if (flags & DMR_PENDING || tried)
		return BLK_STS_MEDIUM;
	if (rp->whole)
		return dmr_repair_put(rp, dmr_map_of(rp->core)->bdev, dmr_repair_place(rp),
				      DMR_VERIFY_ALL, DMR_AS_IT_IS);
	return dmr_repair_put(rp, rp->core->main, rp->from, DMR_VERIFY_ALL, DMR_AS_IT_IS);
}

/* Where it is, if that is worth a try; else somewhere else. */
static blk_status_t dmr_repair_part(struct dmr_repair *rp, bool tried)
{
	u8 flags = rp->whole ? rp->whole->ext.flags : 0;
	bool main = !rp->whole || flags & DMR_HOLE;
	struct dmr_core *core = rp->core;
	blk_status_t status;
	bool may;

	status = dmr_repair_here(rp, tried);
	/* It was written there, and it is the commit that has failed? */
	if (!dmr_medium_error(status) || rp->over)
		return status;
	/* Others may have left a commit in doubt meanwhile. */
	if (dmr_persist_settle(core))
		return rp->error;
	dmr_repair_look(rp);

	/* What the spare fails to take does not speak against main. */
	may = main ? dmr_breaker(core, rp->to - rp->from) : core->auto_ == DMR_AUTO_ON;
	status = may ? dmr_repair_elsewhere(rp) : rp->error;
	/* Where it could not be read it may be written all the same. */
	if (status && flags & DMR_PENDING && !main)
		return dmr_repair_there(rp, DMR_VERIFY_PENDING) ? rp->error : BLK_STS_OK;
	return status ?: dmr_repair_commit(rp);
}

/* Has it failed where the map has it now? */
static bool dmr_repair_tried(const struct dmr_repair *rp, const struct dmr_tried *tried)
{
	bool mapped = dmr_repair_mapped(rp);

	if (!tried ||
	    tried->bdev != (mapped ? dmr_map_of(rp->core)->bdev : rp->core->main))
		return false;
	return tried->sector + (rp->from - tried->from) ==
	       (mapped ? dmr_repair_place(rp) : rp->from);
}

/*
 * See that nobody else is at work on the sectors: the move that they are part of, or another
 * write. Where they are is known when that is over. Return: false if the lock was let go of.
 */
static bool dmr_repair_alone(struct dmr_repair *rp, bool *verb)
{
	struct dmr_core *core = rp->core;

	if (!*verb && (core->closing || (rp->whole && dmr_moves(core, rp->whole)))) {
		mutex_unlock(&core->change);
		dmr_verb_lock(core);
		*verb = true;
		return false;
	}
	if (!dmr_claimed(core, rp->from, rp->to))
		return true;
	dmr_claim_wait(core, rp->from, rp->to);
	return false;
}

/* A commit is in doubt, and speaks of these sectors. */
static bool dmr_repair_doubtful(const struct dmr_repair *rp)
{
	return rp->whole && (rp->whole->ext.flags & DMR_DOUBT || dmr_moves(rp->core, rp->whole));
}

blk_status_t dmr_repair_write(struct dmr_core *core, struct bio *bio, u64 from, u64 to,
			      blk_status_t error, const struct dmr_tried *tried)
{
	blk_status_t status = BLK_STS_OK;
	bool verb = false;

	/* Counted for this lock alone: who is waited for must wait for nothing else. */
	atomic_inc(&core->arrived);
	dmr_change_lock(core);
	WRITE_ONCE(core->entered, core->entered + 1);
	wake_up_all(&core->wait);
	while (from < to && !status) {
		struct dmr_repair rp = {
			.core = core, .bio = bio, .from = from, .to = to, .error = error,
		};
		bool settled = !dmr_persist_settle(core);

		rp.to = dmr_repair_look(&rp);
		if (core->readonly || (!settled && dmr_repair_doubtful(&rp))) {
			status = error;
			break;
		}
		if (!dmr_repair_alone(&rp, &verb))
			continue;
		dmr_claim(core, &rp.claim, rp.from, rp.to);
		/* What is written now a migration has to copy again. */
		if (rp.whole && rp.whole->ext.flags & DMR_LEAVING)
			dmr_map_flags(dmr_map_of(core), rp.whole, 0, DMR_LEAVING);
		status = dmr_repair_part(&rp, dmr_repair_tried(&rp, tried));
		dmr_unclaim(core, &rp.claim);
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
	if (note && note->weak == weak && note->to == from) {
		note->to = to;
	} else if (core->nr_notes < DMR_NR_NOTES) {
		core->notes[core->nr_notes] = (struct dmr_note) { from, to, weak };
		/* dmr_note_work() looks without the lock whether there are any. */
		WRITE_ONCE(core->nr_notes, core->nr_notes + 1);
	}
	/* Else the next failed read will tell again. */
	spin_unlock(&core->note_lock);
	queue_work(core->mender, &core->note_work);
}

static bool dmr_note_take(struct dmr_core *core, struct dmr_note *note)
{
	bool any;

	spin_lock(&core->note_lock);
	any = core->nr_notes;
	if (any) {
		WRITE_ONCE(core->nr_notes, core->nr_notes - 1);
		*note = core->notes[core->nr_notes];
	}
	spin_unlock(&core->note_lock);
	return any;
}

/* Whoever waits has his turn. Return: false if what is noted may not be so any more. */
static bool dmr_note_yield(struct dmr_core *core)
{
	unsigned int forgotten = core->forgotten;

	dmr_verb_unlock(core);
	cond_resched();
	dmr_verb_lock(core);
	return !dmr_core_stopping(core) && !core->readonly && core->forgotten == forgotten &&
	       !core->doubt.nr && !core->nr_held;
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
	return !core->nr_held;
}

/*
 * No write that came before they were pending is on its way any more: read again. Return: false
 * if not all was looked at.
 */
static bool dmr_pending_check(struct dmr_core *core, u64 from, u64 to)
{
	bool readable;

	for (; from < to; from += core->block) {
		if (dmr_core_stopping(core) || !dmr_note_reads(core, from, &readable))
			return false;
		if (readable)
			dmr_holes_take(core, from, from + core->block);
		cond_resched();
	}
	return true;
}

static void dmr_pending_commit(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_remap *hole;
	struct dmr_change change;

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
 * they are pending first, so that writes come to us, and then looked at once more. A bad
 * medium takes its time: a message does not wait for all of it.
 */
static void dmr_note_hole(struct dmr_core *core, u64 from, u64 to)
{
	u64 before = dmr_map_of(core)->pending, end;
	unsigned int forgotten = core->forgotten;
	bool news;
	int r = 0;

	/* Apart, lest those rest that were not looked at. */
	for (u64 at = from; at < to && !r; at = end) {
		end = min_t(u64, to, at + DMR_NOTE_BLOCKS * core->block);
		r = dmr_pending_set(core, at, end);
		if (r)
			to = at;
	}
	news = dmr_map_of(core)->pending != before;
	mutex_unlock(&core->change);
	r = dmr_core_quiesce(core, true);
	dmr_change_lock(core);
	for (; !r && !core->nr_held && from < to; from = end) {
		end = min_t(u64, to, from + DMR_NOTE_BLOCKS * core->block);
		if (!dmr_pending_check(core, from, end))
			break;
		dmr_rest(core, from, end);
		if (news)
			dmr_pending_commit(core, from, end);
		if (end < to && !dmr_note_yield(core)) {
			from = end;
			break;
		}
	}
	/*
	 * What was not looked at must not rest; the next failed read tells again, unless main
	 * is another, and reads as anything.
	 */
	if (news && !core->nr_held && from < to && core->forgotten == forgotten)
		dmr_holes_take(core, from, to);
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
		/* What was written since may be somewhere else, or is about to be. */
		if (readable || dmr_spare_sector(core, from) != spare ||
		    dmr_claimed(core, from, from + core->block) || !dmr_spare_alive(core))
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
	unsigned int forgotten = core->forgotten;
	struct dmr_run run;

	/* What a doubt holds must stay as it is, and another table is not spoken of. */
	for (; from < to && !core->nr_held && !core->doubt.nr && !dmr_core_stopping(core) &&
	     core->forgotten == forgotten; from = run.end) {
		rcu_read_lock();
		dmr_table_lookup(&dmr_map_of(core)->table, from,
				 min(to, from + DMR_WINDOW_SECTORS), &run);
		rcu_read_unlock();
		/* Who writes there now finds out by himself. */
		if (dmr_claimed(core, from, run.end))
			continue;
		if (!run.remap || run.remap->ext.flags & DMR_HOLE)
			dmr_note_hole(core, from, run.end);
		else if (!(run.remap->ext.flags & DMR_LOST))
			dmr_note_mapped(core, from, run.end);
	}
}

/* Move a run that is not mapped yet, as a person would: nobody may write meanwhile. */
static int dmr_note_move(struct dmr_core *core, u64 from, u64 to)
{
	struct dmr_batch batch = {};
	struct dmr_remap *remap;
	u64 len = to - from;
	int r = -ENOMEM;

	/* Who writes there now finds out by himself. */
	if (dmr_claimed(core, from, to) || !dmr_breaker(core, len))
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

static int dmr_note_weak(struct dmr_core *core, u64 from, u64 to)
{
	int r = 0;

	while (from < to && !r) {
		const struct dmr_remap *next = dmr_next(dmr_map_of(core), from);
		u64 end = next ? min(to, max(from, next->start)) : to;

		if (from < end)
			r = dmr_note_move(core, from, end);
		/* What was moved is mapped now, and so is what comes next. */
		next = dmr_mapped(dmr_map_of(core), end, end + 1);
		from = next ? dmr_remap_end(next) : end;
	}
	return r;
}

static void dmr_note_see(struct dmr_core *core, const struct dmr_note *note)
{
	/* It may be of another table. */
	if (note->to > core->len || (note->from | note->to) & (core->block - 1))
		return;
	if (note->weak && dmr_note_weak(core, note->from, note->to) != -EIO)
		return;
	/* Unless it is the commit that failed. */
	if (!core->doubt.nr && !core->nr_held)
		dmr_note_pending(core, note->from, note->to);
}

static void dmr_note_work(struct work_struct *work)
{
	struct dmr_core *core = container_of(work, struct dmr_core, note_work);
	unsigned int noio = memalloc_noio_save();
	struct dmr_note note;

	dmr_verb_lock(core);
	while (!READ_ONCE(core->stop) && !core->readonly && READ_ONCE(core->nr_notes) &&
	       !dmr_persist_settle(core) && dmr_note_take(core, &note)) {
		dmr_note_see(core, &note);
		dmr_note_yield(core);
	}
	dmr_core_notice(core);
	dmr_verb_unlock(core);
	memalloc_noio_restore(noio);
}

void dmr_repair_forget(struct dmr_core *core, bool main)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 until = main ? get_jiffies_64() + DMR_REST_FOREVER : 0;
	struct dmr_remap *hole;

	core->forgotten++;
	spin_lock(&core->note_lock);
	WRITE_ONCE(core->nr_notes, 0);
	spin_unlock(&core->note_lock);
	for (u64 from = 0; (hole = dmr_next_hole(map, from)); from = dmr_remap_end(hole))
		if (main || !dmr_hole_void(hole))
			WRITE_ONCE(hole->ext.start, until);
	/* Those that an add has taken which is in doubt. */
	for (size_t i = 0; i < core->taken.nr; i++)
		if (main || !dmr_hole_void(core->taken.remaps[i]))
			WRITE_ONCE(core->taken.remaps[i]->ext.start, until);
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
	dmr_spans_init(&core->claims);
	spin_lock_init(&core->commit_lock);
	INIT_LIST_HEAD(&core->commits);
	spin_lock_init(&core->note_lock);
	INIT_WORK(&core->note_work, dmr_note_work);
	INIT_WORK(&core->refill, dmr_refill_work);

	if (dmr_verify_init(core))
		return -ENOMEM;
	core->check = kmalloc(DMR_VERIFY_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
	core->look = kmalloc(DMR_VERIFY_SECTORS << SECTOR_SHIFT, GFP_KERNEL);
	if (!core->check || !core->look)
		goto bad;
	/* Many at a time: a slow one delays no other. */
	core->mender = alloc_workqueue("dm-remap-v4-mend", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!core->mender)
		goto bad;
	dmr_refill_work(&core->refill);
	return 0;

bad:
	kfree(core->look);
	kfree(core->check);
	dmr_verify_exit(core);
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
	for (unsigned int i = 0; i < core->nr_held; i++)
		if (core->doubt_fresh[i])
			dmr_drop_room(core, core->doubt_fresh[i]);
	kfree(core->look);
	kfree(core->check);
}

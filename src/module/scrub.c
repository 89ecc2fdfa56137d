// SPDX-License-Identifier: GPL-2.0-only
#include "scrub.h"
#include "map.h"
#include "persist.h"
#include "repair.h"
#include "route.h"

#include <linux/bio.h>
#include <linux/ioprio.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

/* What is read at a time. */
#define DMR_SCRUB_PAGES		64
#define DMR_SCRUB_SECTORS	(DMR_SCRUB_PAGES * (PAGE_SIZE >> SECTOR_SHIFT))

/* How far it goes before it is written down: a gigabyte. */
#define DMR_SCRUB_MARK		BIT_ULL(21)

/* Blocks that fail without a success between, before main is looked at. */
#define DMR_SCRUB_STREAK	64

/**
 * struct dmr_scrub_buffer - where it is read to
 * @vecs:	the pages, as a bio has them
 * @pages:	the pages
 */
struct dmr_scrub_buffer {
	struct bio_vec	vecs[DMR_SCRUB_PAGES];
	struct page	*pages[DMR_SCRUB_PAGES];
};

static void dmr_scrub_free(struct dmr_scrub_buffer *buffer)
{
	if (!buffer)
		return;
	for (int i = 0; i < DMR_SCRUB_PAGES && buffer->pages[i]; i++)
		__free_page(buffer->pages[i]);
	kfree(buffer);
}

static struct dmr_scrub_buffer *dmr_scrub_alloc(void)
{
	struct dmr_scrub_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);

	for (int i = 0; i < DMR_SCRUB_PAGES && buffer; i++) {
		buffer->pages[i] = alloc_page(GFP_KERNEL);
		if (!buffer->pages[i]) {
			dmr_scrub_free(buffer);
			return NULL;
		}
	}
	return buffer;
}

/*
 *----------------------------------------------------------------
 * Reading
 *----------------------------------------------------------------
 */

/* Read the run from @from on, at most to @to, where it is served. Return: its end. */
static u64 dmr_scrub_read(struct dmr_core *core, u64 from, u64 to, blk_status_t *status)
{
	struct dmr_scrub_buffer *buffer = core->scrub.buffer;
	unsigned int left = (to - from) << SECTOR_SHIFT;
	struct bio bio;
	u64 end;

	bio_init(&bio, NULL, buffer->vecs, DMR_SCRUB_PAGES, REQ_OP_READ);
	/* The lowest but idle, which may not be served at all: a window waits for us. */
	bio.bi_ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7);
	for (int i = 0; left; i++) {
		unsigned int len = min_t(unsigned int, left, PAGE_SIZE);

		__bio_add_page(&bio, buffer->pages[i], len, 0);
		left -= len;
	}
	end = dmr_read_run(core, from, to, &bio, status);
	bio_uninit(&bio);
	/* What has no data, or has just failed, need not be read. */
	if (*status == BLK_STS_AGAIN)
		*status = BLK_STS_OK;
	return end;
}

/* Does the block fail, and does it come back? Return: so many have failed that it is enough. */
static bool dmr_scrub_block(struct dmr_core *core, u64 from)
{
	blk_status_t first, second;

	dmr_scrub_read(core, from, from + core->block, &first);
	if (!dmr_medium_error(first)) {
		atomic_set(&core->streak, 0);
		return false;
	}
	dmr_scrub_read(core, from, from + core->block, &second);
	if (!second)
		dmr_count(core, DMR_STAT_WEAK, core->block);
	dmr_error_saw(core, &(struct dmr_error) {
		.sector = from, .len = core->block,
		.opf = REQ_OP_READ, .status = second ?: first,
	});
	if (!second || dmr_medium_error(second))
		dmr_repair_note(core, from, from + core->block, !second);
	return second && atomic_inc_return(&core->streak) >= DMR_SCRUB_STREAK;
}

/* Some block of the run failed: which? Return: how far it got. */
static u64 dmr_scrub_blocks(struct dmr_core *core, u64 from, u64 to)
{
	bool over = false;

	/* One at least: a chunk of none is the end. */
	for (; from < to && !over; from += core->block) {
		over = dmr_scrub_block(core, from) || READ_ONCE(core->stop) ||
		       READ_ONCE(core->scrub.wanted);
		cond_resched();
	}
	return from;
}

/* The next chunk. Return: how many sectors were read. */
static u64 dmr_scrub_chunk(struct dmr_core *core)
{
	u64 from = round_down(core->scrub.at, core->block);
	u64 to = min3(from + DMR_SCRUB_SECTORS, core->len,
		      round_down(core->scrub.to, core->block));
	blk_status_t status;
	u64 end;

	if (from >= to)
		return 0;
	end = dmr_scrub_read(core, from, to, &status);
	if (dmr_medium_error(status))
		end = dmr_scrub_blocks(core, from, end);
	dmr_count(core, DMR_STAT_SCRUBBED, end - from);
	WRITE_ONCE(core->scrub.at, end);
	return end - from;
}

/*
 *----------------------------------------------------------------
 * Going on
 *----------------------------------------------------------------
 */

/* How far it came, for after a restart; if it cannot be told, it is done again. */
static void dmr_scrub_mark(struct dmr_core *core)
{
	unsigned int noio = memalloc_noio_save();

	dmr_change_lock(core);
	/* Not behind a suspend: the spare may be somebody else's then. */
	if (!READ_ONCE(core->stop) && !core->readonly && !dmr_persist_settle(core) &&
	    !dmr_persist_scrub(core))
		core->scrub.marked = core->scrub.at;
	dmr_core_notice(core);
	mutex_unlock(&core->change);
	memalloc_noio_restore(noio);
}

static void dmr_scrub_work(struct work_struct *work)
{
	struct dmr_core *core = container_of(to_delayed_work(work), struct dmr_core,
					     scrub.work);
	unsigned int rate = READ_ONCE(core->scrub.rate);
	bool over = false, mark = false;
	u64 sectors = 0;

	/* Main may be another when this is let go. */
	mutex_lock(&core->scrub.lock);
	if (rate && !READ_ONCE(core->stop)) {
		sectors = dmr_scrub_chunk(core);
		over = !sectors || READ_ONCE(core->auto_) == DMR_AUTO_TRIPPED;
		mark = core->scrub.at - core->scrub.marked >= DMR_SCRUB_MARK;
		if (over)
			WRITE_ONCE(core->scrub.rate, 0);
	}
	mutex_unlock(&core->scrub.lock);

	/* Takes the change lock, within which the other one is. */
	if (atomic_read(&core->streak) >= DMR_SCRUB_STREAK && dmr_repair_streak(core)) {
		mutex_lock(&core->scrub.lock);
		/* A stop that could not be written down puts it back without the lock. */
		over |= READ_ONCE(core->scrub.rate);
		WRITE_ONCE(core->scrub.rate, 0);
		mutex_unlock(&core->scrub.lock);
	}
	if (over) {
		DMINFO("%s: scrub ended at main sector %llu", dm_device_name(core->md),
		       READ_ONCE(core->scrub.at));
		dmr_count(core, DMR_STAT_SCRUBS, 1);
	}
	if (over || mark)
		dmr_scrub_mark(core);
	if (sectors && !over)
		queue_delayed_work(system_unbound_wq, &core->scrub.work,
				   usecs_to_jiffies(div_u64(sectors * USEC_PER_SEC,
							    (u64)rate << 11)));
}

void dmr_scrub_resume(struct dmr_core *core)
{
	if (READ_ONCE(core->scrub.rate))
		queue_delayed_work(system_unbound_wq, &core->scrub.work, 0);
}

bool dmr_scrub_ready(struct dmr_core *core)
{
	if (!core->scrub.buffer)
		core->scrub.buffer = dmr_scrub_alloc();
	return core->scrub.buffer;
}

void dmr_scrub_lock(struct dmr_core *core)
{
	WRITE_ONCE(core->scrub.wanted, true);
	mutex_lock(&core->scrub.lock);
	WRITE_ONCE(core->scrub.wanted, false);
}

static void dmr_scrub_set(struct dmr_core *core, u64 from, u64 to, unsigned int rate)
{
	dmr_scrub_lock(core);
	WRITE_ONCE(core->scrub.at, from);
	WRITE_ONCE(core->scrub.to, to);
	WRITE_ONCE(core->scrub.rate, rate);
	core->scrub.marked = from;
	mutex_unlock(&core->scrub.lock);
}

int dmr_scrub_start(struct dmr_core *core, u64 from, u64 to, unsigned int rate)
{
	u64 old_at, old_to;
	unsigned int old_rate;
	int r = 0;

	dmr_scrub_lock(core);
	old_at = core->scrub.at;
	old_to = core->scrub.to;
	old_rate = core->scrub.rate;
	if (!dmr_scrub_ready(core))
		r = -ENOMEM;
	mutex_unlock(&core->scrub.lock);
	if (r)
		return dmr_refuse(core, r, "no memory for a scrub");

	dmr_scrub_set(core, from, to, rate);
	if (!core->readonly)
		r = dmr_persist_scrub(core);
	if (r)
		dmr_scrub_set(core, old_at, old_to, old_rate);
	dmr_scrub_resume(core);
	return r;
}

int dmr_scrub_stop(struct dmr_core *core)
{
	unsigned int rate;
	int r = 0;

	dmr_scrub_lock(core);
	rate = core->scrub.rate;
	WRITE_ONCE(core->scrub.rate, 0);
	mutex_unlock(&core->scrub.lock);
	if (!core->readonly)
		r = dmr_persist_scrub(core);
	if (r) {
		WRITE_ONCE(core->scrub.rate, rate);
		dmr_scrub_resume(core);
	}
	return r;
}

void dmr_scrub_init(struct dmr_core *core)
{
	mutex_init(&core->scrub.lock);
	INIT_DELAYED_WORK(&core->scrub.work, dmr_scrub_work);
}

void dmr_scrub_exit(struct dmr_core *core)
{
	cancel_delayed_work_sync(&core->scrub.work);
	dmr_scrub_free(core->scrub.buffer);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer's target: metadata.c meets an image that somebody has made up (image.h).
 * Whatever it is:
 *
 *  - nothing crashes, reads out of range, or reads more than some times the spare;
 *  - a map that is loaded has no overlaps, and lies within both devices, beside the areas;
 *  - recovered, changed, and loaded again it is the same map;
 *  - what dmremap repair makes of one that cannot be loaded can.
 */
#include "image.h"
#include "salvage.h"
#include "tool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

/* Each of two halves in two copies, for the looks that loading takes, and then some. */
#define MAX_READS(image)	(32ULL * (image)->nr + 8192)

/* What salvage.c tells is not wanted here. */
void say(const char *fmt, ...)
{
}

int complain(const char *fmt, ...)
{
	return FAILED;
}

static struct image image;
static struct owner owner;

static u64 hash(u64 sum, u64 value)
{
	return (sum ^ value) * 0x9e3779b97f4a7c15ULL;
}

/**
 * struct seen - what was checked of a map
 * @spare:	by sector of the spare: in use
 * @type:	of the record before
 * @end:	behind the main sectors of that
 * @sum:	tells maps apart
 */
struct seen {
	u8	spare[MAX_BLOCKS * DMR_BLOCK_SECTORS];
	u8	type;
	u64	end;
	u64	sum;
};

static void see_spare(struct seen *seen, u64 start, u64 len)
{
	assert(len && len <= owner.m.size && start <= owner.m.size - len);
	assert(!memchr(seen->spare + start, 1, len));
	memset(seen->spare + start, 1, len);
}

static void see_main(struct seen *seen, u64 start, u64 len)
{
	assert(len && start >= seen->end);
	assert(len <= owner.m.len && start <= owner.m.len - len);
	seen->end = start + len;
}

static int see_record(void *arg, const struct dmr_change *change)
{
	struct seen *seen = arg;

	if (change->type == DMR_RECORD_PENDING && seen->type != DMR_RECORD_PENDING)
		seen->end = 0;
	seen->type = change->type;
	switch (change->type) {
	case DMR_RECORD_MAP:
	case DMR_RECORD_LOST:
		see_main(seen, change->main, change->len);
		see_spare(seen, change->spare, change->len);
		break;
	case DMR_RECORD_PENDING:
		see_main(seen, change->main, change->len);
		break;
	case DMR_RECORD_ASIDE:
		see_spare(seen, change->spare, change->len);
		break;
	default:
		assert(change->type == DMR_RECORD_SCRUB);
	}
	seen->sum = hash(hash(hash(hash(seen->sum, change->type), change->main),
			      change->spare), change->len);
	return 0;
}

/* Is the map one that can be? Returns what tells it apart. */
static u64 see_map(void)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	see_spare(&seen, 0, DMR_BLOCK_SECTORS);
	see_spare(&seen, owner.m.backup, DMR_BLOCK_SECTORS);
	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES; i++) {
		const struct dmr_extent *area = &owner.m.areas[i / DMR_HALVES][i % DMR_HALVES];

		see_spare(&seen, area->start, area->len);
	}
	owner_each(&owner, see_record, &seen);
	return seen.sum;
}

static int load(void)
{
	owner_reset(&owner, (u64)image.nr * DMR_BLOCK_SECTORS);
	return owner_load(&owner);
}

/* A remap where nothing is, or the first that there is, away. */
static bool pick_change(struct dmr_change *change, bool add)
{
	u64 block = owner.m.block;

	*change = (struct dmr_change){ add ? DMR_RECORD_MAP : DMR_RECORD_UNMAP, 0, 0, block };
	while (change->main < 4096 * block && change->main + block <= owner.m.len &&
	       !runs_find(&owner.by_main, change->main, block) == !add)
		change->main += block;
	if (change->main == 4096 * block || change->main + block > owner.m.len)
		return false;
	while (add && !owner_free(&owner, change->spare, block)) {
		change->spare += block;
		if (change->spare >= owner.m.size)
			return false;
	}
	return true;
}

static void change_map(bool add)
{
	struct dmr_change change;
	u64 map = see_map();
	int r;

	if (!pick_change(&change, add))
		return;
	r = owner_commit(&owner, &change, 1);
	assert(!r || r == -ENOSPC);
	assert(r || see_map() != map);
	map = see_map();
	r = load();
	assert(!r && see_map() == map);
}

static void live_on(void)
{
	u64 map = see_map();
	int r = dmr_meta_recover(&owner.m);

	assert(!r || r == -ENOSPC);
	assert(see_map() == map);
	r = load();
	assert(!r && see_map() == map);
	change_map(true);
	change_map(false);
}

/* As dmremap repair does it; without superblocks, main is told to it. */
static void repair(bool lost)
{
	bool moved = false;
	u64 epoch;
	int r;

	if (lost) {
		owner_reset(&owner, (u64)image.nr * DMR_BLOCK_SECTORS);
		owner.m.len = 1 << 20;
		owner.m.spare_size = owner.m.size;
		if (salvage_areas(&owner, NULL, &moved))
			return;
	}
	owner_forget(&owner);
	r = salvage_map(&owner, &epoch);
	if (!r)
		r = moved ? salvage_new_areas(&owner) : salvage_take_areas(&owner);
	if (!r)
		r = owner_write(&owner, epoch);
	if (!r) {
		u64 map = see_map();

		r = load();
		assert(!r && see_map() == map);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct owner_io io = { image_read, image_write, &image };
	int dry, r;

	if (!owner.m.buffer && owner_init(&owner, &io, 0))
		abort();
	image_decode(&image, data, size);
	owner_reset(&owner, (u64)image.nr * DMR_BLOCK_SECTORS);
	dry = owner_probe(&owner);
	if (!dry)
		dry = dmr_meta_find(&owner.m);
	r = load();
	assert(image.reads <= MAX_READS(&image));
	assert(r ? r == dry || (!dry && r == -EUCLEAN) : !dry);
	if (!r && !owner.m.ro_compat)
		live_on();
	else if (r == -EUCLEAN || r == -EEXIST)
		repair(owner_probe(&owner));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
#include "owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spare.h"

static struct owner owner;
static struct map map;
static struct spare_io disk;
static u32 size;

static int read_disk(void *context, u64 sector, void *data, unsigned int blocks)
{
	return disk.read(disk.context, sector, data, blocks);
}

static int write_disk(void *context, u64 sector, const void *data, unsigned int blocks,
		      bool durable)
{
	return disk.write(disk.context, sector, data, blocks, durable);
}

/*
 * The map is the owner's, in the judge's terms. A part of a remap that is pending is a
 * remap of its own to a kernel.
 */
static void take_map(void)
{
	const struct run *run;

	map_clear(&map);
	for (u64 from = 0; (run = runs_from(&owner.by_main, from));
	     from = run->start + run->len) {
		if (!map_add(&map, run->start, run->to, run->len))
			abort();
		memset(map.lost + run->start, run->type == DMR_RECORD_LOST, run->len);
	}
	for (u64 from = 0; (run = runs_from(&owner.pending, from));
	     from = run->start + run->len) {
		memset(map.pending + run->start, 1, run->len);
		map_split(&map, run->start);
		map_split(&map, run->start + run->len);
	}
}

void spare_init(u32 main_sectors, u32 spare_sectors, const struct spare_io *io)
{
	static const struct owner_io owner_io = { read_disk, write_disk, NULL };

	disk = *io;
	size = spare_sectors;
	map_init(&map, main_sectors);
	if (owner_init(&owner, &owner_io, size))
		abort();
}

void spare_choose(u32 spare_sectors)
{
	size = spare_sectors;
}

int spare_load(void)
{
	int r;

	owner_reset(&owner, size);
	r = owner_probe(&owner);
	if (!r && owner.m.len != map.sectors) {
		snprintf(owner.said, sizeof(owner.said), "of a main device of %llu sectors",
			 owner.m.len);
		r = -EUCLEAN;
	}
	if (r == -ESTALE)
		snprintf(owner.said, sizeof(owner.said), "it is %s",
			 owner.m.moving == DMR_SUPER_RETIRED ? "retired" : "joining");
	if (!r)
		r = owner_replay(&owner);
	take_map();
	return r;
}

struct super spare_super(void)
{
	struct super super = {
		.joining = owner.m.moving == DMR_SUPER_JOINING,
		.retired = owner.m.moving == DMR_SUPER_RETIRED,
	};

	memcpy(super.uuid, owner.m.uuid, sizeof(super.uuid));
	memcpy(super.peer, owner.m.peer, sizeof(super.peer));
	return super;
}

int spare_join(void)
{
	int r = owner_replay(&owner);

	return r ? r : dmr_meta_join(&owner.m);
}

int spare_recover(void)
{
	return dmr_meta_recover(&owner.m);
}

int spare_format(uint64_t seed)
{
	owner_reset(&owner, size);
	memcpy(owner.m.uuid, &seed, sizeof(seed));
	owner.m.len = map.sectors;
	return dmr_meta_format(&owner.m);
}

int spare_commit(const struct change *changes, unsigned int nr)
{
	struct dmr_change *records = calloc(nr, sizeof(*records));
	int r;

	if (!records)
		abort();
	for (unsigned int i = 0; i < nr; i++) {
		bool add = changes[i].spare != NOWHERE;

		records[i] = (struct dmr_change) {
			.type = add ? DMR_RECORD_MAP : DMR_RECORD_UNMAP,
			.main = changes[i].main,
			.spare = add ? changes[i].spare : 0,
			.len = changes[i].len,
		};
	}
	r = owner_commit(&owner, records, nr);
	free(records);
	take_map();
	return r;
}

bool spare_free(u32 spare, u32 len)
{
	return owner_free(&owner, spare, len);
}

unsigned int spare_aside(void)
{
	const struct run *run;
	unsigned int nr = 0;

	for (u64 from = 0; (run = runs_from(&owner.by_spare, from));
	     from = run->start + run->len)
		if (run->type == DMR_RECORD_ASIDE)
			nr += run->len;
	return nr;
}

struct scrub spare_scrub(void)
{
	return (struct scrub) { owner.scrub.main, owner.scrub.spare, owner.scrub.len };
}

const struct map *spare_map(void)
{
	return &map;
}

const char *spare_said(void)
{
	return owner.said;
}

unsigned int spare_count(void)
{
	return owner.by_main.nr;
}

unsigned int spare_area_sectors(void)
{
	return dmr_meta_sectors(&owner.m);
}

uint64_t spare_epoch(void)
{
	return owner.m.epoch;
}

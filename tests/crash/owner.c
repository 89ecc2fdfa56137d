// SPDX-License-Identifier: GPL-2.0-only
#include "metadata.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "owner.h"

static struct {
	struct dmr_meta	m;
	struct spare_io	io;
	struct map	map;
	u32		size;
	u8		*used;		/* by sector of the spare */
	char		said[256];
} o;

/*
 * Maps
 */

static void *array(u32 nr)
{
	void *p = calloc(nr, sizeof(u32));

	if (!p)
		abort();
	return p;
}

static void map_clear(struct map *map)
{
	memset(map->to, 0xff, map->sectors * sizeof(*map->to));
	memset(map->len, 0, map->sectors * sizeof(*map->len));
}

void map_init(struct map *map, u32 sectors)
{
	map->sectors = sectors;
	map->to = array(sectors);
	map->len = array(sectors);
	map_clear(map);
}

void map_copy(struct map *map, const struct map *from)
{
	memcpy(map->to, from->to, from->sectors * sizeof(*from->to));
	memcpy(map->len, from->len, from->sectors * sizeof(*from->len));
}

bool map_same(const struct map *a, const struct map *b)
{
	return !memcmp(a->to, b->to, a->sectors * sizeof(*a->to)) &&
	       !memcmp(a->len, b->len, a->sectors * sizeof(*a->len));
}

bool map_any(const struct map *map, u32 main, u32 len)
{
	for (u32 s = main; s < main + len; s++)
		if (map->to[s] != NOWHERE)
			return true;
	return false;
}

bool map_add(struct map *map, u32 main, u32 spare, u32 len)
{
	if (map_any(map, main, len))
		return false;
	for (u32 i = 0; i < len; i++)
		map->to[main + i] = spare + i;
	map->len[main] = len;
	return true;
}

void map_cut(struct map *map, u32 main, u32 len)
{
	u32 end = main + len, start = main;

	/* The remap that reaches in from before. */
	while (map->to[main] != NOWHERE && !map->len[start])
		start--;
	if (start < main) {
		u32 rest = start + map->len[start];

		map->len[start] = main - start;
		if (rest > end)
			map->len[end] = rest - end;
	}
	for (u32 s = main; s < end; s++) {
		if (s + map->len[s] > end)
			map->len[end] = s + map->len[s] - end;
		map->len[s] = 0;
		map->to[s] = NOWHERE;
	}
}

/*
 * What metadata.c asks of its owner
 */

static int op_read(struct dmr_meta *m, u64 sector, void *data, unsigned int blocks)
{
	return o.io.read(o.io.context, sector, data, blocks);
}

static int op_write(struct dmr_meta *m, u64 sector, const void *data,
		    unsigned int blocks, bool durable)
{
	return o.io.write(o.io.context, sector, data, blocks, durable);
}

static bool within(u64 start, u64 len, u64 size)
{
	return len && len <= size && start <= size - len;
}

static bool all_free(u32 start, u32 len)
{
	return !memchr(o.used + start, 1, len);
}

static void spare_put(const struct map *map, u32 main, u32 len, int used)
{
	for (u32 s = main; s < main + len; s++)
		if (map->to[s] != NOWHERE)
			o.used[map->to[s]] = used;
}

static int op_apply(struct dmr_meta *m, const struct dmr_change *change)
{
	if (!within(change->main, change->len, o.map.sectors))
		return -EUCLEAN;
	switch (change->type) {
	case DMR_RECORD_MAP:
		if (!within(change->spare, change->len, o.size) ||
		    !all_free(change->spare, change->len) ||
		    !map_add(&o.map, change->main, change->spare, change->len))
			return -EUCLEAN;
		spare_put(&o.map, change->main, change->len, 1);
		return 0;
	case DMR_RECORD_UNMAP:
		spare_put(&o.map, change->main, change->len, 0);
		map_cut(&o.map, change->main, change->len);
		return 0;
	}
	return -EUCLEAN;
}

static int op_each(struct dmr_meta *m, dmr_change_fn fn)
{
	int r = 0;

	for (u32 s = 0; s < o.map.sectors && !r; s++) {
		struct dmr_change change = {
			.type = DMR_RECORD_MAP,
			.main = s, .spare = o.map.to[s], .len = o.map.len[s],
		};

		if (change.len)
			r = fn(m, &change);
	}
	return r;
}

static u64 op_count(struct dmr_meta *m)
{
	u64 nr = 0;

	for (u32 s = 0; s < o.map.sectors; s++)
		nr += !!o.map.len[s];
	return nr;
}

static int op_take(struct dmr_meta *m, struct dmr_extent *area)
{
	bool found = area->start != DMR_LOWEST && area->start != DMR_HIGHEST;

	if (area->len > o.size)
		return -ENOSPC;
	if (area->start == DMR_LOWEST)
		for (u32 at = DMR_BLOCK_SECTORS; !found && at + area->len <= o.size;
		     at += DMR_BLOCK_SECTORS) {
			found = all_free(at, area->len);
			area->start = at;
		}
	else if (area->start == DMR_HIGHEST)
		for (u32 at = round_down(o.size - area->len, DMR_BLOCK_SECTORS);
		     !found && at; at -= DMR_BLOCK_SECTORS) {
			found = all_free(at, area->len);
			area->start = at;
		}
	if (!found)
		return -ENOSPC;
	if (!within(area->start, area->len, o.size) || !all_free(area->start, area->len))
		return -EBUSY;
	memset(o.used + area->start, 1, area->len);
	return 0;
}

static void op_give(struct dmr_meta *m, struct dmr_extent *area)
{
	memset(o.used + area->start, 0, area->len);
}

static void op_problem(struct dmr_meta *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(o.said, sizeof(o.said), fmt, args);
	va_end(args);
}

static const struct dmr_meta_ops ops = {
	.read = op_read,
	.write = op_write,
	.apply = op_apply,
	.each = op_each,
	.count = op_count,
	.take = op_take,
	.give = op_give,
	.problem = op_problem,
};

/*
 * The owner
 */

static void owner_reset(void)
{
	void *buffer = o.m.buffer;

	memset(&o.m, 0, sizeof(o.m));
	o.m.ops = &ops;
	o.m.buffer = buffer;
	o.m.size = o.size;
	memset(o.used, 0, o.size);
	memset(o.used, 1, DMR_BLOCK_SECTORS);
	map_clear(&o.map);
	o.said[0] = '\0';
}

void owner_init(u32 main_sectors, u32 spare_sectors, const struct spare_io *io)
{
	o.io = *io;
	o.size = spare_sectors;
	o.used = array(spare_sectors);
	o.m.buffer = malloc(DMR_META_BUFFER);
	map_init(&o.map, main_sectors);
}

int owner_load(void)
{
	int r;

	owner_reset();
	r = dmr_meta_probe(&o.m);
	if (!r && o.m.len != o.map.sectors) {
		op_problem(&o.m, "of a main device of %llu sectors", o.m.len);
		return -EUCLEAN;
	}
	if (!r)
		r = dmr_meta_find(&o.m);
	return r ? r : dmr_meta_load(&o.m);
}

int owner_recover(void)
{
	return dmr_meta_recover(&o.m);
}

int owner_format(u64 seed)
{
	owner_reset();
	memcpy(o.m.uuid, &seed, sizeof(seed));
	o.m.len = o.map.sectors;
	o.m.block = 1;
	return dmr_meta_format(&o.m);
}

static struct dmr_change record_of(const struct change *change)
{
	bool add = change->spare != NOWHERE;

	return (struct dmr_change){
		.type = add ? DMR_RECORD_MAP : DMR_RECORD_UNMAP,
		.main = change->main,
		.spare = add ? change->spare : 0,
		.len = change->len,
	};
}

/* What is added must not become an area meanwhile. */
static void hold(const struct change *changes, unsigned int nr, int used)
{
	for (unsigned int i = 0; i < nr; i++)
		if (changes[i].spare != NOWHERE)
			memset(o.used + changes[i].spare, used, changes[i].len);
}

int owner_commit(const struct change *changes, unsigned int nr)
{
	int r;

	hold(changes, nr, 1);
	r = dmr_meta_begin(&o.m, nr);
	if (!r) {
		for (unsigned int i = 0; i < nr; i++) {
			struct dmr_change change = record_of(&changes[i]);

			dmr_meta_put(&o.m, &change);
		}
		r = dmr_meta_end(&o.m);
	}
	hold(changes, nr, 0);
	for (unsigned int i = 0; i < nr && !r; i++) {
		struct dmr_change change = record_of(&changes[i]);

		r = op_apply(&o.m, &change);
	}
	return r;
}

bool owner_free(u32 spare, u32 len)
{
	return all_free(spare, len);
}

const struct map *owner_map(void)
{
	return &o.map;
}

const char *owner_said(void)
{
	return o.said;
}

unsigned int owner_count(void)
{
	return op_count(&o.m);
}

unsigned int owner_area_sectors(void)
{
	return dmr_meta_sectors(&o.m);
}

u64 owner_epoch(void)
{
	return o.m.epoch;
}

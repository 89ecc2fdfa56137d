// SPDX-License-Identifier: GPL-2.0-only
#include "map.h"
#include "persist.h"
#include "relocate.h"
#include "repair.h"
#include "scrub.h"

#include <linux/highmem.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uuid.h>
#include <linux/vmalloc.h>

static struct dmr_map *dmr_map_of_meta(struct dmr_meta *m)
{
	return container_of(m, struct dmr_map, meta);
}

/*
 *----------------------------------------------------------------
 * What metadata asks of its owner
 *----------------------------------------------------------------
 */

static int dmr_persist_io(struct dmr_meta *m, blk_opf_t opf, u64 sector, void *data,
			  unsigned int blocks)
{
	struct block_device *bdev = dmr_map_of_meta(m)->bdev;
	unsigned int bytes = blocks * DMR_BLOCK_SIZE, len;
	struct bio_vec vecs[DMR_META_CHUNK];
	struct bio bio;
	int r;

	/* One at a time, so none is allocated: nothing to wait for under reclaim. */
	bio_init(&bio, bdev, vecs, ARRAY_SIZE(vecs), opf);
	bio.bi_iter.bi_sector = sector;
	for (unsigned int at = 0; at < bytes; at += len) {
		len = min_t(unsigned int, bytes - at,
			    PAGE_SIZE - offset_in_page(data + at));
		__bio_add_page(&bio, vmalloc_to_page(data + at), len,
			       offset_in_page(data + at));
	}
	flush_kernel_vmap_range(data, bytes);
	r = submit_bio_wait(&bio);
	invalidate_kernel_vmap_range(data, bytes);
	bio_uninit(&bio);
	return r;
}

static int dmr_persist_read(struct dmr_meta *m, u64 sector, void *data,
			    unsigned int blocks)
{
	return dmr_persist_io(m, REQ_OP_READ | REQ_META, sector, data, blocks);
}

static int dmr_persist_write(struct dmr_meta *m, u64 sector, const void *data,
			     unsigned int blocks, bool durable)
{
	blk_opf_t opf = REQ_OP_WRITE | REQ_META | REQ_SYNC;

	if (durable)
		opf |= REQ_PREFLUSH | REQ_FUA;
	return dmr_persist_io(m, opf, sector, (void *)data, blocks);
}

/* All that is kept of the spare, but not by a remap, is part of the map. */
static bool dmr_is_remap(const struct dmr_map *map, const struct dmr_extent *ext)
{
	return (void *)ext < (void *)map || (void *)ext >= (void *)(map + 1);
}

static void dmr_change_map(struct dmr_change *change, const struct dmr_remap *remap)
{
	*change = (struct dmr_change) {
		.type = remap->ext.flags & DMR_LOST ? DMR_RECORD_LOST : DMR_RECORD_MAP,
		.main = remap->start,
		.spare = remap->ext.start,
		.len = remap->ext.len,
	};
}

static void dmr_change_pending(struct dmr_change *change, const struct dmr_remap *remap)
{
	*change = (struct dmr_change) {
		.type = DMR_RECORD_PENDING,
		.main = remap->start,
		.len = remap->ext.len,
	};
}

static void dmr_change_scrub(struct dmr_change *change, const struct dmr_core *core)
{
	*change = (struct dmr_change) {
		.type = DMR_RECORD_SCRUB,
		.main = READ_ONCE(core->scrub.at),
		.spare = core->scrub.to,
		.len = READ_ONCE(core->scrub.rate),
	};
}

static int dmr_each_extent(struct dmr_meta *m, const struct dmr_remap *remap,
			   dmr_change_fn fn)
{
	struct dmr_change change;
	int r;

	if (remap->ext.flags & DMR_ADDING)
		return 0;
	if (remap->ext.flags & DMR_ASIDE) {
		change = (struct dmr_change) {
			.type = DMR_RECORD_ASIDE,
			.spare = remap->ext.start,
			.len = remap->ext.len,
		};
		return fn(m, &change);
	}
	dmr_change_map(&change, remap);
	r = fn(m, &change);
	if (!r && remap->ext.flags & DMR_PENDING) {
		dmr_change_pending(&change, remap);
		r = fn(m, &change);
	}
	return r;
}

static int dmr_persist_each(struct dmr_meta *m, dmr_change_fn fn)
{
	struct dmr_map *map = dmr_map_of_meta(m);
	const struct dmr_core *core = map->core;
	struct dmr_change change;
	struct rb_node *node;
	int r = 0;

	for (node = rb_first(&map->spare.used); node && !r; node = rb_next(node)) {
		const struct dmr_extent *ext = rb_entry(node, struct dmr_extent, node);

		if (dmr_is_remap(map, ext))
			r = dmr_each_extent(m, container_of(ext, struct dmr_remap, ext), fn);
		cond_resched();
	}
	for (node = rb_first(&map->holes); node && !r; node = rb_next(node)) {
		const struct dmr_remap *hole = rb_entry(node, struct dmr_remap, ext.node);

		dmr_change_pending(&change, hole);
		if (hole->ext.flags & DMR_PENDING)
			r = fn(m, &change);
		cond_resched();
	}
	/* The add that has taken them may not come to be. */
	for (size_t i = 0; i < core->taken.nr && !r; i++) {
		dmr_change_pending(&change, core->taken.remaps[i]);
		r = fn(m, &change);
		cond_resched();
	}
	if (!r && READ_ONCE(core->scrub.rate)) {
		dmr_change_scrub(&change, core);
		r = fn(m, &change);
	}
	return r;
}

/* At most: remaps, some of which may be pending; holes; what is aside; the scrub. */
static u64 dmr_persist_count(struct dmr_meta *m)
{
	const struct dmr_map *map = dmr_map_of_meta(m);

	return map->remaps + map->nr_pending + map->nr_holes + map->core->taken.nr +
	       map->nr_aside + 1;
}

/* Areas are whole blocks of the log and of main. */
static int dmr_persist_take(struct dmr_meta *m, struct dmr_extent *area)
{
	struct dmr_map *map = dmr_map_of_meta(m);
	u64 unit = max_t(u64, DMR_BLOCK_SECTORS, m->block);
	u64 room = area->len + unit - 1, start, gap;

	if (area->start == DMR_LOWEST) {
		if (!dmr_spare_find(&map->spare, room, &start))
			return -ENOSPC;
		area->start = round_up(start, unit);
	} else if (area->start == DMR_HIGHEST) {
		gap = dmr_spare_find_last(&map->spare, room, &start);
		if (!gap)
			return -ENOSPC;
		area->start = round_down(start + gap - area->len, unit);
	}
	area->flags = 0;
	return dmr_spare_take(&map->spare, area);
}

static void dmr_persist_give(struct dmr_meta *m, struct dmr_extent *area)
{
	dmr_spare_give(&dmr_map_of_meta(m)->spare, area);
}

__printf(2, 3)
static void dmr_persist_problem(struct dmr_meta *m, const char *fmt, ...)
{
	struct va_format text = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	text.va = &args;
	DMWARN_LIMIT("%s: metadata: %pV", dm_device_name(dmr_map_of_meta(m)->core->md), &text);
	va_end(args);
}

/*
 *----------------------------------------------------------------
 * Replay: no bio is there, but a constructor may look
 *----------------------------------------------------------------
 */

/* Free what a replay has left over, and what it took out again. */
static void dmr_replay_end(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);

	while (map->nr_stock)
		dmr_remap_free(map->stock[--map->nr_stock]);
	map->replay = false;
	dmr_map_reap(map);
}

static bool dmr_change_fits(const struct dmr_core *core, const struct dmr_change *change)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 len = map->meta.len;

	return change->len && change->len <= len && change->main <= len - change->len &&
	       !((change->main | change->spare | change->len) & (map->meta.block - 1));
}

static struct dmr_remap *dmr_replay_remap(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);

	if (!map->nr_stock) {
		if (!dmr_remap_alloc_many(map->stock, DMR_STOCK))
			return NULL;
		map->nr_stock = DMR_STOCK;
	}
	return map->stock[--map->nr_stock];
}

/* An extent of the spare, as a change has it. */
static int dmr_replay_take(struct dmr_core *core, const struct dmr_change *change,
			   u8 flags, struct dmr_remap **taken)
{
	struct dmr_remap *remap = dmr_replay_remap(core);

	if (!remap)
		return -ENOMEM;
	remap->start = change->main;
	remap->ext.start = change->spare;
	remap->ext.len = change->len;
	remap->ext.flags = flags;
	if (dmr_spare_take(&dmr_map_of(core)->spare, &remap->ext)) {
		dmr_remap_free(remap);
		return -EUCLEAN;
	}
	*taken = remap;
	return 0;
}

static int dmr_replay_map(struct dmr_core *core, const struct dmr_change *change)
{
	struct dmr_map *map = dmr_map_of(core);
	u8 flags = change->type == DMR_RECORD_LOST ? DMR_LOST : 0;
	u64 end = change->main + change->len;
	struct dmr_remap *remap;
	int r;

	if (dmr_mapped(map, change->main, end))
		return -EUCLEAN;
	if (map->nr_holes)
		dmr_holes_take(core, change->main, end);
	r = dmr_replay_take(core, change, flags, &remap);
	if (!r)
		dmr_map_insert(map, remap);
	return r;
}

static int dmr_replay_aside(struct dmr_core *core, const struct dmr_change *change)
{
	struct dmr_remap *aside;
	int r = dmr_replay_take(core, change, DMR_ASIDE, &aside);

	if (!r)
		dmr_map_aside(dmr_map_of(core), change->len);
	return r;
}

/* What is left of @remap at either side of [@first, @last). */
static int dmr_replay_cut(struct dmr_core *core, struct dmr_remap *remap, u64 first,
			  u64 last)
{
	struct dmr_map *map = dmr_map_of(core);
	u64 from[2] = { remap->start, max(last, remap->start) };
	u64 to[2] = { min(first, dmr_remap_end(remap)), dmr_remap_end(remap) };
	struct dmr_extent *parts[2];
	unsigned int nr = 0;

	dmr_map_remove(map, remap);
	for (int i = 0; i < 2; i++) {
		struct dmr_remap *part;

		if (from[i] >= to[i])
			continue;
		part = dmr_remap_part(remap, from[i], to[i]);
		if (!part) {
			/* All will be dropped. */
			dmr_spare_give(&map->spare, &remap->ext);
			dmr_map_doom(map, remap);
			return -ENOMEM;
		}
		dmr_map_insert(map, part);
		parts[nr++] = &part->ext;
	}
	dmr_spare_cut(&map->spare, &remap->ext, parts, nr);
	dmr_map_doom(map, remap);
	return 0;
}

static int dmr_replay_unmap(struct dmr_core *core, const struct dmr_change *change)
{
	u64 first = change->main, last = first + change->len, from = first;
	int r = 0;

	while (from < last && !r) {
		struct dmr_remap *remap = dmr_next(dmr_map_of(core), from);

		if (!remap || remap->start >= last)
			break;
		from = dmr_remap_end(remap);
		r = dmr_replay_cut(core, remap, first, last);
	}
	return r;
}

/* It goes on when the device is resumed, if there is memory for it. */
static int dmr_replay_scrub(struct dmr_core *core, const struct dmr_change *change)
{
	if (change->len > DMR_SCRUB_RATE_MAX)
		return -EUCLEAN;
	/* Nobody scrubs, but `stats` may be asking. */
	WRITE_ONCE(core->scrub.at, change->main);
	core->scrub.marked = change->main;
	WRITE_ONCE(core->scrub.to, change->spare);
	WRITE_ONCE(core->scrub.rate, dmr_scrub_ready(core) ? change->len : 0);
	return 0;
}

static int dmr_persist_apply(struct dmr_meta *m, const struct dmr_change *change)
{
	struct dmr_core *core = dmr_map_of_meta(m)->core;

	cond_resched();
	if (change->type == DMR_RECORD_SCRUB)
		return dmr_replay_scrub(core, change);
	if (!dmr_change_fits(core, change))
		return -EUCLEAN;
	switch (change->type) {
	case DMR_RECORD_MAP:
	case DMR_RECORD_LOST:
		return dmr_replay_map(core, change);
	case DMR_RECORD_UNMAP:
		return dmr_replay_unmap(core, change);
	case DMR_RECORD_PENDING:
		return dmr_pending_set(core, change->main, change->main + change->len);
	case DMR_RECORD_SOUND:
		dmr_holes_take(core, change->main, change->main + change->len);
		return 0;
	case DMR_RECORD_ASIDE:
		return dmr_replay_aside(core, change);
	}
	return -EUCLEAN;
}

static const struct dmr_meta_ops dmr_persist_ops = {
	.read = dmr_persist_read,
	.write = dmr_persist_write,
	.apply = dmr_persist_apply,
	.each = dmr_persist_each,
	.count = dmr_persist_count,
	.take = dmr_persist_take,
	.give = dmr_persist_give,
	.problem = dmr_persist_problem,
};

/*
 *----------------------------------------------------------------
 * Opening
 *----------------------------------------------------------------
 */

int dmr_persist_init(struct dmr_map *map)
{
	if (map->core->volatile_)
		return 0;
	map->meta.ops = &dmr_persist_ops;
	map->meta.buffer = vmalloc(DMR_META_BUFFER);
	return map->meta.buffer ? 0 : -ENOMEM;
}

void dmr_persist_exit(struct dmr_map *map)
{
	vfree(map->meta.buffer);
}

/* Does what the superblock says suit the table? */
static int dmr_persist_suits(const struct dmr_core *core, const struct dmr_user *u,
			     char **error)
{
	const struct dmr_meta *m = &dmr_map_of(core)->meta;

	if (m->ro_compat && !u->readonly) {
		*error = "Spare's metadata is of a newer format";
		return -EOPNOTSUPP;
	}
	if (m->len != u->len && !u->resize) {
		*error = "Spare belongs to a main device of another length (see resize)";
		return -EINVAL;
	}
	if (m->main_id[0] && u->main_id[0] && strcmp(m->main_id, u->main_id) && !u->adopt) {
		*error = "Spare belongs to another main device (see main_id, adopt)";
		return -EINVAL;
	}
	return 0;
}

static int dmr_persist_probe(struct dmr_core *core, const struct dmr_user *u,
			     char **error)
{
	struct dmr_meta *m = &dmr_map_of(core)->meta;
	int r;

	m->size = dmr_user_spare_size(u);
	m->block = dmr_user_block(u);
	r = u->format ? -ENODATA : dmr_meta_probe(m);
	switch (r) {
	case 0:
		return dmr_persist_suits(core, u, error);
	case -ENODATA:
		*error = "Spare holds no metadata, and the table is read-only";
		return u->readonly ? -EROFS : r;
	case -EEXIST:
		*error = "Spare holds something else (see format)";
		break;
	case -EUCLEAN:
		*error = "Spare's metadata is damaged";
		break;
	case -EOPNOTSUPP:
		*error = "Spare's metadata is of a newer format";
		break;
	case -ERANGE:
		*error = "Spare device has become smaller";
		break;
	case -ESTALE:
		*error = m->moving == DMR_SUPER_RETIRED ?
			 "Spare's remaps have moved to another spare" :
			 "Spare is of a migration that has not ended";
		DMERR("%s: the other spare has UUID %pUb", dm_device_name(core->md),
		      m->peer);
		break;
	default:
		*error = "Spare cannot be read";
	}
	return r;
}

/* Is there what can be loaded, or nothing? */
static int dmr_persist_look(struct dmr_core *core, const struct dmr_user *u,
			    char **error)
{
	int r = dmr_persist_probe(core, u, error);

	if (r)
		return r == -ENODATA ? 0 : r;
	*error = "Spare's metadata is damaged";
	return dmr_meta_find(&dmr_map_of(core)->meta);
}

int dmr_persist_check(struct dmr_core *core, const struct dmr_user *u, char **error)
{
	int r = 0;

	if (core->volatile_ != u->volatile_) {
		*error = "Option volatile cannot be changed while the device is in use";
		return -EINVAL;
	}
	if (core->volatile_)
		return 0;
	if (READ_ONCE(core->loaded)) {
		*error = "Option format while the device is in use";
		rcu_read_lock();
		/* Advice, while a resume may be changing it: who resumes this one looks again. */
		r = u->format ? -EBUSY : data_race(dmr_persist_suits(core, u, error));
		rcu_read_unlock();
		return r;
	}
	/* Another table may be reading it too; if it loads it, resuming this one tells. */
	mutex_lock(&core->change);
	if (!core->loaded)
		r = dmr_persist_look(core, u, error);
	mutex_unlock(&core->change);
	return r;
}

/* Half a map is none. */
static void dmr_persist_drop(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_remap *remap;
	u64 from = 0;

	/* Before the nodes of others are used for a link. */
	dmr_asides_free(map);
	WRITE_ONCE(core->scrub.rate, 0);
	while ((remap = dmr_next(map, from))) {
		from = dmr_remap_end(remap);
		dmr_map_remove(map, remap);
		dmr_map_doom(map, remap);
		cond_resched();
	}
	while ((remap = dmr_next_hole(map, 0))) {
		dmr_map_remove(map, remap);
		dmr_map_doom(map, remap);
	}
	dmr_core_counted(core);
	/* With all that was taken. */
	dmr_spare_init(&map->spare, map->spare.head.len, dmr_spare_size(&map->spare));
}

static int dmr_persist_format(struct dmr_core *core, const struct dmr_user *u,
			      char **error)
{
	struct dmr_meta *m = &dmr_map_of(core)->meta;
	int r;

	m->len = u->len;
	m->block = dmr_user_block(u);
	strscpy(m->main_id, u->main_id, sizeof(m->main_id));
	generate_random_uuid(m->uuid);
	r = dmr_meta_format(m);
	if (r)
		*error = r == -ENOSPC ? "Spare device is too small for metadata" :
				       "Spare cannot be written";
	else
		DMINFO("%s: spare formatted, UUID %pUb", dm_device_name(core->md), m->uuid);
	return r;
}

/*
 * Nobody's, or left over from @map: a migration to there that did not end, or the one that
 * came from there. @map alone counts of the two.
 */
static bool dmr_persist_joinable(struct dmr_meta *m, const struct dmr_map *map, int probed)
{
	return probed == -ENODATA ||
	       (probed == -ESTALE && !memcmp(m->peer, map->meta.uuid, sizeof(m->peer)));
}

int dmr_persist_join(struct dmr_map *next, const struct dmr_map *map)
{
	struct dmr_core *core = next->core;
	struct dmr_meta *m = &next->meta;
	int r;

	m->size = dmr_spare_size(&next->spare);
	m->block = core->block;
	r = dmr_meta_probe(m);
	if (!dmr_persist_joinable(m, map, r))
		return dmr_refuse(core, r == -EIO ? r : -EEXIST,
				  "the new spare is not blank (error %d); nothing was changed", r);
	m->len = map->meta.len;
	m->block = core->block;
	memcpy(m->main_id, map->meta.main_id, sizeof(m->main_id));
	memcpy(m->peer, map->meta.uuid, sizeof(m->peer));
	generate_random_uuid(m->uuid);
	m->moving = DMR_SUPER_JOINING;
	r = dmr_meta_format(m);
	return r ? dmr_refuse(core, r, "the new spare cannot be formatted (error %d)", r) : 0;
}

/* What was in doubt has not happened. */
static void dmr_persist_settled(struct dmr_core *core)
{
	dmr_move_settle(core);
	dmr_repair_settle(core);
}

/* What a copy lacks, and what is in doubt. */
static int dmr_persist_recover(struct dmr_core *core)
{
	struct dmr_meta *m = &dmr_map_of(core)->meta;
	int r = dmr_meta_recover(m);

	if (!r && !m->doubt)
		dmr_persist_settled(core);
	return r;
}

/*
 * The log may have records that would not fit any more: another half without them. Settled
 * before: a half that may be there already is as the map was then.
 */
static int dmr_persist_shrink(struct dmr_core *core, const struct dmr_user *u)
{
	struct dmr_meta *m = &dmr_map_of(core)->meta;
	int r;

	if (u->len >= m->len && dmr_user_block(u) <= m->block)
		return 0;
	r = dmr_persist_settle(core);
	if (r)
		return r;
	dmr_holes_fit(core, u->len, dmr_user_block(u));
	return dmr_meta_resume(m);
}

/* What the table changes of what is on disk. */
static int dmr_persist_update(struct dmr_core *core, const struct dmr_user *u,
			      char **error)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_meta *m = &map->meta;
	u64 size = dmr_spare_size(&map->spare), len = m->len;
	unsigned int block = m->block;
	char main_id[DMR_MAIN_ID_SIZE];
	int r;

	memcpy(main_id, m->main_id, sizeof(main_id));
	*error = "Spare's metadata cannot be written";
	r = dmr_persist_shrink(core, u);
	if (r)
		return r;
	m->len = u->len;
	m->size = size;
	m->spare_size = size;
	m->block = dmr_user_block(u);
	if (u->main_id[0])
		strscpy(m->main_id, u->main_id, sizeof(m->main_id));
	r = dmr_persist_recover(core);
	if (r) {
		/* The table before this one still suits. */
		m->len = len;
		m->block = block;
		memcpy(m->main_id, main_id, sizeof(main_id));
	}
	return r;
}

/* See that what is on disk is whole, and as the table has it. */
static int dmr_persist_refresh(struct dmr_core *core, const struct dmr_user *u,
			       char **error)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_meta *m = &map->meta;
	int r = 0;

	if (u->readonly)
		return 0;
	if (m->len != u->len || m->spare_size != dmr_spare_size(&map->spare) ||
	    m->block != dmr_user_block(u) ||
	    (u->main_id[0] && strcmp(m->main_id, u->main_id)))
		return dmr_persist_update(core, u, error);
	if (m->doubt || m->log_bad || m->super_bad || m->torn) {
		*error = "Spare's metadata cannot be written";
		r = dmr_persist_recover(core);
	}
	/* What is known goes on being served; a change will try again. */
	return core->loaded ? 0 : r;
}

static int dmr_persist_load(struct dmr_core *core, const struct dmr_user *u,
			    char **error)
{
	struct dmr_map *map = dmr_map_of(core);
	int r = dmr_meta_find(&map->meta);

	/* The log may speak of all that was mapped, above the table's end too. */
	if (!r)
		r = dmr_table_extend(&map->table, map->meta.len);
	/* Without memory for so many buckets the lists are longer. */
	for (u64 nr = map->meta.records; !r && nr && dmr_core_expect(core, nr); nr /= 4)
		;
	map->replay = true;
	if (!r)
		r = dmr_meta_load(&map->meta);
	if (r) {
		*error = r == -ENOMEM ? "No memory for the remaps" :
					"Spare's metadata is damaged";
		return r;
	}
	dmr_core_counted(core);
	/* They may be fewer than were ever added. */
	dmr_core_resize(core);
	DMINFO("%s: %llu remaps loaded", dm_device_name(core->md), map->remaps);
	/* When it is whole again that is an event. */
	core->state = dmr_core_state(core);
	if (map->meta.log_bad || map->meta.super_bad)
		DMWARN("%s: a copy of the metadata was damaged", dm_device_name(core->md));
	return 0;
}

static int dmr_persist_first(struct dmr_core *core, const struct dmr_user *u,
			     char **error)
{
	int r = dmr_persist_probe(core, u, error);

	if (r == -ENODATA) {
		r = dmr_persist_format(core, u, error);
	} else if (!r) {
		r = dmr_persist_load(core, u, error);
		if (!r) {
			*error = dmr_core_misfit(core, u);
			r = *error ? -EINVAL : dmr_persist_refresh(core, u, error);
		}
	}
	if (r)
		dmr_persist_drop(core);
	dmr_replay_end(core);
	return r;
}

/* An older image of the spare under the core would be written on. */
static int dmr_persist_same(struct dmr_core *core, char **error)
{
	struct dmr_map *map = dmr_map_of(core);

	*error = "Spare holds other metadata than when it was left";
	return dmr_meta_behind(&map->meta) ? 0 : dmr_meta_same(&map->meta);
}

int dmr_persist_again(struct dmr_core *core)
{
	char *error;
	int r;

	if (core->volatile_)
		return 0;
	mutex_lock(&core->change);
	r = dmr_persist_same(core, &error);
	dmr_core_notice(core);
	mutex_unlock(&core->change);
	if (r != -EUCLEAN)
		return 0;
	DMERR("%s: %s (error %d)", dm_device_name(core->md), error, r);
	return r;
}

int dmr_persist_open(struct dmr_core *core, const struct dmr_user *u)
{
	char *error = NULL;
	int r;

	if (core->volatile_)
		return 0;
	if (!core->loaded) {
		r = dmr_persist_first(core, u, &error);
	} else {
		r = dmr_persist_suits(core, u, &error);
		if (!r)
			r = dmr_persist_same(core, &error);
		if (!r)
			r = dmr_persist_refresh(core, u, &error);
	}
	if (r)
		DMERR("%s: %s (error %d)", dm_device_name(core->md), error, r);
	else
		WRITE_ONCE(core->loaded, true);
	return r;
}

/*
 *----------------------------------------------------------------
 * Commits
 *----------------------------------------------------------------
 */

int dmr_persist_settle(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);
	int r = 0;

	if (core->volatile_ || !dmr_meta_behind(&map->meta))
		return 0;
	r = dmr_meta_resume(&map->meta);
	if (r)
		return dmr_refuse(core, -EIO,
				  "the metadata on the spare cannot be written (error %d): no remap can be changed",
				  r);
	/* A failing write may have brought us here. */
	DMWARN_LIMIT("%s: metadata is %s again", dm_device_name(core->md),
		     dmr_meta_state(&map->meta));
	dmr_persist_settled(core);
	return 0;
}

static int dmr_persist_begin(struct dmr_core *core, u64 nr)
{
	int r = dmr_meta_begin(&dmr_map_of(core)->meta, nr);

	if (r)
		dmr_refuse(core, r,
			   "no commit of %llu records on the spare (error %d); nothing was changed",
			   nr, r);
	return r;
}

static int dmr_persist_end(struct dmr_core *core)
{
	int r = dmr_meta_end(&dmr_map_of(core)->meta);

	if (r)
		dmr_refuse(core, r,
			   "the commit to the spare failed (error %d), and may be there or not", r);
	return r;
}

int dmr_persist_add(struct dmr_core *core, const struct dmr_batch *batch)
{
	struct dmr_change change;
	int r;

	if (core->volatile_)
		return 0;
	r = dmr_persist_begin(core, batch->nr);
	if (r)
		return r;
	for (size_t i = 0; i < batch->nr; i++) {
		dmr_change_map(&change, batch->remaps[i]);
		dmr_meta_put(&dmr_map_of(core)->meta, &change);
		cond_resched();
	}
	return dmr_persist_end(core);
}

int dmr_persist_changes(struct dmr_core *core, const struct dmr_change *changes,
			unsigned int nr)
{
	int r;

	if (core->volatile_)
		return 0;
	/* Another half would settle what nobody has undone yet. */
	if (core->doubt.nr || core->nr_held)
		return -EIO;
	r = dmr_persist_begin(core, nr);
	if (r)
		return r;
	for (unsigned int i = 0; i < nr; i++)
		dmr_meta_put(&dmr_map_of(core)->meta, &changes[i]);
	return dmr_persist_end(core);
}

int dmr_persist_scrub(struct dmr_core *core)
{
	struct dmr_change change;

	dmr_change_scrub(&change, core);
	return dmr_persist_changes(core, &change, 1);
}

/* The last of those from @i on that follow each other in the table, with none between. */
static size_t dmr_batch_run(struct dmr_core *core, const struct dmr_batch *batch, size_t i)
{
	for (; i + 1 < batch->nr; i++) {
		cond_resched();
		if (dmr_next(dmr_map_of(core), dmr_remap_end(batch->remaps[i])) !=
		    batch->remaps[i + 1])
			break;
	}
	return i;
}

int dmr_persist_remove(struct dmr_core *core, const struct dmr_batch *batch, u64 first,
		       u64 last)
{
	u64 nr = 0;
	int r;

	if (core->volatile_)
		return 0;
	for (size_t i = 0; i < batch->nr; i++, nr++)
		i = dmr_batch_run(core, batch, i);
	r = dmr_persist_begin(core, nr);
	if (r)
		return r;
	for (size_t i = 0; i < batch->nr; i++) {
		u64 from = max(first, batch->remaps[i]->start), to;

		i = dmr_batch_run(core, batch, i);
		to = min(last, dmr_remap_end(batch->remaps[i]));
		dmr_meta_put(&dmr_map_of(core)->meta, &(struct dmr_change) {
			.type = DMR_RECORD_UNMAP, .main = from, .len = to - from,
		});
	}
	return dmr_persist_end(core);
}

void dmr_persist_mend(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);

	if (!core->volatile_ && dmr_meta_behind(&map->meta) && !map->meta.doubt)
		dmr_meta_resume(&map->meta);
}

const char *dmr_persist_state(const struct dmr_core *core)
{
	return core->volatile_ ? "none" : dmr_meta_state(&dmr_map_of(core)->meta);
}

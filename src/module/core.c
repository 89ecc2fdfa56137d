// SPDX-License-Identifier: GPL-2.0-only
#include "core.h"
#include "map.h"
#include "persist.h"
#include "relocate.h"
#include "repair.h"
#include "route.h"
#include "scrub.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#include <linux/math64.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

static struct kmem_cache *remap_cache;

/* All tables of all devices; walked by constructors and destructors only. */
static LIST_HEAD(users);
static DEFINE_MUTEX(users_lock);

/*
 *----------------------------------------------------------------
 * Remap objects
 *----------------------------------------------------------------
 */

/* -ENOMEM is an answer; a verb under memalloc_noio_save() must not wait. */
#define DMR_GFP_REMAP	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

static void dmr_remap_init(struct dmr_remap *remap)
{
	*remap = (struct dmr_remap) {};
	/* In no spare: whoever undoes a batch goes by it. */
	RB_CLEAR_NODE(&remap->ext.node);
}

struct dmr_remap *dmr_remap_alloc(void)
{
	struct dmr_remap *remap = kmem_cache_alloc(remap_cache, DMR_GFP_REMAP);

	if (remap)
		dmr_remap_init(remap);
	return remap;
}

/* For what must go on when all else fails: it waits, for as long as it takes. */
struct dmr_remap *dmr_remap_alloc_nofail(void)
{
	struct dmr_remap *remap = kmem_cache_zalloc(remap_cache,
						    GFP_KERNEL | __GFP_NOFAIL);

	RB_CLEAR_NODE(&remap->ext.node);
	return remap;
}

bool dmr_remap_alloc_many(struct dmr_remap **remaps, size_t nr)
{
	if (!kmem_cache_alloc_bulk(remap_cache, DMR_GFP_REMAP, nr, (void **)remaps))
		return false;
	for (size_t i = 0; i < nr; i++)
		dmr_remap_init(remaps[i]);
	return true;
}

void dmr_remap_free(struct dmr_remap *remap)
{
	kmem_cache_free(remap_cache, remap);
}

/*
 *----------------------------------------------------------------
 * I/O in flight
 *
 * Two generations. Bios count in the one that core->gen names; a drain turns gen
 * over, kills the other reference, and waits until it is zero. Killing it waits
 * for a grace period of RCU before the count can reach zero, so a bio that read
 * the old gen and had not counted yet is not missed.
 *----------------------------------------------------------------
 */

static void dmr_generation_release(struct percpu_ref *ref)
{
	wake_up(&container_of(ref, struct dmr_generation, ref)->core->wait);
}

static int dmr_generations_init(struct dmr_core *core)
{
	int r;

	for (int i = 0; i < 2; i++) {
		core->inflight[i].core = core;
		r = percpu_ref_init(&core->inflight[i].ref, dmr_generation_release,
				    PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
		if (r) {
			if (i)
				percpu_ref_exit(&core->inflight[0].ref);
			return r;
		}
	}
	return 0;
}

/* Wait for the generation that was killed last, and make it usable again. */
static int dmr_core_settle(struct dmr_core *core, bool may_stop)
{
	struct percpu_ref *ref = core->draining;

	if (!ref)
		return 0;

	if (!may_stop)
		wait_event(core->wait, percpu_ref_is_zero(ref));
	else if (wait_event_killable(core->wait, percpu_ref_is_zero(ref) ||
				     READ_ONCE(core->stop)) ||
		 !percpu_ref_is_zero(ref))
		return -EINTR;

	percpu_ref_reinit(ref);
	core->draining = NULL;
	return 0;
}

int dmr_core_quiesce(struct dmr_core *core, bool may_stop)
{
	unsigned int old = core->gen;
	int r;

	/* A drain that was given up has left one generation only. */
	r = dmr_core_settle(core, may_stop);
	if (r)
		return r;

	dmr_count(core, DMR_STAT_QUIESCES, 1);
	/* Pairs with dmr_core_enter(): who counts in the new one sees the change. */
	smp_store_release(&core->gen, !old);
	core->draining = &core->inflight[old].ref;
	percpu_ref_kill(core->draining);
	return dmr_core_settle(core, may_stop);
}

void dmr_core_stop(struct dmr_core *core)
{
	WRITE_ONCE(core->stop, true);
	wake_up(&core->wait);
}

void dmr_core_quiet(struct dmr_core *core)
{
	/* Who takes it next sees that it has to stop. */
	mutex_lock(&core->verb);
	mutex_lock(&core->change);
	dmr_verb_unlock(core);
	/* Nor is a scrub reading. */
	mutex_lock(&core->scrub.lock);
	mutex_unlock(&core->scrub.lock);
}

void dmr_core_start(struct dmr_core *core)
{
	WRITE_ONCE(core->stop, false);
	dmr_repair_resume(core);
	dmr_scrub_resume(core);
}

/*
 *----------------------------------------------------------------
 * Making and unmaking
 *----------------------------------------------------------------
 */

static void dmr_free_entry(const struct dmr_table *t, struct dmr_remap *remap,
			   void *context)
{
	dmr_remap_free(remap);
}

void dmr_core_free_map(struct dmr_map *map)
{
	dmr_asides_free(map);
	dmr_table_each(&map->table, dmr_free_entry, NULL);
	dmr_persist_exit(map);
	dmr_table_exit(&map->table);
	kfree(map);
}

struct dmr_map *dmr_core_make_map(struct dmr_core *core, const struct dmr_user *u)
{
	struct dmr_map *map = kzalloc(sizeof(*map), GFP_KERNEL);

	if (!map)
		return NULL;
	map->core = core;
	map->bdev = u->spare;
	map->holes = RB_ROOT;
	dmr_spare_init(&map->spare, dmr_user_spare_first(u), dmr_user_spare_size(u));
	if (dmr_table_init(&map->table, u->len, get_random_u64()))
		goto bad_table;
	if (dmr_persist_init(map))
		goto bad_persist;
	return map;

bad_persist:
	dmr_table_exit(&map->table);
bad_table:
	kfree(map);
	return NULL;
}

static void dmr_core_destroy(struct dmr_core *core)
{
	/* No bio is left, so none of these takes long; all may still be running. */
	dmr_scrub_exit(core);
	dmr_repair_exit(core);
	dmr_route_exit(core);
	dmr_core_settle(core, false);
	synchronize_rcu();

	/* What is in doubt is in the table, too. */
	dmr_move_forget(core);
	dm_kcopyd_client_destroy(core->kcopyd);
	percpu_ref_exit(&core->inflight[0].ref);
	percpu_ref_exit(&core->inflight[1].ref);
	dmr_core_free_map(dmr_map_of(core));
	kfree(core);
}

static struct dmr_core *dmr_core_create(const struct dmr_user *u)
{
	struct dmr_core *core = kzalloc(sizeof(*core), GFP_KERNEL);
	struct dmr_map *map;

	if (!core)
		return NULL;

	core->md = u->md;
	core->volatile_ = u->volatile_;
	mutex_init(&core->verb);
	mutex_init(&core->change);
	init_waitqueue_head(&core->wait);
	spin_lock_init(&core->refusal_lock);
	spin_lock_init(&core->errors.lock);
	dmr_clear_counts(core);
	/* Not before a table was resumed. */
	core->stop = true;

	map = dmr_core_make_map(core, u);
	if (!map)
		goto bad_map;
	RCU_INIT_POINTER(core->map, map);
	core->state = dmr_core_state(core);
	if (dmr_generations_init(core))
		goto bad_generations;
	core->kcopyd = dm_kcopyd_client_create(NULL);
	if (IS_ERR(core->kcopyd))
		goto bad_kcopyd;
	if (dmr_route_init(core))
		goto bad_route;
	if (dmr_repair_init(core))
		goto bad_repair;
	dmr_scrub_init(core);
	return core;

bad_repair:
	dmr_route_exit(core);
bad_route:
	dm_kcopyd_client_destroy(core->kcopyd);
bad_kcopyd:
	percpu_ref_exit(&core->inflight[0].ref);
	percpu_ref_exit(&core->inflight[1].ref);
bad_generations:
	dmr_core_free_map(map);
bad_map:
	kfree(core);
	return NULL;
}

/*
 *----------------------------------------------------------------
 * The registry
 *----------------------------------------------------------------
 */

static bool dmr_dev_used(const struct block_device *bdev, const struct dmr_user *u)
{
	return bdev == u->main || bdev == u->spare || bdev == u->joining;
}

/*
 * May two tables be there at once? Those of one device, one after the other, may
 * share their devices, each in the part it has had.
 */
static bool dmr_users_collide(const struct dmr_user *a, const struct dmr_user *b)
{
	dev_t am = a->main->bd_dev, as = a->spare->bd_dev;
	dev_t bm = b->main->bd_dev, bs = b->spare->bd_dev;

	if (am == bs || as == bm)
		return true;
	/* A table of before a migration would have the wrong spare after it. */
	if (b->joining && (a->md == b->md || a->main == b->joining || a->spare == b->joining))
		return true;
	return (am == bm || as == bs) &&
	       (a->md != b->md || a->table == b->table);
}

/**
 * struct dmr_fit - do the remaps fit a table?
 * @u:		the table
 * @misfit:	why not
 */
struct dmr_fit {
	const struct dmr_user	*u;
	char			*misfit;
};

static void dmr_fit_entry(const struct dmr_table *t, struct dmr_remap *remap,
			  void *context)
{
	struct dmr_fit *fit = context;

	if (READ_ONCE(remap->ext.flags) & DMR_HOLE)
		return;
	if (dmr_remap_end(remap) > fit->u->len)
		fit->misfit = "Target length cuts off a remap";
	else if ((remap->start | remap->ext.start | remap->ext.len) &
		 (dmr_user_block(fit->u) - 1))
		fit->misfit = "Main device's logical block misaligns a remap";
}

/* Without the change lock the answer is advice. */
static char *dmr_remaps_misfit(const struct dmr_core *core, const struct dmr_user *u)
{
	struct dmr_map *map = dmr_map_of(core);
	struct dmr_fit fit = { .u = u };

	if (bdev_nr_sectors(u->spare) < dmr_spare_size(&map->spare))
		return "Spare device has become smaller";
	if (u->len < READ_ONCE(core->len) || dmr_user_block(u) > READ_ONCE(core->block))
		dmr_table_each(&map->table, dmr_fit_entry, &fit);
	return fit.misfit;
}

char *dmr_core_misfit(const struct dmr_core *core, const struct dmr_user *u)
{
	char *misfit = dmr_remaps_misfit(core, u);

	lockdep_assert_held(&core->change);
	if (!misfit && dmr_user_block(u) > core->block)
		misfit = dmr_asides_misfit(dmr_map_of(core), dmr_user_block(u));
	return misfit;
}

/* For a constructor; it may have to wait for as long as a spare does not answer. */
static int dmr_core_ask_misfit(struct dmr_core *core, const struct dmr_user *u, char **error)
{
	*error = "Killed while the device's remaps were being changed";
	if (mutex_lock_killable(&core->change))
		return -EINTR;
	*error = dmr_core_misfit(core, u);
	mutex_unlock(&core->change);
	return *error ? -EINVAL : 0;
}

/* Enter the registry, with the core that is there or a new one. */
static int dmr_core_join(struct dmr_user *u, char **error)
{
	struct dmr_core *core = NULL;
	struct dmr_user *other;

	list_for_each_entry(other, &users, node) {
		if (dmr_users_collide(u, other)) {
			*error = "Main or spare device is in use by another dm-remap-v4 target";
			return -EBUSY;
		}
		if (u->md == other->md && u->spare == other->spare)
			core = other->core;
	}

	if (!core)
		core = dmr_core_create(u);
	if (!core) {
		*error = "Cannot allocate the core";
		return -ENOMEM;
	}
	u->core = core;
	core->users++;
	list_add(&u->node, &users);
	return 0;
}

int dmr_core_get(struct dmr_user *u, char **error)
{
	unsigned int noio;
	int r;

	mutex_lock(&users_lock);
	/* A message may wait for this lock, and a suspend for the message. */
	noio = memalloc_noio_save();
	r = dmr_core_join(u, error);
	/* Under the lock: no migration takes the map away. */
	if (!r)
		*error = dmr_remaps_misfit(u->core, u);
	memalloc_noio_restore(noio);
	mutex_unlock(&users_lock);
	if (r)
		return r;

	/* A spare may hang: others are not held up, nor is a table of no larger blocks. */
	r = *error ? -EINVAL : 0;
	if (!r && dmr_user_block(u) > READ_ONCE(u->core->block))
		r = dmr_core_ask_misfit(u->core, u, error);
	if (!r)
		r = dmr_persist_check(u->core, u, error);
	if (r)
		dmr_core_put(u);
	return r;
}

int dmr_core_join_spare(struct dmr_user *u, struct block_device *bdev)
{
	struct dmr_user *other;
	int r = 0;

	mutex_lock(&users_lock);
	/* Another table of the core has the spare that is left. */
	if (u->joining || u->core->users > 1)
		r = -EBUSY;
	list_for_each_entry(other, &users, node)
		if (dmr_dev_used(bdev, other))
			r = -EBUSY;
	if (!r)
		u->joining = bdev;
	mutex_unlock(&users_lock);
	return r;
}

bool dmr_core_settle_spare(struct dmr_user *u)
{
	bool moved;

	mutex_lock(&users_lock);
	rcu_read_lock();
	moved = dmr_map_of(u->core)->bdev == u->joining;
	rcu_read_unlock();
	if (moved)
		WRITE_ONCE(u->spare, u->joining);
	mutex_unlock(&users_lock);
	return moved;
}

void dmr_core_part_spare(struct dmr_user *u)
{
	mutex_lock(&users_lock);
	u->joining = NULL;
	mutex_unlock(&users_lock);
}

void dmr_core_put(struct dmr_user *u)
{
	struct dmr_core *core = u->core;
	bool last;

	mutex_lock(&users_lock);
	list_del(&u->node);
	/* A table that is cleared, while another is resumed: not this one. */
	if (READ_ONCE(core->in_force) == u) {
		/* Workers raise events with it. */
		mutex_lock(&core->change);
		WRITE_ONCE(core->in_force, NULL);
		mutex_unlock(&core->change);
	}
	last = !--core->users;
	mutex_unlock(&users_lock);
	if (last)
		dmr_core_destroy(core);
}

u64 dmr_core_room(const struct dmr_core *core)
{
	const struct dmr_map *map;
	u64 room;

	rcu_read_lock();
	map = dmr_map_of(core);
	room = dmr_spare_room(&map->spare);
	if (!core->volatile_)
		room -= dmr_meta_sectors(&map->meta);
	rcu_read_unlock();
	return room;
}

u64 dmr_core_spare_size(const struct dmr_core *core)
{
	u64 size;

	rcu_read_lock();
	size = dmr_spare_size(&dmr_map_of(core)->spare);
	rcu_read_unlock();
	return size;
}

static u64 dmr_core_low_default(const struct dmr_core *core)
{
	return div_u64(dmr_core_room(core), 10);
}

void dmr_core_publish(struct dmr_core *core, struct dmr_map *map)
{
	bool by_default = core->spare_low == dmr_core_low_default(core);

	map->table.resizes = dmr_map_of(core)->table.resizes;
	rcu_assign_pointer(core->map, map);
	if (by_default || core->spare_low > dmr_core_room(core))
		WRITE_ONCE(core->spare_low, dmr_core_low_default(core));
	dmr_core_counted(core);
	dmr_core_resize(core);
}

u64 dmr_user_spare_low(const struct dmr_user *u)
{
	const struct dmr_core *core = u->core;
	u64 low = READ_ONCE(core->spare_low);

	if (READ_ONCE(core->in_force) != u)
		return u->spare_low;
	if (u->spare_low == DMR_LOW_DEFAULT && low == dmr_core_low_default(core))
		return DMR_LOW_DEFAULT;
	return low;
}

bool dmr_user_manual(const struct dmr_user *u)
{
	const struct dmr_core *core = u->core;

	if (READ_ONCE(core->in_force) != u)
		return u->manual;
	return READ_ONCE(core->auto_) == DMR_AUTO_OFF;
}

/* What has tripped stays so until a person says otherwise. */
static void dmr_core_set_auto(struct dmr_core *core, bool manual)
{
	if (manual)
		WRITE_ONCE(core->auto_, DMR_AUTO_OFF);
	else if (core->auto_ != DMR_AUTO_TRIPPED)
		WRITE_ONCE(core->auto_, DMR_AUTO_ON);
}

/* What may fail of putting a table in force. */
static int dmr_core_open(struct dmr_core *core, const struct dmr_user *u)
{
	struct dmr_map *map = dmr_map_of(core);
	/* The device is suspended: reclaim must not wait for it. */
	unsigned int noio = memalloc_noio_save();
	/* Since the constructor looked it may have changed. */
	char *misfit = dmr_core_misfit(core, u);
	u64 size = dmr_user_spare_size(u);
	int r = -EINVAL;

	if (misfit)
		DMERR("%s: %s", dm_device_name(core->md), misfit);
	else
		r = dmr_table_extend(&map->table, u->len);
	if (!r) {
		if (size > dmr_spare_size(&map->spare))
			dmr_spare_extend(&map->spare, size);
		r = dmr_persist_open(core, u);
	}
	memalloc_noio_restore(noio);
	return r;
}

/* From now on it is. */
static void dmr_core_switch(struct dmr_core *core, struct dmr_user *u)
{
	bool main = core->main && core->main != u->main;
	bool other = main || core->len != u->len || core->block != dmr_user_block(u);

	dmr_scrub_lock(core);
	core->main = u->main;
	mutex_unlock(&core->scrub.lock);
	/* Nobody reads the old one any more. */
	if (other)
		dmr_repair_forget(core, main);
	dmr_holes_fit(core, u->len, dmr_user_block(u));
	/* What status, query and list read without the lock. */
	WRITE_ONCE(core->len, u->len);
	WRITE_ONCE(core->block, dmr_user_block(u));
	WRITE_ONCE(core->readonly, u->readonly);
	dmr_core_set_auto(core, u->manual);
	WRITE_ONCE(core->spare_low, u->spare_low == DMR_LOW_DEFAULT ?
		   dmr_core_low_default(core) : u->spare_low);
	WRITE_ONCE(core->in_force, u);
	dmr_core_notice(core);
}

int dmr_core_apply(struct dmr_user *u)
{
	struct dmr_core *core = u->core;
	int r;

	/* What `set` has changed since then holds. */
	if (READ_ONCE(core->in_force) == u)
		return dmr_persist_again(core);

	mutex_lock(&core->change);
	r = dmr_core_open(core, u);
	if (!r)
		dmr_core_switch(core, u);
	mutex_unlock(&core->change);
	return r;
}

/*
 *----------------------------------------------------------------
 * What is said
 *----------------------------------------------------------------
 */

static int dmr_core_resize_to(struct dmr_core *core, unsigned long to, u64 remaps)
{
	struct dmr_map *map = dmr_map_of(core);
	const char *name = dm_device_name(core->md);
	unsigned long from;

	rcu_read_lock();
	from = dmr_table_buckets(&map->table);
	rcu_read_unlock();
	if (from == to)
		return 0;

	/* While memory is short every add comes here: say it once. */
	if (!core->resize_failed)
		DMINFO("%s: Adaptive hash table resize: %lu -> %lu buckets (count=%llu)",
		       name, from, to, remaps);
	if (dmr_table_resize(&map->table, to)) {
		dmr_count(core, DMR_STAT_RESIZES_SKIPPED, 1);
		if (!core->resize_failed)
			DMWARN("%s: no memory for %lu buckets, staying at %lu for the time being",
			       name, to, from);
		core->resize_failed = true;
		return -ENOMEM;
	}
	core->resize_failed = false;
	DMINFO("%s: Hash table resize complete: %lu -> %lu buckets",
	       name, from, to);
	return 0;
}

void dmr_core_resize(struct dmr_core *core)
{
	struct dmr_map *map = dmr_map_of(core);

	dmr_core_resize_to(core, dmr_table_wants(&map->table), map->table.count);
}

int dmr_core_expect(struct dmr_core *core, u64 remaps)
{
	return dmr_core_resize_to(core, dmr_table_buckets_for(remaps), remaps);
}

int dmr_refuse(struct dmr_core *core, int err, const char *fmt, ...)
{
	char text[DMR_REFUSAL_LEN];
	va_list args;

	va_start(args, fmt);
	vscnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	/* A message says all it has to; what I/O can cause says it now and then. */
	if (current->flags & PF_WQ_WORKER)
		DMERR_LIMIT("%s: %s", dm_device_name(core->md), text);
	else
		DMERR("%s: %s", dm_device_name(core->md), text);
	dmr_count(core, DMR_STAT_REFUSALS, 1);

	spin_lock(&core->refusal_lock);
	strscpy(core->refusals[core->nr_refusals++ % DMR_NR_REFUSALS], text,
		DMR_REFUSAL_LEN);
	spin_unlock(&core->refusal_lock);
	return err;
}

bool dmr_refusal(struct dmr_core *core, unsigned int i, char *text)
{
	unsigned int nr;

	spin_lock(&core->refusal_lock);
	nr = core->nr_refusals + i;
	strscpy(text, core->refusals[nr % DMR_NR_REFUSALS], DMR_REFUSAL_LEN);
	spin_unlock(&core->refusal_lock);
	return nr >= DMR_NR_REFUSALS;
}

static const char *const dmr_stat_names[DMR_NR_STATS] = {
	[DMR_STAT_REMAPS_ADDED] = "remaps_added",
	[DMR_STAT_REMAPS_REMOVED] = "remaps_removed",
	[DMR_STAT_SECTORS_COPIED] = "sectors_copied",
	[DMR_STAT_COPY_ERRORS] = "copy_errors",
	[DMR_STAT_DEFERRED] = "deferred",
	[DMR_STAT_WRITTEN_TWICE] = "written_twice",
	[DMR_STAT_QUIESCES] = "quiesces",
	[DMR_STAT_RESIZES_SKIPPED] = "resizes_skipped",
	[DMR_STAT_REFUSALS] = "refusals",
	[DMR_STAT_READ_ERRORS] = "read_errors",
	[DMR_STAT_WRITE_ERRORS] = "write_errors",
	[DMR_STAT_FLUSH_ERRORS] = "flush_errors",
	[DMR_STAT_ERRORS_MEDIUM] = "errors_medium",
	[DMR_STAT_ERRORS_IO] = "errors_io",
	[DMR_STAT_ERRORS_PROTECTION] = "errors_protection",
	[DMR_STAT_ERRORS_TIMEOUT] = "errors_timeout",
	[DMR_STAT_ERRORS_PATH] = "errors_path",
	[DMR_STAT_ERRORS_OTHER] = "errors_other",
	[DMR_STAT_SAVED] = "saved",
	[DMR_STAT_BY_HAND] = "by_hand",
	[DMR_STAT_AUTO_WRITES] = "auto_writes",
	[DMR_STAT_AUTO_WEAK] = "auto_weak",
	[DMR_STAT_SPENT] = "spent",
	[DMR_STAT_WEAK] = "weak",
	[DMR_STAT_HEALED] = "healed",
	[DMR_STAT_MISMATCHES] = "mismatches",
	[DMR_STAT_ASIDE] = "aside",
	[DMR_STAT_SCRUBBED] = "scrubbed",
	[DMR_STAT_SCRUBS] = "scrubs",
};

const char *dmr_stat_name(enum dmr_stat stat)
{
	return dmr_stat_names[stat];
}

void dmr_clear_counts(struct dmr_core *core)
{
	for (int i = 0; i < DMR_NR_STATS; i++)
		atomic64_set(&core->stats[i], 0);
	WRITE_ONCE(core->since, ktime_get_boottime_seconds());
}

void dmr_core_event(struct dmr_core *core)
{
	if (core->in_force)
		dm_table_event(core->in_force->table);
}

void dmr_core_notice(struct dmr_core *core)
{
	const char *state = dmr_core_state(core);
	bool low = dmr_map_of(core)->spare.free < core->spare_low;
	bool news = state != core->state || low != core->low;

	core->state = state;
	core->low = low;
	if (news)
		dmr_core_event(core);
}

const char *dmr_core_state(const struct dmr_core *core)
{
	const char *metadata = dmr_persist_state(core);

	if (!strcmp(metadata, "failed"))
		return metadata;
	if (READ_ONCE(core->readonly))
		return "readonly";
	if (READ_ONCE(dmr_map_of(core)->spare.free) < READ_ONCE(core->block))
		return "full";
	if (READ_ONCE(core->auto_) == DMR_AUTO_TRIPPED)
		return "degraded";
	return strcmp(metadata, "degraded") ? "ok" : metadata;
}

static const char *const dmr_auto_names[] = {
	[DMR_AUTO_OFF] = "off",
	[DMR_AUTO_ON] = "on",
	[DMR_AUTO_TRIPPED] = "tripped",
};

size_t dmr_core_status(const struct dmr_core *core, char *result, size_t maxlen)
{
	const struct dmr_map *map;
	unsigned long buckets;
	u64 load, remaps;
	size_t sz = 0;

	rcu_read_lock();
	map = dmr_map_of(core);
	remaps = READ_ONCE(map->remaps);
	buckets = dmr_table_buckets(&map->table);
	load = div64_u64(remaps * 100, buckets);

	DMEMIT("%s remaps=%llu sectors=%llu buckets=%lu load=%llu.%02llu",
	       dmr_core_state(core), remaps, READ_ONCE(map->sectors), buckets,
	       load / 100, load % 100);
	DMEMIT(" resizes=%llu spare_free=%llu/%llu lost=%llu pending=%llu",
	       READ_ONCE(map->table.resizes), READ_ONCE(map->spare.free),
	       dmr_core_room(core), READ_ONCE(map->lost), READ_ONCE(map->pending));
	DMEMIT(" read_errors=%llu write_errors=%llu auto=%s metadata=%s",
	       (u64)atomic64_read(&core->stats[DMR_STAT_READ_ERRORS]),
	       (u64)atomic64_read(&core->stats[DMR_STAT_WRITE_ERRORS]),
	       dmr_auto_names[READ_ONCE(core->auto_)], dmr_persist_state(core));
	rcu_read_unlock();
	return sz;
}

/*
 *----------------------------------------------------------------
 * The module's part
 *----------------------------------------------------------------
 */

int __init dmr_core_init(void)
{
	remap_cache = KMEM_CACHE(dmr_remap, 0);
	return remap_cache ? 0 : -ENOMEM;
}

void dmr_core_exit(void)
{
	kmem_cache_destroy(remap_cache);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The glue: the only file that knows device-mapper's table API.
 *
 * A bio is counted, looked up and sent in map; what cannot be sent from there goes
 * to route.h. The core outlives the table (core.h).
 */
#include "compat.h"
#include "core.h"
#include "fault.h"
#include "message.h"
#include "route.h"
#include "verify.h"

#include <linux/bio.h>
#include <linux/ctype.h>
#include <linux/device-mapper.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

/**
 * struct dmr_former - a spare that a migration has left
 * @dev:	it stays open with the table: status may be looking at its name
 * @next:	the one before it
 */
struct dmr_former {
	struct dm_dev		*dev;
	struct dmr_former	*next;
};

/**
 * struct dmr_target - a table's part
 * @user:	its share in the core
 * @main:	main device
 * @spare:	spare device
 * @former:	those before migrations
 */
struct dmr_target {
	struct dmr_user	user;
	struct dm_dev	*main;
	struct dm_dev	*spare;
	struct dmr_former *former;
};

static struct dmr_core *dmr_core_of(struct dm_target *ti)
{
	struct dmr_target *t = ti->private;

	return t->user.core;
}

/*
 *----------------------------------------------------------------
 * Construction
 *----------------------------------------------------------------
 */

static int dmr_parse_spare_low(struct dm_target *ti, struct dm_arg_set *as,
			       struct dmr_target *t)
{
	const char *word = dm_shift_arg(as);
	int r = -EINVAL;

	/* kstrtoull() takes a sign; sscanf() takes 2^64 for 0. */
	if (word && isdigit(*word))
		r = kstrtoull(word, 10, &t->user.spare_low);
	if (r && r != -ERANGE) {
		ti->error = "Invalid spare_low";
		return -EINVAL;
	}
	if (r || t->user.spare_low > bdev_nr_sectors(t->spare->bdev)) {
		ti->error = "spare_low is beyond the spare device";
		return -ERANGE;
	}
	return 0;
}

static int dmr_parse_main_id(struct dm_target *ti, struct dm_arg_set *as,
			     struct dmr_target *t)
{
	const char *word = dm_shift_arg(as);

	/* With a space, which may be quoted, `dmsetup table` would be no line to load. */
	if (!word || !*word || strpbrk(word, " \t\n\v\f\r") ||
	    strscpy(t->user.main_id, word, sizeof(t->user.main_id)) < 0) {
		ti->error = "Invalid main_id";
		return -EINVAL;
	}
	return 0;
}

static int dmr_parse_options(struct dm_target *ti, struct dm_arg_set *as,
			     struct dmr_target *t)
{
	static const struct dm_arg counted[] = {
		{ 0, 9, "Invalid number of options" },
	};
	unsigned int nr;
	int r;

	t->user.spare_low = DMR_LOW_DEFAULT;
	if (!as->argc)
		return 0;
	/* One digit: dm_read_arg_group() takes 2^32 for 0. */
	if (as->argv[0][0] && as->argv[0][1]) {
		ti->error = counted->error;
		return -EINVAL;
	}
	r = dm_read_arg_group(counted, as, &nr, &ti->error);
	if (r)
		return r;
	if (nr != as->argc) {
		ti->error = "Invalid argument count";
		return -EINVAL;
	}

	while (as->argc) {
		const char *word = dm_shift_arg(as);

		if (!strcasecmp(word, "manual")) {
			t->user.manual = true;
		} else if (!strcasecmp(word, "volatile")) {
			t->user.volatile_ = true;
		} else if (!strcasecmp(word, "format")) {
			t->user.format = true;
		} else if (!strcasecmp(word, "resize")) {
			t->user.resize = true;
		} else if (!strcasecmp(word, "adopt")) {
			t->user.adopt = true;
		} else if (!strcasecmp(word, "main_id")) {
			r = dmr_parse_main_id(ti, as, t);
			if (r)
				return r;
		} else if (!strcasecmp(word, "spare_low")) {
			r = dmr_parse_spare_low(ti, as, t);
			if (r)
				return r;
		} else {
			ti->error = "Unknown option";
			return -EINVAL;
		}
	}
	return 0;
}

static int dmr_get_device(struct dm_target *ti, const char *path,
			  struct dm_dev **dev, char *missing, char *busy)
{
	int r = dm_get_device(ti, path, dm_table_get_mode(ti->table), dev);

	if (r) {
		*dev = NULL;
		ti->error = r == -EBUSY ? busy : missing;
	}
	return r;
}

/* What two devices and a length must be to make a target. */
static char *dmr_unfit(const struct dmr_user *u)
{
	unsigned int main_block = bdev_logical_block_size(u->main);
	unsigned int spare_block = bdev_logical_block_size(u->spare);

	if (u->main->bd_dev == u->spare->bd_dev)
		return "Main and spare are the same device";
	if (bdev_is_zoned(u->main) || bdev_is_zoned(u->spare))
		return "Zoned devices are not supported";
	if (u->len > bdev_nr_sectors(u->main))
		return "Target length is beyond the main device";
	if (u->len & ((main_block >> SECTOR_SHIFT) - 1))
		return "Target length is not a multiple of the main device's logical block";
	if (spare_block > main_block)
		return "Spare device's logical block is larger than the main device's";
	if (dmr_user_spare_size(u) <= dmr_user_spare_first(u))
		return "Spare device is too small";
	return NULL;
}

static void dmr_set_limits(struct dm_target *ti, const struct dmr_user *u)
{
	ti->num_flush_bios = 2;
	ti->num_write_zeroes_bios = 1;
	/* Main's word alone: a spare that cannot discard is spared them (route.h). */
	ti->num_discard_bios = !!bdev_max_discard_sectors(u->main);
	ti->discards_supported = ti->num_discard_bios;
	ti->accounts_remapped_io = true;
	ti->per_io_data_size = sizeof(struct dmr_bio);
}

static void dmr_target_free(struct dm_target *ti, struct dmr_target *t)
{
	while (t->former) {
		struct dmr_former *former = t->former;

		t->former = former->next;
		dm_put_device(ti, former->dev);
		kfree(former);
	}
	if (t->spare)
		dm_put_device(ti, t->spare);
	if (t->main)
		dm_put_device(ti, t->main);
	kfree(t);
}

static int dmr_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	struct dmr_target *t;
	int r = -EINVAL;

	if (argc < 2) {
		ti->error = "Invalid argument count";
		return -EINVAL;
	}

	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t) {
		ti->error = "Cannot allocate the target";
		return -ENOMEM;
	}

	r = dmr_get_device(ti, dm_shift_arg(&as), &t->main,
			   "Main device lookup failed", "Main device is busy");
	if (!r)
		r = dmr_get_device(ti, dm_shift_arg(&as), &t->spare,
				   "Spare device lookup failed", "Spare device is busy");
	if (!r)
		r = dmr_parse_options(ti, &as, t);
	if (r)
		goto bad;

	t->user.md = dm_table_get_md(ti->table);
	t->user.table = ti->table;
	t->user.main = t->main->bdev;
	t->user.spare = t->spare->bdev;
	t->user.len = ti->len;
	t->user.readonly = !(dm_table_get_mode(ti->table) & BLK_OPEN_WRITE);

	ti->error = dmr_unfit(&t->user);
	if (ti->error) {
		r = -EINVAL;
		goto bad;
	}
	r = dmr_core_get(&t->user, &ti->error);
	if (r)
		goto bad;

	dmr_set_limits(ti, &t->user);
	ti->private = t;
	return 0;

bad:
	dmr_target_free(ti, t);
	return r;
}

static void dmr_dtr(struct dm_target *ti)
{
	struct dmr_target *t = ti->private;

	dmr_core_put(&t->user);
	dmr_target_free(ti, t);
}

/*
 *----------------------------------------------------------------
 * The life of a table
 *----------------------------------------------------------------
 */

static void dmr_presuspend(struct dm_target *ti)
{
	dmr_core_stop(dmr_core_of(ti));
}

static void dmr_postsuspend(struct dm_target *ti)
{
	dmr_core_quiet(dmr_core_of(ti));
}

static void dmr_presuspend_undo(struct dm_target *ti)
{
	dmr_core_start(dmr_core_of(ti));
}

static int dmr_preresume(struct dm_target *ti)
{
	struct dmr_target *t = ti->private;

	return dmr_core_apply(&t->user);
}

static void dmr_resume(struct dm_target *ti)
{
	dmr_core_start(dmr_core_of(ti));
}

/*
 *----------------------------------------------------------------
 * I/O
 *----------------------------------------------------------------
 */

static int dmr_send_to(struct bio *bio, struct block_device *bdev, u64 sector)
{
	bio_set_dev(bio, bdev);
	bio->bi_iter.bi_sector = sector;
	return DM_MAPIO_REMAPPED;
}

/* What it covers, should it have to be sent again: drivers use it up. */
static void dmr_remember(struct dmr_bio *b, const struct bio *bio, u64 start)
{
	b->fault.iter = bio->bi_iter;
	b->fault.iter.bi_sector = start;
}

/* Bios that map itself completes or hands over are not in flight. */
static void dmr_uncount(struct dmr_bio *b)
{
	dmr_core_leave(b->ref);
	b->ref = NULL;
}

/*
 * One for each device; a spare that carries nothing is left alone. The one for the spare
 * is counted: until it has returned the spare stays.
 */
static int dmr_map_flush(struct dmr_core *core, struct bio *bio)
{
	struct dmr_bio *b = dm_per_bio_data(bio, sizeof(*b));
	const struct dmr_map *map;
	bool mapped;

	if (!dm_bio_get_target_bio_nr(bio))
		return dmr_send_to(bio, core->main, 0);
	rcu_read_lock();
	b->ref = dmr_core_enter(core);
	map = dmr_map_of(core);
	mapped = READ_ONCE(map->mapped);
	rcu_read_unlock();
	if (mapped)
		return dmr_send_to(bio, map->bdev, 0);
	dmr_uncount(b);
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

static int dmr_map_slow(struct dmr_core *core, struct bio *bio, u64 start,
			const struct dmr_route *route)
{
	struct dmr_bio *b = dm_per_bio_data(bio, sizeof(*b));

	bool write = op_is_write(bio_op(bio));

	dmr_uncount(b);
	if (route->side == DMR_NONE || (route->side == DMR_FAIL && !write)) {
		if (route->end - start < bio_sectors(bio))
			dm_accept_partial_bio(bio, route->end - start);
		b->fault.state = DMR_FAULT_DONE;
		if (route->side == DMR_FAIL)
			bio->bi_status = BLK_STS_MEDIUM;
		bio_endio(bio);
	} else if (bio->bi_opf & REQ_NOWAIT) {
		b->fault.state = DMR_FAULT_DONE;
		bio_wouldblock_error(bio);
	} else if (route->side == DMR_FAIL ||
		   (route->side == DMR_VERIFY && route->sent != DMR_WAIT)) {
		b->fault.state = DMR_FAULT_CARE;
		dmr_fault_take(core, bio, BLK_STS_MEDIUM);
	} else {
		bio->bi_iter.bi_sector = start;
		dmr_resend(core, bio);
	}
	return DM_MAPIO_SUBMITTED;
}

/* A write that is read back: it takes more than to be sent. */
static int dmr_map_verified(struct dmr_core *core, struct bio *bio, u64 start)
{
	static const struct dmr_route route = { .side = DMR_FAIL };

	if (bio_sectors(bio) > DMR_VERIFY_MOST) {
		dm_accept_partial_bio(bio, DMR_VERIFY_MOST);
		dmr_remember(dm_per_bio_data(bio, sizeof(struct dmr_bio)), bio, start);
	}
	return dmr_map_slow(core, bio, start, &route);
}

static int dmr_map(struct dm_target *ti, struct bio *bio)
{
	struct dmr_bio *b = dm_per_bio_data(bio, sizeof(*b));
	u64 start = dm_target_offset(ti, bio->bi_iter.bi_sector);
	struct dmr_core *core = dmr_core_of(ti);
	const struct dmr_map *map;
	u64 end = start + bio_sectors(bio);
	struct dmr_route route;

	b->ref = NULL;
	b->fault.state = DMR_FAULT_NONE;
	dmr_remember(b, bio, start);
	if (unlikely(start == end))
		return dmr_map_flush(core, bio);

	rcu_read_lock();
	b->ref = dmr_core_enter(core);
	/* It stays as long as the bio is counted. */
	map = dmr_map_of(core);
	if (dmr_verify_wants(core, bio_op(bio))) {
		rcu_read_unlock();
		return dmr_map_verified(core, bio, start);
	}
	if (likely(dmr_table_clean(&map->table, start, end))) {
		rcu_read_unlock();
		return dmr_send_to(bio, core->main, start);
	}
	dmr_route(map, bio_op(bio), start, end, &route);
	rcu_read_unlock();

	if (unlikely(route.side > DMR_SPARE))
		return dmr_map_slow(core, bio, start, &route);
	if (route.end < end) {
		dm_accept_partial_bio(bio, route.end - start);
		dmr_remember(b, bio, start);
	}
	if (route.side == DMR_MAIN)
		return dmr_send_to(bio, core->main, start);
	return dmr_send_to(bio, map->bdev, route.spare);
}

static int dmr_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct dmr_bio *b = dm_per_bio_data(bio, sizeof(*b));
	struct dmr_core *core = dmr_core_of(ti);

	/* First: what is taken over must not be waited for. */
	if (likely(b->ref)) {
		dmr_core_leave(b->ref);
		b->ref = NULL;
	}
	if (likely(!*error))
		return DM_ENDIO_DONE;
	if (dmr_fault_take(core, bio, *error))
		return DM_ENDIO_INCOMPLETE;
	dmr_fault_tell(core, bio, *error);
	return DM_ENDIO_DONE;
}

/*
 *----------------------------------------------------------------
 * Asking and telling
 *----------------------------------------------------------------
 */

/* What a table line would be that brings about what is in force. */
static void dmr_table_line(struct dmr_target *t, char *result, unsigned int maxlen)
{
	u64 low = dmr_user_spare_low(&t->user);
	bool manual = dmr_user_manual(&t->user);
	unsigned int nr = manual + t->user.volatile_ +
			  2 * !!t->user.main_id[0] + 2 * (low != DMR_LOW_DEFAULT);
	size_t sz = 0;

	DMEMIT("%s %s", t->main->name, READ_ONCE(t->spare)->name);
	if (nr)
		DMEMIT(" %u", nr);
	if (manual)
		DMEMIT(" manual");
	if (t->user.volatile_)
		DMEMIT(" volatile");
	if (t->user.main_id[0])
		DMEMIT(" main_id %s", t->user.main_id);
	if (low != DMR_LOW_DEFAULT)
		DMEMIT(" spare_low %llu", low);
}

static void dmr_status_line(struct dm_target *ti, status_type_t type,
			    unsigned int flags, char *result, unsigned int maxlen)
{
	struct dmr_target *t = ti->private;
	size_t sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		dmr_core_status(t->user.core, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		dmr_table_line(t, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",main_device=%s,spare_device=%s;", t->main->name,
		       READ_ONCE(t->spare)->name);
		break;
	}
}

/* What the queue was set up for when the table was loaded, another spare must keep to. */
static char *dmr_unfit_spare(struct dm_target *ti, struct block_device *spare)
{
	struct block_device *bdev = dm_disk(dm_table_get_md(ti->table))->part0;

	if (spare->bd_disk == bdev->bd_disk)
		return "The spare is the device itself";
	if (bdev_write_cache(spare) && !bdev_write_cache(bdev))
		return "The spare has a write cache, and the device is used as one without";
	if (bdev_stable_writes(spare) && !bdev_stable_writes(bdev))
		return "The spare wants stable pages, and the device does not ask for them";
	if (bdev_nowait(bdev) && !bdev_nowait(spare))
		return "The spare may wait, and the device is used as one that does not";
	if (bdev_dma_alignment(spare) & ~bdev_dma_alignment(bdev))
		return "The spare wants memory aligned more than the device does";
	return NULL;
}

static int dmr_migrate_to(struct dm_target *ti, struct dm_dev *spare,
			  struct dmr_former *former, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	struct dmr_target *t = ti->private;
	struct dmr_core *core = t->user.core;
	/* Its place among the tables is nothing to this one. */
	struct dmr_user to = data_race(t->user);
	char *unfit;
	int r;

	to.spare = spare->bdev;
	unfit = dmr_unfit(&to);
	if (!unfit)
		unfit = dmr_unfit_spare(ti, spare->bdev);
	if (unfit)
		return dmr_refuse(core, -EINVAL, "migrate: %s", unfit);
	r = dmr_core_join_spare(&t->user, spare->bdev);
	if (r)
		return dmr_refuse(core, r,
				  "migrate: the new spare is in use, another table is loaded, or there is a migration already");
	r = dmr_message(core, &to, argc, argv, result, maxlen);
	if (dmr_core_settle_spare(&t->user)) {
		former->dev = t->spare;
		former->next = t->former;
		t->former = former;
		WRITE_ONCE(t->spare, spare);
	}
	/* Now another one may begin. */
	dmr_core_part_spare(&t->user);
	return r;
}

static int dmr_target_migrate(struct dm_target *ti, unsigned int argc, char **argv,
			      char *result, unsigned int maxlen)
{
	struct dmr_target *t = ti->private;
	struct dmr_core *core = t->user.core;
	struct dmr_former *former;
	struct dm_dev *spare;
	unsigned int noio;
	int r;

	/* A suspend waits for the message, and reclaim must not wait for the suspend. */
	noio = memalloc_noio_save();
	former = kzalloc(sizeof(*former), GFP_KERNEL);
	r = former ? dm_get_device(ti, argv[1], dm_table_get_mode(ti->table), &spare) : -ENOMEM;
	if (r) {
		dmr_refuse(core, r, "migrate: %.40s cannot be opened (error %d)", argv[1], r);
	} else {
		r = dmr_migrate_to(ti, spare, former, argc, argv, result, maxlen);
		if (!former->dev)
			dm_put_device(ti, spare);
	}
	if (former && !former->dev)
		kfree(former);
	memalloc_noio_restore(noio);
	return r;
}

static int dmr_target_message(struct dm_target *ti, unsigned int argc, char **argv,
			      char *result, unsigned int maxlen)
{
	if (argc == 2 && !strcasecmp(argv[0], "migrate"))
		return dmr_target_migrate(ti, argc, argv, result, maxlen);
	return dmr_message(dmr_core_of(ti), NULL, argc, argv, result, maxlen);
}

/* Only from CAP_SYS_RAWIO: what they address may be elsewhere. */
static int DMR_PREPARE_IOCTL(dmr_prepare_ioctl)
{
	struct dmr_target *t = ti->private;

	*bdev = t->main->bdev;
	return 1;
}

static int dmr_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
			       void *data)
{
	struct dmr_target *t = ti->private;
	int r;

	r = fn(ti, t->main, 0, ti->len, data);
	if (!r)
		r = fn(ti, READ_ONCE(t->spare), 0, dmr_user_spare_size(&t->user), data);
	return r;
}

static void dmr_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct dmr_target *t = ti->private;

	if (ti->discards_supported)
		dmr_limits_set_discard(limits, t->main->bdev);
}

static struct target_type dmr_target_type = {
	.name		 = "dm-remap-v4",
	.version	 = { 1, 0, 0 },
	.features	 = DM_TARGET_NOWAIT,
	.module		 = THIS_MODULE,
	.ctr		 = dmr_ctr,
	.dtr		 = dmr_dtr,
	.map		 = dmr_map,
	.end_io		 = dmr_end_io,
	.presuspend	 = dmr_presuspend,
	.presuspend_undo = dmr_presuspend_undo,
	.postsuspend	 = dmr_postsuspend,
	.preresume	 = dmr_preresume,
	.resume		 = dmr_resume,
	.status		 = dmr_status_line,
	.message	 = dmr_target_message,
	.prepare_ioctl	 = dmr_prepare_ioctl,
	.iterate_devices = dmr_iterate_devices,
	.io_hints	 = dmr_io_hints,
};

static int __init dmr_init(void)
{
	int r = dmr_core_init();

	if (r)
		return r;
	r = dm_register_target(&dmr_target_type);
	if (r)
		dmr_core_exit();
	return r;
}

static void __exit dmr_exit(void)
{
	dm_unregister_target(&dmr_target_type);
	dmr_core_exit();
}

module_init(dmr_init);
module_exit(dmr_exit);

/* device-mapper asks for dm-<target>. */
MODULE_ALIAS("dm-dm-remap-v4");
MODULE_DESCRIPTION(DM_NAME " target that serves bad sectors from a spare device");
MODULE_AUTHOR("dm-remap-v4 maintainers");
MODULE_LICENSE("GPL");

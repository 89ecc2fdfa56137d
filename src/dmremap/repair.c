// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"
#include "salvage.h"
#include "survey.h"

#include <errno.h>
#include <string.h>

#include <linux/kernel.h>

/* What is on the spare now is what was meant to be. */
static int verify(struct spare *spare)
{
	u64 remaps = spare->owner.by_main.nr;

	owner_reset(&spare->owner, spare->dev.sectors);
	if (spare_load(spare))
		return FAILED;
	if (spare->owner.by_main.nr != remaps)
		return complain("%s has %llu remaps, and %llu were written", spare->dev.path,
				spare->owner.by_main.nr, remaps);
	say("%s is repaired: %llu remaps", spare->dev.path, remaps);
	return DONE;
}

/* One copy is enough. */
static int mend(struct spare *spare)
{
	int r;

	if (!check_tell(spare, 0)) {
		say("%s is clean", spare->dev.path);
		return DONE;
	}
	r = dmr_meta_recover(&spare->owner.m);
	if (r)
		return complain("%s cannot be mended: %s", spare->dev.path, strerror(-r));
	return verify(spare);
}

static int salvage(struct spare *spare, bool moved)
{
	struct owner *o = &spare->owner;
	u64 epoch;
	int r;

	owner_forget(o);
	r = salvage_map(o, &epoch);
	if (r == -ENODATA)
		return complain("no block of the log on %s is intact", spare->dev.path);
	if (!r)
		r = moved ? salvage_new_areas(o) : salvage_take_areas(o);
	if (!r)
		r = owner_write(o, epoch);
	if (r)
		return complain("%s cannot be repaired: %s", spare->dev.path, strerror(-r));
	return verify(spare);
}

/* Without a superblock the log is looked for, and main has to be told. */
static int rebuild(struct spare *spare, const struct options *opt)
{
	const char *what = foreign_contents(&spare->dev);
	struct dmr_meta *m = &spare->owner.m;
	u8 uuid[DMR_UUID_SIZE];
	bool moved;
	int r;

	if (what && !opt->force)
		return complain("%s: %s (see --force)", spare->dev.path, what);
	if (opt->uuid && !uuid_parse(opt->uuid, uuid)) {
		complain("--uuid %s: it is no UUID", opt->uuid);
		return USAGE;
	}
	owner_reset(&spare->owner, spare->dev.sectors);
	r = main_options(opt, spare, &m->len, &m->block);
	if (r)
		return r;
	say("no superblock of %s is intact: looking for the log", spare->dev.path);
	m->size = round_down(m->size, m->block);
	m->spare_size = m->size;
	m->super_bad = BIT(DMR_COPIES) - 1;
	if (opt->main_id)
		strcpy(m->main_id, opt->main_id);
	r = salvage_areas(&spare->owner, opt->uuid ? uuid : NULL, &moved);
	return r ? r : salvage(spare, moved);
}

/* Does the other spare of a migration say that its remaps have moved here? */
static int retired(const struct dmr_meta *m, const char *path)
{
	struct spare old;
	int r;

	if (spare_open(&old, path, DEVICE_READ))
		return FAILED;
	r = owner_probe(&old.owner);
	if (r != -ESTALE || old.owner.m.moving != DMR_SUPER_RETIRED ||
	    memcmp(old.owner.m.uuid, m->peer, sizeof(m->peer)) ||
	    memcmp(old.owner.m.peer, m->uuid, sizeof(m->uuid)))
		return spare_close(&old,
				   complain("%s may still count: it does not name this spare",
					    path));
	return spare_close(&old, DONE);
}

/* Who does not know a feature of these must not write. */
static int refuse_features(const struct spare *spare)
{
	return spare->owner.m.ro_compat ?
	       complain("%s has features that are not known here", spare->dev.path) : DONE;
}

/* Power was lost after the one spare was given up, before the other one counted. */
static int join(struct spare *spare, const char *from)
{
	struct owner *o = &spare->owner;
	int r = owner_probe(o);

	if (r != -ESTALE || o->m.moving != DMR_SUPER_JOINING)
		return r ? complain_spare(spare, r) :
			   complain("%s is of no migration", spare->dev.path);
	if (refuse_features(spare) || retired(&o->m, from))
		return FAILED;
	r = owner_replay(o);
	if (!r)
		r = dmr_meta_join(&o->m);
	return r ? complain_spare(spare, r) : verify(spare);
}

static int repair(struct spare *spare, const struct options *opt)
{
	int r;

	if (opt->from)
		return join(spare, opt->from);
	r = owner_probe(&spare->owner);
	if (r == -ENODATA || r == -EEXIST || r == -EUCLEAN || r == -EIO) {
		if (opt->main || opt->len)
			return rebuild(spare, opt);
		complain_spare(spare, r);
		return complain("without a superblock, --main or --len is wanted");
	}
	if (r)
		return complain_spare(spare, r);
	if (refuse_features(spare))
		return FAILED;
	r = owner_replay(&spare->owner);
	if (!r)
		return mend(spare);
	if (r != -EUCLEAN)
		return complain_spare(spare, r);
	check_tell(spare, r);
	return salvage(spare, false);
}

int run_repair(const struct options *opt)
{
	struct spare spare;

	if (spare_open(&spare, opt->spare, DEVICE_WRITE))
		return FAILED;
	return spare_close(&spare, repair(&spare, opt));
}

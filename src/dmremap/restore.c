// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"
#include "dump.h"
#include "kind.h"
#include "survey.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/log2.h>

/*
 * Reading a dump: what it lacks or has too much of is told by name
 */

static struct json_object *member(struct json_object *dump, const char *name,
				  enum json_type type)
{
	struct json_object *value;

	if (json_object_object_get_ex(dump, name, &value) &&
	    json_object_get_type(value) == type)
		return value;
	complain("the dump has no %s \"%s\"", json_type_to_name(type), name);
	return NULL;
}

static bool get_number(struct json_object *value, u64 *n)
{
	if (json_object_get_type(value) != json_type_int)
		return false;
	*n = json_object_get_uint64(value);
	/* Negative ones are 0 to json-c. */
	return *n || !json_object_get_int64(value);
}

static bool get_member(struct json_object *dump, const char *name, u64 least, u64 most, u64 *n)
{
	struct json_object *value = member(dump, name, json_type_int);

	if (!value)
		return false;
	if (get_number(value, n) && *n >= least && *n <= most)
		return true;
	complain("\"%s\" is %s, and not from %llu to %llu", name,
		 json_object_get_string(value), least, most);
	return false;
}

/* A row of so many numbers. */
static bool get_row(struct json_object *row, const char *name, unsigned int nr, u64 *n)
{
	bool good = json_object_get_type(row) == json_type_array &&
		    json_object_array_length(row) == nr;

	for (unsigned int i = 0; i < nr && good; i++)
		good = get_number(json_object_array_get_idx(row, i), &n[i]);
	if (!good)
		complain("%s in \"%s\" is not %u numbers", json_object_get_string(row), name, nr);
	return good;
}

static bool get_areas(struct json_object *dump, struct dmr_meta *m)
{
	struct json_object *areas = member(dump, "areas", json_type_array);

	if (!areas)
		return false;
	if (json_object_array_length(areas) != DMR_COPIES * DMR_HALVES) {
		complain("\"areas\" are not %u", DMR_COPIES * DMR_HALVES);
		return false;
	}
	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES; i++) {
		u64 n[2];

		if (!get_row(json_object_array_get_idx(areas, i), "areas", 2, n))
			return false;
		/* A half has as many in both copies. */
		if (n[0] % DMR_BLOCK_SECTORS || !n[1] || n[1] > U32_MAX ||
		    (i >= DMR_HALVES &&
		     n[1] * DMR_BLOCK_SECTORS != m->areas[0][i % DMR_HALVES].len)) {
			complain("an area cannot have %llu blocks at sector %llu", n[1], n[0]);
			return false;
		}
		m->areas[i / DMR_HALVES][i % DMR_HALVES].start = n[0];
		m->areas[i / DMR_HALVES][i % DMR_HALVES].len = n[1] * DMR_BLOCK_SECTORS;
	}
	return true;
}

static bool get_identity(struct json_object *dump, struct dmr_meta *m)
{
	struct json_object *format = member(dump, "format", json_type_string);
	struct json_object *uuid = member(dump, "uuid", json_type_string);
	struct json_object *id = member(dump, "main_id", json_type_string);
	u64 version;

	if (!format || !uuid || !id ||
	    !get_member(dump, "version", DMR_VERSION, DMR_VERSION, &version))
		return false;
	if (strcmp(json_object_get_string(format), DUMP_FORMAT)) {
		complain("it is no dump of a spare, but \"%s\"", json_object_get_string(format));
		return false;
	}
	if (!uuid_parse(json_object_get_string(uuid), m->uuid)) {
		complain("\"uuid\" is no UUID: %s", json_object_get_string(uuid));
		return false;
	}
	if (json_object_get_string_len(id) >= DMR_MAIN_ID_SIZE) {
		complain("\"main_id\" has more than %u bytes", DMR_MAIN_ID_SIZE - 1);
		return false;
	}
	strcpy(m->main_id, json_object_get_string(id));
	return true;
}

static bool get_super(struct json_object *dump, const struct device *dev, struct dmr_meta *m)
{
	u64 block;

	if (!get_identity(dump, m) ||
	    !get_member(dump, "compat", 0, U64_MAX, &m->compat) ||
	    /* Who does not know them must not write. */
	    !get_member(dump, "ro_compat", 0, 0, &m->ro_compat) ||
	    !get_member(dump, "len", 1, BIT_ULL(DMR_SECTOR_BITS), &m->len) ||
	    !get_member(dump, "block", 1, 128, &block) ||
	    !get_member(dump, "spare_size", 1, dev->sectors, &m->spare_size) ||
	    !get_member(dump, "backup", DMR_BLOCK_SECTORS, dev->sectors, &m->backup) ||
	    !get_areas(dump, m))
		return false;
	m->block = block;
	m->size = round_down(dev->sectors, block);
	if (is_power_of_2(block) && is_power_of_2(m->backup))
		return true;
	complain("\"block\" %llu or \"backup\" %llu is no power of two", block, m->backup);
	return false;
}

static bool get_map(struct json_object *dump, struct owner *o, const struct kind *kind)
{
	struct json_object *rows = member(dump, kind->name, json_type_array);

	if (!rows)
		return false;
	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		struct dmr_change change;
		u64 n[3];

		if (!get_row(row, kind->name, strlen(kind->columns), n))
			return false;
		kind_put(kind, &change, n);
		if (owner_apply(o, &change)) {
			complain("%s %s is beyond main or spare, or overlaps another",
				 kind->name, json_object_get_string(row));
			return false;
		}
	}
	return true;
}

/*
 * Writing it
 */

/* A restored superblock must count for more than what is there. */
static u64 highest_generation(struct owner *o)
{
	struct dmr_meta *m = &o->m;
	const struct dmr_super *super = m->buffer;
	u64 at[DMR_COPIES] = { 0, m->backup }, generation = 0;

	for (unsigned int c = 0; c < DMR_COPIES; c++)
		if (!device_read(o->io.context, at[c], m->buffer, 1) &&
		    dmr_super_intact(super, at[c]))
			generation = max(generation, (u64)le64toh(super->generation));
	return generation;
}

/*
 * Without the superblock at sector 0, the second is searched from above: one that was there
 * before, above that of the dump, would count.
 */
static int wipe_supers(struct spare *spare)
{
	struct owner *o = &spare->owner;

	for (u64 at = 2 * o->m.backup; at <= o->m.size / 2; at *= 2) {
		struct dmr_super *super = o->m.buffer;

		if (device_read(&spare->dev, at, super, 1) || !dmr_super_intact(super, at))
			continue;
		if (runs_find(&o->by_spare, at, DMR_BLOCK_SECTORS))
			return complain("%s: the dump uses sector %llu, where an old superblock is",
					spare->dev.path, at);
		memset(super, 0, DMR_BLOCK_SIZE);
		if (device_write(&spare->dev, at, super, 1, true))
			return complain("%s: sector %llu cannot be written", spare->dev.path, at);
	}
	return DONE;
}

static int write_spare(struct spare *spare, struct json_object *dump, bool wipe)
{
	struct owner *o = &spare->owner;
	int r;

	owner_reset(o, spare->dev.sectors);
	if (!get_super(dump, &spare->dev, &o->m))
		return FAILED;
	if (owner_take_areas(o))
		return complain("areas of the dump overlap, or are beyond the %llu sectors of %s",
				o->m.size, spare->dev.path);
	for (unsigned int i = 0; i < nr_kinds; i++)
		if (!get_map(dump, o, &kinds[i]))
			return FAILED;
	if (wipe && wipe_contents(spare))
		return FAILED;
	if (wipe_supers(spare))
		return FAILED;
	o->m.generation = highest_generation(o);
	r = owner_write(o, survey_epoch(&o->m));
	if (r)
		return complain("%s cannot be written: %s", spare->dev.path, strerror(-r));
	say("%llu remaps are on %s", o->by_main.nr, spare->dev.path);
	return DONE;
}

/* Only over blanks: of what is damaged `repair` may still save much. */
static int refuse_contents(struct spare *spare)
{
	int r = owner_load(&spare->owner);

	if (r == -ENODATA && !foreign_contents(&spare->dev))
		return DONE;
	if (!r)
		return complain("%s is a spare that can be loaded (see --force)", spare->dev.path);
	complain_spare(spare, r);
	return complain("it is written over with --force");
}

int run_restore(const struct options *opt)
{
	struct json_object *dump;
	struct spare spare;
	int r;

	dump = json_object_from_file(strcmp(opt->file, "-") ? opt->file : "/dev/stdin");
	if (!dump)
		return complain("%s: %s", opt->file, json_util_get_last_err());
	r = spare_open(&spare, opt->spare, DEVICE_WRITE);
	if (!r) {
		r = opt->force ? DONE : refuse_contents(&spare);
		r = spare_close(&spare, r ? r : write_spare(&spare, dump, opt->force));
	}
	json_object_put(dump);
	return r;
}

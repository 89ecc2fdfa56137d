// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"
#include "dump.h"
#include "kind.h"

#include <json-c/json.h>
#include <stdio.h>

/*
 * Text, for people
 */

static int put_text_row(void *arg, const struct dmr_change *change)
{
	const struct kind *kind = kind_of(change->type);
	unsigned int nr;
	u64 n[3];

	nr = kind_get(kind, change, n);
	printf("%s", kind->name);
	for (unsigned int i = 0; i < nr; i++)
		printf(" %llu", n[i]);
	putchar('\n');
	return 0;
}

static void put_text(struct owner *o)
{
	const struct dmr_meta *m = &o->m;
	char text[UUID_TEXT];

	printf("uuid %s\nmain_id %s\n", uuid_text(m->uuid, text), m->main_id);
	printf("len %llu\nblock %u\nspare_size %llu\nbackup %llu\n", m->len, m->block,
	       m->spare_size, m->backup);
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		for (unsigned int h = 0; h < DMR_HALVES; h++)
			printf("area %u %u %llu %llu\n", c, h, m->areas[c][h].start,
			       m->areas[c][h].len / DMR_BLOCK_SECTORS);
	owner_each(o, put_text_row, NULL);
}

/*
 * JSON, for programs. Of the rows there may be millions, so they are never objects.
 */

static struct json_object *areas_json(const struct dmr_meta *m)
{
	struct json_object *all = json_object_new_array();

	for (unsigned int c = 0; c < DMR_COPIES; c++)
		for (unsigned int h = 0; h < DMR_HALVES; h++) {
			const struct dmr_extent *area = &m->areas[c][h];
			struct json_object *row = json_object_new_array();

			json_object_array_add(row, json_object_new_uint64(area->start));
			json_object_array_add(row, json_object_new_uint64(area->len /
									  DMR_BLOCK_SECTORS));
			json_object_array_add(all, row);
		}
	return all;
}

static void put_member(const char *name, struct json_object *value)
{
	printf("  \"%s\": %s,\n", name,
	       json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
					      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(value);
}

/**
 * struct rows - of one kind, as they are written
 * @kind:	which
 * @nr:		how many there were
 */
struct rows {
	const struct kind	*kind;
	u64			nr;
};

static int put_json_row(void *arg, const struct dmr_change *change)
{
	struct rows *rows = arg;
	unsigned int nr;
	u64 n[3];

	if (change->type != rows->kind->type)
		return 0;
	nr = kind_get(rows->kind, change, n);
	printf("%s    [%llu", rows->nr++ ? ",\n" : "\n", n[0]);
	for (unsigned int i = 1; i < nr; i++)
		printf(", %llu", n[i]);
	putchar(']');
	return 0;
}

static void put_rows(struct owner *o, const struct kind *kind)
{
	struct rows rows = { kind, 0 };

	printf("  \"%s\": [", kind->name);
	owner_each(o, put_json_row, &rows);
	printf("\n  ]%s\n", kind == &kinds[nr_kinds - 1] ? "" : ",");
}

static void put_json(struct owner *o)
{
	const struct dmr_meta *m = &o->m;
	char text[UUID_TEXT];

	printf("{\n");
	put_member("format", json_object_new_string(DUMP_FORMAT));
	put_member("version", json_object_new_int(DMR_VERSION));
	put_member("uuid", json_object_new_string(uuid_text(m->uuid, text)));
	put_member("main_id", json_object_new_string(m->main_id));
	put_member("compat", json_object_new_uint64(m->compat));
	put_member("ro_compat", json_object_new_uint64(m->ro_compat));
	put_member("len", json_object_new_uint64(m->len));
	put_member("block", json_object_new_uint64(m->block));
	put_member("spare_size", json_object_new_uint64(m->spare_size));
	put_member("backup", json_object_new_uint64(m->backup));
	put_member("areas", areas_json(m));
	for (unsigned int i = 0; i < nr_kinds; i++)
		put_rows(o, &kinds[i]);
	printf("}\n");
}

int run_dump(const struct options *opt)
{
	struct spare spare;
	int r;

	if (spare_open(&spare, opt->spare, DEVICE_READ))
		return FAILED;
	r = spare_load(&spare);
	if (!r && opt->json)
		put_json(&spare.owner);
	else if (!r)
		put_text(&spare.owner);
	return spare_close(&spare, r);
}

// SPDX-License-Identifier: GPL-2.0-only
#include "salvage.h"
#include "survey.h"
#include "tool.h"

#include <errno.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/log2.h>
#include <asm/byteorder.h>

/*
 *----------------------------------------------------------------
 * The map
 *----------------------------------------------------------------
 */

static bool more(const struct dmr_block *block)
{
	return le16_to_cpu(block->flags) & DMR_BLOCK_MORE;
}

/* One of the copies of the block that was read last, or NULL. */
static const struct dmr_block *either(const struct survey *s)
{
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		if (!s->fault[c])
			return s->blocks[c];
	return NULL;
}

static const struct dmr_block *read_block(struct survey *s, u32 seq)
{
	survey_read(s, seq);
	return either(s);
}

/* Is all there of the commit that makes the whole map? */
static bool whole_beginning(struct survey *s)
{
	for (u32 seq = 0; seq < s->end; seq++) {
		const struct dmr_block *block = read_block(s, seq);

		if (!block || !more(block))
			return block;
	}
	return false;
}

/* Behind the last commit that has its end: what follows never happened. */
static u32 commits_end(struct survey *s)
{
	u32 end = s->end;

	while (end) {
		const struct dmr_block *block = read_block(s, end - 1);

		if (block && !more(block))
			break;
		end--;
	}
	return end;
}

static int unmap(struct owner *o, u64 main, u64 len)
{
	return owner_apply(o, &(struct dmr_change) {
		.type = DMR_RECORD_UNMAP,
		.main = main,
		.len = len,
	});
}

/* A later record is right about its main sectors: a removal before it was lost. */
static int clear_main(struct owner *o, const struct dmr_change *change, u32 seq)
{
	const struct run *run;
	int r = 0;

	while (!r && (run = runs_find(&o->by_main, change->main, change->len))) {
		if (run->to - run->start != change->spare - change->main)
			say("main sectors %llu to %llu: not on spare sector %llu, says block %u",
			    run->start, run->start + run->len - 1, run->to, seq);
		r = unmap(o, run->start, run->len);
	}
	return r;
}

/* ... and about those of the spare. */
static int clear_spare(struct owner *o, const struct dmr_change *change, u32 seq)
{
	const struct run *run;
	int r = 0;

	while (!r && (run = runs_find(&o->by_spare, change->spare, change->len))) {
		if (run->type == DMR_RECORD_ASIDE)
			return -EUCLEAN;
		say("main sectors %llu to %llu: spare sector %llu serves others, says block %u",
		    run->to, run->to + run->len - 1, run->start, seq);
		r = unmap(o, run->to, run->len);
	}
	return r;
}

/* Does it lie within both devices? */
static bool fits(const struct owner *o, const struct dmr_change *change)
{
	return change->len && change->len <= o->m.len && change->len <= o->m.size &&
	       change->main <= o->m.len - change->len && change->spare <= o->m.size - change->len;
}

static bool mapped_so(const struct owner *o, const struct dmr_change *change)
{
	const struct run *run = runs_find(&o->by_spare, change->spare, change->len);

	return run && run->start == change->spare && run->len == change->len &&
	       run->to == change->main && run->type == change->type;
}

/* What wants sectors of the spare has them, whoever had them before. */
static int make_way(struct owner *o, const struct dmr_change *change, u32 seq)
{
	int r;

	if (!fits(o, change))
		return -EUCLEAN;
	r = change->type == DMR_RECORD_ASIDE ? 0 : clear_main(o, change, seq);
	return r ? r : clear_spare(o, change, seq);
}

static int salvage_record(struct owner *o, const struct dmr_block *block, unsigned int i)
{
	u32 seq = le32_to_cpu(block->seq);
	struct dmr_change change;
	int r = 0;

	dmr_block_get(block, i, &change);
	switch (change.type) {
	case DMR_RECORD_MAP:
	case DMR_RECORD_LOST:
	case DMR_RECORD_ASIDE:
		if (mapped_so(o, &change))
			return 0;
		r = make_way(o, &change, seq);
	}
	if (!r)
		r = owner_apply(o, &change);
	if (r == -EUCLEAN) {
		say("block %u, record %u: left out: type %u, main %llu, spare %llu, length %llu",
		    seq, i, change.type, change.main, change.spare, change.len);
		r = 0;
	}
	return r;
}

static int salvage_half(struct owner *o, struct survey *s)
{
	u32 end = commits_end(s), lost = 0;
	int r = 0;

	for (u32 seq = 0; seq < end && !r; seq++) {
		const struct dmr_block *block = read_block(s, seq);
		unsigned int nr = block ? le16_to_cpu(block->nr) : 0;

		if (!block) {
			lost++;
			say("block %u of the log is lost in both copies, with 0 to %u changes",
			    seq, DMR_BLOCK_RECORDS);
		}
		/* The buffer stays, as records are applied in memory. */
		for (unsigned int i = 0; i < nr && !r; i++)
			r = salvage_record(o, block, i);
	}
	say("epoch %llu of the log: %u of %u blocks are intact", s->epoch, end - lost, end);
	return r;
}

int salvage_map(struct owner *o, u64 *epoch)
{
	struct survey s[DMR_HALVES];
	unsigned int newest;
	int r = 0;

	for (unsigned int h = 0; h < DMR_HALVES; h++)
		survey_half(&s[h], &o->m, h);
	newest = s[1].epoch > s[0].epoch;
	if (!s[newest].epoch)
		return -ENODATA;
	*epoch = survey_epoch(&o->m);
	o->m.half = newest;
	if (!whole_beginning(&s[newest]) && s[!newest].epoch) {
		say("the beginning of the log is damaged: the half before tells what was there");
		r = salvage_half(o, &s[!newest]);
	}
	return r ? r : salvage_half(o, &s[newest]);
}

static int clear_area(struct owner *o, u64 start, u64 len)
{
	const struct run *run;
	int r = 0;

	while (!r && (run = runs_find(&o->by_spare, start, len)) && run->type) {
		if (run->type == DMR_RECORD_ASIDE) {
			say("spare sectors %llu to %llu are not aside: they are the log's",
			    run->start, run->start + run->len - 1);
			r = runs_cut(&o->by_spare, run->start, run->len);
			continue;
		}
		say("main sectors %llu to %llu: spare sector %llu is the log's",
		    run->to, run->to + run->len - 1, run->start);
		r = unmap(o, run->to, run->len);
	}
	return r;
}

int salvage_take_areas(struct owner *o)
{
	int r = clear_area(o, o->m.backup, DMR_BLOCK_SECTORS);

	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES && !r; i++) {
		const struct dmr_extent *area = &o->m.areas[i / DMR_HALVES][i % DMR_HALVES];

		r = clear_area(o, area->start, area->len);
	}
	return r ? r : owner_take_areas(o);
}

/*
 *----------------------------------------------------------------
 * Where the log is, without a superblock
 *----------------------------------------------------------------
 */

/**
 * struct place - where blocks of a log were found
 * @uuid:	theirs
 * @start:	the sector where their half begins
 * @epoch:	the highest of them
 * @end:	behind the last of them
 */
struct place {
	u8	uuid[DMR_UUID_SIZE];
	u64	start;
	u64	epoch;
	u32	end;
};

#define MAX_PLACES 64U

struct places {
	struct place	v[MAX_PLACES];
	unsigned int	nr;
};

static void note_block(struct places *places, const struct dmr_block *block, u64 sector)
{
	u32 seq = le32_to_cpu(block->seq), body;
	u64 start = sector - (u64)seq * DMR_BLOCK_SECTORS, epoch = le64_to_cpu(block->epoch);
	struct place *place = places->v;

	if (start > sector || epoch > DMR_LAST_EPOCH ||
	    !dmr_block_intact(block, block->uuid, seq, sector, &body))
		return;
	while (place < places->v + places->nr &&
	       (place->start != start || memcmp(place->uuid, block->uuid, DMR_UUID_SIZE)))
		place++;
	if (place == places->v + MAX_PLACES)
		return;
	if (place == places->v + places->nr) {
		memcpy(place->uuid, block->uuid, DMR_UUID_SIZE);
		place->start = start;
		places->nr++;
	}
	place->epoch = max(place->epoch, epoch);
	place->end = max(place->end, seq + 1);
}

static void find_places(struct owner *o, struct places *places)
{
	struct dmr_meta *m = &o->m;
	u64 blocks = m->size / DMR_BLOCK_SECTORS;
	unsigned int nr;

	for (u64 at = 0; at < blocks; at += nr) {
		nr = min_t(u64, DMR_META_CHUNK, blocks - at);
		if (m->ops->read(m, at * DMR_BLOCK_SECTORS, m->buffer, nr)) {
			nr = 1;
			if (m->ops->read(m, at * DMR_BLOCK_SECTORS, m->buffer, nr))
				continue;
		}
		for (unsigned int i = 0; i < nr; i++)
			note_block(places, m->buffer + i * DMR_BLOCK_SIZE,
				   (at + i) * DMR_BLOCK_SECTORS);
	}
}

/* Only those of one format are left: the one that is wanted, or the only one. */
static int choose_uuid(struct owner *o, struct places *places, const u8 *wanted)
{
	unsigned int nr = 0;
	char text[UUID_TEXT];

	for (unsigned int i = 0; i < places->nr; i++) {
		const u8 *uuid = places->v[i].uuid;

		if (!wanted && memcmp(uuid, places->v[0].uuid, DMR_UUID_SIZE))
			return complain("there are logs of %s and of others: name it with --uuid",
					uuid_text(uuid, text));
		if (!wanted || !memcmp(uuid, wanted, DMR_UUID_SIZE))
			places->v[nr++] = places->v[i];
	}
	places->nr = nr;
	if (!nr)
		return complain("no block of a log is intact");
	memcpy(o->m.uuid, places->v[0].uuid, DMR_UUID_SIZE);
	return DONE;
}

static int no_write(void *context, u64 sector, const void *data, unsigned int blocks,
		    bool durable)
{
	return 0;
}

/* Where everything is on a spare that was just formatted. */
static int fresh_layout(const struct owner *o, struct owner *fresh)
{
	static const struct owner_io io = { .write = no_write };
	int r = owner_init(fresh, &io, o->m.size);

	if (r)
		return r;
	fresh->m.len = o->m.len;
	fresh->m.block = o->m.block;
	r = dmr_meta_format(&fresh->m);
	if (r)
		owner_exit(fresh);
	return r;
}

static bool in_layout(const struct dmr_meta *layout, const struct places *places)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < places->nr; i++)
		for (unsigned int a = 0; a < DMR_COPIES * DMR_HALVES; a++) {
			const struct dmr_extent *area =
				&layout->areas[a / DMR_HALVES][a % DMR_HALVES];

			nr += area->start == places->v[i].start &&
			      area->len >= places->v[i].end * DMR_BLOCK_SECTORS;
		}
	return nr == places->nr;
}

/* The places of the highest epoch below @below are a half; returns that epoch. */
static u64 take_half(struct dmr_meta *m, const struct places *places, unsigned int half,
		     u64 below)
{
	u64 epoch = 0, len = 0;
	unsigned int c = 0;

	for (unsigned int i = 0; i < places->nr; i++)
		if (places->v[i].epoch < below)
			epoch = max(epoch, places->v[i].epoch);
	for (unsigned int i = 0; i < places->nr && c < DMR_COPIES; i++) {
		if (!epoch || places->v[i].epoch != epoch)
			continue;
		len = max(len, (u64)places->v[i].end * DMR_BLOCK_SECTORS);
		m->areas[c++][half].start = places->v[i].start;
	}
	if (c == 1)
		m->areas[1][half] = m->areas[0][half];
	for (c = 0; c < DMR_COPIES; c++)
		m->areas[c][half].len = len;
	return epoch;
}

int salvage_areas(struct owner *o, const u8 *uuid, bool *moved)
{
	struct places places = { .nr = 0 };
	struct owner fresh;
	int r;

	find_places(o, &places);
	if (choose_uuid(o, &places, uuid))
		return FAILED;
	r = fresh_layout(o, &fresh);
	if (r)
		return complain("a spare of %llu sectors has no metadata: %s", o->m.size,
				strerror(-r));
	*moved = !in_layout(&fresh.m, &places);
	if (*moved) {
		take_half(&o->m, &places, 1, take_half(&o->m, &places, 0, U64_MAX));
	} else {
		memcpy(o->m.areas, fresh.m.areas, sizeof(o->m.areas));
		o->m.backup = fresh.m.backup;
	}
	owner_exit(&fresh);
	return DONE;
}

static int find_backup(struct owner *o)
{
	u64 at = rounddown_pow_of_two(o->m.size / 2);

	while (at >= DMR_BLOCK_SECTORS && !owner_free(o, at, DMR_BLOCK_SECTORS))
		at /= 2;
	o->m.backup = at;
	return at < DMR_BLOCK_SECTORS ? -ENOSPC : 0;
}

int salvage_new_areas(struct owner *o)
{
	u64 blocks = 16 + 4 * DIV_ROUND_UP(o->by_main.nr, DMR_BLOCK_RECORDS);
	int r = 0;

	/* What was read must outlast what is written. */
	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES && !r; i++) {
		struct dmr_extent *area = &o->m.areas[i / DMR_HALVES][i % DMR_HALVES];

		r = clear_area(o, area->start, area->len);
		if (!r && area->len && owner_free(o, area->start, area->len))
			r = o->m.ops->take(&o->m, area);
	}
	if (!r)
		r = find_backup(o);
	if (r)
		return r;
	o->m.second = (struct dmr_extent) { .start = o->m.backup, .len = DMR_BLOCK_SECTORS };
	r = o->m.ops->take(&o->m, &o->m.second);
	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES && !r; i++) {
		struct dmr_extent *area = &o->m.areas[i / DMR_HALVES][i % DMR_HALVES];

		area->start = i / DMR_HALVES ? DMR_HIGHEST : DMR_LOWEST;
		area->len = blocks * DMR_BLOCK_SECTORS;
		r = o->m.ops->take(&o->m, area);
	}
	return r;
}

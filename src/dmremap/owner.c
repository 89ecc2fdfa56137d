// SPDX-License-Identifier: GPL-2.0-only
#include "owner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

static struct owner *owner_of(struct dmr_meta *m)
{
	return container_of(m, struct owner, m);
}

/* The first sector of the spare that is handed out. */
static u64 spare_first(const struct owner *o)
{
	return round_up((u64)DMR_BLOCK_SECTORS, max_t(u64, o->m.block, 1));
}

static bool within(u64 start, u64 len, u64 end)
{
	return len && len <= end && start <= end - len;
}

static bool spare_has(const struct owner *o, u64 spare, u64 len)
{
	return within(spare, len, o->m.size) && spare >= spare_first(o);
}

bool owner_free(const struct owner *o, u64 spare, u64 len)
{
	return spare_has(o, spare, len) && !runs_find(&o->by_spare, spare, len);
}

/* Put sectors of the spare in use: of a remap, or 0 and @type 0. */
static int take(struct owner *o, u64 start, u64 len, u64 main, u8 type)
{
	struct run run = { .start = start, .len = len, .to = main, .type = type };

	return spare_has(o, start, len) ? runs_add(&o->by_spare, &run) : -ERANGE;
}

static void give(struct owner *o, u64 start, u64 len)
{
	/* What was taken as one is given as one, and that needs no memory. */
	runs_cut(&o->by_spare, start, len);
}

/*
 * The map
 */

static int map_add(struct owner *o, const struct dmr_change *change)
{
	struct run run = {
		.start = change->main,
		.len = change->len,
		.to = change->spare,
		.type = change->type,
	};
	int r = take(o, change->spare, change->len, change->main, change->type);

	if (!r) {
		r = runs_add(&o->by_main, &run);
		if (r)
			give(o, change->spare, change->len);
	}
	/* Where they were read from before is of no interest any more. */
	return r ? r : runs_cut(&o->pending, change->main, change->len);
}

static int map_cut(struct owner *o, u64 first, u64 len)
{
	const struct run *run;
	u64 from = first, last = first + len, to;
	int r = 0;

	while (!r && from < last && (run = runs_find(&o->by_main, from, last - from))) {
		from = max(run->start, first);
		to = min(run->start + run->len, last);
		r = runs_cut(&o->by_spare, run->to + (from - run->start), to - from);
		if (!r)
			r = runs_cut(&o->pending, from, to - from);
		from = to;
	}
	return r ? r : runs_cut(&o->by_main, first, len);
}

/*
 * Call @fn for the parts of main sectors that are pending or may be, each of them
 * served as a whole; @run is the remap that does, or NULL.
 */
static int each_part(struct owner *o, u64 first, u64 len,
		     int (*fn)(struct owner *o, const struct run *run, u64 from, u64 len))
{
	u64 last = first + len, to;
	int r = 0;

	for (u64 from = first; from < last && !r; from = to) {
		const struct run *run = runs_find(&o->by_main, from, last - from);
		bool mapped = run && run->start <= from;

		to = !run ? last : mapped ? min(run->start + run->len, last) : run->start;
		r = fn(o, mapped ? run : NULL, from, to - from);
	}
	return r;
}

/* Once is enough, and lost sectors are not read anyway. */
static int part_pending(struct owner *o, const struct run *run, u64 from, u64 len)
{
	struct run part = { .start = from, .len = len };
	int r;

	if (run && run->type == DMR_RECORD_LOST)
		return 0;
	r = runs_cut(&o->pending, from, len);
	return r ? r : runs_add(&o->pending, &part);
}

static int part_sound(struct owner *o, const struct run *run, u64 from, u64 len)
{
	return run ? 0 : runs_cut(&o->pending, from, len);
}

static int set_scrub(struct owner *o, const struct dmr_change *change)
{
	if (change->len > DMR_SCRUB_RATE_MAX)
		return -EUCLEAN;
	o->scrub = *change;
	return 0;
}

static int change_map(struct owner *o, const struct dmr_change *change)
{
	switch (change->type) {
	case DMR_RECORD_MAP:
	case DMR_RECORD_LOST:
		return map_add(o, change);
	case DMR_RECORD_UNMAP:
		return map_cut(o, change->main, change->len);
	case DMR_RECORD_PENDING:
		return each_part(o, change->main, change->len, part_pending);
	case DMR_RECORD_SOUND:
		return each_part(o, change->main, change->len, part_sound);
	case DMR_RECORD_ASIDE:
		return take(o, change->spare, change->len, 0, change->type);
	}
	return -EUCLEAN;
}

int owner_apply(struct owner *o, const struct dmr_change *change)
{
	int r;

	if (change->type == DMR_RECORD_SCRUB)
		return set_scrub(o, change);
	if (!within(change->main, change->len, o->m.len) ||
	    (change->main | change->spare | change->len) & (o->m.block - 1))
		return -EUCLEAN;
	r = change_map(o, change);
	return r && r != -ENOMEM ? -EUCLEAN : r;
}

/* The record that a run of one of the sets stands for. */
static struct dmr_change change_of(const struct run *run, u8 type)
{
	switch (type) {
	case DMR_RECORD_PENDING:
		return (struct dmr_change) { type, run->start, 0, run->len };
	case DMR_RECORD_ASIDE:
		return (struct dmr_change) { type, 0, run->start, run->len };
	}
	return (struct dmr_change) { run->type, run->start, run->to, run->len };
}

static int each_run(const struct runs *set, u8 type,
		    int (*fn)(void *arg, const struct dmr_change *change), void *arg)
{
	const struct run *run;
	u64 from = 0;
	int r = 0;

	while (!r && (run = runs_from(set, from))) {
		struct dmr_change change = change_of(run, type);

		from = run->start + run->len;
		/* Others have the spare, too. */
		if (type != DMR_RECORD_ASIDE || run->type == type)
			r = fn(arg, &change);
	}
	return r;
}

int owner_each(struct owner *o, int (*fn)(void *arg, const struct dmr_change *change),
	       void *arg)
{
	int r = each_run(&o->by_main, DMR_RECORD_MAP, fn, arg);

	/* Only now: what is mapped would end it. */
	if (!r)
		r = each_run(&o->pending, DMR_RECORD_PENDING, fn, arg);
	if (!r)
		r = each_run(&o->by_spare, DMR_RECORD_ASIDE, fn, arg);
	if (!r && o->scrub.len)
		r = fn(arg, &o->scrub);
	return r;
}

/*
 * What metadata.c asks of its owner
 */

static int op_read(struct dmr_meta *m, u64 sector, void *data, unsigned int blocks)
{
	const struct owner_io *io = &owner_of(m)->io;

	return io->read(io->context, sector, data, blocks);
}

static int op_write(struct dmr_meta *m, u64 sector, const void *data,
		    unsigned int blocks, bool durable)
{
	const struct owner_io *io = &owner_of(m)->io;

	return io->write(io->context, sector, data, blocks, durable);
}

static int op_apply(struct dmr_meta *m, const struct dmr_change *change)
{
	return owner_apply(owner_of(m), change);
}

struct each {
	struct dmr_meta *m;
	dmr_change_fn fn;
};

static int each_one(void *arg, const struct dmr_change *change)
{
	const struct each *each = arg;

	return each->fn(each->m, change);
}

static int op_each(struct dmr_meta *m, dmr_change_fn fn)
{
	struct each each = { m, fn };

	return owner_each(owner_of(m), each_one, &each);
}

static int count_one(void *arg, const struct dmr_change *change)
{
	++*(u64 *)arg;
	return 0;
}

static u64 op_count(struct dmr_meta *m)
{
	u64 nr = 0;

	owner_each(owner_of(m), count_one, &nr);
	return nr;
}

/* Areas are whole blocks of the log and of main. */
static int place(const struct owner *o, struct dmr_extent *area)
{
	u64 unit = max_t(u64, DMR_BLOCK_SECTORS, o->m.block);
	u64 need = area->len + unit - 1, from = spare_first(o), to = 0;
	bool lowest = area->start == DMR_LOWEST, found = false;

	while (to < o->m.size && !(found && lowest)) {
		const struct run *run = runs_from(&o->by_spare, from);

		/* The gap before it, or behind the last. */
		to = run ? run->start : o->m.size;
		if (to >= from && to - from >= need) {
			found = true;
			area->start = lowest ? round_up(from, unit)
					     : round_down(to - area->len, unit);
		}
		from = run ? run->start + run->len : to;
	}
	return found ? 0 : -ENOSPC;
}

static int op_take(struct dmr_meta *m, struct dmr_extent *area)
{
	struct owner *o = owner_of(m);
	int r = 0;

	if (area->start == DMR_LOWEST || area->start == DMR_HIGHEST)
		r = place(o, area);
	return r ? r : take(o, area->start, area->len, 0, 0);
}

static void op_give(struct dmr_meta *m, struct dmr_extent *area)
{
	give(owner_of(m), area->start, area->len);
}

__printf(2, 3)
static void op_problem(struct dmr_meta *m, const char *fmt, ...)
{
	struct owner *o = owner_of(m);
	va_list args;

	va_start(args, fmt);
	vsnprintf(o->said, sizeof(o->said), fmt, args);
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

int owner_init(struct owner *o, const struct owner_io *io, u64 sectors)
{
	memset(o, 0, sizeof(*o));
	o->io = *io;
	/* As O_DIRECT wants it. */
	o->m.buffer = aligned_alloc(DMR_BLOCK_SIZE, DMR_META_BUFFER);
	if (!o->m.buffer)
		return -ENOMEM;
	owner_reset(o, sectors);
	return 0;
}

void owner_forget(struct owner *o)
{
	runs_clear(&o->by_main);
	runs_clear(&o->by_spare);
	runs_clear(&o->pending);
	memset(&o->scrub, 0, sizeof(o->scrub));
}

void owner_reset(struct owner *o, u64 sectors)
{
	void *buffer = o->m.buffer;

	owner_forget(o);
	o->said[0] = '\0';
	memset(&o->m, 0, sizeof(o->m));
	o->m.ops = &ops;
	o->m.buffer = buffer;
	o->m.size = sectors;
	o->m.block = 1;
}

void owner_exit(struct owner *o)
{
	owner_reset(o, 0);
	free(o->m.buffer);
}

int owner_probe(struct owner *o)
{
	int r = dmr_meta_probe(&o->m);

	if (!r)
		o->m.size = round_down(o->m.size, o->m.block);
	return r;
}

int owner_replay(struct owner *o)
{
	int r = dmr_meta_find(&o->m);

	return r ? r : dmr_meta_load(&o->m);
}

int owner_load(struct owner *o)
{
	int r = owner_probe(o);

	return r ? r : owner_replay(o);
}

int owner_take_areas(struct owner *o)
{
	int r;

	o->m.second.start = o->m.backup;
	o->m.second.len = DMR_BLOCK_SECTORS;
	r = op_take(&o->m, &o->m.second);
	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES && !r; i++)
		r = op_take(&o->m, &o->m.areas[i / DMR_HALVES][i % DMR_HALVES]);
	return r;
}

/* Zeroes in one block, if it cannot be read: that may bring it back. */
static void mend_block(struct dmr_meta *m, u64 sector)
{
	if (!m->ops->read(m, sector, m->buffer, 1))
		return;
	memset(m->buffer, 0, DMR_BLOCK_SIZE);
	m->ops->write(m, sector, m->buffer, 1, true);
}

/*
 * A block that no copy shows might be one of the log: a loader that comes to it refuses, so
 * none should be left behind what is about to be written.
 */
static void mend_half(struct dmr_meta *m, unsigned int half)
{
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		u64 start = m->areas[c][half].start, blocks, nr;

		blocks = m->areas[c][half].len / DMR_BLOCK_SECTORS;
		for (u64 i = 0; i < blocks; i += nr) {
			nr = min_t(u64, blocks - i, DMR_META_CHUNK);
			if (!m->ops->read(m, start + i * DMR_BLOCK_SECTORS, m->buffer, nr))
				continue;
			for (u64 j = i; j < i + nr; j++)
				mend_block(m, start + j * DMR_BLOCK_SECTORS);
		}
	}
}

int owner_write(struct owner *o, u64 epoch)
{
	mend_half(&o->m, !o->m.half);
	o->m.epoch = epoch;
	o->m.last_epoch = epoch;
	o->m.floor = epoch;
	/* As after a commit that may be there or not: the map begins a half. */
	o->m.doubt = true;
	return dmr_meta_recover(&o->m);
}

static bool wants_spare(const struct dmr_change *change)
{
	return change->type == DMR_RECORD_MAP || change->type == DMR_RECORD_LOST ||
	       change->type == DMR_RECORD_ASIDE;
}

void owner_release(struct owner *o, const struct dmr_change *changes, unsigned int nr)
{
	while (nr--)
		if (wants_spare(&changes[nr]))
			give(o, changes[nr].spare, changes[nr].len);
}

int owner_hold(struct owner *o, const struct dmr_change *changes, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		int r;

		if (!wants_spare(&changes[i]))
			continue;
		r = take(o, changes[i].spare, changes[i].len, 0, 0);
		if (r) {
			owner_release(o, changes, i);
			return r;
		}
	}
	return 0;
}

int owner_commit(struct owner *o, const struct dmr_change *changes, unsigned int nr)
{
	int r = owner_hold(o, changes, nr);

	if (r)
		return r;
	r = dmr_meta_begin(&o->m, nr);
	if (!r) {
		for (unsigned int i = 0; i < nr; i++)
			dmr_meta_put(&o->m, &changes[i]);
		r = dmr_meta_end(&o->m);
	}
	owner_release(o, changes, nr);
	for (unsigned int i = 0; i < nr && !r; i++)
		r = owner_apply(o, &changes[i]);
	return r;
}

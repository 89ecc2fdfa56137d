// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata, with the tool for an owner, on a disk that can be cut, torn, damaged and
 * made to fail, against a map of plain arrays.
 *
 * Every write is recorded. A cut leaves what was made durable before it, any part of
 * what came after, and the last write torn at any sector. What is loaded then must be
 * the map of the last commit that was acknowledged, or of the one under way.
 */
#include "owner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define SECTOR		512
#define LEN		4096U	/* sectors of main */
#define MAX_SPARE	32768U

/* A map: by sector, 0 for main, else the spare's sector. */
typedef u16 map_t[LEN];

struct write {
	u64	sector;
	u32	blocks;
	bool	durable;
	bool	mark;		/* not a write: commit @blocks is acknowledged */
	u8	*data;
};

/* Of one device: who owns it, and what was written to it. */
struct disk {
	struct owner	o;
	u8		*data;
	u64		size;
	/* recording */
	bool		record;
	struct write	*writes;
	unsigned int	nr_writes, room;
	/* failing */
	unsigned int	fail_copies;	/* bit c: writes to that copy */
	bool		fail_only_says;	/* ... are done all the same */
	bool		fail_reads;
	u64		unreadable[2];	/* blocks at these sectors, if not 0 */
	u64		written;
};

static struct rnd rnd;

static bool overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}

/*
 * Its disk
 */

static int disk_read(void *disk, u64 sector, void *data, unsigned int blocks)
{
	struct disk *d = disk;

	CHECK(sector + blocks * 8 <= d->size, "read at %lu", sector);
	for (int i = 0; i < 2; i++)
		if (d->unreadable[i] && overlap(d->unreadable[i], 8, sector, blocks * 8))
			return -EIO;
	if (d->fail_reads)
		return -EIO;
	memcpy(data, d->data + sector * SECTOR, blocks * DMR_BLOCK_SIZE);
	return 0;
}

static struct write *disk_recorded(struct disk *d)
{
	if (d->nr_writes == d->room) {
		d->room = d->room ? 2 * d->room : 1024;
		d->writes = realloc(d->writes, d->room * sizeof(*d->writes));
	}
	memset(&d->writes[d->nr_writes], 0, sizeof(*d->writes));
	return &d->writes[d->nr_writes++];
}

/* Which copy is written there? */
static unsigned int copy_at(const struct dmr_meta *m, u64 sector)
{
	for (unsigned int h = 0; h < DMR_HALVES; h++)
		if (sector - m->areas[1][h].start < m->areas[1][h].len)
			return 1;
	return sector == m->backup;
}

static int disk_write(void *disk, u64 sector, const void *data, unsigned int blocks,
		      bool durable)
{
	struct disk *d = disk;
	bool fails = d->fail_copies & 1 << copy_at(&d->o.m, sector);

	CHECK(sector + blocks * 8 <= d->size && sector % 8 == 0, "write at %lu", sector);
	d->written += blocks;
	if (fails && !d->fail_only_says)
		return -EIO;
	memcpy(d->data + sector * SECTOR, data, blocks * DMR_BLOCK_SIZE);
	if (d->record) {
		struct write *w = disk_recorded(d);

		w->sector = sector;
		w->blocks = blocks;
		w->durable = durable;
		w->data = malloc(blocks * DMR_BLOCK_SIZE);
		memcpy(w->data, data, blocks * DMR_BLOCK_SIZE);
	}
	return fails ? -EIO : 0;
}

/*
 * Devices
 */

static void disk_init(struct disk *d, u64 size)
{
	struct owner_io io = { disk_read, disk_write, d };
	struct owner owner = d->o;
	u8 *data = d->data;

	memset(d, 0, sizeof(*d));
	d->o = owner;
	d->data = data ? data : malloc(MAX_SPARE * SECTOR);
	d->size = size;
	if (d->o.m.buffer)
		owner_reset(&d->o, size);
	else
		CHECK(!owner_init(&d->o, &io, size), "no memory");
}

static void disk_free(struct disk *d)
{
	for (unsigned int i = 0; i < d->nr_writes; i++)
		free(d->writes[i].data);
	free(d->writes);
	free(d->data);
	owner_exit(&d->o);
	free(d);
}

static struct disk *disk_new(u64 size)
{
	struct disk *d = calloc(1, sizeof(*d));

	disk_init(d, size);
	memset(d->data, 0, size * SECTOR);
	return d;
}

static void disk_format(struct disk *d)
{
	for (int i = 0; i < DMR_UUID_SIZE; i++)
		d->o.m.uuid[i] = rnd64(&rnd);
	d->o.m.len = LEN;
	d->o.m.block = 1;
	CHECK(!dmr_meta_format(&d->o.m), "%s", d->o.said);
}

/* What a module that starts anew finds on @image. */
static int disk_load(struct disk *d, const u8 *image, u64 size)
{
	disk_init(d, size);
	memcpy(d->data, image, size * SECTOR);
	return owner_load(&d->o);
}

/*
 * Maps
 */

static void map_of(const struct disk *d, map_t map)
{
	const struct run *run;
	u64 from = 0;

	memset(map, 0, sizeof(map_t));
	while ((run = runs_from(&d->o.by_main, from))) {
		for (u32 s = 0; s < run->len; s++)
			map[run->start + s] = run->to + s;
		from = run->start + run->len;
	}
}

static bool map_is(const struct disk *d, const map_t want)
{
	map_t map;

	map_of(d, map);
	return !memcmp(map, want, sizeof(map));
}

/*
 * Changes
 */

#define MAX_BATCH 400

struct batch {
	struct dmr_change	v[MAX_BATCH];
	unsigned int		nr;
};

static bool main_free(const struct disk *d, const struct batch *b, u64 main, u64 len)
{
	if (runs_find(&d->o.by_main, main, len))
		return false;
	for (unsigned int i = 0; i < b->nr; i++)
		if (overlap(main, len, b->v[i].main, b->v[i].len))
			return false;
	return true;
}

static bool spare_free(struct disk *d, const struct batch *b, u64 spare, u64 len)
{
	if (!owner_free(&d->o, spare, len))
		return false;
	for (unsigned int i = 0; i < b->nr; i++)
		if (overlap(spare, len, b->v[i].spare, b->v[i].len))
			return false;
	return true;
}

static void pick_adds(struct disk *d, struct batch *b, unsigned int nr, u64 longest)
{
	b->nr = 0;
	for (unsigned int tries = 0; tries < 4 * nr && b->nr < nr; tries++) {
		u64 len = rnd_log(&rnd, longest);
		u64 main = rnd_below(&rnd, LEN - len + 1);
		u64 spare = rnd_below(&rnd, d->size - len + 1);

		if (main_free(d, b, main, len) && spare_free(d, b, spare, len))
			b->v[b->nr++] = (struct dmr_change){ DMR_RECORD_MAP, main, spare, len };
	}
}

static void pick(struct disk *d, struct batch *b, unsigned int most)
{
	/* The map fills and empties again, as a whole. */
	bool fill = d->o.by_main.nr < most && rnd_below(&rnd, 8);

	if (fill) {
		pick_adds(d, b, rnd_below(&rnd, 4) ? 1 : rnd_log(&rnd, MAX_BATCH),
			  rnd_below(&rnd, 4) ? 2 : 16);
	} else {
		u64 len = rnd_log(&rnd, rnd_below(&rnd, 8) ? 64 : LEN);

		b->nr = 1;
		b->v[0] = (struct dmr_change){ DMR_RECORD_UNMAP,
					       rnd_below(&rnd, LEN - len + 1), 0, len };
	}
}

/* As the module does it: taken on the spare, committed, and then in the map. */
static int try_commit(struct disk *d, const struct batch *b, bool *begun)
{
	int r;

	CHECK(!owner_hold(&d->o, b->v, b->nr), "not free");
	r = dmr_meta_begin(&d->o.m, b->nr);
	*begun = !r;
	if (!r) {
		for (unsigned int i = 0; i < b->nr; i++)
			dmr_meta_put(&d->o.m, &b->v[i]);
		r = dmr_meta_end(&d->o.m);
		/* In doubt it keeps its sectors. */
		if (r)
			return r;
	}
	owner_release(&d->o, b->v, b->nr);
	return r;
}

static int commit(struct disk *d, const struct batch *b)
{
	bool begun;

	return try_commit(d, b, &begun);
}

static void map_make(map_t map, const struct batch *b)
{
	for (unsigned int i = 0; i < b->nr; i++)
		for (u64 s = 0; s < b->v[i].len; s++)
			map[b->v[i].main + s] = b->v[i].type == DMR_RECORD_MAP ?
						b->v[i].spare + s : 0;
}

static void make(struct disk *d, const struct batch *b)
{
	map_t map;

	map_of(d, map);
	map_make(map, b);
	for (unsigned int i = 0; i < b->nr; i++)
		CHECK(!owner_apply(&d->o, &b->v[i]), "change %u", i);
	CHECK(map_is(d, map), "not as it should be");
}

/*
 * Cuts
 */

static void put_write(u8 *image, const struct write *w, u32 sectors)
{
	memcpy(image + w->sector * SECTOR, w->data, sectors * SECTOR);
}

/*
 * @image holds what is durable; writes [@from, @last) may or may not be there, and of
 * the one at @last the first @torn sectors. If that one is durable, nothing of it comes before
 * all those.
 */
static void check_cut(struct disk *d, struct disk *probe, const u8 *durable,
		      unsigned int from, unsigned int last, u32 torn, int which,
		      const map_t *maps, unsigned int acked, unsigned int begun)
{
	bool all = which == 0 || (torn && d->writes[last].durable);
	static u8 *image;
	int r;

	if (!image)
		image = malloc(MAX_SPARE * SECTOR);
	memcpy(image, durable, d->size * SECTOR);
	for (unsigned int i = from; i < last; i++)
		if (!d->writes[i].mark &&
		    (all || (which > 1 && rnd_below(&rnd, 2))))
			put_write(image, &d->writes[i], d->writes[i].blocks * 8);
	if (torn)
		put_write(image, &d->writes[last], torn);

	unit_context("cut at write %u of %u, %u sectors of it, choice %d, %u acknowledged",
		     last, d->nr_writes, torn, which, acked);
	r = disk_load(probe, image, d->size);
	CHECK(!r, "%d: %s", r, probe->o.said);
	CHECK(map_is(probe, maps[acked]) || (begun > acked && map_is(probe, maps[begun])),
	      "neither what was acknowledged nor what was under way");
}

static void check_cuts(struct disk *d, struct disk *probe, const u8 *start,
		       const map_t *maps, unsigned int first_acked)
{
	unsigned int acked = first_acked, from = 0;
	u8 *durable = malloc(MAX_SPARE * SECTOR);

	memcpy(durable, start, d->size * SECTOR);
	for (unsigned int i = 0; i < d->nr_writes; i++) {
		const struct write *w = &d->writes[i];

		if (w->mark) {
			acked = w->blocks;
			continue;
		}
		for (int which = 0; which < 4; which++) {
			u32 torn = which == 0 ? 0 : rnd_below(&rnd, w->blocks * 8 + 1);

			check_cut(d, probe, durable, from, i, torn, which, maps, acked,
				  acked + 1);
		}
		if (w->blocks == 1)
			for (u32 torn = 1; torn <= 8; torn++)
				check_cut(d, probe, durable, from, i, torn, 0, maps,
					  acked, acked + 1);
		if (w->durable) {
			for (; from <= i; from++)
				if (!d->writes[from].mark)
					put_write(durable, &d->writes[from],
						  d->writes[from].blocks * 8);
		}
	}
	free(durable);
}

/* A run of commits on a device, with growth and compaction, cut everywhere. */
static void cut_run(u64 size, unsigned int commits, unsigned int most)
{
	struct disk *d = disk_new(size), *probe = disk_new(size);
	map_t *maps = calloc(commits + 2, sizeof(map_t));
	u8 *start = malloc(size * SECTOR);
	struct batch b;
	unsigned int done = 0;

	disk_format(d);
	memcpy(start, d->data, size * SECTOR);
	d->record = true;
	for (unsigned int i = 0; i < commits; i++) {
		int r;

		pick(d, &b, most);
		if (!b.nr)
			continue;
		r = commit(d, &b);
		CHECK(!r || r == -ENOSPC, "%d: %s", r, d->o.said);
		if (r)
			continue;
		make(d, &b);
		map_of(d, maps[++done]);
		*disk_recorded(d) = (struct write){ .mark = true, .blocks = done };
	}
	memcpy(maps[done + 1], maps[done], sizeof(map_t));
	unit_note("%u commits, %u writes, epoch %lu, halves of %lu blocks",
		  done, d->nr_writes - done, d->o.m.epoch, d->o.m.areas[0][d->o.m.half].len / 8);
	CHECK(d->o.m.epoch > 2 || commits < 100, "no half was filled");
	check_cuts(d, probe, start, maps, 0);
	free(start);
	free(maps);
	disk_free(probe);
	disk_free(d);
}

static void test_cuts(void)
{
	cut_run(2048, unit_times(100, 200, 1500), 60);
	cut_run(8192, unit_times(30, 60, 1000), 1500);
}

/*
 * After a cut life goes on: load, mend, commit, cut again.
 */
static void test_lives(void)
{
	unsigned int lives = unit_times(100, 400, 4000);
	struct disk *d = disk_new(4096), *next = disk_new(4096);
	static map_t maps[34];

	disk_format(d);
	map_of(d, maps[0]);
	for (unsigned int life = 0; life < lives; life++) {
		unsigned int acked = 0, nr = rnd_log(&rnd, 32), cut, from = 0;
		u32 torn;
		u8 *image = malloc(MAX_SPARE * SECTOR);
		struct batch b;
		int r;

		unit_context("life %u", life);
		memcpy(image, d->data, d->size * SECTOR);
		r = disk_load(next, image, d->size);
		CHECK(!r, "%d: %s", r, next->o.said);
		CHECK(map_is(next, maps[0]), "not the map that was there");
		next->record = true;
		CHECK(!dmr_meta_recover(&next->o.m), "%s", next->o.said);
		CHECK(!strcmp(dmr_meta_state(&next->o.m), "ok"), "not mended");
		for (unsigned int i = 0; i < nr; i++) {
			pick(next, &b, 200);
			if (!b.nr || commit(next, &b))
				continue;
			make(next, &b);
			map_of(next, maps[++acked]);
			*disk_recorded(next) = (struct write){ .mark = true, .blocks = acked };
		}
		memcpy(maps[acked + 1], maps[acked], sizeof(map_t));
		/* Cut somewhere: what counts is the image that is left. */
		cut = rnd_below(&rnd, next->nr_writes + 1);
		acked = 0;
		for (unsigned int i = 0; i < cut; i++) {
			if (next->writes[i].mark)
				acked = next->writes[i].blocks;
			if (next->writes[i].durable)
				from = i + 1;
		}
		torn = 0;
		if (cut < next->nr_writes && !next->writes[cut].mark)
			torn = rnd_below(&rnd, next->writes[cut].blocks * 8 + 1);
		if (torn && next->writes[cut].durable)
			from = cut;
		for (unsigned int i = 0; i < cut; i++)
			if (!next->writes[i].mark && (i < from || rnd_below(&rnd, 2)))
				put_write(image, &next->writes[i], next->writes[i].blocks * 8);
		if (torn)
			put_write(image, &next->writes[cut], torn);
		for (unsigned int i = 0; i < next->nr_writes; i++)
			free(next->writes[i].data);
		free(next->writes);
		r = disk_load(d, image, d->size);
		CHECK(!r, "after the cut: %d: %s", r, d->o.said);
		CHECK(map_is(d, maps[acked]) || map_is(d, maps[acked + 1]),
		      "neither acknowledged nor under way");
		map_of(d, maps[0]);
		memcpy(d->data, image, d->size * SECTOR);
		free(image);
	}
	disk_free(d);
	next->writes = NULL;
	next->nr_writes = 0;
	disk_free(next);
}

/*
 * Writes that fail
 */

/* Of one copy, of both, really or only in the answer; and it is loaded again. */
static void test_failing(void)
{
	unsigned int rounds = unit_times(20, 100, 1000);
	struct disk *d = disk_new(4096), *probe = disk_new(4096);

	for (unsigned int round = 0; round < rounds; round++) {
		static map_t acked, doubtful;
		struct batch b, in_doubt;
		bool doubt = false;

		unit_context("round %u", round);
		disk_init(d, 4096);
		memset(d->data, 0, 4096 * SECTOR);
		disk_format(d);
		map_of(d, acked);
		for (unsigned int i = 0; i < 60; i++) {
			unsigned int out;
			bool begun;
			int r;

			if (!rnd_below(&rnd, 4)) {
				d->fail_copies = rnd_below(&rnd, 2) ? rnd_below(&rnd, 4) : 0;
				d->fail_only_says = rnd_below(&rnd, 2);
			}
			pick(d, &b, 200);
			if (!b.nr)
				continue;
			r = try_commit(d, &b, &begun);
			out = d->o.m.stale;
			/* Another half in force: what was in doubt did not happen. */
			if (begun && doubt) {
				owner_release(&d->o, in_doubt.v, in_doubt.nr);
				doubt = false;
			}
			if (begun && r) {
				in_doubt = b;
				map_of(d, doubtful);
				map_make(doubtful, &b);
				doubt = true;
			}
			if (!r) {
				make(d, &b);
				map_of(d, acked);
			}
			CHECK(!r || (d->fail_copies | out) == 3 || r == -ENOSPC,
			      "%d with copies %u failing, %u out: %s", r, d->fail_copies, out, d->o.said);
			r = disk_load(probe, d->data, d->size);
			CHECK(!r, "change %u: %d: %s", i, r, probe->o.said);
			CHECK(map_is(probe, acked) || (doubt && map_is(probe, doubtful)),
			      "change %u: a stale map, or one in doubt no more", i);
		}
		d->fail_copies = 0;
		CHECK(!dmr_meta_resume(&d->o.m), "%s", d->o.said);
		CHECK(!strcmp(dmr_meta_state(&d->o.m), "ok"), "still %s",
		      dmr_meta_state(&d->o.m));
		CHECK(!disk_load(probe, d->data, d->size), "%s", probe->o.said);
		CHECK(map_is(probe, acked), "after all");
	}
	disk_free(d);
	disk_free(probe);
}

/*
 * Damage
 */

enum damage { FLIP, ZERO, SWAP, OLDER, KINDS };

static void damage(struct disk *d, u8 *image, const u8 *older, u64 sector, enum damage kind)
{
	u8 *block = image + sector * SECTOR;
	u64 base = d->o.m.areas[copy_at(&d->o.m, sector)][d->o.m.half].start;
	u64 i = sector < base ? 0 : (sector - base) / 8;
	u64 other = base + 8 * ((i + 1 + rnd_below(&rnd, d->o.m.seq - 1)) % d->o.m.seq);

	switch (kind) {
	case FLIP:
		block[rnd_below(&rnd, DMR_BLOCK_SIZE)] ^= 1 << rnd_below(&rnd, 8);
		break;
	case ZERO:
		memset(block, 0, DMR_BLOCK_SIZE);
		break;
	case SWAP:
		memcpy(block, d->data + other * SECTOR, DMR_BLOCK_SIZE);
		break;
	default:
		memcpy(block, older + sector * SECTOR, DMR_BLOCK_SIZE);
	}
}

/* The blocks that count: superblocks, and those of the log, of a copy. */
static u64 counting_block(const struct disk *d, unsigned int copy, unsigned int i)
{
	if (i == d->o.m.seq)
		return copy ? d->o.m.backup : 0;
	return d->o.m.areas[copy][d->o.m.half].start + 8ULL * i;
}

static struct disk *damaged_one(u8 *older)
{
	struct disk *d = disk_new(4096);
	struct batch b;

	disk_format(d);
	for (unsigned int i = 0; i < 40 || d->o.m.seq < 9; i++) {
		pick(d, &b, 200);
		if (i == 20)
			memcpy(older, d->data, d->size * SECTOR);
		if (b.nr && !commit(d, &b))
			make(d, &b);
	}
	return d;
}

static void test_damage(void)
{
	u8 *image = malloc(MAX_SPARE * SECTOR), *older = calloc(MAX_SPARE, SECTOR);
	struct disk *probe = disk_new(4096);
	unsigned int rounds = unit_times(1, 3, 50), refused = 0;

	while (rounds--) {
		struct disk *d = damaged_one(older);
		map_t map;

		map_of(d, map);
		for (unsigned int i = 0; i <= d->o.m.seq; i++)
			for (int kind = 0; kind < KINDS; kind++)
				for (unsigned int copies = 1; copies <= 3; copies++) {
					bool same, newest = i == d->o.m.seq - 1;
					int r;

					unit_context("block %u of %u, damage %d, copies %u", i,
						     d->o.m.seq, kind, copies);
					memcpy(image, d->data, d->size * SECTOR);
					for (unsigned int c = 0; c < 2; c++)
						if (copies & 1 << c)
							damage(d, image, older,
							       counting_block(d, c, i), kind);
					same = !memcmp(image, d->data, d->size * SECTOR);
					r = disk_load(probe, image, d->size);
					if (copies != 3 || same) {
						CHECK(!r, "%d: %s", r, probe->o.said);
						CHECK(map_is(probe, map), "another map");
						CHECK(same || strcmp(dmr_meta_state(&probe->o.m), "ok"),
						      "not noticed");
						CHECK(!dmr_meta_recover(&probe->o.m), "%s", probe->o.said);
						CHECK(!strcmp(dmr_meta_state(&probe->o.m), "ok"),
						      "not mended");
						memcpy(image, probe->data, d->size * SECTOR);
						CHECK(!disk_load(probe, image, d->size) &&
						      !strcmp(dmr_meta_state(&probe->o.m), "ok"),
						      "not mended on disk");
						CHECK(map_is(probe, map), "another map");
					} else if (i < d->o.m.seq && !newest) {
						CHECK(r == -EUCLEAN, "%d: %s", r, probe->o.said);
						CHECK(probe->o.said[0], "and nothing was said");
						refused++;
					} else if (newest) {
						/* A commit that never happened. */
						CHECK(!r || r == -EUCLEAN, "%d", r);
					} else if (!r) {
						/* Superblocks of before: the log is the same. */
						CHECK(kind == OLDER && map_is(probe, map),
						      "superblocks damaged, and loaded");
					}
				}
		disk_free(d);
	}
	CHECK(refused > 10, "only %u were refused", refused);
	disk_free(probe);
	free(image);
	free(older);
}

/* Unreadable is not the end of the log: what follows may be there. */
static void test_unreadable(void)
{
	u8 *older = calloc(MAX_SPARE, SECTOR);
	struct disk *d = damaged_one(older), *probe = disk_new(4096);
	map_t map;

	map_of(d, map);
	for (unsigned int i = 0; i < d->o.m.seq; i++)
		for (unsigned int copies = 1; copies <= 3; copies++) {
			int r;

			unit_context("block %u of %u, copies %u", i, d->o.m.seq, copies);
			disk_init(probe, d->size);
			memcpy(probe->data, d->data, d->size * SECTOR);
			for (unsigned int c = 0; c < 2; c++)
				if (copies & 1 << c)
					probe->unreadable[c] = counting_block(d, c, i);
			r = owner_load(&probe->o);
			if (copies == 3)
				CHECK(r == -EUCLEAN, "%d", r);
			else
				CHECK(!r && map_is(probe, map), "%d: %s", r, probe->o.said);
		}
	disk_free(d);
	disk_free(probe);
	free(older);
}

/* Random bytes in places that matter, checksums made right: it must come to an end. */
static void test_malice(void)
{
	u8 *image = malloc(MAX_SPARE * SECTOR), *older = calloc(MAX_SPARE, SECTOR);
	struct disk *d = damaged_one(older), *probe = disk_new(4096);
	unsigned int rounds = unit_times(1000, 5000, 200000), loaded = 0;

	while (rounds--) {
		u64 sector = counting_block(d, 0, rnd_below(&rnd, d->o.m.seq + 1));
		u8 *block = image + sector * SECTOR;

		memcpy(image, d->data, d->size * SECTOR);
		/* The second copy would be right. */
		memset(image + d->o.m.backup * SECTOR, 0, DMR_BLOCK_SIZE);
		for (int i = rnd_log(&rnd, 4); i; i--) {
			u64 at = 12 + rnd_below(&rnd, rnd_below(&rnd, 2) ? 300 : 4076);

			block[at] = rnd_below(&rnd, 4) ? rnd64(&rnd) : 0xff;
		}
		if (sector)
			dmr_block_seal((void *)block, sector);
		else
			dmr_super_seal((void *)block, sector);
		unit_context("sector %lu", sector);
		if (!disk_load(probe, image, d->size)) {
			loaded++;
			if (!dmr_meta_recover(&probe->o.m))
				CHECK(!strcmp(dmr_meta_state(&probe->o.m), "ok"), "not mended");
		}
	}
	unit_note("%u of them loaded", loaded);
	disk_free(d);
	disk_free(probe);
	free(image);
	free(older);
}

/*
 * What is there before
 */

static void byte_is_seen(struct disk *d, u64 at)
{
	/* A MiB at each end, and the first blocks of metadata in the middle. */
	u64 middle = 1UL << (63 - __builtin_clzl(d->size / 2));
	bool seen = at < 2048 || at >= d->size - 2048 || (at >= middle && at < middle + 16);

	memset(d->data, 0, d->size * SECTOR);
	d->data[at * SECTOR + rnd_below(&rnd, SECTOR)] = 1;
	CHECK((dmr_meta_probe(&d->o.m) == -EEXIST) == seen, "a byte in sector %lu of %lu", at,
	      d->size);
}

static void test_blank(void)
{
	static const u64 sizes[] = { 4096, 8192, 8199 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct disk *d = disk_new(sizes[i]);

		CHECK(dmr_meta_probe(&d->o.m) == -ENODATA, "blank");
		for (u64 at = 0; at < d->size; at += 1 + rnd_below(&rnd, 64))
			byte_is_seen(d, at);
		byte_is_seen(d, d->size - 1);
		disk_free(d);
	}
}

/* As in mid-life: the spare may have gone, or another be in its place. */
static void test_same(void)
{
	u64 size = 4096;
	struct disk *d = disk_new(size);
	struct batch b;
	u8 *older;

	disk_format(d);
	older = malloc(size * SECTOR);
	memcpy(older, d->data, size * SECTOR);
	pick_adds(d, &b, 1, 1);
	CHECK(!commit(d, &b), "%s", d->o.said);
	make(d, &b);
	CHECK(!dmr_meta_same(&d->o.m), "%s", d->o.said);
	d->unreadable[0] = d->o.m.backup;
	CHECK(!dmr_meta_same(&d->o.m), "half of it cannot be read");
	CHECK(!strcmp(dmr_meta_state(&d->o.m), "degraded"), "%s", dmr_meta_state(&d->o.m));

	/* With one superblock unreadable the other must speak for it. */
	d->o.m.super_bad = 0;
	memset(d->data, 0, DMR_BLOCK_SIZE);
	CHECK(dmr_meta_same(&d->o.m) == -EUCLEAN, "the other is wiped");
	d->unreadable[0] = 0;
	memcpy(d->data, older, size * SECTOR);
	CHECK(dmr_meta_same(&d->o.m) == -EUCLEAN, "older");
	memset(d->data, 0, size * SECTOR);
	CHECK(dmr_meta_same(&d->o.m) == -EUCLEAN, "wiped");
	CHECK(!strcmp(dmr_meta_state(&d->o.m), "ok"), "noted");

	d->fail_reads = true;
	CHECK(!dmr_meta_same(&d->o.m), "nothing can be read");
	CHECK(!strcmp(dmr_meta_state(&d->o.m), "failed"), "%s", dmr_meta_state(&d->o.m));
	/* When it takes writes again all is written anew. */
	d->fail_reads = false;
	CHECK(!dmr_meta_resume(&d->o.m), "%s", d->o.said);
	CHECK(!strcmp(dmr_meta_state(&d->o.m), "ok"), "%s", dmr_meta_state(&d->o.m));
	memcpy(older, d->data, size * SECTOR);
	CHECK(!disk_load(d, older, size), "%s", d->o.said);
	CHECK(d->o.by_main.nr == 1, "%lu remaps", d->o.by_main.nr);
	free(older);
	disk_free(d);
}

static void test_probe(void)
{
	struct disk *d = disk_new(4096), *probe = disk_new(4096);
	u64 size = 4096;

	d->fail_reads = true;
	CHECK(dmr_meta_probe(&d->o.m) == -EIO, "unreadable is not blank");
	d->fail_reads = false;

	disk_format(d);
	CHECK(!disk_load(probe, d->data, size), "%s", probe->o.said);
	CHECK(!memcmp(probe->o.m.uuid, d->o.m.uuid, sizeof(d->o.m.uuid)), "uuid");
	CHECK(!dmr_meta_same(&probe->o.m), "%s", probe->o.said);

	/* The superblock alone, at the other place; on a spare that has grown. */
	memset(d->data, 0, DMR_BLOCK_SIZE);
	disk_init(probe, 16384);
	memset(probe->data, 0, 16384 * SECTOR);
	memcpy(probe->data, d->data, size * SECTOR);
	CHECK(!owner_load(&probe->o), "%s", probe->o.said);
	CHECK(!dmr_meta_recover(&probe->o.m), "%s", probe->o.said);
	CHECK(!memcmp(probe->data, DMR_SUPER_MAGIC, 8), "not written again");

	memcpy(d->data, probe->data, size * SECTOR);
	CHECK(disk_load(probe, d->data, 4088) == -ERANGE, "smaller");
	((struct dmr_super *)d->data)->incompat = 1;
	dmr_super_seal((void *)d->data, 0);
	CHECK(disk_load(probe, d->data, size) == -EOPNOTSUPP, "newer");
	disk_free(d);
	disk_free(probe);
}

/* One added remap writes one block a copy, whatever their number. */
static void test_cost(void)
{
	struct disk *d = disk_new(16384);
	struct batch b;
	u64 before;

	disk_format(d);
	for (unsigned int i = 0; i < 1000; i++) {
		u64 epoch = d->o.m.epoch;

		pick_adds(d, &b, 1, 1);
		if (!b.nr)
			continue;
		before = d->written;
		CHECK(!commit(d, &b), "%s", d->o.said);
		make(d, &b);
		CHECK(d->o.m.epoch > epoch || d->written == before + 2, "%lu blocks",
		      d->written - before);
	}
	CHECK(d->o.by_main.nr > 500, "%lu remaps", d->o.by_main.nr);
	disk_free(d);
}

#define SEEDED(name) static void seeded_##name(void) { rnd.state = unit_seed; name(); }
SEEDED(test_probe)
SEEDED(test_cost)
SEEDED(test_cuts)
SEEDED(test_lives)
SEEDED(test_failing)
SEEDED(test_damage)
SEEDED(test_unreadable)
SEEDED(test_blank)
SEEDED(test_same)
SEEDED(test_malice)

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		{ "what is not blank is seen", seeded_test_blank },
		{ "what is on a device is told apart", seeded_test_probe },
		{ "what is on disk in mid-life is the same, or is not, or cannot be read", seeded_test_same },
		{ "a change writes one block a copy", seeded_test_cost },
		{ "a cut at every write", seeded_test_cuts },
		{ "cut, loaded, mended, again and again", seeded_test_lives },
		{ "writes fail in one copy, in both, in fact or not", seeded_test_failing },
		{ "damage in one copy is mended, in both refused", seeded_test_damage },
		{ "what cannot be read is not the end", seeded_test_unreadable },
		{ "what has a right checksum is not trusted", seeded_test_malice },
	};

	return unit_main(argc, argv, tests, ARRAY_SIZE(tests));
}

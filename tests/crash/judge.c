// SPDX-License-Identifier: GPL-2.0-only
/*
 * judge: cuts the power at every write of a recording (log.h), in many ways, and sees
 * what a module that starts anew would make of what is left.
 *
 * At each write to main or a spare, the writes that are not yet durable may be there or
 * not, each for itself, and those that are there may be torn: all, none, that last
 * write torn at every sector with all others there and with none, and choices at
 * random. A sector of metadata that was just being written may also be garbage, where
 * that of data is assumed to be old or new. Of each image:
 *
 *  - metadata.c loads it, and recovers it; loaded again it is the same;
 *  - the map is the one that was acknowledged, with the changes that were under way
 *    made as a whole or not at all;
 *  - every sector, read through that map, has the stamp of its last write that was
 *    flushed (by an fsync or FUA that was acknowledged), or of a later one that was
 *    submitted: nothing else, such as what its place on the spare had before.
 *
 * Where sectors have gone bad the module moves them by itself. Of those the map may say
 * anything, as long as the data is right; only they may be pending, and only what was
 * mapped when it could not be read, or was said to be lost, may be lost: until a write of
 * it is acknowledged. What was lost never again has what was written before that.
 *
 * Where there is a second spare all may migrate to it, and back. Both are loaded, and one
 * may be: the one that the last acknowledged migration has led to, or where that is retired
 * and names it, the one that a migration under way leads to. If that one is still joining,
 * and names the first, it is repaired, and then has to load. All the rest counts for the one
 * that is loaded; but the places that a migration under way gives are nobody's yet to know.
 *
 * What the guest did is told by its marks (workload.c), a line each, every one begun
 * by the number of the thread:
 *
 *	begin message <verb> ...	about to be sent
 *	begin write|fua|zero|discard <version> <sector> <sectors>
 *	begin sync|create
 *	bad <disk> <reads> <writes> <sector> <sectors>	are about to fail (recorder.c)
 *	row <main> <spare> <length> [lost]	of what is about to be "done"; of a migration all
 *	done, failed			what was begun last; failed: nothing has changed
 *	state <rows> <hash> <hash>	what the device shows: its list, its data
 *
 * The images are never copied. A disk is an array of pointers, by sector, into the
 * recording; an image is what its writes change in that, and is undone again.
 */
#include "sectors.h"
#include "log.h"
#include "spare.h"

#include <getopt.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_THREADS	8
#define MAX_ROWS	4096
#define MAX_TORN	64U	/* places where a write is torn, or all */
#define BLOCK_SECTORS	8U
#define BLOCK_BYTES	(BLOCK_SECTORS * SECTOR)
#define AROUND		32U	/* good sectors may fail with bad ones so far away */
#define UNREADABLE	UINT64_MAX

static const char *const disk_names[] = { "main", "spare", "next", "mark" };

struct write {
	u64		event;
	const char	*data;		/* NULL: zeros */
	u64		*stamps;
	u32		disk, sector, nr;
	bool		fua, done, durable;
};

struct flush {
	u32		nr;
	struct write	*covers[];
};

/* What an event number stands for. */
struct request {
	struct write	*write;
	struct flush	*flush;
};

/**
 * struct image - what a disk holds, by sector
 * @data:	where it is
 * @stamps:	what get_stamp() says of it
 * @event:	which event wrote it
 */
struct image {
	u32		sectors;
	const char	**data;
	u64		*stamps;
	u64		*event;
};

/* Durable; with all writes; and the one under trial, which is durable between trials. */
static struct image durable[MARK], live[MARK], trial[MARK];

/* Not durable, in order. */
static struct {
	struct write	**v;
	u32		nr, room;
} pending[MARK];

/*
 * The spare that counts; the one that a migration under way leads to, or MAIN: there is none;
 * and the one that is loaded. The other one was given up when the last migration was acknowledged,
 * until another is sent.
 */
static enum disk home = SPARE, goal, loaded = SPARE;
static bool given_up;
/* Does a kernel take @home, and the other one, in a table? */
static bool home_taken, other_taken;

static struct request *requests;
static u64 nr_requests, room_requests;

static const char zeros[SECTOR];
static char garbage[SECTOR];
static const char *log_at, *log_end;
static u32 len;			/* of main, all of it mapped */

/* Options and counts */
static struct random rnd;
static unsigned int nr_random = 4, every, most_wrong = 5;
static const char *images_path, *base_path, *cut_path;
static bool first_only;
static u64 highest_epoch, nr_halves, most_area, nr_grown;
static u32 most_moved, most_lost, most_pending, most_aside, most_scrub;
static u64 nr_points, nr_images, nr_wrong, nr_kernel, nr_acked, nr_flushed, nr_blank;
static u64 nr_migrated, nr_interrupted, nr_old, nr_new, nr_neither;
static FILE *images, *expected;

/*
 * What the guest has done
 */

enum doing { NOTHING, MESSAGE, WRITE, FUA, ZERO, DISCARD, SYNC, CREATE };

struct thread {
	enum doing	doing;
	u32		version, sector, nr;	/* of a write */
	u32		*had;			/* what a sync covers, an add may lose */
	char		verb[32];
	bool		lost;
	struct scrub	scrub;
	struct change	changes[MAX_ROWS];	/* of a message; spare: AUTO */
	u32		nr_changes;
	struct change	rows[MAX_ROWS];
	u32		nr_rows;
};

#define AUTO	(NOWHERE - 1)

static struct thread threads[MAX_THREADS];
static struct map acked, want;
static struct scrub acked_scrub;
static bool created, other_formatted, copy_failed;

/* By main sector: versions of its writes. Where a sector may be zeros is in @zero. */
static u32 *flushed, *submitted, *done, *zero;

/*
 * The medium, by sector. What may have moved by itself: @loose, of both disks. Of main,
 * what could not be read: @unread; up to which write a sector is lost: @lost; and up to
 * which it was once: @stale.
 */
static bool *loose[MARK], *unread, any_loose;
static u32 *lost, *stale;

__attribute__((format(printf, 2, 3)))
static void bad_mark(const char *line, const char *fmt, ...)
{
	char why[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	die("the mark '%.*s': %s", (int)strcspn(line, "\n"), line, why);
}

static enum disk other_spare(void)
{
	return home == SPARE ? NEXT : SPARE;
}

static void submit(const struct thread *t)
{
	for (u32 s = t->sector; s < t->sector + t->nr; s++) {
		submitted[s] = t->version;
		if (t->doing == ZERO || t->doing == DISCARD)
			zero[s] = t->version;
	}
}

static void note_bad(u32 disk, u32 sector, u32 nr, bool reads)
{
	u32 around = disk == MAIN ? AROUND : 0;
	u32 from = sector - min_u64(sector, around);
	u32 to = min_u64(sector + nr + around, live[disk].sectors);

	any_loose = true;
	memset(loose[disk] + from, 1, to - from);
	if (reads && disk == MAIN)
		memset(unread + sector, 1, nr);
}

static void parse_scrub(struct thread *t, const char *text)
{
	struct scrub s = { 0, 0, 0 };

	sscanf(text, "scrub start %u %u %u", &s.at, &s.to, &s.rate);
	t->scrub = s;
}

static void parse_message(struct thread *t, const char *line, char *words)
{
	const char *word = strtok(words, " \n");
	const char *v[3];
	bool batch;

	snprintf(t->verb, sizeof(t->verb), "%s", word);
	t->nr_changes = 0;
	t->lost = false;
	batch = !strcmp(t->verb, "add_remaps");
	if (batch || !strcmp(t->verb, "add_remap")) {
		for (;;) {
			for (int i = 0; i < 3; i++)
				v[i] = strtok(NULL, " \n");
			if (!v[0])
				break;
			t->lost = !strcmp(v[0], "lost");
			if (t->lost)
				break;
			if (!v[2] || t->nr_changes == MAX_ROWS)
				bad_mark(line, "not in threes");
			t->changes[t->nr_changes++] = (struct change){
				strtoul(v[0], NULL, 10),
				strcmp(v[1], "auto") ? strtoul(v[1], NULL, 10) : AUTO,
				strtoul(v[2], NULL, 10), false,
			};
		}
	} else if (!strcmp(t->verb, "remove_remap")) {
		v[0] = strtok(NULL, " \n");
		v[1] = strtok(NULL, " \n");
		if (!v[1])
			bad_mark(line, "no length");
		t->changes[t->nr_changes++] = (struct change){
			strtoul(v[0], NULL, 10), NOWHERE, strtoul(v[1], NULL, 10), false,
		};
	} else if (!strcmp(t->verb, "clear_all")) {
		t->changes[t->nr_changes++] = (struct change){ 0, NOWHERE, len, false };
	} else if (!strcmp(t->verb, "migrate")) {
		if (goal || !live[NEXT].sectors)
			bad_mark(line, "another one is under way, or nowhere to go");
		goal = other_spare();
		given_up = false;
	} else if (strcmp(t->verb, "scrub")) {
		bad_mark(line, "an unknown verb");
	}
	for (u32 i = 0; i < t->nr_changes; i++)
		if (!t->changes[i].len || t->changes[i].main >= len ||
		    t->changes[i].len > len - t->changes[i].main)
			bad_mark(line, "out of range");
}

static void begin(struct thread *t, const char *line, char *text)
{
	static const char *const names[] = {
		[MESSAGE] = "message", [WRITE] = "write", [FUA] = "fua", [ZERO] = "zero",
		[DISCARD] = "discard", [SYNC] = "sync", [CREATE] = "create",
	};
	char what[16];
	int at = 0;

	if (t->doing)
		bad_mark(line, "the one before is not done");
	sscanf(text, "%15s %n", what, &at);
	for (unsigned int i = MESSAGE; i <= CREATE; i++)
		if (!strcmp(what, names[i]))
			t->doing = i;
	t->nr_rows = 0;
	switch (t->doing) {
	case NOTHING:
		bad_mark(line, "unknown");
		break;
	case MESSAGE:
		parse_scrub(t, text + at);
		parse_message(t, line, text + at);
		memcpy(t->had, submitted, len * sizeof(*submitted));
		any_loose |= t->lost;
		break;
	case SYNC:
		memcpy(t->had, done, len * sizeof(*done));
		break;
	case CREATE:
		break;
	default:
		if (sscanf(text + at, "%u %u %u", &t->version, &t->sector, &t->nr) != 3 ||
		    t->nr > len || t->sector > len - t->nr)
			bad_mark(line, "out of range");
		submit(t);
	}
}

/* What was lost until then will never be read again; what is not, has data. */
static void finish_row(const struct thread *t, const struct change *row)
{
	for (u32 s = row->main; s < row->main + row->len; s++) {
		lost[s] = row->lost ? submitted[s] : 0;
		if (row->lost)
			stale[s] = t->had[s];
	}
}

static void add_rows(const struct thread *t, const char *line)
{
	for (u32 i = 0; i < t->nr_rows; i++) {
		if (!map_add(&acked, t->rows[i].main, t->rows[i].spare, t->rows[i].len))
			bad_mark(line, "row %u is mapped already", i);
		finish_row(t, &t->rows[i]);
	}
}

/* The rows are all that there is, elsewhere. */
static void finish_migration(const struct thread *t, const char *line, bool failed)
{
	if (!failed) {
		map_copy(&want, &acked);
		map_clear(&acked);
		add_rows(t, line);
		if (!map_same_sectors(&acked, &want))
			bad_mark(line, "the rows are not those that had to move");
		home = goal;
		given_up = true;
	}
	nr_migrated += !failed;
	nr_interrupted += failed;
	goal = MAIN;
}

static void finish_message(const struct thread *t, const char *line, bool failed)
{
	nr_acked += !failed;
	if (!strcmp(t->verb, "migrate")) {
		finish_migration(t, line, failed);
		return;
	}
	if (failed)
		return;
	if (!strcmp(t->verb, "scrub"))
		acked_scrub = t->scrub;
	else if (t->changes[0].spare == NOWHERE)
		map_cut(&acked, t->changes[0].main, t->changes[0].len);
	add_rows(t, line);
}

static void finish(struct thread *t, const char *line, bool failed)
{
	switch (t->doing) {
	case NOTHING:
		bad_mark(line, "nothing was begun");
		break;
	case CREATE:
		if (failed)
			bad_mark(line, "the device was not created");
		created = true;
		break;
	case MESSAGE:
		finish_message(t, line, failed);
		break;
	case SYNC:
		nr_flushed += !failed;
		for (u32 s = 0; s < len && !failed; s++)
			if (t->had[s] > flushed[s])
				flushed[s] = t->had[s];
		break;
	default:
		if (failed)
			bad_mark(line, "an I/O error");
		/* A discard may have done nothing, now or when it is flushed. */
		for (u32 s = t->sector; s < t->sector + t->nr && t->doing != DISCARD; s++) {
			done[s] = t->version;
			if (t->doing == FUA)
				flushed[s] = t->version;
		}
		nr_flushed += t->doing == FUA;
	}
	t->doing = NOTHING;
}

static u64 hash_u64(u64 hash, u64 value)
{
	for (unsigned int i = 0; i < 8; i++)
		hash = (hash ^ (uint8_t)(value >> (8 * i))) * 0x100000001b3ULL;
	return hash;
}

static u64 seen(const struct image *disks, const struct map *map, u32 s)
{
	if (map->lost[s])
		return UNREADABLE;
	return map->to[s] == NOWHERE ? disks[MAIN].stamps[s]
				     : disks[loaded].stamps[map->to[s]];
}

/* As workload.c tells it of a device. */
static void tell_state(char text[80], const struct image *disks, const struct map *map)
{
	u64 rows = 0xcbf29ce484222325ULL, data = rows;
	u32 nr = 0;

	for (u32 s = 0; s < len; s++) {
		data = hash_u64(data, seen(disks, map, s));
		if (!map->len[s])
			continue;
		rows = hash_u64(hash_u64(hash_u64(rows, s), map->to[s]), map->len[s]);
		rows = hash_u64(rows, map->lost[s]);
		nr++;
	}
	snprintf(text, 80, "%u %016llx %016llx", nr, (unsigned long long)rows,
		 (unsigned long long)data);
}

static const char *check_map(const struct map *got);

static void set_trial(const struct image *from)
{
	for (u32 d = MAIN; d < MARK; d++) {
		memcpy(trial[d].data, from[d].data, trial[d].sectors * sizeof(*from->data));
		memcpy(trial[d].stamps, from[d].stamps,
		       trial[d].sectors * sizeof(*from->stamps));
		memcpy(trial[d].event, from[d].event,
		       trial[d].sectors * sizeof(*from->event));
	}
}

/* As spare_load(), of one of them. */
static int load(enum disk spare)
{
	loaded = spare;
	spare_choose(trial[spare].sectors);
	return spare_load();
}

/* The guest sees what the recording has, or one of them is wrong. */
static void check_state(const char *line, const char *state)
{
	const char *wrong;
	char text[80];

	set_trial(live);
	if (load(home))
		bad_mark(line, "what the disks have is refused: %s", spare_said());
	wrong = check_map(spare_map());
	tell_state(text, live, spare_map());
	if (wrong || strncmp(state, text, strlen(text)))
		bad_mark(line, "it should be %s", wrong ? wrong : text);
	set_trial(durable);
}

static void mark_line(const char *line)
{
	unsigned int id, disk, reads, writes, sector, nr;
	struct thread *t;
	struct change row;
	int at = 0;

	if (sscanf(line, "%u %n", &id, &at) != 1 || id >= MAX_THREADS)
		bad_mark(line, "no thread");
	t = &threads[id];
	line += at;
	if (sscanf(line, "row %u %u %u", &row.main, &row.spare, &row.len) == 3) {
		if (t->nr_rows == MAX_ROWS || row.main >= len || row.len > len - row.main)
			bad_mark(line, "out of range");
		row.lost = !!strstr(line, "lost");
		t->rows[t->nr_rows++] = row;
	} else if (sscanf(line, "bad %u %u %u %u %u", &disk, &reads, &writes, &sector,
			  &nr) == 5) {
		if (disk >= MARK || nr > live[disk].sectors || sector > live[disk].sectors - nr)
			bad_mark(line, "out of range");
		if (live[NEXT].sectors)
			bad_mark(line, "what goes bad while it migrates is not judged");
		if (reads || writes)
			note_bad(disk, sector, nr, reads);
	} else if (!strncmp(line, "begin ", 6)) {
		char *copy = strdup(line + 6);

		begin(t, line, copy);
		free(copy);
	} else if (!strncmp(line, "done", 4)) {
		finish(t, line, false);
	} else if (!strncmp(line, "failed", 6)) {
		finish(t, line, true);
	} else if (!strncmp(line, "state ", 6)) {
		check_state(line, line + 6);
	} else {
		bad_mark(line, "unknown");
	}
}

static void mark(const char *data, u32 bytes)
{
	char *text = strndup(data, bytes), *line, *next;

	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (!*next)
			die("a mark is cut short: '%s'", line);
		*next++ = '\0';
		mark_line(line);
	}
	free(text);
}

/*
 * What a sector may hold, what a map may be
 */

/* Changes under way: those that the map has are put into what is wanted. */
static void expect_change(const struct thread *t, const struct map *got)
{
	const struct change *c = t->changes;

	if (!t->nr_changes)
		return;
	if (!strcmp(t->verb, "clear_all")) {
		/* From the lowest up, remap by remap. */
		u32 first = 0;

		while (first < len && !got->len[first])
			first++;
		if (first)
			map_cut(&want, 0, first);
		return;
	}
	if (c->spare == NOWHERE) {
		if (!map_any(got, c->main, c->len))
			map_cut(&want, c->main, c->len);
		return;
	}
	if (!map_any(got, c->main, 1))
		return;
	for (; c < t->changes + t->nr_changes; c++) {
		u32 next = c->main;

		/* Of an automatic one there may be several, and of what has moved on. */
		while (next < c->main + c->len && got->len[next] &&
		       (c->spare == AUTO || loaded != home ||
			(got->to[next] == c->spare && got->len[next] == c->len)) &&
		       got->len[next] <= c->main + c->len - next) {
			map_add(&want, next, got->to[next], got->len[next]);
			next += got->len[next];
		}
		/* A part of it is wrong, wherever the rest should be. */
		if (next < c->main + c->len)
			map_add(&want, next, 0, c->main + c->len - next);
	}
}

static bool is_loose(u32 s)
{
	u32 to = acked.to[s];

	return loose[MAIN][s] || (to != NOWHERE && loose[SPARE][to]);
}

/* Has the map a change that is under way? What did not move by itself tells. */
static bool has_change(const struct thread *t, const struct map *got)
{
	for (const struct change *c = t->changes; c < t->changes + t->nr_changes; c++)
		for (u32 s = c->main; s < c->main + c->len; s++)
			if (!is_loose(s) && (c->spare != NOWHERE || acked.to[s] != NOWHERE))
				return (got->to[s] == NOWHERE) == (c->spare == NOWHERE);
	return false;
}

/* As expect_change(), but only of who serves a sector, and not where an auto one is. */
static void expect_loosely(const struct thread *t, const struct map *got)
{
	if (!has_change(t, got))
		return;
	for (const struct change *c = t->changes; c < t->changes + t->nr_changes; c++)
		for (u32 i = 0; i < c->len; i++) {
			u32 *to = &want.to[c->main + i];

			if (c->spare == NOWHERE)
				*to = NOWHERE;
			else if (c->spare != AUTO)
				*to = c->spare + i;
			else if (got->to[c->main + i] != NOWHERE)
				*to = got->to[c->main + i];
			else
				*to = 0;
		}
}

static const char *check_loosely(const struct map *got)
{
	static char why[160];
	u32 nr_moved = 0;

	map_copy(&want, &acked);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		if (threads[i].doing == MESSAGE)
			expect_loosely(&threads[i], got);
	for (u32 s = 0; s < len; s++) {
		u32 to = got->to[s];

		if (got->pending[s] && !unread[s] && !(to != NOWHERE && loose[SPARE][to])) {
			snprintf(why, sizeof(why), "main sector %u is pending", s);
			return why;
		}
		nr_moved += to != want.to[s];
		if (to != want.to[s] && !is_loose(s)) {
			snprintf(why, sizeof(why),
				 "main sector %u: on spare sector %d; it should be %d", s,
				 (int)to, (int)want.to[s]);
			return why;
		}
	}
	most_moved = max_u64(most_moved, nr_moved);
	return NULL;
}

static bool scrub_suits(const struct scrub *s, const struct scrub *got)
{
	return got->rate == s->rate && got->to == s->to && got->at >= s->at &&
	       got->at <= s->to;
}

/* It may have ended by itself. */
static const char *check_scrub(const struct scrub *got)
{
	static char why[160];
	bool suits = !got->rate || scrub_suits(&acked_scrub, got);

	for (unsigned int i = 0; i < MAX_THREADS; i++)
		if (threads[i].doing == MESSAGE && !strcmp(threads[i].verb, "scrub"))
			suits |= scrub_suits(&threads[i].scrub, got);
	if (suits)
		return NULL;
	snprintf(why, sizeof(why), "scrub %u %u %u goes on; it should be %u %u %u", got->at,
		 got->to, got->rate, acked_scrub.at, acked_scrub.to, acked_scrub.rate);
	return why;
}

/* Where a migration under way has put it, nobody was told yet. */
static bool map_suits(const struct map *got)
{
	return loaded == home ? map_same(got, &want) : map_same_sectors(got, &want);
}

static bool sector_suits(const struct map *got, u32 s)
{
	if (loaded != home)
		return (got->to[s] == NOWHERE) == (want.to[s] == NOWHERE);
	return got->to[s] == want.to[s] && got->len[s] == want.len[s];
}

/* Returns what is wrong, or NULL. */
static const char *check_map(const struct map *got)
{
	static char why[160];
	bool busy = false;

	if (any_loose)
		return check_loosely(got);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		busy |= threads[i].doing == MESSAGE;
	if (!busy && map_same(got, &acked))
		return NULL;
	map_copy(&want, &acked);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		if (threads[i].doing == MESSAGE)
			expect_change(&threads[i], got);
	if (map_suits(got))
		return NULL;
	for (u32 s = 0; s < len; s++)
		if (!sector_suits(got, s)) {
			snprintf(why, sizeof(why),
				 "main sector %u: on spare sector %d, a remap of %u; it should be %d, %u",
				 s, (int)got->to[s], got->len[s], (int)want.to[s], want.len[s]);
			break;
		}
	return why;
}

/* An add under way may find out that it is. */
static bool may_be_lost(u32 s)
{
	if (done[s] <= lost[s])
		return true;
	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		const struct thread *t = &threads[i];

		if (t->doing != MESSAGE || !(t->lost || unread[s]))
			continue;
		for (u32 k = 0; k < t->nr_changes; k++)
			if (t->changes[k].spare != NOWHERE && s >= t->changes[k].main &&
			    s < t->changes[k].main + t->changes[k].len)
				return true;
	}
	return false;
}

static bool is_right(const struct map *got, u32 s)
{
	u64 value = seen(trial, got, s);
	u32 v = value >> 32, least = max_u64(flushed[s], stale[s] + 1);

	if (got->lost[s])
		return may_be_lost(s);
	if (!value)
		return zero[s] && zero[s] >= least;
	return (u32)value == s && v >= least && v <= submitted[s];
}

static const char *check_data(const struct map *got)
{
	static char why[240];
	u32 nr_lost = 0, nr_pending = 0;
	char text[64];

	for (u32 s = 0; s < len; s++) {
		nr_lost += got->lost[s];
		nr_pending += got->pending[s];
		if (is_right(got, s))
			continue;
		snprintf(why, sizeof(why),
			 "main sector %u (spare %d%s) has %s; done is %u, flushed %u, submitted %u, zeros %u, lost %u and %u",
			 s, (int)got->to[s], got->lost[s] ? ", lost" : "",
			 show(text, seen(trial, got, s)), done[s], flushed[s], submitted[s],
			 zero[s], lost[s], stale[s]);
		return why;
	}
	most_lost = max_u64(most_lost, nr_lost);
	most_pending = max_u64(most_pending, nr_pending);
	return NULL;
}

/*
 * Images
 */

static void image_init(struct image *image, u32 sectors)
{
	image->sectors = sectors;
	image->data = zalloc(sectors, sizeof(*image->data));
	image->stamps = zalloc(sectors, sizeof(*image->stamps));
	image->event = zalloc(sectors, sizeof(*image->event));
	for (u32 s = 0; s < sectors; s++)
		image->data[s] = zeros;
}

/* Sector @i of a write; a write never hides a later one. */
static void put_sector(struct image *image, const struct write *w, u32 i)
{
	u32 s = w->sector + i;

	if (image->event[s] > w->event)
		return;
	image->data[s] = w->data ? w->data + i * SECTOR : zeros;
	image->stamps[s] = w->stamps ? w->stamps[i] : 0;
	image->event[s] = w->event;
}

static void put_sectors(struct image *image, const struct write *w, u32 first, u32 nr)
{
	for (u32 i = first; i < first + nr; i++)
		put_sector(image, w, i);
}

static bool is_metadata(const struct write *w)
{
	return w->disk != MAIN && w->data && !memcmp(w->data, "dmremap", 7);
}

/*
 * May garbage be left of it? Of a format that was not finished, it cannot be told from
 * what is not ours. And where one copy has failed and the power fails, too, nobody
 * promises anything but sectors that are old or new.
 */
static bool may_be_garbage(const struct write *w)
{
	bool formatted = w->disk == home ? created : other_formatted;

	return formatted && !copy_failed && is_metadata(w);
}

static void put_garbage(struct image *image, const struct write *w, u32 i)
{
	u32 s = w->sector + i;

	image->data[s] = garbage;
	image->stamps[s] = get_stamp(garbage);
	image->event[s] = w->event;
}

static void undo_sectors(u32 disk, u32 sector, u32 nr)
{
	for (u32 s = sector; s < sector + nr; s++) {
		trial[disk].data[s] = durable[disk].data[s];
		trial[disk].stamps[s] = durable[disk].stamps[s];
		trial[disk].event[s] = durable[disk].event[s];
	}
}

/* What recovery writes on a trial. */
static char *scratch;
static struct {
	enum disk	disk;
	u32		sector;
} scratch_blocks[4096];
static u32 nr_scratch;

static int trial_read(void *context, u64 sector, void *data, unsigned int blocks)
{
	const struct image *spare = &trial[loaded];

	if (sector > spare->sectors || blocks * BLOCK_SECTORS > spare->sectors - sector)
		return -EIO;
	for (u32 i = 0; i < blocks * BLOCK_SECTORS; i++)
		memcpy((char *)data + i * SECTOR, spare->data[sector + i], SECTOR);
	return 0;
}

static int trial_write(void *context, u64 sector, const void *data, unsigned int blocks,
		       bool durable_)
{
	struct image *spare = &trial[loaded];

	for (unsigned int b = 0; b < blocks; b++, sector += BLOCK_SECTORS) {
		char *to = scratch + nr_scratch * BLOCK_BYTES;

		if (nr_scratch == ARRAY_SIZE(scratch_blocks))
			return -ENOSPC;
		memcpy(to, (const char *)data + b * BLOCK_BYTES, BLOCK_BYTES);
		scratch_blocks[nr_scratch].disk = loaded;
		scratch_blocks[nr_scratch++].sector = sector;
		for (u32 i = 0; i < BLOCK_SECTORS; i++) {
			spare->data[sector + i] = to + i * SECTOR;
			spare->stamps[sector + i] = get_stamp(to + i * SECTOR);
			spare->event[sector + i] = UINT64_MAX;
		}
	}
	return 0;
}

static void undo_scratch(void)
{
	while (nr_scratch) {
		nr_scratch--;
		undo_sectors(scratch_blocks[nr_scratch].disk, scratch_blocks[nr_scratch].sector,
			     BLOCK_SECTORS);
	}
}

/* The recording is worth little if the log never began anew, in areas that grew. */
static void note_growth(void)
{
	u64 epoch = spare_epoch(), area = spare_area_sectors();

	if (epoch > highest_epoch) {
		nr_halves += !!highest_epoch;
		highest_epoch = epoch;
	}
	if (area > most_area) {
		nr_grown += !!most_area;
		most_area = area;
	}
	most_aside = max_u64(most_aside, spare_aside());
	most_scrub = max_u64(most_scrub, spare_scrub().rate);
}

__attribute__((format(printf, 2, 3)))
static const char *refused(int r, const char *fmt, ...)
{
	static char why[400];
	va_list args;
	int at;

	va_start(args, fmt);
	at = vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	snprintf(why + at, sizeof(why) - at, ": %s: %s", strerrorname_np(-r), spare_said());
	return why;
}

/* What loading one of two spares has returned, and its superblock. */
struct side {
	int		r;
	struct super	super;
};

static struct side load_side(enum disk spare)
{
	int r = load(spare);

	return (struct side){ r, spare_super() };
}

static bool names(const struct side *side, const struct side *peer)
{
	return !memcmp(side->super.peer, peer->super.uuid, sizeof(peer->super.uuid));
}

/*
 * The old one counts. Then the other is what a migration to there has left, or one from there,
 * as it has to be where that was acknowledged; or blank.
 */
static const char *check_old(const struct side *old, const struct side *other)
{
	bool left = other->r == -ESTALE && names(other, old);
	bool blank = other->r == -ENODATA;

	if (!other->r)
		return "both spares are loaded";
	if (given_up ? left && other->super.retired : left || blank)
		return NULL;
	return refused(other->r, "the spare that does not count is not as it was left");
}

/* The old one counts no more: what a migration leads to does, or did if it were repaired. */
static const char *load_new(const struct side *old, const struct side *new)
{
	int r;

	if (!goal || old->r != -ESTALE || !old->super.retired)
		return refused(old->r, "it is refused");
	if (!names(old, new))
		return "the old spare is retired, and does not name the new one";
	if (!new->r) {
		nr_new++;
		r = load(goal);
		return r ? refused(r, "the new spare, loaded again") : NULL;
	}
	if (new->r != -ESTALE || !new->super.joining || !names(new, old))
		return "both spares are refused, and the new one is not joining";
	nr_neither++;
	load(goal);
	r = spare_join();
	if (!r)
		r = load(goal);
	return r ? refused(r, "the new spare, repaired") : NULL;
}

/* Load the one that counts. Returns what is wrong, or NULL. */
static const char *load_trial(void)
{
	struct side old, other;
	int r;

	if (!trial[NEXT].sectors) {
		r = load(home);
		home_taken = !r;
		return r ? refused(r, "it is refused") : NULL;
	}
	other = load_side(other_spare());
	old = load_side(home);
	home_taken = !old.r;
	other_taken = !other.r || other.r == -ENODATA;
	if (old.r)
		return load_new(&old, &other);
	nr_old += !!goal;
	return check_old(&old, &other);
}

/* Returns what is wrong with the trial, or NULL. */
static const char *judge_trial(void)
{
	const struct map *got = spare_map();
	const char *wrong;
	struct scrub scrub;
	int r;

	if (!created && load(home) == -ENODATA) {
		home_taken = true;
		other_taken = true;
		nr_blank++;
		return NULL;
	}
	wrong = load_trial();
	if (wrong)
		return wrong;
	note_growth();
	scrub = spare_scrub();
	wrong = check_map(got);
	if (!wrong)
		wrong = check_scrub(&scrub);
	if (!wrong)
		wrong = check_data(got);
	if (wrong)
		return wrong;

	/* As left by recovery, it is the same. */
	r = spare_recover();
	if (!r) {
		map_copy(&want, got);
		r = spare_load();
	}
	if (r)
		return refused(r, "it does not recover");
	if (!map_same(got, &want))
		return "another map is loaded after recovery";
	return check_data(got);
}

static u64 this_event;
static int summary(void);

__attribute__((format(printf, 2, 3)))
static void judge(const struct write *w, const char *fmt, ...)
{
	const char *wrong = judge_trial();
	char how[160];
	va_list args;

	nr_images++;
	if (!wrong || nr_wrong++ >= most_wrong)
		return;
	va_start(args, fmt);
	vsnprintf(how, sizeof(how), fmt, args);
	va_end(args);
	printf("# event %llu: %s write of %u sectors at %s sector %u, %s: %s\n",
	       (unsigned long long)this_event, w->done ? "after a" : "in a", w->nr,
	       disk_names[w->disk], w->sector, how, wrong);
	if (first_only)
		exit(summary());
}

/*
 * Cuts
 */

static void undo_all(void)
{
	undo_scratch();
	for (u32 d = MAIN; d < MARK; d++)
		for (u32 i = 0; i < pending[d].nr; i++)
			undo_sectors(d, pending[d].v[i]->sector, pending[d].v[i]->nr);
}

/* All that is pending, or nothing, and @nr sectors of the last; the next one garbage. */
static void try_torn(struct write *w, bool others, u32 nr, bool spoiled)
{
	for (u32 d = MAIN; d < MARK; d++)
		for (u32 i = 0; i < pending[d].nr && others; i++)
			if (pending[d].v[i] != w)
				put_sectors(&trial[d], pending[d].v[i], 0, pending[d].v[i]->nr);
	put_sectors(&trial[w->disk], w, 0, nr);
	if (spoiled)
		put_garbage(&trial[w->disk], w, nr);
	judge(w, "%u sectors of it%s, %s others that are not durable", nr,
	      spoiled ? " and garbage" : "", others ? "all" : "no");
	undo_all();
}

/* Each for itself, whole or some of its sectors. */
static void put_random(struct random *r)
{
	static const u32 percent[] = { 50, 10, 90, 98 };
	u32 keep = percent[below(r, 4)], torn = below(r, 3) ? 0 : below(r, 100);

	for (u32 d = MAIN; d < MARK; d++)
		for (u32 i = 0; i < pending[d].nr; i++) {
			const struct write *w = pending[d].v[i];

			if (below(r, 100) >= keep)
				continue;
			if (below(r, 100) >= torn) {
				put_sectors(&trial[d], w, 0, w->nr);
				continue;
			}
			for (u32 k = 0; k < w->nr; k++)
				if (one_in(r, 2))
					put_sector(&trial[d], w, k);
			if (may_be_garbage(w))
				put_garbage(&trial[d], w, below(r, w->nr));
		}
}

static u64 image_bytes(void)
{
	u64 bytes = BLOCK_BYTES;

	for (u32 d = MAIN; d < MARK; d++)
		bytes += (u64)trial[d].sectors * SECTOR;
	return bytes;
}

static void write_disk(FILE *f, u64 offset, const struct image *image)
{
	for (u32 s = 0; s < image->sectors; s++) {
		if (image->data[s] == zeros)
			continue;
		if (fseeko(f, offset + (u64)s * SECTOR, SEEK_SET) ||
		    fwrite(image->data[s], SECTOR, 1, f) != 1)
			die("cannot write an image: %s", strerror(errno));
	}
}

/* As load-images.c reads it: where it ends up there, the next begins. */
static void write_image(void)
{
	const enum disk disks[] = { MAIN, home, other_spare() };
	u64 at = nr_kernel * image_bytes();

	if (fseeko(images, at, SEEK_SET) ||
	    fprintf(images, "%u %u %u\n", len, trial[home].sectors,
		    trial[other_spare()].sectors) < 0)
		die("cannot write an image: %s", strerror(errno));
	at += BLOCK_BYTES;
	for (u32 i = 0; i < ARRAY_SIZE(disks); i++) {
		write_disk(images, at, &trial[disks[i]]);
		at += (u64)trial[disks[i]].sectors * SECTOR;
	}
}

/* What a kernel is to make of it is what metadata.c does, and that is judged, too. */
static void for_kernel(const struct write *w)
{
	u64 wrong = nr_wrong;
	char text[80];

	put_random(&rnd);
	write_image();
	judge(w, "a choice for the kernel");
	if (wrong == nr_wrong) {
		tell_state(text, trial, spare_map());
		fprintf(expected, "%llu %s%s %s\n", (unsigned long long)nr_kernel++,
			home_taken ? "taken" : "refused",
			!trial[NEXT].sectors ? "" : other_taken ? " taken" : " refused",
			text);
	}
	undo_all();
}

/* Where one spare gives way to the other there are few points, and all are wanted. */
static bool is_for_kernel(const struct write *w)
{
	return nr_points % every == 0 ||
	       (goal && is_metadata(w) && !memcmp(w->data, "dmremap4", 8));
}

static bool has_super(enum disk spare)
{
	int r = load(spare);

	return !r || r == -ESTALE;
}

static void cut_point(struct write *w)
{
	u32 step = w->nr > MAX_TORN ? w->nr / MAX_TORN : 1;

	nr_points++;
	other_formatted = trial[NEXT].sectors && has_super(other_spare());
	for (u32 k = 0; k <= w->nr; k = k == w->nr ? k + 1 : min_u64(k + step, w->nr)) {
		try_torn(w, true, k, false);
		try_torn(w, false, k, false);
		if (k < w->nr && may_be_garbage(w)) {
			try_torn(w, true, k, true);
			try_torn(w, false, k, true);
		}
	}
	for (unsigned int i = 0; i < nr_random; i++) {
		u64 seed = rnd.state;

		put_random(&rnd);
		judge(w, "a choice at random (%llx)", (unsigned long long)seed);
		undo_all();
	}
	if (every && is_for_kernel(w))
		for_kernel(w);
}

/*
 * The recording
 */

static void make_durable(struct write *w)
{
	u32 i;

	if (w->durable)
		return;
	w->durable = true;
	put_sectors(&durable[w->disk], w, 0, w->nr);
	undo_sectors(w->disk, w->sector, w->nr);
	for (i = 0; pending[w->disk].v[i] != w; i++)
		;
	pending[w->disk].nr--;
	memmove(&pending[w->disk].v[i], &pending[w->disk].v[i + 1],
		(pending[w->disk].nr - i) * sizeof(w));
}

static struct request *new_request(void)
{
	if (nr_requests == room_requests) {
		room_requests = 2 * room_requests + 1024;
		requests = realloc(requests, room_requests * sizeof(*requests));
		if (!requests)
			die("no memory");
	}
	requests[nr_requests] = (struct request){ NULL, NULL };
	return &requests[nr_requests++];
}

static struct write *new_write(const struct event *e, const char *data)
{
	struct write *w = zalloc(1, sizeof(*w));

	w->event = nr_requests;		/* 0 is what was there before */
	w->disk = e->disk;
	w->sector = e->offset / SECTOR;
	w->nr = e->length / SECTOR;
	w->fua = e->flags & EVENT_FUA;
	w->data = data;
	if (e->offset % SECTOR || e->length % SECTOR || !w->nr ||
	    w->nr > live[w->disk].sectors || w->sector > live[w->disk].sectors - w->nr)
		die("event %llu: out of range", (unsigned long long)w->event);
	if (data) {
		w->stamps = zalloc(w->nr, sizeof(*w->stamps));
		for (u32 i = 0; i < w->nr; i++)
			w->stamps[i] = get_stamp(data + i * SECTOR);
	}
	return w;
}

static void add_pending(struct write *w)
{
	u32 d = w->disk;

	if (pending[d].nr == pending[d].room) {
		pending[d].room = 2 * pending[d].room + 64;
		pending[d].v = realloc(pending[d].v, pending[d].room * sizeof(w));
		if (!pending[d].v)
			die("no memory");
	}
	pending[d].v[pending[d].nr++] = w;
}

static struct flush *new_flush(u32 d)
{
	struct flush *f = zalloc(1, sizeof(*f) + pending[d].nr * sizeof(*f->covers));

	for (u32 i = 0; i < pending[d].nr; i++)
		if (pending[d].v[i]->done)
			f->covers[f->nr++] = pending[d].v[i];
	return f;
}

/* What has failed may be there or not, for ever: no flush covers it. */
static void request_done(const struct request *r, bool failed)
{
	if (failed) {
		copy_failed |= r->write && is_metadata(r->write);
		return;
	}
	if (r->write) {
		r->write->done = true;
		if (r->write->fua)
			make_durable(r->write);
	}
	for (u32 i = 0; r->flush && i < r->flush->nr; i++)
		make_durable(r->flush->covers[i]);
}

/* Numbers of events begin at 1, for writes: 0 is what was there before. */
static void one_event(const struct event *e, const char *data)
{
	struct request *r = new_request();

	this_event = nr_requests - 1;
	switch (e->type) {
	case EVENT_WRITE:
	case EVENT_ZERO:
		if (e->disk == MARK) {
			if (data)
				mark(data, e->length);
			break;
		}
		r->write = new_write(e, data);
		add_pending(r->write);
		if (!(e->flags & EVENT_FAILED))
			put_sectors(&live[e->disk], r->write, 0, r->write->nr);
		cut_point(r->write);
		break;
	case EVENT_FLUSH:
		if (e->disk != MARK)
			r->flush = new_flush(e->disk);
		break;
	case EVENT_DONE:
		if (e->offset >= this_event)
			die("event %llu ends one to come", (unsigned long long)this_event);
		request_done(&requests[e->offset], e->flags & EVENT_FAILED);
		break;
	default:
		die("event %llu is of type %u", (unsigned long long)this_event, e->type);
	}
}

static void replay(void)
{
	while (log_end - log_at >= (long)sizeof(struct event)) {
		const struct event *e = (const void *)log_at;
		u32 bytes = e->type == EVENT_WRITE ? e->length : 0;

		log_at += sizeof(*e);
		if (e->disk >= DISKS || log_end - log_at < bytes)
			die("the recording is damaged behind event %llu",
			    (unsigned long long)this_event);
		one_event(e, bytes ? log_at : NULL);
		log_at += bytes;
	}
	if (log_at != log_end)
		die("the recording is cut short");
}

static const char *map_file(const char *path, u64 *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		die("cannot open %s: %s", path, strerror(errno));
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("cannot map %s: %s", path, strerror(errno));
	close(fd);
	*size = st.st_size;
	return p;
}

/* What the disks had when the recording began. */
static void base_disk(u32 d)
{
	struct write w = { .disk = d, .nr = live[d].sectors };
	char path[4096];
	u64 size;

	if (base_path) {
		snprintf(path, sizeof(path), "%s/%s", base_path, disk_names[d]);
		w.data = map_file(path, &size);
		if (size != (u64)w.nr * SECTOR)
			die("%s is not of %u sectors", path, w.nr);
	} else {
		char *data = zalloc(w.nr, SECTOR);

		for (u32 s = 0; s < w.nr && d == MAIN; s++)
			put_stamp(data + s * SECTOR, stamp(s, 1));
		w.data = data;
	}
	w.stamps = zalloc(w.nr, sizeof(*w.stamps));
	for (u32 s = 0; s < w.nr; s++)
		w.stamps[s] = get_stamp(w.data + s * SECTOR);
	put_sectors(&durable[d], &w, 0, w.nr);
	put_sectors(&live[d], &w, 0, w.nr);
	put_sectors(&trial[d], &w, 0, w.nr);
}

/* The map and the versions that a recording begins with. */
static void base_state(void)
{
	u32 most = 1;
	int r = spare_load();

	if (r && r != -ENODATA)
		die("what the recording began with is refused: %s", spare_said());
	created = !r;
	map_copy(&acked, spare_map());
	acked_scrub = spare_scrub();
	for (u32 s = 0; s < len; s++)
		if (!acked.lost[s])
			most = max_u64(most, seen(durable, &acked, s) >> 32);
	for (u32 s = 0; s < len; s++) {
		u64 value = seen(durable, &acked, s);

		any_loose |= acked.lost[s] || acked.pending[s];
		loose[MAIN][s] = acked.pending[s];
		unread[s] = acked.pending[s];
		/* Which write that was nobody knows. */
		if (acked.lost[s]) {
			lost[s] = most;
			stale[s] = most;
			value = stamp(s, most);
		}
		flushed[s] = value ? value >> 32 : most;
		submitted[s] = flushed[s];
		done[s] = flushed[s];
		zero[s] = value ? 0 : most;
		if (value && (u32)value != s)
			die("main sector %u has the stamp of %u to begin with", s, (u32)value);
	}
}

static void write_cut(u32 d)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", cut_path, disk_names[d]);
	f = fopen(path, "w");
	if (!f || ftruncate(fileno(f), (off_t)trial[d].sectors * SECTOR))
		die("cannot write %s: %s", path, strerror(errno));
	write_disk(f, 0, &trial[d]);
	if (fclose(f))
		die("cannot write %s: %s", path, strerror(errno));
}

/* The power is cut where the recording ends. */
static void last_cut(void)
{
	struct write none = { .done = true };

	put_random(&rnd);
	if (cut_path) {
		write_cut(MAIN);
		write_cut(SPARE);
	}
	judge(&none, "the end");
	undo_all();
}

static void open_images(void)
{
	char path[4096];

	images = fopen(images_path, "w");
	snprintf(path, sizeof(path), "%s.expected", images_path);
	expected = fopen(path, "w");
	if (!images || !expected)
		die("cannot write %s: %s", images_path, strerror(errno));
}

static void close_images(void)
{
	if (fflush(images) || ftruncate(fileno(images), nr_kernel * image_bytes()) ||
	    fclose(images) || fclose(expected))
		die("cannot write %s: %s", images_path, strerror(errno));
}

static void set_up(const char *path)
{
	static const struct spare_io io = { trial_read, trial_write, NULL };
	const struct log_head *head;
	u64 size;

	log_at = map_file(path, &size);
	log_end = log_at + size;
	head = (const void *)log_at;
	if (size < sizeof(*head) || head->magic != LOG_MAGIC)
		die("%s is no recording", path);
	log_at += sizeof(*head);
	len = head->sectors[MAIN];
	for (u32 d = MAIN; d < MARK; d++) {
		image_init(&durable[d], head->sectors[d]);
		image_init(&live[d], head->sectors[d]);
		image_init(&trial[d], head->sectors[d]);
		loose[d] = zalloc(head->sectors[d], sizeof(*loose[d]));
		if (head->sectors[d])
			base_disk(d);
	}
	memset(garbage, 0xa5, sizeof(garbage));
	scratch = zalloc(ARRAY_SIZE(scratch_blocks), BLOCK_BYTES);
	flushed = zalloc(len, sizeof(*flushed));
	submitted = zalloc(len, sizeof(*submitted));
	done = zalloc(len, sizeof(*done));
	zero = zalloc(len, sizeof(*zero));
	unread = zalloc(len, sizeof(*unread));
	lost = zalloc(len, sizeof(*lost));
	stale = zalloc(len, sizeof(*stale));
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		threads[i].had = zalloc(len, sizeof(*done));
	map_init(&acked, len);
	map_init(&want, len);
	spare_init(len, head->sectors[SPARE], &io);
	base_state();
	if (images_path)
		open_images();
}

/* Returns the exit status. */
static int summary(void)
{
	printf("# the log began anew %llu times and grew %llu times; %llu changes and %llu flushes were acknowledged\n",
	       (unsigned long long)nr_halves, (unsigned long long)nr_grown,
	       (unsigned long long)nr_acked, (unsigned long long)nr_flushed);
	if (any_loose)
		printf("# of the medium: at most %u sectors moved by themselves, %u lost, %u pending, %u aside, %s scrub\n",
		       most_moved, most_lost, most_pending, most_aside, most_scrub ? "a" : "no");
	if (live[NEXT].sectors)
		printf("# migrations: %llu acknowledged, %llu interrupted; under way: %llu images with the old spare, %llu with the new one, %llu with neither before repair\n",
		       (unsigned long long)nr_migrated, (unsigned long long)nr_interrupted,
		       (unsigned long long)nr_old, (unsigned long long)nr_new,
		       (unsigned long long)nr_neither);
	printf("# %llu events, %llu points, %llu images (%llu blank), %llu for the kernel\n",
	       (unsigned long long)nr_requests, (unsigned long long)nr_points,
	       (unsigned long long)nr_images, (unsigned long long)nr_blank,
	       (unsigned long long)nr_kernel);
	if (nr_wrong)
		printf("# %llu images are wrong\n", (unsigned long long)nr_wrong);
	return !!nr_wrong;
}

int main(int argc, char **argv)
{
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "b:c:fi:n:r:s:w:")) != -1) {
		switch (c) {
		case 'b':
			base_path = optarg;
			break;
		case 'c':
			cut_path = optarg;
			break;
		case 'f':
			first_only = true;
			break;
		case 'i':
			images_path = optarg;
			break;
		case 'n':
			every = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			nr_random = strtoul(optarg, NULL, 0);
			break;
		case 's':
			rnd.state = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			most_wrong = strtoul(optarg, NULL, 0);
			break;
		default:
			argc = 0;
		}
	}
	if (argc - optind != 1 || !every != !images_path) {
		fprintf(stderr, "usage: judge [-s seed] [-r random images a point] [-f (ends with the first fault)] [-w faults to tell] [-b directory of main and spare at the start] [-c directory for main and spare as cut at the end] [-i file of images for the kernel -n every so many points] <recording>\n");
		return 2;
	}
	set_up(argv[optind]);
	replay();
	last_cut();
	if (images_path)
		close_images();
	return summary();
}

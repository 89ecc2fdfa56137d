// SPDX-License-Identifier: GPL-2.0-only
/*
 * exact: random operations on a dm-remap-v4 device among random changes of its
 * remaps, against a model that knows what every sector of both devices holds.
 *
 * One operation at a time, so the model is exact: it follows the data through
 * every copy, and sees what nocopy brings to light. Only what was discarded may be
 * either of two things, and what is written by way of the page cache is on its way
 * until it is synced. race does the same with everything at once, and knows less.
 *
 * With -k the remaps are kept on the spare, and the device is removed and made again
 * now and then. Where metadata is the superblock tells (docs/format.md): what it has
 * there is not looked at, and becomes known when it is given up.
 */
#include "sectors.h"

#include <endian.h>
#include <getopt.h>
#include <linux/falloc.h>

#define NAME		"exact"
#define NOTHING		(~0ULL)
#define NOWHERE		(~0U)
#define MAX_LEN		(64ULL << 11)	/* of a remap: 64 MiB */
#define MAX_REMAPS	16384
#define MAX_BATCH	96
#define MAX_PENDING	64
#define SPARE_FIRST	8
#define AUTO		NOTHING
#define METADATA	0x80	/* in busy */
#define NR_AREAS	5	/* the second superblock, and two copies of two halves */

struct remap {
	u64 start, spare, len;
};

struct range {
	u64 start, len;
};

static struct random rnd;
static u64 count = 2000, done, verify_every = 4000, maps = 30;
static const char *main_path, *spare_path, *options;
static int main_fd, spare_fd, direct_fd, cached_fd;
static u64 main_size, spare_size, spare_first;	/* sectors */
static u64 len, before;				/* of the target; of what precedes it */
static u32 block, writes = 1;
static bool keep;				/* the remaps, on the spare */
static char *buffer, doing[256];

/* The model. */
static struct cell *on_main, *on_spare;
static u32 *to;			/* spare sector of each main sector, or NOWHERE */
static unsigned char *busy;	/* spare sectors in use */
static u64 *pending;		/* what the page cache has for a sector, or NOTHING */
static struct range dirty[MAX_PENDING];
static unsigned int nr_dirty;
static struct remap remaps[MAX_REMAPS];	/* in order of start */
static unsigned int nr_remaps;
static struct range areas[NR_AREAS];	/* of metadata; all empty without */

/* What was done, for the summary. */
static u64 nr_ops[32], nr_refused, nr_nowait, nr_declined, nr_moved, most_remaps;
static u64 nr_area_moves;
static u64 sectors_done;

/*
 * Reporting
 */

static void differ(const char *where, u64 sector, const struct cell *c, u64 expected,
		   u64 found, u64 main_sector)
{
	static int differences;
	char a[64], b[64], f[64], served[64] = "";

	if (main_sector != NOTHING && to[main_sector] != NOWHERE)
		snprintf(served, sizeof(served), " (on spare sector %u)", to[main_sector]);
	printf("# %s sector %llu%s: expected %s", where, (unsigned long long)sector,
	       served, show(a, expected == NOTHING ? c->a : expected));
	if (expected == NOTHING && c->a != c->b)
		printf(" or %s", show(b, c->b));
	printf(", found %s\n", show(f, found));
	if (++differences == 1)
		printf("# ... in operation %llu: %s\n", (unsigned long long)done, doing);
	if (differences == 16)
		die("more differences are not shown");
}

static bool any_difference;

/* Compare what was read from one of the devices, and learn from it. */
static void compare_raw(const char *where, struct cell *cells, u64 first, u64 n,
			const char *buf)
{
	for (u64 i = 0; i < n; i++) {
		struct cell *c = &cells[first + i];
		u64 found = get_stamp(buf + i * SECTOR);

		if (cells == on_spare && busy[first + i] & METADATA)
			continue;
		if (found != c->a && found != c->b) {
			differ(where, first + i, c, NOTHING, found, NOTHING);
			any_difference = true;
		} else {
			c->a = found;
			c->b = found;
		}
	}
}

static struct cell *serving(u64 sector)
{
	return to[sector] == NOWHERE ? &on_main[sector] : &on_spare[to[sector]];
}

static void compare(u64 first, u64 n, const char *buf)
{
	for (u64 sector = first; sector < first + n; sector++, buf += SECTOR) {
		struct cell *c = serving(sector);
		u64 found = get_stamp(buf);

		if (pending[sector] != NOTHING ? found != pending[sector] :
		    found != c->a && found != c->b) {
			differ("", sector, c, pending[sector], found, sector);
			any_difference = true;
		} else if (pending[sector] == NOTHING) {
			c->a = found;
			c->b = found;
		}
	}
}

static void stop_if_different(void)
{
	if (any_difference)
		die("see operation %llu: %s", (unsigned long long)done, doing);
}

static void describe(const char *what, u64 start, u64 n)
{
	snprintf(doing, sizeof(doing), "%s of %llu sectors at %llu", what,
		 (unsigned long long)n, (unsigned long long)start);
}

static void must(int r)
{
	if (r < 0)
		die("operation %llu: %s: %s", (unsigned long long)done, doing,
		    strerror(-r));
}

/*
 * The page cache
 */

static void sync_cache(void)
{
	must(fsync(cached_fd) ? -errno : 0);
	for (unsigned int i = 0; i < nr_dirty; i++) {
		u64 end = dirty[i].start + dirty[i].len;

		for (u64 s = dirty[i].start; s < end; s++) {
			if (pending[s] == NOTHING)
				continue;
			*serving(s) = (struct cell){ pending[s], pending[s] };
			pending[s] = NOTHING;
		}
	}
	nr_dirty = 0;
}

static void drop_cache(void)
{
	sync_cache();
	must(ioctl(cached_fd, BLKFLSBUF) ? -errno : 0);
}

/*
 * I/O
 */

/* A range near the edge of a remap, at an end of the device, or anywhere. */
static void pick_io(u64 *start, u64 *n)
{
	u64 edge;

	*n = min_u64(log_uniform(&rnd, MAX_IO / block) * block, len);
	if (nr_remaps && one_in(&rnd, 2)) {
		const struct remap *r = &remaps[below(&rnd, nr_remaps)];

		edge = r->start + (one_in(&rnd, 2) ? r->len : 0);
		edge = max_u64(edge, *n) - below(&rnd, *n / block + 1) * block;
	} else if (one_in(&rnd, 16)) {
		edge = one_in(&rnd, 2) ? 0 : len;
	} else {
		edge = below(&rnd, len / block) * block;
	}
	*start = min_u64(edge, len - *n);
	sectors_done += *n;
}

static char *pick_buffer(void)
{
	return buffer + below(&rnd, 8) * block * SECTOR;
}

/* Not without waiting, or not on this device. */
static bool declined(ssize_t got)
{
	if (got != -EAGAIN && got != -EOPNOTSUPP)
		return false;
	nr_declined++;
	return true;
}

/* In one to four pieces of memory; as many sectors as the kernel takes at once. */
static ssize_t io_pieces(bool write, char *buf, u64 start, u64 n, int flags)
{
	struct iovec v[4];
	int nr = 0;
	off_t at = (before + start) * SECTOR;
	ssize_t r;

	while (n) {
		u64 piece = nr == 3 ? n : (1 + below(&rnd, n / block)) * block;

		v[nr++] = (struct iovec){ buf, piece * SECTOR };
		buf += piece * SECTOR;
		n -= piece;
	}
	r = write ? pwritev2(direct_fd, v, nr, at, flags)
		  : preadv2(direct_fd, v, nr, at, flags);
	return r < 0 ? -errno : r / (ssize_t)SECTOR;
}

static void read_direct(void)
{
	char *buf = pick_buffer();
	u64 start, n;
	ssize_t got;

	pick_io(&start, &n);
	describe("direct read", start, n);
	got = io_pieces(false, buf, start, n, 0);
	must(got);
	if ((u64)got < n)
		must(io_all(direct_fd, false, buf + got * SECTOR, (n - got) * SECTOR,
			    before + start + got, 0));
	compare(start, n, buf);
}

static void read_nowait(void)
{
	char *buf = pick_buffer();
	u64 start, n;
	ssize_t got;

	pick_io(&start, &n);
	describe("NOWAIT read", start, n);
	got = io_pieces(false, buf, start, n, RWF_NOWAIT);
	nr_nowait++;
	if (declined(got))
		return;
	must(got);
	compare(start, got, buf);
}

static void read_cached(void)
{
	char *buf = pick_buffer();
	u64 start, n;

	pick_io(&start, &n);
	describe("cached read", start, n);
	must(io_all(cached_fd, false, buf, n * SECTOR, before + start, 0));
	compare(start, n, buf);
}

static char *stamped(u64 start, u64 n)
{
	char *buf = pick_buffer();

	writes++;
	for (u64 i = 0; i < n; i++)
		put_stamp(buf + i * SECTOR, stamp(start + i, writes));
	return buf;
}

static void written(u64 start, u64 n)
{
	for (u64 s = start; s < start + n; s++) {
		u64 value = stamp(s, writes);

		*serving(s) = (struct cell){ value, value };
		pending[s] = NOTHING;
	}
}

static void write_with(const char *what, int flags)
{
	ssize_t got;
	u64 start, n;
	char *buf;

	pick_io(&start, &n);
	describe(what, start, n);
	buf = stamped(start, n);
	got = io_pieces(true, buf, start, n, flags);
	if (flags & RWF_NOWAIT) {
		nr_nowait++;
		/* In part, perhaps. */
		if (declined(got))
			got = 0;
		flags = 0;
	}
	must(got);
	if ((u64)got < n)
		must(io_all(direct_fd, true, buf + got * SECTOR, (n - got) * SECTOR,
			    before + start + got, flags));
	written(start, n);
}

static void write_direct(void)
{
	write_with("direct write", 0);
}

static void write_dsync(void)
{
	write_with("write with FUA", RWF_DSYNC);
}

static void write_nowait(void)
{
	write_with("NOWAIT write", RWF_NOWAIT);
}

static void write_cached(void)
{
	bool sync = one_in(&rnd, 4);
	u64 start, n;
	char *buf;

	pick_io(&start, &n);
	describe("cached write", start, n);
	for (u64 s = start; s < start + n; s++)
		if (pending[s] != NOTHING)
			sync_cache();
	for (u64 s = start; s < start + n; s++)
		sync |= serving(s)->a != serving(s)->b;
	if (nr_dirty == MAX_PENDING)
		sync_cache();

	buf = stamped(start, n);
	must(io_all(cached_fd, true, buf, n * SECTOR, before + start, 0));
	dirty[nr_dirty++] = (struct range){ start, n };
	for (u64 s = start; s < start + n; s++) {
		pending[s] = stamp(s, writes);
		serving(s)->b = pending[s];
	}
	if (sync)
		sync_cache();
}

static void sync_op(void)
{
	snprintf(doing, sizeof(doing), "fsync");
	if (one_in(&rnd, 2))
		drop_cache();
	else
		sync_cache();
}

static void discard(void)
{
	u64 range[2], start, n;

	pick_io(&start, &n);
	describe("discard", start, n);
	sync_cache();
	range[0] = (before + start) * SECTOR;
	range[1] = n * SECTOR;
	must(ioctl(cached_fd, BLKDISCARD, range) && errno != EOPNOTSUPP ? -errno : 0);
	/* The page cache has its own idea of what was discarded. */
	drop_cache();
	for (u64 s = start; s < start + n; s++) {
		struct cell *c = serving(s);

		/* Twice: it may be any of three things. */
		if (c->a != c->b && c->a && c->b) {
			must(io_all(direct_fd, false, buffer, SECTOR * block,
				    (before + s) / block * block, 0));
			c->a = get_stamp(buffer + (before + s) % block * SECTOR);
		}
		if (!c->a)
			c->a = c->b;
		c->b = 0;
	}
}

static void write_zeroes(void)
{
	u64 range[2], start, n;
	int mode, r;

	pick_io(&start, &n);
	describe("write-zeroes", start, n);
	sync_cache();
	range[0] = (before + start) * SECTOR;
	range[1] = n * SECTOR;
	switch (below(&rnd, 3)) {
	case 0:
		r = ioctl(cached_fd, BLKZEROOUT, range);
		break;
	default:
		mode = one_in(&rnd, 2) ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;
		r = fallocate(cached_fd, mode | FALLOC_FL_KEEP_SIZE, range[0], range[1]);
		/* Only where the device has it; the others write if need be. */
		if (r && errno == EOPNOTSUPP)
			r = ioctl(cached_fd, BLKZEROOUT, range);
	}
	must(r ? -errno : 0);
	for (u64 s = start; s < start + n; s++)
		*serving(s) = (struct cell){};
}

/*
 * The map, as the model has it and as the target tells it
 */

static const char *tell(int expected, const char *fmt, ...)
{
	static char message[DM_MESSAGE_ROOM];
	const char *reply;
	va_list args;
	int r;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	snprintf(doing, sizeof(doing), "%.200s", message);
	r = dm_send(NAME, before, message, &reply);
	if (r != expected)
		die("operation %llu: %s: expected %s, got %s", (unsigned long long)done,
		    doing, expected ? strerror(-expected) : "success",
		    r ? strerror(-r) : reply);
	if (r)
		nr_refused++;
	return reply;
}

static u64 number(const char **at)
{
	char *end;
	u64 n = strtoull(*at, &end, 10);

	if (end == *at)
		die("not a number in a reply: %.40s", *at);
	*at = end;
	return n;
}

static unsigned int fetch(struct remap *rows)
{
	unsigned int nr = 0, got;
	u64 from = 0;

	do {
		const char *at;
		char message[64];

		snprintf(message, sizeof(message), "list %llu 1000",
			 (unsigned long long)from);
		must(dm_send(NAME, before, message, &at));
		for (got = 0; *at; got++, at += *at == '\n') {
			struct remap *r = &rows[nr++];

			if (nr == MAX_REMAPS)
				die("list does not end");
			r->start = number(&at);
			r->spare = number(&at);
			r->len = number(&at);
			from = r->start + r->len;
		}
	} while (got == 1000);
	return nr;
}

static bool same(const struct remap *a, const struct remap *b)
{
	return a->start == b->start && a->spare == b->spare && a->len == b->len;
}

static void check_list(void)
{
	static struct remap rows[MAX_REMAPS];
	unsigned int nr = fetch(rows);

	for (unsigned int i = 0; i < nr || i < nr_remaps; i++)
		if (i == nr || i == nr_remaps || !same(&rows[i], &remaps[i]))
			die("operation %llu: %s: row %u of list: expected %llu %llu %llu, found %llu %llu %llu",
			    (unsigned long long)done, doing, i,
			    (unsigned long long)(i < nr_remaps ? remaps[i].start : 0),
			    (unsigned long long)(i < nr_remaps ? remaps[i].spare : 0),
			    (unsigned long long)(i < nr_remaps ? remaps[i].len : 0),
			    (unsigned long long)(i < nr ? rows[i].start : 0),
			    (unsigned long long)(i < nr ? rows[i].spare : 0),
			    (unsigned long long)(i < nr ? rows[i].len : 0));
}

static u64 value_of(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	if (!at)
		die("no %s in the status: %s", key, status);
	at += strlen(key);
	return number(&at);
}

static u64 spare_free(void)
{
	u64 n = spare_size - spare_first;

	for (unsigned int i = 0; i < nr_remaps; i++)
		n -= remaps[i].len;
	for (unsigned int i = 0; i < NR_AREAS; i++)
		n -= areas[i].len;
	return n;
}

static void check_status(void)
{
	const char *status;
	u64 sectors = 0, buckets;

	for (unsigned int i = 0; i < nr_remaps; i++)
		sectors += remaps[i].len;
	must(dm_send(NAME, before, "status", &status));
	buckets = value_of(status, "buckets=");
	if (value_of(status, " remaps=") != nr_remaps ||
	    value_of(status, " sectors=") != sectors ||
	    value_of(status, " spare_free=") != spare_free() ||
	    2 * nr_remaps > 3 * buckets || (buckets > 64 && 32 * nr_remaps < 3 * buckets) ||
	    __builtin_popcountll(buckets) != 1 || __builtin_ctzll(buckets) % 2)
		die("operation %llu: %s: %u remaps of %llu sectors, %llu free, but the status is: %s",
		    (unsigned long long)done, doing, nr_remaps, (unsigned long long)sectors,
		    (unsigned long long)spare_free(), status);
}

/*
 * Metadata
 */

/* What is known of sectors that metadata has given up is what is there. */
static void learn(u64 start, u64 n)
{
	for (u64 at = start; at < start + n; at += MAX_IO) {
		u64 piece = min_u64(MAX_IO, start + n - at);

		must(io_all(spare_fd, false, buffer, piece * SECTOR, at, 0));
		for (u64 i = 0; i < piece; i++)
			on_spare[at + i].a = on_spare[at + i].b = get_stamp(buffer + i * SECTOR);
	}
}

static void mark(const struct range *area)
{
	for (u64 s = area->start; s < area->start + area->len; s++) {
		if (s >= spare_size || busy[s])
			die("operation %llu: %s: metadata at sector %llu of the spare, which is in use",
			    (unsigned long long)done, doing, (unsigned long long)s);
		busy[s] = METADATA;
	}
}

/* After a change: where is metadata now? */
static void find_metadata(void)
{
	struct range found[NR_AREAS];
	u64 words[512];

	if (!keep)
		return;
	must(io_all(spare_fd, false, buffer, sizeof(words), 0, 0));
	memcpy(words, buffer, sizeof(words));
	found[0] = (struct range){ le64toh(words[10]), 8 };
	for (unsigned int i = 1; i < NR_AREAS; i++)
		found[i] = (struct range){ le64toh(words[12 + 2 * i]),
					   le64toh(words[13 + 2 * i]) * 8 };
	if (!memcmp(found, areas, sizeof(areas)))
		return;
	nr_area_moves++;
	for (unsigned int i = 0; i < NR_AREAS; i++)
		memset(busy + areas[i].start, 0, areas[i].len);
	for (unsigned int i = 0; i < NR_AREAS; i++)
		mark(&found[i]);
	for (unsigned int i = 0; i < NR_AREAS; i++)
		if (memcmp(&found[i], &areas[i], sizeof(found[i])))
			learn(areas[i].start, areas[i].len);
	memcpy(areas, found, sizeof(areas));
}

static void query(void)
{
	u64 start, n, end;
	const char *at;

	pick_io(&start, &n);
	end = start + n;
	at = tell(0, "query %llu %llu", (unsigned long long)start, (unsigned long long)n);
	for (int rows = 0; *at; rows++, at += *at == '\n') {
		u64 first = number(&at), run = number(&at), spare = NOWHERE;

		if (!strncmp(at, " main", 5))
			at += 5;
		else if (!strncmp(at, " spare ", 7) && (at += 7))
			spare = number(&at);
		if (first != start || !run || run > end - start)
			die("%s: the rows do not add up at %llu", doing,
			    (unsigned long long)start);
		for (; run; run--, start++, spare += spare != NOWHERE)
			if (to[start] != spare)
				die("%s: sector %llu: expected %d, found %d", doing,
				    (unsigned long long)start, (int)to[start], (int)spare);
		if (rows == 999)
			end = start;
	}
	if (start != end)
		die("%s: ends at %llu", doing, (unsigned long long)start);
}

/*
 * Adding
 */

static int by_start(const void *a, const void *b)
{
	u64 x = ((const struct remap *)a)->start, y = ((const struct remap *)b)->start;

	return x < y ? -1 : x > y;
}

static int by_spare(const void *a, const void *b)
{
	u64 x = ((const struct remap *)a)->spare, y = ((const struct remap *)b)->spare;

	return x < y ? -1 : x > y;
}

/* The free runs of the spare, in order. */
static unsigned int gaps(struct range *gap)
{
	static struct remap sorted[MAX_REMAPS + NR_AREAS];
	unsigned int nr = 0, nr_used = nr_remaps;
	u64 at = spare_first;

	memcpy(sorted, remaps, nr_remaps * sizeof(*remaps));
	for (unsigned int i = 0; i < NR_AREAS; i++)
		if (areas[i].len)
			sorted[nr_used++] = (struct remap){ 0, areas[i].start, areas[i].len };
	qsort(sorted, nr_used, sizeof(*sorted), by_spare);
	for (unsigned int i = 0; i <= nr_used; i++) {
		u64 end = i < nr_used ? sorted[i].spare : spare_size;

		if (end > at)
			gap[nr++] = (struct range){ at, end - at };
		if (i < nr_used)
			at = sorted[i].spare + sorted[i].len;
	}
	return nr;
}

/* Somewhere in [start, start + room), often at one of its ends. */
static u64 pick_within(u64 start, u64 room, u64 n)
{
	switch (below(&rnd, 4)) {
	case 0:
		return start;
	case 1:
		return start + room - n;
	default:
		return start + below(&rnd, (room - n) / block + 1) * block;
	}
}

/* By turns few and long, and many and short. */
static bool many(void)
{
	return done / 1500 % 2;
}

/* Mostly where nothing is remapped, touching what is. */
static struct remap pick_remap(u64 max)
{
	static struct range gap[MAX_REMAPS + 1];
	struct remap r = { .spare = AUTO, .len = log_uniform(&rnd, max / block) * block };
	unsigned int nr;
	u64 i, start, end;

	if (one_in(&rnd, 12)) {
		r.start = pick_within(0, len, r.len);
	} else {
		i = below(&rnd, nr_remaps + 1);
		start = i ? remaps[i - 1].start + remaps[i - 1].len : 0;
		end = i < nr_remaps ? remaps[i].start : len;
		if (end > start)
			r.len = min_u64(r.len, end - start);
		else
			start = below(&rnd, (len - r.len) / block + 1) * block;
		r.start = pick_within(start, max_u64(end, start + r.len) - start, r.len);
		r.start = min_u64(r.start, len - r.len);
	}

	if (one_in(&rnd, 2))
		return r;
	nr = gaps(gap);
	if (!nr || one_in(&rnd, 12)) {
		r.spare = below(&rnd, (spare_size - r.len) / block + 1) * block;
	} else {
		i = below(&rnd, nr);
		r.len = min_u64(r.len, gap[i].len);
		r.spare = pick_within(gap[i].start, gap[i].len, r.len);
	}
	return r;
}

/* What the target must say to them; they are put in order. */
static int expected_of(struct remap *want, unsigned int nr)
{
	u64 room = spare_free();
	int r = 0;

	qsort(want, nr, sizeof(*want), by_start);
	for (unsigned int i = 0; i < nr; i++) {
		if (i && want[i].start < want[i - 1].start + want[i - 1].len)
			return -EEXIST;
		for (u64 s = want[i].start; s < want[i].start + want[i].len; s++)
			if (to[s] != NOWHERE)
				return -EEXIST;
	}
	for (unsigned int i = 0; i < nr; i++) {
		if (want[i].spare == AUTO)
			continue;
		for (u64 s = want[i].spare; s < want[i].spare + want[i].len; s++) {
			if (busy[s])
				r = -EBUSY;
			busy[s]++;
		}
		room -= want[i].len;
	}
	for (unsigned int i = 0; i < nr; i++)
		for (u64 s = 0; want[i].spare != AUTO && s < want[i].len; s++)
			busy[want[i].spare + s]--;
	if (r)
		return r;
	for (unsigned int i = 0; i < nr; i++) {
		if (want[i].spare != AUTO)
			continue;
		if (want[i].len > room)
			return -ENOSPC;
		room -= want[i].len;
	}
	return 0;
}

/* The lowest run that holds it, else the lowest run, and so on with the rest. */
static void check_first_fit(const struct remap *got, unsigned int nr, u64 left)
{
	static struct range gap[MAX_REMAPS + 1];
	unsigned int nr_gaps = gaps(gap);

	for (unsigned int i = 0; i < nr; i++) {
		unsigned int g = 0;

		while (g < nr_gaps && gap[g].len < left)
			g++;
		if (g == nr_gaps)
			for (g = 0; !gap[g].len; g++)
				;
		if (got[i].spare != gap[g].start || got[i].len != min_u64(left, gap[g].len))
			die("operation %llu: %s: got %llu sectors at %llu of the spare, not %llu at %llu",
			    (unsigned long long)done, doing, (unsigned long long)got[i].len,
			    (unsigned long long)got[i].spare,
			    (unsigned long long)min_u64(left, gap[g].len),
			    (unsigned long long)gap[g].start);
		left -= got[i].len;
		gap[g].start += got[i].len;
		gap[g].len -= got[i].len;
	}
}

/* @got must be what was wanted, on free sectors. */
static void check_added(const struct remap *want, unsigned int nr_want,
			const struct remap *got, unsigned int nr)
{
	unsigned int i = 0;

	for (; nr_want; nr_want--, want++) {
		u64 at = want->start;

		if (want->spare == AUTO && nr_want == 1 && i == 0)
			check_first_fit(got, nr, want->len);
		for (; at < want->start + want->len; at += got[i++].len) {
			if (i == nr || got[i].start != at ||
			    got[i].len > want->start + want->len - at ||
			    (want->spare != AUTO && !same(want, &got[i])) ||
			    got[i].spare + got[i].len > spare_size ||
			    (got[i].spare | got[i].len) % block)
				die("operation %llu: %s: not what was asked for at %llu",
				    (unsigned long long)done, doing, (unsigned long long)at);
			for (u64 s = got[i].spare; s < got[i].spare + got[i].len; s++)
				if (busy[s])
					die("operation %llu: %s: spare sector %llu was in use",
					    (unsigned long long)done, doing,
					    (unsigned long long)s);
		}
	}
	if (i != nr)
		die("operation %llu: %s: a remap at %llu that nobody asked for",
		    (unsigned long long)done, doing, (unsigned long long)got[i].start);
}

/* See what was added, and follow the data. */
static void added(const struct remap *want, unsigned int nr_want, bool nocopy)
{
	static struct remap rows[MAX_REMAPS], got[MAX_REMAPS];
	unsigned int nr = fetch(rows), nr_got = 0, old = 0;

	for (unsigned int i = 0; i < nr; i++)
		if (old < nr_remaps && same(&rows[i], &remaps[old]))
			old++;
		else
			got[nr_got++] = rows[i];
	if (old != nr_remaps)
		die("operation %llu: %s: the remap at %llu is gone", (unsigned long long)done,
		    doing, (unsigned long long)remaps[old].start);
	check_added(want, nr_want, got, nr_got);

	for (unsigned int i = 0; i < nr_got; i++)
		for (u64 s = 0; s < got[i].len; s++) {
			u64 from = got[i].start + s, at = got[i].spare + s;

			if (!nocopy)
				on_spare[at] = on_main[from];
			to[from] = at;
			busy[at] = 1;
			nr_moved++;
		}
	memcpy(remaps, rows, nr * sizeof(*rows));
	nr_remaps = nr;
	most_remaps = max_u64(most_remaps, nr);
	find_metadata();
	check_status();
}

static void add(void)
{
	struct remap want = pick_remap(many() ? 256 : MAX_LEN);
	bool nocopy = one_in(&rnd, 4);
	char spare[32] = "auto";
	int r = expected_of(&want, 1);

	if (nocopy)
		drop_cache();
	if (want.spare != AUTO)
		snprintf(spare, sizeof(spare), "%llu", (unsigned long long)want.spare);
	tell(r, "add_remap %llu %s %llu%s", (unsigned long long)want.start, spare,
	     (unsigned long long)want.len, nocopy ? " nocopy" : "");
	added(&want, !r, nocopy);
}

static bool overlap(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* Does nothing stand in its way, neither in the map nor in its batch? */
static bool fits(const struct remap *r, const struct remap *want, unsigned int nr)
{
	for (u64 s = 0; s < r->len; s++)
		if (to[r->start + s] != NOWHERE ||
		    (r->spare != AUTO && busy[r->spare + s]))
			return false;
	for (unsigned int i = 0; i < nr; i++)
		if (overlap(r->start, r->len, want[i].start, want[i].len) ||
		    (r->spare != AUTO && want[i].spare != AUTO &&
		     overlap(r->spare, r->len, want[i].spare, want[i].len)))
			return false;
	return true;
}

/* All or none, so most batches are of remaps that fit. */
static unsigned int pick_batch(struct remap *want)
{
	unsigned int nr = 0, room = many() ? MAX_BATCH : log_uniform(&rnd, MAX_BATCH);
	bool any = one_in(&rnd, 6);

	for (unsigned int i = 0; i < 4 * room && nr < room; i++) {
		want[nr] = pick_remap(many() ? 64 : 256);
		nr += any || fits(&want[nr], want, nr);
	}
	if (!nr)
		want[nr++] = pick_remap(256);
	return nr;
}

static void add_many(void)
{
	static char message[MAX_BATCH * 64];
	struct remap want[MAX_BATCH];
	unsigned int nr = pick_batch(want), size = 0;
	bool nocopy = one_in(&rnd, 4);
	int r;

	if (nocopy)
		drop_cache();
	for (unsigned int i = 0; i < nr; i++) {
		unsigned long long start = want[i].start, n = want[i].len;

		if (want[i].spare == AUTO)
			size += sprintf(message + size, " %llu auto %llu", start, n);
		else
			size += sprintf(message + size, " %llu %llu %llu", start,
					(unsigned long long)want[i].spare, n);
	}
	r = expected_of(want, nr);
	tell(r, "add_remaps%s%s", nocopy ? " nocopy" : "", message);
	added(want, r ? 0 : nr, nocopy);
}

/*
 * Removing
 */

static void removed(u64 first, u64 last, bool nocopy, const char *reply)
{
	static struct remap old[MAX_REMAPS];
	unsigned int nr_old = nr_remaps, touched = 0;
	u64 sectors = 0;
	char expected[64];

	memcpy(old, remaps, nr_old * sizeof(*old));
	nr_remaps = 0;
	for (unsigned int i = 0; i < nr_old; i++) {
		u64 start = max_u64(old[i].start, first);
		u64 end = min_u64(old[i].start + old[i].len, last);

		if (start >= end) {
			remaps[nr_remaps++] = old[i];
			continue;
		}
		touched++;
		sectors += end - start;
		for (u64 s = start; s < end; s++) {
			if (!nocopy)
				on_main[s] = on_spare[to[s]];
			busy[to[s]] = 0;
			to[s] = NOWHERE;
		}
		if (old[i].start < start)
			remaps[nr_remaps++] = (struct remap){
				old[i].start, old[i].spare, start - old[i].start
			};
		if (end < old[i].start + old[i].len)
			remaps[nr_remaps++] = (struct remap){
				end, old[i].spare + (end - old[i].start),
				old[i].start + old[i].len - end
			};
	}
	nr_moved += sectors;
	snprintf(expected, sizeof(expected), "remaps=%u sectors=%llu", touched,
		 (unsigned long long)sectors);
	if (*reply && strcmp(reply, expected))
		die("operation %llu: %s: the reply is '%s', not '%s'",
		    (unsigned long long)done, doing, reply, expected);
	find_metadata();
	check_list();
	check_status();
}

static void remove_range(u64 first, u64 last, bool whole)
{
	bool nocopy = one_in(&rnd, 4);
	int expected = -ENOENT;
	char length[32] = "", reply[64];

	if (nocopy)
		drop_cache();
	for (u64 s = first; s < last; s++)
		if (to[s] != NOWHERE)
			expected = 0;
	if (!whole)
		snprintf(length, sizeof(length), " %llu", (unsigned long long)(last - first));
	snprintf(reply, sizeof(reply), "%s",
		 tell(expected, "remove_remap %llu%s%s", (unsigned long long)first, length,
		      nocopy ? " nocopy" : ""));
	removed(first, last, nocopy, reply);
}

static void remove_some(void)
{
	const struct remap *r, *last;
	u64 start, n, i;

	if (!nr_remaps || one_in(&rnd, many() ? 48 : 12)) {
		/* Anything at all. */
		n = log_uniform(&rnd, MAX_LEN / block) * block;
		start = below(&rnd, (len - n) / block + 1) * block;
		remove_range(start, start + n, false);
		return;
	}
	i = below(&rnd, nr_remaps);
	r = &remaps[i];
	last = &remaps[min_u64(nr_remaps - 1, i + log_uniform(&rnd, 16) - 1)];
	switch (below(&rnd, 4)) {
	case 0:
		remove_range(r->start, r->start + r->len, true);
		break;
	case 1:
		n = (1 + below(&rnd, r->len / block)) * block;
		start = pick_within(r->start, r->len, n);
		remove_range(start, start + n, false);
		break;
	case 2:
		/* From within one to within another. */
		start = r->start + below(&rnd, r->len / block) * block;
		n = last->start + (1 + below(&rnd, last->len / block)) * block;
		if (n > start)
			remove_range(start, n, false);
		break;
	default:
		remove_range(r->start, last->start + last->len, false);
	}
}

static void clear_all(void)
{
	bool nocopy = one_in(&rnd, 4);
	char reply[64];

	if (nocopy)
		drop_cache();
	snprintf(reply, sizeof(reply), "%s",
		 tell(0, "clear_all%s", nocopy ? " nocopy" : ""));
	removed(0, len, nocopy, reply);
}

/*
 * The life of a table
 */

static int load(void)
{
	char linear[128], remap[256], low[64] = "";
	unsigned int nr = one_in(&rnd, 2);
	struct dm_line lines[] = {
		{ 0, before, "linear", linear },
		{ before, len, "dm-remap-v4", remap },
	};

	/* What precedes the target is of main too, but not of the part it maps. */
	snprintf(linear, sizeof(linear), "%s %llu", main_path, (unsigned long long)len);
	if (nr)
		snprintf(low, sizeof(low), " spare_low %llu",
			 (unsigned long long)below(&rnd, 100000));
	snprintf(remap, sizeof(remap), "%s %s %u%s%s%s", main_path, spare_path,
		 2 * nr + !!*options, *options ? " " : "", options, low);
	return before ? dm_load(NAME, lines, 2) : dm_load(NAME, lines + 1, 1);
}

static void reload(void)
{
	u32 flags = 0;

	if (one_in(&rnd, 2))
		flags |= DM_NOFLUSH_FLAG;
	if (one_in(&rnd, 2))
		flags |= DM_SKIP_LOCKFS_FLAG;
	snprintf(doing, sizeof(doing), "reload");
	switch (below(&rnd, 4)) {
	case 0:
		must(load());
		must(dm_clear(NAME));
		break;
	case 1:
		must(load());
		must(dm_resume(NAME));
		break;
	case 2:
		must(load());
		/* fallthrough */
	default:
		must(dm_suspend(NAME, flags));
		tell(-EBUSY, "add_remap 0 auto %u", block);
		tell(-EBUSY, "remove_remap 0 %llu", (unsigned long long)len);
		tell(-EBUSY, "clear_all");
		query();
		check_status();
		must(dm_resume(NAME));
	}
	find_metadata();
	check_list();
	check_status();
}

static void make_device(void)
{
	char path[64];
	unsigned int minor;

	must(dm_create(NAME, &minor));
	must(load());
	must(dm_resume(NAME));
	snprintf(path, sizeof(path), "/dev/dm-%u", minor);
	direct_fd = open_device(path, O_RDWR | O_DIRECT);
	cached_fd = open_device(path, O_RDWR);
}

static void remove_device(void)
{
	close(direct_fd);
	close(cached_fd);
	must(dm_remove(NAME));
}

/* What is kept comes back, to the last remap. */
static void remake(void)
{
	if (!keep)
		return;
	snprintf(doing, sizeof(doing), "removal of the device, and creation");
	sync_cache();
	remove_device();
	make_device();
	find_metadata();
	check_list();
	check_status();
}

/*
 * All together
 */

static void read_all(const char *where, int fd, u64 from, u64 n, struct cell *cells)
{
	for (u64 at = 0; at < n; at += MAX_IO) {
		u64 piece = min_u64(MAX_IO, n - at);

		must(io_all(fd, false, buffer, piece * SECTOR, from + at, 0));
		if (cells)
			compare_raw(where, cells, at, piece, buffer);
		else
			compare(at, piece, buffer);
	}
}

/* The device, and then what lies below it, remapped or not, mapped or not. */
static void verify(void)
{
	snprintf(doing, sizeof(doing), "read of everything");
	sync_cache();
	read_all("", direct_fd, before, len, NULL);
	read_all("main device:", main_fd, 0, main_size, on_main);
	read_all("spare device:", spare_fd, 0, spare_size, on_spare);
	stop_if_different();
	check_list();
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned int weight;
} ops[] = {
	{ "reads", read_direct, 30 },
	{ "cached reads", read_cached, 6 },
	{ "NOWAIT reads", read_nowait, 8 },
	{ "writes", write_direct, 24 },
	{ "FUA writes", write_dsync, 6 },
	{ "NOWAIT writes", write_nowait, 4 },
	{ "cached writes", write_cached, 8 },
	{ "syncs", sync_op, 4 },
	{ "discards", discard, 4 },
	{ "zeroes", write_zeroes, 4 },
	{ "queries", query, 2 },
}, map_ops[] = {
	{ "adds", add, 36 },
	{ "batches", add_many, 16 },
	{ "removes", remove_some, 36 },
	{ "clears", clear_all, 1 },
	{ "reloads", reload, 10 },
	{ "anew", remake, 5 },
};

static void set_up(void)
{
	main_fd = open_device(main_path, O_RDWR | O_DIRECT);
	spare_fd = open_device(spare_path, O_RDWR | O_DIRECT);
	main_size = device_sectors(main_fd);
	spare_size = device_sectors(spare_fd);
	block = device_block(main_fd);
	spare_first = max_u64(SPARE_FIRST, block);
	spare_size -= spare_size % block;
	/* Room behind it, which nobody may touch but what precedes it. */
	len = main_size - before - 16 * block;
	if (len <= MAX_LEN || spare_size <= MAX_LEN)
		die("devices of more than 64 MiB are wanted");

	buffer = io_buffer((MAX_IO + 8 * block) * SECTOR);
	on_main = zalloc(main_size, sizeof(*on_main));
	on_spare = zalloc(spare_size, sizeof(*on_spare));
	to = zalloc(len, sizeof(*to));
	busy = zalloc(spare_size, 1);
	pending = zalloc(len, sizeof(*pending));
	memset(to, 0xff, len * sizeof(*to));
	memset(pending, 0xff, len * sizeof(*pending));
	memset(busy, keep ? METADATA : 1, spare_first);
	write_raw(main_fd, main_size, 0, buffer);
	write_raw(spare_fd, spare_size, ON_SPARE, buffer);
	for (u64 s = 0; s < main_size; s++)
		on_main[s].a = on_main[s].b = stamp(s, 1);
	for (u64 s = 0; s < spare_size; s++)
		on_spare[s].a = on_spare[s].b = stamp(s | ON_SPARE, 1);

	snprintf(doing, sizeof(doing), "creation of the device");
	/* It is not blank. */
	options = keep ? "format" : "volatile";
	make_device();
	if (keep)
		options = "";
	find_metadata();
}

static void operation(void)
{
	static unsigned int all, all_maps;
	unsigned int i, n;

	if (!all) {
		for (i = 0; i < ARRAY_SIZE(ops); i++)
			all += ops[i].weight;
		for (i = 0; i < ARRAY_SIZE(map_ops); i++)
			all_maps += map_ops[i].weight;
	}
	if (below(&rnd, 1000) < maps) {
		n = below(&rnd, all_maps);
		for (i = 0; n >= map_ops[i].weight; i++)
			n -= map_ops[i].weight;
		map_ops[i].run();
		i += ARRAY_SIZE(ops);
	} else {
		n = below(&rnd, all);
		for (i = 0; n >= ops[i].weight; i++)
			n -= ops[i].weight;
		ops[i].run();
	}
	nr_ops[i]++;
	stop_if_different();
}

static void summary(u64 ms)
{
	printf("# %llu operations:", (unsigned long long)done);
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
		printf(" %llu %s", (unsigned long long)nr_ops[i], ops[i].name);
	for (unsigned int i = 0; i < ARRAY_SIZE(map_ops); i++)
		printf(" %llu %s", (unsigned long long)nr_ops[ARRAY_SIZE(ops) + i],
		       map_ops[i].name);
	if (keep)
		printf(", metadata moved %llu times", (unsigned long long)nr_area_moves - 1);
	printf("\n# %llu MiB, %llu MiB moved, up to %llu remaps, %llu refusals as expected, %llu of %llu NOWAIT declined, %llu s\n",
	       (unsigned long long)sectors_done >> 11, (unsigned long long)nr_moved >> 11,
	       (unsigned long long)most_remaps, (unsigned long long)nr_refused,
	       (unsigned long long)nr_declined, (unsigned long long)nr_nowait,
	       (unsigned long long)ms / 1000);
}

/* What the cache holds of it is written as it is closed. */
static void wake_all(void)
{
	dm_resume(NAME);
}

int main(int argc, char **argv)
{
	u64 seed = (u64)time(NULL) << 20 ^ getpid(), start;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	wake = wake_all;
	while ((c = getopt(argc, argv, "s:n:m:v:b:k")) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			count = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			maps = strtoull(optarg, NULL, 0);
			break;
		case 'v':
			verify_every = strtoull(optarg, NULL, 0);
			break;
		case 'b':
			before = strtoull(optarg, NULL, 0);
			break;
		case 'k':
			keep = true;
			break;
		default:
			argc = 0;
		}
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: exact [-s seed] [-n operations] [-m map changes in 1000] [-v operations between verifications] [-b sectors before the target] [-k: keep the remaps] <main> <spare>\n");
		return 2;
	}
	main_path = argv[optind];
	spare_path = argv[optind + 1];
	rnd.state = seed;
	printf("# SEED=%llu\n", (unsigned long long)seed);

	set_up();
	start = now_ms();
	while (done < count) {
		operation();
		if (++done % verify_every == 0 || done == count)
			verify();
	}
	summary(now_ms() - start);
	remove_device();
	return 0;
}

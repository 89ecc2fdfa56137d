// SPDX-License-Identifier: GPL-2.0-only
/*
 * workload <main> <spare> <mark> [<next>]: what is recorded (see judge.c for the marks). Changes
 * of the map, by one thread or by two that have a half of the device each, beside
 * threads that write; then the device is removed and made anew, and so on. The map
 * fills until its metadata has to grow, and empties again.
 *
 * Before each step it is said to the mark disk what it will be, and afterwards what
 * came of it.
 *
 * With -f sectors of both disks go bad all the while (recorder.c), and come good again when
 * the device is made anew; there is more room than what fails could take, so that no
 * write may fail.
 *
 * With a second spare, <next>, one more thread migrates to there, and back, and so on, while
 * the others go on, or now and then interrupt it.
 */
#define _GNU_SOURCE
#include "state.h"

#include <stdarg.h>

#define NAME		"crash"
#define MAP_THREADS	2
#define WRITERS		2
#define MOVER		(MAP_THREADS + WRITERS)
#define STRIPE		32U		/* sectors that are one writer's */
#define HOT		256U		/* where most of it happens, of a region */
#define MAX_BATCH	200U
#define MARK_ROOM	(64 * 1024U)
#define MAX_LEN		65536U

struct thread {
	u32		id, version;
	struct random	rnd;
	char		*text;		/* of marks */
	u32		at;
	pthread_t	pthread;
	/* Of those that change the map: its region, and what it has there. */
	u32		first, end, nr;
	bool		fill;
};

static const char *main_path, *spare_path, *next_path, *option = "";
static int mark_fd, data_fd;
static u32 len, most = 2200, changes = 60, cycles = 4;
static struct thread threads[MAP_THREADS + WRITERS + 1];
static u32 spare_len;
static bool faulty;
static bool mapped[MAX_LEN];
static u32 of_batch[MAX_LEN];		/* which thread is about to add it, and 1 */
static _Atomic u32 version;
static _Atomic long tokens;
static _Atomic u32 changing;		/* threads that change the map */
static _Atomic u32 changed;		/* times that they did */
static _Atomic bool migrating, unwanted;
/* Held by who writes down what all of the map is, and shared by those who change it. */
static pthread_rwlock_t listing;

/*
 * Marks
 */

__attribute__((format(printf, 2, 3)))
static void mark(struct thread *t, const char *fmt, ...)
{
	va_list args;

	t->at += snprintf(t->text + t->at, MARK_ROOM - t->at, "%u ", t->id);
	va_start(args, fmt);
	t->at += vsnprintf(t->text + t->at, MARK_ROOM - t->at, fmt, args);
	va_end(args);
	t->at += snprintf(t->text + t->at, MARK_ROOM - t->at, "\n");
	if (t->at >= MARK_ROOM)
		die("a mark is too long");
}

static void put_marks(struct thread *t)
{
	u32 size = (t->at + SECTOR - 1) / SECTOR * SECTOR;

	memset(t->text + t->at, 0, size - t->at);
	must("marking", io_all(mark_fd, true, t->text, size,
			       t->id * (MARK_ROOM / SECTOR), 0));
	t->at = 0;
}

/*
 * Changes of the map
 */

static void row_added(void *context, const u32 *row)
{
	struct thread *t = context;

	if (of_batch[row[0]] != t->id + 1)
		return;
	mark(t, "row %u %u %u%s", row[0], row[1], row[2], row[3] ? " lost" : "");
	memset(mapped + row[0], 1, row[2]);
	t->nr++;
}

static u32 pick_main(struct thread *t, u32 n, bool anywhere)
{
	u32 room = anywhere || one_in(&t->rnd, 8) ? t->end - t->first : HOT;

	return t->first + below(&t->rnd, room - n + 1);
}

/* Send what was marked. */
static int send(struct thread *t, const char *message)
{
	const char *reply;
	int r;

	mark(t, "begin message %s", message);
	put_marks(t);
	tokens += 2 * WRITERS;
	r = dm_send(NAME, 0, message, &reply);
	/* What has failed may be remapped already, or not be moved back. */
	if (faulty && (r == -EIO || r == -EEXIST))
		return r;
	if (next_path && r == -EINTR)
		return r;
	if (r && r != -EBUSY && r != -ENOSPC)
		die("%s: %s", message, strerror(-r));
	return r;
}

static void answer(struct thread *t, int r)
{
	mark(t, r ? "failed" : "done");
	put_marks(t);
}

static void add(struct thread *t, u32 rows)
{
	char message[MAX_BATCH * 24 + 32];
	u32 at = sprintf(message, rows > 1 ? "add_remaps" : "add_remap");
	u32 nr = 0;
	int r;

	for (u32 tries = 0; nr < rows && tries < 4 * rows; tries++) {
		u32 n = log_uniform(&t->rnd, rows > 1 ? 1 + one_in(&t->rnd, 4) : 64);
		u32 main = pick_main(t, n, rows > 1);
		bool busy = false;

		for (u32 s = main; s < main + n; s++)
			busy |= mapped[s] || of_batch[s] == t->id + 1;
		if (busy)
			continue;
		for (u32 s = main; s < main + n; s++)
			of_batch[s] = t->id + 1;
		nr++;
		/* A place of its own may be in use, by metadata, too. */
		if (rows == 1 && one_in(&t->rnd, 4))
			at += sprintf(message + at, " %u %u %u", main,
				      8 + (u32)below(&t->rnd, 4096), n);
		else
			at += sprintf(message + at, " %u auto %u", main, n);
	}
	if (!nr)
		return;
	if (rows == 1 && faulty && one_in(&t->rnd, 3))
		strcat(message, " lost");
	r = send(t, message);
	if (!r)
		each_row(NAME, t->first, t->end, row_added, t);
	memset(of_batch + t->first, 0, (t->end - t->first) * sizeof(*of_batch));
	answer(t, r);
}

static void first_row(void *context, const u32 *row)
{
	u32 *found = context;

	if (!found[2])
		memcpy(found, row, 3 * sizeof(*row));
}

static void remove_range(struct thread *t, u32 main, u32 n)
{
	char message[64];
	bool any = false;
	int r;

	for (u32 s = main; s < main + n; s++)
		any |= mapped[s];
	if (!any)
		return;
	snprintf(message, sizeof(message), "remove_remap %u %u", main, n);
	r = send(t, message);
	if (!r)
		memset(mapped + main, 0, n);
	answer(t, r);
}

/* A whole remap, a part of it, or whatever is in a range. */
static void remove_some(struct thread *t)
{
	u32 from = pick_main(t, 1, !t->fill), row[4] = { 0, 0, 0 }, n;

	switch (below(&t->rnd, t->fill ? 2 : 3)) {
	case 0:
		each_row(NAME, from, min_u64(from + HOT, t->end), first_row, row);
		if (row[2] && row[0] >= t->first && row[0] + row[2] <= t->end)
			remove_range(t, row[0], row[2]);
		break;
	case 1:
		remove_range(t, from, min_u64(log_uniform(&t->rnd, 8), t->end - from));
		break;
	default:
		n = (t->end - t->first) / 4;
		remove_range(t, from, min_u64(n, t->end - from));
	}
}

/*
 * Something goes bad: for reads or writes or both, for good or the next few; where data
 * is written, or on the spare where something is mapped.
 */
static void spoil(struct thread *t)
{
	u32 n = log_uniform(&t->rnd, 8), row[4] = { 0, 0, 0 };
	u32 times = one_in(&t->rnd, 2) ? 255 : 1 + below(&t->rnd, 3);
	u32 how = 1 + below(&t->rnd, 3), disk = 0;
	u32 sector = pick_main(t, n, false);

	if (one_in(&t->rnd, 3))
		each_row(NAME, sector, t->end, first_row, row);
	if (row[2]) {
		disk = 1;
		n = min_u64(n, row[2]);
		sector = row[1] + below(&t->rnd, row[2] - n + 1);
	}
	mark(t, "bad %u %u %u %u %u", disk, how & 1 ? times : 0, how & 2 ? times : 0, sector, n);
	put_marks(t);
}

static void mend_all(struct thread *t)
{
	mark(t, "bad 0 0 0 0 %u", len);
	mark(t, "bad 1 0 0 0 %u", spare_len);
	put_marks(t);
}

static void scrub(struct thread *t)
{
	u32 from = below(&t->rnd, len);
	char message[64];

	if (one_in(&t->rnd, 3))
		strcpy(message, "scrub stop");
	else
		snprintf(message, sizeof(message), "scrub start %u %u %u", from,
			 from + 1 + (u32)below(&t->rnd, len - from),
			 1 + (u32)below(&t->rnd, 20));
	answer(t, send(t, message));
}

static void clear_all(struct thread *t)
{
	int r = send(t, "clear_all");

	if (!r)
		memset(mapped, 0, len);
	answer(t, r);
}

/* A suspend ends a migration, or whatever takes long. */
static void interrupt(void)
{
	must("suspend", dm_suspend(NAME, 0));
	must("resume", dm_resume(NAME));
}

static void wake_all(void)
{
	dm_resume(NAME);
}

static void *change_map(void *context)
{
	struct thread *t = context;

	for (u32 i = 0; i < changes; i++) {
		u32 limit = most / (u32)(len / (t->end - t->first));

		t->nr = 0;
		for (u32 s = t->first; s < t->end; s++)
			t->nr += mapped[s];
		if (t->nr > limit)
			t->fill = false;
		else if (t->nr < limit / 8)
			t->fill = true;
		if (faulty && !one_in(&t->rnd, 3))
			spoil(t);
		/* One thread, lest what is acknowledged is another's. */
		if (faulty && !t->id && one_in(&t->rnd, 6))
			scrub(t);
		if (unwanted && !t->id && one_in(&t->rnd, 4))
			interrupt();
		pthread_rwlock_rdlock(&listing);
		switch (below(&t->rnd, 8)) {
		case 0:
		case 1:
			if (t->fill)
				add(t, MAX_BATCH - below(&t->rnd, 20));
			else
				add(t, log_uniform(&t->rnd, MAX_BATCH));
			break;
		case 2:
		case 3:
		case 4:
			add(t, 1);
			break;
		default:
			remove_some(t);
		}
		pthread_rwlock_unlock(&listing);
		changed++;
	}
	changing--;
	return NULL;
}

/*
 * Another spare
 */

static void row_moved(void *context, const u32 *row)
{
	mark(context, "row %u %u %u%s", row[0], row[1], row[2], row[3] ? " lost" : "");
}

/* What others have changed since is in the rows, and was acknowledged before they are. */
static void migrate(struct thread *t)
{
	const char *was = spare_path;
	char message[64];
	int r;

	snprintf(message, sizeof(message), "migrate %s", next_path);
	migrating = true;
	unwanted = one_in(&t->rnd, 3);
	r = send(t, message);
	unwanted = false;
	migrating = false;
	pthread_rwlock_wrlock(&listing);
	if (!r) {
		each_row(NAME, 0, len, row_moved, t);
		spare_path = next_path;
		next_path = was;
	}
	answer(t, r);
	pthread_rwlock_unlock(&listing);
}

static void *migrate_map(void *context)
{
	u32 from = 0;

	while (changing) {
		if (changed - from < changes / 2) {
			usleep(1000);
			continue;
		}
		migrate(context);
		from = changed;
	}
	return NULL;
}

/*
 * Data
 */

/* In one stripe of this writer's. */
static u32 pick_sector(struct thread *t, u32 *n)
{
	u32 half = len / 2 * below(&t->rnd, 2);
	u32 room = one_in(&t->rnd, 8) ? len / 2 : HOT;
	u32 stripe = (half + below(&t->rnd, room)) / STRIPE;
	u32 sector, end;

	stripe -= stripe % WRITERS;
	stripe += t->id - MAP_THREADS;
	sector = stripe * STRIPE + below(&t->rnd, STRIPE);
	end = (stripe + 1) * STRIPE;
	*n = min_u64(log_uniform(&t->rnd, STRIPE), end - sector);
	return sector;
}

static void write_some(struct thread *t, char *buf)
{
	static const char *const names[] = { "write", "fua", "zero", "discard" };
	static const u32 percent[] = { 70, 85, 93, 100 };
	u32 n, sector = pick_sector(t, &n), what = 0, v = ++version;
	u64 range[2] = { (u64)sector * SECTOR, (u64)n * SECTOR };
	int r;

	for (u32 dice = below(&t->rnd, 100); dice >= percent[what]; what++)
		;
	mark(t, "begin %s %u %u %u", names[what], v, sector, n);
	put_marks(t);
	if (what < 2) {
		for (u32 i = 0; i < n; i++)
			put_stamp(buf + i * SECTOR, stamp(sector + i, v));
		r = io_all(data_fd, true, buf, n * SECTOR, sector, what ? RWF_DSYNC : 0);
	} else {
		r = ioctl(data_fd, what == 2 ? BLKZEROOUT : BLKDISCARD, range) ? -errno : 0;
		/* Fewer guarantees, no fault. */
		if (what == 3 && r == -EOPNOTSUPP)
			r = 0;
	}
	must(names[what], r);
	answer(t, 0);
}

/* For what reads find out. */
static void read_some(struct thread *t, char *buf)
{
	u32 n, sector = pick_sector(t, &n);
	int r = io_all(data_fd, false, buf, n * SECTOR, sector, 0);

	if (r && r != -EIO && r != -ENODATA)
		must("reading", r);
}

static void sync_data(struct thread *t)
{
	mark(t, "begin sync");
	put_marks(t);
	must("sync", fdatasync(data_fd) ? -errno : 0);
	answer(t, 0);
}

/* So many for each change, most while it is being made; of a migration to its last moment. */
static bool may_go_on(void)
{
	if (migrating) {
		usleep(2000);
		return true;
	}
	if (tokens-- > 0)
		return true;
	tokens++;
	usleep(200);
	return false;
}

static void *write_data(void *context)
{
	struct thread *t = context;
	char *buf = io_buffer(STRIPE * SECTOR);

	while (changing) {
		if (!may_go_on())
			continue;
		if (one_in(&t->rnd, migrating ? 3 : 6)) {
			sync_data(t);
		} else if (faulty && one_in(&t->rnd, 3)) {
			read_some(t, buf);
		} else {
			write_some(t, buf);
		}
	}
	free(buf);
	return NULL;
}

/*
 * All together
 */

static void row_known(void *context, const u32 *row)
{
	memset((bool *)context + row[0], 1, row[2]);
}

/* Nothing else is running: what there is, also what this program is to go on from. */
static void create(struct thread *t)
{
	char params[256], text[80], path[64];

	snprintf(params, sizeof(params), "%s %s%s%s", main_path, spare_path,
		 *option ? " 1 " : "", option);
	if (faulty)
		mend_all(t);
	mark(t, "begin create");
	put_marks(t);
	data_fd = create_device(path, NAME, len, "dm-remap-v4", params);
	answer(t, 0);
	version = max_u64(version, tell_state(text, NAME, data_fd, len));
	mark(t, "state %s", text);
	put_marks(t);
	memset(mapped, 0, sizeof(mapped));
	each_row(NAME, 0, len, row_known, mapped);
}

static void run(u32 nr_changing)
{
	changing = nr_changing;
	changed = 0;
	tokens = 0;
	for (u32 i = 0; i < nr_changing; i++) {
		threads[i].first = len / nr_changing * i;
		threads[i].end = len / nr_changing * (i + 1);
		pthread_create(&threads[i].pthread, NULL, change_map, &threads[i]);
	}
	for (u32 i = MAP_THREADS; i < MAP_THREADS + WRITERS; i++)
		pthread_create(&threads[i].pthread, NULL, write_data, &threads[i]);
	if (next_path)
		pthread_create(&threads[MOVER].pthread, NULL, migrate_map, &threads[MOVER]);
	for (u32 i = 0; i < nr_changing; i++)
		pthread_join(threads[i].pthread, NULL);
	for (u32 i = MAP_THREADS; i < MAP_THREADS + WRITERS; i++)
		pthread_join(threads[i].pthread, NULL);
	if (next_path)
		pthread_join(threads[MOVER].pthread, NULL);
}

/* Who waits to list is not passed by those who come later. */
static void init_listing(void)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&listing, &attr);
}

int main(int argc, char **argv)
{
	u64 seed = 1;
	int c, fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	wake = wake_all;
	while ((c = getopt(argc, argv, "c:fm:n:o:s:")) != -1) {
		switch (c) {
		case 'c':
			cycles = strtoul(optarg, NULL, 0);
			break;
		case 'f':
			faulty = true;
			break;
		case 'm':
			most = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			changes = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			option = optarg;
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			argc = 0;
		}
	}
	if (argc - optind != 3 && (argc - optind != 4 || faulty)) {
		fprintf(stderr, "usage: workload [-s seed] [-f] [-n changes a cycle] [-c cycles] [-m most remaps] [-o table option] <main> <spare> <mark> [<next>, not with -f]\n");
		return 2;
	}
	main_path = argv[optind];
	spare_path = argv[optind + 1];
	next_path = argv[optind + 3];
	mark_fd = open_device(argv[optind + 2], O_RDWR | O_DIRECT);
	fd = open_device(main_path, O_RDONLY);
	len = device_sectors(fd);
	close(fd);
	fd = open_device(spare_path, O_RDONLY);
	spare_len = device_sectors(fd);
	close(fd);
	if (len > MAX_LEN)
		die("main is too large");
	init_listing();
	for (u32 i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i].id = i;
		threads[i].rnd.state = seed * 16 + i;
		threads[i].text = io_buffer(MARK_ROOM);
		threads[i].fill = true;
	}

	for (u32 i = 0; i < cycles; i++) {
		create(&threads[0]);
		run(1 + i % MAP_THREADS);
		/* What is lost could not be cleared. */
		if (i == cycles / 2 && !faulty)
			clear_all(&threads[0]);
		remove_device(NAME, data_fd);
	}
	create(&threads[0]);
	remove_device(NAME, data_fd);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * churn: two names, and threads that create, load, suspend, resume, clear and remove
 * devices under them, send nearly every message, kill messages half-way, ask for status, and
 * read and write, without any agreement. Whatever they get must be an errno that
 * makes sense; the kernel that finds bugs does the rest.
 *
 * With -p the remaps are kept on the spares, so whoever reads knows what must be
 * there, whatever happened to the devices meanwhile. What was written with an error
 * may be there or not. The last part of each device is nobody's: there remaps change
 * without copying.
 */
#define _GNU_SOURCE
#define DM_ROOM (64 * 1024)
#include "sectors.h"

#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define NAMES 2
#define IO_TASKS 8
#define MAX_REMAP 256

/* Sectors in a row that one task has to itself; then come those of the others. */
#define UNIT 64

/* It may hold anything of what was ever written there. */
#define ANY (~0ULL)

enum kind { CREATE, LOAD, SUSPEND, RESUME, CLEAR, REMOVE, MESSAGE, STATUS, IO, KINDS };

static const char *const kind_names[KINDS] = {
	"create", "load", "suspend", "resume", "clear", "remove", "message", "status", "io",
};

static const char *const names[NAMES] = { "churn-0", "churn-1" };
static const char *disks[4];
static u64 len[4], owned, seed;
static bool persistent;
static atomic_bool leave[NAMES];
static struct cell *expected[NAMES];
/* Most changes and most I/O are here for a while, lest they miss one another. */
static atomic_ullong hot;
#define HOT (4 * MAX_REMAP)
static atomic_bool over;
static atomic_ullong done[KINDS], went_well[KINDS], killed;

static const char *name_of(struct random *r)
{
	return names[!one_in(r, 2)];
}

/*
 * EBUSY: open, or in use by the other; ENXIO: no such device, or no table; EEXIST:
 * there already, or remapped; EINVAL: nothing to resume, or a table that does not fit
 * what is there.
 */
static void count(enum kind kind, int r, const char *what)
{
	static const int fine[] = {
		0, EBUSY, ENXIO, EEXIST, EINVAL, EINTR, ENOENT, ENOSPC, ERANGE, EROFS,
	};

	atomic_fetch_add(&done[kind], 1);
	if (!r)
		atomic_fetch_add(&went_well[kind], 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(fine); i++)
		if (-r == fine[i])
			return;
	die("%s: %s: %s", kind_names[kind], what, strerror(-r));
}

/* Of the table of a device; @other: with the other's spare. */
static void params_of(struct random *r, char params[256], bool two, bool other)
{
	static const char *const some[] = { "", "spare_low 99", "resize", "manual" };
	const char *more = some[below(r, ARRAY_SIZE(some))];
	/* The spare knows its main device by that: both have the same length. */
	const char *options = !persistent ? "volatile" :
			      two ? "main_id churn-1" : "main_id churn-0";
	unsigned int nr = 1 + persistent + !!*more + !!strchr(more, ' ');

	snprintf(params, 256, "%s %s %u %s %s", disks[2 * two],
		 disks[2 * (two != other) + 1], nr, options, more);
}

/* Whoever has it open lets go of it, for a while. */
static int remove_it(const char *name, bool two)
{
	int r;

	leave[two] = true;
	for (int i = 0; i < 20; i++) {
		r = dm_remove(name);
		if (r != -EBUSY)
			break;
		usleep(20000);
	}
	leave[two] = false;
	return r;
}

static void wake_all(void)
{
	over = true;
	for (int i = 0; i < NAMES; i++)
		dm_resume(names[i]);
}

static void *maker(void *arg)
{
	struct random r = { seed + (u64)arg };

	while (!over) {
		const char *name = name_of(&r);
		bool two = name[6] == '1';
		char params[256];
		struct dm_line line = {
			.len = len[2 * two] - (one_in(&r, 4) ? 64 : 0),
			.type = "dm-remap-v4", .params = params,
		};
		unsigned int minor;

		/* Or nothing else has its turn. */
		usleep(log_uniform(&r, 300000));
		switch (below(&r, 24)) {
		case 0 ... 3:
			count(CREATE, dm_create(name, &minor), name);
			/* fallthrough */
		case 4 ... 9:
			params_of(&r, params, two, one_in(&r, 8));
			count(LOAD, dm_load(name, &line, 1), params);
			if (one_in(&r, 4))
				break;
			/* fallthrough */
		case 10 ... 15:
			if (!one_in(&r, 4))
				count(SUSPEND, dm_suspend(name, one_in(&r, 2) ?
					DM_NOFLUSH_FLAG : 0), name);
			/* fallthrough */
		case 16 ... 20:
			count(RESUME, dm_resume(name), name);
			break;
		case 21 ... 22:
			count(CLEAR, dm_clear(name), name);
			break;
		default:
			count(REMOVE, remove_it(name, two), name);
		}
	}
	/* Whoever sleeps on what this one has suspended. */
	wake_all();
	return NULL;
}

static void message_text(struct random *r, char *text, size_t size)
{
	static const char *const asking[] = {
		"list", "query 0 100000", "stats", "health", "status", "help", "help set",
		"clear_stats", "set spare_low 17", "list 500 3", "list pending", "list aside",
		"set verify all", "set verify off", "set auto on", "set auto off",
		"scrub start", "scrub start 500 9000", "scrub stop",
	};
	u64 start = below(r, len[0] - 2 * MAX_REMAP), n = 1 + below(r, MAX_REMAP);
	bool nocopy = start >= owned && one_in(r, 2);

	if (one_in(r, 50))
		hot = below(r, owned - HOT);
	if (!one_in(r, 4) && !nocopy)
		start = hot + below(r, HOT);

	switch (below(r, 6)) {
	case 0:
	case 1:
		snprintf(text, size, "add_remap %llu auto %llu%s", (unsigned long long)start,
			 (unsigned long long)n, nocopy ? " nocopy" : "");
		break;
	case 2:
		snprintf(text, size, "add_remaps %llu auto 1 %llu auto 8",
			 (unsigned long long)start, (unsigned long long)start + n);
		break;
	case 3:
		snprintf(text, size, "remove_remap %llu %llu%s", (unsigned long long)start,
			 (unsigned long long)n * 8, nocopy ? " nocopy" : "");
		break;
	case 4:
		if (one_in(r, 8)) {
			snprintf(text, size, "clear_all");
			break;
		}
		/* fallthrough */
	default:
		snprintf(text, size, "%s", asking[below(r, ARRAY_SIZE(asking))]);
	}
}

static void *messenger(void *arg)
{
	struct random r = { seed + (u64)arg };
	const char *reply;
	char text[128];

	while (!over) {
		int error;

		message_text(&r, text, sizeof(text));
		error = dm_send(name_of(&r), 0, text, &reply);
		count(MESSAGE, error, text);
		if (error == -ENXIO)
			usleep(10000);
	}
	return NULL;
}

/* Messages whose sender is killed. */
static void *killer(void *arg)
{
	struct random r = { seed + (u64)arg };

	while (!over) {
		char name[16], text[128];
		pid_t pid;

		snprintf(name, sizeof(name), "%s", name_of(&r));
		snprintf(text, sizeof(text), "add_remap %llu auto 8192",
			 (unsigned long long)below(&r, len[0] - 8192));
		pid = fork();
		if (!pid) {
			const char *reply;

			_exit(!!dm_send(name, 0, text, &reply));
		}
		if (pid < 0)
			die("fork: %s", strerror(errno));
		usleep(log_uniform(&r, 100000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		atomic_fetch_add(&killed, 1);
	}
	return NULL;
}

static void *asker(void *arg)
{
	struct random r = { seed + (u64)arg };

	while (!over) {
		const char *name = name_of(&r);
		u32 flags = one_in(&r, 2) ? DM_NOFLUSH_FLAG : 0;

		if (one_in(&r, 2))
			flags |= DM_STATUS_TABLE_FLAG;
		if (one_in(&r, 3))
			flags |= DM_QUERY_INACTIVE_TABLE_FLAG;
		dm_prepare(name, flags);
		count(STATUS, dm_ioctl(DM_TABLE_STATUS), name);
		dm_prepare(name, 0);
		count(STATUS, dm_ioctl(DM_TABLE_DEPS), name);
		usleep(2000);
	}
	return NULL;
}

/* The device, with its file open: its minor number may have been another's before. */
static int open_name(const char *name)
{
	struct dm_ioctl *io = dm_prepare(name, 0);
	char path[32];
	u64 dev;
	int fd;

	if (dm_ioctl(DM_DEV_STATUS))
		return -1;
	dev = io->dev;
	snprintf(path, sizeof(path), "/dev/dm-%u", (unsigned int)minor(dev));
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return -1;
	io = dm_prepare(name, 0);
	if (!dm_ioctl(DM_DEV_STATUS) && io->dev == dev)
		return fd;
	close(fd);
	return -1;
}

static void wrote(struct cell *cells, const char *buf, u64 n, int error)
{
	for (u64 i = 0; i < n; i++) {
		u64 value = get_stamp(buf + i * SECTOR);
		struct cell *c = &cells[i];

		if (!error)
			c->a = value;
		else if (c->a != c->b)
			c->a = ANY;
		c->b = c->a == ANY ? ANY : value;
	}
}

static void compare(const char *name, struct cell *cells, const char *buf, u64 at, u64 n)
{
	char a[64], b[64], f[64];

	for (u64 i = 0; i < n; i++) {
		u64 found = get_stamp(buf + i * SECTOR);
		struct cell *c = &cells[i];

		if (found != c->a && found != c->b && (c->a != ANY || (u32)found != at + i))
			die("%s: sector %llu of %llu+%llu: expected %s or %s, found %s", name,
			    (unsigned long long)(at + i), (unsigned long long)at,
			    (unsigned long long)n, show(a, c->a), show(b, c->b),
			    show(f, found));
		c->a = found;
		c->b = found;
	}
}

/* One I/O in one of the task's own units. Errors are no surprise: there may be no table. */
static void one_io(struct random *r, int fd, const char *name, u64 task, char *buf)
{
	u64 all = owned / (UNIT * IO_TASKS), near = hot / (UNIT * IO_TASKS);
	u64 row = one_in(r, 8) ? below(r, all) : near + below(r, HOT / (UNIT * IO_TASKS));
	u64 n = log_uniform(r, UNIT);
	u64 at = (row * IO_TASKS + task) * UNIT + below(r, UNIT - n + 1);
	struct cell *cells = expected[name[6] == '1'] + at;
	bool write = one_in(r, 2);
	static atomic_uint version = 1;
	int error;

	if (write) {
		u32 v = ++version;

		for (u64 i = 0; i < n; i++)
			put_stamp(buf + i * SECTOR, stamp(at + i, v));
	}
	error = io_all(fd, write, buf, n * SECTOR, at, one_in(r, 4) ? RWF_NOWAIT : 0);
	if (write)
		wrote(cells, buf, n, error);
	else if (!error && persistent)
		compare(name, cells, buf, at, n);
	if (!error && one_in(r, 8))
		error = fsync(fd) ? -errno : 0;
	atomic_fetch_add(&done[IO], 1);
	if (!error)
		atomic_fetch_add(&went_well[IO], 1);
}

static void *reader_and_writer(void *arg)
{
	static atomic_uint tasks;
	struct random r = { seed + (u64)arg };
	char *buf = io_buffer(UNIT * SECTOR);
	u64 task = tasks++;

	while (!over) {
		const char *name = name_of(&r);
		bool two = name[6] == '1';
		int fd = leave[two] ? -1 : open_name(name);

		if (fd < 0) {
			usleep(10000);
			continue;
		}
		for (int i = below(&r, 32); i >= 0 && !leave[two]; i--)
			one_io(&r, fd, name, task, buf);
		close(fd);
	}
	return NULL;
}

/* A device as it is made first and last, in nobody's way. */
static int make(bool two, const char *more, unsigned int nr)
{
	const char *name = names[two];
	char params[256];
	struct dm_line line = { 0, len[2 * two], "dm-remap-v4", params };
	unsigned int minor;
	int r, fd;

	snprintf(params, sizeof(params), "%s %s %u %s %s%s", disks[2 * two],
		 disks[2 * two + 1], nr, more, persistent ? "main_id " : "",
		 persistent ? name : "");
	r = dm_create(name, &minor) ?: dm_load(name, &line, 1) ?: dm_resume(name);
	if (r)
		die("%s: %s", params, strerror(-r));
	fd = open_name(name);
	if (fd < 0)
		die("cannot open %s", name);
	return fd;
}

static void set_up(bool two)
{
	int fd = make(two, persistent ? "format" : "volatile", persistent ? 3 : 1);
	char *buf = io_buffer(MAX_IO * SECTOR);

	expected[two] = zalloc(len[2 * two], sizeof(struct cell));
	for (u64 i = 0; i < owned; i++)
		expected[two][i].a = expected[two][i].b = stamp(i, 1);
	write_raw(fd, owned, 0, buf);
	free(buf);
	close(fd);
	dm_remove(names[two]);
}

static void check_all(bool two)
{
	int fd = make(two, "resize", 3);
	char *buf = io_buffer(MAX_IO * SECTOR);

	for (u64 n, at = 0; at < owned; at += n) {
		int r;

		n = min_u64(MAX_IO, owned - at);
		r = io_all(fd, false, buf, n * SECTOR, at, 0);
		if (r)
			die("last read: %s", strerror(-r));
		compare("last read", expected[two] + at, buf, at, n);
	}
	free(buf);
	close(fd);
	dm_remove(names[two]);
}

static const char *never_went_well(void)
{
	for (int i = 0; i < KINDS; i++)
		if (!went_well[i])
			return kind_names[i];
	return NULL;
}

static void *(*const tasks[])(void *) = {
	maker, maker, messenger, messenger, messenger, killer, asker,
	reader_and_writer, reader_and_writer, reader_and_writer, reader_and_writer,
	reader_and_writer, reader_and_writer, reader_and_writer, reader_and_writer,
};

int main(int argc, char **argv)
{
	pthread_t threads[ARRAY_SIZE(tasks)];
	unsigned int seconds = 10;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = now_ms();
	while ((c = getopt(argc, argv, "ps:t:")) != -1)
		if (c == 'p')
			persistent = true;
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			seconds = c == 't' ? atoi(optarg) : 0;
	if (argc - optind != 4 || !seconds) {
		fprintf(stderr, "usage: churn [-p] [-s seed] [-t seconds] <main> <spare> <main> <spare>\n");
		return 2;
	}
	for (int i = 0; i < 4; i++) {
		int fd = open_device(argv[optind + i], O_RDONLY);

		disks[i] = argv[optind + i];
		len[i] = device_sectors(fd);
		close(fd);
	}
	printf("# SEED=%llu\n", (unsigned long long)seed);
	wake = wake_all;
	owned = len[0] / 4 * 3 / (UNIT * IO_TASKS) * (UNIT * IO_TASKS);
	for (int i = 0; i < NAMES; i++)
		set_up(i);

	for (u64 i = 0; i < ARRAY_SIZE(tasks); i++)
		pthread_create(&threads[i], NULL, tasks[i], (void *)(i << 32));
	/* Longer where so little is done in a second that something was not. */
	for (unsigned int i = 0; i < seconds || (i < 20 * seconds && never_went_well()); i++)
		sleep(1);
	over = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(tasks); i++)
		pthread_join(threads[i], NULL);
	/* Both, before one is made anew: one may have the other's spare. */
	for (int i = 0; i < NAMES; i++)
		dm_remove(names[i]);

	printf("#");
	for (int i = 0; i < KINDS; i++)
		printf(" %s %llu/%llu", kind_names[i], went_well[i], done[i]);
	printf(" killed %llu\n", killed);
	if (never_went_well())
		die("not one %s went well", never_went_well());
	for (int i = 0; i < NAMES && persistent; i++)
		check_all(i);
	return 0;
}

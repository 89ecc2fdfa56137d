// SPDX-License-Identifier: GPL-2.0-only
/*
 * churn: two names, and threads that create, load, suspend, resume, clear and remove
 * devices under them, send every message, kill messages half-way, ask for status, and
 * read and write, without any agreement. Whatever they get must be an errno that
 * makes sense; the kernel that finds bugs does the rest.
 */
#define _GNU_SOURCE
#define DM_ROOM (64 * 1024)
#include "sectors.h"

#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define NAMES 2
#define MAX_REMAP 256

enum kind { CREATE, LOAD, SUSPEND, RESUME, CLEAR, REMOVE, MESSAGE, STATUS, IO, KINDS };

static const char *const kind_names[KINDS] = {
	"create", "load", "suspend", "resume", "clear", "remove", "message", "status", "io",
};

static const char *disks[4];
static u64 len[4], seed;
static atomic_bool over;
static atomic_ullong done[KINDS], went_well[KINDS], killed;

static const char *name_of(struct random *r)
{
	return one_in(r, 2) ? "churn-0" : "churn-1";
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

static void *maker(void *arg)
{
	struct random r = { seed + (u64)arg };

	while (!over) {
		const char *name = name_of(&r);
		u64 first = name[6] == '0' ? 0 : 2;
		char params[256];
		struct dm_line line = {
			.len = len[first] - (one_in(&r, 4) ? 64 : 0),
			.type = "dm-remap-v4", .params = params,
		};
		unsigned int minor;

		switch (below(&r, 12)) {
		case 0:
		case 1:
			count(CREATE, dm_create(name, &minor), name);
			/* fallthrough */
		case 2:
		case 3:
		case 4:
			/* Sometimes with the other's spare, sometimes with a low mark. */
			snprintf(params, sizeof(params), "%s %s %s", disks[first],
				 disks[one_in(&r, 8) ? 3 - first : first + 1],
				 one_in(&r, 2) ? "1 volatile" : "3 volatile spare_low 99");
			count(LOAD, dm_load(name, &line, 1), params);
			if (one_in(&r, 4))
				break;
			/* fallthrough */
		case 5:
		case 6:
			if (!one_in(&r, 4))
				count(SUSPEND, dm_suspend(name, one_in(&r, 2) ?
					DM_NOFLUSH_FLAG : 0), name);
			/* fallthrough */
		case 7:
		case 8:
			count(RESUME, dm_resume(name), name);
			break;
		case 9:
			count(CLEAR, dm_clear(name), name);
			break;
		default:
			count(REMOVE, dm_remove(name), name);
		}
	}
	return NULL;
}

static void message_text(struct random *r, char *text, size_t size)
{
	static const char *const asking[] = {
		"list", "query 0 100000", "stats", "health", "status", "help", "help set",
		"clear_stats", "set spare_low 17", "list 500 3",
	};
	u64 start = below(r, len[0] - 2 * MAX_REMAP), n = log_uniform(r, MAX_REMAP);

	switch (below(r, 6)) {
	case 0:
	case 1:
		snprintf(text, size, "add_remap %llu auto %llu%s", (unsigned long long)start,
			 (unsigned long long)n, one_in(r, 4) ? " nocopy" : "");
		break;
	case 2:
		snprintf(text, size, "add_remaps %llu auto 1 %llu auto 8",
			 (unsigned long long)start, (unsigned long long)start + n);
		break;
	case 3:
		snprintf(text, size, "remove_remap %llu %llu%s", (unsigned long long)start,
			 (unsigned long long)n * 64, one_in(r, 4) ? " nocopy" : "");
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
		message_text(&r, text, sizeof(text));
		count(MESSAGE, dm_send(name_of(&r), 0, text, &reply), text);
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
	}
	return NULL;
}

/* Errors are no surprise here: there may be no table below. */
static void *reader_and_writer(void *arg)
{
	struct random r = { seed + (u64)arg };
	char *buf = io_buffer(1 << 20);

	while (!over) {
		struct dm_ioctl *io = dm_prepare(name_of(&r), 0);
		char path[32];
		int fd;

		if (dm_ioctl(DM_DEV_STATUS))
			continue;
		snprintf(path, sizeof(path), "/dev/dm-%u", (unsigned int)minor(io->dev));
		fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			continue;
		for (int i = below(&r, 32); i >= 0; i--) {
			u64 n = log_uniform(&r, 2048), at = below(&r, len[0] - n);
			int error = io_all(fd, one_in(&r, 2), buf, n * SECTOR, at,
					   one_in(&r, 4) ? RWF_NOWAIT : 0);

			if (!error && one_in(&r, 8))
				error = fsync(fd) ? -errno : 0;
			atomic_fetch_add(&done[IO], 1);
			if (!error)
				atomic_fetch_add(&went_well[IO], 1);
		}
		close(fd);
	}
	return NULL;
}

static void *(*const tasks[])(void *) = {
	maker, maker, messenger, messenger, messenger, killer, asker, reader_and_writer,
	reader_and_writer,
};

int main(int argc, char **argv)
{
	pthread_t threads[ARRAY_SIZE(tasks)];
	unsigned int seconds = 10;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = now_ms();
	while ((c = getopt(argc, argv, "s:t:")) != -1)
		if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			seconds = c == 't' ? atoi(optarg) : 0;
	if (argc - optind != 4 || !seconds) {
		fprintf(stderr, "usage: churn [-s seed] [-t seconds] <main> <spare> <main> <spare>\n");
		return 2;
	}
	for (int i = 0; i < 4; i++) {
		int fd = open_device(argv[optind + i], O_RDONLY);

		disks[i] = argv[optind + i];
		len[i] = device_sectors(fd);
		close(fd);
	}
	printf("# SEED=%llu\n", (unsigned long long)seed);

	for (u64 i = 0; i < ARRAY_SIZE(tasks); i++)
		pthread_create(&threads[i], NULL, tasks[i], (void *)(i << 32));
	sleep(seconds);
	over = true;
	/* Whoever sleeps on a suspended device is woken. */
	for (int i = 0; i < NAMES; i++)
		dm_resume(i ? "churn-1" : "churn-0");
	for (unsigned int i = 0; i < ARRAY_SIZE(tasks); i++)
		pthread_join(threads[i], NULL);

	printf("#");
	for (int i = 0; i < KINDS; i++)
		printf(" %s %llu/%llu", kind_names[i], went_well[i], done[i]);
	printf(" killed %llu\n", killed);
	for (int i = 0; i < KINDS; i++)
		if (!went_well[i])
			die("not one %s went well", kind_names[i]);
	return 0;
}

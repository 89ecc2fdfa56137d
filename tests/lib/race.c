// SPDX-License-Identifier: GPL-2.0-only
/*
 * race: I/O, changes of remaps, suspends, reloads and questions, all at once.
 *
 * Each worker has a part of the device to itself, and reads back what it was told
 * is written: one by way of the page cache, the others directly and at depth. Over
 * all of it remaps come and go. A part belongs to nobody: there remaps change
 * without copying, and one of them stays, whose spare sectors nobody may write.
 * With a second spare all remaps migrate from one to the other, too, and back. With -b
 * sectors of main may not take writes: what is moved there may fail, what the workers
 * write may not.
 */
#include "sectors.h"

#include <getopt.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#define NAME		"race"
#define WORKERS		4
#define DEPTH		8
/* All that the workers have: small, so that they meet the moves. */
#define HOT		(WORKERS * (u64)MAX_IO)
#define LONGEST_MS	60000

static const char *main_path, *spare_path, *other_path;
static bool persistent, formatted, bad;
static int main_fd, spare_fd, direct_fd, cached_fd;
static u64 len, spare_size, owned;	/* sectors; those of the workers come first */
static u64 guard, guard_spare, guard_len;
static u32 block;
static atomic_bool stop;
static pthread_barrier_t ready;
static struct cell *expected;
static pthread_mutex_t which_spare = PTHREAD_MUTEX_INITIALIZER;
static atomic_ullong migrations;
static atomic_ullong adds, removes, reloads, suspends, interrupted, questions;

/* An I/O of a worker. */
struct slot {
	struct iocb	iocb;
	bool		busy;
	bool		write;
	u64		start, n;
	u32		version;
	u64		since;
	char		*buf;
};

struct worker {
	pthread_t	thread;
	struct random	rnd;
	bool		cached;
	u64		first, len;
	u32		version;
	aio_context_t	aio;
	struct slot	slots[DEPTH];
	u64		done, sectors, longest, shorts;
};

static void must(const char *what, int r)
{
	if (r < 0)
		die("%s: %s", what, strerror(-r));
}

/*
 * Workers
 */

static void compare(const char *what, u64 first, u64 n, const char *buf)
{
	char a[64], b[64], f[64];

	for (u64 i = 0; i < n; i++) {
		struct cell *c = &expected[first + i];
		u64 found = get_stamp(buf + i * SECTOR);

		if (found != c->a && found != c->b)
			die("%s of %llu sectors at %llu: sector %llu: expected %s%s%s, found %s",
			    what, (unsigned long long)n, (unsigned long long)first,
			    (unsigned long long)(first + i), show(a, c->a),
			    c->a != c->b ? " or " : "", c->a != c->b ? show(b, c->b) : "",
			    show(f, found));
	}
}

static void expect(u64 first, u64 n, u32 version)
{
	for (u64 s = first; s < first + n; s++)
		expected[s].a = expected[s].b = version ? stamp(s, version) : 0;
}

static void stamp_all(char *buf, u64 first, u64 n, u32 version)
{
	for (u64 i = 0; i < n; i++)
		put_stamp(buf + i * SECTOR, stamp(first + i, version));
}

/* One slot has the long ones. */
static u64 slot_sectors(int i)
{
	return i ? 512 : MAX_IO;
}

static void pick(struct worker *w, int slot, u64 *start, u64 *n)
{
	*n = log_uniform(&w->rnd, slot_sectors(slot) / block) * block;
	*start = w->first + below(&w->rnd, (w->len - *n) / block + 1) * block;
}

static void took(struct worker *w, u64 since, u64 n)
{
	w->done++;
	w->sectors += n;
	w->longest = max_u64(w->longest, now_ms() - since);
	if (w->longest > LONGEST_MS)
		die("an I/O took %llu ms", (unsigned long long)w->longest);
}

/* What cannot go by aio: discard, write-zeroes, flush, read without waiting. */
static void special(struct worker *w, u64 start, u64 n, char *buf)
{
	u64 bytes[2] = { start * SECTOR, n * SECTOR }, since = now_ms();
	struct iovec v = { buf, n * SECTOR };
	ssize_t got;

	switch (below(&w->rnd, 4)) {
	case 0:
		if (ioctl(direct_fd, BLKDISCARD, bytes) && !(bad && errno == EIO))
			must("discard", errno == EOPNOTSUPP ? 0 : -errno);
		/* It may be read as zeros or as before; which, shows at once. */
		must("read", io_all(direct_fd, false, buf, n * SECTOR, start, 0));
		for (u64 s = start; s < start + n; s++)
			expected[s].b = 0;
		compare("read after discard", start, n, buf);
		break;
	case 1:
		must("write-zeroes", ioctl(direct_fd, BLKZEROOUT, bytes) ? -errno : 0);
		expect(start, n, 0);
		break;
	case 2:
		must("flush", fsync(direct_fd) ? -errno : 0);
		break;
	default:
		got = preadv2(direct_fd, &v, 1, start * SECTOR, RWF_NOWAIT);
		if (got > 0)
			compare("NOWAIT read", start, got / SECTOR, buf);
		else
			must("NOWAIT read", errno == EAGAIN || errno == EOPNOTSUPP ?
			     0 : -errno);
	}
	took(w, since, n);
}

static bool overlaps(const struct worker *w, u64 start, u64 n)
{
	for (int i = 0; i < DEPTH; i++) {
		const struct slot *s = &w->slots[i];

		if (s->busy && start < s->start + s->n && s->start < start + n)
			return true;
	}
	return false;
}

static void submit(struct worker *w, struct slot *s)
{
	struct iocb *iocb = &s->iocb;

	pick(w, s - w->slots, &s->start, &s->n);
	if (overlaps(w, s->start, s->n))
		return;
	if (one_in(&w->rnd, 8)) {
		special(w, s->start, s->n, s->buf);
		return;
	}
	s->write = one_in(&w->rnd, 2);
	s->version = ++w->version;
	s->since = now_ms();
	if (s->write)
		stamp_all(s->buf, s->start, s->n, s->version);
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = s - w->slots + 1;
	iocb->aio_fildes = direct_fd;
	iocb->aio_lio_opcode = s->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	iocb->aio_buf = (uintptr_t)s->buf;
	iocb->aio_nbytes = s->n * SECTOR;
	iocb->aio_offset = s->start * SECTOR;
	if (s->write && one_in(&w->rnd, 8))
		iocb->aio_rw_flags = RWF_DSYNC;
	s->busy = true;
	must("io_submit", syscall(SYS_io_submit, w->aio, 1, &iocb) == 1 ? 0 : -errno);
}

/* The kernel may transfer less than it was asked to; now and then, no more. */
static void again(struct worker *w, struct slot *s, long long bytes)
{
	struct iocb *iocb = &s->iocb;

	printf("# a %s of %llu sectors at %llu: %lld bytes, and again\n",
	       s->write ? "write" : "read", (unsigned long long)s->n,
	       (unsigned long long)s->start, bytes);
	if (++w->shorts > 3)
		die("%llu I/Os have come short", (unsigned long long)w->shorts);
	must("io_submit", syscall(SYS_io_submit, w->aio, 1, &iocb) == 1 ? 0 : -errno);
}

static void complete(struct worker *w, const struct io_event *event)
{
	struct slot *s = &w->slots[event->data - 1];

	/* An event of zeros would be taken for slot 0 if that were its name. */
	if (!event->data || event->obj != (uintptr_t)&s->iocb)
		die("an event of nobody: data %llx, obj %llx, res %lld, res2 %lld",
		    event->data, event->obj, event->res, event->res2);
	must(s->write ? "write" : "read", event->res);
	if ((u64)event->res != s->n * SECTOR) {
		again(w, s, event->res);
		return;
	}
	if (s->write)
		expect(s->start, s->n, s->version);
	else
		compare("read", s->start, s->n, s->buf);
	s->busy = false;
	took(w, s->since, s->n);
}

static void work_at_depth(struct worker *w)
{
	struct io_event events[DEPTH];
	bool any = false;
	int nr;

	do {
		any = false;
		for (int i = 0; i < DEPTH; i++) {
			if (!w->slots[i].busy && !stop)
				submit(w, &w->slots[i]);
			any |= w->slots[i].busy;
		}
		if (!any)
			continue;
		nr = syscall(SYS_io_getevents, w->aio, 1, DEPTH, events, NULL);
		must("io_getevents", nr < 0 ? -errno : 0);
		for (int i = 0; i < nr; i++)
			complete(w, &events[i]);
	} while (any || !stop);
}

static void work_cached(struct worker *w)
{
	char *buf = w->slots[0].buf;

	while (!stop) {
		u64 start, n, since = now_ms();

		pick(w, 0, &start, &n);
		switch (below(&w->rnd, 8)) {
		case 0:
			must("fsync", fsync(cached_fd) ? -errno : 0);
			break;
		case 1:
			must("flush", ioctl(cached_fd, BLKFLSBUF) ? -errno : 0);
			break;
		case 2:
			must("read", io_all(direct_fd, false, buf, n * SECTOR, start, 0));
			compare("direct read", start, n, buf);
			break;
		case 3 ... 4:
			must("read", io_all(cached_fd, false, buf, n * SECTOR, start, 0));
			compare("cached read", start, n, buf);
			break;
		default:
			stamp_all(buf, start, n, ++w->version);
			must("write", io_all(cached_fd, true, buf, n * SECTOR, start, 0));
			expect(start, n, w->version);
		}
		took(w, since, n);
	}
	must("fsync", fsync(cached_fd) ? -errno : 0);
}

static void *work(void *context)
{
	struct worker *w = context;

	for (int i = 0; i < DEPTH; i++)
		w->slots[i].buf = io_buffer(slot_sectors(i) * SECTOR);
	pthread_barrier_wait(&ready);
	if (w->cached) {
		work_cached(w);
		return NULL;
	}
	must("io_setup", syscall(SYS_io_setup, DEPTH, &w->aio) ? -errno : 0);
	work_at_depth(w);
	return NULL;
}

/*
 * Changing and asking
 */

/* A message; errnos that may come are listed, up to 0. */
static int tell(const char *message, const int *may)
{
	const char *reply;
	int r = dm_send(NAME, 0, message, &reply);

	for (; r && *may; may++)
		if (r == -*may) {
			interrupted += r == -EINTR;
			return r;
		}
	if (r == -EIO && bad)
		return r;
	if (r)
		die("%s: %s", message, strerror(-r));
	return 0;
}

static u64 pick_len(struct random *rnd)
{
	u64 max = one_in(rnd, 4) ? owned : one_in(rnd, 3) ? 4096 : 128;

	return log_uniform(rnd, max / block) * block;
}

/* Nobody's part has its changes without copies. */
static u64 pick_start(struct random *rnd, u64 n, bool nocopy)
{
	if (nocopy)
		return owned + below(rnd, (guard - owned - n) / block + 1) * block;
	return below(rnd, (owned - n) / block + 1) * block;
}

static void add(struct random *rnd)
{
	static const int may[] = { EEXIST, EBUSY, ENOSPC, EINTR, 0 };
	static char message[64 * 64];
	unsigned int nr = one_in(rnd, 3) ? log_uniform(rnd, 48) : 1;
	bool nocopy = one_in(rnd, 6);
	int size;

	size = sprintf(message, "add_remaps%s", nocopy ? " nocopy" : "");
	for (unsigned int i = 0; i < nr; i++) {
		u64 n = nr > 1 ? log_uniform(rnd, 64 / block) * block : pick_len(rnd);
		u64 start;

		if (nocopy)
			n = min_u64(n, guard - owned);
		start = pick_start(rnd, n, nocopy);
		if (one_in(rnd, 2))
			size += sprintf(message + size, " %llu auto %llu",
					(unsigned long long)start, (unsigned long long)n);
		else
			size += sprintf(message + size, " %llu %llu %llu",
					(unsigned long long)start,
					(unsigned long long)below(rnd, (spare_size - n) / block) *
					block, (unsigned long long)n);
	}
	adds += !tell(message, may);
}

/* All of a remap, or from its middle on, or up to there. */
static void near_remap(struct random *rnd, u64 *start, u64 *n)
{
	unsigned long long first, spare, length;
	char message[64];
	const char *reply;

	snprintf(message, sizeof(message), "list %llu 1", (unsigned long long)*start);
	must(message, dm_send(NAME, 0, message, &reply));
	if (sscanf(reply, "%llu %llu %llu", &first, &spare, &length) != 3 ||
	    first + length > owned)
		return;
	*start = first;
	*n = length;
	if (length > block && one_in(rnd, 2)) {
		*n = (1 + below(rnd, length / block - 1)) * block;
		if (one_in(rnd, 2))
			*start += length - *n;
	}
}

static void remove_some(struct random *rnd)
{
	static const int may[] = { ENOENT, EBUSY, EINTR, 0 };
	bool nocopy = one_in(rnd, 6);
	char message[128];
	u64 n = pick_len(rnd), start;

	if (nocopy)
		n = min_u64(n, guard - owned);
	start = pick_start(rnd, n, nocopy);
	if (!nocopy && one_in(rnd, 2))
		near_remap(rnd, &start, &n);
	/* clear_all would take the guard along. */
	if (!nocopy && one_in(rnd, 60)) {
		start = 0;
		n = owned;
	}
	snprintf(message, sizeof(message), "remove_remap %llu %llu%s",
		 (unsigned long long)start, (unsigned long long)n, nocopy ? " nocopy" : "");
	removes += !tell(message, may);
}

static void *change(void *context)
{
	struct random rnd = { *(u64 *)context + 100 };

	while (!stop) {
		if (one_in(&rnd, 2))
			add(&rnd);
		else
			remove_some(&rnd);
	}
	return NULL;
}

static int load(void)
{
	char params[256];
	struct dm_line line = { 0, len, "dm-remap-v4", params };

	snprintf(params, sizeof(params), "%s %s%s", main_path, spare_path,
		 !persistent ? " 1 volatile" : !formatted ? " 1 format" : "");
	formatted = true;
	return dm_load(NAME, &line, 1);
}

/* Whoever loads a table must know which spare it is. */
static bool reload(struct random *rnd)
{
	bool clear = one_in(rnd, 4);

	if (pthread_mutex_trylock(&which_spare))
		return true;
	must("reload", load());
	reloads++;
	if (clear)
		must("clear", dm_clear(NAME));
	pthread_mutex_unlock(&which_spare);
	return !clear;
}

static void migrate(void)
{
	static const int may[] = { EINTR, EBUSY, ENOSPC, 0 };
	const char *was = spare_path;
	char message[128];

	snprintf(message, sizeof(message), "migrate %s", other_path);
	pthread_mutex_lock(&which_spare);
	if (!tell(message, may)) {
		close(spare_fd);
		spare_path = other_path;
		other_path = was;
		spare_fd = open_device(spare_path, O_RDWR | O_DIRECT);
		migrations++;
	}
	pthread_mutex_unlock(&which_spare);
}

static void *wander(void *context)
{
	struct random rnd = { *(u64 *)context + 103 };

	while (!stop && other_path) {
		usleep(below(&rnd, 500000));
		migrate();
	}
	return NULL;
}

static void *interrupt(void *context)
{
	struct random rnd = { *(u64 *)context + 101 };
	const char *slow = getenv("SLOW");
	/* A migration has to end before the next suspend: the more so while none has. */
	unsigned int times = slow && other_path ? atoi(slow) : 1, longer = 0;

	while (!stop) {
		u32 flags = 0;

		if (other_path && !migrations && longer < 1500000)
			longer += 50000;
		usleep((below(&rnd, 1500000) + longer) * times);
		if (one_in(&rnd, 2))
			flags |= DM_NOFLUSH_FLAG;
		if (one_in(&rnd, 2))
			flags |= DM_SKIP_LOCKFS_FLAG;
		if (one_in(&rnd, 2) && !reload(&rnd))
			continue;
		must("suspend", dm_suspend(NAME, flags));
		usleep(below(&rnd, 20000));
		must("resume", dm_resume(NAME));
		suspends++;
	}
	return NULL;
}

/* Rows of @what from @start: first sector and length must follow each other. */
static void check_rows(const char *rows, bool gaps, u64 start)
{
	while (*rows) {
		unsigned long long first, second, third = 0;
		int used = 0;

		if (gaps)
			sscanf(rows, "%llu %llu %llu%n", &first, &second, &third, &used);
		else if (sscanf(rows, "%llu %llu main%n", &first, &third, &used) != 2 || !used)
			sscanf(rows, "%llu %llu spare %llu%n", &first, &third, &second, &used);
		if (!used || (gaps ? first < start : first != start) || !third)
			die("a row out of order: %.60s", rows);
		start = first + third;
		rows += used;
		rows += *rows == '\n';
	}
}

static void *ask(void *context)
{
	static const char *const others[] = { "status", "stats", "health", "help", "help set" };
	struct random rnd = { *(u64 *)context + 102 };

	while (!stop) {
		char message[64];
		const char *reply;
		u64 start = below(&rnd, len);
		u64 n = log_uniform(&rnd, len - start);
		int kind = below(&rnd, 3);

		if (kind == 0)
			snprintf(message, sizeof(message), "query %llu %llu",
				 (unsigned long long)start, (unsigned long long)n);
		else if (kind == 1)
			snprintf(message, sizeof(message), "list %llu",
				 (unsigned long long)start);
		else
			snprintf(message, sizeof(message), "%s",
				 others[below(&rnd, ARRAY_SIZE(others))]);
		must(message, dm_send(NAME, 0, message, &reply));
		if (kind < 2)
			check_rows(reply, kind == 1, kind == 1 ? 0 : start);
		questions++;
		usleep(2000);
	}
	return NULL;
}

/*
 * All together
 */

static void make_device(void)
{
	unsigned int minor;
	char path[64];

	must("create", dm_create(NAME, &minor));
	must("load", load());
	must("resume", dm_resume(NAME));
	snprintf(path, sizeof(path), "/dev/dm-%u", minor);
	direct_fd = open_device(path, O_RDWR | O_DIRECT);
	cached_fd = open_device(path, O_RDWR);
	posix_fadvise(cached_fd, 0, 0, POSIX_FADV_RANDOM);
}

static void remove_device(void)
{
	close(direct_fd);
	close(cached_fd);
	must("remove", dm_remove(NAME));
}

static void set_up(void)
{
	char *buf = io_buffer(MAX_IO * SECTOR), message[128];
	const char *reply;

	main_fd = open_device(main_path, O_RDWR | O_DIRECT);
	spare_fd = open_device(spare_path, O_RDWR | O_DIRECT);
	block = device_block(main_fd);
	len = device_sectors(main_fd);
	spare_size = device_sectors(spare_fd) / block * block;
	owned = HOT;
	if (len < 2 * owned || spare_size < 2 * owned)
		die("larger devices are wanted");
	guard = (owned + len) / 2 / block * block;
	guard_len = len - guard;
	guard_spare = spare_size / 2 / block * block;
	expected = zalloc(len, sizeof(*expected));
	expect(0, len, 1);
	write_raw(main_fd, len, 0, buf);
	write_raw(spare_fd, spare_size, ON_SPARE, buf);
	free(buf);

	make_device();
	snprintf(message, sizeof(message), "add_remap %llu %llu %llu nocopy",
		 (unsigned long long)guard, (unsigned long long)guard_spare,
		 (unsigned long long)guard_len);
	must(message, dm_send(NAME, 0, message, &reply));
}

/* Spare sectors that nobody may have written. */
static void check_unwritten(u64 first, u64 n, char *buf)
{
	char f[64];

	for (u64 at = first; at < first + n; at++) {
		u64 i = (at - first) % MAX_IO;

		if (!i)
			must("read", io_all(spare_fd, false, buf,
					    min_u64(MAX_IO, first + n - at) * SECTOR, at, 0));
		if (get_stamp(buf + i * SECTOR) != stamp(at | ON_SPARE, 1))
			die("spare sector %llu, which nobody uses, was written: %s",
			    (unsigned long long)at, show(f, get_stamp(buf + i * SECTOR)));
	}
}

/* Where each sector is now, and there by itself. */
static void check_below(char *buf)
{
	u64 at = 0;

	while (at < owned) {
		unsigned long long first, n, spare;
		char message[64];
		const char *rows;

		snprintf(message, sizeof(message), "query %llu %llu",
			 (unsigned long long)at, (unsigned long long)(owned - at));
		must(message, dm_send(NAME, 0, message, &rows));
		while (*rows) {
			bool remapped = sscanf(rows, "%llu %llu spare %llu", &first, &n,
					       &spare) == 3;

			for (u64 i = 0; i < n; i += MAX_IO) {
				u64 piece = min_u64(MAX_IO, n - i);

				must("read", io_all(remapped ? spare_fd : main_fd, false, buf,
						    piece * SECTOR,
						    (remapped ? spare : first) + i, 0));
				compare(remapped ? "raw spare" : "raw main", first + i,
					piece, buf);
			}
			at = first + n;
			rows = strchr(rows, '\n') ? strchr(rows, '\n') + 1 : "";
		}
	}
}

/* What the remap that stays serves has come along. */
static void check_guard(char *buf)
{
	char f[64];

	for (u64 at = 0; at < guard_len; at++) {
		u64 i = at % MAX_IO;

		if (!i)
			must("read", io_all(direct_fd, false, buf,
					    min_u64(MAX_IO, guard_len - at) * SECTOR, guard + at, 0));
		if (get_stamp(buf + i * SECTOR) != stamp((guard_spare + at) | ON_SPARE, 1))
			die("main sector %llu, which nobody writes, has changed: %s",
			    (unsigned long long)(guard + at), show(f, get_stamp(buf + i * SECTOR)));
	}
}

static void check_all(void)
{
	char *buf = io_buffer(MAX_IO * SECTOR);
	u64 n;

	for (u64 at = 0; at < owned; at += n) {
		n = min_u64(MAX_IO, owned - at);
		must("read", io_all(direct_fd, false, buf, n * SECTOR, at, 0));
		compare("last read", at, n, buf);
	}
	check_below(buf);
	/* Nothing was ever copied to it. */
	for (u64 at = owned; at < len; at += n) {
		n = min_u64(MAX_IO, len - at);
		must("read", io_all(main_fd, false, buf, n * SECTOR, at, 0));
		compare("raw main", at, n, buf);
	}
	check_guard(buf);
	if (!migrations)
		check_unwritten(guard_spare, guard_len, buf);
	if (!persistent && !migrations)
		check_unwritten(0, 8, buf);
	free(buf);
}

static void wake_all(void)
{
	stop = true;
	dm_resume(NAME);
}

int main(int argc, char **argv)
{
	static struct worker workers[WORKERS];
	static void *(*const others[])(void *) = { change, interrupt, ask, wander };
	pthread_t threads[ARRAY_SIZE(others)];
	u64 seed = (u64)time(NULL) << 20 ^ getpid();
	u64 done = 0, sectors = 0, longest = 0, seconds = 20;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "bs:t:p")) != -1) {
		switch (c) {
		case 'b':
			bad = true;
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			persistent = true;
			break;
		default:
			argc = 0;
		}
	}
	if (argc - optind != 2 && argc - optind != 3) {
		fprintf(stderr, "usage: race [-s seed] [-t seconds] [-b] [-p] <main> <spare> [<other spare>]\n");
		return 2;
	}
	main_path = argv[optind];
	spare_path = argv[optind + 1];
	other_path = argv[optind + 2];
	printf("# SEED=%llu\n", (unsigned long long)seed);

	wake = wake_all;
	set_up();
	pthread_barrier_init(&ready, NULL, WORKERS + 1);
	for (int i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		w->rnd.state = seed + i;
		w->cached = i == 0;
		w->len = owned / WORKERS;
		w->first = i * w->len;
		w->version = 1;
		pthread_create(&w->thread, NULL, work, w);
	}
	pthread_barrier_wait(&ready);
	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++)
		pthread_create(&threads[i], NULL, others[i], &seed);

	sleep(seconds);
	for (u64 i = 0; i < min_u64(20 * seconds, 600) && other_path && !migrations; i++)
		sleep(1);
	stop = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(others); i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		done += workers[i].done;
		sectors += workers[i].sectors;
		longest = max_u64(longest, workers[i].longest);
	}
	check_all();
	printf("# %llu I/Os, %llu MiB, the longest took %llu ms; %llu adds, %llu removes, %llu suspends, %llu reloads, %llu verbs interrupted, %llu questions, %llu migrations\n",
	       (unsigned long long)done, (unsigned long long)sectors >> 11,
	       (unsigned long long)longest, adds, removes, suspends, reloads, interrupted,
	       questions, migrations);
	remove_device();
	if (!persistent)
		return 0;
	/* All of it again, as another life finds it. */
	make_device();
	check_all();
	remove_device();
	return 0;
}

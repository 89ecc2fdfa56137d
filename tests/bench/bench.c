// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench: the measuring hand of tests/bench.
 *
 *   io <kind> <device> <bytes> <first> <stride> <count> <n>
 *	n direct reads, writes, or reads that must not wait (kind: read, write,
 *	nowait), at byte first + (i % count) * stride, after a pass of writes
 *	that fills what will be read; prints ns for each. Kind first: writes,
 *	without that pass
 *   uring read|write <device> <bytes> <first> <stride> <count> <n>
 *	likewise through io_uring, 16 at a time
 *   add <dm> <spare> <first> <stride> <len> <from> <to> <step>
 *	remaps from..to-1, number i at main sector first + i * stride, of len
 *	sectors, nocopy, step a message; spare is where number 0 goes, or
 *	"refused": the same words behind a verb that there is not;
 *	prints ns of this task's own work in the kernel, and with what it waited for
 *   watch <us> <command>...
 *	runs it, and meanwhile wakes every so many microseconds, before any other
 *	task; prints the wakes and the ns that the latest was late
 *   reads <us> <device> <bytes> <first> <stride> <count> <command>...
 *	runs it, and meanwhile reads; prints the reads, the ns of the longest, and
 *	those that all but one in a thousand stay below. If <us> is not 0, before
 *	any other task, so many microseconds after each other; then being late
 *	counts too
 *
 * Under -icount a nanosecond is an instruction.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 16
#define HUGE (2UL << 20)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t number(const char *word)
{
	char *end;
	uint64_t n = strtoull(word, &end, 10);

	if (end == word || *end)
		errx(2, "not a number: %s", word);
	return n;
}

/* What is read and written, and where. */
struct load {
	int fd;
	size_t bytes;
	uint64_t first;
	uint64_t stride;
	uint64_t count;
	char *buffer;
};

static off_t load_at(const struct load *l, uint64_t i)
{
	return l->first + i % l->count * l->stride;
}

static void load_open(struct load *l, char **argv, bool touch)
{
	size_t room;

	l->fd = open(argv[0], O_RDWR | O_DIRECT);
	if (l->fd < 0)
		err(1, "%s", argv[0]);
	l->bytes = number(argv[1]);
	l->first = number(argv[2]);
	l->stride = number(argv[3]);
	l->count = number(argv[4]);
	/* Direct I/O costs less in a huge page: always there, not by chance. */
	room = (DEPTH * l->bytes + HUGE - 1) / HUGE * HUGE;
	if (posix_memalign((void **)&l->buffer, HUGE, room) ||
	    madvise(l->buffer, room, MADV_HUGEPAGE))
		err(1, "memory");
	memset(l->buffer, 0x5a, room);

	/* A RAM disk allocates with the first write. */
	for (uint64_t i = 0; i < l->count && touch; i++)
		if (pwrite(l->fd, l->buffer, l->bytes, load_at(l, i)) !=
		    (ssize_t)l->bytes)
			err(1, "%s: write", argv[0]);
}

static void io(const char *kind, char **argv)
{
	struct load l;
	struct iovec iov;
	uint64_t n, start = 0;
	ssize_t r;

	load_open(&l, argv, *kind != 'f');
	n = number(argv[5]);
	iov = (struct iovec){ l.buffer, l.bytes };

	/* A tenth first, to warm up. */
	for (uint64_t i = 0; i < n + n / 10; i++) {
		if (i == n / 10)
			start = now();
		if (*kind == 'r')
			r = pread(l.fd, l.buffer, l.bytes, load_at(&l, i));
		else if (*kind == 'w' || *kind == 'f')
			r = pwrite(l.fd, l.buffer, l.bytes, load_at(&l, i));
		else
			r = preadv2(l.fd, &iov, 1, load_at(&l, i), RWF_NOWAIT);
		if (r != (ssize_t)l.bytes)
			err(1, "%s: %s", argv[0], kind);
	}
	printf("%.1f\n", (double)(now() - start) / n);
}

static void *ring_map(int fd, size_t size, off_t what)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, fd, what);

	if (at == MAP_FAILED)
		err(1, "mmap of a ring");
	return at;
}

static void uring(const char *kind, char **argv)
{
	struct io_uring_params p = {};
	uint32_t *sq_tail, *sq_array, *cq_head, *cq_tail;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	uint64_t n, i, start = 0;
	struct load l;
	char *sq, *cq;
	int fd;

	load_open(&l, argv, true);
	n = number(argv[5]) / DEPTH * DEPTH;
	fd = syscall(SYS_io_uring_setup, DEPTH, &p);
	if (fd < 0)
		err(1, "io_uring_setup");
	sq = ring_map(fd, p.sq_off.array + p.sq_entries * sizeof(*sq_array),
		      IORING_OFF_SQ_RING);
	cq = ring_map(fd, p.cq_off.cqes + p.cq_entries * sizeof(*cqes),
		      IORING_OFF_CQ_RING);
	sqes = ring_map(fd, p.sq_entries * sizeof(*sqes), IORING_OFF_SQES);
	sq_tail = (uint32_t *)(sq + p.sq_off.tail);
	sq_array = (uint32_t *)(sq + p.sq_off.array);
	cq_head = (uint32_t *)(cq + p.cq_off.head);
	cq_tail = (uint32_t *)(cq + p.cq_off.tail);
	cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);

	for (i = 0; i < n + DEPTH * 64; i += DEPTH) {
		if (i == DEPTH * 64)
			start = now();
		for (unsigned int j = 0; j < DEPTH; j++) {
			unsigned int slot = (*sq_tail + j) & (p.sq_entries - 1);

			sqes[slot] = (struct io_uring_sqe) {
				.opcode = *kind == 'r' ? IORING_OP_READ : IORING_OP_WRITE,
				.fd = l.fd,
				.off = load_at(&l, i + j),
				.addr = (uintptr_t)(l.buffer + j * l.bytes),
				.len = l.bytes,
			};
			sq_array[slot] = slot;
		}
		__atomic_store_n(sq_tail, *sq_tail + DEPTH, __ATOMIC_RELEASE);
		if (syscall(SYS_io_uring_enter, fd, DEPTH, DEPTH,
			    IORING_ENTER_GETEVENTS, NULL, 0) != DEPTH)
			err(1, "io_uring_enter");
		while (*cq_head != __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE)) {
			int r = cqes[*cq_head & (p.cq_entries - 1)].res;

			if (r != (int)l.bytes)
				errx(1, "%s: %s", argv[0], strerror(-r));
			__atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
		}
	}
	printf("%.1f\n", (double)(now() - start) / n);
}

static void add(char **argv)
{
	const char *dm = argv[0];
	int refused = !strcmp(argv[1], "refused");
	uint64_t spare = refused ? 0 : number(argv[1]);
	uint64_t first = number(argv[2]), stride = number(argv[3]);
	uint64_t len = number(argv[4]), to = number(argv[6]);
	uint64_t step = number(argv[7]), worked = 0, passed = 0;
	size_t size = sizeof(struct dm_ioctl) + sizeof(struct dm_target_msg) +
		      64 + step * 64;
	struct dm_ioctl *ctl = malloc(size);
	struct dm_target_msg *msg = (void *)(ctl + 1);
	int fd = open("/dev/mapper/control", O_RDWR);

	if (!ctl || fd < 0)
		err(1, "/dev/mapper/control");
	for (uint64_t i = number(argv[5]); i < to;) {
		uint64_t end = i + step < to ? i + step : to;
		uint64_t start, began;
		char *c = msg->message;

		c += sprintf(c, refused ? "no_such_verb nocopy" : "add_remaps nocopy");
		for (; i < end; i++)
			c += sprintf(c, " %lu %lu %lu", first + i * stride,
				     spare + i * len, len);
		*ctl = (struct dm_ioctl) {
			.version = { 4, 0, 0 },
			/* And room for the reply. */
			.data_size = c + 1 + 256 - (char *)ctl,
			.data_start = sizeof(*ctl),
		};
		snprintf(ctl->name, sizeof(ctl->name), "%s", dm);
		msg->sector = 0;
		start = now();
		began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		if (ioctl(fd, DM_TARGET_MSG, ctl) && !(refused && errno == EINVAL))
			err(1, "%s: add_remaps", dm);
		worked += clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
		passed += now() - start;
	}
	printf("%lu %lu\n", worked, passed);
}

static pid_t spawn(char **argv)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		execvp(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	return pid;
}

static int ended(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return 0;
	if (status)
		errx(1, "the command failed: %d", status);
	return 1;
}

/* From now on this task goes before all others. */
static void go_first(void)
{
	struct sched_param first = { .sched_priority = 99 };

	mlockall(MCL_CURRENT | MCL_FUTURE);
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		err(1, "sched_setscheduler");
}

/* Sleep; returns when it should have ended. What was missed before is missed. */
static uint64_t sleep_us(uint64_t us)
{
	uint64_t at = now() + us * 1000;
	struct timespec t = { at / 1000000000, at % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	return at;
}

static void watch(uint64_t us, char **argv)
{
	pid_t pid = spawn(argv);
	uint64_t wakes = 0, late = 0;

	go_first();
	for (; !ended(pid); wakes++) {
		uint64_t at = sleep_us(us);
		uint64_t woken = now();

		if (woken > at + late)
			late = woken - at;
	}
	printf("%lu %lu\n", wakes, late);
}

static void reads(uint64_t pause, char **argv)
{
	static uint64_t took_us[1000000];
	uint64_t nr = 0, longest = 0, above = 0, us;
	struct load l;
	pid_t pid;

	load_open(&l, argv, true);
	pid = spawn(argv + 5);
	if (pause)
		go_first();
	for (; !ended(pid); nr++) {
		uint64_t start = pause ? sleep_us(pause) : now(), took;

		if (pread(l.fd, l.buffer, l.bytes, load_at(&l, nr)) !=
		    (ssize_t)l.bytes)
			err(1, "%s: read", argv[0]);
		took = now() - start;
		if (took > longest)
			longest = took;
		took_us[took / 1000 < 999999 ? took / 1000 : 999999]++;
	}
	for (us = 999999; us && above + took_us[us] <= nr / 1000; us--)
		above += took_us[us];
	printf("%lu %lu %lu\n", nr, longest, (us + 1) * 1000);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 9 && !strcmp(what, "io"))
		io(argv[2], argv + 3);
	else if (argc == 9 && !strcmp(what, "uring"))
		uring(argv[2], argv + 3);
	else if (argc == 10 && !strcmp(what, "add"))
		add(argv + 2);
	else if (argc > 3 && !strcmp(what, "watch"))
		watch(number(argv[2]), argv + 3);
	else if (argc > 8 && !strcmp(what, "reads"))
		reads(number(argv[2]), argv + 3);
	else
		errx(2, "see the head of bench.c");
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sectors that say what they are, and the devices that hold them: shared by the
 * tests that know what every sector should hold.
 *
 * The content of a sector is one number, its stamp: where it was written to in the
 * low half, which write it was in the high half. 0 is a sector of zeros. The stamp
 * is at the first and the last word of the sector and at one between them.
 */
#ifndef TEST_SECTORS_H
#define TEST_SECTORS_H

#include "dm.h"

#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <time.h>

#define SECTOR		512U
#define WORDS		(SECTOR / 8)
#define MIDDLE		37
#define MAX_IO		8192U	/* sectors: 4 MiB */

/* Written to a raw spare sector before the test. */
#define ON_SPARE	0x80000000U

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/*
 * Where a device is suspended under others' I/O: what wakes those, or NULL. A process does not
 * end while the I/O of one of its threads waits. Called for as long as another thread that is
 * about to suspend it should take.
 */
static void (*wake)(void);

__attribute__((noreturn, format(printf, 1, 2)))
static inline void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("# ", stdout);
	vprintf(fmt, args);
	puts("");
	va_end(args);
	fflush(stdout);
	for (int i = 0; wake && i < 500; i++) {
		wake();
		usleep(20000);
	}
	_exit(1);
}

/*
 * Random numbers
 */

struct random {
	u64 state;
};

/* splitmix64 */
static inline u64 random_u64(struct random *r)
{
	u64 z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* From 0 to @n - 1. */
static inline u64 below(struct random *r, u64 n)
{
	return random_u64(r) % n;
}

static inline bool one_in(struct random *r, u64 n)
{
	return !below(r, n);
}

/* From 1 to @max, every power of two as likely as the next. */
static inline u64 log_uniform(struct random *r, u64 max)
{
	unsigned int bits = 64 - __builtin_clzll(max);
	u64 n;

	do {
		n = 1ULL << below(r, bits);
		n += below(r, n);
	} while (n > max);
	return n;
}

static inline u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/*
 * Stamps
 */

static inline u64 stamp(u64 sector, u32 version)
{
	return (u64)version << 32 | sector;
}

static inline void put_stamp(void *sector, u64 value)
{
	u64 *w = sector;

	w[0] = value;
	w[MIDDLE] = value;
	w[WORDS - 1] = value;
}

/* What a sector holds; a sector made of several is something that nobody wrote. */
static inline u64 get_stamp(const void *sector)
{
	const u64 *w = sector;

	if (w[MIDDLE] != w[0])
		return ~w[MIDDLE];
	if (w[WORDS - 1] != w[0])
		return ~w[WORDS - 1];
	return w[0];
}

static inline const char *show(char text[64], u64 value)
{
	u32 sector = value, version = value >> 32;

	if (!value)
		return "zeros";
	if (sector & ON_SPARE)
		snprintf(text, 64, "what was on spare sector %u", sector & ~ON_SPARE);
	else
		snprintf(text, 64, "sector %u, write %u", sector, version);
	return text;
}

/* What a sector may hold; the same twice where it is known. */
struct cell {
	u64 a, b;
};

/*
 * Devices
 */

static inline int open_device(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die("cannot open %s: %s", path, strerror(errno));
	return fd;
}

static inline u64 device_sectors(int fd)
{
	u64 bytes;

	if (ioctl(fd, BLKGETSIZE64, &bytes))
		die("size of a device: %s", strerror(errno));
	return bytes / SECTOR;
}

static inline u32 device_block(int fd)
{
	int bytes;

	if (ioctl(fd, BLKSSZGET, &bytes))
		die("block size of a device: %s", strerror(errno));
	return bytes / SECTOR;
}

static inline void *io_buffer(size_t size)
{
	void *p;

	if (posix_memalign(&p, 4096, size))
		die("no memory");
	memset(p, 0x5a, size);
	return p;
}

/* All of it, as read() and write() may do less. */
static inline int io_all(int fd, bool write, char *buf, size_t bytes, u64 sector,
			 int flags)
{
	off_t at = sector * SECTOR;

	while (bytes) {
		struct iovec v = { buf, bytes };
		ssize_t n = write ? pwritev2(fd, &v, 1, at, flags)
				  : preadv2(fd, &v, 1, at, flags);
		if (n <= 0)
			return n ? -errno : -ENODATA;
		buf += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

/* Fill a device with sectors that say where they are. */
static inline void write_raw(int fd, u64 size, u32 tag, char *buf)
{
	for (u64 at = 0; at < size; at += MAX_IO) {
		u64 n = min_u64(MAX_IO, size - at);
		int r;

		for (u64 i = 0; i < n; i++)
			put_stamp(buf + i * SECTOR, stamp((at + i) | tag, 1));
		r = io_all(fd, true, buf, n * SECTOR, at, 0);
		if (r)
			die("writing to a raw device: %s", strerror(-r));
	}
}

static inline void *zalloc(u64 nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		die("no memory");
	return p;
}

#endif /* TEST_SECTORS_H */

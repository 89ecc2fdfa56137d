// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the demo asks a device, read with O_DIRECT, 8 sectors at a time:
 *
 *   probe cost <device> <reads>		sectors on stdin, one a line: read in
 *					turn; prints nanoseconds a read
 *   probe where <device> <main> <spare>	rows of `list` on stdin; prints how many
 *					remaps the device serves as the spare has
 *					them, and how many as main has them
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define MOST 100000

static int open_device(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void read_block(int fd, unsigned long long sector, void *buf)
{
	if (pread(fd, buf, BLOCK, sector * 512) != BLOCK)
		err(1, "sector %llu", sector);
}

static void *block(void)
{
	void *buf = aligned_alloc(BLOCK, BLOCK);

	if (!buf)
		err(1, "memory");
	return buf;
}

static int cost(const char *path, long reads)
{
	static unsigned long long sectors[MOST];
	int fd = open_device(path), n = 0;
	struct timespec from, to;
	void *buf = block();

	while (n < MOST && scanf("%llu", &sectors[n]) == 1)
		n++;
	if (!n)
		errx(1, "no sectors");
	for (int i = 0; i < n; i++)
		read_block(fd, sectors[i], buf);

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (long i = 0; i < reads; i++)
		read_block(fd, sectors[i % n], buf);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%lld\n", ((to.tv_sec - from.tv_sec) * 1000000000LL +
			  to.tv_nsec - from.tv_nsec) / reads);
	return 0;
}

static int where(const char *device, const char *main, const char *spare)
{
	int fd = open_device(device), mfd = open_device(main), sfd = open_device(spare);
	void *buf = block(), *mbuf = block(), *sbuf = block();
	unsigned long long start, to, len;
	int on_spare = 0, on_main = 0;

	while (scanf("%llu %llu %llu", &start, &to, &len) == 3) {
		read_block(fd, start, buf);
		read_block(mfd, start, mbuf);
		read_block(sfd, to, sbuf);
		on_spare += !memcmp(buf, sbuf, BLOCK);
		on_main += !memcmp(buf, mbuf, BLOCK);
	}
	printf("%d %d\n", on_spare, on_main);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "cost"))
		return cost(argv[2], atol(argv[3]));
	if (argc == 5 && !strcmp(argv[1], "where"))
		return where(argv[2], argv[3], argv[4]);
	errx(2, "usage: see the head of probe.c");
}

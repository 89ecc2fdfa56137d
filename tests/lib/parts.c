// SPDX-License-Identifier: GPL-2.0-only
/*
 * parts [-t seconds] <device> <spare>: what is left of a remap that is cut is served by
 * the spare all the while.
 *
 * A long remap is cut down to its first and last sector, again and again, while
 * these are read. What is left of it is of the lowest level, where a lookup begins, and
 * the whole of the highest, where it ends; between them are levels in use that take
 * it time. So one that passes the new parts before they are there still meets the
 * whole, or takes the sectors for main's.
 */
#include "sectors.h"

#include <getopt.h>

#define READERS		2
#define LEVELS		12
#define WHOLE		(1UL << LEVELS)
#define AT		(2 * WHOLE)	/* on main */
#define SPARE_AT	(2 * WHOLE)

static const char *device;
static char path[64];
/* Odd: mapped. */
static atomic_ulong phase;
static atomic_ullong reads;
static atomic_bool over;

static void tell(const char *fmt, ...)
{
	const char *reply;
	char message[64];
	va_list args;
	int r;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	r = dm_send(device, 0, message, &reply);
	if (r)
		die("%s: %s", message, strerror(-r));
}

static void *reader(void *context)
{
	u64 offset = context ? WHOLE - 1 : 0;
	int fd = open_device(path, O_RDONLY | O_DIRECT);
	char *buf = io_buffer(SECTOR), text[64];

	while (!over) {
		unsigned long then = phase;
		int r = io_all(fd, false, buf, SECTOR, AT + offset, 0);

		if (r)
			die("read: %s", strerror(-r));
		if (!(then & 1) || then != phase)
			continue;
		reads++;
		if (get_stamp(buf) != stamp((SPARE_AT + offset) | ON_SPARE, 1))
			die("cut %lu: sector %lu is remapped, but reads as %s", then / 2,
			    AT + offset, show(text, get_stamp(buf)));
	}
	close(fd);
	free(buf);
	return NULL;
}

static void set_up(const char *spare)
{
	struct dm_ioctl *io = dm_prepare(device, 0);
	char *buf = io_buffer(MAX_IO * SECTOR);
	int fd;

	if (dm_ioctl(DM_DEV_STATUS))
		die("no device %s", device);
	snprintf(path, sizeof(path), "/dev/dm-%u", (unsigned int)minor(io->dev));
	fd = open_device(spare, O_RDWR | O_DIRECT);
	write_raw(fd, device_sectors(fd), ON_SPARE, buf);
	close(fd);
	free(buf);
	for (unsigned long n = 2; n < WHOLE; n *= 2)
		tell("add_remap %lu auto %lu nocopy", n, n);
}

int main(int argc, char **argv)
{
	pthread_t threads[READERS];
	unsigned long cuts = 0;
	unsigned int seconds = 10;
	u64 end;
	int c;

	while ((c = getopt(argc, argv, "t:")) != -1)
		seconds = c == 't' ? atoi(optarg) : 0;
	if (argc - optind != 2 || !seconds) {
		fprintf(stderr, "usage: parts [-t seconds] <device> <spare>\n");
		return 2;
	}
	device = argv[optind];
	set_up(argv[optind + 1]);
	for (u64 i = 0; i < READERS; i++)
		pthread_create(&threads[i], NULL, reader, (void *)i);
	for (end = now_ms() + seconds * 1000; now_ms() < end; cuts++) {
		tell("add_remap %lu %lu %lu nocopy", AT, SPARE_AT, WHOLE);
		phase++;
		tell("remove_remap %lu %lu nocopy", AT + 1, WHOLE - 2);
		phase++;
		tell("remove_remap %lu %lu nocopy", AT, WHOLE);
	}
	over = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	printf("# %lu cuts, %llu reads meanwhile\n", cuts, reads);
	if (!reads)
		die("nobody read");
	return 0;
}

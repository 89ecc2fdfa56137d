// SPDX-License-Identifier: GPL-2.0-only
/*
 * scan <device> <name>: reads everything past the cache, and where that fails every sector
 * by itself. Prints the runs that cannot be read, <first>+<sectors>, on a line. Exits 1 at
 * a sector that is read but is not as label() in labels.sh has left it, or fails with
 * another error than EIO and ENODATA.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512
#define AT_ONCE 128

static void look(const char *data, const char *name, long sector)
{
	char want[64];
	int n = snprintf(want, sizeof(want), "%s %ld ", name, sector);

	if (!strncmp(data, want, n))
		return;
	printf("sector %ld holds '%.20s'\n", sector, data);
	exit(1);
}

/* A run that cannot be read has ended, if there was one. */
static void end_of(long *bad, long sector)
{
	if (*bad >= 0)
		printf("%ld+%ld ", *bad, sector - *bad);
	*bad = -1;
}

int main(int argc, char **argv)
{
	long sector, sectors, bad = -1;
	char *data;
	int fd;

	if (argc != 3)
		errx(2, "usage: scan <device> <name>");
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0 || posix_memalign((void **)&data, 4096, AT_ONCE * SECTOR))
		err(1, "%s", argv[1]);
	sectors = lseek(fd, 0, SEEK_END) / SECTOR;

	for (sector = 0; sector < sectors; sector++) {
		if (sector % AT_ONCE == 0 && pread(fd, data, AT_ONCE * SECTOR, sector * SECTOR) ==
		    AT_ONCE * SECTOR) {
			for (long i = 0; i < AT_ONCE; i++)
				look(data + i * SECTOR, argv[2], sector + i);
			end_of(&bad, sector);
			sector += AT_ONCE - 1;
		} else if (pread(fd, data, SECTOR, sector * SECTOR) == SECTOR) {
			look(data, argv[2], sector);
			end_of(&bad, sector);
		} else if (errno != EIO && errno != ENODATA) {
			printf("sector %ld: %s\n", sector, strerror(errno));
			exit(1);
		} else if (bad < 0) {
			bad = sector;
		}
	}
	end_of(&bad, sector);
	printf("\n");
	return 0;
}

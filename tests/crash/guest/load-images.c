// SPDX-License-Identifier: GPL-2.0-only
/*
 * load-images <disk> <sectors of main> <sectors of spare>: the disk has
 * pairs of main and spare, one after the other, as judge.c writes them. Makes a device
 * of each pair, twice, and prints "<number> <what it shows>".
 */
#define _GNU_SOURCE
#include "state.h"

static int create_part(char path[64], const char *name, const char *disk, u64 start,
		       u64 len)
{
	char params[128];

	snprintf(params, sizeof(params), "%s %llu", disk, (unsigned long long)start);
	return create_device(path, name, len, "linear", params);
}

int main(int argc, char **argv)
{
	char part_main[64], part_spare[64], params[256], path[64], text[2][80];
	u64 main_size, spare_size, nr;
	int disk;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4) {
		fprintf(stderr, "usage: load-images <disk> <sectors of main> <sectors of spare>\n");
		return 2;
	}
	main_size = strtoull(argv[2], NULL, 0);
	spare_size = strtoull(argv[3], NULL, 0);
	disk = open_device(argv[1], O_RDONLY);
	nr = device_sectors(disk) / (main_size + spare_size);
	for (u64 i = 0; i < nr; i++) {
		u64 at = i * (main_size + spare_size);
		int parts[2] = {
			create_part(part_main, "image-main", argv[1], at, main_size),
			create_part(part_spare, "image-spare", argv[1], at + main_size,
				    spare_size),
		};

		snprintf(params, sizeof(params), "%s %s", part_main, part_spare);
		/* As it is, and as that has left it. */
		for (int again = 0; again < 2; again++) {
			int fd = create_device(path, "image", main_size, "dm-remap-v4",
					       params);

			tell_state(text[again], "image", fd, main_size);
			remove_device("image", fd);
		}
		if (strcmp(text[0], text[1]))
			die("image %llu: %s, and when made again: %s", (unsigned long long)i,
			    text[0], text[1]);
		printf("%llu %s\n", (unsigned long long)i, text[0]);
		remove_device("image-main", parts[0]);
		remove_device("image-spare", parts[1]);
	}
	return 0;
}

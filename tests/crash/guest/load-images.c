// SPDX-License-Identifier: GPL-2.0-only
/*
 * load-images <disk>: the disk has images one after the other, as judge.c writes them: a
 * block with the sectors of three disks as text, then main, the spare that counts and, if it
 * has sectors, the other one. Prints for each its number, whether a spare is taken or refused
 * for each, and what a device shows that is made of the first that is taken, twice. Where
 * none is, the other one is repaired.
 */
#define _GNU_SOURCE
#include "state.h"

#include <inttypes.h>

#define HEAD	8U
#define PARTS	3

static u64 image;

struct part {
	char	path[64];
	int	fd;
};

static const char *const part_names[PARTS] = { "image-main", "image-spare", "image-other" };

static void create_part(struct part *part, const char *name, const char *disk, u64 start,
			u64 len)
{
	char params[128];

	snprintf(params, sizeof(params), "%s %llu", disk, (unsigned long long)start);
	part->fd = create_device(part->path, name, len, "linear", params);
}

/* Is a table taken with that spare? It is not resumed, so nothing is written. */
static bool takes(const struct part *main, const struct part *spare, u64 len)
{
	char params[256];
	struct dm_line line = { 0, len, "dm-remap-v4", params };
	unsigned int minor;
	int r;

	snprintf(params, sizeof(params), "%s %s", main->path, spare->path);
	must("create", dm_create("image", &minor));
	r = dm_load("image", &line, 1);
	must("remove", dm_remove("image"));
	if (r != -ESTALE)
		must("load", r);
	return !r;
}

static void repair(const struct part *from, const struct part *spare)
{
	char command[256];

	snprintf(command, sizeof(command), "dmremap repair --from %s %s >&2", from->path,
		 spare->path);
	if (system(command))
		die("image %llu: not repaired", (unsigned long long)image);
}

/* Which spare a device is to be made of; what is taken goes to standard output. */
static const struct part *choose_spare(const struct part *parts, const u64 *sizes)
{
	bool taken[PARTS] = { false };

	for (int i = 1; i < PARTS && sizes[i]; i++) {
		taken[i] = takes(&parts[0], &parts[i], sizes[0]);
		printf(" %s", taken[i] ? "taken" : "refused");
	}
	if (taken[1])
		return &parts[1];
	if (!taken[2])
		repair(&parts[1], &parts[2]);
	return &parts[2];
}

static void load_image(const char *disk, u64 at, const u64 *sizes)
{
	char params[256], path[64], text[2][80];
	struct part parts[PARTS];
	const struct part *spare;

	for (int i = 0; i < PARTS && sizes[i]; at += sizes[i++])
		create_part(&parts[i], part_names[i], disk, at, sizes[i]);
	printf("%llu", (unsigned long long)image);
	spare = choose_spare(parts, sizes);
	snprintf(params, sizeof(params), "%s %s", parts[0].path, spare->path);
	/* As it is, and as that has left it. */
	for (int again = 0; again < 2; again++) {
		int fd = create_device(path, "image", sizes[0], "dm-remap-v4", params);

		tell_state(text[again], "image", fd, sizes[0]);
		remove_device("image", fd);
	}
	if (strcmp(text[0], text[1]))
		die("image %llu: %s, and when made again: %s", (unsigned long long)image,
		    text[0], text[1]);
	printf(" %s\n", text[0]);
	for (int i = 0; i < PARTS && sizes[i]; i++)
		remove_device(part_names[i], parts[i].fd);
}

int main(int argc, char **argv)
{
	u64 sizes[PARTS], at = 0, end;
	char *head = io_buffer(HEAD * SECTOR);
	int disk;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2) {
		fprintf(stderr, "usage: load-images <disk>\n");
		return 2;
	}
	disk = open_device(argv[1], O_RDONLY);
	end = device_sectors(disk);
	for (; at + HEAD < end; image++) {
		must("reading", io_all(disk, false, head, HEAD * SECTOR, at, 0));
		if (sscanf(head, "%" SCNu64 " %" SCNu64 " %" SCNu64, &sizes[0], &sizes[1],
			   &sizes[2]) != PARTS)
			die("image %llu has no sizes", (unsigned long long)image);
		at += HEAD;
		load_image(argv[1], at, sizes);
		at += sizes[0] + sizes[1] + sizes[2];
	}
	return 0;
}

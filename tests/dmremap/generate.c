// SPDX-License-Identifier: GPL-2.0-only
/*
 * generate <image>: a spare with a history, and what may become of it. Commands on
 * stdin, a line each; sectors of the spare:
 *
 *	size <sectors>			makes the file, of zeros
 *	format <len> [<block>]
 *	map <main> <spare> <length>	and so "lost"
 *	unmap <main> <length>		and so "pending", "sound"
 *	aside <spare> <length>
 *	scrub <main> <main> <rate>	all these wait for "commit"
 *	commit				all of these, as one
 *	half				begins the other half of the log
 *	joining <n>, retired <n>	of a migration: the other has this UUID, or with n > 0
 *					another
 *	only <copy>			from now on the other copy's writes fail
 *	blocks				prints what counts: super <copy> <sector>, and
 *					log <copy> <sequence> <sector>
 *	zero <sector>
 *	flip <sector> <bit>
 *	copy <sector> <image>		its block there
 *	move <sector> <sector>		the second's block to the first
 *
 * All but size and format begin with what is on the image.
 */
#include "device.h"
#include "owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kernel.h>

#define MAX_CHANGES 4096

static struct device dev;
static struct owner owner;
static struct dmr_change changes[MAX_CHANGES];
static unsigned int nr_changes;
static int out = -1;
static bool loaded;

static void must(bool good, const char *line)
{
	if (good)
		return;
	fprintf(stderr, "generate: %s: %s", line, owner.said);
	exit(1);
}

static bool of_copy(u64 sector, int copy)
{
	for (unsigned int h = 0; h < DMR_HALVES; h++)
		if (sector - owner.m.areas[copy][h].start < owner.m.areas[copy][h].len)
			return true;
	return sector == (copy ? owner.m.backup : 0);
}

static int write_blocks(void *context, u64 sector, const void *data, unsigned int blocks,
			bool durable)
{
	if (out >= 0 && of_copy(sector, out))
		return -5;
	return device_write(context, sector, data, blocks, false);
}

static void load(const char *line)
{
	if (!loaded) {
		owner_reset(&owner, dev.sectors);
		must(!owner_load(&owner), line);
	}
	loaded = true;
}

static void print_blocks(void)
{
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		printf("super %u %llu\n", c, c ? owner.m.backup : 0);
		for (u32 seq = 0; seq < owner.m.seq; seq++)
			printf("log %u %u %llu\n", c, seq,
			       owner.m.areas[c][owner.m.half].start + seq * DMR_BLOCK_SECTORS);
	}
}

static void format(u64 len, u64 block)
{
	owner_reset(&owner, dev.sectors / block * block);
	owner.m.len = len;
	owner.m.block = block;
	memcpy(owner.m.uuid, "0123456789abcdef", DMR_UUID_SIZE);
	strcpy(owner.m.main_id, "wwn-1 \"\\");
	must(!dmr_meta_format(&owner.m), "format\n");
	loaded = true;
}

static void spoil(const char *what, u64 sector, u64 n, const char *path)
{
	u8 block[DMR_BLOCK_SIZE] = "";
	struct device from = dev;

	if (path)
		must(!device_open(&from, path, DEVICE_READ), path);
	if (strcmp(what, "zero"))
		must(!device_read(&from, strcmp(what, "move") ? sector : n, block, 1), what);
	if (!strcmp(what, "flip"))
		block[n / 8 % DMR_BLOCK_SIZE] ^= 1 << n % 8;
	must(!device_write(&dev, sector, block, 1, false), what);
	if (path)
		device_close(&from);
	loaded = false;
}

/* Does the line begin a record? Then it waits. */
static bool record(const char *what, const u64 *n, int nr)
{
	static const struct {
		const char	*name;
		u8		type;
		const char	*columns;
	} records[] = {
		{ "map", DMR_RECORD_MAP, "msl" },
		{ "lost", DMR_RECORD_LOST, "msl" },
		{ "scrub", DMR_RECORD_SCRUB, "msl" },
		{ "unmap", DMR_RECORD_UNMAP, "ml" },
		{ "pending", DMR_RECORD_PENDING, "ml" },
		{ "sound", DMR_RECORD_SOUND, "ml" },
		{ "aside", DMR_RECORD_ASIDE, "sl" },
	};
	struct dmr_change *change = &changes[nr_changes];

	for (unsigned int i = 0; i < ARRAY_SIZE(records); i++) {
		const char *columns = records[i].columns;

		if (strcmp(what, records[i].name))
			continue;
		must(nr == strlen(columns) && nr_changes < MAX_CHANGES, what);
		*change = (struct dmr_change) { .type = records[i].type };
		for (; *columns; columns++, n++)
			*(*columns == 'm' ? &change->main :
			  *columns == 's' ? &change->spare : &change->len) = *n;
		nr_changes++;
		return true;
	}
	return false;
}

static int migrate(bool retired, u64 n)
{
	u8 peer[DMR_UUID_SIZE];

	memcpy(peer, owner.m.uuid, sizeof(peer));
	peer[0] += n;
	if (retired)
		return dmr_meta_retire(&owner.m, peer);
	memcpy(owner.m.peer, peer, sizeof(peer));
	owner.m.moving = DMR_SUPER_JOINING;
	return dmr_meta_resume(&owner.m);
}

static void command(const char *line)
{
	char what[16], path[4096];
	u64 n[3] = { 0 };
	int nr = sscanf(line, "%15s %llu %llu %llu", what, &n[0], &n[1], &n[2]);
	u64 a = n[0], b = n[1];

	if (!strcmp(what, "size")) {
		must(!ftruncate(dev.fd, 0) && !ftruncate(dev.fd, a * 512), line);
		dev.sectors = a;
	} else if (!strcmp(what, "format")) {
		format(a, nr == 3 ? b : 1);
	} else if (!strcmp(what, "zero") || !strcmp(what, "flip") || !strcmp(what, "move")) {
		spoil(what, a, b, NULL);
	} else if (sscanf(line, "copy %llu %4095s", &a, path) == 2) {
		spoil("copy", a, 0, path);
	} else {
		load(line);
		if (record(what, n, nr - 1))
			return;
		if (!strcmp(what, "only"))
			out = !a;
		else if (!strcmp(what, "half"))
			must(!dmr_meta_resume(&owner.m), line);
		else if (!strcmp(what, "joining") || !strcmp(what, "retired"))
			must(!migrate(*what == 'r', a), line);
		else if (!strcmp(what, "blocks"))
			print_blocks();
		else
			must(!strcmp(what, "commit") &&
			     !owner_commit(&owner, changes, nr_changes), line);
		if (!strcmp(what, "commit"))
			nr_changes = 0;
	}
}

int main(int argc, char **argv)
{
	struct owner_io io = { device_read, write_blocks, &dev };
	char line[8192];

	if (argc != 2 || device_open(&dev, argv[1], DEVICE_WRITE) ||
	    owner_init(&owner, &io, dev.sectors)) {
		fprintf(stderr, "usage: generate <image>\n");
		return 2;
	}
	while (fgets(line, sizeof(line), stdin))
		command(line);
	return 0;
}

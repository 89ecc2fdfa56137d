// SPDX-License-Identifier: GPL-2.0-only
/*
 * seeds <directory>: images for the fuzzer to begin with, good and damaged, the same
 * each time. They are in the tree (corpus/): make seeds, when the format has changed.
 */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#define must(cond) do { if (!(cond)) { fprintf(stderr, "seeds: %s\n", #cond); exit(1); } } while (0)

static struct image image;
static struct owner owner;
static const char *directory;

static FILE *create(const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w+");
	must(file);
	image_encode(&image, file);
	return file;
}

static void save(const char *name)
{
	static struct image back;
	FILE *file = create(name);
	static u8 data[1 << 16];
	size_t size;

	rewind(file);
	size = fread(data, 1, sizeof(data), file);
	must(size < sizeof(data) && !fclose(file));
	/* What is read back is what was written down. */
	image_decode(&back, data, size);
	for (u32 i = 0; i < image.nr; i++) {
		must(!image.blocks[i] == !back.blocks[i]);
		must(!image.blocks[i] ||
		     !memcmp(image.blocks[i], back.blocks[i], DMR_BLOCK_SIZE));
	}
}

static void commit(u8 type, u64 main, u64 spare, u64 len, unsigned int nr)
{
	struct dmr_change changes[400];

	for (unsigned int i = 0; i < nr; i++)
		changes[i] = (struct dmr_change){ type, main + 2 * i * len, spare + i * len, len };
	must(!owner_commit(&owner, changes, nr));
}

static void format(u32 blocks)
{
	static const struct owner_io io = { image_read, image_write, &image };

	image_clear(&image);
	image.nr = blocks;
	must(!owner_init(&owner, &io, blocks * DMR_BLOCK_SECTORS));
	memset(owner.m.uuid, 'u', sizeof(owner.m.uuid));
	strcpy(owner.m.main_id, "wwn-1");
	owner.m.len = 1 << 20;
	must(!dmr_meta_format(&owner.m));
}

/* The block of the log in force, or with @seq at its end, the superblock. */
static u32 block_at(unsigned int copy, u32 seq)
{
	u64 sector = seq == owner.m.seq ? copy ? owner.m.backup : 0 :
		     owner.m.areas[copy][owner.m.half].start + seq * DMR_BLOCK_SECTORS;

	return sector / DMR_BLOCK_SECTORS;
}

static void save_damaged(const char *name, u8 kind, u32 seq, u32 length, const u8 *bytes)
{
	char path[64];

	for (unsigned int copies = 1; copies <= 3; copies += 2) {
		FILE *file;

		snprintf(path, sizeof(path), "%s-%u-copies-%u", name, seq, copies);
		file = create(path);
		for (unsigned int c = 0; c < DMR_COPIES; c++)
			if (copies & BIT(c))
				image_put_entry(file, kind, block_at(c, seq), bytes, length);
		must(!fclose(file));
	}
}

/* A block of the log, and the superblocks. */
static void save_all_damaged(void)
{
	static const u8 flip[3] = { 100, 0, 4 };

	for (u32 seq = 1; seq <= owner.m.seq; seq += owner.m.seq - 1) {
		u8 from[2] = { block_at(0, 0) & 0xff, block_at(0, 0) >> 8 };

		save_damaged("flipped", ENTRY_FLIP, seq, 3, flip);
		save_damaged("zeroed", ENTRY_RAW, seq, 0, NULL);
		save_damaged("swapped", ENTRY_COPY, seq, 2, from);
		save_damaged("unreadable", ENTRY_UNREADABLE, seq, 0, NULL);
	}
}

int main(int argc, char **argv)
{
	must(argc == 2);
	directory = argv[1];
	image.nr = 300;
	save("blank");
	format(300);
	save("empty");
	commit(DMR_RECORD_MAP, 100, 600, 8, 3);
	/* Behind the end of either half are blocks of before. */
	must(!dmr_meta_resume(&owner.m) && !dmr_meta_resume(&owner.m));
	commit(DMR_RECORD_UNMAP, 104, 0, 2, 1);
	commit(DMR_RECORD_MAP, 5000, 800, 1, 20);
	commit(DMR_RECORD_UNMAP, 0, 0, 5010, 1);
	commit(DMR_RECORD_LOST, 8000, 900, 4, 2);
	commit(DMR_RECORD_PENDING, 5016, 0, 8, 2);
	commit(DMR_RECORD_SOUND, 5018, 0, 1, 1);
	commit(DMR_RECORD_ASIDE, 0, 940, 1, 1);
	commit(DMR_RECORD_SCRUB, 10, 20000, 16, 1);
	save("changed");
	save_all_damaged();
	owner_exit(&owner);

	/* A commit of several blocks, and areas that have moved. */
	format(600);
	commit(DMR_RECORD_MAP, 0, 1000, 1, 340);
	save("batch");
	commit(DMR_RECORD_UNMAP, 0, 0, 1 << 20, 1);
	/* As after writes that failed. */
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		owner.m.log_bad = BIT(c);
		must(!dmr_meta_resume(&owner.m));
	}
	commit(DMR_RECORD_MAP, 7, 3000, 16, 10);
	save("moved");
	owner_exit(&owner);
	return 0;
}

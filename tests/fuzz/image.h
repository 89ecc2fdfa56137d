/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An image of a spare, and how it is written down for the fuzzer: the blocks that are
 * not zeros, without what would keep it out. Checksums, magics and positions are
 * filled in when it is read back, so that a change of the text is a change of what
 * metadata.c believes.
 *
 *	2 bytes		blocks of the spare, modulo MAX_BLOCKS
 *	then entries:
 *	1		ENTRY_*, and PREV: prev is set to suit the entry of a log before it
 *	2		which block
 *	2		bytes that follow; what is not there is zeros
 *
 * All little-endian. ENTRY_SUPER and ENTRY_LOG begin behind the checksum; in a log the
 * uuid is that of the last superblock before it if it is zeros.
 */
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

#include <stdio.h>

#include "owner.h"

#define MAX_BLOCKS	2048U
#define MAX_ENTRIES	512U

/* Whole blocks; or what becomes of those that are there. */
enum {
	ENTRY_RAW,
	ENTRY_SUPER,
	ENTRY_LOG,
	ENTRY_UNREADABLE,
	ENTRY_FLIP,		/* at (2 bytes), bits (1) */
	ENTRY_COPY,		/* of which block (2) */
	ENTRY_KINDS,
	ENTRY_PREV = 0x80,
};

/**
 * struct image - a spare in memory
 * @blocks:	by number: contents, or NULL for zeros
 * @unreadable:	they fail to read until written
 * @nr:		blocks of it
 * @reads:	blocks that were read
 */
struct image {
	u8	*blocks[MAX_BLOCKS];
	bool	unreadable[MAX_BLOCKS];
	u32	nr;
	u64	reads;
};

/* As owner_io has them; out of range is a failed test. */
int image_read(void *image, u64 sector, void *data, unsigned int blocks);
int image_write(void *image, u64 sector, const void *data, unsigned int blocks,
		bool durable);

/* The contents of a block, to be changed. */
u8 *image_block(struct image *image, u32 block);

void image_clear(struct image *image);

/* Read what is written down; never fails. */
void image_decode(struct image *image, const u8 *data, size_t size);

/* Write it down; entries may follow. */
void image_encode(const struct image *image, FILE *file);
void image_put_entry(FILE *file, u8 kind, u32 index, const u8 *bytes, size_t length);

#endif /* FUZZ_IMAGE_H */

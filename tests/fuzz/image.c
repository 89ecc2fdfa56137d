// SPDX-License-Identifier: GPL-2.0-only
#include "image.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

/* Behind magic and checksum. */
#define BODY	12
#define UUID	(offsetof(struct dmr_block, uuid) - BODY)

static void in_range(const struct image *image, u64 sector, unsigned int blocks)
{
	assert(sector % DMR_BLOCK_SECTORS == 0);
	assert(blocks && sector / DMR_BLOCK_SECTORS + blocks <= image->nr);
}

u8 *image_block(struct image *image, u32 block)
{
	if (!image->blocks[block])
		image->blocks[block] = calloc(1, DMR_BLOCK_SIZE);
	assert(image->blocks[block]);
	return image->blocks[block];
}

int image_read(void *context, u64 sector, void *data, unsigned int blocks)
{
	struct image *image = context;
	int r = 0;

	in_range(image, sector, blocks);
	image->reads += blocks;
	for (unsigned int i = 0; i < blocks; i++, data += DMR_BLOCK_SIZE) {
		u32 block = sector / DMR_BLOCK_SECTORS + i;

		if (image->unreadable[block])
			r = -EIO;
		else if (image->blocks[block])
			memcpy(data, image->blocks[block], DMR_BLOCK_SIZE);
		else
			memset(data, 0, DMR_BLOCK_SIZE);
	}
	return r;
}

int image_write(void *context, u64 sector, const void *data, unsigned int blocks,
		bool durable)
{
	struct image *image = context;

	in_range(image, sector, blocks);
	for (unsigned int i = 0; i < blocks; i++, data += DMR_BLOCK_SIZE) {
		u32 block = sector / DMR_BLOCK_SECTORS + i;

		image->unreadable[block] = false;
		memcpy(image_block(image, block), data, DMR_BLOCK_SIZE);
	}
	return 0;
}

void image_clear(struct image *image)
{
	for (u32 i = 0; i < MAX_BLOCKS; i++)
		free(image->blocks[i]);
	memset(image, 0, sizeof(*image));
}

static u32 get16(const u8 *p)
{
	return p[0] | p[1] << 8;
}

static void put16(FILE *file, u32 value)
{
	fputc(value & 0xff, file);
	fputc(value >> 8, file);
}

/**
 * struct chain - what entries take from those before them
 * @uuid:	of the last superblock
 * @prev:	the body checksum of the last block of a log
 */
struct chain {
	u8	uuid[DMR_UUID_SIZE];
	u32	prev;
};

static void seal_super(struct chain *chain, u8 *block, u32 at)
{
	struct dmr_super *super = (void *)block;

	dmr_super_seal(super, (u64)at * DMR_BLOCK_SECTORS);
	memcpy(chain->uuid, super->uuid, sizeof(chain->uuid));
}

static void seal_log(struct chain *chain, u8 *bytes, u32 at, bool prev)
{
	static const u8 none[DMR_UUID_SIZE];
	struct dmr_block *block = (void *)bytes;

	memcpy(block->magic, DMR_LOG_MAGIC, sizeof(block->magic));
	if (!memcmp(block->uuid, none, sizeof(none)))
		memcpy(block->uuid, chain->uuid, sizeof(none));
	chain->prev = dmr_block_close(block, prev ? chain->prev : block->prev,
				      block->flags & DMR_BLOCK_MORE);
	dmr_block_seal(block, (u64)at * DMR_BLOCK_SECTORS);
}

static void set_block(u8 *block, size_t from, const u8 *bytes, size_t length)
{
	memset(block, 0, DMR_BLOCK_SIZE);
	memcpy(block + from, bytes, min_t(size_t, length, DMR_BLOCK_SIZE - from));
}

static void decode_entry(struct image *image, struct chain *chain, u8 kind, u32 index,
			 const u8 *bytes, size_t length)
{
	u8 *block = image_block(image, index);

	switch ((kind & ~ENTRY_PREV) % ENTRY_KINDS) {
	case ENTRY_RAW:
		set_block(block, 0, bytes, length);
		break;
	case ENTRY_SUPER:
		set_block(block, BODY, bytes, length);
		seal_super(chain, block, index);
		break;
	case ENTRY_LOG:
		set_block(block, BODY, bytes, length);
		seal_log(chain, block, index, kind & ENTRY_PREV);
		break;
	case ENTRY_UNREADABLE:
		image->unreadable[index] = true;
		break;
	case ENTRY_FLIP:
		if (length == 3)
			block[get16(bytes) % DMR_BLOCK_SIZE] ^= bytes[2];
		break;
	case ENTRY_COPY:
		if (length == 2)
			memcpy(block, image_block(image, get16(bytes) % image->nr),
			       DMR_BLOCK_SIZE);
		break;
	}
}

void image_decode(struct image *image, const u8 *data, size_t size)
{
	struct chain chain = { 0 };
	unsigned int entries = 0;
	size_t at = 2;

	image_clear(image);
	image->nr = size < 2 ? 0 : get16(data) % MAX_BLOCKS;
	while (at + 5 <= size && image->nr && entries++ < MAX_ENTRIES) {
		const u8 *entry = data + at;
		size_t length = min_t(size_t, get16(entry + 3), size - at - 5);

		decode_entry(image, &chain, entry[0], get16(entry + 1) % image->nr,
			     entry + 5, length);
		at += 5 + length;
	}
}

void image_put_entry(FILE *file, u8 kind, u32 index, const u8 *bytes, size_t length)
{
	fputc(kind, file);
	put16(file, index);
	put16(file, length);
	fwrite(bytes, 1, length, file);
}

/* Without the zeros at its end. */
static void put_block(FILE *file, u8 kind, u32 index, const u8 *bytes, size_t length)
{
	while (length && !bytes[length - 1])
		length--;
	image_put_entry(file, kind, index, bytes, length);
}

static void encode_log(struct chain *chain, FILE *file, u32 index, const u8 *bytes, u32 sum)
{
	const struct dmr_block *block = (const void *)bytes;
	u32 kind = ENTRY_LOG;
	u8 body[DMR_BLOCK_SIZE - BODY];

	/* The position is what the entry says. */
	memcpy(body, bytes + BODY, sizeof(body));
	memset(body + sizeof(body) - 8, 0, 8);
	if (!memcmp(block->uuid, chain->uuid, sizeof(chain->uuid)))
		memset(body + UUID, 0, sizeof(chain->uuid));
	if (block->prev && block->prev == chain->prev) {
		kind |= ENTRY_PREV;
		memset(body, 0, 4);
	}
	chain->prev = sum;
	put_block(file, kind, index, body, sizeof(body));
}

static void encode_super(struct chain *chain, FILE *file, u32 index, const u8 *bytes)
{
	u8 body[DMR_BLOCK_SIZE - BODY];

	memcpy(body, bytes + BODY, sizeof(body));
	memset(body + offsetof(struct dmr_super, position) - BODY, 0, 8);
	memcpy(chain->uuid, ((const struct dmr_super *)bytes)->uuid, sizeof(chain->uuid));
	put_block(file, ENTRY_SUPER, index, body, sizeof(body));
}

/* Is it an undamaged block of a log, of whatever format? */
static bool is_log(const u8 *bytes, u64 position, u32 *sum)
{
	const struct dmr_block *block = (const void *)bytes;

	return dmr_block_intact(block, block->uuid, block->seq, position, sum);
}

void image_encode(const struct image *image, FILE *file)
{
	struct chain chain = { 0 };

	put16(file, image->nr);
	for (u32 i = 0; i < image->nr; i++) {
		const u8 *bytes = image->blocks[i];
		u64 position = (u64)i * DMR_BLOCK_SECTORS;
		u32 sum;

		if (!bytes)
			continue;
		if (dmr_super_intact((const void *)bytes, position))
			encode_super(&chain, file, i, bytes);
		else if (is_log(bytes, position, &sum))
			encode_log(&chain, file, i, bytes, sum);
		else
			put_block(file, ENTRY_RAW, i, bytes, DMR_BLOCK_SIZE);
	}
}

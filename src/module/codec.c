// SPDX-License-Identifier: GPL-2.0-only
#include "codec.h"

#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/string.h>
#include <asm/byteorder.h>

static_assert(sizeof(struct dmr_super) == DMR_BLOCK_SIZE);
static_assert(sizeof(struct dmr_block) == DMR_BLOCK_SIZE);
static_assert(offsetof(struct dmr_super, main_id) == 176);
static_assert(offsetof(struct dmr_block, records) == 64);
static_assert(offsetof(struct dmr_block, position) == 4088);

/*
 * That of what gave @crc so far (0: nothing) and then this. The kernel's crc32c()
 * leaves both inversions to the caller.
 */
static u32 dmr_crc(u32 crc, const void *from, const void *to)
{
	return ~crc32c(~crc, from, (const u8 *)to - (const u8 *)from);
}

/* What a checksum covers begins behind it. */
static u32 dmr_super_crc(const struct dmr_super *super)
{
	return dmr_crc(0, &super->version, super + 1);
}

void dmr_super_seal(struct dmr_super *super, u64 position)
{
	memcpy(super->magic, DMR_SUPER_MAGIC, sizeof(super->magic));
	super->position = cpu_to_le64(position);
	super->crc = cpu_to_le32(dmr_super_crc(super));
}

bool dmr_super_intact(const struct dmr_super *super, u64 position)
{
	return !memcmp(super->magic, DMR_SUPER_MAGIC, sizeof(super->magic)) &&
	       le64_to_cpu(super->position) == position &&
	       le32_to_cpu(super->crc) == dmr_super_crc(super);
}

void dmr_block_begin(struct dmr_block *block, const u8 *uuid, u64 epoch, u32 seq,
		     u32 first)
{
	memset(block, 0, sizeof(*block));
	memcpy(block->magic, DMR_LOG_MAGIC, sizeof(block->magic));
	memcpy(block->uuid, uuid, DMR_UUID_SIZE);
	block->epoch = cpu_to_le64(epoch);
	block->seq = cpu_to_le32(seq);
	block->first = cpu_to_le32(first);
}

void dmr_block_add(struct dmr_block *block, const struct dmr_change *change)
{
	unsigned int nr = le16_to_cpu(block->nr);
	struct dmr_record *record = &block->records[nr];

	record->main = cpu_to_le64(change->main);
	record->spare = cpu_to_le64(change->spare);
	record->length = cpu_to_le64(change->len |
				     (u64)change->type << DMR_RECORD_SHIFT);
	block->nr = cpu_to_le16(nr + 1);
}

static u32 dmr_block_body(const struct dmr_block *block)
{
	return dmr_crc(0, &block->prev, &block->position);
}

u32 dmr_block_close(struct dmr_block *block, u32 prev, bool more)
{
	block->prev = cpu_to_le32(prev);
	block->flags = cpu_to_le16(more ? DMR_BLOCK_MORE : 0);
	return dmr_block_body(block);
}

void dmr_block_seal(struct dmr_block *block, u64 position)
{
	block->position = cpu_to_le64(position);
	block->crc = cpu_to_le32(dmr_crc(0, &block->prev, block + 1));
}

bool dmr_block_intact(const struct dmr_block *block, const u8 *uuid, u32 seq,
		      u64 position, u32 *body)
{
	if (memcmp(block->magic, DMR_LOG_MAGIC, sizeof(block->magic)) ||
	    memcmp(block->uuid, uuid, DMR_UUID_SIZE) ||
	    le32_to_cpu(block->seq) != seq ||
	    le64_to_cpu(block->position) != position ||
	    le32_to_cpu(block->first) > seq ||
	    le16_to_cpu(block->nr) > DMR_BLOCK_RECORDS)
		return false;
	*body = dmr_block_body(block);
	return le32_to_cpu(block->crc) == dmr_crc(*body, &block->position, block + 1);
}

void dmr_block_get(const struct dmr_block *block, unsigned int i,
		   struct dmr_change *change)
{
	const struct dmr_record *record = &block->records[i];
	u64 length = le64_to_cpu(record->length);

	change->type = length >> DMR_RECORD_SHIFT;
	change->main = le64_to_cpu(record->main);
	change->spare = le64_to_cpu(record->spare);
	change->len = length & ((1ULL << DMR_RECORD_SHIFT) - 1);
}

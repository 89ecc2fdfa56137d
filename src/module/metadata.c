// SPDX-License-Identifier: GPL-2.0-only
#include "metadata.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <asm/byteorder.h>

#define DMR_BOTH_COPIES		(BIT(DMR_COPIES) - 1)

/* A half has room for one remap for each block of the spare, and for some commits. */
#define DMR_MIN_HALF		16

/* How far behind a hole in the log later commits are looked for, block by block. */
#define DMR_LOOK_AHEAD		256

/* The first and last so many blocks of a blank device are: 1 MiB. */
#define DMR_BLANK_BLOCKS	256

/* So far above the floor may an epoch be: one for each half that could not be begun. */
#define DMR_EPOCHS_AHEAD	U32_MAX

static const char *const copy_names[DMR_COPIES] = { "first", "second" };

static void *dmr_buffer(struct dmr_meta *m, unsigned int copy, unsigned int block)
{
	return m->buffer + (copy * DMR_META_CHUNK + block) * DMR_BLOCK_SIZE;
}

static u64 dmr_position(const struct dmr_meta *m, unsigned int copy, unsigned int half,
			u32 seq)
{
	return m->areas[copy][half].start + (u64)seq * DMR_BLOCK_SECTORS;
}

static u32 dmr_half_blocks(const struct dmr_meta *m, unsigned int half)
{
	return m->areas[0][half].len / DMR_BLOCK_SECTORS;
}

static u64 dmr_blocks_for(u64 records)
{
	return records ? DIV_ROUND_UP(records, DMR_BLOCK_RECORDS) : 1;
}

/*
 *----------------------------------------------------------------
 * The superblock
 *----------------------------------------------------------------
 */

static void dmr_super_make(const struct dmr_meta *m, struct dmr_super *super)
{
	memset(super, 0, sizeof(*super));
	super->version = cpu_to_le32(DMR_VERSION);
	memcpy(super->uuid, m->uuid, sizeof(super->uuid));
	super->compat = cpu_to_le64(m->compat);
	super->ro_compat = cpu_to_le64(m->ro_compat);
	super->generation = cpu_to_le64(m->generation);
	super->epoch = cpu_to_le64(m->floor);
	super->backup = cpu_to_le64(m->backup);
	super->spare_size = cpu_to_le64(m->spare_size);
	super->len = cpu_to_le64(m->len);
	super->block = cpu_to_le32(m->block);
	super->flags = cpu_to_le32(m->stale | m->moving);
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		for (unsigned int h = 0; h < DMR_HALVES; h++) {
			const struct dmr_extent *area = &m->areas[c][h];

			super->areas[c][h].start = cpu_to_le64(area->start);
			super->areas[c][h].blocks =
				cpu_to_le64(area->len / DMR_BLOCK_SECTORS);
		}
	memcpy(super->main_id, m->main_id, sizeof(super->main_id));
	memcpy(super->peer, m->peer, sizeof(super->peer));
}

static void dmr_super_take(struct dmr_meta *m, const struct dmr_super *super)
{
	memcpy(m->uuid, super->uuid, sizeof(m->uuid));
	m->compat = le64_to_cpu(super->compat);
	m->ro_compat = le64_to_cpu(super->ro_compat);
	m->generation = le64_to_cpu(super->generation);
	m->floor = le64_to_cpu(super->epoch);
	m->backup = le64_to_cpu(super->backup);
	m->spare_size = le64_to_cpu(super->spare_size);
	m->len = le64_to_cpu(super->len);
	m->block = le32_to_cpu(super->block);
	m->stale = le32_to_cpu(super->flags);
	m->moving = m->stale & (DMR_SUPER_JOINING | DMR_SUPER_RETIRED);
	m->stale &= ~m->moving;
	memcpy(m->peer, super->peer, sizeof(m->peer));
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		for (unsigned int h = 0; h < DMR_HALVES; h++) {
			struct dmr_extent *area = &m->areas[c][h];

			area->start = le64_to_cpu(super->areas[c][h].start);
			WRITE_ONCE(area->len, le64_to_cpu(super->areas[c][h].blocks) *
					      DMR_BLOCK_SECTORS);
		}
	memcpy(m->main_id, super->main_id, sizeof(super->main_id));
	m->main_id[DMR_MAIN_ID_SIZE] = '\0';
}

/* Could one that knows no better have written it? The checksum says nothing of that. */
static bool dmr_super_sane(const struct dmr_meta *m)
{
	if (!is_power_of_2(m->backup) || m->backup < DMR_BLOCK_SECTORS ||
	    !is_power_of_2(m->block) || !m->len || m->len > BIT_ULL(DMR_SECTOR_BITS) ||
	    m->stale >= DMR_BOTH_COPIES || m->floor > DMR_LAST_EPOCH)
		return false;
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		for (unsigned int h = 0; h < DMR_HALVES; h++) {
			const struct dmr_extent *area = &m->areas[c][h];

			if (area->start % DMR_BLOCK_SECTORS || !area->len ||
			    area->len / DMR_BLOCK_SECTORS > U32_MAX ||
			    area->len != m->areas[0][h].len ||
			    area->len > m->size ||
			    area->start > m->size - area->len)
				return false;
		}
	return true;
}

/* Read the superblock at a position; is there an intact one? */
static bool dmr_super_read(struct dmr_meta *m, u64 position, struct dmr_super *super)
{
	return position % DMR_BLOCK_SECTORS == 0 &&
	       position <= m->size - DMR_BLOCK_SECTORS &&
	       !m->ops->read(m, position, super, 1) &&
	       dmr_super_intact(super, position);
}

/* Without the first, the second is where a power of two is, not above the middle. */
static bool dmr_super_search(struct dmr_meta *m, struct dmr_super *super)
{
	u64 at = m->size / 2 ? rounddown_pow_of_two(m->size / 2) : 0;

	for (; at >= DMR_BLOCK_SECTORS; at /= 2)
		if (dmr_super_read(m, at, super) &&
		    le64_to_cpu(super->backup) == at)
			return true;
	return false;
}

/* Of two superblocks the newer; which have to be written again. */
static const struct dmr_super *dmr_super_find(struct dmr_meta *m)
{
	struct dmr_super *first = dmr_buffer(m, 0, 0);
	struct dmr_super *second = dmr_buffer(m, 1, 0);
	u64 one, two;

	if (!dmr_super_read(m, 0, first)) {
		WRITE_ONCE(m->super_bad, BIT(0));
		return dmr_super_search(m, second) ? second : NULL;
	}
	if (!dmr_super_read(m, le64_to_cpu(first->backup), second) ||
	    memcmp(first->uuid, second->uuid, sizeof(first->uuid))) {
		WRITE_ONCE(m->super_bad, BIT(1));
		return first;
	}
	one = le64_to_cpu(first->generation);
	two = le64_to_cpu(second->generation);
	/* However often they were written. */
	WRITE_ONCE(m->super_bad, one == two ? 0 : (s64)(two - one) > 0 ? BIT(0) : BIT(1));
	return m->super_bad == BIT(0) ? second : first;
}

static bool dmr_zero(const void *data, size_t bytes)
{
	return !memchr_inv(data, 0, bytes);
}

/* Does a run of blocks read as zeros? */
static int dmr_blank_run(struct dmr_meta *m, u64 sector, u64 blocks)
{
	while (blocks) {
		unsigned int nr = min_t(u64, blocks, DMR_META_CHUNK);

		if (m->ops->read(m, sector, m->buffer, nr)) {
			m->ops->problem(m, "spare sectors from %llu cannot be read",
					sector);
			return -EIO;
		}
		if (!dmr_zero(m->buffer, nr * DMR_BLOCK_SIZE)) {
			m->ops->problem(m, "spare sectors from %llu are not blank", sector);
			return -EEXIST;
		}
		sector += nr * DMR_BLOCK_SECTORS;
		blocks -= nr;
	}
	return 0;
}

static int dmr_layout(struct dmr_meta *m);

/* Nothing at its ends, nor where the first blocks of metadata would go? */
static int dmr_blank(struct dmr_meta *m)
{
	u64 blocks = min_t(u64, m->size / DMR_BLOCK_SECTORS, DMR_BLANK_BLOCKS);
	int r = dmr_blank_run(m, 0, blocks);

	if (!r)
		r = dmr_blank_run(m, m->size - blocks * DMR_BLOCK_SECTORS, blocks);
	/* The layout is that of the format to come; too small is for it to say. */
	if (r || dmr_layout(m))
		return r;
	r = dmr_blank_run(m, m->backup, 1);
	for (unsigned int c = 0; c < DMR_COPIES && !r; c++)
		r = dmr_blank_run(m, dmr_position(m, c, 0, 0), 1);
	return r;
}

int dmr_meta_probe(struct dmr_meta *m)
{
	const struct dmr_super *super;
	u64 unit;
	int r;

	if (m->size < DMR_BLOCK_SECTORS)
		return -ENODATA;
	super = dmr_super_find(m);
	if (!super) {
		const struct dmr_super *first = dmr_buffer(m, 0, 0);

		if (!m->ops->read(m, 0, m->buffer, 1) &&
		    !memcmp(first->magic, DMR_SUPER_MAGIC, sizeof(first->magic))) {
			m->ops->problem(m, "both superblocks are damaged");
			return -EUCLEAN;
		}
		r = dmr_blank(m);
		return r ? r : -ENODATA;
	}
	if (le32_to_cpu(super->version) != DMR_VERSION || super->incompat) {
		m->ops->problem(m, "format version %u, features %llx: not known here",
				le32_to_cpu(super->version),
				(unsigned long long)le64_to_cpu(super->incompat));
		return -EOPNOTSUPP;
	}
	/* Our own, but nothing was ever committed. */
	if (le32_to_cpu(super->flags) & DMR_SUPER_UNFINISHED)
		return -ENODATA;
	unit = m->block;
	dmr_super_take(m, super);
	/* Whole blocks of main, which may have others now. */
	if (m->size < round_down(m->spare_size, max_t(u64, unit, 1))) {
		m->ops->problem(m, "the spare has %llu sectors, and had %llu",
				m->size, m->spare_size);
		return -ERANGE;
	}
	if (!dmr_super_sane(m)) {
		m->ops->problem(m, "the superblock makes no sense on a spare of %llu sectors",
				m->size);
		return -EUCLEAN;
	}
	return m->moving ? -ESTALE : 0;
}

/*
 * Before anything else of a format: what a power cut leaves must not look like the
 * data of others.
 */
static int dmr_super_unfinished(struct dmr_meta *m)
{
	struct dmr_super *super = m->buffer;

	dmr_super_make(m, super);
	super->flags = cpu_to_le32(DMR_SUPER_UNFINISHED);
	dmr_super_seal(super, 0);
	return m->ops->write(m, 0, super, 1, true);
}

/* Write both, the first first: one is always whole. Tells what failed in super_bad. */
static void dmr_supers_write(struct dmr_meta *m)
{
	struct dmr_super *super = m->buffer;

	m->generation++;
	dmr_super_make(m, super);
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		u64 position = c ? m->backup : 0;

		dmr_super_seal(super, position);
		if (!m->ops->write(m, position, super, 1, true)) {
			WRITE_ONCE(m->super_bad, m->super_bad & ~BIT(c));
		} else {
			WRITE_ONCE(m->super_bad, m->super_bad | BIT(c));
			m->ops->problem(m, "the %s superblock cannot be written",
					copy_names[c]);
		}
	}
}

/*
 *----------------------------------------------------------------
 * Writing the log
 *----------------------------------------------------------------
 */

static struct dmr_block *dmr_writer_block(struct dmr_meta *m)
{
	return dmr_buffer(m, 0, m->writer.nr);
}

static void dmr_writer_next(struct dmr_meta *m)
{
	dmr_block_begin(dmr_writer_block(m), m->uuid, m->writer.epoch,
			m->writer.seq + m->writer.nr, m->writer.first);
}

static void dmr_writer_begin(struct dmr_meta *m, unsigned int half, u64 epoch, u32 seq,
			     u32 prev)
{
	m->writer.half = half;
	m->writer.epoch = epoch;
	m->writer.seq = seq;
	m->writer.first = seq;
	m->writer.prev = prev;
	m->writer.nr = 0;
	m->writer.failed = m->stale;
	m->writer.err = 0;
	dmr_writer_next(m);
}

/* Write blocks [@from, @to) of the buffer to a copy. */
static int dmr_writer_copy(struct dmr_meta *m, unsigned int copy, unsigned int from,
			   unsigned int to, bool durable)
{
	u32 seq = m->writer.seq + from;

	if (from == to)
		return 0;
	for (unsigned int i = from; i < to; i++)
		dmr_block_seal(dmr_buffer(m, 0, i),
			       dmr_position(m, copy, m->writer.half, m->writer.seq + i));
	m->blocks_written += to - from;
	return m->ops->write(m, dmr_position(m, copy, m->writer.half, seq),
			     dmr_buffer(m, 0, from), to - from, durable);
}

/*
 * Write what is in the buffer. With its last block the commit takes effect, so that
 * goes after all others are durable, and to one copy after the other.
 */
static void dmr_writer_flush(struct dmr_meta *m, bool last)
{
	unsigned int nr = m->writer.nr;
	unsigned int plain = last ? nr - 1 : nr;

	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		if (m->writer.failed & BIT(c))
			continue;
		if (dmr_writer_copy(m, c, 0, plain, false) ||
		    dmr_writer_copy(m, c, plain, nr, true)) {
			m->writer.failed |= BIT(c);
			m->ops->problem(m, "the %s copy of the log cannot be written",
					copy_names[c]);
		}
	}
	m->writer.seq += nr;
	m->writer.nr = 0;
}

static void dmr_writer_close(struct dmr_meta *m, bool more)
{
	m->writer.prev = dmr_block_close(dmr_writer_block(m), m->writer.prev, more);
	m->writer.nr++;
}

static int dmr_writer_put(struct dmr_meta *m, const struct dmr_change *change)
{
	struct dmr_block *block = dmr_writer_block(m);

	if (le16_to_cpu(block->nr) == DMR_BLOCK_RECORDS) {
		if (m->writer.seq + m->writer.nr + 1 >= dmr_half_blocks(m, m->writer.half))
			return -ENOSPC;
		dmr_writer_close(m, true);
		if (m->writer.nr == DMR_META_CHUNK)
			dmr_writer_flush(m, false);
		dmr_writer_next(m);
		block = dmr_writer_block(m);
	}
	dmr_block_add(block, change);
	return m->writer.failed == DMR_BOTH_COPIES ? -EIO : 0;
}

/* Which copies have not taken the commit? */
static unsigned int dmr_writer_end(struct dmr_meta *m)
{
	dmr_writer_close(m, false);
	dmr_writer_flush(m, true);
	return m->writer.failed;
}

/*
 *----------------------------------------------------------------
 * Beginning a half
 *----------------------------------------------------------------
 */

/*
 * Another place for a half that is not in force: larger, or because where it is does
 * not take writes. -ENOSPC changes nothing.
 */
static int dmr_half_move(struct dmr_meta *m, unsigned int copies, unsigned int half,
			 u64 blocks)
{
	struct dmr_extent fresh[DMR_COPIES];
	unsigned int c;
	int r = 0;

	for (c = 0; c < DMR_COPIES && !r; c++) {
		if (!(copies & BIT(c)))
			continue;
		/* Far apart. */
		fresh[c].start = c ? DMR_HIGHEST : DMR_LOWEST;
		fresh[c].len = blocks * DMR_BLOCK_SECTORS;
		r = m->ops->take(m, &fresh[c]);
	}
	if (r) {
		/* The last has failed. */
		while (c-- > 1)
			if (copies & BIT(c - 1))
				m->ops->give(m, &fresh[c - 1]);
		return r;
	}
	for (c = 0; c < DMR_COPIES; c++) {
		if (!(copies & BIT(c)))
			continue;
		/* Extents are known by their address; the sectors stay taken. */
		m->ops->give(m, &fresh[c]);
		m->ops->give(m, &m->areas[c][half]);
		m->areas[c][half].start = fresh[c].start;
		WRITE_ONCE(m->areas[c][half].len, fresh[c].len);
		m->ops->take(m, &m->areas[c][half]);
	}
	/* Before anything is there, or an old superblock would hide it. */
	dmr_supers_write(m);
	return m->super_bad == DMR_BOTH_COPIES ? -EIO : 0;
}

/* Room in the other half for the map and @extra blocks more. */
static int dmr_half_prepare(struct dmr_meta *m, unsigned int half, u64 extra)
{
	u64 blocks = dmr_blocks_for(m->ops->count(m)) + extra;
	u64 have = dmr_half_blocks(m, half);
	int r = 0;

	if (blocks > have / 2)
		r = dmr_half_move(m, DMR_BOTH_COPIES, half, 4 * blocks);
	/* A copy that has failed may take writes elsewhere. */
	else if (m->log_bad && m->log_bad != DMR_BOTH_COPIES)
		r = dmr_half_move(m, m->log_bad, half, have);
	/* It can be without, if only the map fits where it is. */
	return r == -ENOSPC && blocks < have ? 0 : r;
}

/*
 * A half is complete: the superblocks make it the one that counts. What is older must
 * not be loaded: the half before, and a copy that failed.
 */
static int dmr_half_enter(struct dmr_meta *m)
{
	dmr_supers_write(m);
	if (m->super_bad == DMR_BOTH_COPIES)
		return -EIO;
	/* One that was not written leads to the half before: nothing must be there. */
	if (m->super_bad) {
		memset(m->buffer, 0, DMR_BLOCK_SIZE);
		for (unsigned int c = 0; c < DMR_COPIES; c++)
			m->ops->write(m, dmr_position(m, c, !m->writer.half, 0),
				      m->buffer, 1, true);
	}
	WRITE_ONCE(m->log_bad, m->stale);
	m->torn = false;
	m->half = m->writer.half;
	m->epoch = m->last_epoch;
	m->seq = m->writer.seq;
	m->prev = m->writer.prev;
	return 0;
}

/* Write the map as it is to a half, and make that the one that counts. */
static int dmr_half_write(struct dmr_meta *m, unsigned int half)
{
	unsigned int failed;
	int r;

	dmr_writer_begin(m, half, ++m->last_epoch, 0, 0);
	/* A copy that is out may be in again. */
	m->writer.failed = 0;
	r = m->ops->each(m, dmr_writer_put);
	if (r)
		return r;
	failed = dmr_writer_end(m);
	if (failed == DMR_BOTH_COPIES)
		return -EIO;

	m->stale = failed;
	m->floor = m->last_epoch;
	return dmr_half_enter(m);
}

/*
 * The map as it is begins the other half. If that fails it may be on disk all the
 * same, and would hide what is appended to this one: then nothing may be.
 */
static int dmr_half_begin(struct dmr_meta *m, u64 extra)
{
	int r;

	/* Whether the superblocks tell of it nobody knows: it must not be written over. */
	if (m->floor > m->epoch) {
		r = dmr_half_enter(m);
		WRITE_ONCE(m->doubt, r);
		return r;
	}
	r = m->last_epoch < DMR_LAST_EPOCH ? dmr_half_prepare(m, !m->half, extra) : -ENOSPC;
	if (r)
		return r;
	r = dmr_half_write(m, !m->half);
	WRITE_ONCE(m->doubt, r);
	return r;
}

/*
 *----------------------------------------------------------------
 * Commits
 *----------------------------------------------------------------
 */

bool dmr_meta_behind(const struct dmr_meta *m)
{
	/* Without a superblock that was written for sure, areas may be elsewhere. */
	return m->doubt || m->log_bad & ~m->stale || m->super_bad == DMR_BOTH_COPIES;
}

int dmr_meta_begin(struct dmr_meta *m, u64 nr)
{
	u64 blocks = dmr_blocks_for(nr);
	int r = 0;

	/* Two blocks: it costs little to try again. */
	if (m->super_bad)
		dmr_supers_write(m);
	if (dmr_meta_behind(m) ||
	    m->seq + blocks > dmr_half_blocks(m, m->half) / 4 * 3)
		r = dmr_half_begin(m, blocks);
	/* Without room for more, what is left of this half will do. */
	if (r && (dmr_meta_behind(m) || r != -ENOSPC))
		return r;
	if (m->seq + blocks > dmr_half_blocks(m, m->half))
		return -ENOSPC;
	dmr_writer_begin(m, m->half, m->epoch, m->seq, m->prev);
	return 0;
}

void dmr_meta_put(struct dmr_meta *m, const struct dmr_change *change)
{
	if (!m->writer.err)
		m->writer.err = dmr_writer_put(m, change);
}

int dmr_meta_end(struct dmr_meta *m)
{
	unsigned int failed;

	failed = m->writer.err ? DMR_BOTH_COPIES : dmr_writer_end(m);
	WRITE_ONCE(m->log_bad, m->log_bad | failed);
	if (failed == DMR_BOTH_COPIES) {
		WRITE_ONCE(m->doubt, true);
		return -EIO;
	}
	m->seq = m->writer.seq;
	m->prev = m->writer.prev;
	return 0;
}

int dmr_meta_resume(struct dmr_meta *m)
{
	return dmr_half_begin(m, 1);
}

u64 dmr_meta_sectors(const struct dmr_meta *m)
{
	u64 sectors = READ_ONCE(m->second.len);

	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES; i++)
		sectors += READ_ONCE(m->areas[i / DMR_HALVES][i % DMR_HALVES].len);
	return sectors;
}

const char *dmr_meta_state(const struct dmr_meta *m)
{
	if (READ_ONCE(m->doubt) || READ_ONCE(m->super_bad) == DMR_BOTH_COPIES)
		return "failed";
	return READ_ONCE(m->log_bad) || READ_ONCE(m->super_bad) ? "degraded" : "ok";
}

/*
 *----------------------------------------------------------------
 * Reading the log
 *----------------------------------------------------------------
 */

/**
 * struct dmr_reader - goes through a half, block by block, in both copies at once
 * @m:		the metadata
 * @half:	which
 * @epoch:	that of the blocks that count
 * @seq:	the next block
 * @prev:	body checksum of the one before it
 * @base:	first block in the buffer
 * @have:	blocks in the buffer
 * @unread:	bit i: block i of the buffer could not be read, by copy
 * @filled:	bit c: the buffer has them of copy c
 * @any:	one copy of a block will do
 * @copies:	bit c: copy c is looked at
 * @intact:	bit c: it has the block that was returned last
 */
struct dmr_reader {
	struct dmr_meta	*m;
	unsigned int	half;
	u64		epoch;
	u32		seq;
	u32		prev;
	u32		base;
	unsigned int	have;
	unsigned int	unread[DMR_COPIES];
	unsigned int	filled;
	bool		any;
	unsigned int	copies;
	unsigned int	intact;
};

static void dmr_reader_begin(struct dmr_reader *rd, struct dmr_meta *m,
			     unsigned int half, u64 epoch)
{
	*rd = (struct dmr_reader) {
		.m = m,
		.half = half,
		.epoch = epoch,
		.copies = DMR_BOTH_COPIES & ~m->stale,
	};
}

/*
 * What cannot be read is as bad as what was read and is no block: zeros. Return: bit i:
 * block i could not be read.
 */
static unsigned int dmr_read_blocks(struct dmr_meta *m, u64 sector, void *data,
				    unsigned int nr)
{
	unsigned int unread = 0;

	if (!m->ops->read(m, sector, data, nr))
		return 0;
	for (unsigned int i = 0; i < nr; i++, data += DMR_BLOCK_SIZE)
		if (nr == 1 ||
		    m->ops->read(m, sector + i * DMR_BLOCK_SECTORS, data, 1)) {
			memset(data, 0, DMR_BLOCK_SIZE);
			unread |= BIT(i);
		}
	return unread;
}

/* The block at @seq, of a copy that is looked at, as it was read. */
static struct dmr_block *dmr_reader_block(struct dmr_reader *rd, unsigned int copy)
{
	struct dmr_meta *m = rd->m;

	if (rd->seq - rd->base >= rd->have) {
		rd->base = rd->seq;
		rd->have = min_t(u32, DMR_META_CHUNK,
				 dmr_half_blocks(m, rd->half) - rd->base);
		rd->filled = 0;
	}
	if (!(rd->filled & BIT(copy))) {
		rd->unread[copy] = dmr_read_blocks(m, dmr_position(m, copy, rd->half, rd->base),
						   dmr_buffer(m, copy, 0), rd->have);
		rd->filled |= BIT(copy);
	}
	return dmr_buffer(m, copy, rd->seq - rd->base);
}

/* Is a block one of this half? */
static bool dmr_reader_intact(const struct dmr_reader *rd, const struct dmr_block *block,
			      unsigned int copy, u32 *body)
{
	return dmr_block_intact(block, rd->m->uuid, rd->seq,
				dmr_position(rd->m, copy, rd->half, rd->seq), body) &&
	       le64_to_cpu(block->epoch) == rd->epoch;
}

/* The next block of the log, or NULL at its end. */
static struct dmr_block *dmr_reader_next(struct dmr_reader *rd)
{
	struct dmr_block *block, *found = NULL;
	u32 body, prev = 0;

	if (rd->seq == dmr_half_blocks(rd->m, rd->half))
		return NULL;

	rd->intact = 0;
	for (unsigned int c = 0; c < DMR_COPIES && !(found && rd->any); c++) {
		if (!(rd->copies & BIT(c)))
			continue;
		block = dmr_reader_block(rd, c);
		if (!dmr_reader_intact(rd, block, c, &body) ||
		    le32_to_cpu(block->prev) != rd->prev)
			continue;
		/* Where copies disagree, the first is right, for whoever goes through them. */
		if (found && body != prev)
			continue;
		rd->intact |= BIT(c);
		prev = body;
		found = block;
	}
	if (!found)
		return NULL;
	rd->prev = prev;
	rd->seq++;
	return found;
}

/**
 * struct dmr_scan - what was found in a half
 * @end:	blocks in complete commits
 * @records:	in these
 * @prev:	body checksum of the last of them
 * @lacking:	bit c: copy c lacks some of them
 * @torn:	blocks of a commit that is not complete follow
 * @damaged:	a later commit is there, so something that counts is missing
 */
struct dmr_scan {
	u32		end;
	u64		records;
	u32		prev;
	unsigned int	lacking;
	bool		torn;
	bool		damaged;
};

/*
 * Is there a block of a commit that began behind the hole, or the last of that with the hole?
 * All blocks before it were durable when it was written.
 */
static bool dmr_later_block(struct dmr_reader *rd, u32 hole, u32 seq)
{
	const struct dmr_block *block;
	u32 body;

	rd->seq = seq;
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		if (!(rd->copies & BIT(c)))
			continue;
		block = dmr_reader_block(rd, c);
		if (dmr_reader_intact(rd, block, c, &body) &&
		    (le32_to_cpu(block->first) > hole ||
		     !(le16_to_cpu(block->flags) & DMR_BLOCK_MORE)))
			return true;
	}
	return false;
}

static bool dmr_later_commit(struct dmr_reader *rd)
{
	u32 hole = rd->seq, blocks = dmr_half_blocks(rd->m, rd->half);
	u64 ahead;

	for (ahead = 1; ahead < blocks - hole;
	     ahead += ahead < DMR_LOOK_AHEAD ? 1 : ahead)
		if (dmr_later_block(rd, hole, hole + ahead))
			return true;
	return false;
}

/* No copy shows what is there: that is not the end of the log. */
static bool dmr_reader_blind(const struct dmr_reader *rd)
{
	unsigned int at = rd->seq - rd->base;

	if (at >= rd->have)
		return false;
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		if (rd->copies & BIT(c) && !(rd->unread[c] & BIT(at)))
			return false;
	return true;
}

static void dmr_scan(struct dmr_meta *m, unsigned int half, u64 epoch,
		     struct dmr_scan *scan)
{
	unsigned int lacking = 0;
	struct dmr_block *block;
	u64 records = 0;
	struct dmr_reader rd;

	memset(scan, 0, sizeof(*scan));
	dmr_reader_begin(&rd, m, half, epoch);
	while ((block = dmr_reader_next(&rd))) {
		lacking |= rd.copies & ~rd.intact;
		records += le16_to_cpu(block->nr);
		if (le16_to_cpu(block->flags) & DMR_BLOCK_MORE)
			continue;
		scan->end = rd.seq;
		scan->prev = rd.prev;
		scan->records = records;
		scan->lacking = lacking;
	}
	scan->torn = rd.seq > scan->end;
	scan->damaged = dmr_reader_blind(&rd) || dmr_later_commit(&rd);
}

/* The highest epoch that counts and begins a half, in any of @copies; 0 if none does. */
static u64 dmr_half_epoch(struct dmr_meta *m, unsigned int half, unsigned int copies)
{
	u64 epoch = 0;
	u32 body;

	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		const struct dmr_block *block = dmr_buffer(m, c, 0);
		u64 position = dmr_position(m, c, half, 0), ahead;

		if (!(copies & BIT(c)))
			continue;
		dmr_read_blocks(m, position, dmr_buffer(m, c, 0), 1);
		ahead = le64_to_cpu(block->epoch) - m->floor;
		if (dmr_block_intact(block, m->uuid, 0, position, &body) &&
		    ahead <= DMR_EPOCHS_AHEAD)
			epoch = max(epoch, m->floor + ahead);
	}
	return epoch;
}

/* The newest half that is complete. */
static int dmr_find_half(struct dmr_meta *m, struct dmr_scan *scan)
{
	u64 epochs[DMR_HALVES];

	m->last_epoch = m->floor;
	for (unsigned int h = 0; h < DMR_HALVES; h++) {
		u64 out = dmr_half_epoch(m, h, m->stale);

		epochs[h] = dmr_half_epoch(m, h, DMR_BOTH_COPIES & ~m->stale);
		/* What is out now will be in again, and must not count for more then. */
		m->last_epoch = max(m->last_epoch, max(epochs[h], out));
	}
	m->half = epochs[1] > epochs[0];
	for (unsigned int i = 0; i < DMR_HALVES; i++, m->half = !m->half) {
		m->epoch = epochs[m->half];
		if (!m->epoch)
			break;
		dmr_scan(m, m->half, m->epoch, scan);
		if (scan->damaged)
			break;
		/* One that was never completed: the half before it counts. */
		if (scan->end)
			return 0;
	}
	m->ops->problem(m, "both copies of the log are damaged");
	return -EUCLEAN;
}

static int dmr_apply_block(struct dmr_meta *m, const struct dmr_block *block)
{
	for (unsigned int i = 0; i < le16_to_cpu(block->nr); i++) {
		struct dmr_change change;
		int r;

		dmr_block_get(block, i, &change);
		r = m->ops->apply(m, &change);
		if (r) {
			m->ops->problem(m,
					"record %u of block %u (main sector %llu) cannot be applied",
					i, le32_to_cpu(block->seq), change.main);
			return r;
		}
	}
	return 0;
}

/* Go through the log that was found, and do something with its blocks. */
static int dmr_replay(struct dmr_meta *m, bool any,
		      int (*fn)(struct dmr_reader *rd, struct dmr_block *block))
{
	struct dmr_reader rd;
	int r = 0;

	dmr_reader_begin(&rd, m, m->half, m->epoch);
	rd.any = any;
	while (rd.seq < m->seq && !r) {
		struct dmr_block *block = dmr_reader_next(&rd);

		/* It was there a moment ago. */
		r = block ? fn(&rd, block) : -EUCLEAN;
	}
	return r;
}

static int dmr_replay_apply(struct dmr_reader *rd, struct dmr_block *block)
{
	return dmr_apply_block(rd->m, block);
}

static int dmr_take_areas(struct dmr_meta *m)
{
	int r;

	m->second.start = m->backup;
	WRITE_ONCE(m->second.len, DMR_BLOCK_SECTORS);
	r = m->ops->take(m, &m->second);
	for (unsigned int i = 0; i < DMR_COPIES * DMR_HALVES && !r; i++)
		r = m->ops->take(m, &m->areas[i / DMR_HALVES][i % DMR_HALVES]);
	return r ? -EUCLEAN : 0;
}

int dmr_meta_find(struct dmr_meta *m)
{
	struct dmr_scan scan;
	int r;

	r = dmr_find_half(m, &scan);
	if (r)
		return r;
	m->seq = scan.end;
	m->records = scan.records;
	m->prev = scan.prev;
	WRITE_ONCE(m->log_bad, scan.lacking | m->stale);
	m->torn = scan.torn;
	WRITE_ONCE(m->doubt, false);
	return 0;
}

int dmr_meta_load(struct dmr_meta *m)
{
	/* The areas last: where they are now may have been mapped before. */
	int r = dmr_replay(m, true, dmr_replay_apply);

	return r ? r : dmr_take_areas(m);
}

/* Write a block to the copy that lacks it. */
static int dmr_replay_mend(struct dmr_reader *rd, struct dmr_block *block)
{
	struct dmr_meta *m = rd->m;

	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		u64 position = dmr_position(m, c, m->half, rd->seq - 1);

		if (!(rd->copies & BIT(c)) || rd->intact & BIT(c))
			continue;
		dmr_block_seal(block, position);
		if (m->ops->write(m, position, block, 1, false))
			return -EIO;
	}
	return 0;
}

int dmr_meta_recover(struct dmr_meta *m)
{
	/* What is in doubt only another half settles. */
	if (m->doubt)
		return dmr_half_begin(m, 1);
	/* Where it cannot be mended in place a new half is begun. */
	if (m->log_bad && !m->stale && !dmr_replay(m, false, dmr_replay_mend))
		WRITE_ONCE(m->log_bad, 0);
	if (m->log_bad || m->torn)
		return dmr_half_begin(m, 1);
	/* Durable: it flushes what was mended, too. */
	dmr_supers_write(m);
	return m->super_bad == DMR_BOTH_COPIES ? -EIO : 0;
}

/**
 * enum dmr_sameness - what a copy says
 * @DMR_SAME:	what was last written
 * @DMR_SILENT:	nothing: it cannot be read, or could not be written
 * @DMR_BAD:	nothing, but it can be read
 * @DMR_OTHER:	something else
 */
enum dmr_sameness { DMR_SAME, DMR_SILENT, DMR_BAD, DMR_OTHER };

static enum dmr_sameness dmr_super_same(struct dmr_meta *m, unsigned int copy)
{
	const struct dmr_super *super = m->buffer;
	u64 position = copy ? m->backup : 0;

	if (m->super_bad & BIT(copy) || m->ops->read(m, position, m->buffer, 1))
		return DMR_SILENT;
	if (!dmr_super_intact(super, position))
		return DMR_BAD;
	return memcmp(super->uuid, m->uuid, sizeof(m->uuid)) ||
	       le64_to_cpu(super->generation) != m->generation ? DMR_OTHER : DMR_SAME;
}

static enum dmr_sameness dmr_log_same(struct dmr_meta *m, unsigned int copy)
{
	u64 position = dmr_position(m, copy, m->half, m->seq - 1);
	const struct dmr_block *block = m->buffer;
	u32 body;

	if (m->log_bad & BIT(copy) || m->ops->read(m, position, m->buffer, 1))
		return DMR_SILENT;
	if (!dmr_block_intact(block, m->uuid, m->seq - 1, position, &body))
		return DMR_BAD;
	return le64_to_cpu(block->epoch) != m->epoch || body != m->prev ? DMR_OTHER :
									   DMR_SAME;
}

/* Nothing is noted of a spare that is not ours for sure. */
static bool dmr_same(const enum dmr_sameness *copies, unsigned int *bad)
{
	bool damaged = copies[0] == DMR_BAD || copies[1] == DMR_BAD;

	*bad = 0;
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		if (copies[c] == DMR_OTHER)
			return false;
		*bad |= copies[c] == DMR_SAME ? 0 : BIT(c);
	}
	/* One that cannot be read says nothing against it: what is known goes on. */
	return *bad != DMR_BOTH_COPIES || !damaged;
}

int dmr_meta_same(struct dmr_meta *m)
{
	enum dmr_sameness supers[DMR_COPIES], logs[DMR_COPIES];
	unsigned int super_bad, log_bad;

	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		supers[c] = dmr_super_same(m, c);
		logs[c] = dmr_log_same(m, c);
	}
	if (!dmr_same(supers, &super_bad) || !dmr_same(logs, &log_bad))
		return -EUCLEAN;
	WRITE_ONCE(m->super_bad, super_bad);
	WRITE_ONCE(m->log_bad, log_bad);
	return 0;
}

/*
 *----------------------------------------------------------------
 * Formatting
 *----------------------------------------------------------------
 */

/* The first copy behind the first superblock, the second behind the second. */
static int dmr_layout(struct dmr_meta *m)
{
	/* Whole blocks of main, or what lies between could not be used. */
	u64 unit = max_t(u64, DMR_BLOCK_SECTORS, m->block);
	u64 half = round_up((m->size / DMR_BLOCK_SECTORS / DMR_BLOCK_RECORDS +
			     DMR_MIN_HALF) * DMR_BLOCK_SECTORS, unit);

	if (m->size < 4 * DMR_BLOCK_SECTORS)
		return -ENOSPC;
	m->backup = rounddown_pow_of_two(m->size / 2);
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		for (unsigned int h = 0; h < DMR_HALVES; h++) {
			m->areas[c][h].start = (c ? m->backup : 0) +
					       unit + h * half;
			WRITE_ONCE(m->areas[c][h].len, half);
		}
	if (unit + DMR_HALVES * half > m->backup ||
	    m->backup + unit + DMR_HALVES * half > m->size)
		return -ENOSPC;
	return 0;
}

int dmr_meta_format(struct dmr_meta *m)
{
	int r = dmr_layout(m);

	if (!r)
		r = dmr_take_areas(m);
	if (r)
		return r;
	m->spare_size = m->size;
	m->compat = 0;
	m->ro_compat = 0;
	m->generation = 0;
	m->floor = 1;
	m->stale = 0;
	WRITE_ONCE(m->log_bad, 0);
	m->torn = false;
	m->half = 0;
	m->epoch = 1;
	m->last_epoch = 1;

	r = dmr_super_unfinished(m);
	if (r)
		return r;
	dmr_writer_begin(m, 0, 1, 0, 0);
	if (dmr_writer_end(m))
		return -EIO;
	m->seq = m->writer.seq;
	m->prev = m->writer.prev;
	WRITE_ONCE(m->doubt, false);
	/* With the first it is done. */
	dmr_supers_write(m);
	return m->super_bad ? -EIO : 0;
}

/*
 *----------------------------------------------------------------
 * Moving to another spare
 *----------------------------------------------------------------
 */

int dmr_meta_retire(struct dmr_meta *m, const u8 *peer)
{
	m->moving = DMR_SUPER_RETIRED;
	memcpy(m->peer, peer, sizeof(m->peer));
	dmr_supers_write(m);
	return m->super_bad == DMR_BOTH_COPIES ? -EIO : 0;
}

int dmr_meta_join(struct dmr_meta *m)
{
	m->moving = 0;
	memset(m->peer, 0, sizeof(m->peer));
	dmr_supers_write(m);
	return m->super_bad == DMR_BOTH_COPIES ? -EIO : 0;
}

// SPDX-License-Identifier: GPL-2.0-only
#include "survey.h"
#include "tool.h"

#include <string.h>

#include <linux/kernel.h>
#include <asm/byteorder.h>

/* As metadata.c looks ahead. */
#define LOOK_AHEAD	256

static const char *const copy_names[DMR_COPIES] = { "first", "second" };

static bool blank(const void *block)
{
	static const u8 zeros[DMR_BLOCK_SIZE];

	return !memcmp(block, zeros, sizeof(zeros));
}

const char *survey_super(struct dmr_meta *m, u64 sector, struct dmr_super *super)
{
	if (sector > m->size - DMR_BLOCK_SECTORS || m->ops->read(m, sector, super, 1))
		return "cannot be read";
	if (blank(super))
		return "is blank";
	if (memcmp(super->magic, DMR_SUPER_MAGIC, sizeof(super->magic)))
		return "is none";
	if (le64_to_cpu(super->position) != sector)
		return "is of another sector";
	return dmr_super_intact(super, sector) ? NULL : "has a wrong checksum";
}

u64 survey_sector(const struct survey *s, unsigned int copy, u32 seq)
{
	return s->m->areas[copy][s->half].start + (u64)seq * DMR_BLOCK_SECTORS;
}

/* But for its epoch, which is not known yet. */
static const char *block_fault(const struct survey *s, unsigned int copy, u32 seq)
{
	const struct dmr_block *block = s->blocks[copy];
	u64 sector = survey_sector(s, copy, seq);
	u32 body;

	if (blank(block))
		return "blank";
	if (memcmp(block->magic, DMR_LOG_MAGIC, sizeof(block->magic)))
		return "not of the log";
	if (memcmp(block->uuid, s->m->uuid, sizeof(block->uuid)))
		return "of another UUID";
	if (le64_to_cpu(block->position) != sector)
		return "of another sector";
	if (le64_to_cpu(block->epoch) > DMR_LAST_EPOCH)
		return "of no epoch";
	return dmr_block_intact(block, s->m->uuid, seq, sector, &body) ? NULL : "damaged";
}

void survey_read(struct survey *s, u32 seq)
{
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		struct dmr_block *block = s->m->buffer + c * DMR_BLOCK_SIZE;

		s->blocks[c] = block;
		if (s->m->stale & BIT(c))
			s->fault[c] = "out";
		/* Of areas that were guessed one may be too long. */
		else if (survey_sector(s, c, seq) > s->m->size - DMR_BLOCK_SECTORS)
			s->fault[c] = "beyond the end";
		else if (s->m->ops->read(s->m, survey_sector(s, c, seq), block, 1))
			s->fault[c] = "unreadable";
		else
			s->fault[c] = block_fault(s, c, seq);
		if (s->epoch && !s->fault[c] && le64_to_cpu(block->epoch) != s->epoch)
			s->fault[c] = "of another epoch";
	}
}

/* The highest epoch of the blocks at @seq. */
static u64 epoch_at(struct survey *s, u32 seq)
{
	u64 epoch = 0;

	survey_read(s, seq);
	for (unsigned int c = 0; c < DMR_COPIES; c++)
		if (!s->fault[c])
			epoch = max(epoch, le64_to_cpu(s->blocks[c]->epoch));
	return epoch;
}

/*
 * The highest epoch counts, wherever it is: the blocks before may all be lost. Far
 * behind what was found, at doubling distances.
 */
void survey_half(struct survey *s, struct dmr_meta *m, unsigned int half)
{
	u64 blocks = m->areas[0][half].len / DMR_BLOCK_SECTORS, ahead;

	*s = (struct survey) { .m = m, .half = half };
	for (u64 seq = 0; seq < blocks; seq += ahead < LOOK_AHEAD ? 1 : ahead) {
		u64 found, epoch = s->epoch;

		s->epoch = 0;
		found = epoch_at(s, seq);
		s->epoch = max(epoch, found);
		if (found && found == s->epoch)
			s->end = seq + 1;
		ahead = seq + 1 - s->end;
	}
}

u64 survey_epoch(struct dmr_meta *m)
{
	unsigned int stale = m->stale;
	u64 epoch = 0;

	m->stale = 0;
	for (unsigned int h = 0; h < DMR_HALVES; h++) {
		u32 blocks = m->areas[0][h].len / DMR_BLOCK_SECTORS;
		struct survey s = { .m = m, .half = h };

		/* All of them: a loader looks elsewhere than survey_half() does. */
		for (u32 seq = 0; seq < blocks; seq++)
			epoch = max(epoch, epoch_at(&s, seq));
	}
	m->stale = stale;
	return epoch;
}

static void tell_run(const struct survey *s, unsigned int copy, const char *fault, u32 from,
		     u32 to)
{
	if (to - from == 1)
		say("log, %s copy: block %u (sector %llu) is %s", copy_names[copy], from,
		    survey_sector(s, copy, from), fault);
	else
		say("log, %s copy: blocks %u to %u (from sector %llu) are %s", copy_names[copy],
		    from, to - 1, survey_sector(s, copy, from), fault);
}

void survey_tell(struct survey *s, u32 end, unsigned int copies)
{
	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		const char *fault = NULL;
		u32 from = 0;

		for (u32 seq = 0; seq < end && copies & BIT(c); seq++) {
			survey_read(s, seq);
			if (s->fault[c] == fault)
				continue;
			if (fault)
				tell_run(s, c, fault, from, seq);
			fault = s->fault[c];
			from = seq;
		}
		if (fault)
			tell_run(s, c, fault, from, end);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has failed below: how often, and the last of it, for a person to see.
 */
#ifndef DMR_ERRORS_H
#define DMR_ERRORS_H

#include <linux/bio.h>
#include <linux/spinlock.h>

struct dmr_core;

#define DMR_NR_ERRORS 8

/* Bytes that an error takes in a reply, at most. */
#define DMR_ERROR_LEN 128

/**
 * struct dmr_error - something that has failed below
 * @time:	in seconds since 1970
 * @sector:	the first: of main, whoever served it, or of the spare
 * @len:	sectors, 0 for a flush
 * @opf:	what was tried
 * @status:	the error
 * @spare:	it is a sector of the spare, that was to be used
 */
struct dmr_error {
	time64_t	time;
	u64		sector;
	u64		len;
	blk_opf_t	opf;
	blk_status_t	status;
	bool		spare;
};

/**
 * struct dmr_errors - the last errors
 * @lock:	taken where bios end
 * @nr:		how many there were
 * @last:	of these, the last
 */
struct dmr_errors {
	spinlock_t		lock;		/* all below */
	unsigned int		nr;
	struct dmr_error	last[DMR_NR_ERRORS];
};

/**
 * dmr_error_saw - count an error from below by its kind, and keep it
 * @core:	the core
 * @error:	all but the time: a block, where it is known which has failed, or an I/O
 *
 * Context: any.
 */
void dmr_error_saw(struct dmr_core *core, const struct dmr_error *error);

/* A bio of the device ends with an error: count it. Context: any. */
void dmr_error_ends(struct dmr_core *core, blk_opf_t opf);

/**
 * dmr_error_print - one of the last errors
 * @i:		0 is the oldest, DMR_NR_ERRORS - 1 the newest
 * @text:	DMR_ERROR_LEN bytes for it
 *
 * Return: false if there were not so many.
 */
bool dmr_error_print(struct dmr_core *core, unsigned int i, char *text);

#endif /* DMR_ERRORS_H */

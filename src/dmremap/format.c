// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <linux/kernel.h>

/* Whatever is there is somebody's, but zeros. */
static int refuse_contents(struct spare *spare)
{
	const char *path = spare->dev.path, *what = foreign_contents(&spare->dev);
	char text[UUID_TEXT];
	int r;

	if (what)
		return complain("%s: %s (see --force)", path, what);
	r = owner_probe(&spare->owner);
	if (r == -ENODATA)
		return DONE;
	if (!r)
		return complain("%s is a spare already, %s (see --force)", path,
				uuid_text(spare->owner.m.uuid, text));
	return complain("%s is not blank: %s (see --force)", path, spare->owner.said);
}

static int write_metadata(struct spare *spare, const struct options *opt, u64 len, u32 block)
{
	struct dmr_meta *m = &spare->owner.m;
	char text[UUID_TEXT];
	int r;

	owner_reset(&spare->owner, round_down(spare->dev.sectors, block));
	m->len = len;
	m->block = block;
	if (opt->main_id)
		strcpy(m->main_id, opt->main_id);
	if (getrandom(m->uuid, sizeof(m->uuid), 0) != sizeof(m->uuid))
		return complain("no random numbers: %s", strerror(errno));
	/* RFC 4122, 4.4 */
	m->uuid[6] = (m->uuid[6] & 0x0f) | 0x40;
	m->uuid[8] = (m->uuid[8] & 0x3f) | 0x80;
	r = dmr_meta_format(m);
	if (r == -ENOSPC)
		return complain("%s, of %llu sectors, is too small for metadata",
				spare->dev.path, spare->dev.sectors);
	if (r)
		return complain("%s cannot be written: %s", spare->dev.path, strerror(-r));
	say("%s is a spare of a main device of %llu sectors, %s", spare->dev.path, len,
	    uuid_text(m->uuid, text));
	return DONE;
}

static int format(struct spare *spare, const struct options *opt)
{
	u32 block;
	u64 len;
	int r = main_options(opt, spare, &len, &block);

	if (r)
		return r;
	if (spare->dev.block > block)
		return complain("%s has blocks of %u sectors; main's are %u", opt->spare,
				spare->dev.block, block);
	r = opt->force ? wipe_contents(spare) : refuse_contents(spare);
	return r ? r : write_metadata(spare, opt, len, block);
}

int run_format(const struct options *opt)
{
	struct spare spare;

	if (spare_open(&spare, opt->spare, DEVICE_WRITE))
		return FAILED;
	return spare_close(&spare, format(&spare, opt));
}

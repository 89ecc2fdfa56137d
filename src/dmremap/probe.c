// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <blkid/blkid.h>
#include <stdio.h>

static void tell_udev(const struct dmr_meta *m)
{
	char text[UUID_TEXT], id[4 * DMR_MAIN_ID_SIZE + 1] = "";

	blkid_encode_string(m->main_id, id, sizeof(id));
	printf("DMREMAP_TYPE=spare\n");
	printf("DMREMAP_VERSION=%u\n", DMR_VERSION);
	printf("DMREMAP_UUID=%s\n", uuid_text(m->uuid, text));
	printf("DMREMAP_MAIN_ID=%s\n", id);
	printf("DMREMAP_MAIN_SECTORS=%llu\n", m->len);
	printf("DMREMAP_MAIN_BLOCK=%u\n", m->block);
}

static void tell(const struct spare *spare)
{
	const struct dmr_meta *m = &spare->owner.m;
	char text[UUID_TEXT];

	say("%s is a spare of a main device of %llu sectors", spare->dev.path, m->len);
	say("uuid %s", uuid_text(m->uuid, text));
	say("main_id %s", m->main_id);
	say("block %u", m->block);
	say("spare_size %llu", m->spare_size);
	say("generation %llu", m->generation);
}

int run_probe(const struct options *opt)
{
	struct spare spare;
	int r;

	if (spare_open(&spare, opt->spare, DEVICE_READ))
		return FAILED;
	r = owner_probe(&spare.owner);
	if (r && !opt->quiet)
		complain_spare(&spare, r);
	else if (!r && opt->udev)
		tell_udev(&spare.owner.m);
	else if (!r)
		tell(&spare);
	return spare_close(&spare, r ? FAILED : DONE);
}

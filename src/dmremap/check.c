// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"
#include "survey.h"

#include <errno.h>
#include <string.h>

#include <linux/kernel.h>
#include <asm/byteorder.h>

static const char *const super_names[DMR_COPIES] = { "first", "second" };

/* Those that have to be written again: damaged, older, or of another format. */
static void tell_supers(struct dmr_meta *m)
{
	struct dmr_super *super = m->buffer;

	for (unsigned int c = 0; c < DMR_COPIES; c++) {
		u64 sector = c ? m->backup : 0;
		const char *fault = survey_super(m, sector, super);

		if (!(m->super_bad & BIT(c)))
			continue;
		if (!fault && memcmp(super->uuid, m->uuid, sizeof(m->uuid)))
			fault = "is of another UUID";
		if (!fault)
			fault = "is older";
		say("%s superblock (sector %llu) %s", super_names[c], sector, fault);
	}
}

int check_tell(struct spare *spare, int r)
{
	struct owner *o = &spare->owner;
	struct dmr_meta *m = &o->m;
	struct survey s[DMR_HALVES];

	tell_supers(m);
	if (m->stale)
		say("log, %s copy: marked as out since a write to it has failed",
		    super_names[m->stale >> 1]);
	if (!r) {
		s[0] = (struct survey) { .m = m, .half = m->half, .epoch = m->epoch };
		survey_tell(&s[0], m->seq, m->log_bad & ~m->stale);
		return m->super_bad || m->log_bad ? FAILED : DONE;
	}
	for (unsigned int h = 0; h < DMR_HALVES; h++)
		survey_half(&s[h], m, h);
	/* Of the newer one. */
	survey_tell(&s[s[1].epoch > s[0].epoch], s[s[1].epoch > s[0].epoch].end,
		    (BIT(DMR_COPIES) - 1) & ~m->stale);
	return FAILED;
}

static int check(struct spare *spare)
{
	struct owner *o = &spare->owner;
	int r = owner_probe(o);
	bool found = !r;

	if (found)
		r = owner_replay(o);
	if (!found || r == -ENOMEM) {
		complain_spare(spare, r);
		if (r == -EEXIST || r == -EUCLEAN)
			say("if it was a spare, \"dmremap repair\" with --main looks for its log");
		return FAILED;
	}
	if (!check_tell(spare, r)) {
		say("%s is clean: %llu remaps", spare->dev.path, o->by_main.nr);
		return DONE;
	}
	if (r)
		say("%s is damaged: %s; \"dmremap repair\" saves what is intact",
		    spare->dev.path, *o->said ? o->said : "remaps and areas overlap");
	else
		say("%s is damaged in one copy: it is mended when it is loaded, or by repair",
		    spare->dev.path);
	return FAILED;
}

int run_check(const struct options *opt)
{
	struct spare spare;

	if (spare_open(&spare, opt->spare, DEVICE_READ))
		return FAILED;
	return spare_close(&spare, check(&spare));
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The spare under trial: the tool's owner of the module's metadata.c. Apart from the
 * rest because the kernel's types and those of dm.h do not mix.
 */
#ifndef CRASH_SPARE_H
#define CRASH_SPARE_H

#include "map.h"

/* Where the spare is: by sector, blocks of 4096 bytes; 0 or an errno. */
struct spare_io {
	int (*read)(void *context, uint64_t sector, void *data, unsigned int blocks);
	int (*write)(void *context, uint64_t sector, const void *data,
		     unsigned int blocks, bool durable);
	void *context;
};

/* One of a process. */
void spare_init(uint32_t main_sectors, uint32_t spare_sectors, const struct spare_io *io);
/* It is a disk of so many sectors that @io has from now on. */
void spare_choose(uint32_t spare_sectors);

/*
 * Load what is there. Returns 0; -ENODATA for a blank spare, with an empty map; or
 * why it is refused, and spare_said() has a sentence.
 */
int spare_load(void);
/* What its superblock said of a migration when it was loaded, or refused with -ESTALE. */
struct super {
	bool joining, retired;
	uint8_t uuid[16], peer[16];
};
struct super spare_super(void);
/*
 * Refused as joining: what `dmremap repair --from` does when the other one names it. Returns
 * 0, and it is to be loaded again, or an errno.
 */
int spare_join(void);
/* What the module does next, before any change: write what is lacking. */
int spare_recover(void);
int spare_format(uint64_t seed);
/* A change is an addition, or a removal where spare is NOWHERE. */
struct change {
	uint32_t main, spare, len;
	bool lost;			/* the judge's */
};
/* Make it durable, then part of the map. */
int spare_commit(const struct change *changes, unsigned int nr);
/* Is nothing on these sectors of the spare? */
bool spare_free(uint32_t spare, uint32_t len);
const struct map *spare_map(void);
/* Sectors of it that were put aside. */
unsigned int spare_aside(void);
/* What is being scrubbed; nothing where @rate is 0. */
struct scrub {
	uint32_t at, to, rate;
};
struct scrub spare_scrub(void);
const char *spare_said(void);
/* Remaps, sectors that metadata takes, and which half of the log it is: the
 * last two tell of growth. */
unsigned int spare_count(void);
unsigned int spare_area_sectors(void);
uint64_t spare_epoch(void);

#endif /* CRASH_SPARE_H */

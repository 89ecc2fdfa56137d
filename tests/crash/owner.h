/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns a spare, on the host: the module's metadata.c and a map of plain arrays.
 * Apart from the rest because the kernel's types and those of dm.h do not mix.
 */
#ifndef CRASH_OWNER_H
#define CRASH_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define NOWHERE	UINT32_MAX

/**
 * struct map - what is served by the spare
 * @sectors:	of main
 * @to:		by main sector: sector of the spare, or NOWHERE
 * @len:	sectors of the remap that starts there, or 0
 */
struct map {
	uint32_t	sectors;
	uint32_t	*to;
	uint32_t	*len;
};

void map_init(struct map *map, uint32_t sectors);
void map_copy(struct map *map, const struct map *from);
bool map_same(const struct map *a, const struct map *b);
/* False when some of it is mapped already. */
bool map_add(struct map *map, uint32_t main, uint32_t spare, uint32_t len);
/* What is left of a remap is a remap. */
void map_cut(struct map *map, uint32_t main, uint32_t len);
/* Is any of it mapped? */
bool map_any(const struct map *map, uint32_t main, uint32_t len);

/* Where the spare is: by sector, blocks of 4096 bytes; 0 or an errno. */
struct spare_io {
	int (*read)(void *context, uint64_t sector, void *data, unsigned int blocks);
	int (*write)(void *context, uint64_t sector, const void *data,
		     unsigned int blocks, bool durable);
	void *context;
};

/* One of a process. */
void owner_init(uint32_t main_sectors, uint32_t spare_sectors, const struct spare_io *io);

/*
 * Load what is there. Returns 0; -ENODATA for a blank spare, with an empty map; or
 * why it is refused, and owner_said() has a sentence.
 */
int owner_load(void);
/* What the module does next, before any change: write what is lacking. */
int owner_recover(void);
int owner_format(uint64_t seed);
/* A change is an addition, or a removal where spare is NOWHERE. */
struct change {
	uint32_t main, spare, len;
};
/* Make it durable, then part of the map. */
int owner_commit(const struct change *changes, unsigned int nr);
/* Is nothing on these sectors of the spare? */
bool owner_free(uint32_t spare, uint32_t len);
const struct map *owner_map(void);
const char *owner_said(void);
/* Remaps, sectors that metadata takes, and which half of the log it is: the
 * last two tell of growth. */
unsigned int owner_count(void);
unsigned int owner_area_sectors(void);
uint64_t owner_epoch(void);

#endif /* CRASH_OWNER_H */

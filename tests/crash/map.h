/* SPDX-License-Identifier: GPL-2.0-only */
/* What is served by the spare, as plain arrays: what a map is judged by. */
#ifndef CRASH_MAP_H
#define CRASH_MAP_H

#include <stdbool.h>
#include <stdint.h>

#define NOWHERE	UINT32_MAX

/**
 * struct map - who serves the sectors of main
 * @sectors:	of main
 * @to:		by main sector: sector of the spare, or NOWHERE
 * @len:	sectors of the remap that starts there, or 0
 * @lost:	by main sector: not 0 when its place holds no data
 * @pending:	by main sector: not 0 when it could not be read
 */
struct map {
	uint32_t	sectors;
	uint32_t	*to;
	uint32_t	*len;
	uint8_t		*lost;
	uint8_t		*pending;
};

void map_init(struct map *map, uint32_t sectors);
void map_clear(struct map *map);
void map_copy(struct map *map, const struct map *from);
bool map_same(const struct map *a, const struct map *b);
/* As map_same(), but wherever on the spare it is, and in whatever parts. */
bool map_same_sectors(const struct map *a, const struct map *b);
/* False when some of it is mapped already. */
bool map_add(struct map *map, uint32_t main, uint32_t spare, uint32_t len);
/* The sectors of a remap from @main on are another from there on. */
void map_split(struct map *map, uint32_t main);
/* What is left of a remap is a remap. */
void map_cut(struct map *map, uint32_t main, uint32_t len);
/* Is any of it mapped? */
bool map_any(const struct map *map, uint32_t main, uint32_t len);

#endif /* CRASH_MAP_H */

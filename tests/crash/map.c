// SPDX-License-Identifier: GPL-2.0-only
#include "map.h"

#include <stdlib.h>
#include <string.h>

static void *array(uint32_t nr)
{
	void *p = calloc(nr, sizeof(uint32_t));

	if (!p)
		abort();
	return p;
}

void map_clear(struct map *map)
{
	memset(map->to, 0xff, map->sectors * sizeof(*map->to));
	memset(map->len, 0, map->sectors * sizeof(*map->len));
}

void map_init(struct map *map, uint32_t sectors)
{
	map->sectors = sectors;
	map->to = array(sectors);
	map->len = array(sectors);
	map_clear(map);
}

void map_copy(struct map *map, const struct map *from)
{
	memcpy(map->to, from->to, from->sectors * sizeof(*from->to));
	memcpy(map->len, from->len, from->sectors * sizeof(*from->len));
}

bool map_same(const struct map *a, const struct map *b)
{
	return !memcmp(a->to, b->to, a->sectors * sizeof(*a->to)) &&
	       !memcmp(a->len, b->len, a->sectors * sizeof(*a->len));
}

bool map_any(const struct map *map, uint32_t main, uint32_t len)
{
	for (uint32_t s = main; s < main + len; s++)
		if (map->to[s] != NOWHERE)
			return true;
	return false;
}

bool map_add(struct map *map, uint32_t main, uint32_t spare, uint32_t len)
{
	if (map_any(map, main, len))
		return false;
	for (uint32_t i = 0; i < len; i++)
		map->to[main + i] = spare + i;
	map->len[main] = len;
	return true;
}

void map_cut(struct map *map, uint32_t main, uint32_t len)
{
	uint32_t end = main + len, start = main;

	/* The remap that reaches in from before. */
	while (map->to[main] != NOWHERE && !map->len[start])
		start--;
	if (start < main) {
		uint32_t rest = start + map->len[start];

		map->len[start] = main - start;
		if (rest > end)
			map->len[end] = rest - end;
	}
	for (uint32_t s = main; s < end; s++) {
		if (s + map->len[s] > end)
			map->len[end] = s + map->len[s] - end;
		map->len[s] = 0;
		map->to[s] = NOWHERE;
	}
}

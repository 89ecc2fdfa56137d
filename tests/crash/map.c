// SPDX-License-Identifier: GPL-2.0-only
#include "map.h"

#include <stdlib.h>
#include <string.h>

static void *array(uint32_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		abort();
	return p;
}

void map_clear(struct map *map)
{
	memset(map->to, 0xff, map->sectors * sizeof(*map->to));
	memset(map->len, 0, map->sectors * sizeof(*map->len));
	memset(map->lost, 0, map->sectors);
	memset(map->pending, 0, map->sectors);
}

void map_init(struct map *map, uint32_t sectors)
{
	map->sectors = sectors;
	map->to = array(sectors, sizeof(*map->to));
	map->len = array(sectors, sizeof(*map->len));
	map->lost = array(sectors, 1);
	map->pending = array(sectors, 1);
	map_clear(map);
}

void map_copy(struct map *map, const struct map *from)
{
	memcpy(map->to, from->to, from->sectors * sizeof(*from->to));
	memcpy(map->len, from->len, from->sectors * sizeof(*from->len));
	memcpy(map->lost, from->lost, from->sectors);
	memcpy(map->pending, from->pending, from->sectors);
}

static bool map_same_medium(const struct map *a, const struct map *b)
{
	return !memcmp(a->lost, b->lost, a->sectors) &&
	       !memcmp(a->pending, b->pending, a->sectors);
}

bool map_same(const struct map *a, const struct map *b)
{
	return !memcmp(a->to, b->to, a->sectors * sizeof(*a->to)) &&
	       !memcmp(a->len, b->len, a->sectors * sizeof(*a->len)) &&
	       map_same_medium(a, b);
}

bool map_same_sectors(const struct map *a, const struct map *b)
{
	for (uint32_t s = 0; s < a->sectors; s++)
		if ((a->to[s] == NOWHERE) != (b->to[s] == NOWHERE))
			return false;
	return map_same_medium(a, b);
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

void map_split(struct map *map, uint32_t main)
{
	uint32_t start = main;

	if (main == map->sectors || map->to[main] == NOWHERE)
		return;
	while (!map->len[start])
		start--;
	if (start == main)
		return;
	map->len[main] = start + map->len[start] - main;
	map->len[start] = main - start;
}

void map_cut(struct map *map, uint32_t main, uint32_t len)
{
	map_split(map, main);
	map_split(map, main + len);
	for (uint32_t s = main; s < main + len; s++) {
		map->len[s] = 0;
		map->to[s] = NOWHERE;
		map->lost[s] = 0;
		map->pending[s] = 0;
	}
}

// SPDX-License-Identifier: GPL-2.0-only
#include "runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#define CHUNK_RUNS	127U

struct runs_chunk {
	u32		nr;
	struct run	run[CHUNK_RUNS];
};

static u64 run_end(const struct run *run)
{
	return run->start + run->len;
}

/* The first chunk whose last run ends above @sector, or the number of chunks. */
static u64 find_chunk(const struct runs *set, u64 sector)
{
	u64 from = 0, to = set->nr_chunks;

	while (from < to) {
		u64 middle = (from + to) / 2;
		const struct runs_chunk *chunk = set->chunks[middle];

		if (run_end(&chunk->run[chunk->nr - 1]) > sector)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

/* Likewise, in a chunk. */
static u32 find_run(const struct runs_chunk *chunk, u64 sector)
{
	u32 from = 0, to = chunk->nr;

	while (from < to) {
		u32 middle = (from + to) / 2;

		if (run_end(&chunk->run[middle]) > sector)
			to = middle;
		else
			from = middle + 1;
	}
	return from;
}

static struct run *first_above(const struct runs *set, u64 sector)
{
	u64 at = find_chunk(set, sector);

	return at == set->nr_chunks ? NULL :
	       &set->chunks[at]->run[find_run(set->chunks[at], sector)];
}

const struct run *runs_from(const struct runs *set, u64 sector)
{
	return first_above(set, sector);
}

const struct run *runs_find(const struct runs *set, u64 start, u64 len)
{
	const struct run *run = first_above(set, start);

	return run && run->start < start + len ? run : NULL;
}

/* An empty chunk before chunk @at. */
static struct runs_chunk *add_chunk(struct runs *set, u64 at)
{
	struct runs_chunk *chunk, **chunks = set->chunks;
	u64 room = 2 * set->room + 4;

	if (set->nr_chunks == set->room) {
		chunks = realloc(chunks, room * sizeof(*chunks));
		if (!chunks)
			return NULL;
		set->chunks = chunks;
		set->room = room;
	}
	chunk = malloc(sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->nr = 0;
	memmove(chunks + at + 1, chunks + at, (set->nr_chunks - at) * sizeof(*chunks));
	chunks[at] = chunk;
	set->nr_chunks++;
	return chunk;
}

static void drop_chunk(struct runs *set, u64 at)
{
	struct runs_chunk **chunks = set->chunks;

	free(chunks[at]);
	set->nr_chunks--;
	memmove(chunks + at, chunks + at + 1, (set->nr_chunks - at) * sizeof(*chunks));
}

static struct runs_chunk *split_chunk(struct runs *set, u64 at)
{
	struct runs_chunk *chunk = set->chunks[at], *rest = add_chunk(set, at + 1);

	if (!rest)
		return NULL;
	chunk->nr /= 2;
	rest->nr = CHUNK_RUNS - chunk->nr;
	memcpy(rest->run, chunk->run + chunk->nr, rest->nr * sizeof(*rest->run));
	return rest;
}

static void put_run(struct runs *set, struct runs_chunk *chunk, u32 at, const struct run *run)
{
	memmove(chunk->run + at + 1, chunk->run + at,
		(chunk->nr - at) * sizeof(*chunk->run));
	chunk->run[at] = *run;
	chunk->nr++;
	set->nr++;
}

/* Behind all others: the last chunk, if it has room, or else one more. */
static int append_run(struct runs *set, const struct run *run)
{
	struct runs_chunk *chunk = set->nr_chunks ? set->chunks[set->nr_chunks - 1] : NULL;

	if (!chunk || chunk->nr == CHUNK_RUNS)
		chunk = add_chunk(set, set->nr_chunks);
	if (!chunk)
		return -ENOMEM;
	put_run(set, chunk, chunk->nr, run);
	return 0;
}

int runs_add(struct runs *set, const struct run *run)
{
	u64 where = find_chunk(set, run->start);
	struct runs_chunk *chunk;
	u32 at;

	if (where == set->nr_chunks)
		return append_run(set, run);
	chunk = set->chunks[where];
	at = find_run(chunk, run->start);
	if (chunk->run[at].start < run_end(run))
		return -EBUSY;
	if (chunk->nr == CHUNK_RUNS) {
		struct runs_chunk *rest = split_chunk(set, where);

		if (!rest)
			return -ENOMEM;
		if (at > chunk->nr) {
			at -= chunk->nr;
			chunk = rest;
		}
	}
	put_run(set, chunk, at, run);
	return 0;
}

static void drop_run(struct runs *set, u64 sector)
{
	u64 where = find_chunk(set, sector);
	struct runs_chunk *chunk = set->chunks[where];
	u32 at = find_run(chunk, sector);

	chunk->nr--;
	set->nr--;
	memmove(chunk->run + at, chunk->run + at + 1,
		(chunk->nr - at) * sizeof(*chunk->run));
	if (!chunk->nr)
		drop_chunk(set, where);
}

/* What is left of a run stays in order, so it is cut in place. */
static int cut_run(struct runs *set, struct run *run, u64 start, u64 end)
{
	struct run rest = {
		.start = end,
		.len = run_end(run) - end,
		.to = run->to + (end - run->start),
		.type = run->type,
	};

	if (start > run->start) {
		bool more = end < run_end(run);

		run->len = start - run->start;
		return more ? runs_add(set, &rest) : 0;
	}
	if (end < run_end(run))
		*run = rest;
	else
		drop_run(set, run->start);
	return 0;
}

int runs_cut(struct runs *set, u64 start, u64 len)
{
	struct run *run;
	int r = 0;

	while (!r && (run = (struct run *)runs_find(set, start, len)))
		r = cut_run(set, run, start, start + len);
	return r;
}

void runs_clear(struct runs *set)
{
	while (set->nr_chunks)
		free(set->chunks[--set->nr_chunks]);
	free(set->chunks);
	memset(set, 0, sizeof(*set));
}

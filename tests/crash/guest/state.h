/* SPDX-License-Identifier: GPL-2.0-only */
/* What a device shows, in a line: judge.c works out the same from what the disks have. */
#ifndef CRASH_STATE_H
#define CRASH_STATE_H

#include "sectors.h"

#define HASH_BEGIN 0xcbf29ce484222325ULL

static inline void must(const char *what, int r)
{
	if (r)
		die("%s: %s", what, strerror(-r));
}

/* Rows of the list from @from on that begin before @end, and if they are lost. How many. */
static inline u32 each_row(const char *name, u32 from, u32 end,
			   void (*fn)(void *context, const u32 *row), void *context)
{
	const char *reply;
	char message[64];
	u32 row[4], nr = 0;
	int at;

	for (;;) {
		u32 page = 0;

		snprintf(message, sizeof(message), "list %u 500", from);
		must(message, dm_send(name, 0, message, &reply));
		for (; sscanf(reply, "%u %u %u %n", &row[0], &row[1], &row[2], &at) == 3;
		     reply += at, page++) {
			row[3] = !strncmp(reply + at, "lost", 4);
			at += row[3] * strlen("lost");
			if (row[0] >= end)
				return nr;
			from = row[0] + row[2];
			nr++;
			fn(context, row);
		}
		if (!page || from >= end)
			return nr;
	}
}

static inline u64 hash_u64(u64 hash, u64 value)
{
	for (u32 i = 0; i < 8; i++)
		hash = (hash ^ (uint8_t)(value >> (8 * i))) * 0x100000001b3ULL;
	return hash;
}

static inline void hash_row(void *context, const u32 *row)
{
	u64 *hash = context;

	for (u32 i = 0; i < 4; i++)
		*hash = hash_u64(*hash, row[i]);
}

/* As the judge has it of a sector that is lost. */
#define UNREADABLE	UINT64_MAX

/* Some of it may not be readable: by halves, down to a sector. */
static inline void read_all(int fd, char *buf, u32 at, u32 n)
{
	if (!io_all(fd, false, buf, n * SECTOR, at, 0))
		return;
	if (n == 1) {
		put_stamp(buf, UNREADABLE);
		return;
	}
	read_all(fd, buf, at, n / 2);
	read_all(fd, buf + n / 2 * SECTOR, at + n / 2, n - n / 2);
}

/* Returns the highest version of a sector. */
static inline u32 tell_state(char text[80], const char *name, int fd, u32 len)
{
	u64 rows = HASH_BEGIN, data = HASH_BEGIN;
	char *buf = io_buffer(MAX_IO * SECTOR);
	u32 nr, version = 0;

	for (u32 at = 0; at < len; at += MAX_IO) {
		u32 n = min_u64(MAX_IO, len - at);

		read_all(fd, buf, at, n);
		for (u32 i = 0; i < n; i++) {
			u64 value = get_stamp(buf + i * SECTOR);

			data = hash_u64(data, value);
			if (value != UNREADABLE)
				version = max_u64(version, value >> 32);
		}
	}
	free(buf);
	nr = each_row(name, 0, len, hash_row, &rows);
	snprintf(text, 80, "%u %016llx %016llx", nr, (unsigned long long)rows,
		 (unsigned long long)data);
	return version;
}

/* Returns a descriptor, for direct I/O, and the path that it has. */
static inline int create_device(char path[64], const char *name, u64 len,
				const char *type, const char *params)
{
	struct dm_line line = { 0, len, type, params };
	unsigned int minor;

	must("create", dm_create(name, &minor));
	must("load", dm_load(name, &line, 1));
	must("resume", dm_resume(name));
	snprintf(path, 64, "/dev/dm-%u", minor);
	return open_device(path, O_RDWR | O_DIRECT);
}

static inline void remove_device(const char *name, int fd)
{
	close(fd);
	must("remove", dm_remove(name));
}

#endif /* CRASH_STATE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device-mapper's ioctls, as they are: faster than dmsetup, and they give errnos.
 * Every function returns 0 or a negative errno, and may be called by any thread.
 */
#ifndef TEST_DM_H
#define TEST_DM_H

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef uint64_t u64;
typedef uint32_t u32;

/* The kernel copies it there and back, each time. */
#ifndef DM_ROOM
#define DM_ROOM (512 * 1024)
#endif
#define DM_MESSAGE_ROOM (DM_ROOM / 2)

/* One line of a table. */
struct dm_line {
	u64		start;
	u64		len;
	const char	*type;
	const char	*params;
};

static __thread union {
	struct dm_ioctl io;
	char room[DM_ROOM];
} dm_buf;

static inline struct dm_ioctl *dm_prepare(const char *name, u32 flags)
{
	struct dm_ioctl *io = &dm_buf.io;

	memset(io, 0, sizeof(*io));
	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = DM_ROOM;
	io->data_start = sizeof(*io);
	io->flags = flags;
	snprintf(io->name, sizeof(io->name), "%s", name);
	return io;
}

static inline int dm_ioctl(unsigned long command)
{
	static int control = -1;

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	return ioctl(control, command, &dm_buf) ? -errno : 0;
}

/* Make a device without a table; its minor number to *@minor. */
static inline int dm_create(const char *name, unsigned int *minor)
{
	struct dm_ioctl *io = dm_prepare(name, 0);
	int r = dm_ioctl(DM_DEV_CREATE);

	*minor = minor(io->dev);
	return r;
}

static inline int dm_remove(const char *name)
{
	dm_prepare(name, 0);
	return dm_ioctl(DM_DEV_REMOVE);
}

/* Load a table, which resume puts in force. */
static inline int dm_load(const char *name, const struct dm_line *lines,
			  unsigned int nr)
{
	struct dm_ioctl *io = dm_prepare(name, 0);
	char *at = dm_buf.room + io->data_start;

	io->target_count = nr;
	for (unsigned int i = 0; i < nr; i++) {
		struct dm_target_spec *spec = (void *)at;
		size_t size = sizeof(*spec) + strlen(lines[i].params) + 1;

		memset(spec, 0, sizeof(*spec));
		spec->sector_start = lines[i].start;
		spec->length = lines[i].len;
		spec->next = (size + 7) & ~7UL;
		snprintf(spec->target_type, sizeof(spec->target_type), "%s",
			 lines[i].type);
		strcpy((char *)(spec + 1), lines[i].params);
		at += spec->next;
	}
	return dm_ioctl(DM_TABLE_LOAD);
}

/* Drop a table that was loaded and not resumed. */
static inline int dm_clear(const char *name)
{
	dm_prepare(name, 0);
	return dm_ioctl(DM_TABLE_CLEAR);
}

/* @flags: DM_NOFLUSH_FLAG, DM_SKIP_LOCKFS_FLAG */
static inline int dm_suspend(const char *name, u32 flags)
{
	dm_prepare(name, DM_SUSPEND_FLAG | flags);
	return dm_ioctl(DM_DEV_SUSPEND);
}

static inline int dm_resume(const char *name)
{
	dm_prepare(name, 0);
	return dm_ioctl(DM_DEV_SUSPEND);
}

/* Send a message to the target at @sector; *@reply is good until the next call. */
static inline int dm_send(const char *name, u64 sector, const char *message,
			  const char **reply)
{
	struct dm_ioctl *io = dm_prepare(name, 0);
	struct dm_target_msg *msg = (void *)(dm_buf.room + io->data_start);
	size_t size = strlen(message) + 1;
	int r;

	if (size > DM_MESSAGE_ROOM)
		return -E2BIG;
	msg->sector = sector;
	memcpy(msg->message, message, size);
	r = dm_ioctl(DM_TARGET_MSG);
	*reply = !r && io->flags & DM_DATA_OUT_FLAG ? dm_buf.room + io->data_start : "";
	if (!r && io->flags & DM_BUFFER_FULL_FLAG)
		r = -ENOBUFS;
	return r;
}

#endif /* TEST_DM_H */

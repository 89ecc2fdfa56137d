// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#define SECTOR 512

static int device_size(struct device *dev, const struct stat *st)
{
	u64 bytes = st->st_size;
	int block = SECTOR;

	if (S_ISBLK(st->st_mode) && (ioctl(dev->fd, BLKGETSIZE64, &bytes) ||
				     ioctl(dev->fd, BLKSSZGET, &block)))
		return -errno;
	dev->sectors = bytes / SECTOR;
	dev->block = block / SECTOR;
	return 0;
}

/*
 * O_DIRECT, because a target writes past the cache of its device's node; O_EXCL, which
 * of a block device means: not while somebody else has it so.
 */
int device_open(struct device *dev, const char *path, enum device_use use)
{
	int flags = use == DEVICE_WRITE ? O_RDWR : O_RDONLY;
	struct stat st;
	int r;

	if (stat(path, &st))
		return -errno;
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return -ENOTBLK;
	if (S_ISBLK(st.st_mode))
		flags |= O_DIRECT | (use == DEVICE_WRITE ? O_EXCL : 0);
	dev->path = path;
	dev->fd = open(path, flags | O_CLOEXEC);
	if (dev->fd < 0)
		return -errno;
	dev->id[0] = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	dev->id[1] = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	r = device_size(dev, &st);
	if (r)
		close(dev->fd);
	return r;
}

void device_close(struct device *dev)
{
	close(dev->fd);
}

bool device_same(const struct device *a, const struct device *b)
{
	return a->id[0] == b->id[0] && a->id[1] == b->id[1];
}

/* All of it, as pread() and pwrite() may do less. */
static int transfer(const struct device *dev, bool out, u64 sector, void *data, size_t bytes)
{
	while (bytes) {
		ssize_t n = out ? pwrite(dev->fd, data, bytes, sector * SECTOR) :
				  pread(dev->fd, data, bytes, sector * SECTOR);

		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		sector += n / SECTOR;
		bytes -= n;
	}
	return 0;
}

int device_read(void *context, u64 sector, void *data, unsigned int blocks)
{
	return transfer(context, false, sector, data, (size_t)blocks * 8 * SECTOR);
}

int device_write(void *context, u64 sector, const void *data, unsigned int blocks,
		 bool durable)
{
	const struct device *dev = context;
	int r;

	if (durable && fdatasync(dev->fd))
		return -errno;
	r = transfer(dev, true, sector, (void *)data, (size_t)blocks * 8 * SECTOR);
	if (r)
		return r;
	return durable && fdatasync(dev->fd) ? -errno : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* Block devices, and files that are images of them. */
#ifndef DMREMAP_DEVICE_H
#define DMREMAP_DEVICE_H

#include <sys/types.h>

#include <linux/types.h>

/* To write is to have it alone, in so far as the kernel knows who has it. */
enum device_use { DEVICE_READ, DEVICE_WRITE };

/**
 * struct device - an open one
 * @path:	as it was named
 * @fd:		of it
 * @sectors:	of 512 bytes
 * @block:	its logical block, in sectors; 1 for a file
 * @id:		tells devices apart: two numbers
 */
struct device {
	const char	*path;
	int		fd;
	u64		sectors;
	u32		block;
	dev_t		id[2];
};

/* Returns 0 or a negative errno: -EBUSY somebody else has it, -ENOTBLK it is neither. */
int device_open(struct device *dev, const char *path, enum device_use use);
void device_close(struct device *dev);

/* Are they the same? */
bool device_same(const struct device *a, const struct device *b);

/* As owner_io has them; the context is the device. */
int device_read(void *dev, u64 sector, void *data, unsigned int blocks);
int device_write(void *dev, u64 sector, const void *data, unsigned int blocks,
		 bool durable);

#endif /* DMREMAP_DEVICE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernels 6.1 and 7.x, and nothing but those. Each is
 * named after the newest API, and goes when the oldest kernel does.
 */
#ifndef DMR_COMPAT_H
#define DMR_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/version.h>

/* 6.5 gave block devices open modes of their own. */
#if KERNEL_VERSION(6, 5, 0) > LINUX_VERSION_CODE
#define BLK_OPEN_WRITE FMODE_WRITE
#endif

/* 6.8 told the hardware's discard limit from the administrator's. */
static inline void dmr_limits_set_discard(struct queue_limits *limits,
					  struct block_device *from)
{
	limits->max_hw_discard_sectors = bdev_max_discard_sectors(from);
#if KERNEL_VERSION(6, 8, 0) > LINUX_VERSION_CODE
	limits->max_discard_sectors = limits->max_hw_discard_sectors;
#endif
	limits->discard_granularity = bdev_discard_granularity(from);
}

/* 6.16 shows the ioctl to the target, which may then handle it itself. */
#if KERNEL_VERSION(6, 16, 0) > LINUX_VERSION_CODE
#define DMR_PREPARE_IOCTL(fn) \
	fn(struct dm_target *ti, struct block_device **bdev)
#else
#define DMR_PREPARE_IOCTL(fn) \
	fn(struct dm_target *ti, struct block_device **bdev, \
	   unsigned int cmd, unsigned long arg, bool *forward)
#endif

#endif /* DMR_COMPAT_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREMAP_CRC32C_H
#define DMREMAP_CRC32C_H

#include <linux/types.h>

/* As in the kernel: without the inversions at either end. */
u32 crc32c(u32 crc, const void *data, unsigned int len);

#endif /* DMREMAP_CRC32C_H */

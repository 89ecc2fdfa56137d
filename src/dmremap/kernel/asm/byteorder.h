/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREMAP_BYTEORDER_H
#define DMREMAP_BYTEORDER_H

#include <endian.h>

#include <linux/types.h>

#define cpu_to_le16(x)	htole16(x)
#define cpu_to_le32(x)	htole32(x)
#define cpu_to_le64(x)	htole64(x)
#define le16_to_cpu(x)	le16toh(x)
#define le32_to_cpu(x)	le32toh(x)
/* In the type that the kernel's formats want. */
#define le64_to_cpu(x)	((u64)le64toh(x))

#endif /* DMREMAP_BYTEORDER_H */

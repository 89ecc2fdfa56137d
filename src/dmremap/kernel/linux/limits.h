/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <linux/limits.h>

#ifndef DMREMAP_LIMITS_H
#define DMREMAP_LIMITS_H

#define U32_MAX	((u32)~0U)
#define U64_MAX	((u64)~0ULL)

#endif /* DMREMAP_LIMITS_H */

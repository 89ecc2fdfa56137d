/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <linux/types.h>

#ifndef SHIM_LINUX_TYPES_H
#define SHIM_LINUX_TYPES_H

#define ____cacheline_aligned	__aligned(64)

#endif /* SHIM_LINUX_TYPES_H */

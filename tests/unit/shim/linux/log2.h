/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <linux/log2.h>

#ifndef SHIM_LINUX_LOG2_H
#define SHIM_LINUX_LOG2_H

static inline int order_base_2(u64 n)
{
	return n > 1 ? 64 - __builtin_clzll(n - 1) : 0;
}

#endif /* SHIM_LINUX_LOG2_H */

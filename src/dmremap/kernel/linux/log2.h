/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREMAP_LOG2_H
#define DMREMAP_LOG2_H

#include <linux/types.h>

static inline bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

static inline u64 rounddown_pow_of_two(u64 n)
{
	return 1ULL << (63 - __builtin_clzll(n));
}

#endif /* DMREMAP_LOG2_H */

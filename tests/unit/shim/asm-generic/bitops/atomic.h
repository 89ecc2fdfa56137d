/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's userspace header has only the name of them: these are atomic. */
#ifndef SHIM_BITOPS_ATOMIC_H
#define SHIM_BITOPS_ATOMIC_H

#include <linux/bits.h>

static inline void set_bit(long nr, unsigned long *addr)
{
	__atomic_fetch_or(addr + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit(long nr, unsigned long *addr)
{
	__atomic_fetch_and(addr + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_RELAXED);
}

#endif /* SHIM_BITOPS_ATOMIC_H */

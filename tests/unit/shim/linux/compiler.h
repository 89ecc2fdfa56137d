/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's userspace header, but with marked accesses that are C11 atomics:
 * the volatile ones are plain data races to ThreadSanitizer.
 */
#include_next <linux/compiler.h>

#ifndef SHIM_LINUX_COMPILER_H
#define SHIM_LINUX_COMPILER_H

#undef READ_ONCE
#undef WRITE_ONCE
#define data_race(expr)		(expr)
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* Who they pair with is said where they are used. */
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
/* Likewise. */
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#endif /* SHIM_LINUX_COMPILER_H */

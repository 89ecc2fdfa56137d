/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's idioms that codec.c and metadata.c of the module use, for userspace: this
 * directory is before the system's in their way.
 */
#ifndef DMREMAP_KERNEL_H
#define DMREMAP_KERNEL_H

#include <linux/types.h>

#define BIT(nr)			(1UL << (nr))
#define BIT_ULL(nr)		(1ULL << (nr))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define min_t(type, a, b)	({ type _a = (a), _b = (b); _a < _b ? _a : _b; })
#define max_t(type, a, b)	({ type _a = (a), _b = (b); _a > _b ? _a : _b; })
#define min(a, b)		min_t(typeof(a), a, b)
#define max(a, b)		max_t(typeof(a), a, b)

#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
/* To multiples of a power of two. */
#define round_down(n, unit)	((n) & ~((typeof(n))(unit) - 1))
#define round_up(n, unit)	round_down((n) + (unit) - 1, unit)

#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))

/* One thread. */
#define READ_ONCE(x)		(x)
#define WRITE_ONCE(x, value)	((x) = (value))

#endif /* DMREMAP_KERNEL_H */

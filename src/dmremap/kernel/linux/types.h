/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <linux/types.h>

#ifndef DMREMAP_TYPES_H
#define DMREMAP_TYPES_H

#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define __rcu
#define __printf(fmt, args)	__attribute__((format(printf, fmt, args)))

#endif /* DMREMAP_TYPES_H */

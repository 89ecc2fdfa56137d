/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREMAP_STRING_H
#define DMREMAP_STRING_H

#include <string.h>

#include <linux/types.h>

/* The first byte that is not @c, or NULL. */
static inline const void *memchr_inv(const void *data, int c, size_t n)
{
	const u8 *p = data;

	/* Of the C library, for speed: it is the same as it is one byte on. */
	if (n && *p == (u8)c && !memcmp(p, p + 1, n - 1))
		return NULL;
	for (; n--; p++)
		if (*p != (u8)c)
			return p;
	return NULL;
}

#endif /* DMREMAP_STRING_H */

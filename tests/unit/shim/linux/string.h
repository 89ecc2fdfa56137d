/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <stddef.h>
#include <string.h>

/* The first byte that is not @c, or NULL. */
static inline const void *memchr_inv(const void *data, int c, size_t n)
{
	for (const unsigned char *p = data; n--; p++)
		if (*p != (unsigned char)c)
			return p;
	return NULL;
}

#endif /* SHIM_LINUX_STRING_H */

// SPDX-License-Identifier: GPL-2.0-only
#include <linux/slab.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

struct shim shim;

void *shim_alloc(size_t n, size_t size, bool zero)
{
	size_t bytes;
	void *p;

	if (shim.fail_at && !--shim.fail_at)
		return NULL;
	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	p = zero ? calloc(1, bytes) : malloc(bytes);
	if (!p)
		return NULL;
	if (!zero)
		memset(p, 0xa5, bytes);
	__atomic_fetch_add(&shim.allocated, malloc_usable_size(p), __ATOMIC_RELAXED);
	return p;
}

void shim_free(const void *p)
{
	__atomic_fetch_sub(&shim.allocated, malloc_usable_size((void *)p),
			   __ATOMIC_RELAXED);
	free((void *)p);
}

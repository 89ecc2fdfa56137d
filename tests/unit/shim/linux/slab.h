/* SPDX-License-Identifier: GPL-2.0-only */
/* Allocations that are counted, and fail when a test wants it; see ../shim.h. */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <linux/types.h>

void *shim_alloc(size_t n, size_t size, bool zero);
void shim_free(const void *p);

/* What the table wants is cleared. */
#define kmalloc(size, gfp)		shim_alloc(1, size, true)
#define __vmalloc(size, gfp)		shim_alloc(1, size, true)
#define kvmalloc(size, gfp)		shim_alloc(1, size, false)
#define kvzalloc(size, gfp)		shim_alloc(1, size, true)
#define kvmalloc_array(n, size, gfp)	shim_alloc(n, size, false)
#define kvcalloc(n, size, gfp)		shim_alloc(n, size, true)
#define kvfree(p)			shim_free(p)

#endif /* SHIM_LINUX_SLAB_H */

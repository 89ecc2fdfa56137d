/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_BUG_H
#define SHIM_LINUX_BUG_H

#include <assert.h>

/* What only warns in the kernel is a failed test. */
#define WARN_ON(cond)		({ bool __w = (cond); assert(!__w); __w; })
#define WARN_ON_ONCE(cond)	WARN_ON(cond)

#endif /* SHIM_LINUX_BUG_H */

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREMAP_BUILD_BUG_H
#define DMREMAP_BUILD_BUG_H

#define static_assert(expr)	_Static_assert(expr, #expr)

#endif /* DMREMAP_BUILD_BUG_H */

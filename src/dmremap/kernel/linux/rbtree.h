/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DMREMAP_RBTREE_H
#define DMREMAP_RBTREE_H

/* Part of what remap.h declares; the tool hangs nothing in it. */
struct rb_node {
	unsigned long	parent;
	struct rb_node	*right;
	struct rb_node	*left;
};

#endif /* DMREMAP_RBTREE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests see and steer of the kernel that the shim plays. */
#ifndef SHIM_H
#define SHIM_H

#include <assert.h>
#include <linux/types.h>

/**
 * struct shim - the kernel under the code under test
 * @allocated:	bytes
 * @fail_at:	the allocation that fails, counted down from here; 0: none
 * @resched:	how often cond_resched() was called
 * @grace:	how often synchronize_rcu() was called
 * @reader:	called at each of both, in a read-side section, to look at the
 *		table as a reader of that moment does
 * @context:	its argument
 *
 * Single-threaded, but for the two counts of bytes and allocations.
 */
struct shim {
	size_t		allocated;
	unsigned int	fail_at;
	unsigned long	resched;
	unsigned long	grace;
	void		(*reader)(void *context);
	void		*context;
};

extern struct shim shim;

/* What the kernel would warn of ends the program. */
#define shim_must(cond)	assert(cond)

/* For every thread that reads, around all it does. */
void shim_rcu_register(void);
void shim_rcu_unregister(void);

#endif /* SHIM_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RCU in two flavours: shim.c for a single thread, with hooks for the tests, and
 * rcu-urcu.c on liburcu. Pointers are C11 atomics in both: liburcu's own, which
 * are those too for a reader, use assembly for a writer, and ThreadSanitizer does
 * not see through that.
 */
#ifndef SHIM_LINUX_RCUPDATE_H
#define SHIM_LINUX_RCUPDATE_H

#include <linux/kernel.h>

#define rcu_dereference(p)		__atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_dereference_protected(p, c)	((void)(c), (p))
#define rcu_assign_pointer(p, v)	__atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, v)		__atomic_store_n(&(p), (v), __ATOMIC_RELAXED)

/* tools/include/linux/kernel.h makes it nothing. */
#undef synchronize_rcu

void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_rcu(void);

#endif /* SHIM_LINUX_RCUPDATE_H */

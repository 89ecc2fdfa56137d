// SPDX-License-Identifier: GPL-2.0-only
/* RCU on liburcu, for tests with threads. */
#include <linux/rcupdate.h>
#include <linux/sched.h>

#undef rcu_dereference
#undef rcu_assign_pointer
#include <urcu/urcu-memb.h>

#include "shim.h"

/*
 * liburcu is not built with ThreadSanitizer, which therefore does not know that a
 * grace period ends after the readers that it waited for, and would call every
 * free behind one a race. So it is told. Not told is the other half of what RCU
 * promises, that a reader sees what was written before the last grace period: that
 * takes an acquire at rcu_read_lock(), which would hide missing ones elsewhere.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char readers;
#else
#define __tsan_acquire(addr)
#define __tsan_release(addr)
#endif

void rcu_read_lock(void)
{
	urcu_memb_read_lock();
}

void rcu_read_unlock(void)
{
	__tsan_release(&readers);
	urcu_memb_read_unlock();
}

void synchronize_rcu(void)
{
	urcu_memb_synchronize_rcu();
	__tsan_acquire(&readers);
}

void cond_resched(void)
{
}

void shim_rcu_register(void)
{
	urcu_memb_register_thread();
}

void shim_rcu_unregister(void)
{
	urcu_memb_unregister_thread();
}

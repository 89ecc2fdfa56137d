// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU and the scheduler for one thread, which is reader and writer in turn. What
 * must not sleep under rcu_read_lock() is caught.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "shim.h"

static unsigned int nesting;

void rcu_read_lock(void)
{
	nesting++;
}

void rcu_read_unlock(void)
{
	shim_must(nesting);
	nesting--;
}

/* Somebody else's turn. */
static void sleeps(void)
{
	shim_must(!nesting);
	if (!shim.reader)
		return;
	rcu_read_lock();
	shim.reader(shim.context);
	rcu_read_unlock();
}

void synchronize_rcu(void)
{
	shim.grace++;
	sleeps();
}

void cond_resched(void)
{
	shim.resched++;
	sleeps();
}

void shim_rcu_register(void)
{
}

void shim_rcu_unregister(void)
{
}

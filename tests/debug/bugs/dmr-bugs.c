// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bug of each kind that the debug kernels are there to find, for the test
 * that they do (tests/debug/detectors). Never load it anywhere else.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

static char *bug;
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "which one");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(lock);
static int slots[4];
static int plain;

/* Not for the compiler to see through. */
static noinline int hidden(int value)
{
	OPTIMIZER_HIDE_VAR(value);
	return value;
}

static void none(void)
{
}

static void use_after_free(void)
{
	int *p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return;
	kfree(p);
	WRITE_ONCE(p[2], 1);
}

static void out_of_bounds(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return;
	WRITE_ONCE(p[hidden(64)], 1);
	kfree(p);
}

static void array_index(void)
{
	slots[hidden(4) & 7] = 1;
}

static void shift(void)
{
	plain = 1 << hidden(40);
}

static void leak(void)
{
	/* Several, for a stale register or stack slot may still point at one. */
	for (int i = 0; i < 16; i++) {
		int **p = kmalloc(96, GFP_KERNEL);

		if (p)
			WRITE_ONCE(*p, NULL);
	}
}

static void lock_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void keyless_lock(void)
{
	spinlock_t *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return;
	spin_lock(p);
	spin_unlock(p);
	kfree(p);
}

static void sleep_in_rcu(void)
{
	rcu_read_lock();
	msleep(20);
	rcu_read_unlock();
}

static void sleep_in_spinlock(void)
{
	spin_lock(&lock);
	mutex_lock(&first);
	mutex_unlock(&first);
	spin_unlock(&lock);
}

static void no_rcu(void)
{
	static int __rcu *pointer;

	hidden(!!rcu_dereference(pointer));
}

static void nothing(struct work_struct *work)
{
}

static void live_work_freed(void)
{
	struct delayed_work *work = kmalloc(sizeof(*work), GFP_KERNEL);

	if (!work)
		return;
	INIT_DELAYED_WORK(work, nothing);
	schedule_delayed_work(work, 3600 * HZ);
	kfree(work);
}

static int racer(void *unused)
{
	while (!kthread_should_stop()) {
		for (int i = 0; i < 1000; i++)
			plain++;
		cond_resched();
	}
	return 0;
}

static void race(void)
{
	struct task_struct *racers[2];

	for (int i = 0; i < 2; i++)
		racers[i] = kthread_run(racer, NULL, "dmr-racer");
	msleep(40000);
	for (int i = 0; i < 2; i++)
		if (!IS_ERR(racers[i]))
			kthread_stop(racers[i]);
}

static void hang(void)
{
	unsigned long end = jiffies + 16 * HZ;

	while (time_before(jiffies, end))
		schedule_timeout_uninterruptible(16 * HZ);
}

static const struct {
	const char	*name;
	void		(*commit)(void);
} bugs[] = {
	{ "none", none },
	{ "use_after_free", use_after_free },
	{ "out_of_bounds", out_of_bounds },
	{ "array_index", array_index },
	{ "shift", shift },
	{ "leak", leak },
	{ "lock_inversion", lock_inversion },
	{ "keyless_lock", keyless_lock },
	{ "sleep_in_rcu", sleep_in_rcu },
	{ "sleep_in_spinlock", sleep_in_spinlock },
	{ "no_rcu", no_rcu },
	{ "live_work_freed", live_work_freed },
	{ "race", race },
	{ "hang", hang },
};

static int __init bugs_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (bug && !strcmp(bug, bugs[i].name)) {
			bugs[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit bugs_exit(void)
{
}

module_init(bugs_init);
module_exit(bugs_exit);

MODULE_DESCRIPTION("Bugs, for the kernels that find them");
MODULE_LICENSE("GPL");

/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_SCHED_H
#define SHIM_LINUX_SCHED_H

/* Called where the code may sleep; see ../shim.h. */
void cond_resched(void);

#endif /* SHIM_LINUX_SCHED_H */

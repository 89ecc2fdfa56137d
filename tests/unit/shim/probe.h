/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before table.c: counts the cells that lookups probe, and what they walk;
 * and lets something happen in the middle of one.
 */
#ifndef SHIM_PROBE_H
#define SHIM_PROBE_H

#include <stddef.h>

/**
 * struct probe - what lookups cost
 * @cells:	cells probed
 * @steps:	entries walked
 * @chain:	entries walked in the present cell
 * @longest:	the most in any
 * @meanwhile:	called once, before a cell is probed or an entry walked ...
 * @when:	... this one from now on
 */
struct probe {
	unsigned long	cells;
	unsigned long	steps;
	unsigned long	chain;
	unsigned long	longest;
	void		(*meanwhile)(void);
	unsigned long	when;
};

extern struct probe probe;

static inline void probe_meanwhile(void)
{
	void (*fn)(void) = probe.meanwhile;

	if (!fn || probe.when--)
		return;
	probe.meanwhile = NULL;
	fn();
}

static inline void probe_cell(void)
{
	probe_meanwhile();
	probe.cells++;
	probe.chain = 0;
}

static inline void probe_step(void)
{
	probe_meanwhile();
	probe.steps++;
	if (++probe.chain > probe.longest)
		probe.longest = probe.chain;
}

#define DMR_TABLE_PROBE()	probe_cell()
#define DMR_TABLE_STEP()	probe_step()

#endif /* SHIM_PROBE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests on the host: TAP on stdout, random numbers from a seed that is printed.
 *
 * Environment: LEVEL=quick, ci or full says how much, SEED=<number> which random
 * numbers. Arguments: names of the tests to run.
 */
#ifndef UNIT_H
#define UNIT_H

#include <linux/kernel.h>
#include <linux/types.h>

/**
 * struct unit_test - one line of TAP
 * @name:	what holds if it passes
 * @run:	ends early, by CHECK(), if it does not
 */
struct unit_test {
	const char	*name;
	void		(*run)(void);
};

enum unit_level { QUICK, CI, FULL };

extern enum unit_level unit_level;
extern u64 unit_seed;

/* @quick, @ci or @full, as the level says. */
static inline unsigned long unit_times(unsigned long quick, unsigned long ci,
				       unsigned long full)
{
	return unit_level == QUICK ? quick : unit_level == CI ? ci : full;
}

int unit_main(int argc, char **argv, const struct unit_test *tests, unsigned int nr);

/* Ends the test. Only from the thread that runs it. */
__printf(3, 4) __noreturn
void unit_fail(const char *file, int line, const char *fmt, ...);

#define CHECK(cond, fmt, ...)						\
	do {								\
		if (!(cond))						\
			unit_fail(__FILE__, __LINE__, "%s: " fmt, #cond,	\
				  ##__VA_ARGS__);			\
	} while (0)

/* A line of TAP that says something. */
__printf(1, 2)
void unit_note(const char *fmt, ...);

/* What the test is at: printed if it fails. */
__printf(1, 2)
void unit_context(const char *fmt, ...);

/**
 * struct rnd - a stream of random numbers: SplitMix64
 */
struct rnd {
	u64	state;
};

static inline u64 rnd64(struct rnd *r)
{
	u64 z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Below @n, which is not 0. */
static inline u64 rnd_below(struct rnd *r, u64 n)
{
	return (__uint128_t)rnd64(r) * n >> 64;
}

/* From 1 to @max, each power of two as likely as the next. */
static inline u64 rnd_log(struct rnd *r, u64 max)
{
	u64 n = 1ULL << rnd_below(r, 64 - __builtin_clzll(max));

	n += rnd_below(r, n);
	return n < max ? n : max;
}

#endif /* UNIT_H */

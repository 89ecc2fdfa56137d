// SPDX-License-Identifier: GPL-2.0-only
#include "unit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum unit_level unit_level = CI;
u64 unit_seed;

static jmp_buf failed;
static char context[256];

void unit_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

void unit_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
}

void unit_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# %s:%d: ", file, line);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	if (*context)
		unit_note("at %s", context);
	longjmp(failed, 1);
}

static bool wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

static bool run(unsigned int number, const struct unit_test *test)
{
	bool ok = !setjmp(failed);

	if (ok) {
		*context = '\0';
		test->run();
	}
	printf("%sok %u - %s\n", ok ? "" : "not ", number, test->name);
	return ok;
}

static void bail(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

static void read_environment(void)
{
	static const char *const names[] = { "quick", "ci", "full" };
	const char *level = getenv("LEVEL");
	const char *seed = getenv("SEED");
	struct timespec now;

	if (level) {
		unit_level = 0;
		while (strcmp(level, names[unit_level]))
			if (++unit_level == ARRAY_SIZE(names))
				bail("LEVEL is quick, ci or full");
	}
	if (seed) {
		unit_seed = strtoull(seed, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		unit_seed = (now.tv_sec * 1000000007ULL + now.tv_nsec) % 1000000000;
	}
	unit_note("LEVEL=%s SEED=%llu", names[unit_level], (unsigned long long)unit_seed);
}

int unit_main(int argc, char **argv, const struct unit_test *tests, unsigned int nr)
{
	unsigned int number = 0;
	bool ok = true;

	setlinebuf(stdout);
	printf("TAP version 13\n");
	read_environment();
	for (unsigned int i = 0; i < nr; i++)
		if (wanted(argc, argv, tests[i].name))
			ok &= run(++number, &tests[i]);
	printf("1..%u\n", number);
	/* What a failed test left allocated is no leak of its own. */
	if (!ok || !number)
		_exit(1);
	return 0;
}

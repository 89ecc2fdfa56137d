// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"
#include "kind.h"

#include <stdio.h>
#include <string.h>

/**
 * struct line - of the table that is being made
 * @start, @len:	of the mapped device
 * @target:		"linear" or "error"
 * @path, @from:	what it leads to
 */
struct line {
	u64		start;
	u64		len;
	const char	*target;
	const char	*path;
	u64		from;
};

static void put_line(const struct line *line)
{
	if (!line->len)
		return;
	printf("%llu %llu %s", line->start, line->len, line->target);
	if (!strcmp(line->target, "linear"))
		printf(" %s %llu", line->path, line->from);
	putchar('\n');
}

/* Does it go on where the one before ends? */
static bool goes_on(const struct line *line, const struct line *next)
{
	if (strcmp(line->target, next->target))
		return false;
	return strcmp(line->target, "linear") ||
	       (line->path == next->path && line->from + line->len == next->from);
}

/* Of neighbours that go on one line is made. */
static void add_line(struct line *line, const struct line *next)
{
	if (goes_on(line, next)) {
		line->len += next->len;
		return;
	}
	put_line(line);
	*line = *next;
}

static void put_table(const struct spare *spare, const char *main)
{
	u64 at = 0, len = spare->owner.m.len;
	struct line line = { .target = "linear" };

	while (at < len) {
		const struct run *run = runs_from(&spare->owner.by_main, at);
		u64 end = run ? run->start : len;

		if (at < end)
			add_line(&line, &(struct line) { at, end - at, "linear", main, at });
		if (run)
			add_line(&line, &(struct line) {
				run->start, run->len, kind_of(run->type)->target,
				spare->dev.path, run->to,
			});
		at = run ? run->start + run->len : len;
	}
	put_line(&line);
}

/* Device-mapper divides its tables at spaces. */
static bool fits_table(const char *path)
{
	return !strpbrk(path, " \t\n\\");
}

static int export(struct spare *spare, const struct options *opt)
{
	u32 block;
	u64 len;
	int r = spare_load(spare);

	if (!r)
		r = main_options(opt, spare, &len, &block);
	if (r)
		return r;
	if (len < spare->owner.m.len)
		return complain("%s has %llu sectors; the spare's main device has %llu",
				opt->main, len, spare->owner.m.len);
	put_table(spare, opt->main);
	return DONE;
}

int run_export(const struct options *opt)
{
	struct spare spare;

	if (!opt->linear || !opt->main) {
		complain("export: --linear and --main are wanted");
		return USAGE;
	}
	if (!fits_table(opt->main) || !fits_table(opt->spare))
		return complain("a table cannot name '%s' and '%s'", opt->main, opt->spare);
	if (spare_open(&spare, opt->spare, DEVICE_READ))
		return FAILED;
	return spare_close(&spare, export(&spare, opt));
}

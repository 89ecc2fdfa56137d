// SPDX-License-Identifier: GPL-2.0-only
/* dmremap: the command line. */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>

#ifndef DMREMAP_VERSION
#define DMREMAP_VERSION "4.0"
#endif

/**
 * struct command - a subcommand
 * @name:	of it
 * @run:	does it
 * @file:	takes a file behind the device
 * @options:	those it takes, as in @long_options
 * @usage:	its arguments
 * @help:	what it does
 */
struct command {
	const char	*name;
	int		(*run)(const struct options *opt);
	bool		file;
	const char	*options;
	const char	*usage;
	const char	*help;
};

static const struct command commands[] = {
	{ "probe", run_probe, false, "qu",
	  "<spare> [--udev]",
	  "is it a spare, and of what?" },
	{ "format", run_format, false, "qmlbif",
	  "<spare> --main <device> | --len <sectors> [--block <sectors>]\n"
	  "                         [--main-id <text>] [--force]",
	  "write metadata of no remaps" },
	{ "check", run_check, false, "q",
	  "<spare>",
	  "what is wrong with it, and where" },
	{ "dump", run_dump, false, "qj",
	  "<spare> [--json]",
	  "what is on it" },
	{ "restore", run_restore, true, "qf",
	  "<spare> <file> [--force]",
	  "write metadata as in a dump --json" },
	{ "repair", run_repair, false, "qmlbiUfF",
	  "<spare> [--main <device> | --len <sectors> [--block <sectors>]\n"
	  "                          [--main-id <text>] [--uuid <UUID>] [--force]]\n"
	  "                         [--from <old spare>]",
	  "mend it, or save what is intact" },
	{ "export", run_export, false, "qLm",
	  "<spare> --linear --main <device>",
	  "a table for dm-linear that serves the same" },
};

static const struct option long_options[] = {
	{ "block", required_argument, NULL, 'b' },
	{ "force", no_argument, NULL, 'f' },
	{ "from", required_argument, NULL, 'F' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' },
	{ "len", required_argument, NULL, 'l' },
	{ "linear", no_argument, NULL, 'L' },
	{ "main", required_argument, NULL, 'm' },
	{ "main-id", required_argument, NULL, 'i' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "udev", no_argument, NULL, 'u' },
	{ "uuid", required_argument, NULL, 'U' },
	{ "version", no_argument, NULL, 'V' },
	{ }
};

static bool quiet;

int complain(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("dmremap: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return FAILED;
}

void say(const char *fmt, ...)
{
	va_list args;

	if (quiet)
		return;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static int usage(FILE *to)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "%s dmremap %s %s\n", i ? "      " : "usage:", commands[i].name,
			commands[i].usage);
	fputs("Also: -q, --quiet; --version; --help. See dmremap(8).\n", to);
	return to == stdout ? DONE : USAGE;
}

/* One of a subcommand, to stdout. */
static int help(const struct command *command)
{
	printf("usage: dmremap %s %s\n%s\n", command->name, command->usage, command->help);
	return DONE;
}

/* Decimal digits and nothing else. */
static bool take_number(const char *name, const char *text, u64 most, u64 *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *n && *n <= most)
		return true;
	complain("--%s %s: it is from 1 to %llu", name, text, most);
	return false;
}

static bool take_block(struct options *opt, const char *text)
{
	u64 n;

	/* As the kernel has them: 512 bytes to 64 KiB. */
	if (!take_number("block", text, 128, &n))
		return false;
	opt->block = n;
	if (!(n & (n - 1)))
		return true;
	complain("--block %s: it is a power of two", text);
	return false;
}

static bool take_main_id(struct options *opt, const char *text)
{
	opt->main_id = text;
	/* In a table isspace() of the kernel divides words: of bytes, a0 as well. */
	if (*text && strlen(text) < DMR_MAIN_ID_SIZE && !strpbrk(text, " \t\n\v\f\r\xa0"))
		return true;
	complain("--main-id '%s': it is 1 to %u bytes, and has no spaces (nor a byte a0)", text,
		 DMR_MAIN_ID_SIZE - 1);
	return false;
}

static bool take_option(struct options *opt, int c, const char *text)
{
	switch (c) {
	case 'b':
		return take_block(opt, text);
	case 'f':
		opt->force = true;
		break;
	case 'F':
		opt->from = text;
		break;
	case 'i':
		return take_main_id(opt, text);
	case 'j':
		opt->json = true;
		break;
	case 'l':
		return take_number("len", text, BIT_ULL(DMR_SECTOR_BITS), &opt->len);
	case 'L':
		opt->linear = true;
		break;
	case 'm':
		opt->main = text;
		break;
	case 'q':
		quiet = true;
		break;
	case 'u':
		opt->udev = true;
		break;
	case 'U':
		opt->uuid = text;
		break;
	}
	return true;
}

static const struct command *find_command(const char *name)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static const char *option_name(int c)
{
	const struct option *o = long_options;

	while (o->val != c)
		o++;
	return o->name;
}

/* Options may stand anywhere; which of them suit is known with the subcommand. */
static int run(int argc, char **argv)
{
	char seen[ARRAY_SIZE(long_options)] = "";
	const struct command *command;
	struct options opt = { 0 };
	const char *given;
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "hqV", long_options, NULL)) != -1) {
		switch (c) {
		case 'h':
			command = optind < argc ? find_command(argv[optind]) : NULL;
			return command ? help(command) : usage(stdout);
		case 'V':
			puts("dmremap " DMREMAP_VERSION);
			return DONE;
		case '?':
			return usage(stderr);
		}
		if (!strchr(seen, c))
			seen[index++] = c;
		if (!take_option(&opt, c, optarg))
			return USAGE;
	}
	argv += optind;
	argc -= optind;
	command = argc ? find_command(argv[0]) : NULL;
	if (!command) {
		if (argc)
			complain("no subcommand %s", argv[0]);
		return usage(stderr);
	}
	given = seen + strspn(seen, command->options);
	if (*given)
		complain("%s has no option --%s", command->name, option_name(*given));
	if (*given || argc != 2 + command->file) {
		fprintf(stderr, "usage: dmremap %s %s\n", command->name, command->usage);
		return USAGE;
	}
	opt.name = command->name;
	opt.spare = argv[1];
	opt.file = command->file ? argv[2] : NULL;
	opt.quiet = quiet;
	return command->run(&opt);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	/* What nobody can read is not done. */
	if (fflush(stdout) || ferror(stdout))
		return complain("standard output: %s", strerror(errno));
	return status;
}

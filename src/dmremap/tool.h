/* SPDX-License-Identifier: GPL-2.0-only */
/* What the subcommands of dmremap share. */
#ifndef DMREMAP_TOOL_H
#define DMREMAP_TOOL_H

#include "device.h"
#include "owner.h"

/* Exit statuses, as dmremap(8) has them. */
enum { DONE, FAILED, USAGE };

/**
 * struct options - the command line
 * @name:	of the subcommand
 * @spare:	the device
 * @file:	of a dump
 * @from:	the other spare of a migration, or NULL
 * @main:	the main device, or NULL
 * @main_id:	its identity, or NULL
 * @uuid:	or NULL
 * @len:	sectors of main, or 0
 * @block:	its logical block, in sectors
 * @force, @json, @linear, @quiet, @udev: given or not
 */
struct options {
	const char	*name;
	const char	*spare;
	const char	*file;
	const char	*from;
	const char	*main;
	const char	*main_id;
	const char	*uuid;
	u64		len;
	u32		block;
	bool		force;
	bool		json;
	bool		linear;
	bool		quiet;
	bool		udev;
};

/* Each is a subcommand; returns the exit status. */
int run_probe(const struct options *opt);
int run_format(const struct options *opt);
int run_check(const struct options *opt);
int run_dump(const struct options *opt);
int run_restore(const struct options *opt);
int run_repair(const struct options *opt);
int run_export(const struct options *opt);

/* A line on stderr, behind the name of the program. Returns FAILED. */
__printf(1, 2)
int complain(const char *fmt, ...);

/* A line on stdout, unless it is to be quiet. */
__printf(1, 2)
void say(const char *fmt, ...);

/**
 * struct spare - a spare device and its owner
 */
struct spare {
	struct device	dev;
	struct owner	owner;
};

/* Opens the device that is named; nothing is read of it. Complains, and returns not 0. */
int spare_open(struct spare *spare, const char *path, enum device_use use);
int spare_close(struct spare *spare, int status);

/* Why it cannot be probed or loaded, for errnos of owner_probe() and owner_load(). */
int complain_spare(const struct spare *spare, int r);

/* owner_load(), or complain. */
int spare_load(struct spare *spare);

/*
 * Tell of every fault of the metadata that was probed, and loaded with result @r. Returns
 * DONE when there is none.
 */
int check_tell(struct spare *spare, int r);

/*
 * What main is: of the device or the length that is given. Complains when there is
 * neither, or both.
 */
int main_options(const struct options *opt, const struct spare *spare, u64 *len, u32 *block);

/* What libblkid sees on it, or NULL. */
const char *foreign_contents(const struct device *dev);

/* Have it see nothing, also where no metadata goes; but what is remapped there stays. Complains. */
int wipe_contents(const struct spare *spare);

#define UUID_TEXT 37
const char *uuid_text(const u8 *uuid, char text[UUID_TEXT]);
bool uuid_parse(const char *text, u8 *uuid);

#endif /* DMREMAP_TOOL_H */

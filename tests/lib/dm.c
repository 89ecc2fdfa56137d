// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm message <device> <sector> <word>...
 * dm load <device> <start> <length> <target> [<parameters>]
 *
 * As dmsetup does it, but an error is shown by its name: EEXIST. load makes a device
 * that is not there, and leaves none behind when the table is refused.
 */
#define _GNU_SOURCE
#include "dm.h"

static int message(int argc, char **argv)
{
	static char words[DM_ROOM];
	const char *reply;
	int r;

	for (int i = 2; i < argc; i++) {
		if (i > 2)
			strcat(words, " ");
		strcat(words, argv[i]);
	}
	r = dm_send(argv[0], strtoull(argv[1], NULL, 10), words, &reply);
	if (!r && *reply)
		printf("%s%s", reply, reply[strlen(reply) - 1] == '\n' ? "" : "\n");
	return r;
}

static int load(int argc, char **argv)
{
	struct dm_line line = {
		strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), argv[3],
		argc > 4 ? argv[4] : "",
	};
	unsigned int minor;
	int made, r;

	made = !dm_create(argv[0], &minor);
	r = dm_load(argv[0], &line, 1);
	if (r && made)
		dm_remove(argv[0]);
	return r;
}

int main(int argc, char **argv)
{
	int r;

	if (argc >= 5 && !strcmp(argv[1], "message"))
		r = message(argc - 2, argv + 2);
	else if (argc >= 6 && !strcmp(argv[1], "load"))
		r = load(argc - 2, argv + 2);
	else
		r = -EINVAL;
	if (r)
		printf("%s\n", strerrorname_np(-r));
	return !!r;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * reply-room <device> <word>...: sends a message with room for nothing but itself,
 * and again with one byte more for as long as device-mapper says that the reply did
 * not fit; prints the reply, and on a line of its own how often that was.
 */
#include "dm.h"

int main(int argc, char **argv)
{
	static char words[DM_ROOM / 4];
	unsigned int tries = 0;
	struct dm_target_msg *msg;
	struct dm_ioctl *io;
	size_t size;
	int r;

	for (int i = 2; i < argc; i++) {
		strcat(words, argv[i]);
		strcat(words, i < argc - 1 ? " " : "");
	}
	size = sizeof(*io) + sizeof(*msg) + strlen(words) + 1;
	do {
		io = dm_prepare(argv[1], 0);
		io->data_size = size++;
		msg = (void *)(dm_buf.room + io->data_start);
		msg->sector = 0;
		strcpy(msg->message, words);
		r = dm_ioctl(DM_TARGET_MSG);
		tries++;
	} while (!r && io->flags & DM_BUFFER_FULL_FLAG && size < DM_ROOM);

	if (r)
		printf("%s", strerrorname_np(-r));
	else if (io->flags & DM_DATA_OUT_FLAG)
		printf("%s", dm_buf.room + io->data_start);
	printf("\n%u\n", tries);
	return !!r;
}

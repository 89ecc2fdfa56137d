// SPDX-License-Identifier: GPL-2.0-only
/*
 * What refuses of lib.sh does, for hundreds of messages in the time of one: reads
 * lines of errno's name, value, device and message from stdin, tabs between, and
 * sends the messages. Each must fail so, the kernel log and health must name the
 * value, and status, table and list must be as before. TAP without numbers on stdout.
 */
#include "dm.h"

static int kmsg;

static void copy(char *to, size_t room, const char *from)
{
	snprintf(to, room, "%s", from);
}

/* Status or table line of the first target. */
static void line_of(const char *name, u32 flags, char *to, size_t room)
{
	struct dm_ioctl *io = dm_prepare(name, DM_NOFLUSH_FLAG | flags);
	int r = dm_ioctl(DM_TABLE_STATUS);

	copy(to, room, r ? strerrorname_np(-r) :
	     dm_buf.room + io->data_start + sizeof(struct dm_target_spec));
}

static void state_of(const char *name, char *to, size_t room)
{
	const char *list;

	line_of(name, 0, to, room);
	line_of(name, DM_STATUS_TABLE_FLAG, to + strlen(to), room - strlen(to));
	if (!dm_send(name, 0, "list", &list))
		copy(to + strlen(to), room - strlen(to), list);
}

/* What the kernel has logged since the last call. */
static void log_since(char *to, size_t room)
{
	char record[8192], *text;
	ssize_t n;

	*to = 0;
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = 0;
		text = strchr(record, ';');
		if (text)
			copy(to + strlen(to), room - strlen(to), text + 1);
	}
}

static bool refused(const char *err, const char *value, const char *name,
		    const char *message)
{
	static char before[DM_ROOM], after[DM_ROOM], log[DM_ROOM], health[DM_ROOM];
	const char *reply;
	int r;

	state_of(name, before, sizeof(before));
	log_since(log, sizeof(log));
	r = dm_send(name, 0, message, &reply);
	if (!r) {
		printf("# was accepted: %s\n", reply);
		return false;
	}
	log_since(log, sizeof(log));
	if (strcmp(strerrorname_np(-r), err)) {
		printf("# errno: %s\n", strerrorname_np(-r));
		return false;
	}
	if (!strstr(log, value)) {
		printf("# the log does not name '%s': %s\n", value, log);
		return false;
	}
	copy(health, sizeof(health), dm_send(name, 0, "health", &reply) ? "" : reply);
	if (!strstr(health, value)) {
		printf("# health does not name '%s': %s\n", value, health);
		return false;
	}
	state_of(name, after, sizeof(after));
	if (strcmp(before, after)) {
		printf("# before: %s\n# after: %s\n", before, after);
		return false;
	}
	return true;
}

int main(void)
{
	static char line[DM_ROOM];
	char *field[4];

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0) {
		puts("not ok - /dev/kmsg");
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		field[0] = line;
		for (int i = 1; i < 4; i++) {
			field[i] = strchr(field[i - 1], '\t');
			if (!field[i])
				return 1;
			*field[i]++ = 0;
		}
		printf("%s %.100s -> %s\n", refused(field[0], field[1], field[2], field[3]) ?
		       "ok" : "not ok", field[3], field[0]);
	}
	return 0;
}

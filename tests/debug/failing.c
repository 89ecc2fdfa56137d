// SPDX-License-Identifier: GPL-2.0-only
/*
 * failing alloc <device> <once|forever> <undo> <step>
 * failing io <device> <disk> <once|forever> <undo> <step>
 *
 * Does the step with the first allocation, or the first request to the disk, failing;
 * then with the second; and so on until there is none left to fail. "forever": with
 * all that follow it, which leaves kvmalloc() no second way; in steps that grow. Each
 * time the step must be refused (ENOMEM, EIO) and have changed nothing, or be done and
 * undone. Of allocations behind the 40th that come from where others came from before,
 * as in a loop, more and more are left out; but none beside one from elsewhere, and none
 * at LEVEL=full. Where from, the stack in the kernel log tells. What asks with
 * __GFP_NOWARN, most of what our own functions ask for, is not there: it is all taken
 * for one place, and behind the 40th up to 15 in a row are left out, of several places.
 *
 * Steps are create, load <start> <len> <target> <params>, suspend, resume, clear,
 * remove and message <words>; undo has any number of them, with ; between. For io
 * there are also read and write <sector> <sectors>, which nobody tries again.
 *
 * Prints what was seen on one line; exits 1 when something was not right.
 */
#define _GNU_SOURCE
#define DM_ROOM (64 * 1024)
#include "sectors.h"

#define FAULT "/sys/kernel/debug/fail_make_request/"
#define STATE_ROOM (2 * DM_ROOM)
#define MIN_ALL 40
#define MAX_STRIDE 16
#define MAX_SITES 4096

static const char *device, *disk;
static bool forever, every;
static int fail_nth = -1, data_fd = -1, kmsg = -1;
static u64 sites[MAX_SITES];
static unsigned int nr_sites;
static char *data, *content;
static size_t data_size;
static u64 counted;		/* requests, as the kernel has counted them */

static void put(const char *path, const char *fmt, ...)
{
	char text[64];
	va_list args;
	int fd, len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, len) != len)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static long get(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return strtol(text, NULL, 10);
}

/*
 * Faults
 */

static void set_nth(unsigned long n)
{
	char text[24];
	int len = sprintf(text, "%lu", n);

	if (pwrite(fail_nth, text, len, 0) != len)
		die("fail-nth: %s", strerror(errno));
}

/* Where from was the last failure? A hash of the stack, if it is in the kernel log. */
static u64 site(void)
{
	u64 hash = 0;
	char line[1024];
	ssize_t len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		char *text;

		line[len > 0 ? len : 0] = '\0';
		text = strchr(line, ';');
		/* "? f+0x10/0x20" is only what happens to be on the stack. */
		if (!text || !strstr(text, "+0x") || strstr(text, " ? "))
			continue;
		for (; *text && *text != '\n'; text++)
			hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
	}
	return hash;
}

static bool is_new(u64 hash)
{
	for (unsigned int i = 0; i < nr_sites; i++)
		if (sites[i] == hash)
			return false;
	if (nr_sites < MAX_SITES)
		sites[nr_sites++] = hash;
	return true;
}

static void make_it_fail(bool on)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s/make-it-fail", disk);
	put(disk ? path : "/proc/self/make-it-fail", "%d", on);
}

/*
 * Of both allocators, all that this task asks for after so many bytes of objects, and
 * so many pages; or none.
 */
static void fail_after(bool on, unsigned long bytes, unsigned long pages)
{
	static const char *const allocators[] = { "failslab", "fail_page_alloc" };
	const unsigned long spaces[] = { bytes, pages };

	if (!on)
		make_it_fail(false);
	for (unsigned int i = 0; i < ARRAY_SIZE(allocators); i++) {
		char path[64];
		int len = sprintf(path, "/sys/kernel/debug/%s/", allocators[i]);

		strcpy(path + len, "task-filter");
		put(path, on ? "Y" : "N");
		strcpy(path + len, "space");
		put(path, "%lu", spaces[i]);
		strcpy(path + len, "times");
		put(path, on ? "-1" : "0");
		strcpy(path + len, "probability");
		put(path, on ? "100" : "0");
	}
	if (on)
		make_it_fail(true);
}

/*
 * Of memory that fails for ever, pages end long before objects do: what is too large for
 * an object must be asked for while only those are left, and have it neither in one piece
 * nor page by page.
 *
 * The kernel counts requests while it may fail one, and fails those whose number is a
 * multiple of the interval. We know where it stands, and choose the interval so that
 * the n-th from here is the first multiple. With an interval of one it does not count,
 * but it can be made to fail all from the n-th 4 KiB on.
 */
static void arm(unsigned long n)
{
	if (!disk) {
		if (forever)
			fail_after(true, n * 64, n / 16);
		else
			set_nth(n);
		return;
	}
	put(FAULT "interval", "%llu", forever ? 1 : (unsigned long long)counted + n);
	put(FAULT "space", "%lu", forever ? n * 4096 : 0);
	put(FAULT "times", forever ? "-1" : "1");
	make_it_fail(true);
}

/* Requests of no use, until the one that is to fail: then it is known where it stands. */
static void use_up(unsigned long n)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", disk);
	fd = open_device(path, O_RDONLY | O_DIRECT);
	while (!io_all(fd, false, data, 4096, 0, 0))
		if (!n--)
			die("fail_make_request is out of step at %llu",
			    (unsigned long long)counted);
	close(fd);
}

/* Has it happened? Of those that fail forever the step itself must tell. */
static bool disarm(unsigned long n, int r)
{
	char text[24] = "";
	bool hit;

	if (!disk && forever) {
		fail_after(false, 0, 0);
		return r;
	}
	if (!disk) {
		if (pread(fail_nth, text, sizeof(text) - 1, 0) <= 0)
			die("fail-nth: %s", strerror(errno));
		set_nth(0);
		return !strtoul(text, NULL, 10);
	}
	hit = forever ? r : !get(FAULT "times");
	if (!forever && !hit)
		use_up(n);
	make_it_fail(false);
	put(FAULT "times", "0");
	put(FAULT "space", "0");
	if (!forever)
		counted += n;
	return hit;
}

/* A read of the disk that must fail, with the counter where we think it is. */
static void in_step(unsigned long n)
{
	bool was = forever;
	char path[64];
	int fd;

	forever = false;
	snprintf(path, sizeof(path), "/dev/%s", disk);
	fd = open_device(path, O_RDONLY | O_DIRECT);
	arm(n);
	for (unsigned long i = 1; i <= n; i++)
		if (!io_all(fd, false, data, 4096, 0, 0) != (i < n))
			die("fail_make_request is out of step at %llu",
			    (unsigned long long)counted);
	disarm(n, 0);
	close(fd);
	forever = was;
}

/*
 * Steps
 */

static int do_io(bool write, const char *words)
{
	u64 at, n;

	if (sscanf(words, "%lu %lu", &at, &n) != 2)
		die("not sectors: %s", words);
	memcpy(data, content + at * SECTOR, n * SECTOR);
	return io_all(data_fd, write, data, n * SECTOR, at, 0);
}

static int step(char *words)
{
	unsigned int minor;
	const char *reply;
	char *rest;

	words += strspn(words, " ");
	rest = words + strcspn(words, " ");
	if (*rest)
		*rest++ = '\0';
	if (!strcmp(words, "create"))
		return dm_create(device, &minor);
	if (!strcmp(words, "clear"))
		return dm_clear(device);
	if (!strcmp(words, "suspend"))
		return dm_suspend(device, 0);
	if (!strcmp(words, "resume"))
		return dm_resume(device);
	if (!strcmp(words, "remove"))
		return dm_remove(device);
	if (!strcmp(words, "message"))
		return dm_send(device, 0, rest, &reply);
	if (!strcmp(words, "read") || !strcmp(words, "write"))
		return do_io(!strcmp(words, "write"), rest);
	if (!strcmp(words, "load")) {
		struct dm_line line = { .type = "dm-remap-v4" };
		int at = 0;

		if (sscanf(rest, "%lu %lu dm-remap-v4 %n", &line.start, &line.len, &at) != 2)
			die("not a table: %s", rest);
		line.params = rest + at;
		return dm_load(device, &line, 1);
	}
	die("no step '%s'", words);
}

static void undo(const char *steps)
{
	char *copy = strdup(steps), *at = copy, *one;

	while ((one = strsep(&at, ";"))) {
		int r;

		if (!*one)
			continue;
		r = step(one);
		if (r)
			die("undo: %s: %s", one, strerror(-r));
	}
	free(copy);
}

/*
 * Of the status, what a failure must not change: not the table's size, nor errors; and
 * not, when requests fail, the state of the metadata and where that lies.
 */
static char *add_status(char *at, const char *status)
{
	static const char *const other[] = {
		"buckets=", "load=", "resizes=", "read_errors=", "write_errors=",
		/* when requests fail */
		"ok", "degraded", "failed", "metadata=", "spare_free=",
	};
	unsigned int nr = disk ? ARRAY_SIZE(other) : 5;

	while (*status) {
		size_t len = strcspn(status, " ");
		bool counts = true;

		for (unsigned int i = 0; i < nr; i++)
			counts &= !!strncmp(status, other[i], strlen(other[i]));
		if (counts)
			at += sprintf(at, "%.*s ", (int)len, status);
		status += len;
		status += *status == ' ';
	}
	return at;
}

static char *add_table(char *at, u32 flags)
{
	struct dm_ioctl *io = dm_prepare(device, flags | DM_STATUS_TABLE_FLAG |
					 DM_NOFLUSH_FLAG);
	int r = dm_ioctl(DM_TABLE_STATUS);
	struct dm_target_spec *spec = (void *)(dm_buf.room + io->data_start);

	return at + sprintf(at, "%d:%s\n", r, !r && io->target_count ?
			    (char *)(spec + 1) : "");
}

static char *state(char *room)
{
	const char *reply;
	char *at = room;
	int r;

	at = add_table(at, 0);
	at = add_table(at, DM_QUERY_INACTIVE_TABLE_FLAG);
	r = dm_send(device, 0, "status", &reply);
	at = add_status(at + sprintf(at, "%d ", r), r ? "" : reply);
	r = dm_send(device, 0, "list", &reply);
	sprintf(at, "\n%d %s\n", r, r ? "" : reply);
	return room;
}

static bool data_differs(void)
{
	if (!disk)
		return false;
	if (io_all(data_fd, false, data, data_size, 0, 0))
		return true;
	return memcmp(data, content, data_size);
}

static void open_data(void)
{
	struct dm_ioctl *io = dm_prepare(device, 0);
	char path[64];

	if (dm_ioctl(DM_DEV_STATUS))
		die("no device %s", device);
	snprintf(path, sizeof(path), "/dev/dm-%u", (unsigned int)minor(io->dev));
	data_fd = open_device(path, O_RDWR | O_DIRECT);
	data_size = device_sectors(data_fd) * SECTOR;
	data = io_buffer(data_size);
	content = io_buffer(data_size);
	for (u64 i = 0; i < data_size / SECTOR; i++)
		put_stamp(content + i * SECTOR, stamp(i, getpid()));
	if (io_all(data_fd, true, content, data_size, 0, 0))
		die("cannot write %s", device);
}

/*
 * After n: steps that grow, behind the first 40, as long as it comes from places that
 * were there before. At one that was not, and at the end, back to what was left out
 * before it.
 */
static unsigned long next(unsigned long n, bool hit)
{
	static unsigned long last, upto, stride = 1;
	bool new = hit && is_new(site());

	if (n < upto)
		return hit ? n + 1 : 0;
	if (n > upto && n > last + 1 && (new || !hit)) {
		upto = n;
		return last + 1;
	}
	if (!hit)
		return 0;
	stride = new || n <= MIN_ALL || n == upto ? 1 : stride + (stride < MAX_STRIDE);
	last = n;
	return n + stride;
}

/* What always asks for memory; not each resume does. */
static bool wants_memory(const char *what)
{
	static const char *const whats[] = {
		"load", "message add_remap", "message remove_remap", "message migrate",
		"message scrub start",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(whats); i++)
		if (!strncmp(what, whats[i], strlen(whats[i])))
			return true;
	return false;
}

static void each(const char *undo_steps, const char *what)
{
	char *before = malloc(STATE_ROOM), *after = malloc(STATE_ROOM);
	bool is_io = !strncmp(what, "read", 4) || !strncmp(what, "write", 5);
	bool resumes = !strcmp(what, "resume");
	unsigned int refused = 0, saved = 0;
	int expected = disk ? -EIO : -ENOMEM;

	for (unsigned long n = 1; n; ) {
		char *copy = strdup(what);
		bool hit;
		int r;

		state(before);
		arm(n);
		r = step(copy);
		hit = disarm(n, r);
		free(copy);
		if (r && (!hit || r != expected))
			die("failure %lu: %s", n, strerror(-r));
		refused += hit && r;
		saved += hit && !r;
		if (r && resumes) {
			/* The table is the live one now: device-mapper resumes it later. */
			r = dm_resume(device);
			if (r)
				die("resume after failure %lu: %s", n, strerror(-r));
		}

		state(after);
		if (!r && hit && is_io)
			die("failure %lu: nobody was told", n);
		if (r && strcmp(before, after))
			die("failure %lu has changed: %s-> %s", n, before, after);
		if (data_differs())
			die("failure %lu: data has changed", n);
		if (!r)
			undo(undo_steps);
		if (!r && data_differs())
			die("failure %lu: data has changed after undo", n);
		if (n > 10000)
			die("there is no end to it");
		if (forever)
			n = hit ? n + 1 + n / 2 : 0;
		else if (every)
			n = hit ? n + 1 : 0;
		else
			n = next(n, hit);
	}
	if (!refused && !saved && (disk || (!forever && wants_memory(what))))
		die("not one %s failed", disk ? "request" : "allocation");
	printf("%u failed", refused + saved);
	if (nr_sites)
		printf(" in %u places", nr_sites);
	printf(": %u refused, %u done all the same\n", refused, saved);
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "alloc")) {
		device = argv[2];
		forever = !strcmp(argv[3], "forever");
		/* So that page faults and the opening of things are over. */
		dm_prepare("", 0);
		dm_ioctl(DM_VERSION);
		memset(&dm_buf, 0, sizeof(dm_buf));
		fail_nth = open_device("/proc/self/fail-nth", O_RDWR);
		every = !strcmp(getenv("LEVEL") ? getenv("LEVEL") : "full", "full");
		kmsg = open_device("/dev/kmsg", O_RDONLY | O_NONBLOCK);
		lseek(kmsg, 0, SEEK_END);
		each(argv[4], argv[5]);
		return 0;
	}
	if (argc == 7 && !strcmp(argv[1], "io")) {
		device = argv[2];
		disk = argv[3];
		every = true;
		forever = !strcmp(argv[4], "forever");
		open_data();
		put(FAULT "verbose", "0");
		put(FAULT "task-filter", "N");
		put(FAULT "probability", "100");
		/* Where does it stand? Another test may have been here. */
		counted = strtoull(getenv("COUNTED") ? getenv("COUNTED") : "0", NULL, 10);
		in_step(2);
		each(argv[5], argv[6]);
		in_step(2);
		put(FAULT "probability", "0");
		printf("COUNTED=%llu\n", (unsigned long long)counted);
		return 0;
	}
	fprintf(stderr, "usage: failing alloc <device> <once|forever> <undo> <step>\n"
		"       failing io <device> <disk> <once|forever> <undo> <step>\n");
	return 2;
}

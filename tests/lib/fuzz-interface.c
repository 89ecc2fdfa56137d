// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random messages and table lines, by raw ioctls, which dmsetup would not send.
 *
 * fuzz-interface <calls> <nocopy> <device> <main> <spare> <main2> <spare2>
 *
 * <device> is the name of a device with one target over <main> and <spare>;
 * <device>-2 must not exist. What the disks hold is lost. With <nocopy> 0 every
 * sector keeps what it holds, whatever is answered: reads between the calls check
 * it. An answer that the documentation does not know ends the run, as does what
 * status, list and the disks do not agree on in the end. SEED as in lib.sh. Says as
 * TAP comments how often each answer came; exits 1 at what is wrong.
 */
#include "sectors.h"

#include <sys/stat.h>

static struct random random_state;
static u64 main_sectors, spare_sectors;
static u32 block;
static bool with_nocopy;
static const char *dev_main, *dev_spare, *dev_main2, *dev_spare2;

static u64 rnd(void)
{
	return random_u64(&random_state);
}

static u64 upto(u64 n)
{
	return below(&random_state, n);
}

static bool chance(u64 n)
{
	return one_in(&random_state, n);
}

/*
 * What is sent.
 */

static char text[1 << 16];
static size_t text_len;

__attribute__((format(printf, 1, 2)))
static void put(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (text_len < sizeof(text) - 200)
		text_len += vsnprintf(text + text_len, 200, fmt, args);
	va_end(args);
}

#define PICK(array) ((array)[upto(ARRAY_SIZE(array))])

/* Bytes that parsers, and those who print them, stumble over. */
static void put_garbage(void)
{
	static const char *const words[] = {
		"%s%s%n", "\\", "\\ ", "a\\ b", "'", "\"", "\n", "\t", "\x01\x7f",
		"\xff\xfe", "0x10", "08", "1e3", "1.5", "1,000", "+1", "-1", "-0",
		"--", "", "10k", "1\\", "*", "@", "@cancel_deferred_remove",
	};
	char word[100];
	size_t n;

	if (chance(2)) {
		put("%s", PICK(words));
		return;
	}
	n = upto(sizeof(word));
	for (size_t i = 0; i < n; i++)
		word[i] = 1 + upto(255);
	word[n] = 0;
	put("%s", word);
}

static void put_number(u64 limit)
{
	static const char *const huge[] = {
		"9223372036854775807", "9223372036854775808", "18446744073709551608",
		"18446744073709551615", "18446744073709551616",
		"18446744073709551617", "36893488147419103232", "4294967296",
		"36028797018963968", "99999999999999999999999999999999999999999999",
		"000000000000000000000000000000000000000000000000000000000000000008",
	};

	switch (upto(24)) {
	case 0:
		put_garbage();
		break;
	case 1:
		put("%s", PICK(huge));
		break;
	case 2:
		put("%llu", (unsigned long long)(limit + upto(3) - 1));
		break;
	case 3:
		put("%llu", (unsigned long long)upto(3));
		break;
	case 4:
		put("%llu", (unsigned long long)-upto(100));
		break;
	case 5:
		put("%llu", (unsigned long long)rnd() >> upto(64));
		break;
	case 6:
		put("%llu", (unsigned long long)upto(limit));
		break;
	default:
		put("%llu", (unsigned long long)upto(limit) / block * block);
	}
}

/* Mostly short and whole, so that many fit. */
static void put_length(void)
{
	if (chance(10))
		put_number(main_sectors);
	else
		put("%llu", (unsigned long long)(1 + upto(64 / block)) * block);
}

static void put_nocopy(void)
{
	if (with_nocopy && chance(3))
		put(" nocopy");
	else if (chance(30))
		put(" %s", chance(2) ? "lost" : "no_copy");
}

static void put_triple(void)
{
	put(" ");
	put_number(main_sectors);
	if (chance(3)) {
		put(" ");
		put_number(spare_sectors);
	} else {
		put(" %s", chance(40) ? "AUTO" : "auto");
	}
	put(" ");
	put_length();
}

static void make_message(void)
{
	static const char *const others[] = {
		"query", "list", "set", "stats", "clear_stats", "status", "health",
		"help", "scrub", "migrate", "ADD_REMAP", "add_remap_", "remove",
		"add_remaps", "remove_remap", "clear_all", "add_remap",
	};
	static const char *const words[] = {
		"auto", "spare_low", "set", "pending", "aside", "on", "lost", "start",
	};
	u64 n;

	text_len = 0;
	text[0] = 0;
	switch (upto(10)) {
	case 0:
	case 1:
	case 2:
		put("add_remap");
		put_triple();
		put_nocopy();
		break;
	case 3:
		put("add_remaps");
		if (with_nocopy && chance(3))
			put(" nocopy");
		for (n = 1 + upto(chance(10) ? 100 : 5); n; n--)
			put_triple();
		break;
	case 4:
	case 5:
		put("remove_remap ");
		put_number(main_sectors);
		if (!chance(5)) {
			put(" ");
			put_length();
		}
		put_nocopy();
		break;
	case 6:
		put(chance(2) ? "query " : "list ");
		put_number(main_sectors);
		put(" ");
		put_number(chance(2) ? 1000 : main_sectors);
		break;
	case 7:
		put(chance(30) ? "clear_all" : "set spare_low ");
		put_number(spare_sectors);
		break;
	default:
		/* Nothing that fits together. */
		if (chance(4))
			put_garbage();
		else
			put("%s", PICK(others));
		for (n = upto(6); n; n--) {
			put(" ");
			switch (upto(3)) {
			case 0:
				put("%s", PICK(words));
				break;
			case 1:
				put_number(main_sectors);
				break;
			default:
				put_garbage();
			}
		}
	}
}

static void put_device(const char *right)
{
	static const char *const wrong[] = {
		"0:0", "999:999", "/dev/nowhere", "/dev/null", "/", "7:",
	};
	const char *const four[] = { dev_main, dev_spare, dev_main2, dev_spare2 };

	if (chance(8))
		put("%s", PICK(four));
	else if (chance(16))
		put("%s", PICK(wrong));
	else if (chance(30))
		put_garbage();
	else
		put("%s", right);
}

static void make_line(const char *main, const char *spare)
{
	static const char *const options[] = {
		"manual", "volatile", "MANUAL", "format", "resize", "adopt", "main_id",
		"main_id disk-1", "verify", "auto", "spare_low", "spare_low ",
	};
	unsigned int words = upto(4);

	text_len = 0;
	text[0] = 0;
	put_device(main);
	if (chance(20))
		return;
	put(" ");
	put_device(spare);
	if (chance(3))
		return;
	put(" ");
	if (chance(4))
		put_number(6);
	else
		put("%u", words);
	while (words--) {
		if (chance(4)) {
			put(" %s", PICK(options));
		} else if (words && chance(2)) {
			put(" spare_low ");
			put_number(spare_sectors);
			words--;
		} else {
			put(" %s", chance(2) ? "manual" : "volatile");
		}
	}
	if (chance(30))
		put_garbage();
}

/*
 * How it is sent, and what may come back.
 */

static struct answer { const char *name; int err; u64 seen; } answers[] = {
	{ "success", 0, 0 }, { "EINVAL", EINVAL, 0 }, { "ERANGE", ERANGE, 0 },
	{ "EEXIST", EEXIST, 0 }, { "EBUSY", EBUSY, 0 }, { "ENOENT", ENOENT, 0 },
	{ "ENOSPC", ENOSPC, 0 },
};

/*
 * Of device-mapper itself, for words that are no device. EUCLEAN: a volatile life may have
 * put data where an earlier one had its metadata.
 */
static struct answer table_answers[] = {
	{ "EUCLEAN", EUCLEAN, 0 },
	{ "ENXIO", ENXIO, 0 }, { "ENODEV", ENODEV, 0 }, { "ENOTBLK", ENOTBLK, 0 },
	{ "EACCES", EACCES, 0 },
};

static bool count_answer(struct answer *known, size_t n, int err)
{
	for (size_t i = 0; i < n; i++) {
		if (known[i].err == -err) {
			known[i].seen++;
			return true;
		}
	}
	return false;
}

/* What some message has said that it is lost cannot be copied back. */
static u64 copies_of_lost;

static bool lost_is_in_the_way(int err)
{
	if (err != -EIO || (strncmp(text, "remove_remap ", 13) && strncmp(text, "clear_all", 9)) ||
	    strstr(text, "nocopy"))
		return false;
	copies_of_lost++;
	return true;
}

static void show_answers(const struct answer *known, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("# %s: %llu\n", known[i].name, (unsigned long long)known[i].seen);
}

static void must(const char *what, int r)
{
	if (r)
		die("%s: %s", what, strerror(-r));
}

/* Room for the reply: often too little, and then not always asked again. */
static void send_message(const char *name)
{
	size_t size = sizeof(struct dm_ioctl) + sizeof(struct dm_target_msg) +
		      strlen(text) + 1;
	size_t room = chance(2) ? DM_ROOM : size + upto(300);
	struct dm_target_msg *msg;
	struct dm_ioctl *io;
	int r;

	do {
		io = dm_prepare(name, 0);
		io->data_size = room < DM_ROOM ? room : DM_ROOM;
		msg = (void *)(dm_buf.room + io->data_start);
		msg->sector = chance(200) ? rnd() : upto(main_sectors);
		strcpy(msg->message, text);
		r = dm_ioctl(DM_TARGET_MSG);
		room *= 2;
	} while (!r && io->flags & DM_BUFFER_FULL_FLAG && !chance(4));

	if (!count_answer(answers, ARRAY_SIZE(answers), r) && !lost_is_in_the_way(r) &&
	    /* It opens a device, as a table does. */
	    (strncasecmp(text, "migrate ", 8) ||
	     !count_answer(table_answers, ARRAY_SIZE(table_answers), r)))
		die("message '%s': %s", text, strerror(-r));
	if (!r && io->flags & DM_DATA_OUT_FLAG && !(io->flags & DM_BUFFER_FULL_FLAG) &&
	    !memchr(dm_buf.room + io->data_start, 0, io->data_size - io->data_start))
		die("message '%s': a reply without an end", text);
}

static int load_line(const char *name, u64 start, u64 len)
{
	struct dm_line line = { start, len, "dm-remap-v4", text };
	int r = dm_load(name, &line, 1);

	if (!count_answer(answers, ARRAY_SIZE(answers), r) &&
	    !count_answer(table_answers, ARRAY_SIZE(table_answers), r))
		die("table line '%s': %s", text, strerror(-r));
	return r;
}

/* Other lines for the device, none of which comes in force. */
static void send_line(const char *name)
{
	make_line(dev_main, dev_spare);
	load_line(name, 0, main_sectors);
	must("cannot drop the table", dm_clear(name));
}

/* A whole life of another device, on other disks for the most part. */
static void send_life(const char *name)
{
	u64 len = main_sectors;
	unsigned int minor;
	char second[64];

	snprintf(second, sizeof(second), "%s-2", name);
	make_line(dev_main2, dev_spare2);
	if (chance(4))
		len = chance(2) ? len + 1 : rnd() >> upto(64);
	must("cannot create a device", dm_create(second, &minor));
	if (!load_line(second, chance(50) ? rnd() : 0, len) && chance(2)) {
		must("cannot resume what could be loaded", dm_resume(second));
		for (unsigned int n = upto(5); n; n--) {
			make_message();
			send_message(second);
		}
		if (chance(5))
			must("cannot suspend", dm_suspend(second, 0));
	}
	must("cannot remove a device", dm_remove(second));
}

/*
 * What must hold.
 */

static int fd_device, fd_main, fd_spare;
static char *buf;

static void fill(int fd, u64 sectors, u32 flag)
{
	for (u64 at = 0; at < sectors; at += MAX_IO) {
		u64 n = min_u64(MAX_IO, sectors - at);

		for (u64 i = 0; i < n; i++)
			put_stamp(buf + i * SECTOR, stamp((at + i) | flag, 1));
		must("cannot fill a disk", io_all(fd, true, buf, n * SECTOR, at, 0));
	}
}

static void check_somewhere(void)
{
	u64 n = (1 + upto(16)) * block;
	u64 at = upto((main_sectors - n) / block) * block;
	char found[64];
	int r;

	r = io_all(fd_device, false, buf, n * SECTOR, at, 0);
	/* Some message has said that it is lost: check_list() sees to it. */
	if (r == -ENODATA)
		return;
	must("cannot read", r);
	for (u64 i = 0; i < n; i++)
		if (get_stamp(buf + i * SECTOR) != stamp(at + i, 1))
			die("sector %llu holds %s", (unsigned long long)(at + i),
			    show(found, get_stamp(buf + i * SECTOR)));
}

/* All of a disk; @lost says what has no data, or is NULL where all must have. */
static char *whole(int fd, u64 sectors, bool *lost)
{
	char *all = io_buffer(sectors * SECTOR);

	for (u64 at = 0; at < sectors; at += MAX_IO) {
		u64 n = min_u64(MAX_IO, sectors - at);
		int r = io_all(fd, false, all + at * SECTOR, n * SECTOR, at, 0);

		for (u64 i = at; i < at + n && r == -ENODATA && lost; i += block) {
			int one = io_all(fd, false, all + i * SECTOR, block * SECTOR, i, 0);

			if (one && one != -ENODATA)
				must("cannot read a disk", one);
			for (u64 j = i; j < i + block; j++)
				lost[j] = one;
		}
		if (r != -ENODATA || !lost)
			must("cannot read a disk", r);
	}
	return all;
}

/* Ask for the rows from *@from on, which then is behind the last; @count them. */
static bool next_rows(const char *name, u64 *from, u64 *to, bool *lost, u64 *count)
{
	unsigned long long start, spare, len;
	const char *row;
	bool any = false;
	char list[64];
	int used;

	snprintf(list, sizeof(list), "list %llu", (unsigned long long)*from);
	must("list", dm_send(name, 0, list, &row));
	while (sscanf(row, "%llu %llu %llu%n", &start, &spare, &len, &used) == 3) {
		if (start < *from || !len || start + len > main_sectors ||
		    spare < 8 || spare + len > spare_sectors ||
		    (start | spare | len) % block)
			die("list has '%llu %llu %llu'", start, spare, len);
		for (u64 i = 0; i < len; i++) {
			if (to[start + i])
				die("list has main sector %llu twice", start + i);
			to[start + i] = spare + i;
			lost[start + i] = !strncmp(row + used, " lost", 5);
		}
		*from = start + len;
		++*count;
		any = true;
		row = strchr(row, '\n') + 1;
	}
	return any;
}

/* The device is what `list` makes of its disks, and `status` the sum of it. */
static void check_list(const char *name)
{
	bool *lost = calloc(main_sectors, sizeof(*lost));
	bool *listed = calloc(main_sectors, sizeof(*listed));
	char *device = whole(fd_device, main_sectors, lost);
	char *main = whole(fd_main, main_sectors, NULL);
	char *spare = whole(fd_spare, spare_sectors, NULL);
	u64 *to = calloc(main_sectors, sizeof(*to));
	bool *used = calloc(spare_sectors, sizeof(*used));
	u64 from = 0, remaps = 0, sectors = 0;
	char sum[200], free[100];
	const char *status;

	while (next_rows(name, &from, to, listed, &remaps))
		;
	for (u64 i = 0; i < main_sectors; i++) {
		const char *is = device + i * SECTOR;
		const char *was = to[i] ? spare + to[i] * SECTOR : main + i * SECTOR;

		if (lost[i] != listed[i])
			die("main sector %llu is%s lost, list says the other",
			    (unsigned long long)i, lost[i] ? "" : " not");
		if (!lost[i] && memcmp(is, was, SECTOR))
			die("main sector %llu is not what spare sector %llu (0: none) holds",
			    (unsigned long long)i, (unsigned long long)to[i]);
		if (to[i] && used[to[i]])
			die("list has spare sector %llu twice", (unsigned long long)to[i]);
		if (to[i])
			used[to[i]] = true;
		sectors += !!to[i];
	}

	must("status", dm_send(name, 0, "status", &status));
	snprintf(sum, sizeof(sum), " remaps=%llu sectors=%llu ",
		 (unsigned long long)remaps, (unsigned long long)sectors);
	snprintf(free, sizeof(free), " spare_free=%llu/%llu ",
		 (unsigned long long)(spare_sectors - 8 - sectors),
		 (unsigned long long)(spare_sectors - 8));
	if (!strstr(status, sum) || !strstr(status, free))
		die("status is '%s', list says%s and%s", status, sum, free);
	printf("# in the end:%s\n", sum);
}

int main(int argc, char **argv)
{
	const char *seed_text = getenv("SEED");
	char path[100];
	u64 calls;

	if (argc != 8)
		die("usage: see the head of fuzz-interface.c");
	calls = strtoull(argv[1], NULL, 10);
	with_nocopy = atoi(argv[2]);
	dev_main = argv[4];
	dev_spare = argv[5];
	dev_main2 = argv[6];
	dev_spare2 = argv[7];
	random_state.state = strtoull(seed_text ? seed_text : "1", NULL, 10);

	snprintf(path, sizeof(path), "/dev/mapper/%s", argv[3]);
	fd_device = open_device(path, O_RDWR | O_DIRECT);
	fd_main = open_device(dev_main, O_RDWR | O_DIRECT);
	fd_spare = open_device(dev_spare, O_RDWR | O_DIRECT);
	main_sectors = device_sectors(fd_device);
	spare_sectors = device_sectors(fd_spare);
	block = device_block(fd_device);
	buf = io_buffer(MAX_IO * SECTOR);
	fill(fd_main, main_sectors, 0);
	fill(fd_spare, spare_sectors, ON_SPARE);

	for (u64 i = 0; i < calls; i++) {
		if (chance(8)) {
			send_line(argv[3]);
		} else if (chance(8)) {
			send_life(argv[3]);
		} else {
			make_message();
			send_message(argv[3]);
		}
		if (!with_nocopy)
			check_somewhere();
		if (chance(500)) {
			must("cannot suspend", dm_suspend(argv[3], 0));
			must("cannot resume", dm_resume(argv[3]));
		}
	}
	check_list(argv[3]);
	printf("# EIO: %llu\n", (unsigned long long)copies_of_lost);
	show_answers(answers, ARRAY_SIZE(answers));
	show_answers(table_answers, ARRAY_SIZE(table_answers));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * simulate: a recording without a guest. metadata.c, and the rest of a module in
 * short, on disks that only log. It shows in seconds that the judge judges: right for
 * a module that does everything in order, and wrong for each of the faults:
 *
 *	data	the data of an add is not flushed before the commit
 *	main	... of a removal
 *	commit	metadata is written and not flushed
 *	ack	a change is acknowledged before it is committed
 *	reuse	spare sectors are free before the removal is committed
 *	stale	an add does not copy
 *	half	a batch is committed in two, and the power fails between them
 */
#include "sectors.h"
#include "log.h"
#include "spare.h"

#define MAIN_SECTORS	8192U
#define SPARE_SECTORS	8192U
#define MAX_BATCH	200U

static char *disks[2];
static FILE *out;
static u64 nr_events;
static u32 version = 1;
static struct random rnd;
static const char *fault = "";
static bool halved;

static bool faulty(const char *name)
{
	return !strcmp(fault, name);
}

/*
 * Disks
 */

static u64 put_event(struct event e, const void *data)
{
	if (fwrite(&e, sizeof(e), 1, out) != 1 ||
	    (data && fwrite(data, e.length, 1, out) != 1))
		die("cannot write the recording: %s", strerror(errno));
	return nr_events++;
}

static void put_done(u32 disk, u64 number)
{
	put_event((struct event){ EVENT_DONE, disk, 0, 0, number }, NULL);
}

static void write_disk(u32 disk, u32 sector, const void *data, u32 nr, bool fua)
{
	struct event e = {
		EVENT_WRITE, disk, fua ? EVENT_FUA : 0, nr * SECTOR, (u64)sector * SECTOR,
	};

	memmove(disks[disk] + (u64)sector * SECTOR, data, nr * SECTOR);
	put_done(disk, put_event(e, disks[disk] + (u64)sector * SECTOR));
}

static void flush_disk(u32 disk)
{
	put_done(disk, put_event((struct event){ EVENT_FLUSH, disk, 0, 0, 0 }, NULL));
}

static int meta_read(void *context, u64 sector, void *data, unsigned int blocks)
{
	memcpy(data, disks[SPARE] + sector * SECTOR, blocks * 8 * SECTOR);
	return 0;
}

static int meta_write(void *context, u64 sector, const void *data, unsigned int blocks,
		      bool durable)
{
	durable &= !faulty("commit");
	if (durable && !faulty("data"))
		flush_disk(SPARE);
	write_disk(SPARE, sector, data, blocks * 8, durable);
	return 0;
}

/*
 * Marks
 */

static char mark_text[64 * 1024];

__attribute__((format(printf, 1, 2)))
static void mark(const char *fmt, ...)
{
	size_t at = strlen(mark_text);
	va_list args;

	at += snprintf(mark_text + at, sizeof(mark_text) - at, "0 ");
	va_start(args, fmt);
	at += vsnprintf(mark_text + at, sizeof(mark_text) - at, fmt, args);
	va_end(args);
	snprintf(mark_text + at, sizeof(mark_text) - at, "\n");
}

static void put_marks(void)
{
	size_t size = (strlen(mark_text) + SECTOR - 1) / SECTOR * SECTOR;

	put_done(MARK, put_event((struct event){ EVENT_WRITE, MARK, 0, size, 0 }, mark_text));
	memset(mark_text, 0, sizeof(mark_text));
}

/*
 * What a module does
 */

/* Most of it happens in few sectors, or removals and writes would not meet remaps. */
static u32 pick_main(u32 len, bool anywhere)
{
	u32 end = anywhere || one_in(&rnd, 8) ? MAIN_SECTORS : 256;

	return below(&rnd, end - len + 1);
}

static void copy_sectors(const struct map *map, u32 main, u32 spare, u32 len, bool back)
{
	for (u32 i = 0; i < len; i++) {
		u32 to = back ? map->to[main + i] : spare + i;

		if (back && to != NOWHERE)
			write_disk(MAIN, main + i, disks[SPARE] + (u64)to * SECTOR, 1, false);
		else if (!back)
			write_disk(SPARE, to, disks[MAIN] + (u64)(main + i) * SECTOR, 1, false);
	}
}

/* The lowest free, as the module has it, or anywhere; but for what the batch has. */
static u32 pick_spare(u32 len, uint8_t *given)
{
	u32 at = one_in(&rnd, 50) ? below(&rnd, SPARE_SECTORS) : 0;

	for (; at + len <= SPARE_SECTORS; at++)
		if (spare_free(at, len) && !memchr(given + at, 1, len)) {
			memset(given + at, 1, len);
			return at;
		}
	return NOWHERE;
}

static void commit(const struct change *changes, u32 nr)
{
	if (spare_commit(changes, nr))
		die("a commit failed: %s", spare_said());
}

static void add(u32 rows)
{
	static struct change changes[MAX_BATCH];
	static uint8_t given[SPARE_SECTORS], taken[MAIN_SECTORS];
	const struct map *map = spare_map();
	u32 nr = 0;

	memset(given, 0, sizeof(given));
	memset(taken, 0, sizeof(taken));
	for (u32 i = 0; i < rows; i++) {
		u32 len = rows > 1 ? 1 + one_in(&rnd, 4) : log_uniform(&rnd, 16);
		u32 main = pick_main(len, rows > 1), spare;

		if (map_any(map, main, len) || memchr(taken + main, 1, len))
			continue;
		spare = pick_spare(len, given);
		if (spare == NOWHERE)
			continue;
		memset(taken + main, 1, len);
		changes[nr++] = (struct change){ main, spare, len, false };
	}
	if (!nr)
		return;
	mark("begin message add_remaps");
	mark_text[strlen(mark_text) - 1] = '\0';
	for (u32 i = 0; i < nr; i++)
		sprintf(mark_text + strlen(mark_text), " %u %s %u", changes[i].main,
			"auto", changes[i].len);
	strcat(mark_text, "\n");
	put_marks();
	for (u32 i = 0; i < nr && !faulty("stale"); i++)
		copy_sectors(map, changes[i].main, changes[i].spare, changes[i].len, false);
	for (u32 i = 0; i < nr; i++)
		mark("row %u %u %u", changes[i].main, changes[i].spare, changes[i].len);
	mark("done");
	if (faulty("ack"))
		put_marks();
	if (faulty("half") && nr > 1) {
		commit(changes, nr / 2);
		/*
		 * The areas may have grown over the other half's places, and no more is
		 * needed: the power fails in between.
		 */
		halved = true;
		return;
	}
	commit(changes, nr);
	if (!faulty("ack"))
		put_marks();
}

static void remove_some(u32 most)
{
	const struct map *map = spare_map();
	u32 len = log_uniform(&rnd, most);
	u32 main = pick_main(len, most > 64);
	struct change change = { main, NOWHERE, len, false };

	if (!map_any(map, main, len))
		return;
	mark("begin message remove_remap %u %u", main, len);
	put_marks();
	copy_sectors(map, main, 0, len, true);
	if (!faulty("main"))
		flush_disk(MAIN);
	if (faulty("reuse"))
		/* What is next to use them. */
		for (u32 s = main; s < main + len; s++)
			if (map->to[s] != NOWHERE)
				write_disk(SPARE, map->to[s],
					   disks[MAIN] + (u64)((s + 9) % MAIN_SECTORS) * SECTOR,
					   1, false);
	commit(&change, 1);
	mark("done");
	put_marks();
}

static void write_some(void)
{
	const struct map *map = spare_map();
	u32 nr = log_uniform(&rnd, 32), sector = pick_main(nr, false);
	bool fua = one_in(&rnd, 8);
	char data[SECTOR];

	version++;
	mark("begin %s %u %u %u", fua ? "fua" : "write", version, sector, nr);
	put_marks();
	for (u32 s = sector; s < sector + nr; s++) {
		memset(data, 0, sizeof(data));
		put_stamp(data, stamp(s, version));
		if (map->to[s] == NOWHERE)
			write_disk(MAIN, s, data, 1, fua);
		else
			write_disk(SPARE, map->to[s], data, 1, fua);
	}
	mark("done");
	put_marks();
}

static void sync_disks(void)
{
	mark("begin sync");
	put_marks();
	flush_disk(MAIN);
	flush_disk(SPARE);
	mark("done");
	put_marks();
}

int main(int argc, char **argv)
{
	static const struct spare_io io = { meta_read, meta_write, NULL };
	struct log_head head = {
		LOG_MAGIC, { [MAIN] = MAIN_SECTORS, [SPARE] = SPARE_SECTORS, [MARK] = 2048 },
	};
	u64 steps, grown = 0, halves = 0, most = 0, epoch;
	unsigned int area;

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: simulate <recording> <seed> <steps> [<fault>]\n");
		return 2;
	}
	rnd.state = strtoull(argv[2], NULL, 0);
	steps = strtoull(argv[3], NULL, 0);
	if (argc == 5)
		fault = argv[4];
	out = fopen(argv[1], "w");
	if (!out || fwrite(&head, sizeof(head), 1, out) != 1)
		die("cannot write %s: %s", argv[1], strerror(errno));
	for (u32 d = MAIN; d <= SPARE; d++)
		disks[d] = zalloc(head.sectors[d], SECTOR);
	for (u32 s = 0; s < MAIN_SECTORS; s++)
		put_stamp(disks[MAIN] + s * SECTOR, stamp(s, 1));
	spare_init(MAIN_SECTORS, SPARE_SECTORS, &io);

	mark("begin create");
	put_marks();
	if (spare_format(random_u64(&rnd)))
		die("cannot format: %s", spare_said());
	mark("done");
	put_marks();
	area = spare_area_sectors();
	epoch = spare_epoch();
	for (u64 i = 0; i < steps && !halved; i++) {
		/* The map fills in the first half, for its areas to grow. */
		bool fill = i < steps / 2;

		switch (below(&rnd, 8)) {
		case 0:
			add(fill ? MAX_BATCH - below(&rnd, 20) : log_uniform(&rnd, MAX_BATCH));
			break;
		case 1:
		case 2:
			add(1);
			break;
		case 3:
			remove_some(fill ? 16 : MAIN_SECTORS / 4);
			break;
		case 4:
			sync_disks();
			break;
		default:
			write_some();
		}
		most = max_u64(most, spare_count());
		grown += spare_area_sectors() > area;
		halves += spare_epoch() != epoch;
		area = spare_area_sectors();
		epoch = spare_epoch();
	}
	if (fclose(out))
		die("cannot write %s: %s", argv[1], strerror(errno));
	printf("# %llu events, at most %llu remaps; the log began anew %llu times, and grew %llu times\n",
	       (unsigned long long)nr_events, (unsigned long long)most,
	       (unsigned long long)halves,
	       (unsigned long long)grown);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's disks, as an nbdkit plugin: exports "main", "spare", "mark" and perhaps
 * "next", the spare to migrate to, kept in memory. What they are told goes to one log,
 * in one order (log.h), and the disk claims a volatile write cache: judge.c makes of
 * the log what a power cut could have left.
 *
 * For that to be sound, the log must never call durable what the guest could not
 * count on, nor the other way round:
 *
 *  - One lock is held while a request is logged and carried out in memory, so the
 *    log's order is the order in which the disk took the writes. A write is in the
 *    log before it is answered; from then on a cut may keep it or lose it.
 *  - A flush covers the writes that were answered before it came, and no others: the
 *    guest must not send it before. So the end of every request is logged as well,
 *    before its answer goes out. Whatever the guest has seen answered when it sends a
 *    flush is therefore logged as done before the flush. What was only just answered
 *    counts too, though the guest may not know it yet: that errs on the lenient side.
 *    Requests are held for a while between their arrival and their end, which makes
 *    this grain of leniency rare: a flush sent before the writes it is to cover have
 *    been answered finds them unfinished in the log, and covers none of them. A
 *    superblock and the flush that follows it take long, so that others write and
 *    flush between the steps of a migration.
 *  - What a flush covers is durable when its end is logged, not before. FUA likewise,
 *    for the one write. (virtio-blk has no FUA: the guest's kernel sends a write and
 *    then a flush.)
 *  - A write to "mark" says what the guest is about to do, or what was acknowledged to
 *    it. It is in the log before it is answered: the guest waits for that, so the
 *    intent is logged before the deed, and the acknowledgement after it.
 *
 * Sectors go bad when a line of a mark says so, in the order of all the rest:
 *
 *	<thread> bad <disk> <reads> <writes> <sector> <sectors>
 *
 * The next so many reads of each fail, and the next so many writes; ALWAYS for good, 0
 * no longer. What fails is not done at all. A write that does not fail makes sectors
 * readable, as a drive does it. Blocks of metadata can always be written: what failed
 * in them is another test's (fail=). A discard never fails.
 *
 * Parameters:
 *   log=FILE          where to
 *   main=MIB spare=MIB next=MIB
 *   from=DIRECTORY    DIRECTORY/main and /spare have the contents; else sectors of
 *                     main have stamps and the spare zeros
 *   seed=N            of the delays
 *   stop=N            the power fails at the N-th write to main or a spare: nothing later
 *                     is logged or answered, and nbdkit ends
 *   fail=N mend=M     from the N-th to the M-th write, writes of metadata to the upper
 *                     half of spare fail; one in two is done all the same
 */
#include "sectors.h"
#include "log.h"

#include <inttypes.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define MARK_BYTES	(1 << 20)
#define HELD_US		1500
#define SUPER_US	20000
#define ALWAYS		255

static const char *const names[DISKS] = { "main", "spare", "next", "mark" };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *disks[DISKS];
static uint8_t *bad_reads[DISKS], *bad_writes[DISKS];
static struct log_head head = { .magic = LOG_MAGIC };
static const char *from;
static char *log_path;
static FILE *log_file;
static bool slow_flush[DISKS];
static uint64_t nr_events, nr_writes, stop = UINT64_MAX, fail = UINT64_MAX, mend;
static struct random rnd;

static int recorder_config(const char *key, const char *value)
{
	int64_t n;

	if (!strcmp(key, "log")) {
		log_path = nbdkit_absolute_path(value);
		return log_path ? 0 : -1;
	}
	if (!strcmp(key, "from")) {
		from = nbdkit_absolute_path(value);
		return from ? 0 : -1;
	}
	n = strtoll(value, NULL, 10);
	if (!strcmp(key, "main")) {
		head.sectors[MAIN] = n << 11;
	} else if (!strcmp(key, "spare")) {
		head.sectors[SPARE] = n << 11;
	} else if (!strcmp(key, "next")) {
		head.sectors[NEXT] = n << 11;
	} else if (!strcmp(key, "seed")) {
		rnd.state = n;
	} else if (!strcmp(key, "stop")) {
		stop = n;
	} else if (!strcmp(key, "fail")) {
		fail = n;
	} else if (!strcmp(key, "mend")) {
		mend = n;
	} else {
		nbdkit_error("no parameter %s", key);
		return -1;
	}
	return 0;
}

static int recorder_config_complete(void)
{
	head.sectors[MARK] = MARK_BYTES / SECTOR;
	if (log_path && head.sectors[MAIN] && head.sectors[SPARE])
		return 0;
	nbdkit_error("log, main and spare are wanted");
	return -1;
}

static int read_disk(enum disk disk)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", from, names[disk]);
	f = fopen(path, "r");
	if (!f || fread(disks[disk], SECTOR, head.sectors[disk], f) != head.sectors[disk]) {
		nbdkit_error("cannot read %s", path);
		return -1;
	}
	fclose(f);
	return 0;
}

static int recorder_get_ready(void)
{
	for (int d = 0; d < DISKS; d++) {
		disks[d] = calloc(head.sectors[d], SECTOR);
		bad_reads[d] = calloc(head.sectors[d], 1);
		bad_writes[d] = calloc(head.sectors[d], 1);
		if (!disks[d] || !bad_reads[d] || !bad_writes[d])
			return -1;
		if (from && d != MARK && head.sectors[d] && read_disk(d))
			return -1;
	}
	for (uint64_t s = 0; s < head.sectors[MAIN] && !from; s++)
		put_stamp(disks[MAIN] + s * SECTOR, stamp(s, 1));
	log_file = fopen(log_path, "w");
	if (!log_file || fwrite(&head, sizeof(head), 1, log_file) != 1) {
		nbdkit_error("cannot write %s", log_path);
		return -1;
	}
	return 0;
}

static void recorder_unload(void)
{
	if (log_file && fclose(log_file))
		nbdkit_error("cannot write %s", log_path);
}

/* Under the lock. Returns the event's number. */
static uint64_t put_event(struct event e, const void *data)
{
	if (fwrite(&e, sizeof(e), 1, log_file) != 1 ||
	    (data && fwrite(data, e.length, 1, log_file) != 1)) {
		/* A log with a hole proves nothing. */
		nbdkit_error("cannot write %s", log_path);
		_exit(1);
	}
	return nr_events++;
}

static void power_cut(void)
{
	_exit(fflush(log_file) ? 1 : 0);
}

static uint64_t held_us(bool slow)
{
	if (slow)
		return SUPER_US / 2 + below(&rnd, SUPER_US / 2);
	return one_in(&rnd, 2) ? below(&rnd, HELD_US) : 0;
}

/* A request has been carried out; its answer may go out in a while. */
static void finish_request(enum disk disk, uint64_t number, uint16_t flags, bool slow)
{
	uint64_t us;

	pthread_mutex_lock(&lock);
	us = held_us(slow);
	pthread_mutex_unlock(&lock);
	if (us && disk != MARK)
		usleep(us);
	pthread_mutex_lock(&lock);
	put_event((struct event){ EVENT_DONE, disk, flags, 0, number }, NULL);
	pthread_mutex_unlock(&lock);
}

static void spoil_line(const char *line)
{
	unsigned int disk, reads, writes;
	uint64_t sector, nr;

	if (sscanf(line, "%*u bad %u %u %u %" SCNu64 " %" SCNu64, &disk, &reads, &writes,
		   &sector, &nr) != 5 || disk >= MARK || nr > head.sectors[disk] ||
	    sector > head.sectors[disk] - nr)
		return;
	memset(bad_reads[disk] + sector, reads, nr);
	memset(bad_writes[disk] + sector, writes, nr);
}

static void spoil(const char *data, uint32_t count)
{
	char *text = strndup(data, count), *next = text, *line;

	while ((line = strsep(&next, "\n")))
		spoil_line(line);
	free(text);
}

/* Is one of them bad? That counts for all. */
static bool meets_bad(uint8_t *bad, uint32_t count, uint64_t offset)
{
	bool any = false;

	for (uint64_t s = offset / SECTOR; s < (offset + count) / SECTOR; s++) {
		any |= bad[s];
		bad[s] -= bad[s] && bad[s] < ALWAYS;
	}
	return any;
}

static bool is_metadata(enum disk disk, const char *data)
{
	return disk == SPARE && data && !memcmp(data, "dmremap", 7);
}

static bool is_super(enum disk disk, const char *data)
{
	return (disk == SPARE || disk == NEXT) && data && !memcmp(data, "dmremap4", 8);
}

static bool is_to_fail(enum disk disk, const char *data, uint32_t count, uint64_t offset)
{
	if (is_metadata(disk, data))
		return nr_writes >= fail && nr_writes < mend &&
		       offset >= head.sectors[SPARE] / 2 * SECTOR;
	return meets_bad(bad_writes[disk], count, offset);
}

static int failed(void)
{
	nbdkit_set_error(EIO);
	return -1;
}

/* Under the lock. */
static void carry_out(enum disk disk, const void *data, uint32_t count, uint64_t offset)
{
	memset(bad_reads[disk] + offset / SECTOR, 0, count / SECTOR);
	if (data)
		memcpy(disks[disk] + offset, data, count);
	else
		memset(disks[disk] + offset, 0, count);
	if (disk == MARK && data)
		spoil(data, count);
}

static int change(enum disk disk, const void *data, uint32_t count, uint64_t offset,
		  uint32_t flags, bool discard)
{
	struct event e = {
		data ? EVENT_WRITE : EVENT_ZERO, disk,
		flags & NBDKIT_FLAG_FUA ? EVENT_FUA : 0, count, offset,
	};
	bool fails, slow = is_super(disk, data);
	uint64_t number;

	pthread_mutex_lock(&lock);
	slow_flush[disk] |= slow;
	fails = !discard && is_to_fail(disk, data, count, offset);
	if (fails && !(is_metadata(disk, data) && one_in(&rnd, 2)))
		e.flags |= EVENT_FAILED;
	number = put_event(e, data);
	if (!(e.flags & EVENT_FAILED))
		carry_out(disk, data, count, offset);
	if (disk != MARK && ++nr_writes == stop)
		power_cut();
	pthread_mutex_unlock(&lock);
	finish_request(disk, number, fails ? EVENT_FAILED : 0, slow);
	return fails ? failed() : 0;
}

static void *recorder_open(int readonly)
{
	const char *name = nbdkit_export_name();

	for (intptr_t d = 0; d < DISKS; d++)
		if (name && !strcmp(name, names[d]) && head.sectors[d])
			return (void *)(d + 1);
	nbdkit_error("no export %s", name);
	return NULL;
}

static enum disk disk_of(void *handle)
{
	return (intptr_t)handle - 1;
}

static int64_t recorder_get_size(void *handle)
{
	return head.sectors[disk_of(handle)] * SECTOR;
}

static int recorder_can_fua(void *handle)
{
	return NBDKIT_FUA_NATIVE;
}

static int recorder_pread(void *handle, void *buf, uint32_t count, uint64_t offset,
			  uint32_t flags)
{
	enum disk disk = disk_of(handle);
	bool fails;

	pthread_mutex_lock(&lock);
	fails = meets_bad(bad_reads[disk], count, offset);
	memcpy(buf, disks[disk] + offset, count);
	pthread_mutex_unlock(&lock);
	return fails ? failed() : 0;
}

static int recorder_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			   uint32_t flags)
{
	return change(disk_of(handle), buf, count, offset, flags, false);
}

static int recorder_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return change(disk_of(handle), NULL, count, offset, flags, false);
}

static int recorder_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	return change(disk_of(handle), NULL, count, offset, flags, true);
}

static int recorder_flush(void *handle, uint32_t flags)
{
	enum disk disk = disk_of(handle);
	uint64_t number;
	bool slow;

	pthread_mutex_lock(&lock);
	number = put_event((struct event){ EVENT_FLUSH, disk, 0, 0, 0 }, NULL);
	slow = slow_flush[disk];
	slow_flush[disk] = false;
	pthread_mutex_unlock(&lock);
	finish_request(disk, number, 0, slow);
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name			= "recorder",
	.config			= recorder_config,
	.config_complete	= recorder_config_complete,
	.get_ready		= recorder_get_ready,
	.unload			= recorder_unload,
	.open			= recorder_open,
	.get_size		= recorder_get_size,
	.can_fua		= recorder_can_fua,
	.pread			= recorder_pread,
	.pwrite			= recorder_pwrite,
	.zero			= recorder_zero,
	.trim			= recorder_trim,
	.flush			= recorder_flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)

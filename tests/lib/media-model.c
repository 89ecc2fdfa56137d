// SPDX-License-Identifier: GPL-2.0-only
/*
 * media-model <operations> <name>: random I/O on a device whose disks turn bad, weak and
 * good again, checked against a model of every sector.
 *
 * Main and spare are served by this program (nbd), which knows of each sector what it does:
 * fail reads, fail writes, fail once or twice and then not, take a write and not keep it,
 * be healed by a write. So it can tell of each error whether it had to be, and of each
 * sector that is read what it must hold.
 *
 * A write must succeed. A read that succeeds has what was written last; one that fails
 * has a sector that is lost, pending, or cannot be read.
 */
#include "sectors.h"

#include <endian.h>
#include <linux/nbd.h>
#include <linux/socket.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MAIN_SECTORS	16384U
#define SPARE_SECTORS	16384U
#define MAX_SECTORS	128U

enum ill {
	WELL,
	NO_READ,	/* until it is written */
	NO_KEEP,	/* takes writes, and does not read, until it is well */
	NO_WRITE,	/* reads what it had */
	DEAD,
	WEAK,		/* fails some reads, then comes back */
};

struct disk {
	const char	*path;
	u64		sectors;
	char		*data;
	unsigned char	ill[SPARE_SECTORS];
	unsigned char	fails[SPARE_SECTORS];
	int		fd;
	int		sock;
};

static struct disk main_disk = { .path = "/dev/nbd0", .sectors = MAIN_SECTORS };
static struct disk spare_disk = { .path = "/dev/nbd1", .sectors = SPARE_SECTORS };
/* The disks answer from threads of their own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct random rnd;
static const char *name;
static u64 model[MAIN_SECTORS];
static bool lost[MAIN_SECTORS];
static u32 version = 1;
static char *buf;
static int fd = -1;
static u64 op;

/*
 * The disks
 */

static bool take(int sock, void *data, size_t bytes)
{
	return recv(sock, data, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

static bool read_fails(struct disk *d, u64 sector)
{
	switch (d->ill[sector]) {
	case NO_READ:
	case NO_KEEP:
	case DEAD:
		return true;
	case WEAK:
		if (d->fails[sector]) {
			d->fails[sector]--;
			return true;
		}
	}
	return false;
}

static u32 serve_read(struct disk *d, u64 sector, u64 n)
{
	for (u64 i = sector; i < sector + n; i++)
		if (read_fails(d, i))
			return EIO;
	return 0;
}

static u32 serve_write(struct disk *d, u64 sector, u64 n, const char *data)
{
	for (u64 i = 0; i < n; i++) {
		u64 s = sector + i;

		if (d->ill[s] == NO_WRITE || d->ill[s] == DEAD)
			return EIO;
		if (data)
			memcpy(d->data + s * SECTOR, data + i * SECTOR, SECTOR);
		else
			memset(d->data + s * SECTOR, 0, SECTOR);
		if (d->ill[s] == NO_READ || d->ill[s] == WEAK)
			d->ill[s] = WELL;
	}
	return 0;
}

static void *serve(void *context)
{
	char *room = malloc(4 << 20);
	struct disk *d = context;
	struct nbd_request q;

	while (take(d->sock, &q, sizeof(q))) {
		struct nbd_reply a = { .magic = htobe32(NBD_REPLY_MAGIC) };
		u32 type = be32toh(q.type) & 0xffff, bytes = be32toh(q.len), err = 0;
		u64 sector = be64toh(q.from) / SECTOR;

		if (type == NBD_CMD_DISC)
			break;
		if (type == NBD_CMD_WRITE && !take(d->sock, room, bytes))
			break;
		pthread_mutex_lock(&lock);
		if (type == NBD_CMD_READ)
			err = serve_read(d, sector, bytes / SECTOR);
		else if (type == NBD_CMD_WRITE)
			err = serve_write(d, sector, bytes / SECTOR, room);
		if (type == NBD_CMD_READ && !err)
			memcpy(room, d->data + sector * SECTOR, bytes);
		pthread_mutex_unlock(&lock);
		memcpy(a.handle, q.handle, sizeof(a.handle));
		a.error = htobe32(err);
		if (send(d->sock, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			break;
		if (type == NBD_CMD_READ && !err &&
		    send(d->sock, room, bytes, MSG_NOSIGNAL) < 0)
			break;
	}
	free(room);
	return NULL;
}

static void *attach(void *context)
{
	struct disk *d = context;

	ioctl(d->fd, NBD_DO_IT);
	return NULL;
}

static void disk_start(struct disk *d)
{
	pthread_t thread;
	int pair[2];

	d->data = zalloc(d->sectors, SECTOR);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("no socket: %s", strerror(errno));
	d->sock = pair[1];
	d->fd = open_device(d->path, O_RDWR);
	if (ioctl(d->fd, NBD_SET_BLKSIZE, 512UL) ||
	    ioctl(d->fd, NBD_SET_SIZE_BLOCKS, d->sectors) ||
	    ioctl(d->fd, NBD_SET_SOCK, pair[0]) ||
	    ioctl(d->fd, NBD_SET_FLAGS, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
		  NBD_FLAG_SEND_FUA))
		die("no nbd: %s", strerror(errno));
	if (pthread_create(&thread, NULL, serve, d) ||
	    pthread_create(&thread, NULL, attach, d))
		die("no thread");
	for (int i = 0; i < 200 && device_sectors(d->fd) != d->sectors; i++)
		usleep(10000);
}

/* Sectors of the spare where metadata is: their failing is for other tests. */
static bool is_metadata(u64 sector)
{
	const u64 *areas = (const u64 *)(spare_disk.data + 112);
	u64 backup = le64toh(*(const u64 *)(spare_disk.data + 80));

	if (sector < 8 || (sector >= backup && sector < backup + 8))
		return true;
	for (int i = 0; i < 4; i++) {
		u64 start = le64toh(areas[2 * i]), blocks = le64toh(areas[2 * i + 1]);

		if (sector >= start && sector < start + 8 * blocks)
			return true;
	}
	return false;
}

static void change_health(void)
{
	struct disk *d = one_in(&rnd, 4) ? &spare_disk : &main_disk;
	u64 n = log_uniform(&rnd, 16), at = below(&rnd, d->sectors - n);
	enum ill ill = one_in(&rnd, 4) ? WELL : 1 + below(&rnd, 5);

	pthread_mutex_lock(&lock);
	/* Not all of it at once, in the long run. */
	if (one_in(&rnd, 50)) {
		memset(main_disk.ill, WELL, sizeof(main_disk.ill));
		memset(spare_disk.ill, WELL, sizeof(spare_disk.ill));
	}
	for (u64 i = at; i < at + n; i++) {
		if (d == &spare_disk && is_metadata(i))
			continue;
		d->ill[i] = ill;
		d->fails[i] = 1 + below(&rnd, 3);
	}
	pthread_mutex_unlock(&lock);
}

/*
 * The target
 */

static int send_words(const char **reply, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return dm_send(name, 0, text, reply);
}

static void must(const char *what, int r)
{
	if (r)
		die("operation %llu: %s: %s", (unsigned long long)op, what, strerror(-r));
}

static void create(void)
{
	struct dm_line line = { 0, MAIN_SECTORS, "dm-remap-v4", "/dev/nbd0 /dev/nbd1" };
	const char *reply;
	unsigned int minor;
	char path[64];

	must("create", dm_create(name, &minor));
	must("load", dm_load(name, &line, 1));
	must("resume", dm_resume(name));
	must("breaker", send_words(&reply, "set breaker 1000000"));
	must("rest", send_words(&reply, "set rest %d", one_in(&rnd, 3) ? 1 : 0));
	snprintf(path, sizeof(path), "/dev/mapper/%s", name);
	mknod(path, S_IFBLK | 0600, makedev(major(dm_buf.io.dev), minor));
	fd = open_device(path, O_RDWR | O_DIRECT);
}

static void destroy(void)
{
	int r = -EBUSY;

	close(fd);
	for (int i = 0; i < 100 && r == -EBUSY; i++) {
		r = dm_remove(name);
		if (r)
			usleep(10000);
	}
	must("remove", r);
}

/* How is a sector served now? */
static char served(u64 sector, u64 *spare)
{
	unsigned long long at, len, to = 0;
	const char *reply;
	char how[16];

	must("query", send_words(&reply, "query %llu 1", (unsigned long long)sector));
	if (sscanf(reply, "%llu %llu %15s %llu", &at, &len, how, &to) < 3)
		die("query says '%s'", reply);
	*spare = to;
	return how[0];
}

static bool is_pending(u64 sector)
{
	unsigned long long at, len;
	const char *reply;

	must("list pending", send_words(&reply, "list pending %llu 1",
					(unsigned long long)sector));
	return sscanf(reply, "%llu %llu", &at, &len) == 2 && at <= sector &&
	       sector < at + len;
}

static bool is_ill(struct disk *d, u64 sector)
{
	return d->ill[sector] == NO_READ || d->ill[sector] == NO_KEEP ||
	       d->ill[sector] == DEAD || d->ill[sector] == WEAK;
}

/* May a read of it fail? */
static bool may_fail(u64 sector)
{
	u64 spare;
	char how = served(sector, &spare);

	if (how == 'l')
		return true;
	return is_pending(sector) ||
	       (how == 'm' ? is_ill(&main_disk, sector) : is_ill(&spare_disk, spare));
}

static void check_data(u64 at, u64 n)
{
	char found[64], wanted[64];

	for (u64 i = 0; i < n; i++) {
		u64 is = get_stamp(buf + i * SECTOR), was = model[at + i];

		if (lost[at + i])
			die("operation %llu: sector %llu is lost, and was read as %s",
			    (unsigned long long)op, (unsigned long long)(at + i),
			    show(found, is));
		if (is != was)
			die("operation %llu: sector %llu holds %s, not %s",
			    (unsigned long long)op, (unsigned long long)(at + i),
			    show(found, is), show(wanted, was));
	}
}

static u64 read_errors;

static void do_read(u64 at, u64 n)
{
	int r = io_all(fd, false, buf, n * SECTOR, at, 0);
	bool reason = false;

	if (!r) {
		check_data(at, n);
		return;
	}
	if (r != -EIO && r != -ENODATA)
		die("operation %llu: a read gives %s", (unsigned long long)op, strerror(-r));
	read_errors++;
	/* What has just been moved away need not be ill any more: one by one. */
	for (u64 i = 0; i < n; i++) {
		r = io_all(fd, false, buf, SECTOR, at + i, 0);
		if (!r)
			check_data(at + i, 1);
		else if (!may_fail(at + i))
			die("operation %llu: sector %llu cannot be read: %s, and why not?",
			    (unsigned long long)op, (unsigned long long)(at + i),
			    strerror(-r));
		reason = true;
	}
	if (!reason)
		die("a read failed for nothing");
}

static void do_write(u64 at, u64 n)
{
	int flags = one_in(&rnd, 4) ? RWF_DSYNC : 0;
	u64 range[2] = { at * SECTOR, n * SECTOR };
	bool zero = one_in(&rnd, 20);
	int r;

	version++;
	for (u64 i = 0; i < n; i++)
		put_stamp(buf + i * SECTOR, stamp(at + i, version));
	if (zero)
		r = ioctl(fd, BLKZEROOUT, range) ? -errno : 0;
	else
		r = io_all(fd, true, buf, n * SECTOR, at, flags);
	if (r)
		die("operation %llu: a write of %llu sectors at %llu gives %s",
		    (unsigned long long)op, (unsigned long long)n, (unsigned long long)at,
		    strerror(-r));
	for (u64 i = 0; i < n; i++) {
		model[at + i] = zero ? 0 : stamp(at + i, version);
		lost[at + i] = false;
	}
}

/* What add_remap calls lost must be so for good. */
static void note_lost(u64 at, u64 n)
{
	u64 spare;

	for (u64 i = at; i < at + n; i++)
		lost[i] = served(i, &spare) == 'l';
}

static void change_remaps(u64 at, u64 n)
{
	const char *reply;
	int r;

	if (one_in(&rnd, 2)) {
		r = send_words(&reply, "add_remap %llu auto %llu%s", (unsigned long long)at,
			       (unsigned long long)n, one_in(&rnd, 10) ? " lost" : "");
		if (r && r != -EEXIST && r != -EIO && r != -ENOSPC)
			must("add_remap", r);
		if (!r)
			note_lost(at, n);
	} else {
		r = send_words(&reply, "remove_remap %llu %llu", (unsigned long long)at,
			       (unsigned long long)n);
		if (r && r != -ENOENT && r != -EIO)
			must("remove_remap", r);
	}
}

/* Room on the spare, and less to know. */
static void make_room(void)
{
	const char *reply, *free;

	must("status", send_words(&reply, "status"));
	free = strstr(reply, "spare_free=");
	if (!strncmp(reply, "ok", 2) && atoi(free + 11) > 2000)
		return;
	pthread_mutex_lock(&lock);
	memset(main_disk.ill, WELL, sizeof(main_disk.ill));
	memset(spare_disk.ill, WELL, sizeof(spare_disk.ill));
	pthread_mutex_unlock(&lock);
	if (one_in(&rnd, 2))
		send_words(&reply, "clear_all");
	for (u64 at = 0; at < MAIN_SECTORS; at += MAX_SECTORS) {
		do_write(at, MAX_SECTORS);
		must("remove_remap", send_words(&reply, "remove_remap %llu %u",
						(unsigned long long)at, MAX_SECTORS) ==
		     -EIO ? -EIO : 0);
	}
	/* What was put aside stays so: begin with another spare. */
	must("status", send_words(&reply, "status"));
	free = strstr(reply, "spare_free=");
	if (atoi(free + 11) <= 8000) {
		destroy();
		memset(spare_disk.data, 0, SPARE_SECTORS * SECTOR);
		ioctl(spare_disk.fd, BLKFLSBUF);
		create();
	}
}

static void change_life(void)
{
	struct dm_line line = { 0, MAIN_SECTORS, "dm-remap-v4", "/dev/nbd0 /dev/nbd1" };

	switch (below(&rnd, 3)) {
	case 0:
		must("suspend", dm_suspend(name, 0));
		must("resume", dm_resume(name));
		break;
	case 1:
		must("load", dm_load(name, &line, 1));
		must("suspend", dm_suspend(name, 0));
		must("resume", dm_resume(name));
		break;
	default:
		destroy();
		create();
	}
}

int main(int argc, char **argv)
{
	const char *seed = getenv("SEED"), *reply;
	u64 operations;

	if (argc != 3)
		die("usage: media-model <operations> <name>");
	operations = strtoull(argv[1], NULL, 10);
	name = argv[2];
	rnd.state = seed ? strtoull(seed, NULL, 10) : 1;
	buf = io_buffer(MAX_SECTORS * SECTOR);
	disk_start(&main_disk);
	disk_start(&spare_disk);
	create();

	for (op = 0; op < operations; op++) {
		u64 n = log_uniform(&rnd, MAX_SECTORS), at = below(&rnd, MAIN_SECTORS - n);

		if (one_in(&rnd, 5))
			change_health();
		else if (one_in(&rnd, 40))
			change_remaps(at, n);
		else if (one_in(&rnd, 1000))
			change_life();
		else if (one_in(&rnd, 2))
			do_write(at, n);
		else
			do_read(at, n);
		if (op % 256 == 0)
			make_room();
	}
	/* Most can be read together: one by one takes longer than all else. */
	for (u64 at = 0; at < MAIN_SECTORS; at += 16)
		do_read(at, 16);
	must("stats", send_words(&reply, "stats"));
	printf("# %llu read errors\n", (unsigned long long)read_errors);
	for (; *reply; reply = strchr(reply, '\n') + 1)
		printf("# %.*s\n", (int)strcspn(reply, "\n"), reply);
	destroy();
	ioctl(main_disk.fd, NBD_DISCONNECT);
	ioctl(spare_disk.fd, NBD_DISCONNECT);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kernel.h>

int spare_open(struct spare *spare, const char *path, enum device_use use)
{
	struct owner_io io = { device_read, device_write, &spare->dev };
	int r = device_open(&spare->dev, path, use);

	if (r == -EBUSY)
		return complain("%s is in use", path);
	if (r == -ENOTBLK)
		return complain("%s is neither a block device nor a file", path);
	if (r)
		return complain("%s cannot be opened: %s", path, strerror(-r));
	r = owner_init(&spare->owner, &io, spare->dev.sectors);
	return r ? complain("no memory") : DONE;
}

int spare_close(struct spare *spare, int status)
{
	owner_exit(&spare->owner);
	device_close(&spare->dev);
	return status;
}

int complain_spare(const struct spare *spare, int r)
{
	const char *path = spare->dev.path, *said = spare->owner.said, *what;
	char peer[UUID_TEXT];

	switch (r) {
	case -ENODATA:
		return complain("%s is blank", path);
	case -EEXIST:
		what = foreign_contents(&spare->dev);
		return complain("%s is no spare: %s", path, what ? what : said);
	case -EUCLEAN:
		return complain("the metadata on %s is damaged (see repair): %s", path,
				*said ? said : "remaps and areas overlap");
	case -EOPNOTSUPP:
		return complain("%s: %s", path, said);
	case -ERANGE:
		return complain("%s has become smaller: %s", path, said);
	case -ESTALE:
		uuid_text(spare->owner.m.peer, peer);
		if (spare->owner.m.moving == DMR_SUPER_RETIRED)
			return complain("the remaps of %s have moved to the spare %s", path,
					peer);
		return complain("%s has not ended a migration from spare %s (see repair --from)",
				path, peer);
	case -ENOMEM:
		return complain("no memory for the remaps");
	}
	return complain("%s: %s: %s", path, strerror(-r), said);
}

int spare_load(struct spare *spare)
{
	int r = owner_load(&spare->owner);

	return r ? complain_spare(spare, r) : DONE;
}

static int main_device(const char *path, const struct spare *spare, u64 *len, u32 *block)
{
	struct device dev;
	int r = device_open(&dev, path, DEVICE_READ);
	bool same;

	if (r)
		return complain("%s cannot be opened: %s", path, strerror(-r));
	same = device_same(&dev, &spare->dev);
	device_close(&dev);
	if (same)
		return complain("%s is main and spare", path);
	*len = dev.sectors;
	*block = dev.block;
	return DONE;
}

int main_options(const struct options *opt, const struct spare *spare, u64 *len, u32 *block)
{
	if (!opt->main == !opt->len) {
		complain("%s: one of --main and --len", opt->name);
		return USAGE;
	}
	*len = opt->len;
	*block = opt->block ? opt->block : 1;
	if (opt->main && main_device(opt->main, spare, len, block))
		return FAILED;
	/* As the target's table: whole blocks. */
	if (opt->main)
		*len = round_down(*len, *block);
	if (!*len || *len % *block || *len > BIT_ULL(DMR_SECTOR_BITS))
		return complain("main of %llu sectors: it is 1 to 2^%u, in blocks of %u",
				*len, DMR_SECTOR_BITS, *block);
	return DONE;
}

const char *foreign_contents(const struct device *dev)
{
	/* With a descriptor of its own, as it reads what O_DIRECT does not. */
	blkid_probe probe = blkid_new_probe_from_filename(dev->path);
	const char *type = NULL;
	static char what[256];
	int r;

	if (!probe)
		return "it cannot be probed";
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(probe, 1);
	r = blkid_do_safeprobe(probe);
	if (!r && !blkid_probe_lookup_value(probe, "TYPE", &type, NULL))
		snprintf(what, sizeof(what), "it holds %s", type);
	else if (!r && !blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL))
		snprintf(what, sizeof(what), "it holds a partition table: %s", type);
	else if (r == -2)
		snprintf(what, sizeof(what), "it holds several things at once");
	else if (r < 0)
		snprintf(what, sizeof(what), "it cannot be probed");
	blkid_free_probe(probe);
	return r == 1 ? NULL : what;
}

/* Is the signature that was found last in remapped data? */
static bool is_data(blkid_probe probe, const struct owner *o)
{
	const struct run *run;
	const char *offset;

	/* That of a superblock which was not wiped stays. */
	if (blkid_probe_lookup_value(probe, "PTMAGIC_OFFSET", &offset, NULL) &&
	    blkid_probe_lookup_value(probe, "SBMAGIC_OFFSET", &offset, NULL))
		return false;
	run = runs_find(&o->by_spare, strtoull(offset, NULL, 10) / 512, 1);
	return run && run->type == DMR_RECORD_MAP;
}

static int wipe(int fd, const struct owner *o)
{
	blkid_probe probe = blkid_new_probe();
	int r = probe ? blkid_probe_set_device(probe, fd, 0, 0) : -1;

	if (!r) {
		blkid_probe_enable_superblocks(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
		blkid_probe_enable_partitions(probe, 1);
		blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC);
		while (!r && !(r = blkid_do_probe(probe)))
			if (!is_data(probe, o))
				r = blkid_do_wipe(probe, 0);
	}
	blkid_free_probe(probe);
	return r < 0 || fsync(fd) ? -1 : 0;
}

int wipe_contents(const struct spare *spare)
{
	const struct device *dev = &spare->dev;
	/* Another descriptor: libblkid's reads and writes are not fit for O_DIRECT. */
	int fd = open(dev->path, O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? -1 : wipe(fd, &spare->owner);

	if (fd >= 0)
		close(fd);
	return r ? complain("what is on %s cannot be wiped", dev->path) : DONE;
}

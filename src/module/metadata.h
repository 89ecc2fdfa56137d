/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The remaps on disk: format, load, commit. docs/format.md says what is there.
 *
 * A log of changes, twice: each commit appends a block or more to both copies, one
 * copy after the other, so that a power cut tears one at most. When a half of the
 * log is full, the map as it is begins the other half, in a higher epoch.
 *
 * Knows no bio: reading, writing, and the map itself are the owner's (dmr_meta_ops),
 * and plain C it is: the module, the tool and the host's tests share it. Needs no
 * memory but the buffer that it is given, so a commit can be made under reclaim.
 *
 * All functions sleep when the owner's operations do, and want the caller's lock
 * (the core's change lock).
 */
#ifndef DMR_METADATA_H
#define DMR_METADATA_H

#include <linux/limits.h>

#include "codec.h"
#include "remap.h"

struct dmr_meta;

/* As start of an area: the lowest room, or the highest. */
#define DMR_LOWEST	U64_MAX
#define DMR_HIGHEST	(U64_MAX - 1)

/* More halves are not begun, and superblocks that say so not believed. */
#define DMR_LAST_EPOCH	(U64_MAX / 2)

/* Blocks that are read or written at a time, and the bytes of the buffer. */
#define DMR_META_CHUNK	16
#define DMR_META_BUFFER	(DMR_COPIES * DMR_META_CHUNK * DMR_BLOCK_SIZE)

typedef int (*dmr_change_fn)(struct dmr_meta *m, const struct dmr_change *change);

/**
 * struct dmr_meta_ops - what the owner does
 * @read:	blocks from a sector of the spare; 0 or an errno
 * @write:	likewise; @durable: all that was written before, and then this, is on
 *		the medium before it returns (PREFLUSH and FUA)
 * @apply:	make a loaded change in the map; -EUCLEAN when it does not fit there
 * @each:	call @fn for each remap in force, until it returns an error
 * @count:	how many these are
 * @take:	put sectors of the spare in use for an area: start is set, or one of
 *		DMR_LOWEST and DMR_HIGHEST, and a multiple of 8 in the end
 * @give:	they are free again
 * @problem:	say what is wrong, for whoever looks after the device
 */
struct dmr_meta_ops {
	int	(*read)(struct dmr_meta *m, u64 sector, void *data, unsigned int blocks);
	int	(*write)(struct dmr_meta *m, u64 sector, const void *data,
			 unsigned int blocks, bool durable);
	int	(*apply)(struct dmr_meta *m, const struct dmr_change *change);
	int	(*each)(struct dmr_meta *m, dmr_change_fn fn);
	u64	(*count)(struct dmr_meta *m);
	int	(*take)(struct dmr_meta *m, struct dmr_extent *area);
	void	(*give)(struct dmr_meta *m, struct dmr_extent *area);
	void	(*problem)(struct dmr_meta *m, const char *fmt, ...) __printf(2, 3);
};

/**
 * struct dmr_meta - the metadata of one spare
 * @ops:	set by the owner
 * @buffer:	DMR_META_BUFFER bytes, likewise
 * @size:	sectors of the spare now, likewise, in whole @block
 *
 * @uuid:	of the format
 * @main_id:	identity of the main device, NUL-terminated; may be empty
 * @len:	sectors of main that are mapped
 * @block:	its logical block, in sectors
 * @spare_size:	sectors of the spare when it was last loaded
 * @backup:	sector of the second superblock
 * @compat:	features that are kept, not known
 * @ro_compat:	likewise; who does not know them must not write
 * @generation:	of the superblock
 * @floor:	no lower epoch may be loaded
 * @second:	where the second superblock is
 * @areas:	of each copy, the two halves of its log
 * @stale:	bit c: copy c of the log is out, and says so on disk
 * @moving:	DMR_SUPER_JOINING, DMR_SUPER_RETIRED or 0: neither is to be loaded
 * @peer:	UUID of the other spare of a migration, or zeros
 * @super_bad:	bit c: that superblock has to be written
 * @log_bad:	bit c: that copy of the log has failed, or lacks something
 *
 * @half:	where commits go
 * @epoch:	of that half
 * @last_epoch:	the highest that was ever begun
 * @seq:	blocks in it
 * @records:	in these, when they were found
 * @prev:	body checksum of its last
 * @doubt:	a half that was begun, or a commit, failed in both copies and may be
 *		on disk or not: nothing is appended before another half is begun
 * @torn:	blocks of a commit that was never complete are behind the last: where
 *		one copy failed to take another in their place, they would look like it
 * @writer:	the commit being written
 * @blocks_written: of the log, each copy counted
 */
struct dmr_meta {
	const struct dmr_meta_ops *ops;
	void			*buffer;
	u64			size;

	u8			uuid[DMR_UUID_SIZE];
	char			main_id[DMR_MAIN_ID_SIZE + 1];
	u64			len;
	u32			block;
	u64			spare_size;
	u64			backup;
	u64			compat;
	u64			ro_compat;
	u64			generation;
	u64			floor;
	struct dmr_extent	second;
	struct dmr_extent	areas[DMR_COPIES][DMR_HALVES];
	unsigned int		stale;
	unsigned int		moving;
	u8			peer[DMR_UUID_SIZE];
	unsigned int		super_bad;
	unsigned int		log_bad;

	unsigned int		half;
	u64			epoch;
	u64			last_epoch;
	u32			seq;
	u64			records;
	u32			prev;
	bool			doubt;
	bool			torn;
	struct {
		unsigned int	half;
		u64		epoch;
		u32		seq;	/* of the first block in the buffer */
		u32		first;
		u32		prev;
		unsigned int	nr;	/* closed blocks in the buffer */
		unsigned int	failed;	/* bit c: copy c does not take it */
		int		err;
	} writer;
	u64			blocks_written;
};

/**
 * dmr_meta_probe - is there a superblock, and what does it say?
 *
 * Fills in what the superblock has. Changes nothing.
 *
 * Return: 0; -ENODATA all is blank; -EEXIST something else is there; -EUCLEAN
 * damaged; -EOPNOTSUPP a newer format; -ERANGE the spare was larger; -EIO unreadable;
 * -ESTALE its remaps count on another spare (@moving).
 */
int dmr_meta_probe(struct dmr_meta *m);

/**
 * dmr_meta_format - write metadata for an empty map
 *
 * @size, @len, @block, @uuid and @main_id are set. Takes the areas.
 *
 * Return: 0; -ENOSPC the device is too small; -EIO or what @write returned.
 */
int dmr_meta_format(struct dmr_meta *m);

/**
 * dmr_meta_find - find the log, after dmr_meta_probe() has returned 0
 *
 * Reads it through, in both copies.
 *
 * Return: 0; -EUCLEAN when both copies are damaged so that something acknowledged
 * would be missing.
 */
int dmr_meta_find(struct dmr_meta *m);

/**
 * dmr_meta_load - replay the log that dmr_meta_find() has found, and take the areas
 *
 * Changes nothing on disk: see dmr_meta_recover().
 *
 * Return: 0; -EUCLEAN when the records contradict each other or the areas; what
 * @apply returned.
 */
int dmr_meta_load(struct dmr_meta *m);

/**
 * dmr_meta_recover - write what a copy lacks, before the first commit
 *
 * Also after @len, @main_id or @spare_size were changed. What cannot be written is
 * marked, and told by dmr_meta_state().
 *
 * Return: 0; -EIO when that can be neither written nor marked.
 */
int dmr_meta_recover(struct dmr_meta *m);

/**
 * dmr_meta_begin - begin a commit
 * @nr:		changes that it will have
 *
 * Makes room for it, in another half if need be; the map is that before the commit.
 *
 * Return: 0; -ENOSPC no room on the spare; -EIO; then nothing has changed.
 */
int dmr_meta_begin(struct dmr_meta *m, u64 nr);

/* Add a change to the commit. Errors are told by dmr_meta_end(). */
void dmr_meta_put(struct dmr_meta *m, const struct dmr_change *change);

/**
 * dmr_meta_end - write the commit, durably
 *
 * All that was written to the spare before is durable first.
 *
 * Return: 0; -EIO when no copy has taken it: it is in doubt (@doubt), and may be
 * loaded or not, until a dmr_meta_begin() succeeds, which is without it.
 */
int dmr_meta_end(struct dmr_meta *m);

/*
 * Has a copy failed, and nothing on disk says so yet? Then the next dmr_meta_begin()
 * mends it first, or dmr_meta_resume() before that.
 */
bool dmr_meta_behind(const struct dmr_meta *m);

/**
 * dmr_meta_resume - begin a new half, and so bring back what had failed
 *
 * Return: 0 when a commit could be made now, else an errno.
 */
int dmr_meta_resume(struct dmr_meta *m);

/**
 * dmr_meta_retire - the remaps count on another spare from now on
 * @peer:	its UUID
 *
 * Return: 0; -EIO when no superblock could be written: it may say so or not.
 */
int dmr_meta_retire(struct dmr_meta *m, const u8 *peer);

/**
 * dmr_meta_join - what was formatted with @moving set to DMR_SUPER_JOINING counts now
 *
 * Return: 0; -EIO when no superblock could be written. A later commit tries again.
 */
int dmr_meta_join(struct dmr_meta *m);

/* Sectors of the spare that metadata takes, but for the first 8. Context: any. */
u64 dmr_meta_sectors(const struct dmr_meta *m);

/* What `status` says of it: ok, degraded or failed. Context: any. */
const char *dmr_meta_state(const struct dmr_meta *m);

/**
 * dmr_meta_same - is on disk what was last written?
 *
 * What cannot be read is noted as a copy that has failed, both if need be.
 *
 * Return: 0; -EUCLEAN when it is not.
 */
int dmr_meta_same(struct dmr_meta *m);

#endif /* DMR_METADATA_H */

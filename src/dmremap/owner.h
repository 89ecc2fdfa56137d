/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who owns a spare outside of the kernel: what metadata.c asks of its owner, over a map
 * in memory. For the tool, and for the tests and the fuzzer, which bring disks of their
 * own. What a record does to the map is what persist.c of the module does.
 *
 * Single-threaded. Memory is what the map needs: some 100 bytes a remap.
 */
#ifndef DMREMAP_OWNER_H
#define DMREMAP_OWNER_H

#include "metadata.h"
#include "runs.h"

/**
 * struct owner_io - where the spare is
 * @read:	blocks of 4096 bytes from a sector; 0 or a negative errno
 * @write:	likewise; @durable as dmr_meta_ops has it
 * @context:	their first argument
 */
struct owner_io {
	int	(*read)(void *context, u64 sector, void *data, unsigned int blocks);
	int	(*write)(void *context, u64 sector, const void *data,
			 unsigned int blocks, bool durable);
	void	*context;
};

/**
 * struct owner - a spare, its metadata and its map
 * @m:		the metadata; what dmr_meta_format() wants is the caller's to set
 * @io:		where the spare is
 * @by_main:	what is mapped: runs of main, DMR_RECORD_MAP and _LOST
 * @by_spare:	what of the spare is in use: the same; or DMR_RECORD_ASIDE; or areas, type 0
 * @pending:	runs of main that could not be read, mapped or not
 * @scrub:	the last DMR_RECORD_SCRUB; none is under way if its length is 0
 * @said:	what metadata.c had to say last
 */
struct owner {
	struct dmr_meta	m;
	struct owner_io	io;
	struct runs	by_main;
	struct runs	by_spare;
	struct runs	pending;
	struct dmr_change scrub;
	char		said[256];
};

/* Nothing is loaded yet. Returns 0 or -ENOMEM. */
int owner_init(struct owner *o, const struct owner_io *io, u64 sectors);
void owner_exit(struct owner *o);

/* Forget the map, and what is in use. */
void owner_forget(struct owner *o);

/* Forget what was loaded; the spare has so many sectors now. */
void owner_reset(struct owner *o, u64 sectors);

/* dmr_meta_probe(), of the whole blocks of main that the spare has. */
int owner_probe(struct owner *o);

/* The map, after owner_probe() has returned 0. After an error, owner_forget(). */
int owner_replay(struct owner *o);

/* Both. */
int owner_load(struct owner *o);

/**
 * owner_apply - make a change in the map
 *
 * Return: 0; -EUCLEAN it does not fit there; -ENOMEM.
 */
int owner_apply(struct owner *o, const struct dmr_change *change);

/*
 * Call @fn for the changes that make all this from nothing, in an order in which they can
 * be made, until it returns not 0: that.
 */
int owner_each(struct owner *o, int (*fn)(void *arg, const struct dmr_change *change),
	       void *arg);

/* Put the areas in use that @m has, and the second superblock. 0 or a negative errno. */
int owner_take_areas(struct owner *o);

/**
 * owner_write - write all metadata anew, for the map as it is
 * @o:		areas are taken
 * @epoch:	the highest that is there (survey_epoch())
 *
 * Return: 0; -ENOSPC the map does not fit in the areas; -EIO.
 */
int owner_write(struct owner *o, u64 epoch);

/* Make changes durable as one commit, then in the map. 0 or a negative errno. */
int owner_commit(struct owner *o, const struct dmr_change *changes, unsigned int nr);

/*
 * The spare sectors that these changes want must not become an area while they are
 * committed. Returns 0, or an errno and holds none.
 */
int owner_hold(struct owner *o, const struct dmr_change *changes, unsigned int nr);
void owner_release(struct owner *o, const struct dmr_change *changes, unsigned int nr);

/* Is nothing on these sectors of the spare, and are they for data? */
bool owner_free(const struct owner *o, u64 spare, u64 len);

#endif /* DMREMAP_OWNER_H */

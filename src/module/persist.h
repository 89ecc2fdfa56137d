/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's map and its metadata: between core.h and metadata.h.
 *
 * A change of the map is committed between the move of its data and its
 * publication. A commit that may be on disk or not leaves its move as it is, with
 * writes going to both sides, until a later commit has settled it.
 */
#ifndef DMR_PERSIST_H
#define DMR_PERSIST_H

#include "core.h"

struct dmr_batch;

/**
 * dmr_persist_init - make what metadata needs, if the core wants any
 *
 * Context: sleeps.
 * Return: 0 or -ENOMEM; on success dmr_persist_exit().
 */
int dmr_persist_init(struct dmr_map *map);
void dmr_persist_exit(struct dmr_map *map);

/**
 * dmr_persist_check - could the table be resumed?
 * @core:	the core; new, or live
 * @u:		the table
 * @error:	why not, for ti->error
 *
 * Reads the spare, under the change lock, if nothing was loaded yet; changes nothing.
 *
 * Context: a constructor; sleeps.
 * Return: 0 or an errno.
 */
int dmr_persist_check(struct dmr_core *core, const struct dmr_user *u, char **error);

/**
 * dmr_persist_open - load or format the metadata, or see that it is as it was left
 *
 * Context: preresume, the change lock held: no bio is there.
 * Return: 0, or an errno when the table must not be resumed; that was logged.
 */
int dmr_persist_open(struct dmr_core *core, const struct dmr_user *u);

/**
 * dmr_persist_again - is the metadata as it was left?
 *
 * What cannot be read is marked: the remaps are known, and go on serving.
 *
 * Context: preresume of the table in force; takes the change lock.
 * Return: 0, or -EUCLEAN when it must not be resumed; that was logged.
 */
int dmr_persist_again(struct dmr_core *core);

/**
 * dmr_persist_join - format the spare of a map that another is going to move to
 * @next:	the map, empty
 * @map:	the other
 *
 * It must be blank, or left over from a migration of @map, to there or from there. It is
 * not loaded before dmr_meta_join().
 *
 * Context: the change lock; sleeps.
 * Return: 0; -EEXIST, -ENOSPC, -EIO: said to dmr_refuse().
 */
int dmr_persist_join(struct dmr_map *next, const struct dmr_map *map);

/**
 * dmr_persist_settle - make sure that a change can be committed
 *
 * Settles a commit in doubt first, which has not happened then.
 *
 * Context: the change lock; sleeps.
 * Return: 0; -EIO, said to dmr_refuse().
 */
int dmr_persist_settle(struct dmr_core *core);

/**
 * dmr_persist_add - commit remaps that are about to be in force
 * @core:	the core
 * @batch:	the remaps
 *
 * All that was written to the spare before is durable with it.
 *
 * Context: the change lock; sleeps.
 * Return: 0; -ENOSPC, -EIO: said to dmr_refuse(). With core->meta.doubt set nobody
 * knows whether it is on disk.
 */
int dmr_persist_add(struct dmr_core *core, const struct dmr_batch *batch);

/* Likewise: any changes, in this order. */
int dmr_persist_changes(struct dmr_core *core, const struct dmr_change *changes,
			unsigned int nr);

/* Likewise: how far the scrub has come. */
int dmr_persist_scrub(struct dmr_core *core);

/*
 * Likewise: what is between @first and @last of these remaps is served by main again. Of those
 * alone: others may have come between them meanwhile.
 */
int dmr_persist_remove(struct dmr_core *core, const struct dmr_batch *batch, u64 first,
		       u64 last);

/* After a change is published: mend a copy that has not taken it. */
void dmr_persist_mend(struct dmr_core *core);

/* What `status` says of it. Context: the change lock, or RCU. */
const char *dmr_persist_state(const struct dmr_core *core);

#endif /* DMR_PERSIST_H */

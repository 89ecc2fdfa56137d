/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving to another spare, in use.
 *
 * A second map is built on the new spare, from which nothing is read: each remap gets a
 * place there, is copied in windows as any move is, and is from then on (DMR_LEAVING)
 * written to both spares. Between batches both locks are free, and while one is copied that
 * of changes, so others go on changing the map; what they replace has no DMR_LEAVING, and is
 * copied again. Holding the locks, when nothing is left to copy, the metadata is written as
 * that of a spare that is joining; writes to what is mapped wait, and:
 *
 *	the new spare is flushed; the old superblock says retired, and names the new one;
 *	the new superblock says so no more; the new map is published.
 *
 * A power cut before the second step leaves the old spare, and a new one that is refused;
 * after it both are refused until somebody has seen that the old one names the new one
 * (dmremap repair --from), or the new one alone counts. Never do both, unless the old one
 * takes no writes at all: then the reply says so.
 */
#ifndef DMR_MIGRATE_H
#define DMR_MIGRATE_H

#include "core.h"

/**
 * dmr_migrate - move all remaps, and the metadata, to another spare
 * @core:	the core
 * @to:		the table in force, but with the other spare
 * @moved:	remaps that moved
 * @retired:	the old spare could be marked: it will be refused
 *
 * What cannot be read from the old spare is lost on the new one. Sectors put aside stay
 * behind.
 *
 * Context: both locks, which are let go of now and then; sleeps.
 * Return: 0; -ENOSPC, -EIO, -EINTR, -ENOMEM, -EEXIST: said to dmr_refuse(), and nothing
 * has changed.
 */
int dmr_migrate(struct dmr_core *core, const struct dmr_user *to, u64 *moved, bool *retired);

#endif /* DMR_MIGRATE_H */

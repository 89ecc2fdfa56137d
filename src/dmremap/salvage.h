/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The map of a spare whose metadata is damaged in both copies, from the blocks that are
 * intact. What is lost, and what was made of it, is told line by line.
 */
#ifndef DMREMAP_SALVAGE_H
#define DMREMAP_SALVAGE_H

#include "owner.h"

/**
 * salvage_map - all that the log still has, as the owner's map
 * @o:		where the areas are, and what main is, is set; nothing is in use
 * @epoch:	set to the highest epoch that was found
 *
 * The newest half counts; where its beginning is damaged, the one before it tells what
 * the map was then.
 *
 * Return: 0; -ENODATA no block is intact; -ENOMEM.
 */
int salvage_map(struct owner *o, u64 *epoch);

/* Put the areas in use, whatever is mapped there: told, and unmapped. 0 or an errno. */
int salvage_take_areas(struct owner *o);

/**
 * salvage_areas - where the log is, of a spare without superblocks
 * @o:		what main is, is set; nothing is in use
 * @uuid:	of which format, or NULL if there is but one
 * @moved:	set when they are not where a fresh format has them: then they are good to
 *		read, but not to go on with (salvage_new_areas())
 *
 * Reads the whole spare. Return: DONE; FAILED, complained.
 */
int salvage_areas(struct owner *o, const u8 *uuid, bool *moved);

/* Other areas, and the second superblock, where the map leaves room. 0 or an errno. */
int salvage_new_areas(struct owner *o);

#endif /* DMREMAP_SALVAGE_H */

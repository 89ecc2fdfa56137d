/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a map is made of: the records that say what is in force, rather than what
 * changes. For whoever writes maps down, or reads them back.
 */
#ifndef DMREMAP_KIND_H
#define DMREMAP_KIND_H

#include "owner.h"

/**
 * struct kind - a kind of record
 * @type:	DMR_RECORD_*
 * @name:	in dumps: of its rows
 * @target:	of device-mapper, that serves it without us: "linear" to the spare, or
 *		"error"
 */
struct kind {
	u8		type;
	const char	*name;
	const char	*target;
};

extern const struct kind kinds[];
extern const unsigned int nr_kinds;

/* The kind of a run of a map. */
const struct kind *kind_of(u8 type);

#endif /* DMREMAP_KIND_H */

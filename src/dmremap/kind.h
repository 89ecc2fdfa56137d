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
 * @columns:	of a row: m, s, l: the main sector, the spare sector, the length of the
 *		record
 * @target:	of device-mapper, that serves what is mapped so without us: "linear" to
 *		the spare, or "error"
 */
struct kind {
	u8		type;
	const char	*name;
	const char	*columns;
	const char	*target;
};

extern const struct kind kinds[];
extern const unsigned int nr_kinds;

/* The kind of a record that is in force. */
const struct kind *kind_of(u8 type);

/* The numbers of a row; returns how many. */
unsigned int kind_get(const struct kind *kind, const struct dmr_change *change, u64 n[3]);

/* A record of a row's numbers. */
void kind_put(const struct kind *kind, struct dmr_change *change, const u64 *n);

#endif /* DMREMAP_KIND_H */

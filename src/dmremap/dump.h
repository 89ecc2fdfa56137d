/* SPDX-License-Identifier: GPL-2.0-only */
/* What dump --json writes and restore reads. */
#ifndef DMREMAP_DUMP_H
#define DMREMAP_DUMP_H

#define DUMP_FORMAT	"dm-remap-spare"

#endif /* DMREMAP_DUMP_H */

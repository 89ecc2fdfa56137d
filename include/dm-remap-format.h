/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What dm-remap-v4 keeps on a spare device; docs/format.md explains it.
 *
 * All integers are little-endian. A sector is 512 bytes, a block 4096. Positions are
 * sectors of the spare device. Checksums are CRC-32C as iSCSI has it (RFC 3720,
 * B.4): of "123456789" it is 0xe3069283.
 */
#ifndef DM_REMAP_FORMAT_H
#define DM_REMAP_FORMAT_H

#include <linux/types.h>

#define DMR_BLOCK_SIZE		4096
#define DMR_BLOCK_SECTORS	8

#define DMR_VERSION		1

/* Eight bytes each, no NUL. */
#define DMR_SUPER_MAGIC		"dmremap4"
#define DMR_LOG_MAGIC		"dmremapL"

/* Two copies of everything, and two halves of the log in each. */
#define DMR_COPIES		2
#define DMR_HALVES		2

#define DMR_UUID_SIZE		16
#define DMR_MAIN_ID_SIZE	128

/**
 * struct dmr_disk_area - where a half of a log is
 * @start:	first sector, a multiple of 8
 * @blocks:	how many blocks it has
 */
struct dmr_disk_area {
	__le64	start;
	__le64	blocks;
};

/* dmr_super.flags: the log of a copy is older than it says, and not to be read. */
#define DMR_SUPER_STALE(copy)	(1U << (copy))
/* ... formatting has begun and not ended: nothing is here yet. */
#define DMR_SUPER_UNFINISHED	0x100
/* ... the remaps of the spare @peer are being moved here, and still count there. */
#define DMR_SUPER_JOINING	0x200
/* ... its remaps have moved to the spare @peer, and count there. */
#define DMR_SUPER_RETIRED	0x400

/**
 * struct dmr_super - the superblock: at sector 0, and once more at @backup
 * @magic:	DMR_SUPER_MAGIC
 * @crc:	of all that follows
 * @version:	DMR_VERSION; another one is not to be read
 * @compat:	features that who does not know them may ignore
 * @ro_compat:	... must not write because of
 * @incompat:	... must not read because of
 * @uuid:	of this format; every block of the log has it too
 * @position:	the sector where this is
 * @generation:	one more each time it is written: of two the higher counts
 * @epoch:	a log of a lower epoch is not to be loaded
 * @backup:	where the other copy is: a power of two
 * @spare_size:	sectors of the spare device, when last loaded
 * @len:	sectors of the main device that are mapped
 * @block:	logical block of the main device, in sectors
 * @flags:	DMR_SUPER_*
 * @areas:	of each copy, its two halves
 * @main_id:	identity of the main device, padded with NULs; empty if not known
 * @peer:	@uuid of the other spare of a migration, or zeros
 */
struct dmr_super {
	__u8			magic[8];
	__le32			crc;
	__le32			version;
	__le64			compat;
	__le64			ro_compat;
	__le64			incompat;
	__u8			uuid[DMR_UUID_SIZE];
	__le64			position;
	__le64			generation;
	__le64			epoch;
	__le64			backup;
	__le64			spare_size;
	__le64			len;
	__le32			block;
	__le32			flags;
	struct dmr_disk_area	areas[DMR_COPIES][DMR_HALVES];
	__u8			main_id[DMR_MAIN_ID_SIZE];
	__u8			peer[DMR_UUID_SIZE];
	__u8			reserved[DMR_BLOCK_SIZE - 320];
};

/**
 * struct dmr_record - a change of the map
 * @main:	first main sector
 * @spare:	first spare sector, or 0
 * @length:	sectors, in the low 56 bits; DMR_RECORD_* in the high 8
 */
struct dmr_record {
	__le64	main;
	__le64	spare;
	__le64	length;
};

#define DMR_RECORD_SHIFT	56
/* Main sectors that nothing maps are served by spare sectors that nothing uses. */
#define DMR_RECORD_MAP		1
/* They are served by main again; whatever maps some of them is cut. */
#define DMR_RECORD_UNMAP	2
/* As DMR_RECORD_MAP, but the spare sectors hold no data: reads fail until written. */
#define DMR_RECORD_LOST		3
/* They could not be read where they are served from; not since they are mapped anew. */
#define DMR_RECORD_PENDING	4
/* Those of them that nothing maps can be read again. */
#define DMR_RECORD_SOUND	5
/* Spare sectors that nothing uses, and nothing may: they cannot be written. */
#define DMR_RECORD_ASIDE	6
/*
 * A scrub goes on at @main, up to before @spare, which is a sector of main, too; length is
 * MiB in a second, and 0 when none is under way.
 */
#define DMR_RECORD_SCRUB	7

#define DMR_BLOCK_RECORDS	167

/* dmr_block.flags: the commit goes on in the next block. */
#define DMR_BLOCK_MORE		0x01

/**
 * struct dmr_block - a block of the log
 * @magic:	DMR_LOG_MAGIC
 * @crc:	of all that follows
 * @prev:	the body checksum of the block before it, 0 in the first: the CRC of
 *		what follows @crc there, but without @position, so that it is the
 *		same in both copies
 * @uuid:	of the superblock
 * @epoch:	one more each time that a half is begun: the higher counts
 * @seq:	how many blocks are before it in the half
 * @first:	@seq of the first block of its commit
 * @nr:		records in it
 * @flags:	DMR_BLOCK_*
 * @records:	the changes, in order
 * @position:	the sector where this is
 */
struct dmr_block {
	__u8			magic[8];
	__le32			crc;
	__le32			prev;
	__u8			uuid[DMR_UUID_SIZE];
	__le64			epoch;
	__le32			seq;
	__le32			first;
	__le16			nr;
	__le16			flags;
	__u8			reserved[12];
	struct dmr_record	records[DMR_BLOCK_RECORDS];
	__u8			padding[16];
	__le64			position;
};

#endif /* DM_REMAP_FORMAT_H */

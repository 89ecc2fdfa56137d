/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recording: what the disks were told, in one order. Written by recorder.c and
 * simulate.c, read by judge.c; of this machine's byte order.
 *
 * The file is a struct log_head and then events: a struct event and, if it has data,
 * that.
 */
#ifndef CRASH_LOG_H
#define CRASH_LOG_H

#include <stdint.h>

#define LOG_MAGIC	0x72637265636f7264ULL

/* Those before MARK lose what is not durable. NEXT, for migrations, may have no sectors. */
enum disk { MAIN, SPARE, NEXT, MARK, DISKS };

/**
 * struct log_head - how large the disks are
 * @magic:	LOG_MAGIC
 * @sectors:	of each disk
 */
struct log_head {
	uint64_t	magic;
	uint64_t	sectors[DISKS];
};

/*
 * A write is logged when it arrives, with its data, and a flush when it arrives. DONE
 * is logged before it is answered, with the number (counted from 0, by position in
 * the log) of the event it ends.
 */
enum event_type { EVENT_WRITE, EVENT_ZERO, EVENT_FLUSH, EVENT_DONE };

#define EVENT_FUA	1
/*
 * Of EVENT_DONE: the answer was an error; nobody knows what was written. Of a write: that
 * will be so, and the disk, while it had power, did nothing of it.
 */
#define EVENT_FAILED	2

/**
 * struct event - one of them
 * @type:	EVENT_*
 * @disk:	which
 * @flags:	EVENT_FUA, EVENT_FAILED
 * @length:	bytes; of EVENT_WRITE the data follows
 * @offset:	in bytes; of EVENT_DONE the number of the event that is done
 */
struct event {
	uint8_t		type;
	uint8_t		disk;
	uint16_t	flags;
	uint32_t	length;
	uint64_t	offset;
};

#endif /* CRASH_LOG_H */

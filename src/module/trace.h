/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: what changes the map, and what fails below. Sectors are of 512 bytes, the
 * device is the mapped one. None is on the path of I/O that nothing is wrong with.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dm_remap_v4

#if !defined(DMR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DMR_TRACE_H

#include <linux/tracepoint.h>

#include "core.h"

DECLARE_EVENT_CLASS(dmr_mapping,
	TP_PROTO(const struct dmr_core *core, u64 main, u64 spare, u64 len),
	TP_ARGS(core, main, spare, len),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, main)
		__field(u64, spare)
		__field(u64, len)
	),
	TP_fast_assign(
		__entry->dev = disk_devt(dm_disk(core->md));
		__entry->main = main;
		__entry->spare = spare;
		__entry->len = len;
	),
	TP_printk("%d,%d main=%llu spare=%llu len=%llu", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->main, __entry->spare, __entry->len)
);

/* A message has added a remap. */
DEFINE_EVENT(dmr_mapping, dmr_add,
	TP_PROTO(const struct dmr_core *core, u64 main, u64 spare, u64 len),
	TP_ARGS(core, main, spare, len));
/* A message has removed a remap, or cut it. */
DEFINE_EVENT(dmr_mapping, dmr_remove,
	TP_PROTO(const struct dmr_core *core, u64 main, u64 spare, u64 len),
	TP_ARGS(core, main, spare, len));
/* A write has found another place, which is in force. */
DEFINE_EVENT(dmr_mapping, dmr_relocate,
	TP_PROTO(const struct dmr_core *core, u64 main, u64 spare, u64 len),
	TP_ARGS(core, main, spare, len));

/* An I/O that the target sees to has failed: sectors of main, whoever served them. */
TRACE_EVENT(dmr_error,
	TP_PROTO(const struct dmr_core *core, u64 main, u64 len, bool write, int error),
	TP_ARGS(core, main, len, write, error),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, main)
		__field(u64, len)
		__field(bool, write)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dev = disk_devt(dm_disk(core->md));
		__entry->main = main;
		__entry->len = len;
		__entry->write = write;
		__entry->error = error;
	),
	TP_printk("%d,%d main=%llu len=%llu %s error=%d", MAJOR(__entry->dev),
		  MINOR(__entry->dev), __entry->main, __entry->len,
		  __entry->write ? "write" : "read", __entry->error)
);

#endif /* DMR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

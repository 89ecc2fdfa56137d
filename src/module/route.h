/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a bio goes, by the map in force at that moment and the move in progress;
 * and the sending of those bios that map itself cannot send.
 *
 * In flight means counted (core.h). A bio that waits is not counted, and what is
 * sent again is counted part by part, so a window never waits for a bio that waits
 * for the window.
 */
#ifndef DMR_ROUTE_H
#define DMR_ROUTE_H

#include "core.h"

/**
 * enum dmr_side - where a run of sectors is to be sent
 * @DMR_MAIN:	main device
 * @DMR_SPARE:	spare device
 * @DMR_BOTH:	a write behind the window of a move: both
 * @DMR_MIRROR:	a write to what a migration has copied: the spare and the next one
 * @DMR_WAIT:	a write inside the window: not yet
 * @DMR_VERIFY:	a write to pending sectors that move: to @sent, by who reads it back
 * @DMR_NONE:	nowhere: a discard of what cannot be discarded, which is done
 * @DMR_FAIL:	nowhere: it fails at once, as on a bad medium. A write will be seen to
 *		by fault.h, a read has its answer
 */
enum dmr_side { DMR_MAIN, DMR_SPARE, DMR_BOTH, DMR_MIRROR, DMR_WAIT, DMR_VERIFY, DMR_NONE,
		DMR_FAIL };

/**
 * struct dmr_route - how the first run of a bio is to be sent
 * @side:	where to
 * @sent:	with DMR_VERIFY: where to then
 * @end:	first main sector that is not in the run
 * @spare:	the spare sector of the first, if a remap covers the run
 * @next:	with DMR_MIRROR: the next spare ...
 * @next_sector: ... and the first sector there
 *
 * Five words: with CONFIG_INIT_STACK_ALL_ZERO each I/O zeroes it, and a sixth makes that a
 * string instruction.
 */
struct dmr_route {
	enum dmr_side	side;
	enum dmr_side	sent;
	u64		end;
	u64		spare;
	struct block_device *next;
	u64		next_sector;
};

/*
 * A part of a write that was not sent, for it is served otherwise by now: look again. No
 * target passes that on from below.
 */
#define DMR_UNSENT	BLK_STS_DM_REQUEUE

/* What dmr_route() leaves to it: flags, and discards. */
void dmr_route_rare(const struct dmr_map *map, enum req_op op,
		    const struct dmr_remap *remap, u8 flags, u64 start,
		    struct dmr_route *route);

/**
 * dmr_route - find out how main sectors are served
 * @map:	the map: dmr_map_of() after dmr_core_enter()
 * @op:	what is done with them
 * @start:	first main sector
 * @end:	first behind the last, above @start
 * @route:	the answer
 *
 * Context: any, in the RCU section that dmr_core_enter() was called in.
 */
static inline void dmr_route(const struct dmr_map *map, enum req_op op, u64 start,
			     u64 end, struct dmr_route *route)
{
	struct dmr_run run;
	u8 flags;

	dmr_table_lookup(&map->table, start, end, &run);
	route->end = run.end;
	if (!run.remap) {
		route->side = DMR_MAIN;
		return;
	}

	route->side = DMR_SPARE;
	/* Of a hole it is a time, and changes. */
	route->spare = READ_ONCE(run.remap->ext.start) + (start - run.remap->start);
	/* Pairs with the release of whoever set them: the move was set up before. */
	flags = smp_load_acquire(&run.remap->ext.flags);
	if (unlikely(flags || op == REQ_OP_DISCARD))
		dmr_route_rare(map, op, run.remap, flags, start, route);
}

/**
 * dmr_resend - take over a bio that cannot be sent from map
 * @core:	the core
 * @bio:	of device-mapper, its sector that of main; not counted
 *
 * It waits for its window, if it is in one, and is then sent by a worker, with a
 * fresh lookup, in parts as need be.
 *
 * Context: any.
 */
void dmr_resend(struct dmr_core *core, struct bio *bio);

/**
 * dmr_resend_waiting - send what waits for the window; it will look anew
 *
 * Context: any.
 */
void dmr_resend_waiting(struct dmr_core *core);

/**
 * dmr_probe - send a part of a bio again, and wait for it
 * @core:	the core
 * @bio:	of device-mapper, as it was in map, its sector that of main; not counted
 * @from:	first main sector of the part
 * @to:		first behind the last
 *
 * As the map says now. A part of a read has its data where the bio has it.
 *
 * Context: a worker that holds no lock that a verb holds; sleeps, allocates nothing
 * that reclaim may have to wait for.
 * Return: the status of the part.
 */
blk_status_t dmr_probe(struct dmr_core *core, struct bio *bio, u64 from, u64 to);

/**
 * dmr_write_own - write data of our own in the place of a part of a bio
 * @core:	the core
 * @bio:	a write, as in dmr_probe()
 * @from:	first main sector
 * @data:	what is written; contiguous
 * @bytes:	of it
 *
 * As the map says now, with FUA. Context, return: as dmr_probe().
 */
blk_status_t dmr_write_own(struct dmr_core *core, struct bio *bio, u64 from, void *data,
			   unsigned int bytes);

/**
 * dmr_read_run - read sectors where they are served, as far as that is one run
 * @core:	the core
 * @from:	first main sector
 * @to:		first behind the last
 * @bio:	a read with pages for all of them, without device and sector
 * @status:	how it ended; BLK_STS_AGAIN: there is no data to be read, or the medium rests
 *
 * Context: sleeps; waits for no verb. Return: first sector behind the run.
 */
u64 dmr_read_run(struct dmr_core *core, u64 from, u64 to, struct bio *bio,
		 blk_status_t *status);

/**
 * dmr_part_io - send a part of a bio to a device, and wait for it
 * @core:	the core
 * @bio:	as in dmr_probe()
 * @from:	first main sector of the part
 * @to:		first behind the last
 * @bdev:	where to
 * @sector:	first sector there
 * @opf:	flags on top of the bio's
 *
 * Past the map, and not counted. Context, return: as dmr_probe(), under any lock.
 */
blk_status_t dmr_part_io(struct dmr_core *core, struct bio *bio, u64 from, u64 to,
			 struct block_device *bdev, u64 sector, blk_opf_t opf);

/**
 * dmr_route_init - set up what belongs to routing in a core
 *
 * Context: sleeps.
 * Return: 0 or -ENOMEM; on success dmr_route_exit() when no bio is left.
 */
int dmr_route_init(struct dmr_core *core);
void dmr_route_exit(struct dmr_core *core);

#endif /* DMR_ROUTE_H */

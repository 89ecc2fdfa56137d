/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving sectors between main and spare under load.
 *
 * A move goes in windows. Inside the window writes wait, behind it they go to both
 * sides, beyond it to the old side alone; reads go to the old side until the end.
 * Before a window is copied, every write that was mapped without it has returned.
 * When all is copied and flushed, the new side is put in force with one store a
 * remap: both sides hold the same, so it does not matter who sees it when. Before
 * the verb answers that it is done, what was mapped by the old map has returned.
 *
 * Whoever moves has both locks, the verb's and that of changes, and lets go of the latter
 * while it copies. What it moves nobody else touches meanwhile: see dmr_moves().
 */
#ifndef DMR_RELOCATE_H
#define DMR_RELOCATE_H

#include "core.h"

#include <linux/dm-io.h>

/* A window: 1 MiB, in at most so many pieces. */
#define DMR_WINDOW_SECTORS	2048
#define DMR_WINDOW_RUNS		256

/**
 * struct dmr_run_copy - a run of sectors that is copied in one piece
 * @w:		its window
 * @main:	its first main sector
 * @from:	where the data is
 * @to:		where it goes
 * @read_error:	@from could not be read
 * @write_error: @to could not be written
 */
struct dmr_run_copy {
	struct dmr_window	*w;
	u64			main;
	struct dm_io_region	from;
	struct dm_io_region	to;
	bool			read_error;
	bool			write_error;
};

/**
 * struct dmr_window - what is copied at a time
 * @left:	runs not yet copied, and one more until all are started
 * @done:	when none is left
 * @nr:		runs
 * @sectors:	in them
 * @runs:	the runs
 */
struct dmr_window {
	atomic_t		left;
	struct completion	done;
	unsigned int		nr;
	unsigned int		sectors;
	struct dmr_run_copy	runs[DMR_WINDOW_RUNS];
};

/**
 * dmr_move_begin - set the move up
 * @core:	the core
 * @removing:	the spare has the data, else main
 * @first:	first main sector that moves
 * @last:	first behind the last
 *
 * Nobody looks at the move before a flag of a remap is set.
 *
 * Context: both locks.
 */
void dmr_move_begin(struct dmr_core *core, bool removing, u64 first, u64 last);

/* The flags are gone: what waits will find its way. Context: as dmr_move_begin(). */
void dmr_move_end(struct dmr_core *core);

/*
 * Is an entry of the table part of the move under way? Then it stays until the verb lock is
 * free. Context: the change lock.
 */
bool dmr_moves(const struct dmr_core *core, const struct dmr_remap *remap);

/**
 * dmr_move_window - copy a window, and widen what is on both sides by it
 * @core:	the core
 * @w:		the window, and room for another behind it, to try again by block
 * @hi:		first main sector behind it
 * @salvage:	what cannot be read is told to core->move.lost, by main sector
 *
 * Context: the verb lock, not that of changes; sleeps.
 * Return: 0; -EIO, -EINTR, -ENOMEM: said to dmr_refuse().
 */
int dmr_move_window(struct dmr_core *core, struct dmr_window *w, u64 hi, bool salvage);

/* As ext.start: the lowest free sectors of the spare. */
#define DMR_AUTO		U64_MAX

/**
 * enum dmr_how - what becomes of the data when remaps are added
 * @DMR_COPY:	it is copied, or the remaps are not added
 * @DMR_SALVAGE: it is copied; what cannot be read is lost
 * @DMR_NOCOPY:	it stays where it is: what is on the spare counts
 * @DMR_DEAD:	it is lost; main is not even read
 */
enum dmr_how { DMR_COPY, DMR_SALVAGE, DMR_NOCOPY, DMR_DEAD };

/**
 * dmr_add - put remaps in force
 * @core:	the core
 * @batch:	the remaps: start, ext.start and ext.len set, within the devices. On
 *		success they are the core's and in order of main sectors, on failure
 *		the caller's
 * @how:	what becomes of the data
 *
 * Those whose ext.start is DMR_AUTO get the lowest free run that holds them, or,
 * when there is none, several: then @batch grows, as it does when a part is lost.
 * All or none.
 *
 * Context: both locks, that of changes is let go of meanwhile; sleeps.
 * Return: 0; -EEXIST, -EBUSY, -ENOSPC, -EIO, -EINTR, -ENOMEM: said to dmr_refuse().
 */
int dmr_add(struct dmr_core *core, struct dmr_batch *batch, enum dmr_how how);

/*
 * What was in doubt has not happened: end its move. Context: the change lock; sleeps.
 */
void dmr_move_settle(struct dmr_core *core);

/* The core goes, and what is in doubt with it. */
void dmr_move_forget(struct dmr_core *core);

/**
 * struct dmr_removed - what removals came to
 * @remaps:	remaps that went, or lost a part
 * @sectors:	sectors that main serves again
 */
struct dmr_removed {
	u64	remaps;
	u64	sectors;
};

/**
 * dmr_remove - serve sectors from main again
 * @core:	the core
 * @first:	first main sector
 * @last:	first behind the last
 * @nocopy:	leave the data where it is: what is on main counts
 * @removed:	what this removal comes to is added here
 *
 * Remaps are cut where they reach over the edges; what is not remapped between
 * them stays as it is. All or none.
 *
 * Context: as dmr_add().
 * Return: 0; -EIO, -EINTR, -ENOMEM: said to dmr_refuse().
 */
int dmr_remove(struct dmr_core *core, u64 first, u64 last, bool nocopy,
	       struct dmr_removed *removed);

/**
 * dmr_next_window - the next remaps that can be removed in one window
 * @core:	the core
 * @from:	main sector to look from
 * @first:	set to the first sector of them
 * @last:	set to the first sector behind them
 *
 * Context: the change lock; sleeps.
 * Return: whether there are any.
 */
bool dmr_next_window(struct dmr_core *core, u64 from, u64 *first, u64 *last);

#endif /* DMR_RELOCATE_H */

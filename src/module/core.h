/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The live core: what outlasts a table.
 *
 * The tables of one mapped device that name the same spare share one core, so a
 * reload keeps every remap. It is made by the first constructor and goes with the
 * last destructor; what a table says takes effect when that table is resumed.
 *
 * It also keeps what every change of mapping rests on: the count of the I/O in flight, the
 * verb lock, which those who move sectors hold one at a time, for as long as that takes, and
 * within it the change lock, which whoever changes the map holds for as long as that takes.
 */
#ifndef DMR_CORE_H
#define DMR_CORE_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/dm-kcopyd.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "errors.h"
#include "metadata.h"
#include "span.h"
#include "spare.h"
#include "table.h"

#define DM_MSG_PREFIX "dm-remap-v4"

/**
 * enum dmr_stat - what `stats` prints, and `clear_stats` sets to 0
 * @DMR_STAT_REMAPS_ADDED:	remaps put in force
 * @DMR_STAT_REMAPS_REMOVED:	remaps taken out, or cut
 * @DMR_STAT_SECTORS_COPIED:	by adds and removes
 * @DMR_STAT_COPY_ERRORS:	runs that failed, and were tried again by block
 * @DMR_STAT_DEFERRED:		bios that waited for a window
 * @DMR_STAT_WRITTEN_TWICE:	bios written to both sides of a move
 * @DMR_STAT_QUIESCES:		drains of the I/O in flight
 * @DMR_STAT_RESIZES_SKIPPED:	for want of memory
 * @DMR_STAT_REFUSALS:		messages refused
 * @DMR_STAT_READ_ERRORS:	bios that failed, as the caller saw it
 * @DMR_STAT_WRITE_ERRORS:	likewise, discards and the like among them
 * @DMR_STAT_FLUSH_ERRORS:	likewise
 * @DMR_STAT_ERRORS_MEDIUM:	blocks, or I/Os, that failed below: by kind
 * @DMR_STAT_ERRORS_IO:		likewise
 * @DMR_STAT_ERRORS_PROTECTION:	likewise
 * @DMR_STAT_ERRORS_TIMEOUT:	likewise
 * @DMR_STAT_ERRORS_PATH:	likewise
 * @DMR_STAT_ERRORS_OTHER:	likewise
 * @DMR_STAT_SAVED:		bios that failed and were mended
 * @DMR_STAT_BY_HAND:		sectors remapped by a message
 * @DMR_STAT_AUTO_WRITES:	sectors remapped because a write failed
 * @DMR_STAT_AUTO_WEAK:	... because a read failed and came back
 * @DMR_STAT_SPENT:		sectors of the spare that errors have taken
 * @DMR_STAT_WEAK:		sectors whose read failed and came back
 * @DMR_STAT_HEALED:		pending sectors of main that took a write
 * @DMR_STAT_MISMATCHES:	sectors that read back as something else
 * @DMR_STAT_ASIDE:		spare sectors put aside
 * @DMR_STAT_SCRUBBED:		sectors scrubbed
 * @DMR_STAT_SCRUBS:		scrubs that came to their end
 * @DMR_NR_STATS:		their number
 *
 * Counted where something other than plain service happens, never on the healthy
 * path.
 */
enum dmr_stat {
	DMR_STAT_REMAPS_ADDED,
	DMR_STAT_REMAPS_REMOVED,
	DMR_STAT_SECTORS_COPIED,
	DMR_STAT_COPY_ERRORS,
	DMR_STAT_DEFERRED,
	DMR_STAT_WRITTEN_TWICE,
	DMR_STAT_QUIESCES,
	DMR_STAT_RESIZES_SKIPPED,
	DMR_STAT_REFUSALS,
	DMR_STAT_READ_ERRORS,
	DMR_STAT_WRITE_ERRORS,
	DMR_STAT_FLUSH_ERRORS,
	DMR_STAT_ERRORS_MEDIUM,
	DMR_STAT_ERRORS_IO,
	DMR_STAT_ERRORS_PROTECTION,
	DMR_STAT_ERRORS_TIMEOUT,
	DMR_STAT_ERRORS_PATH,
	DMR_STAT_ERRORS_OTHER,
	DMR_STAT_SAVED,
	DMR_STAT_BY_HAND,
	DMR_STAT_AUTO_WRITES,
	DMR_STAT_AUTO_WEAK,
	DMR_STAT_SPENT,
	DMR_STAT_WEAK,
	DMR_STAT_HEALED,
	DMR_STAT_MISMATCHES,
	DMR_STAT_ASIDE,
	DMR_STAT_SCRUBBED,
	DMR_STAT_SCRUBS,
	DMR_NR_STATS
};

/* Set until `set` says otherwise: blocks; seconds; seconds. */
#define DMR_BREAKER_DEFAULT	64
#define DMR_REST_DEFAULT	10
#define DMR_BUDGET_DEFAULT	60

#define DMR_NR_NOTES		64
#define DMR_RESERVE		64

/* Failed writes that share a commit. */
#define DMR_GROUP		8

/**
 * struct dmr_note - main sectors that a read had trouble with
 * @from:	the first
 * @to:		the first behind the last
 * @weak:	they came back when tried again
 */
struct dmr_note {
	u64	from;
	u64	to;
	bool	weak;
};

/**
 * struct dmr_generation - a count of bios in flight
 * @ref:	one for each, counted per CPU
 * @core:	whom to wake when it has drained
 */
struct dmr_generation {
	struct percpu_ref	ref;
	struct dmr_core		*core;
};

static_assert(sizeof(long) == 8, "sectors are read without a lock");

/* In dmr_move.lost: it was written since, and is not lost. */
#define DMR_REWRITTEN	BIT_ULL(63)

/* Remaps that a replay allocates at a time. */
#define DMR_STOCK	64

#define DMR_NR_REFUSALS 8
#define DMR_REFUSAL_LEN 256

/**
 * enum dmr_auto - are sectors remapped when the medium fails?
 * @DMR_AUTO_OFF:	only by hand
 * @DMR_AUTO_ON:	yes
 * @DMR_AUTO_TRIPPED:	no longer: main seems to fail as a whole
 */
enum dmr_auto { DMR_AUTO_OFF, DMR_AUTO_ON, DMR_AUTO_TRIPPED };

/**
 * enum dmr_verify - which writes are read back before they are acknowledged?
 * @DMR_VERIFY_OFF:	none
 * @DMR_VERIFY_PENDING:	those to pending sectors
 * @DMR_VERIFY_ALL:	all
 */
enum dmr_verify { DMR_VERIFY_OFF, DMR_VERIFY_PENDING, DMR_VERIFY_ALL };

/**
 * struct dmr_batch - remaps that change together
 * @remaps:	the remaps
 * @nr:		how many
 * @room:	for how many there is room
 */
struct dmr_batch {
	struct dmr_remap	**remaps;
	size_t			nr;
	size_t			room;
};

/**
 * struct dmr_move - the move in progress, if any (relocate.h)
 * @lock:	every field below it; taken where bios end, so never held while
 *		anything sleeps or completes
 * @active:	bios may wait here
 * @removing:	from the spare to main, else the other way
 * @committed:	the new side counts from here on: its errors are the bio's
 * @first:	first main sector that moves ...
 * @last:	... and the first behind it
 * @lo:		what lies below is on both sides, and is written to both
 * @hi:		what lies from @lo to here is being copied: writes wait.
 *		Both only grow during a move; readers take @lo first, so a torn
 *		look can only make a bio wait that need not
 * @error:	a write to the new side failed; the move must not be committed
 * @held:	writes wait all over the move, while @lost becomes final
 * @lost:	main sectors of the blocks that could not be read, rising; the top bit
 *		says that one was written to both sides since
 * @nr_lost:	how many
 * @lost_room:	for how many there is room
 * @waiting:	bios that wait for the window, or for a write to both sides
 * @duals:	writes to both sides in flight, which must not overlap: each
 *		side could keep another one
 */
struct dmr_move {
	spinlock_t		lock;		/* all below */
	bool			active;
	bool			removing;
	bool			committed;
	u64			first;
	u64			last;
	u64			lo;
	u64			hi;
	blk_status_t		error;
	bool			held;
	u64			*lost;
	size_t			nr_lost;
	size_t			lost_room;
	struct bio_list		waiting;
	struct list_head	duals;
};

struct dmr_scrub_buffer;

/**
 * struct dmr_scrub - reading everything in the background (scrub.h)
 * @lock:	held while something is read; inside the change lock
 * @work:	reads a chunk
 * @at:		the next main sector
 * @to:		the first that is not read
 * @rate:	MiB in a second; 0: no scrub is under way
 * @marked:	@at as it was written down last
 * @wanted:	somebody waits for @lock: not longer than for a block
 * @buffer:	made when it is first needed
 */
struct dmr_scrub {
	struct mutex		lock;		/* all below */
	struct delayed_work	work;
	u64			at;
	u64			to;
	unsigned int		rate;
	u64			marked;
	bool			wanted;
	struct dmr_scrub_buffer	*buffer;
};

/**
 * struct dmr_map - the remaps of one spare
 * @core:	whose map it is
 * @bdev:	the spare device
 * @table:	what is served differently from main
 * @spare:	free sectors
 * @meta:	the metadata
 * @remaps:	remaps in force; the table also has those that are being added, holes,
 *		and for a moment parts beside their whole
 * @sectors:	in them
 * @lost:	of these, how many hold no data
 * @pending:	sectors that could not be read, remapped or not
 * @holes:	pending sectors that are not remapped, by start
 * @nr_holes:	entries there
 * @hole_sectors: sectors there
 * @nr_adding:	entries of the table that are being added
 * @adding_sectors: sectors there
 * @top:	no entry was ever in the table from here on
 * @mapped:	entries of the table that are none: it may be read without the lock, and
 *		counts whatever may have data on the spare
 * @nr_pending:	remaps that are pending
 * @nr_aside:	runs of spare sectors that were put aside
 * @aside:	sectors in them
 * @doomed:	entries that were taken out, to be freed when readers are gone
 * @replay:	it is being loaded: no bio is there, and what goes is freed at the end
 * @stock:	remaps that a replay is going to put in ...
 * @nr_stock:	... and how many
 *
 * Written under the change lock. A core has one; a migration builds another and
 * publishes it in the place of the first, which goes when its readers are gone.
 */
struct dmr_map {
	struct dmr_core		*core;
	struct block_device	*bdev;
	struct dmr_table	table;
	struct dmr_spare	spare;
	struct dmr_meta		meta;
	u64			remaps;
	u64			sectors;
	u64			lost;
	u64			pending;
	struct rb_root		holes;
	u64			nr_holes;
	u64			hole_sectors;
	u64			nr_adding;
	u64			adding_sectors;
	u64			top;
	u64			mapped;
	u64			nr_pending;
	u64			nr_aside;
	u64			aside;
	struct rb_node		*doomed;
	bool			replay;
	struct dmr_remap	*stock[DMR_STOCK];
	unsigned int		nr_stock;
};

/**
 * struct dmr_core - the state that the tables of one device and spare share
 * @map:	the remaps; see dmr_map_of()
 * @next:	the map of the spare that a migration moves to, or NULL; written as @map is
 * @next_held:	writes to what is there wait until it is the map; move.lock
 * @next_error:	a write to it failed; move.lock
 * @inflight:	bios submitted below and not yet returned, in two generations
 * @gen:	the generation that bios count in now
 *
 * @main:	main device, from the table in force
 * @len:	sectors of main that are mapped
 * @block:	main's logical block, in sectors: the grain of every remap
 * @readonly:	the table in force is read-only
 *
 * @verb:	held by whoever moves sectors or changes a setting, one after the other: a
 *		verb, what follows a read that failed, and a write that fails within a move
 * @change:	the map and its metadata; within @verb. A move lets go of it while it
 *		copies: who finds an entry that moves (dmr_moves()) takes @verb first
 * @stop:	a suspend is coming: verbs give up at their next window
 * @wait:	woken when a generation has drained, by @stop, when a span is free, and when
 *		one more has @entered
 * @draining:	a generation whose drain was given up, and must end first
 * @spare_low:	raise an event when fewer sectors are free
 * @state:	as the last event told it
 * @low:	likewise: fewer than @spare_low are free
 * @resize_failed: the last resize found no memory; logged once
 *
 * @volatile_:	there is no metadata
 * @loaded:	the metadata is that of the spare
 * @doubt:	remaps whose commit may be on disk or not; their move is not over. Whoever
 *		has one of the locks settles that before anything else
 *
 * @move:	the move in progress
 * @kcopyd:	copies, with memory of its own
 * @bios:	parts of bios that cannot be sent as they came
 * @probes:	parts of bios that have failed, to be sent again
 * @wq:		sends @ready bios again; never waits for a quiesce
 *
 * @auto_:	are sectors remapped when the medium fails?
 * @spent:	blocks of the spare spent on main since it was last seen alive
 * @breaker:	see whether it is alive when that passes this
 * @rest:	seconds before a pending sector is read again
 * @budget:	seconds for one failed bio
 * @verify:	which writes are read back
 * @verify_pool: buffers for that (verify.h)
 * @verifying:	writes that are being read back
 * @claims:	writes that are being mended (claim.h)
 * @arrived:	writes that have failed, and asked for the change lock, ever ...
 * @entered:	... and had it, under that lock; both wrap
 * @commits:	of the claims, those that are written, and wait for their commit
 * @closing:	a migration is about to end: writes are mended after it; @change
 * @streak:	blocks that failed, without a success between
 * @mender:	workers for bios that have failed, and @note_work
 * @notes:	what reads have found out, to be acted upon
 * @refill:	fills @reserve
 * @reserve:	remaps for when there is no memory; @change
 * @taken:	pending sectors that an add has taken, until it is over, or settled; in order,
 *		and read without the lock by who sees a flag of that add
 * @forgotten:	how often dmr_repair_forget() was called
 * @nr_held:	of a commit in doubt, how many writes it was of
 * @doubt_held:	entries whose writes fail until that is settled
 * @doubt_fresh: what they would be replaced by, on the spare only, or NULL
 * @check:	what is read to be looked at; @change
 * @look:	likewise; @verb
 * @scrub:	see there
 *
 * @since:	when @stats were 0, in seconds since the machine started
 * @errors:	the last that were seen
 * @md:		the mapped device, for its name and to be found by
 * @in_force:	the table that dmr_core_apply() was called for last
 * @users:	tables; the module's lock
 */
struct dmr_core {
	struct dmr_map __rcu	*map;
	struct dmr_map __rcu	*next;
	bool			next_held;
	blk_status_t		next_error;
	struct dmr_generation	inflight[2];
	unsigned int		gen;

	struct block_device	*main;
	u64			len;
	unsigned int		block;
	bool			readonly;

	struct mutex		verb;		/* moves, settings */
	struct mutex		change;		/* the map */
	bool			stop;
	wait_queue_head_t	wait;
	struct percpu_ref	*draining;
	u64			spare_low;
	const char		*state;
	bool			low;
	bool			resize_failed;

	bool			volatile_;
	bool			loaded;
	struct dmr_batch	doubt;

	struct dmr_move		move;
	struct dm_kcopyd_client	*kcopyd;
	struct bio_set		bios;
	struct bio_set		probes;
	struct workqueue_struct	*wq;
	struct work_struct	resend;
	spinlock_t		ready_lock;	/* ready */
	struct bio_list		ready;

	enum dmr_auto		auto_;
	u64			spent;
	u64			breaker;
	u64			rest;
	u64			budget;
	enum dmr_verify		verify;
	mempool_t		*verify_pool;
	struct dmr_spans	verifying;
	struct dmr_spans	claims;
	atomic_t		arrived;
	int			entered;
	spinlock_t		commit_lock;	/* commits */
	struct list_head	commits;
	bool			closing;
	atomic_t		streak;
	struct workqueue_struct	*mender;
	struct work_struct	note_work;
	spinlock_t		note_lock;	/* notes */
	unsigned int		nr_notes;
	struct dmr_note		notes[DMR_NR_NOTES];
	struct work_struct	refill;
	unsigned int		nr_reserve;
	struct dmr_remap	*reserve[DMR_RESERVE];
	struct dmr_batch	taken;
	unsigned int		forgotten;
	unsigned int		nr_held;
	struct dmr_remap	*doubt_held[DMR_GROUP];
	struct dmr_remap	*doubt_fresh[DMR_GROUP];
	void			*check;
	void			*look;
	struct dmr_scrub	scrub;

	atomic64_t		stats[DMR_NR_STATS];
	time64_t		since;
	struct dmr_errors	errors;
	spinlock_t		refusal_lock;	/* refusals */
	unsigned int		nr_refusals;
	char			refusals[DMR_NR_REFUSALS][DMR_REFUSAL_LEN];

	struct mapped_device	*md;
	struct dmr_user		*in_force;
	unsigned int		users;
};

/**
 * struct dmr_user - a table that uses a core
 * @node:	in the registry of the module
 * @core:	its core
 * @md:		the mapped device
 * @table:	the table; only its identity counts
 * @main:	main device
 * @spare:	spare device
 * @joining:	the one that a migration moves to, or NULL
 * @len:	sectors mapped
 * @readonly:	opened read-only
 * @manual:	do not remap when the medium fails
 * @spare_low:	as the table says, or DMR_LOW_DEFAULT
 * @volatile_:	keep the remaps in memory only
 * @format:	write new metadata, whatever is there
 * @resize:	take another @len than the metadata has
 * @adopt:	take another @main_id
 * @main_id:	identity of the main device, or empty
 */
struct dmr_user {
	struct list_head	node;
	struct dmr_core		*core;
	struct mapped_device	*md;
	struct dm_table		*table;
	struct block_device	*main;
	struct block_device	*spare;
	struct block_device	*joining;
	u64			len;
	bool			readonly;
	bool			manual;
	u64			spare_low;
	bool			volatile_;
	bool			format;
	bool			resize;
	bool			adopt;
	char			main_id[DMR_MAIN_ID_SIZE];
};

/*
 * The map in force. It may be looked at under RCU, or the change lock; or by whoever alone
 * has the core.
 */
static inline struct dmr_map *dmr_map_of(const struct dmr_core *core)
{
	return rcu_dereference_raw(core->map);
}

/* As spare_low: a tenth of the spare. */
#define DMR_LOW_DEFAULT U64_MAX

/* The grain of remaps on a main device, in sectors. */
static inline unsigned int dmr_user_block(const struct dmr_user *u)
{
	return bdev_logical_block_size(u->main) >> SECTOR_SHIFT;
}

/* First sector of the spare that may be handed out: a whole block of main. */
static inline u64 dmr_user_spare_first(const struct dmr_user *u)
{
	return round_up(DMR_SPARE_FIRST, dmr_user_block(u));
}

/* Room on the spare: whole blocks of main, or what is left could not be used. */
static inline u64 dmr_user_spare_size(const struct dmr_user *u)
{
	return round_down(bdev_nr_sectors(READ_ONCE(u->spare)), dmr_user_block(u));
}

/* The spare_low of a table, as `set` left it if it is in force. Context: any. */
u64 dmr_user_spare_low(const struct dmr_user *u);

/**
 * dmr_core_misfit - what keeps the remaps, and what is put aside, from a table
 *
 * Context: under the change lock; sleeps.
 * Return: NULL, or why not.
 */
char *dmr_core_misfit(const struct dmr_core *core, const struct dmr_user *u);

/**
 * dmr_core_get - find or make the core of a table
 * @u:		all but @u->core is set
 * @error:	what is wrong, for ti->error
 *
 * Refuses what the registry shows to be in use: device-mapper's own claim does not
 * keep its targets apart. Refuses a table that the remaps of a live core do not fit.
 *
 * Context: a constructor.
 * Return: 0, -EBUSY, -EINVAL, -EINTR, -ENOMEM; what dmr_persist_check() returns.
 */
int dmr_core_get(struct dmr_user *u, char **error);

/*
 * Leave the core; the last user takes it along.
 *
 * Context: a destructor.
 */
void dmr_core_put(struct dmr_user *u);

/**
 * dmr_core_join_spare - keep others off the spare of a migration
 * @u:		the table
 * @bdev:	the spare
 *
 * Until dmr_core_part_spare() no other table of the device can be loaded.
 *
 * Return: 0; -EBUSY: it is in use, there is a migration already, or another table of the
 * device is loaded.
 */
int dmr_core_join_spare(struct dmr_user *u, struct block_device *bdev);

/* The migration is over: is the spare that joined the one of the table now? */
bool dmr_core_settle_spare(struct dmr_user *u);

/* ... and whoever has the table knows. */
void dmr_core_part_spare(struct dmr_user *u);

/**
 * dmr_core_apply - put what a table says in force
 *
 * Context: preresume: no bio of the device is in flight and no verb is running.
 * Return: 0; -EINVAL when the remaps do not fit; -ENOMEM; what dmr_persist_open()
 * returns.
 */
int dmr_core_apply(struct dmr_user *u);

/*
 * The change lock, for a worker: a disk that is slow to fail may have it held for long, which
 * is no task that hangs.
 */
static inline void dmr_change_lock(struct dmr_core *core)
{
	/* Workers have all signals blocked. */
	while (mutex_lock_interruptible(&core->change))
		;
}

/* The change lock again, for a verb that has let go of it, or for a worker in its place. */
static inline void dmr_change_relock(struct dmr_core *core)
{
	/* A task that is being killed could only spin. */
	if (current->flags & PF_WQ_WORKER)
		dmr_change_lock(core);
	else
		mutex_lock(&core->change);
}

/* Both locks, for a worker: a verb may take hours. */
static inline void dmr_verb_lock(struct dmr_core *core)
{
	while (mutex_lock_interruptible(&core->verb))
		;
	dmr_change_lock(core);
}

static inline void dmr_verb_unlock(struct dmr_core *core)
{
	mutex_unlock(&core->change);
	mutex_unlock(&core->verb);
}

/* Nothing changes the map any more. Context: postsuspend. */
void dmr_core_quiet(struct dmr_core *core);

/* Suspend is coming: let verbs end at their next window. Context: presuspend. */
void dmr_core_stop(struct dmr_core *core);

/* ... and may run again. Context: resume, presuspend_undo. */
void dmr_core_start(struct dmr_core *core);

/* Is a verb to end at its next window? Context: any task. */
static inline bool dmr_core_stopping(const struct dmr_core *core)
{
	return READ_ONCE(core->stop) || fatal_signal_pending(current);
}

/**
 * dmr_core_enter - count a bio as in flight
 *
 * Count first and look up second, in one RCU section: then whoever changes the
 * table and waits for the generation to drain has waited for every bio that was
 * mapped without the change. A generation that is being drained takes no more.
 *
 * Context: any, under rcu_read_lock().
 * Return: what dmr_core_leave() wants when the bio has returned from below.
 */
static inline struct percpu_ref *dmr_core_enter(struct dmr_core *core)
{
	struct percpu_ref *ref;
	unsigned int gen;

	do {
		/* Pairs with dmr_core_quiesce(): in the new one, the change is seen. */
		gen = smp_load_acquire(&core->gen);
		ref = &core->inflight[gen].ref;
	} while (unlikely(!percpu_ref_tryget_live_rcu(ref)));
	return ref;
}

static inline void dmr_core_leave(struct percpu_ref *ref)
{
	percpu_ref_put(ref);
}

/**
 * dmr_core_quiesce - wait for all I/O that was mapped before now
 * @core:	the core
 * @may_stop:	give up for a fatal signal or a suspend
 *
 * An RCU grace period passes too: no reader of the table is left that saw what was
 * unpublished before.
 *
 * Context: @verb held, or @change by whoever settles a move in doubt; sleeps for as long as
 * the disks take.
 * Return: 0, or -EINTR, only with @may_stop.
 */
int dmr_core_quiesce(struct dmr_core *core, bool may_stop);

/* As `dmsetup table` has it: was automatic remapping turned off? Context: any. */
bool dmr_user_manual(const struct dmr_user *u);

/* Resize the table if it is time, and log it. Context: @change held; sleeps. */
void dmr_core_resize(struct dmr_core *core);

/*
 * So many remaps are about to be put in the table: grow it once.
 *
 * Context: @change held; sleeps.
 * Return: 0 or -ENOMEM.
 */
int dmr_core_expect(struct dmr_core *core, u64 remaps);

/**
 * dmr_refuse - say why a message is refused
 *
 * One sentence that names the value and the limit, to the kernel log and to the
 * last refusals that `health` prints.
 *
 * Return: @err.
 */
__printf(3, 4)
int dmr_refuse(struct dmr_core *core, int err, const char *fmt, ...);

/**
 * dmr_refusal - one of the last refusals
 * @i:		0 is the oldest, DMR_NR_REFUSALS - 1 the newest
 * @text:	DMR_REFUSAL_LEN bytes for it
 *
 * Return: false if there were not so many.
 */
bool dmr_refusal(struct dmr_core *core, unsigned int i, char *text);

/* Tell whoever waits for an event. Context: @change held; sleeps. */
void dmr_core_event(struct dmr_core *core);

/* Raise an event if the state has changed. Context: @change held; sleeps. */
void dmr_core_notice(struct dmr_core *core);

static inline void dmr_count(struct dmr_core *core, enum dmr_stat stat, s64 n)
{
	atomic64_add(n, &core->stats[stat]);
}

/* A counter's name. */
const char *dmr_stat_name(enum dmr_stat stat);

/* Set them to 0. Context: any. */
void dmr_clear_counts(struct dmr_core *core);

/* Spare sectors are put aside, on disk as well. Context: the change lock. */
static inline void dmr_map_aside(struct dmr_map *map, u64 len)
{
	map->nr_aside++;
	WRITE_ONCE(map->aside, map->aside + len);
}

static inline void dmr_map_counted(struct dmr_map *map)
{
	WRITE_ONCE(map->remaps, map->table.count - map->nr_holes - map->nr_adding);
	WRITE_ONCE(map->sectors,
		   map->table.sectors - map->hole_sectors - map->adding_sectors);
}

/* A change of the map is complete: status tells it. Context: @change held. */
static inline void dmr_core_counted(struct dmr_core *core)
{
	dmr_map_counted(dmr_map_of(core));
}

/* Sectors of the spare that remaps may take, used or not. Context: any. */
u64 dmr_core_room(const struct dmr_core *core);

/* Sectors of the spare in all. Context: any. */
u64 dmr_core_spare_size(const struct dmr_core *core);

/*
 * The state as `dmsetup status` names it. Context: the change lock, or RCU.
 */
const char *dmr_core_state(const struct dmr_core *core);

/**
 * dmr_core_status - the line of `dmsetup status`
 * @result:	where to
 * @maxlen:	bytes there
 *
 * Context: any but interrupts; takes no lock that a verb holds.
 * Return: bytes written.
 */
size_t dmr_core_status(const struct dmr_core *core, char *result, size_t maxlen);

/**
 * dmr_core_make_map - an empty map
 * @core:	whose it will be
 * @u:		a table that has the spare
 *
 * Context: sleeps.
 * Return: the map, with nothing on disk, or NULL without memory.
 */
struct dmr_map *dmr_core_make_map(struct dmr_core *core, const struct dmr_user *u);

/**
 * dmr_core_publish - put another map in the place of the one in force
 *
 * Context: the change lock. The old one is the caller's when a drain has passed.
 */
void dmr_core_publish(struct dmr_core *core, struct dmr_map *map);

/* Free a map that nobody looks at, with all that is in it. */
void dmr_core_free_map(struct dmr_map *map);

/* Remap objects. Context: may sleep; alloc is GFP_KERNEL. */
struct dmr_remap *dmr_remap_alloc(void);
struct dmr_remap *dmr_remap_alloc_nofail(void);
void dmr_remap_free(struct dmr_remap *remap);

/* Allocates @nr at once, for less than @nr times the work. False: no memory for all. */
bool dmr_remap_alloc_many(struct dmr_remap **remaps, size_t nr);

int __init dmr_core_init(void);
void dmr_core_exit(void);

#endif /* DMR_CORE_H */

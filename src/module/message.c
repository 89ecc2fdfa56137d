// SPDX-License-Identifier: GPL-2.0-only
#include "map.h"
#include "message.h"
#include "migrate.h"
#include "persist.h"
#include "relocate.h"
#include "scrub.h"
#include "verify.h"

#include <linux/ctype.h>
#include <linux/device-mapper.h>
#include <linux/kstrtox.h>
#include <linux/math64.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

/* Rows of a reply, at most; the person asks again from where it ended. */
#define DMR_MAX_ROWS	1000

/*
 * Userspace runs a message again, with more room, when its reply did not fit. What
 * changes something must not be run twice: it makes sure of this much beforehand.
 */
#define DMR_REPLY_ROOM	128

/* Words of a person that are shown back to him. */
#define DMR_WORD	"%.40s"

/**
 * struct dmr_call - a message
 * @argc:	number of arguments, without the verb
 * @argv:	the arguments; gone with the first word of reply
 * @to:		what migrate moves to
 * @result:	where the reply goes
 * @maxlen:	bytes there
 */
struct dmr_call {
	unsigned int	argc;
	char		**argv;
	const struct dmr_user *to;
	char		*result;
	unsigned int	maxlen;
};

#define DMR_CHANGES	0x01	/* takes its turn; not on a suspended device */
#define DMR_REMAPS	0x02	/* not on a read-only table either */
#define DMR_SETTLES	0x04	/* commits, where the table is not read-only */

/**
 * struct dmr_verb - a verb
 * @name:	its name
 * @min:	arguments at least
 * @max:	and at most
 * @flags:	DMR_CHANGES, DMR_REMAPS, DMR_SETTLES
 * @run:	does it; returns 1, or an error that dmr_refuse() was told
 * @args:	its arguments, for help
 */
struct dmr_verb {
	const char	*name;
	unsigned int	min;
	unsigned int	max;
	unsigned int	flags;
	int		(*run)(struct dmr_core *core, struct dmr_call *call);
	const char	*args;
};

/* A reply in one go; one that did not fit shows as such to device-mapper. */
__printf(2, 3)
static int dmr_reply(struct dmr_call *call, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(call->result, call->maxlen, fmt, args);
	va_end(args);
	return 1;
}

/*
 *----------------------------------------------------------------
 * Arguments
 *----------------------------------------------------------------
 */

/* Strict: kstrtoull() alone takes a sign and a newline. */
static int dmr_parse(struct dmr_core *core, const char *what, const char *word,
		     u64 *value)
{
	const char *c = word;

	while (isdigit(*c))
		c++;
	if (c == word || *c)
		return dmr_refuse(core, -EINVAL, "%s is not a decimal number: '" DMR_WORD "'",
				  what, word);
	if (kstrtoull(word, 10, value))
		return dmr_refuse(core, -ERANGE, "%s is above %llu: '" DMR_WORD "'",
				  what, U64_MAX, word);
	return 0;
}

static int dmr_check_range(struct dmr_core *core, const char *what, u64 start,
			   u64 len, u64 limit)
{
	if (!len)
		return dmr_refuse(core, -EINVAL, "length 0 at %s sector %llu",
				  what, start);
	if (start > limit || len > limit - start)
		return dmr_refuse(core, -ERANGE,
				  "%s sector %llu and length %llu reach beyond the device's %llu sectors",
				  what, start, len, limit);
	return 0;
}

static int dmr_check_aligned(struct dmr_core *core, const char *what, u64 value)
{
	if (value & (core->block - 1))
		return dmr_refuse(core, -EINVAL,
				  "%s %llu is not a multiple of the main device's logical block of %u sectors",
				  what, value, core->block);
	return 0;
}

/* A run of main sectors that is to be changed. */
static int dmr_check_main(struct dmr_core *core, u64 start, u64 len)
{
	int r;

	r = dmr_check_range(core, "main", start, len, core->len);
	if (!r)
		r = dmr_check_aligned(core, "main sector", start);
	if (!r)
		r = dmr_check_aligned(core, "length", len);
	return r;
}

/* The last argument may be nocopy; then it is taken off. */
static bool dmr_take_nocopy(struct dmr_call *call)
{
	if (!call->argc || strcmp(call->argv[call->argc - 1], "nocopy"))
		return false;
	call->argc--;
	return true;
}

/*
 *----------------------------------------------------------------
 * Changing remaps
 *----------------------------------------------------------------
 */

/* <main_sector> <spare_sector|auto> <length> */
static int dmr_parse_remap(struct dmr_core *core, char **argv,
			   struct dmr_batch *batch)
{
	u64 start, spare = DMR_AUTO, len;
	struct dmr_remap *remap;
	int r;

	r = dmr_parse(core, "main sector", argv[0], &start);
	if (!r && strcmp(argv[1], "auto"))
		r = dmr_parse(core, "spare sector", argv[1], &spare);
	if (!r)
		r = dmr_parse(core, "length", argv[2], &len);
	if (!r)
		r = dmr_check_main(core, start, len);
	if (!r && strcmp(argv[1], "auto")) {
		r = dmr_check_range(core, "spare", spare, len,
				    dmr_core_spare_size(core));
		if (!r)
			r = dmr_check_aligned(core, "spare sector", spare);
	}
	if (r)
		return r;

	remap = dmr_remap_alloc();
	if (!remap || dmr_batch_push(batch, remap)) {
		if (remap)
			dmr_remap_free(remap);
		return dmr_refuse(core, -ENOMEM, "no memory for remap %zu of the message",
				  batch->nr + 1);
	}
	remap->start = start;
	remap->ext.start = spare;
	remap->ext.len = len;
	return 0;
}

/* Sectors of the remaps that have one of @flags, or with 0 of all. */
static u64 dmr_batch_sectors(const struct dmr_batch *batch, u8 flags)
{
	u64 sectors = 0;

	for (size_t i = 0; i < batch->nr; i++)
		if (!flags || batch->remaps[i]->ext.flags & flags)
			sectors += batch->remaps[i]->ext.len;
	return sectors;
}

static int dmr_parse_and_add(struct dmr_core *core, unsigned int argc, char **argv,
			     struct dmr_batch *batch, enum dmr_how how)
{
	int r = 0;

	for (unsigned int i = 0; i < argc && !r; i += 3) {
		r = dmr_parse_remap(core, argv + i, batch);
		cond_resched();
	}
	if (!r)
		r = dmr_add(core, batch, how);
	if (!r)
		dmr_count(core, DMR_STAT_BY_HAND, dmr_batch_sectors(batch, 0));
	else
		dmr_batch_free(batch);
	return r;
}

/* How many sectors were lost, if any were. */
static int dmr_reply_added(struct dmr_call *call, const struct dmr_batch *batch,
			   const char *head)
{
	u64 lost = dmr_batch_sectors(batch, DMR_LOST);

	if (!lost)
		return dmr_reply(call, "%s", head);
	return dmr_reply(call, "%s lost=%llu", head, lost);
}

static enum dmr_how dmr_take_how(struct dmr_call *call)
{
	if (dmr_take_nocopy(call))
		return DMR_NOCOPY;
	if (!call->argc || strcmp(call->argv[call->argc - 1], "lost"))
		return DMR_SALVAGE;
	call->argc--;
	return DMR_DEAD;
}

static int dmr_add_remap(struct dmr_core *core, struct dmr_call *call)
{
	enum dmr_how how = dmr_take_how(call);
	struct dmr_batch batch = {};
	char head[DMR_REPLY_ROOM];
	int r;

	if (call->argc < 3)
		return dmr_refuse(core, -EINVAL,
				  "add_remap wants a main sector, a spare sector or auto, and a length");
	if (call->argc > 3)
		return dmr_refuse(core, -EINVAL, "add_remap does not know the word '" DMR_WORD "'",
				  call->argv[3]);

	r = dmr_parse_and_add(core, 3, call->argv, &batch, how);
	if (!r) {
		scnprintf(head, sizeof(head), "%llu %llu %llu remaps=%zu",
			  batch.remaps[0]->start, batch.remaps[0]->ext.start,
			  dmr_batch_sectors(&batch, 0), batch.nr);
		r = dmr_reply_added(call, &batch, head);
	}
	dmr_batch_exit(&batch);
	return r;
}

static int dmr_add_remaps(struct dmr_core *core, struct dmr_call *call)
{
	bool nocopy = !strcmp(call->argv[0], "nocopy");
	struct dmr_batch batch = {};
	char head[DMR_REPLY_ROOM];
	int r;

	call->argc -= nocopy;
	call->argv += nocopy;
	if (!call->argc || call->argc % 3)
		return dmr_refuse(core, -EINVAL,
				  "add_remaps wants triples of main sector, spare sector and length, not %u arguments",
				  call->argc);

	r = dmr_parse_and_add(core, call->argc, call->argv, &batch,
			      nocopy ? DMR_NOCOPY : DMR_SALVAGE);
	if (!r) {
		scnprintf(head, sizeof(head), "remaps=%zu sectors=%llu", batch.nr,
			  dmr_batch_sectors(&batch, 0));
		r = dmr_reply_added(call, &batch, head);
	}
	dmr_batch_exit(&batch);
	return r;
}

/* Without a length a remap is named by its first sector, and none but that. */
static int dmr_find_whole(struct dmr_core *core, u64 start, u64 *len)
{
	const struct dmr_remap *remap = dmr_mapped(dmr_map_of(core), start, start + 1);

	if (!remap)
		return dmr_refuse(core, -ENOENT, "main sector %llu is not remapped",
				  start);
	if (remap->start != start)
		return dmr_refuse(core, -ENOENT,
				  "no remap starts at main sector %llu, it is inside the one at %llu: give a length to remove a part",
				  start, remap->start);
	*len = remap->ext.len;
	return 0;
}

static int dmr_remove_remap(struct dmr_core *core, struct dmr_call *call)
{
	bool nocopy = dmr_take_nocopy(call);
	struct dmr_removed removed = {};
	u64 start, len;
	int r;

	if (!call->argc)
		return dmr_refuse(core, -EINVAL, "remove_remap wants a main sector");
	if (call->argc > 2)
		return dmr_refuse(core, -EINVAL,
				  "remove_remap does not know the word '" DMR_WORD "'",
				  call->argv[2]);

	r = dmr_parse(core, "main sector", call->argv[0], &start);
	if (r)
		return r;
	if (call->argc == 2) {
		r = dmr_parse(core, "length", call->argv[1], &len);
		if (!r)
			r = dmr_check_main(core, start, len);
	} else {
		r = dmr_check_main(core, start, core->block);
		if (!r)
			r = dmr_find_whole(core, start, &len);
	}
	if (!r)
		r = dmr_remove(core, start, start + len, nocopy, &removed);
	if (r)
		return r;
	if (!removed.remaps)
		return dmr_refuse(core, -ENOENT, "main sectors %llu to %llu are not remapped",
				  start, start + len - 1);
	return dmr_reply(call, "remaps=%llu sectors=%llu", removed.remaps,
			 removed.sectors);
}

/* A window at a time, each for good: a large map need not be copied twice over. */
static int dmr_clear_all(struct dmr_core *core, struct dmr_call *call)
{
	struct dmr_map *map = dmr_map_of(core);
	bool nocopy = dmr_take_nocopy(call);
	struct dmr_removed removed = {};
	u64 first, last = 0;
	int r;

	if (call->argc)
		return dmr_refuse(core, -EINVAL, "clear_all does not know the word '" DMR_WORD "'",
				  call->argv[0]);

	/* What is remapped meanwhile, behind us, stays. */
	while (dmr_next_window(core, last, &first, &last)) {
		r = -EINTR;
		if (!dmr_core_stopping(core))
			r = dmr_remove(core, first, last, nocopy, &removed);
		if (r)
			return dmr_refuse(core, r,
					  "clear_all ended at main sector %llu: %llu remaps removed, %llu left",
					  first, removed.remaps,
					  map->remaps);
	}
	return dmr_reply(call, "remaps=%llu sectors=%llu", removed.remaps,
			 removed.sectors);
}

/*
 *----------------------------------------------------------------
 * Asking
 *----------------------------------------------------------------
 */

/* Where sectors are served from; a remap that is being added does not count yet. */
static const char *dmr_query_run(struct dmr_core *core, u64 start, u64 end, u64 *run_end,
				 u64 *spare)
{
	const char *how = "main";
	struct dmr_run run;

	rcu_read_lock();
	dmr_table_lookup(&dmr_map_of(core)->table, start, end, &run);
	if (run.remap) {
		u8 flags = READ_ONCE(run.remap->ext.flags);

		/* Of a hole it is a time, and changes. */
		*spare = READ_ONCE(run.remap->ext.start) + (start - run.remap->start);
		if (!(flags & (DMR_ADDING | DMR_HOLE)))
			how = flags & DMR_LOST ? "lost" : "spare";
	}
	rcu_read_unlock();
	*run_end = run.end;
	return how;
}

static int dmr_query(struct dmr_core *core, struct dmr_call *call)
{
	unsigned int maxlen = call->maxlen;
	char *result = call->result;
	u64 start, end, spare, len = 1;
	size_t sz = 0;
	int r;

	r = dmr_parse(core, "main sector", call->argv[0], &start);
	if (!r && call->argc == 2)
		r = dmr_parse(core, "length", call->argv[1], &len);
	if (!r)
		r = dmr_check_range(core, "main", start, len, READ_ONCE(core->len));
	if (r)
		return r;

	end = start + len;
	for (int row = 0; start < end && row < DMR_MAX_ROWS; row++) {
		const char *how;
		u64 run_end;

		how = dmr_query_run(core, start, end, &run_end, &spare);
		if (*how == 'm')
			DMEMIT("%llu %llu main\n", start, run_end - start);
		else
			DMEMIT("%llu %llu %s %llu\n", start, run_end - start, how, spare);
		start = run_end;
		cond_resched();
	}
	return 1;
}

/**
 * struct dmr_listing - what `list` lists
 * @of:		entries with one of these flags, or with 0 all remaps
 * @not:	... and none of these
 */
struct dmr_listing {
	u8	of;
	u8	not;
};

/* The next such entry that ends above *@from, which goes to its end. */
static bool dmr_list_next(struct dmr_core *core, const struct dmr_listing *what,
			  u64 *from, u64 row[3], u8 *flags)
{
	struct dmr_remap *remap;
	bool listed = false;

	while (!listed) {
		rcu_read_lock();
		remap = dmr_table_next(&dmr_map_of(core)->table, *from);
		if (remap) {
			row[0] = remap->start;
			row[1] = READ_ONCE(remap->ext.start);
			row[2] = remap->ext.len;
			*flags = READ_ONCE(remap->ext.flags);
			listed = !(*flags & what->not) && (!what->of || *flags & what->of);
		}
		rcu_read_unlock();
		if (!remap)
			return false;
		*from = row[0] + row[2];
		cond_resched();
	}
	return true;
}

/* Remaps in a row <main> <spare> <length>; pending sectors as <main> <length> <where>. */
static int dmr_list_table(struct dmr_core *core, struct dmr_call *call,
			  const struct dmr_listing *what, u64 from, u64 rows)
{
	unsigned int maxlen = call->maxlen;
	char *result = call->result;
	size_t sz = 0;
	u64 row[3], end = 0;
	u8 flags;

	while (rows-- && dmr_list_next(core, what, &from, row, &flags)) {
		/* One that is just being cut follows its own part: tell the rest. */
		u64 told = row[0] < end ? end - row[0] : 0;

		if (what->of)
			DMEMIT("%llu %llu %s\n", row[0] + told, row[2] - told,
			       flags & DMR_HOLE ? "main" : "spare");
		else
			DMEMIT("%llu %llu %llu%s\n", row[0] + told, row[1] + told,
			       row[2] - told, flags & DMR_LOST ? " lost" : "");
		end = from;
	}
	return 1;
}

/* Spare sectors that were put aside: <spare> <length>. */
static int dmr_list_aside(struct dmr_core *core, struct dmr_call *call, u64 from, u64 rows)
{
	unsigned int maxlen = call->maxlen;
	const struct dmr_spare *sp;
	char *result = call->result;
	struct dmr_extent *ext;
	size_t sz = 0;

	/* They are in no table that could be read without the lock. */
	if (mutex_lock_killable(&core->change))
		return dmr_refuse(core, -EINTR, "list was killed while it waited its turn");
	sp = &dmr_map_of(core)->spare;
	for (; rows && (ext = dmr_spare_next(sp, from)); from = ext->start + 1) {
		if (!(ext->flags & DMR_ASIDE))
			continue;
		DMEMIT("%llu %llu\n", ext->start, ext->len);
		rows--;
	}
	mutex_unlock(&core->change);
	return 1;
}

static int dmr_list(struct dmr_core *core, struct dmr_call *call)
{
	struct dmr_listing what = { .not = DMR_ADDING | DMR_HOLE };
	u64 from = 0, rows = DMR_MAX_ROWS, len = READ_ONCE(core->len);
	bool aside = call->argc && !strcmp(call->argv[0], "aside");
	bool pending = call->argc && !strcmp(call->argv[0], "pending");
	const char *of = aside ? "spare" : "main";
	int r = 0;

	call->argc -= aside || pending;
	call->argv += aside || pending;
	if (call->argc > 2)
		return dmr_refuse(core, -EINVAL, "list does not know the word '" DMR_WORD "'",
				  call->argv[2]);
	if (call->argc > 0)
		r = dmr_parse(core, "sector", call->argv[0], &from);
	if (!r && call->argc > 1)
		r = dmr_parse(core, "number of rows", call->argv[1], &rows);
	if (r)
		return r;
	if (aside)
		len = dmr_core_spare_size(core);
	/* The end itself is where the last page leaves off. */
	if (from > len)
		return dmr_refuse(core, -ERANGE,
				  "%s sector %llu is beyond the device's %llu sectors",
				  of, from, len);
	if (!rows || rows > DMR_MAX_ROWS)
		return dmr_refuse(core, -ERANGE, "number of rows %llu is not from 1 to %u",
				  rows, DMR_MAX_ROWS);

	*call->result = '\0';
	if (aside)
		return dmr_list_aside(core, call, from, rows);
	if (pending)
		what = (struct dmr_listing) { .of = DMR_PENDING, .not = DMR_ADDING };
	return dmr_list_table(core, call, &what, from, rows);
}

static int dmr_stats(struct dmr_core *core, struct dmr_call *call)
{
	unsigned int maxlen = call->maxlen;
	char *result = call->result;
	size_t sz = 0;

	for (int i = 0; i < DMR_NR_STATS; i++)
		DMEMIT("%s=%lld\n", dmr_stat_name(i),
		       (s64)atomic64_read(&core->stats[i]));
	DMEMIT("scrub_at=%llu\nscrub_to=%llu\nscrub_rate=%u\n",
	       READ_ONCE(core->scrub.at), READ_ONCE(core->scrub.to),
	       READ_ONCE(core->scrub.rate));
	return 1;
}

static int dmr_clear_stats(struct dmr_core *core, struct dmr_call *call)
{
	dmr_clear_counts(core);
	return dmr_reply(call, "%s", "");
}

static int dmr_status(struct dmr_core *core, struct dmr_call *call)
{
	dmr_core_status(core, call->result, call->maxlen);
	return 1;
}

/* A counter, for a reply. */
static s64 dmr_stat(struct dmr_core *core, enum dmr_stat stat)
{
	return atomic64_read(&core->stats[stat]);
}

/* How long the spare lasts if sectors go on failing as they have since then. */
static void dmr_spare_lasts(const struct dmr_core *core, u64 spent, u64 free, char *text,
			    size_t size)
{
	u64 secs = ktime_get_boottime_seconds() - READ_ONCE(core->since) + 1;
	u64 a_day = max(div64_u64(spent * 86400, secs), 1ULL);

	if (!spent)
		strscpy(text, "-", size);
	else if (div64_u64(free, a_day) < 2)
		scnprintf(text, size, "%lluh", div64_u64(free * 24, a_day));
	else
		scnprintf(text, size, "%llud", div64_u64(free, a_day));
}

/* What became of sectors, and of the spare. */
static size_t dmr_health_spare(struct dmr_core *core, char *result, unsigned int maxlen)
{
	u64 spent = dmr_stat(core, DMR_STAT_SPENT);
	const struct dmr_map *map;
	char lasts[24];
	size_t sz = 0;

	rcu_read_lock();
	map = dmr_map_of(core);
	dmr_spare_lasts(core, spent, READ_ONCE(map->spare.free), lasts, sizeof(lasts));
	DMEMIT("remapped: by_hand=%lld write_errors=%lld weak=%lld lost=%llu pending=%llu\n",
	       dmr_stat(core, DMR_STAT_BY_HAND), dmr_stat(core, DMR_STAT_AUTO_WRITES),
	       dmr_stat(core, DMR_STAT_AUTO_WEAK), READ_ONCE(map->lost),
	       READ_ONCE(map->pending));
	DMEMIT("spare: free=%llu/%llu aside=%llu spent=%llu lasts=%s\n",
	       READ_ONCE(map->spare.free), dmr_core_room(core), READ_ONCE(map->aside),
	       spent, lasts);
	rcu_read_unlock();
	return sz;
}

static_assert(DMR_ERROR_LEN <= DMR_REFUSAL_LEN);

/* What a person wants to know first; the last errors and refusals, the newest last. */
static int dmr_health(struct dmr_core *core, struct dmr_call *call)
{
	unsigned int maxlen = call->maxlen;
	char *result = call->result;
	char text[DMR_REFUSAL_LEN];
	size_t sz = 0;

	rcu_read_lock();
	DMEMIT("state=%s read_errors=%lld write_errors=%lld flush_errors=%lld\n",
	       dmr_core_state(core), dmr_stat(core, DMR_STAT_READ_ERRORS),
	       dmr_stat(core, DMR_STAT_WRITE_ERRORS), dmr_stat(core, DMR_STAT_FLUSH_ERRORS));
	rcu_read_unlock();
	DMEMIT("below: medium=%lld io=%lld protection=%lld timeout=%lld path=%lld other=%lld\n",
	       dmr_stat(core, DMR_STAT_ERRORS_MEDIUM), dmr_stat(core, DMR_STAT_ERRORS_IO),
	       dmr_stat(core, DMR_STAT_ERRORS_PROTECTION),
	       dmr_stat(core, DMR_STAT_ERRORS_TIMEOUT), dmr_stat(core, DMR_STAT_ERRORS_PATH),
	       dmr_stat(core, DMR_STAT_ERRORS_OTHER));
	sz += dmr_health_spare(core, result + sz, maxlen - sz);
	for (int i = 0; i < DMR_NR_ERRORS; i++)
		if (dmr_error_print(core, i, text))
			DMEMIT("error: %s\n", text);
	for (int i = 0; i < DMR_NR_REFUSALS; i++)
		if (dmr_refusal(core, i, text))
			DMEMIT("refused: %s\n", text);
	return 1;
}

/*
 *----------------------------------------------------------------
 * Settings
 *----------------------------------------------------------------
 */

/* As the most: the sectors of the spare. */
#define DMR_ROOM U64_MAX

/**
 * struct dmr_setting - a number that `set` can change
 * @name:	its name
 * @what:	what it is, for help
 * @min:	the least
 * @max:	the most
 * @at:		where it is in the core: a u64
 */
struct dmr_setting {
	const char	*name;
	const char	*what;
	u64		min;
	u64		max;
	size_t		at;
};

#define DMR_AT(field) offsetof(struct dmr_core, field)

static const struct dmr_setting dmr_settings[] = {
	{ "spare_low", "<sectors>: an event when fewer are free", 0, DMR_ROOM,
	  DMR_AT(spare_low) },
	{ "breaker", "<blocks>: see whether main is alive when so many were spent on it",
	  1, 1000000, DMR_AT(breaker) },
	{ "rest", "<seconds>: before a pending sector is read again", 0, 86400,
	  DMR_AT(rest) },
	{ "budget", "<seconds>: for an I/O that fails", 1, 3600, DMR_AT(budget) },
};

static u64 *dmr_setting_of(struct dmr_core *core, const struct dmr_setting *s)
{
	return (void *)core + s->at;
}

static u64 dmr_setting_max(const struct dmr_core *core, const struct dmr_setting *s)
{
	return s->max == DMR_ROOM ? dmr_core_room(core) : s->max;
}

static int dmr_set_number(struct dmr_core *core, struct dmr_call *call,
			  const struct dmr_setting *s)
{
	u64 max = dmr_setting_max(core, s);
	u64 value;
	int r;

	r = dmr_parse(core, s->name, call->argv[1], &value);
	if (r)
		return r;
	if (value < s->min || value > max)
		return dmr_refuse(core, -ERANGE, "%s %llu is not from %llu to %llu", s->name,
				  value, s->min, max);
	WRITE_ONCE(*dmr_setting_of(core, s), value);
	return dmr_reply(call, "%s %llu", s->name, value);
}

static int dmr_set_auto(struct dmr_core *core, struct dmr_call *call)
{
	bool on = !strcmp(call->argv[1], "on");

	if (!on && strcmp(call->argv[1], "off"))
		return dmr_refuse(core, -EINVAL, "auto '" DMR_WORD "' is neither on nor off",
				  call->argv[1]);
	core->spent = 0;
	WRITE_ONCE(core->auto_, on ? DMR_AUTO_ON : DMR_AUTO_OFF);
	return dmr_reply(call, "auto %s", on ? "on" : "off");
}

static const char *const dmr_verify_names[] = {
	[DMR_VERIFY_OFF] = "off",
	[DMR_VERIFY_PENDING] = "pending",
	[DMR_VERIFY_ALL] = "all",
};

static int dmr_set_verify(struct dmr_core *core, struct dmr_call *call)
{
	int verify = match_string(dmr_verify_names, ARRAY_SIZE(dmr_verify_names),
				  call->argv[1]);

	if (verify < 0)
		return dmr_refuse(core, -EINVAL,
				  "verify '" DMR_WORD "' is none of pending, all, off",
				  call->argv[1]);
	dmr_verify_set(core, verify);
	return dmr_reply(call, "verify %s", dmr_verify_names[verify]);
}

static int dmr_set(struct dmr_core *core, struct dmr_call *call)
{
	if (!strcmp(call->argv[0], "auto"))
		return dmr_set_auto(core, call);
	if (!strcmp(call->argv[0], "verify"))
		return dmr_set_verify(core, call);
	for (size_t i = 0; i < ARRAY_SIZE(dmr_settings); i++)
		if (!strcmp(call->argv[0], dmr_settings[i].name))
			return dmr_set_number(core, call, &dmr_settings[i]);
	return dmr_refuse(core, -EINVAL, "no setting '" DMR_WORD "': see help set",
			  call->argv[0]);
}

static int dmr_help_set(struct dmr_core *core, struct dmr_call *call)
{
	unsigned int maxlen = call->maxlen;
	char *result = call->result;
	size_t sz = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dmr_settings); i++)
		DMEMIT("%s %s; %llu to %llu, now %llu\n", dmr_settings[i].name,
		       dmr_settings[i].what, dmr_settings[i].min,
		       dmr_setting_max(core, &dmr_settings[i]),
		       READ_ONCE(*dmr_setting_of(core, &dmr_settings[i])));
	DMEMIT("auto on|off: remap when the medium fails; now %s\n",
	       READ_ONCE(core->auto_) == DMR_AUTO_ON ? "on" : "off");
	DMEMIT("verify pending|all|off: read writes back, to pending sectors or all; now %s\n",
	       dmr_verify_names[READ_ONCE(core->verify)]);
	return 1;
}

/*
 *----------------------------------------------------------------
 * Scrubbing
 *----------------------------------------------------------------
 */

/* start [<from> <to>] [<MiB/s>] */
static int dmr_scrub_begin(struct dmr_core *core, struct dmr_call *call)
{
	u64 from = 0, to = core->len, rate = DMR_SCRUB_RATE;
	char **argv = call->argv + 1;
	unsigned int argc = call->argc - 1;
	int r = 0;

	if (argc >= 2) {
		r = dmr_parse(core, "main sector", argv[0], &from);
		if (!r)
			r = dmr_parse(core, "main sector", argv[1], &to);
		if (!r && to <= from)
			r = dmr_refuse(core, -EINVAL, "a scrub from main sector %llu to %llu",
				       from, to);
		if (!r)
			r = dmr_check_main(core, from, to - from);
	}
	if (!r && argc % 2)
		r = dmr_parse(core, "rate", argv[argc - 1], &rate);
	if (!r && (!rate || rate > DMR_SCRUB_RATE_MAX))
		r = dmr_refuse(core, -ERANGE, "rate %llu is not from 1 to %u MiB/s", rate,
			       DMR_SCRUB_RATE_MAX);
	if (!r)
		r = dmr_scrub_start(core, from, to, rate);
	return r ? r : dmr_reply(call, "scrub %llu %llu %llu", from, to, rate);
}

static int dmr_scrub(struct dmr_core *core, struct dmr_call *call)
{
	int r;

	if (!strcmp(call->argv[0], "start"))
		return dmr_scrub_begin(core, call);
	if (strcmp(call->argv[0], "stop") || call->argc > 1)
		return dmr_refuse(core, -EINVAL, "scrub does not know the word '" DMR_WORD "'",
				  call->argv[call->argc > 1]);
	r = dmr_scrub_stop(core);
	return r ? r : dmr_reply(call, "scrub stopped at %llu",
				 READ_ONCE(core->scrub.at));
}

/* The glue has opened the device that the argument names. */
static int dmr_migration(struct dmr_core *core, struct dmr_call *call)
{
	bool retired;
	u64 remaps;
	int r = dmr_migrate(core, call->to, &remaps, &retired);

	if (r)
		return r;
	dmr_core_event(core);
	return dmr_reply(call, "remaps=%llu spare_free=%llu retired=%s", remaps,
			 dmr_map_of(core)->spare.free, retired ? "yes" : "no");
}

static int dmr_help(struct dmr_core *core, struct dmr_call *call);

/*
 *----------------------------------------------------------------
 * Verbs
 *----------------------------------------------------------------
 */

static const struct dmr_verb dmr_verbs[] = {
	{ "add_remap", 3, 4, DMR_CHANGES | DMR_REMAPS, dmr_add_remap,
	  "<main_sector> <spare_sector|auto> <length> [nocopy|lost]" },
	{ "add_remaps", 3, UINT_MAX, DMR_CHANGES | DMR_REMAPS, dmr_add_remaps,
	  "[nocopy] <main_sector> <spare_sector|auto> <length> ..." },
	{ "remove_remap", 1, 3, DMR_CHANGES | DMR_REMAPS, dmr_remove_remap,
	  "<main_sector> [<length>] [nocopy]" },
	{ "clear_all", 0, 1, DMR_CHANGES | DMR_REMAPS, dmr_clear_all, "[nocopy]" },
	{ "query", 1, 2, 0, dmr_query, "<main_sector> [<length>]" },
	{ "list", 0, 3, 0, dmr_list, "[pending|aside] [<from_sector> [<max_rows>]]" },
	{ "set", 2, 2, DMR_CHANGES, dmr_set, "<name> <value>" },
	{ "scrub", 1, 4, DMR_CHANGES | DMR_SETTLES, dmr_scrub,
	  "start [<from> <to>] [<MiB/s>] | stop" },
	{ "migrate", 1, 1, DMR_CHANGES | DMR_REMAPS, dmr_migration, "<new_spare>" },
	{ "stats", 0, 0, 0, dmr_stats, "" },
	{ "clear_stats", 0, 0, DMR_CHANGES, dmr_clear_stats, "" },
	{ "status", 0, 0, 0, dmr_status, "" },
	{ "health", 0, 0, 0, dmr_health, "" },
	{ "help", 0, 1, 0, dmr_help, "[set]" },
};

static int dmr_help(struct dmr_core *core, struct dmr_call *call)
{
	unsigned int maxlen = call->maxlen;
	char *result = call->result;
	size_t sz = 0;

	if (call->argc && strcmp(call->argv[0], "set"))
		return dmr_refuse(core, -EINVAL, "no help on '" DMR_WORD "'",
				  call->argv[0]);
	if (call->argc)
		return dmr_help_set(core, call);
	for (size_t i = 0; i < ARRAY_SIZE(dmr_verbs); i++)
		DMEMIT("%s%s%s\n", dmr_verbs[i].name,
		       *dmr_verbs[i].args ? " " : "", dmr_verbs[i].args);
	return 1;
}

static bool dmr_turn(struct dmr_core *core)
{
	if (mutex_lock_killable(&core->verb))
		return false;
	if (!mutex_lock_killable(&core->change))
		return true;
	mutex_unlock(&core->verb);
	return false;
}

/* One at a time, and not while the device is suspended or about to be. */
static int dmr_run_change(struct dmr_core *core, const struct dmr_verb *verb,
			  struct dmr_call *call)
{
	unsigned int noio;
	int r;

	if (call->maxlen < DMR_REPLY_ROOM) {
		/* Full to the brim: device-mapper comes again with more room. */
		memset(call->result, ' ', call->maxlen);
		if (call->maxlen)
			call->result[call->maxlen - 1] = '\0';
		return 1;
	}
	if (!dmr_turn(core))
		return dmr_refuse(core, -EINTR, "%s was killed while it waited its turn",
				  verb->name);
	/*
	 * A suspend waits for the message, and holds back new I/O meanwhile; so does a
	 * window. Reclaim must wait for neither.
	 */
	noio = memalloc_noio_save();
	if (READ_ONCE(core->stop))
		r = dmr_refuse(core, -EBUSY, "%s: the device is suspended", verb->name);
	else if (verb->flags & DMR_REMAPS && core->readonly)
		r = dmr_refuse(core, -EROFS, "%s: the table is read-only", verb->name);
	else if (verb->flags & DMR_REMAPS || (verb->flags & DMR_SETTLES && !core->readonly))
		r = dmr_persist_settle(core);
	else
		r = 0;
	if (!r)
		r = verb->run(core, call);
	dmr_core_notice(core);
	memalloc_noio_restore(noio);
	dmr_verb_unlock(core);
	return r;
}

int dmr_message(struct dmr_core *core, const struct dmr_user *to, unsigned int argc,
		char **argv, char *result, unsigned int maxlen)
{
	struct dmr_call call = {
		.argc = argc - 1,
		.argv = argv + 1,
		.to = to,
		.result = result,
		.maxlen = maxlen,
	};
	const struct dmr_verb *verb;

	for (verb = dmr_verbs; verb < dmr_verbs + ARRAY_SIZE(dmr_verbs); verb++) {
		if (strcasecmp(argv[0], verb->name))
			continue;
		if (call.argc < verb->min || call.argc > verb->max)
			return dmr_refuse(core, -EINVAL, "%s with %u arguments; it is: %s %s",
					  verb->name, call.argc, verb->name,
					  verb->args);
		if (verb->flags & DMR_CHANGES)
			return dmr_run_change(core, verb, &call);
		return verb->run(core, &call);
	}
	return dmr_refuse(core, -EINVAL, "no verb '" DMR_WORD "': see help", argv[0]);
}

// SPDX-License-Identifier: GPL-2.0-only
#include "table.h"

#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

/* The host's tests count what a lookup costs. */
#ifndef DMR_TABLE_PROBE
#define DMR_TABLE_PROBE()
#define DMR_TABLE_STEP()
#endif

/**
 * struct dmr_buckets - a bucket array
 * @mask:	number of buckets less one
 * @chain:	which of the two chains of an entry belongs to it
 * @heads:	the first entry of each bucket
 */
struct dmr_buckets {
	unsigned long		mask;
	unsigned int		chain;
	struct dmr_remap __rcu	*heads[] ____cacheline_aligned;
};

/* A walk goes through so many buckets before it lets others run. */
#define DMR_RESCHED_EVERY 256

/* Bucket arrays above so many bytes are made of single pages. */
#define DMR_ONE_PIECE 16384

/* To do without is no harm: nobody is killed for it, and no alarm raised. */
#define DMR_GFP_BUCKETS \
	(GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

static struct dmr_buckets *dmr_buckets_of(const struct dmr_table *t)
{
	/* The writers' lock is the caller's, and unknown here. */
	return rcu_dereference_protected(t->buckets, true);
}

static struct dmr_slices *dmr_slices_of(const struct dmr_table *t)
{
	return rcu_dereference_protected(t->slices, true);
}

/*
 *----------------------------------------------------------------
 * Cells
 *----------------------------------------------------------------
 */

static unsigned int dmr_level(const struct dmr_remap *remap)
{
	return order_base_2(remap->ext.len);
}

/*
 * Eight cells in a row share a hash, and lie in eight buckets in a row, a cache
 * line. Two rounds of multiplication and folding, as the finalizers of MurmurHash3
 * have them: strides of any power of two fill the buckets evenly.
 */
static unsigned long dmr_hash(const struct dmr_table *t, u64 cell, unsigned int level)
{
	u64 h = ((cell >> 3) + ((u64)level << DMR_SECTOR_BITS)) ^ t->seed;

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h ^ (cell & 7);
}

static struct dmr_remap __rcu **dmr_head(const struct dmr_table *t,
					 struct dmr_buckets *b,
					 const struct dmr_remap *remap)
{
	unsigned int level = dmr_level(remap);

	return &b->heads[dmr_hash(t, remap->start >> level, level) & b->mask];
}

/*
 *----------------------------------------------------------------
 * Slices
 *----------------------------------------------------------------
 */

static struct dmr_slices *dmr_slices_alloc(u64 len)
{
	unsigned int shift = DMR_SLICE_SHIFT_MIN;
	struct dmr_slices *slices;
	unsigned long nr;

	while (((len - 1) >> shift) + 1 > DMR_SLICES_MAX)
		shift++;
	nr = ((len - 1) >> shift) + 1;

	slices = kvzalloc(struct_size(slices, dirty, BITS_TO_LONGS(nr)), GFP_KERNEL);
	if (!slices)
		return NULL;
	slices->entries = kvcalloc(nr, sizeof(*slices->entries), GFP_KERNEL);
	if (!slices->entries) {
		kvfree(slices);
		return NULL;
	}
	slices->shift = shift;
	slices->nr = nr;
	return slices;
}

static void dmr_slices_free(struct dmr_slices *slices)
{
	if (slices)
		kvfree(slices->entries);
	kvfree(slices);
}

static void dmr_slices_add(struct dmr_slices *slices, const struct dmr_remap *remap)
{
	u64 last = (dmr_remap_end(remap) - 1) >> slices->shift;

	for (u64 i = remap->start >> slices->shift; i <= last; i++)
		if (!slices->entries[i]++)
			set_bit(i, slices->dirty);
}

static void dmr_slices_del(struct dmr_slices *slices, const struct dmr_remap *remap)
{
	u64 last = (dmr_remap_end(remap) - 1) >> slices->shift;

	for (u64 i = remap->start >> slices->shift; i <= last; i++)
		if (!--slices->entries[i])
			clear_bit(i, slices->dirty);
}

/*
 *----------------------------------------------------------------
 * Lookup
 *----------------------------------------------------------------
 */

/**
 * struct dmr_search - a lookup on its way
 * @t:		the table
 * @b:		its buckets, the same throughout
 * @start:	the sector that is asked for
 * @edge:	the lowest start of an entry above @start that was met
 * @cover:	the entry that covers @start
 */
struct dmr_search {
	const struct dmr_table	*t;
	struct dmr_buckets	*b;
	u64			start;
	u64			edge;
	struct dmr_remap	*cover;
};

/*
 * What a chain tells is true whichever cell its entries belong to. Once @cover was
 * looked for in vain, an entry that covers @start came meanwhile: it is passed by,
 * for what lies behind it in the chain may have been there all along.
 */
static __always_inline void dmr_search_chain(struct dmr_search *s, unsigned long hash,
					     const bool cover)
{
	struct dmr_remap *remap;

	DMR_TABLE_PROBE();
	for (remap = rcu_dereference(s->b->heads[hash & s->b->mask]); remap;
	     remap = rcu_dereference(remap->next[s->b->chain])) {
		DMR_TABLE_STEP();
		if (remap->start > s->start) {
			s->edge = min_t(u64, s->edge, remap->start);
		} else if (cover && s->start < dmr_remap_end(remap)) {
			s->cover = remap;
			return;
		}
	}
}

/* Within eight cells only the low bits of the hash differ. */
static inline unsigned long dmr_hash_before(const struct dmr_table *t, u64 cell,
					    unsigned int level, unsigned long hash)
{
	if (likely(cell & 7))
		return hash ^ cell ^ (cell - 1);
	return dmr_hash(t, cell - 1, level);
}

/* Which entry covers the first sector? Its own cell of each level, and the one before. */
static bool dmr_search_cover(struct dmr_search *s, u64 levels)
{
	for (; levels; levels &= levels - 1) {
		unsigned int level = __ffs64(levels);
		u64 cell = s->start >> level;
		unsigned long hash = dmr_hash(s->t, cell, level);

		dmr_search_chain(s, hash, true);
		if (!s->cover && cell)
			dmr_search_chain(s, dmr_hash_before(s->t, cell, level, hash),
					 true);
		if (s->cover)
			return true;
	}
	return false;
}

/*
 * Which entries start in [@from, @to)? The cells of the first sector were looked
 * at if it is the one that is asked for.
 */
static void dmr_search_window(struct dmr_search *s, u64 levels, u64 from, u64 to)
{
	for (; levels; levels &= levels - 1) {
		unsigned int level = __ffs64(levels);
		u64 last = (to - 1) >> level;
		u64 cell = (from >> level) + (from == s->start);
		unsigned long hash;

		if (cell > last)
			continue;
		hash = dmr_hash(s->t, cell, level);
		for (;;) {
			dmr_search_chain(s, hash, false);
			if (cell == last)
				break;
			if (++cell & 7)
				hash ^= cell ^ (cell - 1);
			else
				hash = dmr_hash(s->t, cell, level);
		}
	}
}

/*
 * The first sector of [@start, @edge) that an entry starts at, or @edge; what covers
 * @start was looked for, if its slice was dirty; what turns it dirty now comes later
 * than the lookup. Apart, to keep the lookup of a short bio short.
 */
static noinline u64 dmr_search_edge(const struct dmr_table *t, struct dmr_buckets *b,
				    const struct dmr_slices *slices, u64 levels,
				    u64 start, u64 edge)
{
	struct dmr_search s = { .t = t, .b = b, .start = start, .edge = edge };
	u64 from = start;

	while (from < s.edge) {
		u64 slice = from >> slices->shift;
		u64 to;

		if (!test_bit(slice, slices->dirty)) {
			/*
			 * No further than asked, or its cost were the device's. Bits
			 * may change under it: either value is true (see above).
			 */
			slice = data_race(find_next_bit(slices->dirty,
							((s.edge - 1) >> slices->shift) + 1,
							slice));
			from = slice << slices->shift;
			continue;
		}
		to = min(s.edge, ((from >> DMR_WINDOW_SHIFT) + 1) << DMR_WINDOW_SHIFT);
		dmr_search_window(&s, levels, from, to);
		from = to;
	}
	return s.edge;
}

void dmr_table_lookup(const struct dmr_table *t, u64 start, u64 end,
		      struct dmr_run *run)
{
	const struct dmr_slices *slices = rcu_dereference(t->slices);
	u64 levels = READ_ONCE(t->levels);
	struct dmr_search s = {
		.t = t,
		.b = rcu_dereference(t->buckets),
		.start = start,
		.edge = end,
	};
	bool dirty = test_bit(start >> slices->shift, slices->dirty);

	if (dirty && dmr_search_cover(&s, levels)) {
		run->remap = s.cover;
		run->end = min(end, dmr_remap_end(s.cover));
		return;
	}

	/* All in one cell of each level, and that was looked at: nothing is left. */
	if (!dirty || (levels && (start ^ (s.edge - 1)) >> __ffs64(levels)))
		s.edge = dmr_search_edge(t, s.b, slices, levels, start, s.edge);
	run->remap = NULL;
	run->end = s.edge;
}

struct dmr_remap *dmr_table_next(const struct dmr_table *t, u64 from)
{
	const struct dmr_slices *slices = rcu_dereference(t->slices);
	u64 end = (u64)slices->nr << slices->shift;
	struct dmr_run run;

	/* A remap whose start was seen may be gone when it is looked up. */
	for (; from < end; from = run.end) {
		dmr_table_lookup(t, from, end, &run);
		if (run.remap)
			return run.remap;
	}
	return NULL;
}

/*
 *----------------------------------------------------------------
 * Writers
 *----------------------------------------------------------------
 */

void dmr_table_insert(struct dmr_table *t, struct dmr_remap *remap)
{
	struct dmr_buckets *b = dmr_buckets_of(t);
	struct dmr_remap __rcu **head = dmr_head(t, b, remap);
	unsigned int level = dmr_level(remap);

	/* Before it is published, or a reader would pass it by. */
	dmr_slices_add(dmr_slices_of(t), remap);
	if (!t->per_level[level]++)
		WRITE_ONCE(t->levels, t->levels | BIT_ULL(level));
	WRITE_ONCE(t->count, t->count + 1);
	WRITE_ONCE(t->sectors, t->sectors + remap->ext.len);

	RCU_INIT_POINTER(remap->next[b->chain],
			 rcu_dereference_protected(*head, true));
	rcu_assign_pointer(*head, remap);
}

void dmr_table_remove(struct dmr_table *t, struct dmr_remap *remap)
{
	struct dmr_buckets *b = dmr_buckets_of(t);
	struct dmr_remap __rcu **link = dmr_head(t, b, remap);
	unsigned int level = dmr_level(remap);
	struct dmr_remap *at;

	while ((at = rcu_dereference_protected(*link, true)) != remap)
		link = &at->next[b->chain];
	/* What follows was published long ago. */
	rcu_assign_pointer(*link,
			   rcu_dereference_protected(remap->next[b->chain], true));

	WRITE_ONCE(t->sectors, t->sectors - remap->ext.len);
	WRITE_ONCE(t->count, t->count - 1);
	if (!--t->per_level[level])
		WRITE_ONCE(t->levels, t->levels & ~BIT_ULL(level));
	dmr_slices_del(dmr_slices_of(t), remap);
}

/*
 *----------------------------------------------------------------
 * Resizing
 *----------------------------------------------------------------
 */

static struct dmr_buckets *dmr_buckets_alloc(unsigned long nr, unsigned int chain)
{
	struct dmr_buckets *b;
	size_t size = struct_size(b, heads, nr);

	/*
	 * A large array page by page: kvmalloc() would first look for one piece, of up
	 * to twice the size, and clear megabytes at a stretch.
	 */
	if (size > DMR_ONE_PIECE)
		b = __vmalloc(size, DMR_GFP_BUCKETS);
	else
		b = kmalloc(size, DMR_GFP_BUCKETS);
	if (b) {
		b->mask = nr - 1;
		b->chain = chain;
	}
	return b;
}

void dmr_table_each(const struct dmr_table *t,
		    void (*fn)(const struct dmr_table *t, struct dmr_remap *remap,
			       void *context), void *context)
{
	for (unsigned long i = 0;; i++) {
		struct dmr_remap *remap, *next;
		struct dmr_buckets *b;

		rcu_read_lock();
		b = rcu_dereference(t->buckets);
		if (i > b->mask)
			break;
		for (remap = rcu_dereference(b->heads[i]); remap; remap = next) {
			next = rcu_dereference(remap->next[b->chain]);
			fn(t, remap, context);
		}
		rcu_read_unlock();
		if (!(i % DMR_RESCHED_EVERY))
			cond_resched();
	}
	rcu_read_unlock();
}

static void dmr_file(const struct dmr_table *t, struct dmr_remap *remap, void *context)
{
	struct dmr_buckets *b = context;
	struct dmr_remap __rcu **head = dmr_head(t, b, remap);

	RCU_INIT_POINTER(remap->next[b->chain],
			 rcu_dereference_protected(*head, true));
	RCU_INIT_POINTER(*head, remap);
}

static void dmr_mark(const struct dmr_table *t, struct dmr_remap *remap, void *context)
{
	dmr_slices_add(context, remap);
}

unsigned long dmr_table_wants(const struct dmr_table *t)
{
	unsigned long nr = dmr_buckets_of(t)->mask + 1;

	if (2 * t->count > 3 * (u64)nr)
		return 4 * nr;
	while (nr > DMR_MIN_BUCKETS && 32 * t->count < 3 * (u64)nr)
		nr /= 4;
	return nr;
}

unsigned long dmr_table_buckets_for(u64 count)
{
	unsigned long nr = DMR_MIN_BUCKETS;

	while (2 * count > 3 * (u64)nr)
		nr *= 4;
	return nr;
}

unsigned long dmr_table_buckets(const struct dmr_table *t)
{
	return rcu_dereference(t->buckets)->mask + 1;
}

int dmr_table_resize(struct dmr_table *t, unsigned long buckets)
{
	struct dmr_buckets *old = dmr_buckets_of(t);
	struct dmr_buckets *new = dmr_buckets_alloc(buckets, !old->chain);

	if (!new)
		return -ENOMEM;
	dmr_table_each(t, dmr_file, new);
	rcu_assign_pointer(t->buckets, new);
	WRITE_ONCE(t->resizes, t->resizes + 1);
	/* Then the old chains are nobody's, and the next resize may use them. */
	synchronize_rcu();
	kvfree(old);
	return 0;
}

int dmr_table_extend(struct dmr_table *t, u64 len)
{
	struct dmr_slices *old = dmr_slices_of(t);
	struct dmr_slices *new;

	if (len <= (u64)old->nr << old->shift)
		return 0;
	new = dmr_slices_alloc(len);
	if (!new)
		return -ENOMEM;
	dmr_table_each(t, dmr_mark, new);
	rcu_assign_pointer(t->slices, new);
	synchronize_rcu();
	dmr_slices_free(old);
	return 0;
}

int dmr_table_init(struct dmr_table *t, u64 len, u64 seed)
{
	struct dmr_buckets *buckets = dmr_buckets_alloc(DMR_MIN_BUCKETS, 0);
	struct dmr_slices *slices = dmr_slices_alloc(len);

	if (!buckets || !slices) {
		kvfree(buckets);
		dmr_slices_free(slices);
		return -ENOMEM;
	}
	*t = (struct dmr_table) { .seed = seed };
	RCU_INIT_POINTER(t->buckets, buckets);
	RCU_INIT_POINTER(t->slices, slices);
	return 0;
}

void dmr_table_exit(struct dmr_table *t)
{
	kvfree(dmr_buckets_of(t));
	dmr_slices_free(dmr_slices_of(t));
}

// SPDX-License-Identifier: GPL-2.0-only
#include "lfht.h"

#include <stdlib.h>
#include <urcu/urcu-qsbr.h>
#include <urcu/rculfhash.h>

/**
 * struct entry - what a table that maps sectors needs at least
 */
struct entry {
	struct cds_lfht_node	node;
	unsigned long		start;
	unsigned long		len;
	unsigned long		spare;
};

struct lfht {
	struct cds_lfht	*ht;
	struct entry	*entries;
	size_t		n;
};

/* As in table.c. */
static unsigned long hash(unsigned long h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

static int match(struct cds_lfht_node *node, const void *key)
{
	return caa_container_of(node, struct entry, node)->start == *(const unsigned long *)key;
}

struct lfht *lfht_new(size_t n, unsigned long (*at)(size_t i), size_t buckets)
{
	struct lfht *t = malloc(sizeof(*t));

	urcu_qsbr_register_thread();
	t->n = n;
	t->entries = aligned_alloc(64, n * sizeof(*t->entries));
	t->ht = cds_lfht_new_flavor(buckets, buckets, buckets, 0, &urcu_qsbr_flavor, NULL);
	for (size_t i = 0; i < n; i++) {
		t->entries[i].start = at(i);
		cds_lfht_node_init(&t->entries[i].node);
		cds_lfht_add(t->ht, hash(t->entries[i].start), &t->entries[i].node);
	}
	return t;
}

void lfht_free(struct lfht *t)
{
	for (size_t i = 0; i < t->n; i++)
		cds_lfht_del(t->ht, &t->entries[i].node);
	cds_lfht_destroy(t->ht, NULL);
	urcu_qsbr_unregister_thread();
	free(t->entries);
	free(t);
}

size_t lfht_lookup(struct lfht *t, const unsigned long *keys, size_t n)
{
	struct cds_lfht_iter iter;
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		cds_lfht_lookup(t->ht, hash(keys[i]), match, &keys[i], &iter);
		found += !!cds_lfht_iter_get_node(&iter);
	}
	return found;
}

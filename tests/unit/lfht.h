/* SPDX-License-Identifier: GPL-2.0-only */
/* liburcu's hash table, apart: its headers and the kernel's name the same things. */
#ifndef LFHT_H
#define LFHT_H

#include <stddef.h>

struct lfht;

/* A table of @n entries for the keys @at(0) to @at(@n - 1), in so many buckets. */
struct lfht *lfht_new(size_t n, unsigned long (*at)(size_t i), size_t buckets);
void lfht_free(struct lfht *t);

/* Look for every key; returns how many are there. */
size_t lfht_lookup(struct lfht *t, const unsigned long *keys, size_t n);

#endif /* LFHT_H */

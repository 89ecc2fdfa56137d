/* SPDX-License-Identifier: GPL-2.0-only */
#include_next <linux/bitops.h>

#ifndef SHIM_LINUX_BITOPS_H
#define SHIM_LINUX_BITOPS_H

#undef test_bit
static inline bool test_bit(long nr, const unsigned long *addr)
{
	return READ_ONCE(addr[BIT_WORD(nr)]) >> (nr % BITS_PER_LONG) & 1;
}

/* As in the kernel one instruction, so that the benchmark measures the same. */
static inline unsigned long __ffs64(u64 word)
{
	return __builtin_ctzll(word);
}

static inline unsigned long find_next_bit(const unsigned long *addr,
					  unsigned long size, unsigned long from)
{
	while (from < size) {
		unsigned long word = READ_ONCE(addr[BIT_WORD(from)]) >>
				     (from % BITS_PER_LONG);

		if (word) {
			from += __builtin_ctzl(word);
			break;
		}
		from = (from / BITS_PER_LONG + 1) * BITS_PER_LONG;
	}
	return from < size ? from : size;
}

#endif /* SHIM_LINUX_BITOPS_H */

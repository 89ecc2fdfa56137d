// SPDX-License-Identifier: GPL-2.0-only
/*
 * CRC-32C for a judge that does nothing else: with the processor's instruction, where
 * it has one; else eight bytes at a time by table (reflected polynomial 0x82f63b78).
 */
#include <linux/crc32c.h>
#include <string.h>

static u32 table[8][256];

static void __attribute__((constructor)) fill(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		table[0][i] = crc;
	}
	for (u32 i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][(u8)table[t - 1][i]];
}

static u32 by_byte(u32 crc, const u8 *p, unsigned int len)
{
	while (len--)
		crc = crc >> 8 ^ table[0][(u8)(crc ^ *p++)];
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static u32 by_instruction(u32 crc, const u8 *p, unsigned int len)
{
	for (; len >= 8; p += 8, len -= 8) {
		u64 v;

		memcpy(&v, p, 8);
		crc = __builtin_ia32_crc32di(crc, v);
	}
	return by_byte(crc, p, len);
}
#endif

u32 crc32c(u32 crc, const void *data, unsigned int len)
{
	const u8 *p = data;

#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return by_instruction(crc, p, len);
#endif
	for (; len >= 8; p += 8, len -= 8) {
		u32 sum = 0;

		for (int i = 0; i < 8; i++)
			sum ^= table[7 - i][(u8)(i < 4 ? crc >> 8 * i : 0) ^ p[i]];
		crc = sum;
	}
	return by_byte(crc, p, len);
}

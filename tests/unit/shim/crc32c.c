// SPDX-License-Identifier: GPL-2.0-only
/* CRC-32C by table, reflected polynomial 0x82f63b78 (RFC 3720, B.4). */
#include <linux/crc32c.h>

static u32 table[256];

static void __attribute__((constructor)) fill(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		table[i] = crc;
	}
}

u32 crc32c(u32 crc, const void *data, unsigned int len)
{
	const u8 *p = data;

	while (len--)
		crc = crc >> 8 ^ table[(u8)(crc ^ *p++)];
	return crc;
}

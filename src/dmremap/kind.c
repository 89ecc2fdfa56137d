// SPDX-License-Identifier: GPL-2.0-only
#include "kind.h"

#include <linux/kernel.h>

const struct kind kinds[] = {
	{ DMR_RECORD_MAP, "map", "linear" },
};

const unsigned int nr_kinds = ARRAY_SIZE(kinds);

const struct kind *kind_of(u8 type)
{
	const struct kind *kind = kinds;

	while (kind->type != type)
		kind++;
	return kind;
}

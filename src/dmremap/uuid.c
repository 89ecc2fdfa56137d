// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <stdio.h>

const char *uuid_text(const u8 *uuid, char text[UUID_TEXT])
{
	char *p = text;

	for (int i = 0; i < DMR_UUID_SIZE; i++)
		p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			     uuid[i]);
	return text;
}

bool uuid_parse(const char *text, u8 *uuid)
{
	for (int i = 0; i < DMR_UUID_SIZE; i++) {
		text += *text == '-';
		if (sscanf(text, "%2hhx", &uuid[i]) != 1)
			return false;
		text += 2;
	}
	return !*text;
}

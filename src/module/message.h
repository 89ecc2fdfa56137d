/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The verbs of dmsetup message.
 */
#ifndef DMR_MESSAGE_H
#define DMR_MESSAGE_H

#include "core.h"

/**
 * dmr_message - do what a message says
 * @core:	the core of the table that the message came to
 * @to:		of a message that names another spare, the table with that spare, or NULL
 * @argc:	number of @argv
 * @argv:	the verb and its arguments; @result may overlay them
 * @result:	room for the reply
 * @maxlen:	bytes there
 *
 * What changes something waits its turn (killable), and gives up when a suspend
 * comes, with nothing changed.
 *
 * Context: a message handler of a target; sleeps.
 * Return: 1 with a reply, as device-mapper wants it; or an error, of which
 * dmr_refuse() has said why.
 */
int dmr_message(struct dmr_core *core, const struct dmr_user *to, unsigned int argc,
		char **argv, char *result, unsigned int maxlen);

#endif /* DMR_MESSAGE_H */

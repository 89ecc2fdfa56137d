// SPDX-License-Identifier: GPL-2.0-only
#include "core.h"

#include <linux/timekeeping.h>

static enum dmr_stat dmr_error_kind(blk_status_t status)
{
	switch (status) {
	case BLK_STS_MEDIUM:
		return DMR_STAT_ERRORS_MEDIUM;
	case BLK_STS_IOERR:
		return DMR_STAT_ERRORS_IO;
	case BLK_STS_PROTECTION:
		return DMR_STAT_ERRORS_PROTECTION;
	case BLK_STS_TIMEOUT:
		return DMR_STAT_ERRORS_TIMEOUT;
	case BLK_STS_TRANSPORT:
	case BLK_STS_OFFLINE:
		return DMR_STAT_ERRORS_PATH;
	default:
		return DMR_STAT_ERRORS_OTHER;
	}
}

void dmr_error_saw(struct dmr_core *core, const struct dmr_error *error)
{
	struct dmr_errors *errors = &core->errors;
	unsigned long flags;
	struct dmr_error *e;

	dmr_count(core, dmr_error_kind(error->status), 1);
	spin_lock_irqsave(&errors->lock, flags);
	e = &errors->last[errors->nr++ % DMR_NR_ERRORS];
	*e = *error;
	e->time = ktime_get_real_seconds();
	spin_unlock_irqrestore(&errors->lock, flags);
}

void dmr_error_ends(struct dmr_core *core, blk_opf_t opf)
{
	if (opf & REQ_PREFLUSH)
		dmr_count(core, DMR_STAT_FLUSH_ERRORS, 1);
	else if (op_is_write(opf))
		dmr_count(core, DMR_STAT_WRITE_ERRORS, 1);
	else
		dmr_count(core, DMR_STAT_READ_ERRORS, 1);
}

bool dmr_error_print(struct dmr_core *core, unsigned int i, char *text)
{
	struct dmr_errors *errors = &core->errors;
	struct dmr_error e;
	unsigned int nr;

	spin_lock_irq(&errors->lock);
	nr = errors->nr + i;
	e = errors->last[nr % DMR_NR_ERRORS];
	spin_unlock_irq(&errors->lock);
	if (nr < DMR_NR_ERRORS)
		return false;

	scnprintf(text, DMR_ERROR_LEN, "%ptT %s %s %llu %llu %s", &e.time,
		  e.opf & REQ_PREFLUSH ? "flush" : op_is_write(e.opf) ? "write" : "read",
		  e.spare ? "spare" : "main", e.sector, e.len,
		  dmr_stat_name(dmr_error_kind(e.status)) + strlen("errors_"));
	return true;
}

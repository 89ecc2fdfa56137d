// SPDX-License-Identifier: GPL-2.0-only
#include "verify.h"
#include "route.h"

#include <linux/bio.h>
#include <linux/mempool.h>

/* Buffers that are there without memory: any number of writes can take turns. */
#define DMR_VERIFY_BUFFERS 2

void dmr_verify_copy(struct bio *bio, u64 sector, void *data, unsigned int sectors)
{
	struct bvec_iter at = bio->bi_iter, iter;
	struct bio_vec bv;

	if (bio_op(bio) == REQ_OP_WRITE_ZEROES) {
		memset(data, 0, sectors << SECTOR_SHIFT);
		return;
	}
	bio_advance_iter(bio, &at, (sector - at.bi_sector) << SECTOR_SHIFT);
	at.bi_size = sectors << SECTOR_SHIFT;
	__bio_for_each_segment(bv, bio, iter, at) {
		memcpy_from_bvec(data, &bv);
		data += bv.bv_len;
	}
}

/* It may have been divided meanwhile. */
static blk_status_t dmr_verify_read(struct dmr_core *core, u64 from, u64 to, void *data)
{
	blk_status_t status = BLK_STS_OK;
	u64 end;

	for (; from < to && !status; from = end) {
		struct bio_vec vec;
		struct bio bio;

		bio_init(&bio, NULL, &vec, 1, REQ_OP_READ | REQ_SYNC);
		__bio_add_page(&bio, virt_to_page(data), (to - from) << SECTOR_SHIFT,
			       offset_in_page(data));
		end = dmr_read_run(core, from, to, &bio, &status);
		bio_uninit(&bio);
		data += (end - from) << SECTOR_SHIFT;
	}
	/* Somebody found it bad meanwhile: it has to be written as that. */
	return status == BLK_STS_AGAIN ? BLK_STS_MEDIUM : status;
}

struct dmr_verify_buffer *dmr_verify_begin(struct dmr_core *core, struct dmr_span *span,
					   u64 from, u64 to)
{
	span->from = from;
	span->to = to;
	/* Without a buffer, which those that it waits for may want. */
	wait_event_idle(core->wait, dmr_spans_try(&core->verifying, span));
	return mempool_alloc(core->verify_pool, GFP_NOIO);
}

void dmr_verify_end(struct dmr_core *core, struct dmr_span *span,
		    struct dmr_verify_buffer *buffer)
{
	mempool_free(buffer, core->verify_pool);
	dmr_spans_del(&core->verifying, span);
	wake_up_all(&core->wait);
}

blk_status_t dmr_verify_write(struct dmr_core *core, struct bio *bio, u64 from, u64 to)
{
	size_t bytes = (to - from) << SECTOR_SHIFT;
	struct dmr_verify_buffer *b;
	struct dmr_span span;
	blk_status_t status;
	bool same;

	b = dmr_verify_begin(core, &span, from, to);
	dmr_verify_copy(bio, from, b->out, to - from);
	status = dmr_write_own(core, bio, from, b->out, bytes);
	if (!status)
		status = dmr_verify_read(core, from, to, b->in);
	same = status || !memcmp(b->out, b->in, bytes);
	dmr_verify_end(core, &span, b);
	if (same)
		return status;

	/* Halves of more are tried again. */
	if (to - from <= core->block) {
		dmr_count(core, DMR_STAT_MISMATCHES, to - from);
		DMERR_LIMIT("%s: main sector %llu has other data than was written",
			    dm_device_name(core->md), from);
	}
	return BLK_STS_MEDIUM;
}

int dmr_verify_init(struct dmr_core *core)
{
	core->verify = DMR_VERIFY_PENDING;
	dmr_spans_init(&core->verifying);
	core->verify_pool = mempool_create_kmalloc_pool(DMR_VERIFY_BUFFERS,
							sizeof(struct dmr_verify_buffer));
	return core->verify_pool ? 0 : -ENOMEM;
}

void dmr_verify_exit(struct dmr_core *core)
{
	mempool_destroy(core->verify_pool);
}

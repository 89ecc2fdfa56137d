// SPDX-License-Identifier: GPL-2.0-only
#include "verify.h"
#include "route.h"

#include <linux/bio.h>
#include <linux/mempool.h>

#define DMR_VERIFY_BYTES (DMR_VERIFY_SECTORS << SECTOR_SHIFT)

/* Buffers that are there without memory: any number of writes can take turns. */
#define DMR_VERIFY_BUFFERS 2

/**
 * struct dmr_verify_buffer - a write, and what reads back of it
 * @out:	what is written
 * @in:		what is read
 */
struct dmr_verify_buffer {
	u8	out[DMR_VERIFY_BYTES];
	u8	in[DMR_VERIFY_BYTES];
};

bool dmr_verify_same(struct bio *bio, u64 sector, const void *data, unsigned int sectors)
{
	struct bvec_iter at = bio->bi_iter, iter;
	struct bio_vec bv;
	bool same = true;

	if (bio_op(bio) == REQ_OP_WRITE_ZEROES)
		return !memchr_inv(data, 0, sectors << SECTOR_SHIFT);
	bio_advance_iter(bio, &at, (sector - at.bi_sector) << SECTOR_SHIFT);
	at.bi_size = sectors << SECTOR_SHIFT;
	__bio_for_each_segment(bv, bio, iter, at) {
		void *p = bvec_kmap_local(&bv);

		same &= !memcmp(p, data, bv.bv_len);
		kunmap_local(p);
		data += bv.bv_len;
	}
	return same;
}

static void dmr_verify_copy(struct bio *bio, u64 sector, void *data, unsigned int sectors)
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

/* It may have been divided meanwhile, or have lost its data again: that is not ours. */
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
	return status;
}

blk_status_t dmr_verify_write(struct dmr_core *core, struct bio *bio, u64 from, u64 to)
{
	struct dmr_verify_buffer *b = mempool_alloc(core->verify_pool, GFP_NOIO);
	unsigned int sectors = to - from;
	blk_status_t status;

	dmr_verify_copy(bio, from, b->out, sectors);
	status = dmr_write_own(core, bio, from, b->out, sectors << SECTOR_SHIFT);
	if (!status)
		status = dmr_verify_read(core, from, to, b->in);
	if (status == BLK_STS_AGAIN) {
		status = BLK_STS_OK;
	} else if (!status && memcmp(b->out, b->in, sectors << SECTOR_SHIFT)) {
		/* Halves of it are tried again; a block is told. */
		if (sectors <= core->block) {
			dmr_count(core, DMR_STAT_MISMATCHES, sectors);
			DMERR_LIMIT("%s: main sector %llu has other data than was written",
				    dm_device_name(core->md), from);
		}
		status = BLK_STS_MEDIUM;
	}
	mempool_free(b, core->verify_pool);
	return status;
}

int dmr_verify_set(struct dmr_core *core, enum dmr_verify verify)
{
	if (verify == DMR_VERIFY_ALL && !core->verify_pool)
		core->verify_pool =
			mempool_create_kmalloc_pool(DMR_VERIFY_BUFFERS,
						    sizeof(struct dmr_verify_buffer));
	if (verify == DMR_VERIFY_ALL && !core->verify_pool)
		return -ENOMEM;
	/* Whoever sees it finds the pool, which stays. */
	smp_store_release(&core->verify, verify);
	return 0;
}

void dmr_verify_exit(struct dmr_core *core)
{
	mempool_destroy(core->verify_pool);
}

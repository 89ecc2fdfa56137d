// SPDX-License-Identifier: GPL-2.0-only
/*
 * thrash <MiB> <seconds> <seed>: writes all pages of so much memory, and then some at random
 * for a while, and looks each time whether what was there is as it was left. With less
 * memory than that it comes from swap. Prints the pages that were looked at; exits 1 at
 * the first that is wrong.
 */
#include "sectors.h"

#include <err.h>
#include <sys/mman.h>

#define PAGE		4096
#define PAGE_WORDS	(PAGE / sizeof(uint64_t))

static uint64_t word_of(uint64_t page, uint32_t generation, uint64_t i)
{
	return (page << 40 ^ (uint64_t)generation << 16 ^ i) * 0x9e3779b97f4a7c15ULL;
}

static void look(const uint64_t *at, uint64_t page, uint32_t generation)
{
	for (uint64_t i = 0; i < PAGE_WORDS; i++)
		if (at[i] != word_of(page, generation, i))
			errx(1, "page %llu, word %llu: found %llx, generation %u",
			     (unsigned long long)page, (unsigned long long)i,
			     (unsigned long long)at[i], generation);
}

static void write_page(uint64_t *at, uint64_t page, uint32_t generation)
{
	for (uint64_t i = 0; i < PAGE_WORDS; i++)
		at[i] = word_of(page, generation, i);
}

int main(int argc, char **argv)
{
	uint64_t pages, looked = 0;
	struct random rnd;
	uint32_t *generations;
	uint64_t *memory;
	time_t end;

	if (argc != 4)
		errx(2, "usage: thrash <MiB> <seconds> <seed>");
	pages = strtoull(argv[1], NULL, 10) * (1048576 / PAGE);
	rnd.state = strtoull(argv[3], NULL, 10);

	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	generations = calloc(pages, sizeof(*generations));
	if (memory == MAP_FAILED || !generations)
		err(1, "memory");

	for (uint64_t page = 0; page < pages; page++)
		write_page(memory + page * PAGE_WORDS, page, ++generations[page]);
	end = time(NULL) + strtol(argv[2], NULL, 10);
	while (time(NULL) < end) {
		uint64_t page = below(&rnd, pages);
		uint64_t *at = memory + page * PAGE_WORDS;

		look(at, page, generations[page]);
		write_page(at, page, ++generations[page]);
		looked++;
	}
	for (uint64_t page = 0; page < pages; page++)
		look(memory + page * PAGE_WORDS, page, generations[page]);
	printf("%llu\n", (unsigned long long)looked);
	return 0;
}

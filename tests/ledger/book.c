// SPDX-License-Identifier: BSD-3-Clause
// The shared file of a run, see book.h.
#include "tests/ledger/book.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

uint64_t book_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); // cannot fail for this clock
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct book *book_map(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0666);
	void *p = MAP_FAILED;

	if (fd >= 0 && ((flags & O_CREAT) == 0 || ftruncate(fd, sizeof(struct book)) == 0))
		p = mmap(NULL, sizeof(struct book), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		(void)fprintf(stderr, "ledger: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd); // the mapping stays
	return p == MAP_FAILED ? NULL : p;
}

struct book *book_create(const char *path)
{
	struct book *b = book_map(path, O_CREAT | O_EXCL);

	if (b == NULL)
		return NULL;
	atomic_store(&b->next, 1);
	b->magic = BOOK_MAGIC;
	return b;
}

struct book *book_open(const char *path)
{
	struct book *b = book_map(path, 0);

	if (b != NULL && b->magic != BOOK_MAGIC) {
		(void)fprintf(stderr, "ledger: %s is no book\n", path);
		return NULL;
	}
	return b;
}

uint32_t book_client_begin(struct book *b)
{
	uint32_t n = atomic_fetch_add(&b->clients, 1);

	if (n >= BOOK_CLIENTS)
		return BOOK_CLIENTS;
	b->client[n].pid = getpid();
	atomic_store(&b->client[n].state, BOOK_CLIENT_RUNS);
	return n;
}

uint32_t book_take(struct book *b, uint32_t client, uint64_t deadline_ns)
{
	uint32_t id = atomic_fetch_add(&b->next, 1);
	struct book_row *row;

	if (id >= BOOK_ROWS) {
		atomic_store(&b->next, BOOK_ROWS); // not to wrap
		return 0;
	}
	row = &b->rows[id];
	row->client = client;
	row->begin_ns = book_now_ns();
	row->deadline_ns = deadline_ns;
	atomic_store(&row->state, BOOK_TAKEN);
	return id;
}

bool book_execute(struct book *b, uint64_t id)
{
	if (id == 0 || id >= BOOK_ROWS || atomic_load(&b->rows[id].state) == BOOK_FREE)
		return false;
	atomic_fetch_add(&b->rows[id].executions, 1);
	atomic_fetch_add(&b->executions, 1);
	return true;
}

// SPDX-License-Identifier: BSD-3-Clause
// The command queue: a stack that producers push on and the consumer empties at once.
// Partners of the sleep handshake: cmdq_push() and cmdq_arm() + cmdq_recheck().
#include "dataplane/core/cmdq.h"

#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

int cmdq_init(struct cmdq *q)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	q->fd = -1;
	if (fd < 0)
		return -errno;
	atomic_init(&q->head, NULL);
	atomic_init(&q->asleep, 0);
	q->pending = NULL;
	q->fd = fd;
	return 0;
}

void cmdq_fini(struct cmdq *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}

void cmdq_push(struct cmdq *q, struct cmd *cmd)
{
	static const uint64_t one = 1;
	struct cmd *head = atomic_load_explicit(&q->head, memory_order_relaxed);

	// Release to the acquire of cmdq_take(); seq_cst for the handshake with cmdq_arm().
	do {
		atomic_store_explicit(&cmd->next, head, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&q->head, &head, cmd, memory_order_seq_cst, memory_order_relaxed));
	if (atomic_load_explicit(&q->asleep, memory_order_seq_cst) == 0)
		return;
	// Of several pushers one rings; the private counter cannot fill up.
	if (atomic_exchange_explicit(&q->asleep, 0, memory_order_seq_cst) != 0) {
		ssize_t ignored = write(q->fd, &one, sizeof(one));
		(void)ignored; // EAGAIN only at 2^64 - 1, and the event is there then
	}
}

// Move everything pushed so far to the empty pending list, oldest first.
static void cmdq_take(struct cmdq *q)
{
	struct cmd *cmd, *next, *list = NULL;

	if (atomic_load_explicit(&q->head, memory_order_relaxed) == NULL)
		return;
	cmd = atomic_exchange_explicit(&q->head, NULL, memory_order_acquire);
	while (cmd != NULL) {
		next = atomic_load_explicit(&cmd->next, memory_order_relaxed);
		atomic_store_explicit(&cmd->next, list, memory_order_relaxed);
		list = cmd;
		cmd = next;
	}
	q->pending = list;
}

unsigned cmdq_run(struct cmdq *q, struct worker *worker, unsigned max)
{
	unsigned n;

	for (n = 0; n < max; n++) {
		struct cmd *cmd;

		if (q->pending == NULL)
			cmdq_take(q);
		cmd = q->pending;
		if (cmd == NULL)
			break;
		q->pending = atomic_load_explicit(&cmd->next, memory_order_relaxed);
		cmd->fn(worker, cmd); // cmd may be gone afterwards
	}
	return n;
}

void cmdq_arm(struct cmdq *q)
{
	atomic_store_explicit(&q->asleep, 1, memory_order_seq_cst);
}

bool cmdq_recheck(const struct cmdq *q)
{
	return q->pending != NULL || atomic_load_explicit(&q->head, memory_order_seq_cst) != NULL;
}

void cmdq_disarm(struct cmdq *q)
{
	atomic_store_explicit(&q->asleep, 0, memory_order_relaxed);
}

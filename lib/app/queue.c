// SPDX-License-Identifier: BSD-3-Clause
// Makes and ends queues. Works with queue_submit.c, queue_poll.c and wait.c.
#include "lib/app/queue.h"

#include "lib/app/burst.h"
#include "lib/app/server.h"
#include "lib/base/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool queue_slots_ok(uint32_t slots, uint32_t max)
{
	return phx_is_pow2(slots) && slots >= PHX_LIMIT_RING_SLOTS_MIN && slots <= max;
}

const char *phx_queue_check(const struct phx_attach_queue *q)
{
	uint64_t app = PHX_Q_SLOTS + ((uint64_t)q->sub_slots + q->ret_slots) * PHX_SLOT_SIZE;
	uint64_t dp = PHX_Q_SLOTS + (uint64_t)q->comp_slots * PHX_SLOT_SIZE;

	if (q->index >= PHX_LIMIT_QUEUES_MAX)
		return "queue index out of range";
	if (!queue_slots_ok(q->sub_slots, PHX_LIMIT_RING_SLOTS_MAX) ||
		!queue_slots_ok(q->ret_slots, PHX_LIMIT_RING_SLOTS_MAX) ||
		!queue_slots_ok(q->comp_slots, PHX_LIMIT_CQ_SLOTS_MAX))
		return "ring size out of range";
	if (q->call_slots == 0 || q->call_slots > PHX_LIMIT_INFLIGHT_MAX)
		return "call table size out of range";
	if (q->app_size < app || q->dp_size < dp)
		return "queue region too small for its rings";
	return NULL;
}

static int queue_tables(struct phx_queue *q, const struct phx_attach_queue *sizes)
{
	uint32_t hash = (uint32_t)phx_pow2_up(sizes->ret_slots);

	q->slots = calloc(sizes->call_slots, sizeof(*q->slots));
	q->return_cap = sizes->ret_slots + PHX_RET_HANDLES;
	q->returns = calloc(q->return_cap, sizeof(*q->returns));
	q->request_hash = calloc(hash, sizeof(struct phx_request *));
	q->hash_mask = hash - 1;
	if (q->slots == NULL || q->returns == NULL || q->request_hash == NULL)
		return -ENOMEM;
	q->call_slots = sizes->call_slots;
	for (uint32_t i = 0; i < q->call_slots; i++)
		q->slots[i].next_free = i + 1;
	return 0;
}

static int queue_rings(struct phx_queue *q, const struct phx_attach_queue *sizes)
{
	uint8_t *app = phx_space_at(&q->session->send, sizes->app_offset);
	uint8_t *dp = phx_space_at(&q->session->recv, sizes->dp_offset);
	size_t ret_at = PHX_Q_SLOTS + (size_t)sizes->sub_slots * PHX_SLOT_SIZE;
	int rc;

	phx_bell_waker_init(&q->bell, (const void *)(dp + PHX_QD_SLEEP));
	phx_bell_sleeper_init(&q->sleeper, (void *)(app + PHX_QA_SLEEP));
	atomic_store_explicit(
		&q->bell_word, (const void *)(dp + PHX_QD_BELL), memory_order_release);
	rc = phx_ring_prod_init(&q->sub, app + PHX_Q_SLOTS, sizes->sub_slots,
		(void *)(app + PHX_QA_SUB_PROD), (const void *)(dp + PHX_QD_SUB_CONS), 0);
	if (rc)
		return rc;
	rc = phx_ring_prod_init(&q->ret, app + ret_at, sizes->ret_slots,
		(void *)(app + PHX_QA_RET_PROD), (const void *)(dp + PHX_QD_RET_CONS), 0);
	if (rc)
		return rc;
	return phx_ring_cons_init(&q->comp, dp + PHX_Q_SLOTS, sizes->comp_slots,
		(const void *)(dp + PHX_QD_COMP_PROD), (void *)(app + PHX_QA_COMP_CONS), 0);
}

int phx_queue_init(
	struct phx_session *s, const struct phx_attach_queue *sizes, struct phx_queue **out_queue)
{
	struct phx_queue *q = calloc(1, sizeof(*q));
	int rc;

	if (q == NULL)
		return -ENOMEM;
	phx_lock_init(&q->lock);
	q->context = s->context;
	q->session = s;
	q->index = sizes->index;
	q->room = phx_min(sizes->ret_slots, sizes->comp_slots);
	q->comp_slots = sizes->comp_slots;
	q->fd = -1;
	q->bell_fd = -1;
	q->timer_fd = -1;
	q->timer_at = UINT64_MAX;
	q->backlog_tail = &q->backlog;
	q->waiting_until = UINT64_MAX;
	q->replies_tail = &q->replies;
	rc = queue_tables(q, sizes);
	if (rc == 0)
		rc = queue_rings(q, sizes);
	if (rc) {
		phx_queue_destroy(q);
		return rc;
	}
	*out_queue = q;
	return 0;
}

void phx_queue_replace(struct phx_queue *q, struct phx_queue *fresh)
{
	struct phx_call_slot *slots = q->slots;
	struct phx_request **hash = q->request_hash;
	uint64_t *returns = q->returns;
	uint32_t held;

	phx_requests_orphan(q);
	held = q->lent - q->return_count + q->users;
	atomic_fetch_add_explicit(&q->session->refs, held, memory_order_relaxed); // ours is one
	q->users = 0;
	q->session = fresh->session;
	q->room = fresh->room;
	q->comp_slots = fresh->comp_slots;
	q->sub = fresh->sub;
	q->ret = fresh->ret;
	q->comp = fresh->comp;
	q->bell = fresh->bell;
	q->sleeper = fresh->sleeper;
	q->slots = fresh->slots;
	q->call_slots = fresh->call_slots;
	q->free_slot = fresh->free_slot;
	q->returns = fresh->returns;
	q->return_cap = fresh->return_cap;
	q->return_count = 0;
	q->lent = 0;
	q->request_hash = fresh->request_hash;
	q->hash_mask = fresh->hash_mask;
	// It stays ended until the context is up again, or a poll would end it once more.
	fresh->slots = slots;
	fresh->request_hash = hash;
	fresh->returns = returns;
	// Who sleeps on the old word wakes up on the old word.
	phx_queue_wake(q);
	atomic_store_explicit(&q->bell_word,
		atomic_load_explicit(&fresh->bell_word, memory_order_relaxed),
		memory_order_release);
	q->fd_armed = false;
}

void phx_queue_destroy(struct phx_queue *q)
{
	if (q == NULL)
		return;
	while (q->all_calls != NULL) {
		struct phx_call *call = q->all_calls;

		q->all_calls = call->all;
		free(call->wait);
		free(call);
	}
	while (q->all_requests != NULL) {
		struct phx_request *r = q->all_requests;

		q->all_requests = r->all;
		free(r);
	}
	phx_server_entries_free(q->entries);
	free(q->slots);
	free(q->returns);
	free(q->request_hash);
	while (q->backlog != NULL) {
		struct phx_burst *b = q->backlog;

		q->backlog = b->next;
		free(b);
	}
	if (q->bell_fd >= 0)
		(void)close(q->bell_fd); // received for this queue
	if (q->fd >= 0) {
		(void)close(q->timer_fd); // both made for this queue
		(void)close(q->fd);
	}
	phx_lock_fini(&q->lock);
	free(q);
}

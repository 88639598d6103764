// SPDX-License-Identifier: BSD-3-Clause
// Held calls: a first-in first-out queue per (policy, key) on each worker, of which only the first
// is asked again. A held call keeps its snapshot and deadline; the record of the hold is charged to
// its application. Works with chain.c. Worker thread.
#include "dataplane/policyhost/host.h"

#include "lib/base/hash.h"

#include <errno.h>
#include <string.h>

struct hold_queue {
	struct phx_list node; // of the bucket
	struct phx_list holds;
	struct host_worker *worker;
	const struct instance *instance; // lives: the calls in here have seen one of its policies
	uint64_t key;
	uint32_t count;
	bool asking; // its first is being asked: do not free
	struct timer timer;
};
static_assert(sizeof(struct hold_queue) <= PHX_BLOCK_SMALL, "a small block");
static_assert(sizeof(struct hold) <= PHX_BLOCK_SMALL, "a small block");

static void queue_ask(struct worker *worker, struct timer *timer);

static const struct phx_list *bucket_of(
	const struct host_worker *w, const struct instance *instance, uint64_t key)
{
	return &w->holds[phx_mix64(key ^ (uint64_t)(uintptr_t)instance) % HOLD_BUCKETS];
}

static struct hold_queue *queue_find(
	const struct host_worker *w, const struct instance *instance, uint64_t key)
{
	const struct phx_list *bucket = bucket_of(w, instance, key);
	struct phx_list *n;

	phx_list_for_each (n, bucket) {
		struct hold_queue *q = phx_list_entry(n, struct hold_queue, node);

		if (q->instance == instance && q->key == key)
			return q;
	}
	return NULL;
}

static struct hold_queue *queue_get(
	struct host_worker *w, const struct instance *instance, uint64_t key)
{
	struct hold_queue *q = queue_find(w, instance, key);

	if (q != NULL)
		return q;
	q = memory_block_get(&w->worker->memory, PHX_BLOCK_SMALL);
	if (q == NULL)
		return NULL;
	*q = (struct hold_queue){.worker = w, .instance = instance, .key = key};
	phx_list_init(&q->holds);
	timer_init(&q->timer);
	phx_list_add_tail((struct phx_list *)(uintptr_t)bucket_of(w, instance, key), &q->node);
	return q;
}

static void queue_check_empty(struct hold_queue *q)
{
	struct worker *worker = q->worker->worker;

	if (!phx_list_empty(&q->holds) || q->asking)
		return;
	timer_stop(&worker->timers, &q->timer);
	phx_list_del(&q->node);
	memory_block_put(&worker->memory, q, PHX_BLOCK_SMALL);
}

// When the first may be asked again: at its time, or at once after a change of the chains.
static uint64_t first_due_ns(const struct hold_queue *q)
{
	const struct hold *h = phx_list_entry(q->holds.next, struct hold, node);

	return h->changes != q->worker->changes ? 0 : h->not_before_ns;
}

static void queue_arm(struct hold_queue *q)
{
	if (!phx_list_empty(&q->holds))
		timer_start(&q->worker->worker->timers, &q->timer, first_due_ns(q), queue_ask);
}

static void hold_unlink(struct hold *h)
{
	struct hold_queue *q = h->queue;

	phx_list_del(&h->node);
	q->count--;
	h->queue = NULL;
	if (q->asking)
		return;
	queue_arm(q);
	queue_check_empty(q);
}

static void hold_enter(struct hold_queue *q, struct hold *h, uint64_t not_before_ns)
{
	h->queue = q;
	h->not_before_ns = not_before_ns;
	h->changes = q->worker->changes;
	phx_list_add_tail(&q->holds, &h->node);
	if (q->count++ == 0 && !q->asking)
		queue_arm(q);
}

int hold_put(struct host_worker *w, const struct instance *instance, const struct chain_item *item,
	enum policy_point point, uint64_t key, uint64_t not_before_ns)
{
	struct phx_block_pool *pool = &session_account(item->session)->pool;
	struct hold_queue *q = queue_get(w, instance, key);
	struct hold *h = item->policy->hold;

	if (q == NULL)
		return -ENOMEM;
	if (h != NULL) { // asked again
		h->not_before_ns = not_before_ns;
		h->changes = w->changes;
		h->unseen = false;
		if (h->queue == q)
			return 0;
		hold_unlink(h);
		hold_enter(q, h, not_before_ns);
		return 0;
	}
	h = pool->get(pool, PHX_BLOCK_SMALL);
	if (h == NULL) {
		queue_check_empty(q);
		return -ENOMEM;
	}
	*h = (struct hold){.item = *item, .point = point};
	phx_list_init(&h->node);
	item->policy->hold = h;
	hold_enter(q, h, not_before_ns);
	return 0;
}

static void hold_free(struct hold *h)
{
	struct phx_block_pool *pool = &session_account(h->item.session)->pool;

	h->item.policy->hold = NULL;
	pool->put(pool, h, PHX_BLOCK_SMALL);
}

bool hold_is_of(const struct hold *h, const struct instance *instance)
{
	return !h->unseen && h->queue->instance == instance;
}

uint32_t hold_waiting(const struct host_worker *w, const struct instance *instance, uint64_t key)
{
	const struct hold_queue *q = queue_find(w, instance, key);

	return q != NULL ? q->count : 0;
}

// Does it have what the policies that have come meanwhile inspect? As fill() of struct chain_item.
static PHX_COLD int first_fill(struct hold *h, const struct worker *worker)
{
	int rc = h->item.fill != NULL ? h->item.fill(h->item.owner) : 1;

	if (rc == 0) {
		h->not_before_ns = worker->now_ns + TIMER_TICK_NS;
		h->changes = h->queue->worker->changes;
	}
	return rc;
}

// Ask the first again. True: it has left this queue.
static bool first_ask(struct hold_queue *q, struct hold *h)
{
	struct worker *worker = q->worker->worker;
	const struct chain *chain = session_chain(h->item.session);
	struct chain_item item;
	int rc = 1;

	if (chain != NULL && phx_unlikely(chain_lacks(chain, h->item.message)))
		rc = first_fill(h, worker);
	if (rc <= 0)
		return rc < 0;
	item = h->item;
	item.verdict = CHAIN_PASS;
	if (chain != NULL)
		chain_run(worker, chain, h->point, &item, 1);
	if (item.verdict == CHAIN_HOLD)
		return h->queue != q;
	hold_unlink(h);
	hold_free(h);
	item.resume(item.owner, &item);
	return true;
}

static void queue_ask(struct worker *worker, struct timer *timer)
{
	struct hold_queue *q = phx_container_of(timer, struct hold_queue, timer);
	q->asking = true; // whoever resumes may end others in here
	for (unsigned i = 0; i < PHX_LIMIT_BURST; i++) {
		struct phx_list *n = phx_list_first(&q->holds);

		if (n == NULL || first_due_ns(q) > worker->now_ns ||
			!first_ask(q, phx_list_entry(n, struct hold, node)))
			break;
	}
	q->asking = false;
	queue_arm(q);
	queue_check_empty(q);
}

void hold_kick_all(struct host_worker *w)
{
	w->changes++;
	for (unsigned i = 0; i < HOLD_BUCKETS; i++) {
		struct phx_list *n;

		phx_list_for_each (n, &w->holds[i]) {
			queue_arm(phx_list_entry(n, struct hold_queue, node));
		}
	}
}

void chain_unhold(struct worker *worker, struct call_policy *policy)
{
	struct hold *h = policy->hold;

	(void)worker;
	if (h == NULL)
		return;
	hold_unlink(h);
	hold_free(h);
}

void chain_hold_moved(struct call_policy *policy, struct message *message)
{
	policy->hold->item.message = message;
}

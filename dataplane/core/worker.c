// SPDX-License-Identifier: BSD-3-Clause
// The poll loop of a worker and its sources; worker_sleep.c is what it does without work.
#include "dataplane/core/worker.h"

#include "dataplane/core/trace.h"
#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MEMORY_BYTES_MAX  (UINT64_C(1) << 30) // blocks of one worker; accounts are far below
#define CMDS_PER_ROUND	  64
#define TIMERS_PER_ROUND  64
#define SAMPLE_ROUNDS	  16 // one round in 16 reads the clock around each poll
#define EPOLL_BUSY_ROUNDS 64

static void add(_Atomic uint64_t *counter, uint64_t delta)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + delta,
		memory_order_relaxed);
}

int worker_create(unsigned index, unsigned lcore, bool pinned, struct rte_rcu_qsbr *qsbr,
	struct worker **out_worker)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET}; // data.ptr NULL: the inbox
	struct worker *worker = calloc(1, sizeof(*worker));
	int rc;

	if (worker == NULL)
		return -ENOMEM;
	worker->index = index;
	worker->lcore = lcore;
	worker->pinned = pinned;
	worker->qsbr = qsbr;
	worker->now_ns = phx_clock_ns();
	phx_list_init(&worker->polled);
	phx_list_init(&worker->parked);
	phx_list_init(&worker->dirty);
	worker->inbox.fd = -1;
	timer_wheel_init(&worker->timers, worker->now_ns);
	// Nobody spins where another thread may want the core: two CPUs have none to spare.
	worker->spin_ns = pinned && sysconf(_SC_NPROCESSORS_ONLN) > 2 ? 20000 : 0;
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = worker->epoll_fd < 0 ? -errno : cmdq_init(&worker->inbox);
	if (rc == 0)
		rc = stats_create(PHX_LIMIT_SERIES_MAX, &worker->calls);
	worker->traced = calloc(1, sizeof(*worker->traced));
	if (worker->traced == NULL)
		rc = -ENOMEM;
	if (rc == 0)
		rc = memory_pool_init(&worker->memory, MEMORY_BYTES_MAX);
	if (rc == 0 && epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->inbox.fd, &event) != 0)
		rc = -errno;
	if (rc != 0) {
		worker_destroy(worker);
		return rc;
	}
	*out_worker = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	stats_destroy(worker->calls);
	free(worker->traced);
	memory_pool_fini(&worker->memory);
	cmdq_fini(&worker->inbox);
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	free(worker);
}

void worker_post(struct worker *worker, struct cmd *cmd, void (*fn)(struct worker *, struct cmd *))
{
	cmd->fn = fn;
	cmdq_push(&worker->inbox, cmd);
}

static void worker_stop_now(struct worker *worker, struct cmd *cmd)
{
	(void)cmd;
	worker->stopping = true;
}

void worker_stop(struct worker *worker)
{
	if (!atomic_exchange_explicit(&worker->stop, true, memory_order_relaxed))
		worker_post(worker, &worker->stop_cmd, worker_stop_now);
}

int worker_source_add(struct worker *worker, struct source *source)
{
	// Level changes of the kernel cost nothing until they are looked at, so a source that
	// never waits for room registers for it too.
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = source,
	};

	if (source->fd >= 0 && epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) != 0)
		return -errno;
	add(&worker->stats.sources, 1);
	source->worker = worker;
	source->parked = false;
	source->idle_rounds = 0;
	source->active = true;
	phx_list_add_tail(&worker->polled, &source->node);
	phx_list_init(&source->dirty_node);
	if (source->dirty)
		phx_list_add_tail(&worker->dirty, &source->dirty_node);
	return 0;
}

void worker_source_del(struct worker *worker, struct source *source)
{
	if (source->worker == NULL)
		return;
	add(&worker->stats.sources, UINT64_MAX);
	if (source->fd >= 0)
		(void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL); // it is there
	if (worker->cursor == &source->node)
		worker->cursor = source->node.next;
	if (worker->current == source)
		worker->current = NULL;
	phx_list_del(&source->node);
	phx_list_del(&source->dirty_node);
	source->dirty = false;
	// Armed: its event may be spent, and nobody would ring again on another worker.
	if (source->parked && source->ops->disarm != NULL)
		source->ops->disarm(source);
	source->parked = false;
	source->worker = NULL;
}

void worker_source_wake(struct worker *worker, struct source *source)
{
	source->idle_rounds = 0;
	source->active = true;
	if (!source->parked)
		return;
	source->parked = false;
	phx_list_del(&source->node);
	phx_list_add_tail(&worker->polled, &source->node);
	if (source->ops->disarm != NULL)
		source->ops->disarm(source);
}

// Off the poll list; the source is armed and had nothing to do after that.
void worker_source_park(struct worker *worker, struct source *source)
{
	if (worker->cursor == &source->node)
		worker->cursor = source->node.next;
	phx_list_del(&source->node);
	phx_list_add_tail(&worker->parked, &source->node);
	source->parked = true;
}

static unsigned worker_poll_source(struct worker *worker, struct source *source)
{
	unsigned n = 0;

	worker->current = source;
	if (source->ops->poll != NULL)
		n = source->ops->poll(source, worker);
	if (worker->current == NULL)
		return n; // it has left, and may be gone
	add(&source->polls, 1);
	if (n == 0) {
		source->idle_rounds++;
		return 0;
	}
	add(&source->work, n);
	source->idle_rounds = 0;
	source->active = true;
	return n;
}

// One round in SAMPLE_ROUNDS, so that the clock costs little.
static unsigned worker_poll_timed(struct worker *worker, struct source *source)
{
	uint64_t start = phx_clock_ns();
	unsigned n = worker_poll_source(worker, source);

	if (n != 0 && worker->current != NULL)
		add(&source->busy_ns, (phx_clock_ns() - start) * SAMPLE_ROUNDS);
	return n;
}

static void worker_flush(struct worker *worker)
{
	struct phx_list *node;

	while ((node = phx_list_pop(&worker->dirty)) != NULL) {
		struct source *source = phx_list_entry(node, struct source, dirty_node);

		source->dirty = false;
		worker_source_wake(worker, source); // what was sent is answered
		if (source->ops->flush != NULL)
			source->ops->flush(source, worker);
	}
}

static unsigned worker_round(struct worker *worker)
{
	bool timed = worker->rounds % SAMPLE_ROUNDS == 0;
	struct phx_list *node = worker->polled.next;
	unsigned work = 0;

	while (node != &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		worker->cursor = node->next;
		if (phx_unlikely(timed))
			work += worker_poll_timed(worker, source);
		else
			work += worker_poll_source(worker, source);
		node = worker->cursor;
	}
	worker->cursor = NULL;
	worker_flush(worker);
	return work;
}

// Sources that stay idle while others work leave the poll list.
static void worker_park_idle(struct worker *worker)
{
	struct phx_list *node, *tmp;

	phx_list_for_each_safe (node, tmp, &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);
		const struct source_ops *ops = source->ops;

		if (source->idle_rounds < WORKER_PARK_ROUNDS || source->fd < 0)
			continue;
		if (ops->arm != NULL)
			ops->arm(source);
		if (ops->recheck == NULL || !ops->recheck(source)) {
			worker_source_park(worker, source);
		} else {
			source->idle_rounds = 0;
			if (ops->disarm != NULL)
				ops->disarm(source);
		}
	}
}

// Commands, timers, quiescent state; returns the work done.
static unsigned worker_housekeeping(struct worker *worker)
{
	unsigned work = cmdq_run(&worker->inbox, worker, CMDS_PER_ROUND);

	work += timer_run(&worker->timers, worker, worker->now_ns, TIMERS_PER_ROUND);
	worker_flush(worker);
	rte_rcu_qsbr_quiescent(worker->qsbr, worker->index);
	if (worker->busy_rounds >= WORKER_PARK_ROUNDS) {
		worker->busy_rounds = 0;
		worker_park_idle(worker);
	}
	return work;
}

// One clock read a round: time, load and the longest round.
static void worker_account(struct worker *worker, unsigned work)
{
	struct worker_stats *stats = &worker->stats;
	uint64_t now = phx_clock_ns(), took = now - worker->now_ns;

	worker->now_ns = now;
	worker->rounds++;
	add(&stats->rounds, 1);
	if (took > atomic_load_explicit(&stats->longest_poll_ns, memory_order_relaxed) && work != 0)
		atomic_store_explicit(&stats->longest_poll_ns, took, memory_order_relaxed);
	if (work == 0) {
		add(&stats->idle_rounds, 1);
		if (worker->idle++ == 0)
			worker->idle_since_ns = now;
		return;
	}
	add(&stats->work, work);
	add(&stats->busy_ns, took);
	if (worker->idle != 0)
		worker->gap_ns += (now - worker->idle_since_ns) / 8 - worker->gap_ns / 8;
	worker->idle = 0;
	worker->busy_rounds++;
}

static void worker_loop(struct worker *worker)
{
	while (!worker->stopping) {
		unsigned work = worker_round(worker), woken = 0;

		if (work == 0 || worker->rounds % WORKER_HOUSEKEEPING == 0)
			work += worker_housekeeping(worker);
		if (work == 0 ? !phx_list_empty(&worker->parked)
			      : worker->rounds % EPOLL_BUSY_ROUNDS == 0)
			woken = worker_epoll_check(worker);
		worker_account(worker, work);
		// An event taken here is not seen again: what it woke is polled before any sleep.
		if (work == 0 && woken == 0 && !worker->stopping)
			worker_wait(worker);
	}
}

int worker_main(void *arg)
{
	struct worker *worker = arg;
	int rc = rte_rcu_qsbr_thread_register(worker->qsbr, worker->index);

	phx_crash_thread();
	if (rc != 0) {
		phx_log_err("worker", "cannot register worker %u for quiescence", worker->index);
		return -EINVAL;
	}
	rte_rcu_qsbr_thread_online(worker->qsbr, worker->index);
	worker->now_ns = phx_clock_ns();
	worker_loop(worker);
	rte_rcu_qsbr_thread_offline(worker->qsbr, worker->index);
	(void)rte_rcu_qsbr_thread_unregister(worker->qsbr, worker->index); // registered above
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// What a worker does without work: spin if it may, yield a bounded number of times, then arm
// everything, recheck everything and sleep. Works with worker.c.
#include "dataplane/core/worker.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <sched.h>
#include <sys/epoll.h>

#define EVENTS	      64
#define YIELD_LONG_NS UINT64_C(50000) // a yield that somebody else ran in

static void add(_Atomic uint64_t *counter, uint64_t delta)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + delta,
		memory_order_relaxed);
}

static unsigned worker_unpark(struct worker *worker, struct epoll_event *events, int count)
{
	unsigned n = 0;
	int i;

	for (i = 0; i < count; i++) {
		struct source *source = events[i].data.ptr;

		if (source == NULL)
			continue; // the inbox
		worker_source_wake(worker, source);
		n++;
	}
	return n;
}

unsigned worker_epoll_check(struct worker *worker)
{
	struct epoll_event events[EVENTS];

	return worker_unpark(worker, events, epoll_wait(worker->epoll_fd, events, EVENTS, 0));
}

static void worker_arm(struct worker *worker)
{
	struct phx_list *node;

	cmdq_arm(&worker->inbox);
	phx_list_for_each (node, &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		if (source->ops->arm != NULL)
			source->ops->arm(source);
	}
}

// True when work came before arming took effect.
static bool worker_recheck(struct worker *worker)
{
	struct phx_list *node;

	if (cmdq_recheck(&worker->inbox))
		return true;
	phx_list_for_each (node, &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		if (source->ops->recheck != NULL && source->ops->recheck(source))
			return true;
	}
	return false;
}

static void worker_disarm(struct worker *worker)
{
	struct phx_list *node;

	cmdq_disarm(&worker->inbox);
	phx_list_for_each (node, &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		if (source->ops->disarm != NULL)
			source->ops->disarm(source);
	}
}

// All sources are armed and idle: those without work since the last sleep stay so, the others
// are polled again after this one.
static void worker_park_inactive(struct worker *worker)
{
	struct phx_list *node, *tmp;

	phx_list_for_each_safe (node, tmp, &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		if (!source->active && source->fd >= 0)
			worker_source_park(worker, source);
		source->active = false;
	}
}

static void worker_sleep(struct worker *worker)
{
	struct epoll_event events[EVENTS];
	uint64_t next = timer_next_ns(&worker->timers), now;
	struct timespec timeout;
	unsigned woken;
	int n;

	worker_arm(worker);
	now = phx_clock_ns();
	if (worker_recheck(worker) || next <= now) {
		worker_disarm(worker);
		worker->now_ns = now;
		return;
	}
	worker_park_inactive(worker);
	timeout = (struct timespec){
		.tv_sec = (time_t)((next - now) / PHX_NS_PER_S),
		.tv_nsec = (long)((next - now) % PHX_NS_PER_S),
	};
	add(&worker->stats.sleeps, 1);
	rte_rcu_qsbr_thread_offline(worker->qsbr, worker->index);
	n = epoll_pwait2(
		worker->epoll_fd, events, EVENTS, next == UINT64_MAX ? NULL : &timeout, NULL);
	rte_rcu_qsbr_thread_online(worker->qsbr, worker->index);
	worker->now_ns = phx_clock_ns();
	add(&worker->stats.sleep_ns, worker->now_ns - now);
	woken = worker_unpark(worker, events, n);
	add(&worker->stats.wakeups, n > 0);
	worker_disarm(worker);
	// Woken by a timer or a command alone: a short look round, then sleep again.
	worker->idle = woken != 0 ? 0 : WORKER_YIELDS - 8;
}

void worker_wait(struct worker *worker)
{
	// Spin only while work usually comes within the limit.
	if (worker->gap_ns < worker->spin_ns &&
		worker->now_ns - worker->idle_since_ns < worker->spin_ns) {
		phx_cpu_relax();
		return;
	}
	if (worker->idle < WORKER_YIELDS) {
		add(&worker->stats.yields, 1);
		(void)sched_yield(); // cannot fail on Linux
		// Others keep the core for their whole turn: who sleeps is let in before them.
		if (phx_clock_ns() - worker->now_ns > YIELD_LONG_NS)
			worker->idle = WORKER_YIELDS;
		return;
	}
	worker_sleep(worker);
}

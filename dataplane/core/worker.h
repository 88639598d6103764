// SPDX-License-Identifier: BSD-3-Clause
// A worker: one lcore, one poll loop, run to completion. Owns sources, timers, pools and
// statistics; nobody else touches them. Others reach it by worker_post() only.
//
// Life: control creates it, launches worker_main() on its lcore, posts commands, and ends it
// with worker_stop(). A round is: poll every source, flush the dirty ones, then every few rounds
// commands, timers, statistics, quiescent state; without work it yields a bounded number of
// times, then arms all sources, rechecks, goes offline for quiescence and sleeps in
// epoll_pwait2 until the next timer.
#pragma once

#include "dataplane/core/cmdq.h"
#include "dataplane/core/memory.h"
#include "dataplane/core/source.h"
#include "dataplane/core/timer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rte_rcu_qsbr;
struct service_set;

struct worker_stats { // single writer: the worker; relaxed reads by control
	_Atomic uint64_t rounds;
	_Atomic uint64_t idle_rounds;
	_Atomic uint64_t work;
	_Atomic uint64_t yields;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t wakeups;
	_Atomic uint64_t busy_ns;
	_Atomic uint64_t sleep_ns;
	_Atomic uint64_t longest_poll_ns;
};

struct worker {
	unsigned index;				       // [const] 0..worker_count-1
	unsigned lcore;				       // [const] DPDK lcore id
	bool pinned;				       // [const] the user chose the CPU
	uint64_t now_ns;			       // [worker] the clock, read once per round
	struct phx_list polled;			       // [worker] sources being polled
	struct phx_list parked;			       // [worker]
	struct phx_list dirty_links;		       // [worker] reserved for link flush order
	int epoll_fd;				       // [worker]
	struct cmdq inbox;			       // [any>worker]
	struct timer_wheel timers;		       // [worker]
	struct memory_pool memory;		       // [worker] blocks for snapshots and frames
	struct rte_rcu_qsbr *qsbr;		       // [const] shared by all workers and control
	_Atomic(const struct service_set *) *services; // [ctl>worker] read once per burst
	struct worker_stats stats;
	_Atomic bool stop; // [ctl>worker]
	void *link_layer;  // [worker] struct link_table, owned by dataplane/link
};

// Create worker `index` for lcore `lcore`. -ENOMEM, or what epoll/eventfd creation returned.
int worker_create(unsigned index, unsigned lcore, bool pinned, struct rte_rcu_qsbr *qsbr,
	struct worker **out_worker);
// The loop; the argument of rte_eal_remote_launch. Returns 0 after worker_stop().
int worker_main(void *worker);
// Ask the loop to end; then join with rte_eal_wait_lcore(). Control thread.
void worker_stop(struct worker *worker);
// After the loop has ended. NULL is legal.
void worker_destroy(struct worker *worker);

// Run fn(worker, cmd) on the worker's thread soon; cmd is the caller's memory until then (embed
// struct cmd). Any thread. Never fails: the inbox is intrusive and unbounded by nature, and
// whoever posts bounds what it has outstanding. Wakes the worker when it sleeps.
void worker_post(struct worker *worker, struct cmd *cmd, void (*fn)(struct worker *, struct cmd *));

// Add a source to the poll list and its fd (if any) to the epoll set. Worker thread. -errno of
// epoll_ctl.
int worker_source_add(struct worker *worker, struct source *source);
void worker_source_del(struct worker *worker, struct source *source);
// Make a parked source polled again (something for it came from elsewhere). Worker thread.
void worker_source_wake(struct worker *worker, struct source *source);
// Have source->ops->flush called once at the end of this round. Worker thread, hot.
static inline void worker_source_dirty(struct source *source)
{
	source->dirty = true;
}

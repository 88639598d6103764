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
#include "dataplane/core/stats.h"
#include "dataplane/core/timer.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct chain_set;
struct rte_rcu_qsbr;
struct service_set;
struct trace;
struct trace_server;

struct worker_stats { // single writer: the worker; relaxed reads by control
	_Atomic uint64_t rounds;
	_Atomic uint64_t idle_rounds;
	_Atomic uint64_t work;
	_Atomic uint64_t yields;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t wakeups;
	_Atomic uint64_t busy_ns;
	_Atomic uint64_t sleep_ns;
	_Atomic uint64_t longest_poll_ns; // longest round without sleep
	_Atomic uint64_t sources;	  // gauge: polled and parked
};

struct worker {
	unsigned index;		   // [const] 0..worker_count-1
	unsigned lcore;		   // [const] DPDK lcore id
	bool pinned;		   // [const] the user chose the CPU
	uint64_t now_ns;	   // [worker] the clock, read once per round
	struct phx_list polled;	   // [worker] sources being polled
	struct phx_list parked;	   // [worker]
	struct phx_list dirty;	   // [worker] sources to flush
	struct phx_list *cursor;   // [worker] next source of this round
	struct source *current;	   // [worker] being polled, NULL once it has left
	int epoll_fd;		   // [worker]
	struct cmdq inbox;	   // [any>worker]
	struct timer_wheel timers; // [worker]
	struct memory_pool memory; // [worker] blocks for snapshots and frames
	struct rte_rcu_qsbr *qsbr; // [const] shared by all workers and control
	_Atomic(const struct service_set *) *services; // [ctl>worker] read once per burst
	_Atomic(const struct chain_set *) *chains;     // [ctl>worker] the same; NULL = no policies
	struct worker_stats stats;
	struct stats *calls;	     // [const] statistics of calls
	struct trace *trace;	     // [worker] calls are taken for it; NULL = none is traced
	struct trace_server *traced; // [worker] calls that peers trace
	_Atomic bool stop;	     // [ctl] worker_stop() was called
	struct cmd stop_cmd;	     // [ctl>worker] ends the loop after all commands before it
	bool stopping;		     // [worker]
	void *link_layer;	     // [worker] struct link_table, owned by dataplane/link

	uint32_t idle;		// [worker] rounds in a row without work
	uint32_t rounds;	// [worker] drives what happens every few rounds
	uint32_t busy_rounds;	// [worker] since the last check for parking
	uint32_t spin_ns;	// [const] longest spin before it yields, 0 = never
	uint64_t idle_since_ns; // [worker]
	uint64_t gap_ns;	// [worker] mean time between bursts of work
};

// Create worker `index` for lcore `lcore`. -ENOMEM, or what epoll/eventfd creation returned.
int worker_create(unsigned index, unsigned lcore, bool pinned, struct rte_rcu_qsbr *qsbr,
	struct worker **out_worker);
// The loop; the argument of rte_eal_remote_launch. Returns 0 after worker_stop().
int worker_main(void *worker);
// Ask the loop to end once the commands posted before have run; then join with
// rte_eal_wait_lcore(). Control thread; repeating it is harmless.
void worker_stop(struct worker *worker);
// After the loop has ended. NULL is legal.
void worker_destroy(struct worker *worker);

// Run fn(worker, cmd) on the worker's thread soon; cmd is the caller's memory until then (embed
// struct cmd). Any thread. Never fails: the inbox is intrusive and unbounded by nature, and
// whoever posts bounds what it has outstanding. Wakes the worker when it sleeps.
void worker_post(struct worker *worker, struct cmd *cmd, void (*fn)(struct worker *, struct cmd *));

// Add a source to the poll list and its fd (if any) to the epoll set. Worker thread. -errno of
// epoll_ctl; the source is on no list then.
int worker_source_add(struct worker *worker, struct source *source);
// Off all lists and out of the epoll set, without flushing. Before its fd is closed (another
// process may hold the same file, and then closing would not end its events). Legal from poll
// and flush of any source, and on one that was never added. Worker thread.
void worker_source_del(struct worker *worker, struct source *source);
// Make a parked source polled again (something for it came from elsewhere). Worker thread.
void worker_source_wake(struct worker *worker, struct source *source);
// Have source->ops->flush called once at the end of this round; a flushed source counts as
// active and is polled again. From inside flush: in the same round, after those before it.
// Worker thread, hot.
static inline void worker_source_dirty(struct source *source)
{
	if (source->dirty)
		return;
	source->dirty = true;
	if (source->worker != NULL)
		phx_list_add_tail(&source->worker->dirty, &source->dirty_node);
}

// Private to worker.c and worker_sleep.c.
#define WORKER_HOUSEKEEPING 32	// rounds between commands, timers, quiescent states
#define WORKER_PARK_ROUNDS  64	// idle polls until a source is parked while others work
#define WORKER_YIELDS	    200 // rounds that yield before sleep (performance.md 1: about 200)
// Wait for work after `idle` rounds without any: spin, yield or sleep.
void worker_wait(struct worker *worker);
// Unpark what fired, without blocking; returns how many sources that were.
unsigned worker_epoll_check(struct worker *worker);
void worker_source_park(struct worker *worker, struct source *source);

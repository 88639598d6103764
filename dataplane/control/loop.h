// SPDX-License-Identifier: BSD-3-Clause
// The event loop of the control thread: descriptors, timers and messages from workers. One
// owner, the control thread; only ctl_post() may be called from other threads. Callbacks may
// add and delete anything, themselves included.
#pragma once

#include "dataplane/core/cmdq.h"
#include "dataplane/core/timer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

// Embed it in what owns the descriptor. events are epoll's, level-triggered.
struct ctl_source {
	int fd;
	void (*fn)(struct ctl_source *source, uint32_t events);
};

#define CTL_EVENTS 64

struct ctl_loop {
	int epoll_fd;
	bool stopping;
	uint64_t now_ns; // monotonic, read once after each wait
	struct cmdq inbox;
	struct timer_wheel timers;
	struct epoll_event events[CTL_EVENTS]; // of the batch being handled
	int event_count;
};

// 0 or -errno of epoll or eventfd creation.
int ctl_loop_init(struct ctl_loop *loop);
// Legal on a loop whose init failed. Descriptors of sources stay their owners'.
void ctl_loop_fini(struct ctl_loop *loop);
// Until ctl_stop(). 0 or -errno of epoll.
int ctl_loop_run(struct ctl_loop *loop);
// One wait of at most max_ns and all that is due. 0 or -errno of epoll.
int ctl_loop_once(struct ctl_loop *loop, uint64_t max_ns);
// ctl_loop_run() returns after the current batch.
void ctl_stop(struct ctl_loop *loop);

// Watch source->fd for events (EPOLLIN, EPOLLOUT...; hang-up and error always). -errno of
// epoll_ctl. The source stays the caller's and must be deleted before its fd is closed.
int ctl_add(struct ctl_loop *loop, struct ctl_source *source, uint32_t events);
int ctl_mod(struct ctl_loop *loop, struct ctl_source *source, uint32_t events);
// Events of the same batch are dropped. Legal on a source with fd -1.
void ctl_del(struct ctl_loop *loop, struct ctl_source *source);

// Call fn(NULL, timer) at or after at_ns (monotonic); restarting moves it. timer_init() first.
void ctl_timer_start(struct ctl_loop *loop, struct timer *timer, uint64_t at_ns,
	void (*fn)(struct worker *, struct timer *));
// Legal on a timer that is not running.
void ctl_timer_stop(struct ctl_loop *loop, struct timer *timer);

// Any thread: run fn(NULL, cmd) on the control thread soon. cmd is the caller's memory.
void ctl_post(
	struct ctl_loop *loop, struct cmd *cmd, void (*fn)(struct worker *worker, struct cmd *cmd));

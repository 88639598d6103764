// SPDX-License-Identifier: BSD-3-Clause
// The event loop of the control plane: descriptors, timers, and SIGTERM and SIGINT as an
// event. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;

typedef void (*loop_fn)(void *arg);

// A descriptor or timer; the owner keeps it while it is in the loop.
struct loop_source {
	int fd;
	loop_fn fn;
	void *arg;
};

// Blocks SIGTERM and SIGINT and ignores SIGPIPE. 0 or -errno.
int loop_create(struct loop **out_loop);
void loop_destroy(struct loop *l);

// Call s->fn whenever s->fd is readable. 0 or -errno.
int loop_add(struct loop *l, struct loop_source *s);
// Only from outside of fn, or for the source that runs.
void loop_del(struct loop *l, struct loop_source *s);

// A one-shot timer: make s->fd (a timerfd; fn and arg are set by the caller) and add it.
int loop_add_timer(struct loop *l, struct loop_source *s);
// Fire once, after_ns from now; 0 disarms.
void loop_set_timer(struct loop_source *s, uint64_t after_ns);
void loop_del_timer(struct loop *l, struct loop_source *s);

// Run until a signal or loop_stop. 0 or -errno.
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

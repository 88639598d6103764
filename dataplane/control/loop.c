// SPDX-License-Identifier: BSD-3-Clause
// The control thread's loop over epoll; works with core/cmdq and core/timer.
#include "dataplane/control/loop.h"

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

#include <errno.h>
#include <unistd.h>

#define CMDS_PER_TURN	256
#define TIMERS_PER_TURN 256

int ctl_loop_init(struct ctl_loop *loop)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET}; // data.ptr NULL: the inbox
	int rc;

	*loop = (struct ctl_loop){.now_ns = phx_clock_ns(), .inbox.fd = -1};
	timer_wheel_init(&loop->timers, loop->now_ns);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = loop->epoll_fd < 0 ? -errno : cmdq_init(&loop->inbox);
	if (rc == 0 && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->inbox.fd, &event) != 0)
		rc = -errno;
	if (rc != 0)
		ctl_loop_fini(loop);
	return rc;
}

void ctl_loop_fini(struct ctl_loop *loop)
{
	cmdq_fini(&loop->inbox);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

// Milliseconds to wait, rounded up so that a timer is due when epoll returns.
static int ctl_timeout_ms(struct ctl_loop *loop, uint64_t max_ns)
{
	uint64_t next = timer_next_ns(&loop->timers), now = phx_clock_ns();
	uint64_t wait = next <= now ? 0 : phx_min(next - now, max_ns);

	if (wait > 3600 * PHX_NS_PER_S)
		wait = 3600 * PHX_NS_PER_S;
	return (int)((wait + PHX_NS_PER_MS - 1) / PHX_NS_PER_MS);
}

int ctl_loop_once(struct ctl_loop *loop, uint64_t max_ns)
{
	int i, n;

	cmdq_arm(&loop->inbox);
	n = epoll_wait(loop->epoll_fd, loop->events, CTL_EVENTS,
		cmdq_recheck(&loop->inbox) ? 0 : ctl_timeout_ms(loop, max_ns));
	cmdq_disarm(&loop->inbox);
	if (n < 0 && errno != EINTR)
		return -errno;
	loop->now_ns = phx_clock_ns();
	loop->event_count = phx_max(n, 0);
	for (i = 0; i < loop->event_count; i++) {
		struct ctl_source *source = loop->events[i].data.ptr;

		if (source != NULL) // the inbox, or deleted since
			source->fn(source, loop->events[i].events);
	}
	loop->event_count = 0;
	(void)cmdq_run(&loop->inbox, NULL, CMDS_PER_TURN);
	(void)timer_run(&loop->timers, NULL, loop->now_ns, TIMERS_PER_TURN);
	return 0;
}

int ctl_loop_run(struct ctl_loop *loop)
{
	int rc = 0;

	while (!loop->stopping && rc == 0)
		rc = ctl_loop_once(loop, UINT64_MAX);
	return rc;
}

void ctl_stop(struct ctl_loop *loop)
{
	loop->stopping = true;
}

static int ctl_change(struct ctl_loop *loop, int op, struct ctl_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	return epoll_ctl(loop->epoll_fd, op, source->fd, &event) == 0 ? 0 : -errno;
}

int ctl_add(struct ctl_loop *loop, struct ctl_source *source, uint32_t events)
{
	return ctl_change(loop, EPOLL_CTL_ADD, source, events);
}

int ctl_mod(struct ctl_loop *loop, struct ctl_source *source, uint32_t events)
{
	return ctl_change(loop, EPOLL_CTL_MOD, source, events);
}

void ctl_del(struct ctl_loop *loop, struct ctl_source *source)
{
	int i;

	if (source->fd >= 0)
		(void)ctl_change(loop, EPOLL_CTL_DEL, source, 0); // legal when it is not there
	for (i = 0; i < loop->event_count; i++) {
		if (loop->events[i].data.ptr == source)
			loop->events[i].data.ptr = NULL;
	}
}

void ctl_timer_start(struct ctl_loop *loop, struct timer *timer, uint64_t at_ns,
	void (*fn)(struct worker *, struct timer *))
{
	timer_start(&loop->timers, timer, at_ns, fn);
}

void ctl_timer_stop(struct ctl_loop *loop, struct timer *timer)
{
	timer_stop(&loop->timers, timer);
}

void ctl_post(struct ctl_loop *loop, struct cmd *cmd, void (*fn)(struct worker *, struct cmd *))
{
	cmd->fn = fn;
	cmdq_push(&loop->inbox, cmd);
}

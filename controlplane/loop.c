// SPDX-License-Identifier: BSD-3-Clause
// epoll, timerfd and signalfd behind loop.h.
#include "controlplane/loop.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct loop {
	int epoll_fd;
	struct loop_source signals;
	bool stopped;
};

static void signal_came(void *arg)
{
	loop_stop(arg);
}

static int open_signals(struct loop *l)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	l->signals = (struct loop_source){
		.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
		.fn = signal_came,
		.arg = l,
	};
	return l->signals.fd >= 0 ? loop_add(l, &l->signals) : -errno;
}

int loop_create(struct loop **out_loop)
{
	struct loop *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return -ENOMEM;
	l->signals.fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = l->epoll_fd >= 0 ? open_signals(l) : -errno;
	if (rc != 0) {
		loop_destroy(l);
		return rc;
	}
	*out_loop = l;
	return 0;
}

void loop_destroy(struct loop *l)
{
	if (l == NULL)
		return;
	if (l->signals.fd >= 0)
		close(l->signals.fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	free(l);
}

int loop_add(struct loop *l, struct loop_source *s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0 ? 0 : -errno;
}

void loop_del(struct loop *l, struct loop_source *s)
{
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL); // it was added
}

int loop_add_timer(struct loop *l, struct loop_source *s)
{
	int rc;

	s->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	rc = loop_add(l, s);
	if (rc != 0)
		close(s->fd);
	return rc;
}

void loop_set_timer(struct loop_source *s, uint64_t after_ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(after_ns / PHX_NS_PER_S),
			.tv_nsec = (long)(after_ns % PHX_NS_PER_S)},
	};

	// Setting a timer also clears its readiness; the arguments are valid.
	(void)timerfd_settime(s->fd, 0, &when, NULL);
}

void loop_del_timer(struct loop *l, struct loop_source *s)
{
	loop_del(l, s);
	close(s->fd);
}

int loop_run(struct loop *l)
{
	struct epoll_event ev;

	l->stopped = false;
	while (!l->stopped) {
		// One event a time, so that a source may be removed by another one.
		int n = epoll_wait(l->epoll_fd, &ev, 1, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 1) {
			struct loop_source *s = ev.data.ptr;

			s->fn(s->arg);
		}
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

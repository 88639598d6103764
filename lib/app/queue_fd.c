// SPDX-License-Identifier: BSD-3-Clause
// The descriptor of a queue for event loops: an epoll instance that stays the same while the bells
// in it come and go with the sessions, and a timer for work that no bell announces.
#include "lib/app/queue.h"
#include "lib/base/clock.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

int phx_queue_ask_fd(struct phx_session *s, uint32_t index, int *out_fd)
{
	struct phx_attach_queue_fd req = {.queue = index};
	struct phx_attach_request request = {.h = &req.h,
		.size = sizeof(req),
		.type = PHX_ATTACH_QUEUE_FD,
		.answer_size = sizeof(struct phx_attach_header),
		.answer_fds = 1};
	struct phx_attach_answer answer;
	int rc = phx_session_request(s, &request, &answer, NULL);

	if (rc == 0)
		*out_fd = answer.fds[0];
	return rc;
}

int phx_queue_watch(struct phx_queue *q, int bell_fd)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int rc = 0;

	if (q->bell_fd >= 0)
		(void)close(q->bell_fd); // which takes it out of the epoll instance
	q->bell_fd = bell_fd;
	if (bell_fd >= 0 && epoll_ctl(q->fd, EPOLL_CTL_ADD, bell_fd, &ev) != 0) {
		rc = -errno;
		(void)close(bell_fd); // of no use
		q->bell_fd = -1;
	}
	return rc;
}

// at_ns: phx_clock_ns time, 0: now, UINT64_MAX: never.
static void fd_set_timer(struct phx_queue *q, uint64_t at_ns) PHX_REQUIRES(q->lock)
{
	struct itimerspec it = {.it_value = {0, 0}};

	if (at_ns != UINT64_MAX) {
		at_ns = phx_max(at_ns, UINT64_C(1)); // 0 would stop it
		it.it_value.tv_sec = (time_t)(at_ns / PHX_NS_PER_S);
		it.it_value.tv_nsec = (long)(at_ns % PHX_NS_PER_S);
	}
	// Setting takes what it has counted out; it cannot fail for a valid time.
	(void)timerfd_settime(q->timer_fd, TFD_TIMER_ABSTIME, &it, NULL);
	q->timer_at = at_ns;
}

void phx_queue_wake_fd(struct phx_queue *q)
{
	if (q->timer_fd >= 0)
		fd_set_timer(q, 0);
}

static int fd_create(struct phx_queue *q, int bell_fd) PHX_REQUIRES(q->lock)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int rc = fd < 0 || timer < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, timer, &ev) != 0 ? -errno : 0;

	if (rc == 0) {
		q->fd = fd;
		q->timer_fd = timer;
		rc = phx_queue_watch(q, bell_fd);
		if (rc == 0)
			return 0;
		q->fd = -1;
		q->timer_fd = -1;
	} else {
		(void)close(bell_fd); // received, not used
	}
	if (fd >= 0)
		(void)close(fd); // ours alone
	if (timer >= 0)
		(void)close(timer);
	return rc;
}

int phx_fd(struct phx_queue *q)
{
	struct phx_context *ctx;
	int rc, bell = -1;

	if (q == NULL)
		return -EINVAL;
	ctx = q->context;
	rc = phx_context_check_build(ctx);
	if (rc)
		return rc;
	phx_lock_take(&ctx->control);
	phx_lock_take(&q->lock);
	rc = q->fd; // set once, under both
	phx_lock_give(&q->lock);
	if (rc < 0)
		rc = phx_queue_ask_fd(ctx->session, q->index, &bell);
	if (bell >= 0) {
		phx_lock_take(&q->lock);
		rc = fd_create(q, bell);
		rc = rc == 0 ? q->fd : rc;
		phx_lock_give(&q->lock);
	}
	phx_lock_give(&ctx->control);
	return rc;
}

// Take the bytes of earlier bells out. False: the other end is closed.
static bool fd_drain(int fd)
{
	char bytes[256];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n != 0;
}

// True: there is work, or the session has ended just now.
static bool fd_arm(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	uint64_t now = phx_clock_ns(), next;
	bool work;

	phx_call_overdue_look(q, now);
	next = phx_min(phx_call_wait_next(q), phx_call_overdue_next(q));

	if (q->bell_fd >= 0 && !fd_drain(q->bell_fd)) {
		(void)phx_queue_watch(q, -1); // it would be readable for ever
		return true;
	}
	if (q->timer_at != next || next <= now)
		fd_set_timer(q, next);
	phx_bell_disarm(&q->sleeper);
	phx_bell_arm(&q->sleeper);
	work = phx_queue_has_work(q, phx_ring_cons_recheck(&q->comp));
	q->fd_armed = !work;
	if (work && q->waiters == 0)
		phx_bell_disarm(&q->sleeper);
	return work;
}

int phx_fd_arm(struct phx_queue *q)
{
	bool hung_up = false;
	int rc;

	if (q == NULL)
		return -EINVAL;
	if (phx_context_forked(q->context))
		return -EPERM;
	phx_lock_take(&q->lock);
	phx_queue_flush(q);
	if (q->fd < 0) {
		rc = -EINVAL;
	} else if (phx_queue_has_work(q, phx_ring_cons_avail(&q->comp))) {
		rc = 1;
	} else if (q->ended && phx_context_over(q->context)) {
		rc = -ENOTCONN;
	} else {
		int before = q->bell_fd;

		rc = fd_arm(q);
		hung_up = before >= 0 && q->bell_fd < 0;
	}
	phx_lock_give(&q->lock);
	if (hung_up)
		phx_context_service(q->context); // polling ends the calls
	return rc;
}

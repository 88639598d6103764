// SPDX-License-Identifier: BSD-3-Clause
// Packets of app.sock: receiving with limits, sending without waiting. What comes in is hostile;
// attach_request.c interprets it.
#include "dataplane/frontend/attach_app.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKETS_PER_EVENT 8
#define SEND_RETRY_NS	  (10 * PHX_NS_PER_MS)

static void close_fds(const int *fds, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		close(fds[i]);
}

static uint32_t interest(const struct attach_app *app)
{
	return (app->busy ? 0 : EPOLLIN) | (app->packet_count != 0 ? EPOLLOUT : 0);
}

// An application that cannot be watched would wait for ever: closed.
static void set_interest(struct attach_app *app)
{
	uint32_t events = interest(app);

	if (events == app->watched)
		return;
	if (ctl_mod(app->server->config.loop, &app->socket, events) == 0)
		app->watched = events;
	else
		attach_close(app, PHX_REASON_NO_MEMORY, "app.sock cannot be watched");
}

void attach_set_busy(struct attach_app *app, bool busy)
{
	app->busy = busy;
	if (app->state != ATTACH_CLOSING)
		set_interest(app);
	else if (!busy)
		attach_close_continue(app);
}

void attach_packets_drop(struct attach_app *app)
{
	struct phx_list *node;

	while ((node = phx_list_pop(&app->packets)) != NULL) {
		struct attach_packet *p = phx_list_entry(node, struct attach_packet, node);

		close_fds(p->fds, p->fd_count);
		free(p);
	}
	app->packet_count = 0;
}

// 0; nothing sent: -EAGAIN no room in the socket, -ENOBUFS none in the kernel; else the peer is
// gone.
static int send_now(struct attach_app *app, const struct attach_packet *p)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PHX_ATTACH_FDS_MAX)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)p->data, .iov_len = p->size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (p->fd_count != 0) {
		struct cmsghdr *c;

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * p->fd_count);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * p->fd_count);
		memcpy(CMSG_DATA(c), p->fds, sizeof(int) * p->fd_count);
	}
	do
		n = sendmsg(app->socket.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	// Too many descriptors in flight: the applications have to read first.
	return errno == ENOMEM || errno == ETOOMANYREFS ? -ENOBUFS : -errno;
}

static void send_again(struct worker *worker, struct timer *timer);

// Send what waits; false when the application was closed.
static bool flush(struct attach_app *app)
{
	struct phx_list *node;

	while ((node = phx_list_first(&app->packets)) != NULL) {
		struct attach_packet *p = phx_list_entry(node, struct attach_packet, node);
		int rc = send_now(app, p);

		if (rc == -EAGAIN)
			break;
		if (rc == -ENOBUFS) {
			// No event tells when there is room again; meanwhile the socket is
			// writable.
			ctl_timer_start(app->server->config.loop, &app->retry,
				phx_clock_ns() + SEND_RETRY_NS, send_again);
			return true;
		}
		if (rc != 0) {
			attach_close(app, PHX_REASON_APP_EXIT, "socket broken");
			return false;
		}
		phx_list_del(node);
		app->packet_count--;
		close_fds(p->fds, p->fd_count);
		free(p);
	}
	set_interest(app);
	return !app->ending;
}

static void send_again(struct worker *worker, struct timer *timer)
{
	(void)worker;
	(void)flush(phx_container_of(timer, struct attach_app, retry)); // closes by itself
}

void attach_send(struct attach_app *app, void *packet, size_t size, uint16_t type, uint64_t id,
	const int *take_fds, unsigned fd_count)
{
	struct phx_attach_header h = {.type = type, .size = (uint32_t)size, .id = id};
	struct attach_packet *p;

	memcpy(packet, &h, sizeof(h));
	if (app->state == ATTACH_CLOSING || app->packet_count >= ATTACH_SEND_QUEUE) {
		close_fds(take_fds, fd_count);
		attach_close(app, PHX_REASON_SLOW_CONSUMER, "does not read app.sock");
		return;
	}
	p = malloc(sizeof(*p) + size);
	if (p == NULL) {
		close_fds(take_fds, fd_count);
		attach_close(app, PHX_REASON_NO_MEMORY, "no memory for an answer");
		return;
	}
	p->size = size;
	p->fd_count = fd_count;
	if (fd_count != 0)
		memcpy(p->fds, take_fds, fd_count * sizeof(int));
	memcpy(p->data, packet, size);
	phx_list_add_tail(&app->packets, &p->node);
	app->packet_count++;
	(void)flush(app); // closes by itself
}

void attach_reply(struct attach_app *app, uint64_t id)
{
	struct phx_attach_header h;

	attach_send(app, &h, sizeof(h), PHX_ATTACH_REPLY, id, NULL, 0);
}

void attach_refuse(struct attach_app *app, uint64_t id, enum phx_code code, enum phx_reason reason,
	const char *text)
{
	struct {
		struct phx_attach_refused r;
		char text[PHX_LIMIT_STATUS_TEXT_BYTES];
	} packet = {.r = {.code = code,
			    .reason = reason,
			    .min = PHX_ATTACH_MIN,
			    .max = PHX_ATTACH_MAX}};
	size_t len = text == NULL ? 0 : strnlen(text, sizeof(packet.text));

	packet.r.text_len = (uint32_t)len;
	if (len != 0)
		memcpy((uint8_t *)&packet + sizeof(packet.r), text, len);
	attach_send(app, &packet, sizeof(packet.r) + len,
		id == 0 ? PHX_ATTACH_EVENT_DETACH : PHX_ATTACH_REFUSED, id, NULL, 0);
}

void attach_refuse_errno(struct attach_app *app, uint64_t id, int rc, const char *text)
{
	switch (rc) {
	case -ENOENT:
		attach_refuse(app, id, PHX_NOT_FOUND, PHX_REASON_INVALID, text);
		break;
	case -EEXIST:
		attach_refuse(app, id, PHX_ALREADY_EXISTS, PHX_REASON_INVALID, text);
		break;
	case -EINVAL:
	case -E2BIG:
		attach_refuse(app, id, PHX_INVALID_ARGUMENT,
			rc == -E2BIG ? PHX_REASON_TOO_LARGE : PHX_REASON_INVALID, text);
		break;
	case -EACCES:
		attach_refuse(app, id, PHX_PERMISSION_DENIED, PHX_REASON_DENIED, text);
		break;
	case -ENOMEM:
	case -ENOSPC:
	case -EMFILE:
	case -ENFILE:
		attach_refuse(app, id, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY, text);
		break;
	default:
		attach_refuse(app, id, PHX_INTERNAL, PHX_REASON_INTERNAL, text);
	}
}

// Handle one packet; false when none is there or the application was closed.
static bool receive(struct attach_app *app)
{
	struct attach_server *server = app->server;
	struct iovec iov = {.iov_base = server->packet, .iov_len = PHX_ATTACH_PACKET_MAX};
	// Without room for control data the kernel never installs a descriptor in this process; it
	// closes them and says MSG_CTRUNC.
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = recvmsg(app->socket.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct phx_attach_header h;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n >= 0 && (m.msg_flags & MSG_CTRUNC) != 0) {
		attach_close(app, PHX_REASON_FD_UNEXPECTED, "sent descriptors");
		return false;
	}
	if (n <= 0) {
		attach_close(app, PHX_REASON_APP_EXIT, "closed app.sock");
		return false;
	}
	if ((m.msg_flags & MSG_TRUNC) != 0 || (size_t)n < sizeof(h)) {
		attach_close(app, PHX_REASON_HELLO_STATE, "packet of a size that cannot be");
		return false;
	}
	memcpy(&h, server->packet, sizeof(h));
	if (h.size != (size_t)n || h.flags != 0 || h.id == 0) {
		attach_close(app, PHX_REASON_HELLO_STATE, "bad packet header");
		return false;
	}
	attach_request(app, server->packet, (size_t)n);
	return true;
}

static void socket_event(struct ctl_source *source, uint32_t events)
{
	struct attach_app *app = phx_container_of(source, struct attach_app, socket);
	int i;

	if ((events & EPOLLOUT) != 0 && !flush(app))
		return;
	if (app->busy && (events & (EPOLLHUP | EPOLLERR)) != 0) {
		attach_close(app, PHX_REASON_APP_EXIT, "closed app.sock");
		return;
	}
	for (i = 0; i < PACKETS_PER_EVENT; i++) {
		if (app->state == ATTACH_CLOSING || app->busy || !receive(app))
			return;
	}
}

static void process_event(struct ctl_source *source, uint32_t events)
{
	(void)events;
	attach_close(phx_container_of(source, struct attach_app, process), PHX_REASON_APP_EXIT,
		"process ended");
}

static void hello_timeout(struct worker *worker, struct timer *timer)
{
	(void)worker;
	attach_close(phx_container_of(timer, struct attach_app, timer), PHX_REASON_HELLO_TIMEOUT,
		"no complete hello in time");
}

static int watch(struct attach_app *app)
{
	struct ctl_loop *loop = app->server->config.loop;
	int rc = ctl_add(loop, &app->socket, EPOLLIN);

	if (rc != 0 || app->identity.pidfd < 0)
		return rc;
	app->process = (struct ctl_source){app->identity.pidfd, process_event};
	rc = ctl_add(loop, &app->process, EPOLLIN);
	if (rc != 0)
		ctl_del(loop, &app->socket);
	return rc;
}

int attach_app_accept(struct attach_server *server, int fd)
{
	struct attach_app *app = calloc(1, sizeof(*app));
	int rc;

	if (app == NULL)
		return -ENOMEM;
	rc = identity_measure(fd, &app->identity);
	if (rc != 0) {
		free(app);
		return rc;
	}
	app->server = server;
	app->id = ++server->next_id;
	app->since_ns = attach_wall_ns();
	app->doorbell = -1;
	app->socket = (struct ctl_source){fd, socket_event};
	app->process.fd = -1;
	timer_init(&app->timer);
	timer_init(&app->retry);
	app->watched = EPOLLIN;
	phx_list_init(&app->packets);
	rc = watch(app);
	if (rc != 0) {
		identity_fini(&app->identity);
		free(app);
		return rc;
	}
	phx_list_add_tail(&server->apps, &app->node);
	server->app_count++;
	server->pending_count++;
	ctl_timer_start(server->config.loop, &app->timer, phx_clock_ns() + PHX_ATTACH_HELLO_NS,
		hello_timeout);
	return 0;
}

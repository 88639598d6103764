// SPDX-License-Identifier: BSD-3-Clause
// The application's end of app.sock, used by libphoenix (lib/app). Peer: dataplane/frontend.
#include "lib/attach/client.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int phx_attach_client_init(struct phx_attach_client *c, phx_attach_event_fn event, void *arg)
{
	uint8_t *packet = malloc(PHX_ATTACH_PACKET_MAX);

	if (packet == NULL)
		return -ENOMEM;
	*c = (struct phx_attach_client){
		.fd = -1, .next_id = 1, .packet = packet, .event = event, .arg = arg};
	return 0;
}

void phx_attach_client_fini(struct phx_attach_client *c)
{
	phx_attach_client_close(c);
	free(c->packet);
	c->packet = NULL;
}

void phx_attach_client_close(struct phx_attach_client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd); // nothing to do about a failure
	c->fd = -1;
}

int phx_attach_client_connect(struct phx_attach_client *c, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
		rc = -errno;
		(void)close(fd); // it never was of use
		return rc;
	}
	phx_attach_client_close(c);
	c->fd = fd;
	return 0;
}

void phx_attach_answer_fini(struct phx_attach_answer *answer)
{
	for (unsigned i = 0; i < answer->fd_count; i++)
		if (answer->fds[i] >= 0)
			(void)close(answer->fds[i]); // received, not wanted
	answer->fd_count = 0;
}

// Wait for `events` on the socket until deadline_ns. 0, -ETIMEDOUT.
static int client_wait(const struct phx_attach_client *c, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd p = {.fd = c->fd, .events = events};
		uint64_t now = phx_clock_ns();
		struct timespec ts;
		uint64_t left;
		int n;

		left = deadline_ns > now ? deadline_ns - now : 0;
		left = left > 3600 * PHX_NS_PER_S ? 3600 * PHX_NS_PER_S : left;
		ts.tv_sec = (time_t)(left / PHX_NS_PER_S);
		ts.tv_nsec = (long)(left % PHX_NS_PER_S);
		n = ppoll(&p, 1, &ts, NULL);
		if (n > 0)
			return 0;
		if (n == 0 && phx_clock_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int client_send(struct phx_attach_client *c, const struct iovec *iov, size_t iov_count)
{
	struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = iov_count};

	for (;;) {
		if (sendmsg(c->fd, &m, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			return -EAGAIN;
		if (errno == EMSGSIZE)
			return -EINVAL;
		// The reason for the end may still stand in the receive buffer.
		return -EPIPE;
	}
}

// Descriptors of a received message. False: more than fit, or control data was cut off.
static bool client_take_fds(struct msghdr *m, struct phx_attach_answer *a)
{
	bool ok = (m->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(m); cm != NULL; cm = CMSG_NXTHDR(m, cm)) {
		size_t count;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (a->fd_count < PHX_ATTACH_FDS_MAX) {
				a->fds[a->fd_count++] = fd;
			} else {
				(void)close(fd); // not announced by any packet
				ok = false;
			}
		}
	}
	return ok;
}

// Is the packet of `size` bytes with these descriptors one that this protocol knows?
static bool client_packet_ok(const struct phx_attach_answer *a, size_t size, bool cut)
{
	const struct phx_attach_header *h = a->h;

	if (cut || size < sizeof(*h) || h->size != size)
		return false;
	switch (h->type) {
	case PHX_ATTACH_REPLY:
		return h->id != 0;
	case PHX_ATTACH_EVENT_REGION:
		return h->id == 0 && size == sizeof(struct phx_attach_region_rep) &&
		       a->fd_count == 1;
	case PHX_ATTACH_EVENT_DETACH:
	case PHX_ATTACH_REFUSED:
		return size >= sizeof(struct phx_attach_refused) && a->fd_count == 0 &&
		       phx_attach_refused_of(h)->text_len <= PHX_LIMIT_STATUS_TEXT_BYTES &&
		       size == sizeof(struct phx_attach_refused) +
				       phx_attach_refused_of(h)->text_len;
	default:
		return false;
	}
}

// Receive one packet. 0; -EAGAIN: none there; -ENOTCONN, -EPROTO: closed.
static int client_receive(struct phx_attach_client *c, struct phx_attach_answer *a)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * (PHX_ATTACH_FDS_MAX + 1))];
	} control;
	struct iovec iov = {.iov_base = c->packet, .iov_len = PHX_ATTACH_PACKET_MAX};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	if (c->fd < 0)
		return -ENOTCONN;
	do
		n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n <= 0) {
		phx_attach_client_close(c);
		return -ENOTCONN;
	}
	*a = (struct phx_attach_answer){.h = (const struct phx_attach_header *)(void *)c->packet};
	if (!client_take_fds(&m, a) ||
		!client_packet_ok(a, (size_t)n, (m.msg_flags & MSG_TRUNC) != 0)) {
		phx_attach_answer_fini(a);
		phx_attach_client_close(c);
		return -EPROTO;
	}
	return 0;
}

// Hand an event to the owner, drop an answer that nobody waits for any more.
static void client_dispatch(struct phx_attach_client *c, struct phx_attach_answer *a)
{
	if (a->h->type == PHX_ATTACH_EVENT_REGION) {
		c->event(c->arg, a->h, a->fds[0]);
		a->fds[0] = -1;
	} else if (a->h->type == PHX_ATTACH_EVENT_DETACH) {
		c->event(c->arg, a->h, -1);
	}
	phx_attach_answer_fini(a);
}

int phx_attach_client_poll(struct phx_attach_client *c)
{
	struct phx_attach_answer a;
	int done = 0, rc;

	while ((rc = client_receive(c, &a)) == 0) {
		client_dispatch(c, &a);
		done++;
	}
	return rc == -EAGAIN ? done : rc;
}

static int client_await(struct phx_attach_client *c, const struct phx_attach_request *request,
	uint64_t deadline_ns, struct phx_attach_answer *out_answer)
{
	struct phx_attach_answer a;
	int rc;

	for (;;) {
		rc = client_receive(c, &a);
		if (rc == -EAGAIN) {
			rc = client_wait(c, POLLIN, deadline_ns);
			if (rc)
				return rc;
			continue;
		}
		if (rc)
			return rc;
		if (a.h->id == request->h->id)
			break;
		client_dispatch(c, &a);
	}
	if (a.h->type == PHX_ATTACH_REFUSED) {
		*out_answer = a;
		return -EREMOTEIO;
	}
	if (a.h->size != request->answer_size || a.fd_count != request->answer_fds) {
		phx_attach_answer_fini(&a);
		phx_attach_client_close(c);
		return -EPROTO;
	}
	*out_answer = a;
	return 0;
}

int phx_attach_client_request(struct phx_attach_client *c, const struct phx_attach_request *request,
	uint64_t deadline_ns, struct phx_attach_answer *out_answer)
{
	struct iovec iov[2] = {
		{request->h, request->size}, {(void *)(uintptr_t)request->tail, request->tail_len}};
	size_t size = request->size + request->tail_len;
	int rc;

	if (size > PHX_ATTACH_PACKET_MAX)
		return -EINVAL;
	if (c->fd < 0)
		return -ENOTCONN;
	*request->h = (struct phx_attach_header){
		.type = request->type, .size = (uint32_t)size, .id = c->next_id++};
	while ((rc = client_send(c, iov, request->tail_len ? 2 : 1)) == -EAGAIN) {
		rc = client_wait(c, POLLOUT, deadline_ns);
		if (rc)
			return rc;
	}
	if (rc == -EINVAL)
		return rc;
	if (rc == -EPIPE) {
		// Read what was said before the end, then report the end.
		rc = phx_attach_client_poll(c);
		phx_attach_client_close(c);
		return rc == -EPROTO ? rc : -ENOTCONN;
	}
	return client_await(c, request, deadline_ns, out_answer);
}

int phx_attach_client_post(
	struct phx_attach_client *c, struct phx_attach_header *h, size_t size, uint16_t type)
{
	struct iovec iov = {h, size};
	int rc;

	if (c->fd < 0)
		return -ENOTCONN;
	*h = (struct phx_attach_header){.type = type, .size = (uint32_t)size, .id = c->next_id++};
	rc = client_send(c, &iov, 1);
	return rc == -EPIPE ? -ENOTCONN : rc;
}

// SPDX-License-Identifier: BSD-3-Clause
// See exchange.h. Works with inbound.c (acceptor) and outbound.c (dialer).
#include "dataplane/link/exchange.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void exchange_init(struct exchange *x, struct ctl_loop *loop)
{
	x->loop = loop;
	x->source.fd = -1;
	timer_init(&x->timer);
}

void exchange_stop(struct exchange *x)
{
	int fd = exchange_take_fd(x);

	if (fd >= 0)
		(void)close(fd); // the connection ends either way
}

int exchange_take_fd(struct exchange *x)
{
	int fd = x->source.fd;

	ctl_timer_stop(x->loop, &x->timer);
	if (fd < 0)
		return -1;
	ctl_del(x->loop, &x->source);
	x->source.fd = -1;
	return fd;
}

static void fail(struct exchange *x, int rc, enum phx_reason reason, const char *what)
{
	x->reason = reason;
	if (rc == -EPROTO || rc == -ETIMEDOUT || rc == -ECONNRESET)
		(void)snprintf(x->text, sizeof(x->text), "%s", what);
	else
		(void)snprintf(x->text, sizeof(x->text), "%s: %s", what, strerror(-rc));
	exchange_stop(x);
	x->done(x, rc);
}

static void timed_out(struct worker *worker, struct timer *timer)
{
	struct exchange *x = phx_container_of(timer, struct exchange, timer);

	(void)worker;
	fail(x, -ETIMEDOUT, PHX_REASON_W_IDLE,
		x->connecting ? "connecting timed out" : "no hello came in time");
}

// A few hundred bytes on a fresh connection: they fit its buffer or it is not worth keeping.
static int send_frame(struct exchange *x, const struct phx_frame *f, const void *payload)
{
	uint8_t out[PHX_FRAME_HEADER + PHX_LIMIT_STATUS_TEXT_BYTES];
	uint32_t len = phx_frame_body_len(f);
	ssize_t n;

	phx_frame_encode(f, out);
	memcpy(out + PHX_FRAME_HEADER, payload, len);
	n = send(x->source.fd, out, PHX_FRAME_HEADER + len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n == (ssize_t)(PHX_FRAME_HEADER + len) ? 0 : -EPIPE;
}

static int send_hello(struct exchange *x, uint16_t flags)
{
	const struct phx_frame f = {
		.type = PHX_FRAME_HELLO,
		.flags = flags,
		.payload_len = PHX_WIRE_HELLO_BYTES,
	};
	uint8_t bytes[PHX_WIRE_HELLO_BYTES];

	phx_wire_hello_encode(&x->own, bytes);
	return send_frame(x, &f, bytes);
}

int exchange_answer(struct exchange *x, const struct phx_wire_hello *own)
{
	uint16_t version = phx_min(x->peer.max, (uint16_t)PHX_WIRE_MAX);

	x->own = *own;
	x->own.min = x->own.max = version;
	x->own.features |= x->peer.features & PHX_WIRE_FEATURE_CRC;		 // either wants it
	x->own.features &= x->peer.features | ~(uint64_t)PHX_WIRE_FEATURE_TRACE; // both know it
	return send_hello(x, PHX_FRAME_F_REPLY);
}

void exchange_refuse(
	struct exchange *x, enum phx_code code, enum phx_reason reason, const char *text)
{
	const struct phx_frame f = {
		.type = PHX_FRAME_REFUSED,
		.flags = PHX_FRAME_F_REPLY,
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.reason = (uint16_t)reason,
		.text_len = (uint16_t)strnlen(text, PHX_LIMIT_STATUS_TEXT_BYTES),
	};

	(void)send_frame(x, &f, text); // a courtesy
}

// ---- reading ----

// The peer's words for the log: printable ASCII only.
static void refusal_text(struct exchange *x)
{
	uint32_t n = phx_min((uint32_t)x->frame.text_len, (uint32_t)EXCHANGE_TEXT - 32);
	int at = snprintf(x->text, sizeof(x->text), "refused: %s: ", phx_code_name(x->frame.code));

	for (uint32_t i = 0; i < n && at < EXCHANGE_TEXT - 1; i++) {
		char c = (char)x->in[PHX_FRAME_HEADER + i];

		x->text[at++] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	x->text[at] = '\0';
}

static void refuse_version(struct exchange *x)
{
	const uint8_t *hello = x->in + PHX_FRAME_HEADER;
	char text[PHX_LIMIT_STATUS_TEXT_BYTES];
	unsigned min, max;

	phx_wire_hello_versions(hello, &min, &max);
	(void)snprintf(text, sizeof(text),
		"no wire version in common: this side speaks %u to %u, the other %u to %u",
		(unsigned)PHX_WIRE_MIN, (unsigned)PHX_WIRE_MAX, min, max);
	exchange_refuse(x, PHX_FAILED_PRECONDITION, PHX_REASON_W_VERSION, text);
}

static void complete(struct exchange *x)
{
	enum phx_reason reason = (enum phx_reason)x->frame.reason;

	if (x->frame.type == PHX_FRAME_REFUSED) {
		char text[EXCHANGE_TEXT];

		refusal_text(x);
		memcpy(text, x->text, sizeof(text));
		fail(x, -ECONNRESET, reason, text);
		return;
	}
	if (phx_wire_hello_decode(x->in + PHX_FRAME_HEADER, &x->peer, &reason) != 0) {
		if (!x->dialer && reason == PHX_REASON_W_VERSION)
			refuse_version(x);
		fail(x, -EPROTO, reason, "the hello is not acceptable");
		return;
	}
	ctl_timer_stop(x->loop, &x->timer);
	x->complete = true;
	// What follows the hello waits in the socket for the worker.
	(void)ctl_mod(x->loop, &x->source, 0);
	x->done(x, 0);
}

static bool frame_fits(const struct exchange *x)
{
	const struct phx_frame *f = &x->frame;
	bool reply = (f->flags & PHX_FRAME_F_REPLY) != 0;

	if (f->type == PHX_FRAME_HELLO)
		return reply == x->dialer && phx_frame_body_len(f) == PHX_WIRE_HELLO_BYTES &&
		       f->payload_len == PHX_WIRE_HELLO_BYTES;
	return x->dialer && f->type == PHX_FRAME_REFUSED && reply &&
	       phx_frame_body_len(f) == f->text_len;
}

static void read_more(struct exchange *x)
{
	for (;;) {
		uint32_t want = PHX_FRAME_HEADER + (x->body ? phx_frame_body_len(&x->frame) : 0);
		enum phx_reason reason = PHX_REASON_W_STATE;
		ssize_t n;

		if (x->in_len < want) {
			n = recv(x->source.fd, x->in + x->in_len, want - x->in_len, MSG_DONTWAIT);
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				return;
			if (n < 0) {
				fail(x, -errno, PHX_REASON_W_RESET, "hello");
				return;
			}
			if (n == 0) {
				fail(x, -ECONNRESET, PHX_REASON_W_RESET,
					"closed by the peer before its hello");
				return;
			}
			x->in_len += (uint32_t)n;
			if (!x->body && x->in_len >= 4 && phx_le32_load(x->in) != PHX_WIRE_MAGIC) {
				fail(x, -EPROTO, PHX_REASON_W_MAGIC, "not a Phoenix dataplane");
				return;
			}
			continue;
		}
		if (x->body) {
			complete(x);
			return;
		}
		if (phx_frame_decode(x->in, &x->frame, &reason) != 0 || !frame_fits(x)) {
			fail(x, -EPROTO, reason, "its hello is damaged or of another version");
			return;
		}
		x->body = true;
	}
}

static void connected(struct exchange *x)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(x->source.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		fail(x, -error, PHX_REASON_LINK_DOWN, "connect");
		return;
	}
	x->connecting = false;
	if (send_hello(x, 0) != 0) {
		fail(x, -EPIPE, PHX_REASON_W_RESET, "hello");
		return;
	}
	(void)ctl_mod(x->loop, &x->source, EPOLLIN);
}

static void event(struct ctl_source *source, uint32_t events)
{
	struct exchange *x = phx_container_of(source, struct exchange, source);

	if (x->connecting)
		connected(x);
	else if ((events & EPOLLIN) != 0 && !x->complete)
		read_more(x);
	else
		fail(x, -ECONNRESET, PHX_REASON_W_RESET, "connection reset");
}

// ---- start ----

static int start(struct exchange *x, uint32_t events, uint64_t timeout_ns)
{
	int rc = ctl_add(x->loop, &x->source, events);

	if (rc != 0) {
		(void)close(x->source.fd); // never used
		x->source.fd = -1;
		return rc;
	}
	ctl_timer_start(x->loop, &x->timer, x->loop->now_ns + timeout_ns, timed_out);
	return 0;
}

int exchange_dial(struct exchange *x, const struct sockaddr *to, socklen_t to_len,
	const struct phx_wire_hello *own, uint64_t timeout_ns, exchange_fn done)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (connect(fd, to, to_len) != 0 && errno != EINPROGRESS) {
		rc = -errno;
		(void)close(fd); // never used
		return rc;
	}
	x->source = (struct ctl_source){.fd = fd, .fn = event};
	x->dialer = true;
	x->connecting = true;
	x->body = x->complete = false;
	x->in_len = 0;
	x->own = *own;
	x->done = done;
	return start(x, EPOLLOUT, timeout_ns);
}

int exchange_accept(struct exchange *x, int take_fd, uint64_t timeout_ns, exchange_fn done)
{
	x->source = (struct ctl_source){.fd = take_fd, .fn = event};
	x->dialer = false;
	x->connecting = false;
	x->body = x->complete = false;
	x->in_len = 0;
	x->done = done;
	return start(x, EPOLLIN, timeout_ns);
}

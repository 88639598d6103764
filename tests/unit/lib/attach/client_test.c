// SPDX-License-Identifier: BSD-3-Clause
// The application's end of app.sock against a peer that says right and wrong things.
#include "lib/attach/client.h"

#include "lib/base/clock.h"
#include "lib/base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS UINT64_C(10000000000)

struct peer {
	struct phx_attach_client client;
	int fd; // the dataplane's end
	unsigned regions, detaches;
	uint32_t offset;  // of the region announced last
	uint32_t reason;  // of the detach
	bool fd_is_valid; // of the region
};

static void on_event(void *arg, const struct phx_attach_header *h, int fd)
{
	struct peer *p = arg;

	if (h->type == PHX_ATTACH_EVENT_REGION) {
		p->regions++;
		p->offset = ((const struct phx_attach_region_rep *)(const void *)h)->region.offset;
		p->fd_is_valid = fcntl(fd, F_GETFD) == FD_CLOEXEC;
		close(fd);
	} else {
		p->detaches++;
		p->reason = phx_attach_refused_of(h)->reason;
		assert_int_equal(-1, fd);
	}
}

static void peer_open(struct peer *p)
{
	int pair[2];

	memset(p, 0, sizeof(*p));
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair));
	assert_int_equal(0, phx_attach_client_init(&p->client, on_event, p));
	p->client.fd = pair[0];
	p->fd = pair[1];
}

static void peer_close(struct peer *p)
{
	phx_attach_client_fini(&p->client);
	close(p->fd);
}

// Send a packet of `size` bytes with fd_count copies of descriptor 0.
static void peer_send(struct peer *p, const void *packet, size_t size, unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
	} control = {.bytes = {0}};
	struct iovec iov = {(void *)(uintptr_t)packet, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count != 0) {
		struct cmsghdr *c;
		int fds[16] = {0};

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	assert_int_equal(size, sendmsg(p->fd, &m, 0));
}

// The answer waits in the socket before the request is sent: ids are 1, 2, 3...
static int request(struct peer *p, size_t answer_size, unsigned fds, uint64_t timeout_ns,
	struct phx_attach_answer *out)
{
	struct phx_attach_handle_req req = {.handle = 5};
	struct phx_attach_request r = {.h = &req.h,
		.size = sizeof(req),
		.tail = "tail",
		.tail_len = 4,
		.type = PHX_ATTACH_CHANNEL_CLOSE,
		.answer_size = answer_size,
		.answer_fds = fds};

	return phx_attach_client_request(&p->client, &r, phx_clock_ns() + timeout_ns, out);
}

static struct phx_attach_handle_rep reply_of(uint64_t id)
{
	return (struct phx_attach_handle_rep){.h = {.type = PHX_ATTACH_REPLY,
						      .size = sizeof(struct phx_attach_handle_rep),
						      .id = id},
		.handle = 99};
}

static void request_gets_its_answer(void **)
{
	struct phx_attach_handle_rep rep = reply_of(1);
	struct {
		struct phx_attach_handle_req req;
		char tail[4];
		char more;
	} seen;
	struct phx_attach_answer a;
	struct peer p;

	peer_open(&p);
	peer_send(&p, &rep, sizeof(rep), 0);
	assert_int_equal(0, request(&p, sizeof(rep), 0, PATIENCE_NS, &a));
	assert_int_equal(99, ((const struct phx_attach_handle_rep *)(const void *)a.h)->handle);
	assert_int_equal(sizeof(seen.req) + 4, recv(p.fd, &seen, sizeof(seen), 0));
	assert_int_equal(sizeof(seen.req) + 4, seen.req.h.size);
	assert_int_equal(PHX_ATTACH_CHANNEL_CLOSE, seen.req.h.type);
	assert_int_equal(1, seen.req.h.id);
	assert_memory_equal("tail", seen.tail, 4);
	peer_close(&p);
}

static void request_skips_events_and_old_answers(void **)
{
	struct phx_attach_region_rep event = {
		.h = {.type = PHX_ATTACH_EVENT_REGION, .size = sizeof(event)},
		.region = {.offset = 4096}};
	struct phx_attach_handle_rep old = reply_of(700), rep = reply_of(1);
	struct phx_attach_answer a;
	struct peer p;

	peer_open(&p);
	peer_send(&p, &event, sizeof(event), 1);
	peer_send(&p, &old, sizeof(old), 0);
	peer_send(&p, &rep, sizeof(rep), 0);
	assert_int_equal(0, request(&p, sizeof(rep), 0, PATIENCE_NS, &a));
	assert_int_equal(1, p.regions);
	assert_int_equal(4096, p.offset);
	assert_true(p.fd_is_valid);
	peer_close(&p);
}

static void request_refusal_has_its_text(void **)
{
	struct {
		struct phx_attach_refused r;
		char text[4];
	} packet = {.r = {.h = {.type = PHX_ATTACH_REFUSED, .id = 1},
			    .code = PHX_PERMISSION_DENIED,
			    .reason = PHX_REASON_DENIED,
			    .text_len = 4},
		.text = {'n', 'o', 'p', 'e'}};
	struct phx_attach_answer a;
	struct peer p;

	peer_open(&p);
	packet.r.h.size = sizeof(packet.r) + 4;
	peer_send(&p, &packet, sizeof(packet.r) + 4, 0);
	assert_int_equal(-EREMOTEIO, request(&p, 24, 0, PATIENCE_NS, &a));
	assert_int_equal(PHX_REASON_DENIED, phx_attach_refused_of(a.h)->reason);
	assert_memory_equal("nope", phx_attach_refused_of(a.h) + 1, 4);
	peer_close(&p);
}

static void request_without_answer_times_out(void **)
{
	struct phx_attach_handle_rep late = reply_of(1), rep = reply_of(2);
	struct phx_attach_answer a;
	struct peer p;

	peer_open(&p);
	assert_int_equal(-ETIMEDOUT, request(&p, sizeof(rep), 0, 1000000, &a));
	peer_send(&p, &late, sizeof(late), 0); // nobody waits for it any more
	peer_send(&p, &rep, sizeof(rep), 0);
	assert_int_equal(0, request(&p, sizeof(rep), 0, PATIENCE_NS, &a));
	peer_close(&p);
}

static void request_after_hang_up_is_enotconn(void **)
{
	struct phx_attach_answer a;
	struct peer p;

	peer_open(&p);
	shutdown(p.fd, SHUT_RDWR);
	assert_int_equal(-ENOTCONN, request(&p, 24, 0, PATIENCE_NS, &a));
	assert_int_equal(-ENOTCONN, request(&p, 24, 0, PATIENCE_NS, &a));
	assert_int_equal(-ENOTCONN, phx_attach_client_poll(&p.client));
	peer_close(&p);
}

// What the dataplane must never send; each ends the connection with -EPROTO.
static void nonsense_is_eproto(void **)
{
	struct bad {
		struct phx_attach_refused r;
		size_t size;
		unsigned fds;
	};
	const struct phx_attach_header reply = {
		.type = PHX_ATTACH_REPLY, .id = 1, .size = sizeof(struct phx_attach_handle_rep)};
	const struct phx_attach_header region = {
		.type = PHX_ATTACH_EVENT_REGION, .size = sizeof(struct phx_attach_region_rep)};
	const struct phx_attach_header refused = {
		.type = PHX_ATTACH_REFUSED, .id = 1, .size = sizeof(struct phx_attach_refused)};
	struct bad bad[] = {
		{.r.h = reply, .size = 8},				   // cut off
		{.r.h = reply, .size = sizeof(struct phx_attach_refused)}, // size disagrees
		{.r.h = reply, .size = sizeof(struct phx_attach_handle_rep), .fds = 1},
		{.r.h = reply, .size = sizeof(struct phx_attach_handle_rep), .fds = 9},
		{.r.h = {.type = PHX_ATTACH_REPLY, .id = 1, .size = 16}, .size = 16},
		{.r.h = {.type = PHX_ATTACH_HELLO, .id = 1, .size = 16}, .size = 16},
		{.r.h = {.type = 9999, .size = 16}, .size = 16},
		{.r.h = {.type = PHX_ATTACH_REPLY, .id = 0, .size = 16}, .size = 16},
		{.r = {.h = refused, .text_len = 1}, .size = sizeof(struct phx_attach_refused)},
		{.r = {.h = refused, .text_len = UINT32_MAX},
			.size = sizeof(struct phx_attach_refused)},
		{.r.h = refused, .size = sizeof(struct phx_attach_refused), .fds = 1},
		{.r.h = region, .size = sizeof(struct phx_attach_region_rep)}, // no descriptor
		{.r.h = region, .size = sizeof(struct phx_attach_region_rep), .fds = 2},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t packet[256] = {0};
		struct phx_attach_answer a;
		struct peer p;
		int before = dup(0);

		close(before);
		peer_open(&p);
		memcpy(packet, &bad[i].r, sizeof(bad[i].r));
		peer_send(&p, packet, bad[i].size, bad[i].fds);
		assert_int_equal(-EPROTO,
			request(&p, sizeof(struct phx_attach_handle_rep), 0, PATIENCE_NS, &a));
		assert_int_equal(-1, p.client.fd);
		assert_int_equal(0, p.regions);
		peer_close(&p);
		// No descriptor was left open.
		assert_int_equal(before, dup(0));
		close(before);
	}
}

static void poll_delivers_detach(void **)
{
	struct phx_attach_refused detach = {
		.h = {.type = PHX_ATTACH_EVENT_DETACH, .size = sizeof(detach)},
		.reason = PHX_REASON_ADMIN};
	struct peer p;

	peer_open(&p);
	assert_int_equal(0, phx_attach_client_poll(&p.client));
	peer_send(&p, &detach, sizeof(detach), 0);
	assert_int_equal(1, phx_attach_client_poll(&p.client));
	assert_int_equal(1, p.detaches);
	assert_int_equal(PHX_REASON_ADMIN, p.reason);
	peer_close(&p);
}

static void post_does_not_block(void **)
{
	struct phx_attach_mapped m = {.index = 3};
	struct peer p;
	int rc;

	peer_open(&p);
	do
		rc = phx_attach_client_post(&p.client, &m.h, sizeof(m), PHX_ATTACH_MAPPED);
	while (rc == 0);
	assert_int_equal(-EAGAIN, rc);
	assert_int_equal(sizeof(m), recv(p.fd, &m, sizeof(m), 0));
	assert_int_equal(PHX_ATTACH_MAPPED, m.h.type);
	assert_int_equal(3, m.index);
	peer_close(&p);
}

static void connect_without_listener_says_so(void **)
{
	struct peer p;
	char path[200];

	peer_open(&p);
	assert_int_equal(
		-ENOENT, phx_attach_client_connect(&p.client, "/nonexistent/phoenix/app.sock"));
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(-ENAMETOOLONG, phx_attach_client_connect(&p.client, path));
	peer_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_gets_its_answer),
		cmocka_unit_test(request_skips_events_and_old_answers),
		cmocka_unit_test(request_refusal_has_its_text),
		cmocka_unit_test(request_without_answer_times_out),
		cmocka_unit_test(request_after_hang_up_is_enotconn),
		cmocka_unit_test(nonsense_is_eproto),
		cmocka_unit_test(poll_delivers_detach),
		cmocka_unit_test(post_does_not_block),
		cmocka_unit_test(connect_without_listener_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

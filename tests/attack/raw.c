// SPDX-License-Identifier: BSD-3-Clause
// The attacker's side of app.sock and its rings, see raw.h.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/shm/bell.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_event(void *arg, const struct phx_attach_header *packet, int fd)
{
	struct raw *raw = arg;

	if (fd >= 0)
		(void)close(fd); // receive regions are not needed
	if (packet->type != PHX_ATTACH_EVENT_DETACH)
		return;
	raw->detached = true;
	raw->reason = phx_attach_refused_of(packet)->reason;
}

// Sockets of open sessions: a failed test does not close them.
#define SOCKETS_MAX 1024
static int sockets[SOCKETS_MAX];
static unsigned socket_count;

static void forget_socket(int fd)
{
	for (unsigned i = 0; i < socket_count; i++)
		if (sockets[i] == fd)
			sockets[i--] = sockets[--socket_count];
}

static void close_sockets(void)
{
	while (socket_count > 0)
		(void)close(sockets[--socket_count]);
}

void raw_connect(struct raw *raw)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	int rc;

	bed_cleanup = close_sockets;
	memset(raw, 0, sizeof(*raw));
	for (int i = 0; i < 5; i++)
		raw->fds[i] = -1;
	assert_int_equal(phx_attach_client_init(&raw->client, on_event, raw), 0);
	// The backlog is full while the dataplane is busy accepting.
	while ((rc = phx_attach_client_connect(&raw->client, bed.app_socket)) == -EAGAIN &&
		phx_clock_ns() < deadline)
		bed_pause();
	assert_int_equal(rc, 0);
	if (socket_count < SOCKETS_MAX)
		sockets[socket_count++] = raw->client.fd;
}

void raw_hello_fill(struct phx_attach_hello_req *req)
{
	*req = (struct phx_attach_hello_req){
		.hello = {.magic = PHX_ATTACH_MAGIC, .min = PHX_ATTACH_MIN, .max = PHX_ATTACH_MAX},
		.send_quota = UINT64_C(1) << 20,
		.recv_quota = UINT64_C(1) << 20,
		.name = "attacker",
	};
}

enum phx_reason raw_request(
	struct raw *raw, struct phx_attach_request request, struct phx_attach_answer *out_answer)
{
	struct phx_attach_answer answer;
	int rc = phx_attach_client_request(
		&raw->client, &request, phx_clock_ns() + BED_DEADLINE_NS, &answer);

	if (rc == -EREMOTEIO)
		return (enum phx_reason)phx_attach_refused_of(answer.h)->reason;
	if (rc != 0)
		fail_msg("request %u: %s", request.type, strerror(-rc));
	if (out_answer != NULL)
		*out_answer = answer;
	else
		phx_attach_answer_fini(&answer);
	return PHX_REASON_NONE;
}

enum phx_reason raw_hello(
	struct raw *raw, struct phx_attach_hello_req *req, struct phx_attach_answer *out_answer)
{
	return raw_request(raw,
		(struct phx_attach_request){.h = &req->h,
			.size = sizeof(*req),
			.type = PHX_ATTACH_HELLO,
			.answer_size = sizeof(raw->hello),
			.answer_fds = PHX_ARRAY_LEN(raw->fds)},
		out_answer);
}

static void *map(int fd, uint32_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void say_mapped(struct raw *raw, uint32_t object, uint32_t index)
{
	struct phx_attach_mapped req = {.object = object, .index = index};

	assert_int_equal(raw_request(raw,
				 (struct phx_attach_request){.h = &req.h,
					 .size = sizeof(req),
					 .type = PHX_ATTACH_MAPPED,
					 .answer_size = sizeof(struct phx_attach_header)},
				 NULL),
		PHX_REASON_NONE);
}

void raw_open(struct raw *raw, const struct phx_attach_queue_sizes *sizes)
{
	struct phx_attach_hello_req req;
	struct phx_attach_answer answer;

	raw_connect(raw);
	raw_hello_fill(&req);
	req.queue = (struct phx_attach_queue_sizes){
		.sub_slots = 64, .ret_slots = 64, .comp_slots = 128};
	if (sizes != NULL)
		req.queue = *sizes;
	assert_int_equal(raw_hello(raw, &req, &answer), PHX_REASON_NONE);
	memcpy(&raw->hello, answer.h, sizeof(raw->hello));
	memcpy(raw->fds, answer.fds, sizeof(raw->fds));
	raw->app_queue = map(raw->fds[0], raw->hello.queue.app_size, PROT_READ | PROT_WRITE);
	raw->dp_queue = map(raw->fds[1], raw->hello.queue.dp_size, PROT_READ);
	raw->app_heap = map(raw->fds[2], raw->hello.send_heap.size, PROT_READ | PROT_WRITE);
	raw->dp_heap = map(raw->fds[3], raw->hello.recv_heap.size, PROT_READ);
	say_mapped(raw, 0, 0);
	say_mapped(raw, 1, 0);
	say_mapped(raw, 0, raw->hello.send_heap.index);
	say_mapped(raw, 1, raw->hello.recv_heap.index);
}

int raw_send(struct raw *raw, const void *packet, size_t size, const int *fds, unsigned fd_count)
{
	char control[CMSG_SPACE(sizeof(int) * 253)] __attribute__((aligned(8))) = {0};
	struct iovec iov = {(void *)(uintptr_t)packet, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count > 0) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	return sendmsg(raw->client.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

// One packet with its descriptors closed: false when nothing comes any more.
static bool receive(struct raw *raw)
{
	char control[CMSG_SPACE(sizeof(int) * PHX_ATTACH_FDS_MAX)] __attribute__((aligned(8)));
	static uint8_t packet[PHX_ATTACH_PACKET_MAX];
	const struct phx_attach_refused *r = (const void *)packet;
	struct iovec iov = {packet, sizeof(packet)};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(raw->client.fd, &m, MSG_CMSG_CLOEXEC);

	if (n < 0 && errno == ECONNRESET) // said once; what was sent before can still be read
		n = recvmsg(raw->client.fd, &m, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		for (size_t i = 0; CMSG_LEN(sizeof(int) * (i + 1)) <= c->cmsg_len; i++)
			(void)close(((int *)CMSG_DATA(c))[i]);
	if ((size_t)n >= sizeof(*r) && r->h.type == PHX_ATTACH_EVENT_DETACH) {
		raw->detached = true;
		raw->reason = r->reason;
		(void)snprintf(raw->text, sizeof(raw->text), "%.*s", (int)r->text_len,
			(const char *)(r + 1));
	}
	return true;
}

bool raw_over(struct raw *raw)
{
	struct pollfd p = {.fd = raw->client.fd, .events = POLLIN};

	return raw->detached || (poll(&p, 1, 0) > 0 && !receive(raw)) || raw->detached;
}

enum phx_reason raw_expect_any(struct raw *raw)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;

	while (raw->client.fd >= 0) {
		struct pollfd p = {.fd = raw->client.fd, .events = POLLIN};

		assert_true(phx_clock_ns() < deadline); // it lives on
		if (poll(&p, 1, 100) > 0 && !receive(raw))
			break;
	}
	return raw->detached ? (enum phx_reason)raw->reason : PHX_REASON_NONE;
}

void raw_expect(struct raw *raw, enum phx_reason reason)
{
	enum phx_reason got = raw_expect_any(raw);

	if (got != reason)
		fail_msg("disconnected with %s (%s), not %s", phx_reason_name(got), raw->text,
			phx_reason_name(reason));
}

void raw_close(struct raw *raw)
{
	if (raw->app_queue != NULL) {
		(void)munmap(raw->app_queue, raw->hello.queue.app_size);
		(void)munmap((void *)(uintptr_t)raw->dp_queue, raw->hello.queue.dp_size);
		(void)munmap(raw->app_heap, raw->hello.send_heap.size);
		(void)munmap((void *)(uintptr_t)raw->dp_heap, raw->hello.recv_heap.size);
	}
	for (int i = 0; i < 5; i++)
		if (raw->fds[i] >= 0)
			(void)close(raw->fds[i]);
	forget_socket(raw->client.fd);
	phx_attach_client_fini(&raw->client);
	memset(raw, 0, sizeof(*raw));
}

// ---- services ----

static uint32_t handle_of(struct raw *raw, struct phx_attach_request request)
{
	struct phx_attach_answer answer;

	request.answer_size = sizeof(struct phx_attach_handle_rep);
	assert_int_equal(raw_request(raw, request, &answer), PHX_REASON_NONE);
	return ((const struct phx_attach_handle_rep *)(const void *)answer.h)->handle;
}

void raw_service(struct raw *raw, const char *group, const char *target)
{
	struct phx_attach_schema_put put = {.h = {0}};
	struct phx_attach_register reg = {.h = {0}};
	struct phx_attach_channel_open open = {.timeout_ns = PHX_TIMEOUT_NONE};
	struct phx_attach_bind bind = {.h = {0}};
	size_t size;
	uint8_t *table = t_table(t_all_messages, t_all_services, &size);

	put.total = put.len = (uint32_t)size;
	(void)handle_of(raw, (struct phx_attach_request){.h = &put.h,
				     .size = sizeof(put),
				     .tail = table,
				     .tail_len = size,
				     .type = PHX_ATTACH_SCHEMA_PUT});
	free(table);
	if (group != NULL) {
		reg.group_len = (uint32_t)strlen(group);
		(void)handle_of(raw, (struct phx_attach_request){.h = &reg.h,
					     .size = sizeof(reg),
					     .tail = group,
					     .tail_len = reg.group_len,
					     .type = PHX_ATTACH_REGISTER});
	}
	if (target == NULL)
		return;
	open.target_len = (uint32_t)strlen(target);
	(void)handle_of(raw, (struct phx_attach_request){.h = &open.h,
				     .size = sizeof(open),
				     .tail = target,
				     .tail_len = open.target_len,
				     .type = PHX_ATTACH_CHANNEL_OPEN});
	for (bind.service = 0; bind.service < 2; bind.service++)
		(void)handle_of(
			raw, (struct phx_attach_request){
				     .h = &bind.h, .size = sizeof(bind), .type = PHX_ATTACH_BIND});
}

void raw_message(struct raw *raw, uint32_t bytes)
{
	struct phx_schema *schema = t_all_schema();
	const struct phx_message *all = phx_schema_message(schema, T_ALL);
	uint32_t at = phx_message_field_named(all, "data")->offset;
	const uint32_t ref[2] = {all->size - at, bytes};

	memset(raw->app_heap, 0, all->size);
	memcpy(raw->app_heap + at, ref, sizeof(ref));
	phx_schema_free(schema);
}

// ---- rings ----

void raw_word_set(struct raw *raw, uint32_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(raw->app_queue + offset), value, __ATOMIC_SEQ_CST);
}

uint32_t raw_word(const uint8_t *queue, uint32_t offset)
{
	return __atomic_load_n((const uint32_t *)(queue + offset), __ATOMIC_SEQ_CST);
}

void raw_bell(const struct raw *raw)
{
	(void)phx_bell_ring_eventfd(raw->fds[4]);
}

struct phx_sub_entry *raw_sub_slot(struct raw *raw, uint32_t i)
{
	uint32_t at = (raw->sub_prod + i) % raw->hello.queue.sub_slots;

	return (struct phx_sub_entry *)(raw->app_queue + PHX_Q_SLOTS) + at;
}

struct phx_ret_entry *raw_ret_slot(struct raw *raw, uint32_t i)
{
	uint32_t at = (raw->ret_prod + i) % raw->hello.queue.ret_slots;

	return (struct phx_ret_entry *)(raw->app_queue + PHX_Q_SLOTS) + raw->hello.queue.sub_slots +
	       at;
}

void raw_sub_publish(struct raw *raw, uint32_t slots)
{
	raw->sub_prod += slots;
	raw_word_set(raw, PHX_QA_SUB_PROD, raw->sub_prod);
	raw_bell(raw);
}

void raw_ret_publish(struct raw *raw, uint32_t slots)
{
	raw->ret_prod += slots;
	raw_word_set(raw, PHX_QA_RET_PROD, raw->ret_prod);
	raw_bell(raw);
}

void raw_sub(struct raw *raw, struct phx_sub_entry e, uint32_t inl_len)
{
	e.slots = 1;
	if (inl_len > sizeof(e.inl))
		e.slots += (uint8_t)((inl_len - sizeof(e.inl) + PHX_SLOT_SIZE - 1) / PHX_SLOT_SIZE);
	memcpy(raw_sub_slot(raw, 0), &e, sizeof(e));
	for (uint32_t i = 1; i < e.slots; i++)
		memset(raw_sub_slot(raw, i), 0, PHX_SLOT_SIZE);
	raw_sub_publish(raw, e.slots);
}

void raw_ret(struct raw *raw, struct phx_ret_entry e)
{
	memcpy(raw_ret_slot(raw, 0), &e, sizeof(e));
	raw_ret_publish(raw, 1);
}

bool raw_comp_now(struct raw *raw, struct phx_comp_entry *out)
{
	const struct phx_comp_entry *slots = (const void *)(raw->dp_queue + PHX_Q_SLOTS);

	if (raw_word(raw->dp_queue, PHX_QD_COMP_PROD) == raw->comp_cons)
		return false;
	*out = slots[raw->comp_cons % raw->hello.queue.comp_slots];
	raw->comp_cons += out->slots;
	raw_word_set(raw, PHX_QA_COMP_CONS, raw->comp_cons);
	return true;
}

void raw_taken(struct raw *raw)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;

	while (raw_word(raw->dp_queue, PHX_QD_SUB_CONS) != raw->sub_prod && !raw_over(raw)) {
		assert_true(phx_clock_ns() < deadline);
		bed_pause();
	}
}

struct phx_comp_entry raw_comp(struct raw *raw)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	struct phx_comp_entry e = {0};

	while (!raw_comp_now(raw, &e)) {
		assert_true(phx_clock_ns() < deadline);
		bed_pause();
	}
	return e;
}

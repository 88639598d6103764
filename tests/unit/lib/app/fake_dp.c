// SPDX-License-Identifier: BSD-3-Clause
// The fake dataplane's end of app.sock and its regions.
#include "tests/unit/lib/app/fake_dp.h"

#include "lib/base/bits.h"
#include "lib/base/clock.h"
#include "lib/base/status.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

union fake_packet {
	struct phx_attach_header h;
	struct phx_attach_hello_req hello;
	struct phx_attach_mapped mapped;
	struct phx_attach_queue_create queue_create;
	struct phx_attach_queue_fd queue_fd;
	struct phx_attach_heap_grow grow;
	struct phx_attach_schema_put put;
	struct phx_attach_channel_open open;
	struct phx_attach_register reg;
	uint8_t bytes[PHX_ATTACH_PACKET_MAX];
};

// A region at the next offset of an object: its index. A page stays free between two.
static uint32_t fake_region_add(struct fake_dp *dp, unsigned object, uint32_t size)
{
	struct fake_object *o = &dp->objects[object];
	uint32_t index = atomic_load(&o->count);
	struct fake_region *r = &o->regions[index];

	assert_true(index < FAKE_REGIONS);
	assert_int_equal(
		0, phx_region_create(object == 0 ? PHX_REGION_APP_WRITTEN : PHX_REGION_DP_WRITTEN,
			   size, 0, NULL, &r->region));
	r->off = o->next_off;
	r->size = size;
	o->next_off += size + 4096;
	atomic_store(&o->count, index + 1);
	return index;
}

static int fake_region_fd(struct fake_dp *dp, unsigned object, uint32_t index)
{
	int fd = -1;

	assert_int_equal(0, phx_region_export(&dp->objects[object].regions[index].region, &fd));
	return fd;
}

void *fake_at(struct fake_dp *dp, unsigned object, uint32_t off, uint32_t len)
{
	struct fake_object *o = &dp->objects[object];

	for (uint32_t i = 0; i < atomic_load(&o->count); i++) {
		struct fake_region *r = &o->regions[i];

		if (off >= r->off && phx_range_ok(off - r->off, len, r->size))
			return r->region.base + (off - r->off);
	}
	fail_msg("[%u, +%u) of object %u is in no region", off, len, object);
	return NULL;
}

static void fake_send(struct fake_dp *dp, struct phx_attach_header *h, uint16_t type, uint64_t id,
	size_t size, const int *fds, unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PHX_ATTACH_FDS_MAX)];
	} control = {.bytes = {0}};
	struct iovec iov = {h, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	h->type = type;
	h->flags = 0;
	h->size = (uint32_t)size;
	h->id = id;
	if (fd_count != 0) {
		struct cmsghdr *c;

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	(void)sendmsg(atomic_load(&dp->conn), &m, MSG_NOSIGNAL); // the application may be gone
}

static void fake_refuse(struct fake_dp *dp, uint16_t type, uint64_t id, uint32_t code,
	uint32_t reason, const char *text)
{
	struct {
		struct phx_attach_refused r;
		char text[256];
	} packet = {.r = {.code = code, .reason = reason, .min = 7, .max = 9}};

	packet.r.text_len = (uint32_t)strlen(text);
	memcpy(packet.text, text, strlen(text));
	fake_send(dp, &packet.r.h, type, id, sizeof(packet.r) + packet.r.text_len, NULL, 0);
}

// A queue with its two regions; their indices are 2 * n in sequence of creation.
static struct fake_queue *fake_queue_add(struct fake_dp *dp,
	const struct phx_attach_queue_sizes *sizes, uint32_t *out_app, uint32_t *out_dp)
{
	uint32_t index = atomic_load(&dp->queue_count);
	struct fake_queue *fq = &dp->queues[index];
	struct phx_attach_queue *q = &fq->q;
	uint8_t *app, *dpw;

	assert_true(index < FAKE_QUEUES);
	q->index = index;
	q->sub_slots = dp->sub_slots ? dp->sub_slots : sizes->sub_slots ? sizes->sub_slots : 1024;
	q->ret_slots = dp->ret_slots ? dp->ret_slots : sizes->ret_slots ? sizes->ret_slots : 1024;
	q->comp_slots = dp->comp_slots	    ? dp->comp_slots
			: sizes->comp_slots ? sizes->comp_slots
					    : 4096;
	q->call_slots = q->ret_slots;
	q->app_size = (uint32_t)phx_align_up(
		PHX_Q_SLOTS + (q->sub_slots + q->ret_slots) * PHX_SLOT_SIZE, 4096);
	q->dp_size = (uint32_t)phx_align_up(PHX_Q_SLOTS + q->comp_slots * PHX_SLOT_SIZE, 4096);
	*out_app = fake_region_add(dp, 0, q->app_size);
	*out_dp = fake_region_add(dp, 1, q->dp_size);
	q->app_offset = dp->objects[0].regions[*out_app].off;
	q->dp_offset = dp->objects[1].regions[*out_dp].off;
	app = dp->objects[0].regions[*out_app].region.base;
	dpw = dp->objects[1].regions[*out_dp].region.base;
	fq->app = app;
	fq->dp = dpw;
	atomic_store(&fq->fd, -1);
	phx_bell_waker_init(&fq->waker, (const void *)(app + PHX_QA_SLEEP));
	phx_bell_sleeper_init(&fq->sleeper, (void *)(dpw + PHX_QD_SLEEP));
	assert_int_equal(0,
		phx_ring_cons_init(&fq->sub, app + PHX_Q_SLOTS, q->sub_slots,
			(const void *)(app + PHX_QA_SUB_PROD), (void *)(dpw + PHX_QD_SUB_CONS), 0));
	assert_int_equal(
		0, phx_ring_cons_init(&fq->ret, app + PHX_Q_SLOTS + q->sub_slots * PHX_SLOT_SIZE,
			   q->ret_slots, (const void *)(app + PHX_QA_RET_PROD),
			   (void *)(dpw + PHX_QD_RET_CONS), 0));
	assert_int_equal(0, phx_ring_prod_init(&fq->comp, dpw + PHX_Q_SLOTS, q->comp_slots,
				    (void *)(dpw + PHX_QD_COMP_PROD),
				    (const void *)(app + PHX_QA_COMP_CONS), 0));
	atomic_store(&dp->queue_count, index + 1);
	return fq;
}

static struct phx_attach_region fake_region_of(struct fake_dp *dp, unsigned object, uint32_t index)
{
	const struct fake_region *r = &dp->objects[object].regions[index];

	return (struct phx_attach_region){.object = object,
		.kind = PHX_REGION_HEAP,
		.offset = r->off,
		.size = r->size,
		.index = index};
}

static void fake_hello(struct fake_dp *dp, const struct phx_attach_hello_req *req)
{
	struct phx_attach_hello_rep rep = {
		.hello = {.magic = PHX_ATTACH_MAGIC,
			.min = PHX_ATTACH_MAX,
			.max = PHX_ATTACH_MAX,
			.features = dp->features},
		.app_id = 1,
		.send_quota = dp->send_quota,
		.recv_quota = 64 << 20,
		.max_message = 1 << 20,
	};
	uint32_t app, dpw, send, recv;
	int fds[PHX_ATTACH_FDS_MAX];

	dp->hello = *req;
	atomic_fetch_add(&dp->hellos, 1);
	if (atomic_load(&dp->refusals) != 0) {
		atomic_fetch_sub(&dp->refusals, 1);
		fake_refuse(dp, PHX_ATTACH_REFUSED, req->h.id, dp->refuse_code, dp->refuse_reason,
			"refused by the test");
		return;
	}
	rep.queue = fake_queue_add(dp, &req->queue, &app, &dpw)->q;
	send = fake_region_add(dp, 0, PHX_LIMIT_HEAP_FIRST_BYTES);
	recv = fake_region_add(dp, 1, FAKE_RECV);
	rep.send_heap = fake_region_of(dp, 0, send);
	rep.recv_heap = fake_region_of(dp, 1, recv);
	fds[0] = fake_region_fd(dp, 0, app);
	fds[1] = fake_region_fd(dp, 1, dpw);
	fds[2] = fake_region_fd(dp, 0, send);
	fds[3] = fake_region_fd(dp, 1, recv);
	fds[4] = dp->doorbell;
	if (dp->spoil != NULL)
		dp->spoil(&rep);
	fake_send(dp, &rep.h, PHX_ATTACH_REPLY, req->h.id, sizeof(rep), fds, dp->spoil_fds ? 4 : 5);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void fake_queue_create(struct fake_dp *dp, const struct phx_attach_queue_create *req)
{
	struct phx_attach_queue_rep rep = {0};
	int fds[2];

	rep.queue = fake_queue_add(dp, &req->sizes, &rep.app_region, &rep.dp_region)->q;
	fds[0] = fake_region_fd(dp, 0, rep.app_region);
	fds[1] = fake_region_fd(dp, 1, rep.dp_region);
	fake_send(dp, &rep.h, PHX_ATTACH_REPLY, req->h.id, sizeof(rep), fds, 2);
	close(fds[0]);
	close(fds[1]);
}

static void fake_queue_fd(struct fake_dp *dp, const struct phx_attach_queue_fd *req)
{
	struct phx_attach_header rep = {0};
	int pair[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	atomic_store(&dp->queues[req->queue].fd, pair[0]);
	fake_send(dp, &rep, PHX_ATTACH_REPLY, req->h.id, sizeof(rep), &pair[1], 1);
	close(pair[1]);
}

static void fake_grow(struct fake_dp *dp, const struct phx_attach_heap_grow *req)
{
	struct fake_object *o = &dp->objects[0];
	uint32_t last = o->regions[atomic_load(&o->count) - 1].size;
	uint64_t size = phx_align_up(req->size > 2 * last ? req->size : 2 * last, 4096);
	struct phx_attach_region_rep rep = {0};
	uint32_t index;
	int fd;

	if (atomic_load(&dp->die_at_grow)) {
		dp->refuse_code = PHX_UNAVAILABLE;
		atomic_store(&dp->refusals, UINT32_MAX); // who looks for it again finds no rules
		fake_dp_kill(dp);
		return;
	}
	if (o->next_off + size > dp->send_quota) {
		fake_refuse(dp, PHX_ATTACH_REFUSED, req->h.id, PHX_RESOURCE_EXHAUSTED,
			PHX_REASON_NO_MEMORY, "quota");
		return;
	}
	index = fake_region_add(dp, 0, (uint32_t)size);
	rep.region = fake_region_of(dp, 0, index);
	fd = fake_region_fd(dp, 0, index);
	atomic_fetch_add(&dp->grows, 1);
	fake_send(dp, &rep.h, PHX_ATTACH_REPLY, req->h.id, sizeof(rep), &fd, 1);
	close(fd);
}

static void fake_handle(struct fake_dp *dp, uint64_t id, uint32_t handle)
{
	struct phx_attach_handle_rep rep = {.handle = handle};

	fake_send(dp, &rep.h, PHX_ATTACH_REPLY, id, sizeof(rep), NULL, 0);
}

static void fake_mapped(struct fake_dp *dp, const struct phx_attach_mapped *m)
{
	struct fake_region *r = &dp->objects[m->object].regions[m->index];
	struct phx_attach_header rep = {0};

	assert_true(m->object < 2 && m->index < atomic_load(&dp->objects[m->object].count));
	if (m->object == 0)
		assert_int_equal(0, phx_region_seal(&r->region));
	atomic_store(&r->mapped, true);
	atomic_fetch_add(&dp->mapped, 1);
	fake_send(dp, &rep, PHX_ATTACH_REPLY, m->h.id, sizeof(rep), NULL, 0);
}

static void fake_register(struct fake_dp *dp, const struct phx_attach_register *req)
{
	snprintf(
		dp->group, sizeof(dp->group), "%.*s", (int)req->group_len, (const char *)(req + 1));
	atomic_fetch_add(&dp->registers, 1);
	fake_until(atomic_load(&dp->hold_register) == 0);
	if (atomic_load(&dp->refuse_register))
		fake_refuse(dp, PHX_ATTACH_REFUSED, req->h.id, PHX_PERMISSION_DENIED,
			PHX_REASON_DENIED, "not yet");
	else
		fake_handle(dp, req->h.id, 70 + dp->handle_base + req->service);
}

static void fake_packet(struct fake_dp *dp, const union fake_packet *p)
{
	struct phx_attach_header rep = {0};

	switch (p->h.type) {
	case PHX_ATTACH_HELLO:
		fake_hello(dp, &p->hello);
		return;
	case PHX_ATTACH_MAPPED:
		fake_mapped(dp, &p->mapped);
		return;
	case PHX_ATTACH_QUEUE_CREATE:
		fake_queue_create(dp, &p->queue_create);
		return;
	case PHX_ATTACH_QUEUE_FD:
		fake_queue_fd(dp, &p->queue_fd);
		return;
	case PHX_ATTACH_HEAP_GROW:
		fake_grow(dp, &p->grow);
		return;
	case PHX_ATTACH_SCHEMA_PUT:
		atomic_fetch_add(&dp->schema_parts, 1);
		assert_int_equal(atomic_load(&dp->schema_bytes), p->put.offset);
		atomic_fetch_add(&dp->schema_bytes, p->put.len);
		if (p->put.offset + p->put.len == p->put.total)
			atomic_fetch_add(&dp->schemas, 1);
		fake_handle(dp, p->h.id, 30);
		return;
	case PHX_ATTACH_CHANNEL_OPEN:
		snprintf(dp->target, sizeof(dp->target), "%.*s", (int)p->open.target_len,
			(const char *)(&p->open + 1));
		atomic_fetch_add(&dp->opens, 1);
		if (strncmp(dp->target, "bad", 3) == 0)
			fake_refuse(dp, PHX_ATTACH_REFUSED, p->h.id, PHX_INVALID_ARGUMENT,
				PHX_REASON_INVALID, "unknown scheme");
		else
			fake_handle(dp, p->h.id, 40 + dp->handle_base);
		return;
	case PHX_ATTACH_BIND:
		atomic_fetch_add(&dp->binds, 1);
		if (atomic_load(&dp->refuse_bind))
			fake_refuse(dp, PHX_ATTACH_REFUSED, p->h.id, PHX_INVALID_ARGUMENT,
				PHX_REASON_SCHEMA, "not in the schema");
		else
			fake_handle(dp, p->h.id, 3 + dp->handle_base);
		return;
	case PHX_ATTACH_REGISTER:
		fake_register(dp, &p->reg);
		return;
	case PHX_ATTACH_CHANNEL_CLOSE:
		atomic_fetch_add(&dp->closes, 1);
		break;
	case PHX_ATTACH_UNREGISTER:
		atomic_fetch_add(&dp->unregisters, 1);
		break;
	case PHX_ATTACH_GOODBYE:
		atomic_fetch_add(&dp->goodbyes, 1);
		return;
	default:
		fail_msg("unexpected packet type %u", p->h.type);
	}
	fake_send(dp, &rep, PHX_ATTACH_REPLY, p->h.id, sizeof(rep), NULL, 0);
}

static void *fake_main(void *arg)
{
	static _Thread_local union fake_packet packet;
	struct fake_dp *dp = arg;

	for (;;) {
		struct pollfd p[3] = {{.fd = dp->stop_fd, .events = POLLIN},
			{.fd = dp->listen_fd, .events = POLLIN},
			{.fd = atomic_load(&dp->conn), .events = POLLIN}};
		ssize_t n;

		if (poll(p, 3, -1) < 0)
			continue;
		if (p[0].revents != 0)
			return NULL;
		if (p[2].revents != 0) {
			n = recv(p[2].fd, packet.bytes, sizeof(packet), MSG_DONTWAIT);
			if (n > 0) {
				assert_int_equal(n, packet.h.size);
				fake_packet(dp, &packet);
			} else if (n == 0 || errno != EAGAIN) {
				int conn = p[2].fd;

				if (atomic_compare_exchange_strong(&dp->conn, &conn, -1))
					close(p[2].fd);
			}
			continue;
		}
		if (p[1].revents != 0 && p[2].fd < 0)
			atomic_store(&dp->conn, accept4(dp->listen_fd, NULL, NULL, SOCK_CLOEXEC));
	}
}

static struct fake_dp *fake_dp_blank(void)
{
	struct fake_dp *dp = calloc(1, sizeof(*dp));

	assert_non_null(dp);
	dp->listen_fd = -1;
	dp->send_quota = 64 << 20;
	dp->features = PHX_ATTACH_FEATURE_CONNECT;
	atomic_store(&dp->conn, -1);
	dp->stop_fd = eventfd(0, EFD_CLOEXEC);
	dp->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return dp;
}

struct fake_dp *fake_dp_create(void)
{
	struct fake_dp *dp = fake_dp_blank();

	(void)snprintf(dp->rundir, sizeof(dp->rundir), "/tmp/phoenix-test-XXXXXX");
	assert_non_null(mkdtemp(dp->rundir));
	return dp;
}

struct fake_dp *fake_dp_create_after(struct fake_dp *old)
{
	struct fake_dp *dp = fake_dp_blank();

	memcpy(dp->rundir, old->rundir, sizeof(dp->rundir));
	old->rundir[0] = '\0'; // the new one removes it
	return dp;
}

void fake_dp_start(struct fake_dp *dp)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/app.sock", dp->rundir);
	dp->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(dp->listen_fd, (struct sockaddr *)&addr, sizeof(addr)));
	assert_int_equal(0, listen(dp->listen_fd, 8));
	assert_int_equal(0, pthread_create(&dp->thread, NULL, fake_main, dp));
}

void fake_dp_kill(struct fake_dp *dp)
{
	shutdown(atomic_load(&dp->conn), SHUT_RDWR);
	for (unsigned i = 0; i < atomic_load(&dp->queue_count); i++)
		if (atomic_load(&dp->queues[i].fd) >= 0)
			shutdown(atomic_load(&dp->queues[i].fd), SHUT_RDWR);
}

void fake_dp_detach(struct fake_dp *dp, uint32_t reason, const char *text)
{
	fake_refuse(dp, PHX_ATTACH_EVENT_DETACH, 0, PHX_UNAVAILABLE, reason, text);
}

uint32_t fake_dp_grow_recv(struct fake_dp *dp, uint32_t size)
{
	uint32_t index = fake_region_add(dp, 1, size);
	struct phx_attach_region_rep event = {.region = fake_region_of(dp, 1, index)};
	int fd = fake_region_fd(dp, 1, index);

	fake_send(dp, &event.h, PHX_ATTACH_EVENT_REGION, 0, sizeof(event), &fd, 1);
	close(fd);
	return index;
}

void fake_dp_stop(struct fake_dp *dp)
{
	uint64_t one = 1;
	char path[128];
	int conn;

	if (dp->listen_fd < 0)
		return;
	assert_int_equal(sizeof(one), write(dp->stop_fd, &one, sizeof(one)));
	pthread_join(dp->thread, NULL);
	close(dp->listen_fd);
	dp->listen_fd = -1;
	snprintf(path, sizeof(path), "%s/app.sock", dp->rundir);
	unlink(path);
	conn = atomic_exchange(&dp->conn, -1);
	if (conn >= 0)
		close(conn);
	for (unsigned i = 0; i < atomic_load(&dp->queue_count); i++) {
		int fd = atomic_exchange(&dp->queues[i].fd, -1);

		if (fd >= 0)
			close(fd);
	}
}

void fake_dp_destroy(struct fake_dp *dp)
{
	fake_dp_stop(dp);
	for (unsigned object = 0; object < 2; object++)
		for (uint32_t i = 0; i < atomic_load(&dp->objects[object].count); i++)
			phx_region_fini(&dp->objects[object].regions[i].region);
	close(dp->stop_fd);
	close(dp->doorbell);
	if (dp->rundir[0] != '\0')
		rmdir(dp->rundir);
	free(dp);
}

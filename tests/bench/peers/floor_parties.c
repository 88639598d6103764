// SPDX-License-Identifier: BSD-3-Clause
// The parties of the floor model: client, relaying dataplane, dataplanes over TCP, server.
#include "tests/bench/peers/floor.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define TCP_BURST 256

static struct floor_waiter waiter_of(struct floor *f, int party, enum floor_wait how)
{
	return (struct floor_waiter){.bell = &f->shared->bell[party], .how = how, .epoll_fd = -1};
}

// Read one word of each line, as an application that looks at its data does.
static uint64_t touch(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + sizeof(uint64_t) <= len; i += PHX_CACHE_LINE) {
		uint64_t v;

		memcpy(&v, p + i, sizeof(v));
		sum += v;
	}
	return sum;
}

void floor_server(struct floor *f, struct floor_ring *in, struct floor_ring *out, int peer)
{
	struct floor_waiter w = waiter_of(f, FLOOR_SERVER, f->app_wait);
	uint64_t sum = 0;

	for (;;) {
		uint32_t n = floor_available(in);

		if (n == 0) {
			floor_idle(&w, in, NULL);
			continue;
		}
		w.yields = 0;
		for (; n > 0 && floor_has_room(out); n--) {
			const struct floor_entry *q = floor_peek(in);
			struct floor_entry *a = floor_slot(out);

			sum += q->len <= FLOOR_INLINE ? touch(q->payload, q->len)
						      : touch(f->server_heap + q->off, q->len);
			a->id = q->id;
			a->len = sizeof(sum);
			a->off = q->off;
			memcpy(a->payload, &sum, sizeof(sum));
			floor_pop(in);
			floor_push(out);
		}
		floor_ring_bell(&f->shared->bell[peer], out);
	}
}

// Move what is in `in` to `out`, large payloads from client to server heap.
static uint32_t relay(struct floor *f, struct floor_ring *in, struct floor_ring *out, bool copy)
{
	uint32_t n = floor_available(in);
	uint32_t done = 0;

	for (; done < n && floor_has_room(out); done++) {
		const struct floor_entry *q = floor_peek(in);
		struct floor_entry *a = floor_slot(out);

		a->id = q->id;
		a->len = q->len;
		a->off = q->off;
		if (q->len <= FLOOR_INLINE)
			memcpy(a->payload, q->payload, q->len);
		else if (copy)
			memcpy(f->server_heap + q->off, f->client_heap + q->off, q->len);
		floor_pop(in);
		floor_push(out);
	}
	return done;
}

void floor_dataplane(struct floor *f)
{
	struct floor_shared *s = f->shared;
	struct floor_waiter w = waiter_of(f, FLOOR_DP_A, f->dp_wait);

	for (;;) {
		uint32_t requests;
		uint32_t replies;

		requests = relay(f, &s->ring[FLOOR_C_TO_A], &s->ring[FLOOR_B_TO_S], f->copy);
		if (requests > 0)
			floor_ring_bell(&s->bell[FLOOR_SERVER], &s->ring[FLOOR_B_TO_S]);
		replies = relay(f, &s->ring[FLOOR_S_TO_B], &s->ring[FLOOR_A_TO_C], false);
		if (replies > 0)
			floor_ring_bell(&s->bell[FLOOR_CLIENT], &s->ring[FLOOR_A_TO_C]);
		if (requests + replies == 0)
			floor_idle(&w, &s->ring[FLOOR_C_TO_A], &s->ring[FLOOR_S_TO_B]);
		else
			w.yields = 0;
	}
}

// What a dataplane writes to the other: an entry without its padding.
struct floor_frame {
	uint32_t id;
	uint32_t len;
	uint64_t off;
	uint8_t payload[FLOOR_INLINE];
};
static_assert(sizeof(struct floor_frame) <= sizeof(struct floor_entry), "a frame is an entry");

struct floor_link {
	int sock;
	size_t have; // bytes of `in` that are there
	struct floor_frame out[TCP_BURST];
	struct floor_frame in[FLOOR_SLOTS];
};

// One gathered write per round. False: the other side is gone.
static bool link_send(struct floor_link *l, struct floor_ring *in, uint32_t *out_count)
{
	uint32_t n = phx_min(floor_available(in), (uint32_t)TCP_BURST);
	size_t size = n * sizeof(l->out[0]);

	for (uint32_t i = 0; i < n; i++) {
		memcpy(&l->out[i], floor_peek(in), sizeof(l->out[i]));
		floor_pop(in);
	}
	for (size_t off = 0; off < size;) {
		ssize_t r = send(l->sock, (const char *)l->out + off, size - off,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r > 0)
			off += (size_t)r;
		else if (errno != EAGAIN)
			return false;
		else
			(void)sched_yield(); // always succeeds
	}
	*out_count = n;
	return true;
}

// What has arrived, whole frames only. False: the other side is gone.
static bool link_receive(struct floor_link *l, struct floor_ring *out, uint32_t *out_count)
{
	ssize_t r = recv(l->sock, (char *)l->in + l->have, sizeof(l->in) - l->have, MSG_DONTWAIT);
	uint32_t n = 0;

	*out_count = 0;
	if (r == 0 || (r < 0 && errno != EAGAIN))
		return false;
	if (r < 0)
		return true;
	l->have += (size_t)r;
	while ((n + 1) * sizeof(l->in[0]) <= l->have) {
		memcpy(floor_slot(out), &l->in[n++], sizeof(l->in[0]));
		floor_push(out); // calls in flight never exceed the ring
	}
	l->have -= n * sizeof(l->in[0]);
	memmove(l->in, &l->in[n], l->have);
	*out_count = n;
	return true;
}

static int link_epoll(int sock, int bell)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = sock};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, sock, &event) != 0)
		return -1;
	event.data.fd = bell;
	return epoll_ctl(fd, EPOLL_CTL_ADD, bell, &event) == 0 ? fd : -1;
}

void floor_dataplane_tcp(struct floor *f, int me, int sock)
{
	static struct floor_link l;
	bool near_client = me == FLOOR_DP_A;
	struct floor_ring *in = &f->shared->ring[near_client ? FLOOR_C_TO_A : FLOOR_S_TO_B];
	struct floor_ring *out = &f->shared->ring[near_client ? FLOOR_A_TO_C : FLOOR_B_TO_S];
	struct floor_bell *app = &f->shared->bell[near_client ? FLOOR_CLIENT : FLOOR_SERVER];
	struct floor_waiter w = waiter_of(f, me, f->dp_wait);
	uint32_t sent;
	uint32_t got;

	l.sock = sock;
	if (f->dp_wait == FLOOR_HYBRID || f->dp_wait == FLOOR_BLOCK) {
		w.epoll_fd = link_epoll(sock, w.bell->fd);
		if (w.epoll_fd < 0)
			return;
	}
	while (link_send(&l, in, &sent) && link_receive(&l, out, &got)) {
		if (got > 0)
			floor_ring_bell(app, out);
		if (sent + got == 0)
			floor_idle(&w, in, NULL);
		else
			w.yields = 0;
	}
}

// What the client remembers of the calls that it may make.
struct floor_calls {
	uint64_t *began;
	uint32_t *idle; // ids that are free
	uint32_t idle_count;
	uint8_t *data;
};

static uint32_t send_all(struct floor *f, struct floor_calls *c, struct floor_ring *out)
{
	uint32_t size = f->options.size;
	uint32_t n = 0;

	while (c->idle_count > 0 && floor_has_room(out)) {
		struct floor_entry *e = floor_slot(out);

		e->id = c->idle[--c->idle_count];
		e->len = size;
		e->off = (uint64_t)e->id * (((uint64_t)size + 4095) & ~UINT64_C(4095));
		c->began[e->id] = meter_now_ns();
		memcpy(size <= FLOOR_INLINE ? e->payload : f->client_heap + e->off, c->data, size);
		floor_push(out);
		n++;
	}
	return n;
}

static void run_calls(struct floor *f, struct floor_calls *c, struct meter *m, int peer)
{
	struct floor_ring *out = &f->shared->ring[FLOOR_C_TO_A];
	struct floor_ring *in = &f->shared->ring[FLOOR_A_TO_C];
	struct floor_waiter w = waiter_of(f, FLOOR_CLIENT, f->app_wait);
	uint64_t left = f->options.idle_s > 0 ? 1000 : UINT64_MAX;

	meter_start(m);
	while (left > 0) {
		uint32_t n;

		if (send_all(f, c, out) > 0)
			floor_ring_bell(&f->shared->bell[peer], out);
		n = floor_available(in);
		if (n == 0) {
			floor_idle(&w, in, NULL);
			continue;
		}
		w.yields = 0;
		for (; n > 0; n--, left--) {
			uint32_t id = floor_peek(in)->id;

			floor_pop(in);
			c->idle[c->idle_count++] = id;
			if (left != 0 && !meter_done(m, c->began[id], meter_now_ns()))
				return;
		}
	}
}

int floor_client(struct floor *f, int peer)
{
	const struct meter_options *o = &f->options;
	struct floor_calls c = {0};
	struct meter m = {0};
	int rc = -ENOMEM;

	c.began = calloc(o->outstanding, sizeof(*c.began));
	c.idle = calloc(o->outstanding, sizeof(*c.idle));
	c.data = malloc(phx_max(o->size, 1u));
	if (c.began == NULL || c.idle == NULL || c.data == NULL || meter_init(&m, o) != 0)
		goto out;
	memset(c.data, 'Z', o->size);
	while (c.idle_count < o->outstanding) {
		c.idle[c.idle_count] = c.idle_count;
		c.idle_count++;
	}
	run_calls(f, &c, &m, peer);
	if (o->idle_s > 0)
		meter_idle(o, stdout);
	else
		meter_result_print(o, m.result, stdout);
	rc = 0;
out:
	meter_fini(&m);
	free(c.data);
	free(c.idle);
	free(c.began);
	return rc;
}

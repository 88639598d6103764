// SPDX-License-Identifier: BSD-3-Clause
// Connections of the chaos proxy and what happens to their bytes, see chaosproxy.h.
#include "tests/system/faults/chaosproxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t chaos_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); // cannot fail for this clock
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct pair *pair_create(int take_client, int take_target)
{
	struct pair *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		(void)close(take_client);
		(void)close(take_target);
		return NULL;
	}
	p->fd[0] = take_client;
	p->fd[1] = take_target;
	for (unsigned i = 0; i < DIRECTIONS; i++) {
		const int one = 1;

		STAILQ_INIT(&p->flow[i].chunks);
		p->flow[i].direction = 1u << i;
		p->flow[i].from = p->fd[i];
		p->flow[i].to = p->fd[1 - i];
		// Each write is to be a segment of its own.
		(void)setsockopt(p->fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	return p;
}

void pair_destroy(struct pair *p, bool reset)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	for (unsigned i = 0; i < DIRECTIONS; i++) {
		struct chunk *c;

		if (reset)
			(void)setsockopt(p->fd[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		(void)close(p->fd[i]);
		while ((c = STAILQ_FIRST(&p->flow[i].chunks)) != NULL) {
			STAILQ_REMOVE_HEAD(&p->flow[i].chunks, next);
			free(c);
		}
	}
	free(p);
}

static bool flow_reads(const struct flow *f, const struct chaos *c)
{
	return !f->ended && f->count < FLOW_CHUNKS && (c->stalled & f->direction) == 0;
}

static bool flow_writes(const struct flow *f, const struct chaos *c, uint64_t now)
{
	const struct chunk *first = STAILQ_FIRST(&f->chunks);

	return first != NULL && (c->stalled & f->direction) == 0 && first->due_ns <= now &&
	       f->next_ns <= now;
}

short pair_events(const struct pair *p, const struct chaos *c, unsigned end)
{
	short events = 0;

	if (flow_reads(&p->flow[end], c))
		events |= POLLIN;
	if (flow_writes(&p->flow[1 - end], c, chaos_now_ns()))
		events |= POLLOUT;
	return events;
}

uint64_t pair_due_ns(const struct pair *p, uint64_t now)
{
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < DIRECTIONS; i++) {
		const struct flow *f = &p->flow[i];
		const struct chunk *first = STAILQ_FIRST(&f->chunks);
		uint64_t at = first == NULL		   ? UINT64_MAX
			      : first->due_ns > f->next_ns ? first->due_ns
							   : f->next_ns;

		if (at > now && at < due)
			due = at;
	}
	return due;
}

// The bytes have arrived: perhaps that is when it happens. False: the connection ends.
static bool flow_trigger(
	const struct flow *f, struct chaos *c, struct chunk *chunk, bool *out_reset)
{
	uint64_t at = c->trigger_left;

	if (c->trigger == TRIGGER_NONE || (c->trigger_direction & f->direction) == 0)
		return true;
	if (at >= chunk->len) {
		c->trigger_left -= chunk->len;
		return true;
	}
	*out_reset = c->trigger == TRIGGER_RESET;
	if (c->trigger == TRIGGER_CORRUPT) {
		chunk->bytes[at] ^= 0x10;
		c->trigger = TRIGGER_NONE;
		return true;
	}
	c->trigger = TRIGGER_NONE;
	chunk->len = (uint32_t)at; // these still arrive
	return false;
}

// False: the connection is over.
static bool flow_read(struct flow *f, struct chaos *c, uint64_t now, bool *out_reset)
{
	struct chunk *chunk = malloc(sizeof(*chunk));
	bool goes_on;
	ssize_t n;

	if (chunk == NULL)
		return false;
	n = recv(f->from, chunk->bytes, FLOW_CHUNK, MSG_DONTWAIT);
	if (n <= 0) {
		bool again = n < 0 && (errno == EAGAIN || errno == EINTR);

		free(chunk);
		*out_reset = n < 0;
		f->ended = n == 0;
		return again || n == 0;
	}
	if ((c->lost & f->direction) != 0) {
		free(chunk);
		return true;
	}
	chunk->len = (uint32_t)n;
	chunk->off = 0;
	chunk->due_ns = now + c->delay_ns;
	goes_on = flow_trigger(f, c, chunk, out_reset);
	if (!goes_on) {
		(void)send(f->to, chunk->bytes, chunk->len, MSG_DONTWAIT | MSG_NOSIGNAL);
		free(chunk);
		return false;
	}
	STAILQ_INSERT_TAIL(&f->chunks, chunk, next);
	f->count++;
	return true;
}

static bool flow_write(struct flow *f, const struct chaos *c, uint64_t now)
{
	while (flow_writes(f, c, now)) {
		struct chunk *chunk = STAILQ_FIRST(&f->chunks);
		size_t len = chunk->len - chunk->off;
		ssize_t n;

		if (c->split != 0 && len > c->split)
			len = c->split;
		if (c->rate != 0 && len > c->rate / 100 + 1)
			len = c->rate / 100 + 1;
		n = send(f->to, chunk->bytes + chunk->off, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (c->rate != 0)
			f->next_ns = now + (uint64_t)n * 1000000000u / c->rate;
		chunk->off += (uint32_t)n;
		if (chunk->off == chunk->len) {
			STAILQ_REMOVE_HEAD(&f->chunks, next);
			f->count--;
			free(chunk);
		}
	}
	if (f->ended && !f->shut && STAILQ_EMPTY(&f->chunks)) {
		f->shut = true;
		(void)shutdown(f->to, SHUT_WR); // it may be gone already
	}
	return true;
}

bool pair_move(
	struct pair *p, struct chaos *c, const short revents[2], uint64_t now, bool *out_reset)
{
	*out_reset = false;
	for (unsigned i = 0; i < DIRECTIONS; i++) {
		struct flow *f = &p->flow[i];

		if ((revents[i] & (POLLIN | POLLERR | POLLHUP)) != 0 && flow_reads(f, c) &&
			!flow_read(f, c, now, out_reset))
			return false;
		if (!flow_write(f, c, now)) {
			*out_reset = true;
			return false;
		}
	}
	return !(p->flow[0].shut && p->flow[1].shut);
}

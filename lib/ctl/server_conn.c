// SPDX-License-Identifier: BSD-3-Clause
// Bytes of one client: reading frames, writing answers in order, deadlines. Works with
// server_call.c.
#include "lib/base/clock.h"
#include "lib/ctl/message.h"
#include "lib/ctl/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES   65536u
#define FRAMES_ROUND 32u
// Above this much unsent output no further request is started.
#define OUT_HIGH (1u << 20)

int phx_ctl_conn_open(struct phx_ctl_server *s, int take_fd, const struct phx_ctl_peer *peer)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (c == NULL || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, take_fd, &ev) != 0) {
		free(c);
		close(take_fd);
		return -ENOMEM;
	}
	c->server = s;
	c->fd = take_fd;
	c->peer = *peer;
	c->events = EPOLLIN;
	c->connected_ns = phx_clock_ns();
	c->hungry = true;
	phx_ctl_frame_init(&c->frame, PHX_CTL_FRAME_REQUEST);
	phx_list_init(&c->slots);
	phx_list_init(&c->streams);
	phx_list_add_tail(&s->conns, &c->in_server);
	s->conn_count++;
	return 0;
}

void phx_ctl_conn_close(struct conn *c)
{
	struct phx_list *n, *tmp;

	phx_ctl_streams_end(c);
	phx_list_for_each_safe (n, tmp, &c->slots) {
		phx_ctl_slot_destroy(phx_list_entry(n, struct slot, in_conn));
	}
	phx_list_del(&c->in_server);
	c->server->conn_count--;
	close(c->fd); // leaves the epoll set with it
	free(c->in);
	free(c->out);
	free(c);
}

// Make room for size more bytes of output behind out_len. 0 or -ENOMEM.
static int out_reserve(struct conn *c, size_t size)
{
	if (c->out_pos > 0) {
		memmove(c->out, c->out + c->out_pos, c->out_len - c->out_pos);
		c->out_len -= c->out_pos;
		c->out_pos = 0;
	}
	if (c->out_len + size <= c->out_size)
		return 0;

	char *out = realloc(c->out, c->out_len + size);

	if (out == NULL)
		return -ENOMEM;
	c->out = out;
	c->out_size = c->out_len + size;
	return 0;
}

// Append one JSON text and a newline. -EMSGSIZE when it is above the limit of a response.
int phx_ctl_conn_append(struct conn *c, json_t *json)
{
	size_t len = json_dumpb(json, NULL, 0, JSON_COMPACT);

	if (len == 0)
		return -ENOMEM;
	if (len > PHX_LIMIT_JSON_OUT_BYTES)
		return -EMSGSIZE;
	if (out_reserve(c, len + 1) != 0)
		return -ENOMEM;
	// Again: it needs memory of its own, and stops in the middle without.
	if (json_dumpb(json, c->out + c->out_len, len, JSON_COMPACT) != len)
		return -ENOMEM;
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	return 0;
}

static int out_append_too_large(struct conn *c, json_t *id)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *response;
	int rc;

	(void)phx_ctl_error_set(&e, PHX_RESOURCE_EXHAUSTED, "the answer is larger than %d bytes",
		PHX_LIMIT_JSON_OUT_BYTES);
	phx_ctl_error_add(&e, "limit", json_string("JSON_OUT_BYTES"));
	phx_ctl_error_add(&e, "hint", json_string("use a filter"));
	response = phx_ctl_response_error(id, &e);
	rc = phx_ctl_conn_append(c, response);
	json_decref(response);
	phx_ctl_error_fini(&e);
	return rc;
}

static int slot_serialize(struct conn *c, struct slot *slot)
{
	json_t *answers = slot->batch ? json_array() : NULL;
	json_t *single = NULL;
	int rc = 0;

	for (unsigned i = 0; i < slot->count; i++) {
		single = slot->calls[i]->response;
		if (single == NULL && slot->calls[i]->id != NULL)
			rc = -ENOMEM; // somebody waits for what could not be built
		if (slot->batch && single != NULL && json_array_append(answers, single) != 0)
			rc = -ENOMEM;
	}
	if (rc == 0 && slot->batch && json_array_size(answers) > 0)
		rc = phx_ctl_conn_append(c, answers);
	else if (rc == 0 && !slot->batch && single != NULL)
		rc = phx_ctl_conn_append(c, single);
	if (rc == -EMSGSIZE)
		rc = out_append_too_large(c, slot->batch ? NULL : slot->calls[0]->id);
	json_decref(answers);
	return rc;
}

static void out_write(struct conn *c)
{
	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				c->dead = true;
			break;
		}
		c->out_pos += (size_t)n;
		c->stall_ns = phx_clock_ns();
	}
	if (c->out_pos == c->out_len) {
		c->out_pos = 0;
		c->out_len = 0;
		c->stall_ns = 0;
		if (c->out_size > OUT_HIGH) {
			free(c->out);
			c->out = NULL;
			c->out_size = 0;
		}
	} else if (c->stall_ns == 0) {
		c->stall_ns = phx_clock_ns();
	}
}

void phx_ctl_conn_output(struct conn *c)
{
	out_write(c);
	while (!phx_list_empty(&c->slots) && c->out_len - c->out_pos < OUT_HIGH && !c->dead) {
		struct slot *slot = phx_list_entry(phx_list_first(&c->slots), struct slot, in_conn);

		if (slot->open > 0)
			break;
		if (slot_serialize(c, slot) != 0)
			c->dead = true;
		phx_ctl_slot_destroy(slot);
		c->pending--;
		out_write(c);
	}
}

// May another request be started?
static bool conn_has_room(const struct conn *c)
{
	return c->pending < PHX_LIMIT_JSON_PENDING && c->out_len - c->out_pos < OUT_HIGH;
}

// Bytes are read only for an incomplete request, so the input stays below one request
// and one read.
static bool conn_may_read(const struct conn *c)
{
	return c->hungry && !c->eof && !c->closing && conn_has_room(c);
}

static void conn_watch(struct conn *c)
{
	uint32_t events =
		(conn_may_read(c) ? EPOLLIN : 0) | (c->out_pos < c->out_len ? EPOLLOUT : 0);
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (events == c->events)
		return;
	if (epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) != 0)
		c->dead = true;
	c->events = events;
}

// Drop the first len bytes of the input and look for the next frame.
static void in_consume(struct conn *c, size_t len)
{
	if (c->in_len > len)
		memmove(c->in, c->in + len, c->in_len - len);
	c->in_len -= len;
	phx_ctl_frame_init(&c->frame, PHX_CTL_FRAME_REQUEST);
}

static void in_fail(struct conn *c, int rc)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	if (rc == -EMSGSIZE)
		(void)phx_ctl_error_set(&e, PHX_CTL_PARSE, "a request has at most %d bytes",
			PHX_LIMIT_JSON_IN_BYTES);
	else if (rc == -E2BIG)
		(void)phx_ctl_error_set(&e, PHX_CTL_PARSE,
			"a request has at most %d levels and %d values", PHX_LIMIT_JSON_DEPTH,
			PHX_LIMIT_JSON_VALUES);
	else
		(void)phx_ctl_error_set(&e, PHX_CTL_PARSE, "%s",
			rc == -EPROTO ? "a request starts with '{' or '['"
				      : "the request is not complete");
	phx_ctl_conn_refuse(c, &e);
	phx_ctl_error_fini(&e);
}

void phx_ctl_conn_frames(struct conn *c)
{
	unsigned frames = 0;
	int rc = 0;

	c->hungry = false;
	while (frames < FRAMES_ROUND && !c->dead && !c->closing && conn_has_room(c)) {
		rc = phx_ctl_frame_scan(&c->frame, c->in, c->in_len);
		if (rc != 0)
			break;
		size_t end = c->frame.pos;

		c->spoke = true;
		frames++;
		phx_ctl_dispatch(c, c->in + c->frame.begin, end - c->frame.begin);
		in_consume(c, end);
		phx_ctl_conn_output(c);
	}
	if (rc == -EAGAIN && !c->frame.started)
		in_consume(c, c->in_len); // only blanks
	if (rc == -EAGAIN && (!c->eof || c->in_len == 0))
		c->hungry = true;
	else if (rc != 0)
		in_fail(c, rc);
	if (!c->hungry || c->in_len == 0)
		c->request_ns = 0;
	else if (c->request_ns == 0 || frames > 0)
		c->request_ns = phx_clock_ns();
	if (c->in_len == 0 && c->in_size > READ_BYTES) {
		free(c->in);
		c->in = NULL;
		c->in_size = 0;
	}
}

bool phx_ctl_conn_more(const struct conn *c)
{
	return !c->hungry && !c->closing && !c->dead && conn_has_room(c);
}

static int in_grow(struct conn *c)
{
	size_t size = c->in_size != 0 ? c->in_size * 2 : 4096;
	char *in;

	if (c->in_len < c->in_size)
		return 0;
	in = realloc(c->in, size);
	if (in == NULL)
		return -ENOMEM;
	c->in = in;
	c->in_size = size;
	return 0;
}

void phx_ctl_conn_input(struct conn *c)
{
	size_t budget = READ_BYTES;

	if (!conn_may_read(c))
		return;
	while (budget > 0 && !c->eof) {
		if (in_grow(c) != 0) {
			c->dead = true;
			return;
		}
		size_t room = phx_min(c->in_size - c->in_len, budget);
		ssize_t n = recv(c->fd, c->in + c->in_len, room, MSG_DONTWAIT);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				c->dead = true;
			break;
		}
		if (n == 0)
			c->eof = true;
		c->in_len += (size_t)n;
		budget -= (size_t)n;
	}
}

void phx_ctl_conn_settle(struct conn *c)
{
	phx_ctl_conn_output(c);
	// As long as the client takes everything at once.
	do {
		phx_ctl_streams_output(c);
		if (c->out_pos == c->out_len)
			break;
		out_write(c);
	} while (c->out_pos == c->out_len && !c->dead);
	conn_watch(c);
}

void phx_ctl_conn_refuse(struct conn *c, const struct phx_ctl_error *e)
{
	phx_ctl_dispatch_error(c, e);
	c->closing = true;
	c->in_len = 0;
	c->request_ns = 0;
}

static void refuse_late(struct conn *c, const char *what, uint64_t limit_ns)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	c->server->stats.timeouts_total++;
	(void)phx_ctl_error_set(&e, PHX_DEADLINE_EXCEEDED, "%s within %llu ms", what,
		(unsigned long long)(limit_ns / PHX_NS_PER_MS));
	phx_ctl_conn_refuse(c, &e);
	phx_ctl_error_fini(&e);
}

// The earlier of two deadlines, where 0 is none.
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

uint64_t phx_ctl_conn_timeout(struct conn *c, uint64_t now_ns)
{
	const struct phx_ctl_server_options *o = &c->server->options;
	uint64_t next = 0;

	if (c->stall_ns != 0 && now_ns >= c->stall_ns + o->stall_ns) {
		c->server->stats.stalled_total++;
		c->dead = true;
		return 0;
	}
	if (!c->closing && !c->spoke && now_ns >= c->connected_ns + o->handshake_ns)
		refuse_late(c, "no request", o->handshake_ns);
	else if (!c->closing && c->request_ns != 0 && now_ns >= c->request_ns + o->request_ns)
		refuse_late(c, "request not complete", o->request_ns);
	if (!c->closing && !c->spoke)
		next = c->connected_ns + o->handshake_ns;
	if (c->request_ns != 0)
		next = earlier(next, c->request_ns + o->request_ns);
	if (c->stall_ns != 0)
		next = earlier(next, c->stall_ns + o->stall_ns);
	return next;
}

bool phx_ctl_conn_done(const struct conn *c)
{
	bool idle = phx_list_empty(&c->slots) && c->out_pos == c->out_len;
	bool drained = c->eof && c->hungry;

	// One who listens to events need not say anything any more.
	idle = idle && (phx_list_empty(&c->streams) || c->closing);
	if (c->dead || (idle && (c->closing || drained)))
		return true;
	// Nobody is left to read answers; requests that came before are still started.
	return c->hung_up && (drained || c->closing || !conn_has_room(c));
}

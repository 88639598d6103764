// SPDX-License-Identifier: BSD-3-Clause
// Notifications to clients: streams that the server asks for their next message while the client
// reads. Works with server_conn.c, which writes.
#include "lib/ctl/server_internal.h"

#include <errno.h>
#include <stdlib.h>

// Below this much unsent output the next message is asked for.
#define OUT_LOW (64u << 10)

int phx_ctl_call_stream(struct phx_ctl_call *c, phx_ctl_next_fn next, phx_ctl_stream_ended_fn ended,
	void *arg, struct phx_ctl_stream **out_stream)
{
	struct conn *conn = c->slot != NULL ? c->slot->conn : NULL;
	struct phx_ctl_stream *s;

	if (conn == NULL || conn->stream_count >= PHX_LIMIT_JSON_STREAMS)
		return -ENOSPC;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->conn = conn;
	s->after = c->slot;
	s->next = next;
	s->ended = ended;
	s->arg = arg;
	phx_list_add_tail(&conn->streams, &s->in_conn);
	conn->stream_count++;
	*out_stream = s;
	return 0;
}

bool phx_ctl_stream_is_of(const struct phx_ctl_stream *stream, const struct phx_ctl_call *c)
{
	return c->slot != NULL && c->slot->conn == stream->conn;
}

void phx_ctl_stream_end(struct phx_ctl_stream *stream)
{
	phx_list_del(&stream->in_conn);
	stream->conn->stream_count--;
	stream->ended(stream->arg);
	free(stream);
}

void phx_ctl_streams_end(struct conn *c)
{
	struct phx_list *n, *tmp;

	phx_list_for_each_safe (n, tmp, &c->streams) {
		phx_ctl_stream_end(phx_list_entry(n, struct phx_ctl_stream, in_conn));
	}
}

void phx_ctl_streams_answered(struct conn *c, const struct slot *slot)
{
	struct phx_list *n;

	phx_list_for_each (n, &c->streams) {
		struct phx_ctl_stream *s = phx_list_entry(n, struct phx_ctl_stream, in_conn);

		if (s->after == slot)
			s->after = NULL;
	}
}

// One message of the stream. False: it has none now.
static bool stream_send(struct conn *c, struct phx_ctl_stream *s)
{
	json_t *message = s->after == NULL ? s->next(s->arg) : NULL;

	if (message == NULL)
		return false;
	if (phx_ctl_conn_append(c, message) != 0)
		c->dead = true;
	json_decref(message);
	return true;
}

void phx_ctl_streams_output(struct conn *c)
{
	struct phx_list *n;
	bool more = true;

	while (more) {
		more = false;
		phx_list_for_each (n, &c->streams) {
			if (c->dead || c->closing || c->out_len - c->out_pos >= OUT_LOW)
				return;
			more |= stream_send(c, phx_list_entry(n, struct phx_ctl_stream, in_conn));
		}
	}
}

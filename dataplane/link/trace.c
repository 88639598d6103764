// SPDX-License-Identifier: BSD-3-Clause
// Times of traced calls between both ends of a link: what the server sends before a STATUS, what
// the client makes of it. Works with core/trace.h and lib/wire/trace.h. Cold.
#include "dataplane/link/client.h"
#include "dataplane/link/server.h"

#include "dataplane/core/trace.h"

PHX_COLD void server_trace_send(struct rcall *r)
{
	struct worker *worker = session_worker(r->session);
	uint64_t times[PHX_TRACE_COUNT];
	uint8_t bytes[PHX_WIRE_TRACE_BYTES];
	struct iovec iov = {bytes, sizeof(bytes)};
	const struct phx_frame f = {
		.type = PHX_FRAME_TRACE,
		.flags = PHX_FRAME_F_REPLY,
		.epoch = r->rchannel->epoch,
		.cookie = r->cookie,
		.channel = r->rchannel->id,
		.sequence = r->sequence,
		.payload_len = sizeof(bytes),
	};
	uint64_t token = r->trace;

	r->trace = 0; // a STATUS that must wait for the lane is told of once
	if (!trace_serve_end(worker, token, times))
		return;
	phx_wire_trace_encode(times, bytes);
	link_send(r->rchannel->link, &f, &iov, 1);
}

PHX_COLD int client_trace(struct link *link, const struct phx_frame *f, const struct iovec *iov,
	int n, enum phx_reason *reason)
{
	struct trace_record *record = NULL;
	uint64_t times[PHX_TRACE_COUNT];
	struct call *call;
	const void *body;

	if (!link->trace || phx_frame_body_len(f) != PHX_WIRE_TRACE_BYTES) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	call = client_call(link, f);
	if (call != NULL && call->trace != 0)
		record = trace_call_record(link->worker, call->trace);
	body = body_part(iov, n, 0, PHX_WIRE_TRACE_BYTES);
	// What nobody asked for, or what makes no sense, is not shown; the call has nothing of it.
	if (record == NULL || body == NULL || f->payload_bad ||
		phx_wire_trace_decode(body, f->payload_len, times) != 0)
		return 0;
	memcpy(record->server, times, sizeof(times));
	record->has_server = true;
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// Requests of a session on app.sock.
#include "lib/app/session.h"

#include "lib/app/context.h"

#include "lib/base/clock.h"
#include "lib/shm/layout.h"

#include <errno.h>
#include <stdlib.h>

#define SCHEMA_PART 32768 // bytes of a table in one packet

// What was asked for may have been done or may yet be: then a queue, a region or a registration is
// there that nobody here knows of. A new session has none of that. The socket is closed at once, so
// that a dataplane that wakes up hands no more requests to this one.
static void request_unanswered(struct phx_session *s, struct phx_status *out_status)
{
	phx_status_fill(out_status, PHX_DEADLINE_EXCEEDED, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
		PHX_REASON_DEADLINE, "the dataplane does not answer");
	phx_attach_client_close(&s->client);
	phx_session_end(
		s, PHX_UNAVAILABLE, PHX_REASON_DATAPLANE_GONE, "the dataplane did not answer");
}

static void request_failed(struct phx_session *s, int rc, struct phx_status *out_status)
{
	if (rc == -ETIMEDOUT && s->end.code == 0) {
		request_unanswered(s, out_status);
		return;
	}
	if (rc == -EPROTO)
		phx_session_end(s, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
			"dataplane sent an answer that is not of the protocol");
	else if (rc == -ENOTCONN)
		phx_session_end(
			s, PHX_UNAVAILABLE, PHX_REASON_DATAPLANE_GONE, "the dataplane is gone");
	if (s->end.code != 0)
		phx_session_end_status(s, out_status);
	else
		phx_status_fill(out_status, PHX_DEADLINE_EXCEEDED, PHX_ORIGIN_LIBRARY,
			PHX_EXECUTED_NO, PHX_REASON_DEADLINE, "the dataplane does not answer");
}

int phx_session_request(struct phx_session *s, const struct phx_attach_request *request,
	struct phx_attach_answer *out_answer, struct phx_status *out_status)
{
	int rc;

	if (s->end.code != 0) {
		phx_session_end_status(s, out_status);
		return -ENOTCONN;
	}
	rc = phx_attach_client_request(
		&s->client, request, phx_clock_ns() + s->patience_ns, out_answer);
	if (rc == -EREMOTEIO) {
		const struct phx_attach_refused *r = phx_attach_refused_of(out_answer->h);

		phx_context_refusal_status(r, out_status);
		rc = phx_context_refusal_errno(r->code);
	} else if (rc) {
		request_failed(s, rc, out_status);
		rc = rc == -EPROTO ? -ENOTCONN : rc;
	}
	// The answer lies in the client's packet; mapping only posts, so it stays there.
	phx_session_map_events(s);
	return rc;
}

int phx_session_request_handle(struct phx_session *s, struct phx_attach_header *h, size_t size,
	uint16_t type, const void *tail, size_t tail_len, uint32_t *out_handle,
	struct phx_status *out_status)
{
	struct phx_attach_request request = {
		.h = h,
		.size = size,
		.tail = tail,
		.tail_len = tail_len,
		.type = type,
		.answer_size = sizeof(struct phx_attach_handle_rep),
	};
	struct phx_attach_answer answer;
	int rc = phx_session_request(s, &request, &answer, out_status);

	if (rc == 0)
		*out_handle =
			((const struct phx_attach_handle_rep *)(const void *)answer.h)->handle;
	return rc;
}

int phx_session_mapped(
	struct phx_session *s, uint32_t object, uint32_t index, struct phx_status *out_status)
{
	struct phx_attach_mapped mapped = {.object = object, .index = index};
	struct phx_attach_request request = {
		.h = &mapped.h,
		.size = sizeof(mapped),
		.type = PHX_ATTACH_MAPPED,
		.answer_size = sizeof(struct phx_attach_header),
	};
	struct phx_attach_answer answer;

	return phx_session_request(s, &request, &answer, out_status);
}

int phx_session_schema(struct phx_session *s, const struct phx_file *file, uint32_t *out_handle,
	struct phx_status *out_status)
{
	uint32_t handle = 0;

	for (uint32_t i = 0; i < s->schema_count; i++) {
		if (s->schemas[i].file == file) {
			*out_handle = s->schemas[i].handle;
			return 0;
		}
	}
	if (s->schema_count == PHX_LIMIT_SCHEMAS_MAX || file->size == 0) {
		phx_status_fill(out_status, PHX_INVALID_ARGUMENT, PHX_ORIGIN_LIBRARY,
			PHX_EXECUTED_NO, PHX_REASON_SCHEMA, "no schema, or too many of them");
		return -EINVAL;
	}
	for (uint32_t off = 0; off < file->size;) {
		struct phx_attach_schema_put put = {.total = file->size, .offset = off};
		int rc;

		put.len = phx_min(file->size - off, (uint32_t)SCHEMA_PART);
		rc = phx_session_request_handle(s, &put.h, sizeof(put), PHX_ATTACH_SCHEMA_PUT,
			(const uint8_t *)file->table + off, put.len, &handle, out_status);
		if (rc)
			return rc;
		off += put.len;
	}
	s->schemas[s->schema_count++] = (struct phx_schema_slot){file, handle};
	*out_handle = handle;
	return 0;
}

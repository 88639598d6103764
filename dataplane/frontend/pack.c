// SPDX-License-Identifier: BSD-3-Clause
// Snapshots of calls and replies, see pack.h. The inline fast path validates the private copy of
// the entry in place; everything else goes through the resumable codec.
#include "dataplane/frontend/pack.h"

#include "dataplane/core/chain.h"
#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/chained.h"
#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/serve.h"

#include "lib/schema/metadata.h"
#include "lib/schema/validate.h"
#include "lib/shm/word.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint8_t *message_encoded_get(struct session *session, uint32_t size)
{
	uint8_t *bytes;

	if (phx_likely(size <= PHX_BLOCK_SMALL))
		return session->account.pool.get(&session->account.pool, PHX_BLOCK_SMALL);
	// Not from the pool: a block of 64 KiB for each would use the quota up soon.
	if (memory_account_charge(&session->account, size) != 0)
		return NULL;
	bytes = malloc(size);
	if (bytes == NULL)
		memory_account_uncharge(&session->account, size);
	return bytes;
}

void message_encoded_put(struct session *session, struct message *message)
{
	if (message->encoded == NULL)
		return;
	if (phx_likely(message->encoded_len <= PHX_BLOCK_SMALL)) {
		session->account.pool.put(
			&session->account.pool, message->encoded, PHX_BLOCK_SMALL);
	} else {
		memory_account_uncharge(&session->account, message->encoded_len);
		free(message->encoded);
	}
	message->encoded = NULL;
	message->encoded_len = 0;
}

void message_release(struct session *session, struct message *message)
{
	phx_image_release(&message->image, &session->account.pool);
	if (message->extra != NULL)
		session->account.pool.put(
			&session->account.pool, message->extra, message->extra_size);
	message_encoded_put(session, message);
	memset(message, 0, sizeof(*message));
}

int pack_fetch(struct session *session, uint32_t off, uint32_t len, void *out)
{
	for (uint32_t i = 0; i < session->app.region_count; i++) {
		const struct phx_source_region *r = &session->regions[i];

		if (off >= r->off && phx_range_ok(off - r->off, len, r->size)) {
			phx_shm_copy_bytes(out, session->app.base + off, len);
			return 0;
		}
	}
	return -EFAULT;
}

static uint8_t *extra_get(struct session *session, struct message *message, uint32_t size)
{
	message->extra_size = size <= PHX_BLOCK_SMALL ? PHX_BLOCK_SMALL : PHX_BLOCK_LARGE;
	message->extra = session->account.pool.get(&session->account.pool, message->extra_size);
	return message->extra;
}

void rcall_message_drop(struct rcall *rcall)
{
	message_release(rcall->session, &rcall->message);
}

void rcall_text(struct rcall *rcall, const char *format, ...)
{
	struct message *message = &rcall->message;
	va_list args;
	int n;

	message_release(rcall->session, message);
	if (extra_get(rcall->session, message, PHX_BLOCK_SMALL) == NULL)
		return; // the code and reason have to do
	va_start(args, format);
	n = vsnprintf((char *)message->extra, PHX_BLOCK_SMALL, format, args);
	va_end(args);
	message->text_len = (uint16_t)phx_min((size_t)phx_max(n, 0), (size_t)PHX_BLOCK_SMALL - 1);
	rcall->status.text = (const char *)message->extra;
	rcall->status.text_len = message->text_len;
}

int pack_extra(struct session *session, struct message *message, uint32_t off, uint16_t text_len,
	uint16_t meta_len)
{
	uint32_t size = (uint32_t)text_len + meta_len;
	int rc;

	if (size == 0)
		return 0;
	if (extra_get(session, message, size) == NULL)
		return -ENOMEM;
	// In shared memory the text comes first, on the way out the metadata does.
	rc = pack_fetch(session, off, text_len, message->extra + meta_len);
	if (rc == 0)
		rc = pack_fetch(session, off + text_len, meta_len, message->extra);
	if (rc != 0)
		return rc;
	if (meta_len != 0 && phx_metadata_check(message->extra, meta_len) != 0)
		return -EINVAL;
	message->meta_len = meta_len;
	message->text_len = text_len;
	return 0;
}

int message_store(struct session *session, struct message *message, const struct iovec *iov,
	int iov_count, uint32_t msg_len, const void *meta, uint16_t meta_len)
{
	struct phx_block_pool *pool = &session->account.pool;
	uint32_t at = 0;

	memset(message, 0, sizeof(*message));
	if (msg_len > PHX_BLOCK_LARGE)
		return -ENOMEM;
	if (meta_len != 0) {
		if (extra_get(session, message, meta_len) == NULL)
			return -ENOMEM;
		memcpy(message->extra, meta, meta_len);
		message->meta_len = meta_len;
	}
	if (msg_len == 0)
		return 0;
	message->image.small = msg_len <= PHX_BLOCK_SMALL;
	message->image.block0 =
		pool->get(pool, message->image.small ? PHX_BLOCK_SMALL : PHX_BLOCK_LARGE);
	if (message->image.block0 == NULL) {
		message_release(session, message);
		return -ENOMEM;
	}
	message->image.block_count = 1;
	for (int i = 0; i < iov_count && at < msg_len; i++) {
		size_t n = phx_min(iov[i].iov_len, (size_t)(msg_len - at));

		memcpy(message->image.block0 + at, iov[i].iov_base, n);
		at += (uint32_t)n;
	}
	message->image.skeleton_len = msg_len;
	message->image.total_len = msg_len;
	return 0;
}

static void limits_fill(struct session *session, struct message *message,
	const struct phx_schema *schema, struct phx_pack_limits *lim)
{
	const struct chain *chain = session_chain(session);

	message->inspect_id = chain_id(chain);
	lim->max_bytes = session->config.max_message;
	lim->max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX;
	lim->leaf_copy_bytes = PHX_LIMIT_LEAF_COPY_BYTES;
	lim->inspect = chain != NULL ? chain_inspect(chain, schema) : NULL;
}

// What went wrong, as a status with a text in `text`.
static struct call_status pack_status(
	struct session *session, int rc, const char *what, char *text, size_t text_size)
{
	struct call_status st = {
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.text = text,
	};

	switch (rc) {
	case -E2BIG:
		st.code = PHX_RESOURCE_EXHAUSTED;
		st.reason = PHX_REASON_TOO_LARGE;
		(void)snprintf(text, text_size,
			"%s (the largest is %llu bytes: --max-message of phoenix-dataplane)", what,
			(unsigned long long)session->config.max_message);
		break;
	case -ENOMEM:
		st.code = PHX_RESOURCE_EXHAUSTED;
		st.reason = PHX_REASON_NO_MEMORY;
		(void)snprintf(text, text_size,
			"no memory for the snapshot (%s; quota is %llu bytes per application)",
			what, (unsigned long long)session->config.snapshot_quota);
		break;
	default:
		st.code = PHX_INVALID_ARGUMENT;
		st.reason = PHX_REASON_INVALID;
		(void)snprintf(text, text_size, "message refused: %s", what);
		break;
	}
	st.text_len = (uint16_t)strlen(text);
	return st;
}

// Validate an inline message where it stands; a library that built it in field order passes.
static int inline_try(struct message *message, const struct phx_schema *schema, uint32_t type,
	const void *base, uint32_t len)
{
	const struct phx_validate_limits lim = {.max_elements = PHX_LIMIT_WORK_ELEMENTS};
	struct phx_work work = {.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	struct phx_validate v;

	phx_validate_start(&v, schema, type, base, len, &lim);
	if (phx_validate_run(&v, &work) != 1)
		return 0;
	phx_image_borrow(&message->image, (void *)(uintptr_t)base, len);
	return 1;
}

struct pack_input {
	bool is_inline;
	const uint64_t *inl;
	uint32_t len;
	uint32_t off;
};

// Start (and for all but large messages finish) a pack. 1, 0, or a negative errno value with
// *what.
static int pack_begin(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type, const struct pack_input *in,
	const char **what)
{
	struct phx_work budget = {
		.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	struct phx_pack_limits lim;
	int rc;

	if (phx_likely(in->is_inline) && inline_try(message, schema, type, in->inl, in->len))
		return 1;
	work->pack = session->account.pool.get(&session->account.pool, PHX_BLOCK_SMALL);
	*what = "pool";
	if (work->pack == NULL)
		return -ENOMEM;
	limits_fill(session, message, schema, &lim);
	if (in->is_inline)
		phx_pack_start_private(work->pack, schema, type, in->inl, in->len,
			&session->account.pool, &lim, &message->image);
	else
		phx_pack_start(work->pack, schema, type, &session->app, in->off,
			&session->account.pool, &lim, &message->image);
	rc = phx_pack_run(work->pack, &budget);
	if (rc == 0)
		return 0;
	*what = rc < 0 ? work->pack->error : NULL;
	session->account.pool.put(&session->account.pool, work->pack, PHX_BLOCK_SMALL);
	work->pack = NULL;
	return rc;
}
static_assert(sizeof(struct phx_pack) <= PHX_BLOCK_SMALL, "a pack fits a small block");

void pack_inspect(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema)
{
	const struct chain *chain = session_chain(session);

	work->pack->inspect = chain != NULL ? chain_inspect(chain, schema) : NULL;
	if (message->inspect_id != chain_id(chain))
		message->inspect_id = 0;
}

// One more step. Same results.
static int pack_step(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, const char **what)
{
	struct phx_work budget = {
		.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	int rc;

	pack_inspect(session, work, message, schema);
	rc = phx_pack_run(work->pack, &budget);
	if (rc == 0)
		return 0;
	*what = rc < 0 ? work->pack->error : NULL;
	session->account.pool.put(&session->account.pool, work->pack, PHX_BLOCK_SMALL);
	work->pack = NULL;
	return rc;
}

static void call_pack_failed(struct call *call, struct path *path, int rc, const char *what)
{
	struct session *session = call->queue->session;
	char text[256];
	struct call_status st =
		pack_status(session, rc, what == NULL ? "bad message" : what, text, sizeof(text));

	path_release(path);
	call_complete(call, &st, NULL);
}

static inline void call_packed(struct call *call)
{
	call->packed = true;
	PROBE1(call_packed, call);
	trace_at(call->session->worker, call->trace, TRACE_PACKED);
}

static int call_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	struct session *session = call->queue->session;
	struct path *path = call->path;
	const char *what = NULL;
	int rc = pack_step(session, work, &call->message, call->schema, &what);

	if (rc == 0)
		return 0;
	call->path = NULL;
	call->state = CALL_QUEUED;
	if (rc < 0) {
		call_pack_failed(call, path, rc, what);
		return 1;
	}
	call_packed(call);
	chained_calls(session, &call, &path, 1);
	return 1;
}

int pack_call(struct call *call, struct path *path)
{
	struct session *session = call->queue->session;
	const struct pack_input in = {
		.is_inline = call->inline_message,
		.inl = call->inl,
		.len = call->msg_len,
		.off = call->msg_off,
	};
	const char *what = "metadata";
	int rc = 0;

	PROBE1(call_admitted, call);
	trace_at(session->worker, call->trace, TRACE_ADMITTED);
	if (call->packed) // parked after a hold or a lost link: the snapshot is still there
		return 1;
	if (phx_unlikely(call->meta_len != 0))
		rc = pack_extra(session, &call->message, call->meta_off, 0, call->meta_len);
	if (rc == 0)
		rc = pack_begin(session, &call->work, &call->message, call->schema, call->input,
			&in, &what);
	else if (rc != -ENOMEM)
		what = rc == -EFAULT ? "metadata outside the heap" : "metadata not canonical";
	if (phx_likely(rc == 1)) {
		call_packed(call);
		return 1;
	}
	if (rc == 0) {
		call->state = CALL_PACK;
		call->path = path;
		call->work.step = call_step;
		session_work_add(session, &call->work);
		return 0;
	}
	call_pack_failed(call, path, rc, what);
	return -1;
}

void pack_drop(struct session *session, struct call_work *work)
{
	phx_list_del(&work->node);
	phx_pack_abort(work->pack);
	session->account.pool.put(&session->account.pool, work->pack, PHX_BLOCK_SMALL);
	work->pack = NULL;
}

void pack_abort(struct call *call)
{
	struct session *session = call->queue->session;

	if (call->work.pack != NULL)
		pack_drop(session, &call->work);
	encoding_drop(session, &call->work);
	path_release(call->path);
	call->path = NULL;
	call->state = CALL_QUEUED;
}

static void rcall_pack_failed(struct rcall *rcall, int rc, const char *what)
{
	struct session *session = rcall->session;
	char local[256];

	message_release(session, &rcall->message);
	rcall->status =
		pack_status(session, rc, what == NULL ? "bad reply" : what, local, sizeof(local));
	rcall->status.code = rc == -E2BIG ? PHX_RESOURCE_EXHAUSTED : PHX_INTERNAL;
	rcall->status.origin = PHX_ORIGIN_REMOTE_DATAPLANE;
	rcall->status.executed = PHX_EXECUTED_YES;
	rcall->status.text_len = 0;
	rcall_text(rcall, "the server's reply cannot be sent: %s", local);
	serve_packed(rcall);
}

static int rcall_step(struct call_work *work)
{
	struct rcall *rcall = phx_container_of(work, struct rcall, work);
	const char *what = NULL;
	int rc = pack_step(rcall->session, work, &rcall->message, rcall->schema, &what);

	if (rc == 0)
		return 0;
	if (rc < 0)
		rcall_pack_failed(rcall, rc, what);
	else
		serve_packed(rcall);
	return 1;
}

void pack_reply_abort(struct rcall *rcall)
{
	struct session *session = rcall->session;

	phx_list_del(&rcall->work.node);
	phx_pack_abort(rcall->work.pack);
	session->account.pool.put(&session->account.pool, rcall->work.pack, PHX_BLOCK_SMALL);
	rcall->work.pack = NULL;
}

void pack_reply(struct rcall *rcall, const struct phx_sub_entry *e, const uint64_t *inl)
{
	struct session *session = rcall->session;
	const struct pack_input in = {
		.is_inline = (e->flags & PHX_SUB_INLINE) != 0,
		.inl = inl,
		.len = e->msg_len,
		.off = e->msg_off,
	};
	const char *what = "metadata or text";
	int rc = 0;

	memset(&rcall->message, 0, sizeof(rcall->message));
	if (phx_unlikely(e->meta_len != 0 || e->text_len != 0))
		rc = pack_extra(session, &rcall->message, e->meta_off, e->text_len, e->meta_len);
	if (rc == 0 && (e->flags & PHX_SUB_NO_MESSAGE) != 0)
		rc = 1;
	else if (rc == 0)
		rc = pack_begin(session, &rcall->work, &rcall->message, rcall->schema,
			rcall->output, &in, &what);
	if (phx_likely(rc == 1)) {
		serve_packed(rcall);
	} else if (rc == 0) {
		rcall->work.step = rcall_step;
		session_work_add(session, &rcall->work);
	} else {
		rcall_pack_failed(rcall, rc, what);
	}
}

// SPDX-License-Identifier: BSD-3-Clause
// The server end: channels that peers opened, their requests into local sessions, replies back.
// Everything a peer sends is checked before use. Worker thread, hot.
#include "dataplane/link/link.h"

#include "lib/base/hash.h"
#include "lib/schema/metadata.h"

#include <stdlib.h>

static struct rchannel *rchannel_find(struct link *link, uint64_t id)
{
	struct phx_list *head = &link->rchannel_bucket[phx_mix64(id) % LINK_BUCKETS], *n;

	phx_list_for_each (n, head) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, bucket);

		if (rc->id == id)
			return rc;
	}
	return NULL;
}

static struct rcall *rcall_find(struct rchannel *rc, uint64_t sequence)
{
	struct phx_list *head = &rc->calls_bucket[sequence % RCHANNEL_BUCKETS], *n;

	phx_list_for_each (n, head) {
		struct rcall *r = phx_list_entry(n, struct rcall, bucket);

		if (r->sequence == sequence)
			return r;
	}
	return NULL;
}

// ---- credit ----

static void credit_send(struct rchannel *rc, uint8_t type)
{
	const struct phx_frame f = {
		.type = type,
		.epoch = rc->epoch,
		.channel = rc->id,
		.sequence = rc->accepted,
		.limit = (uint32_t)(rc->completed + LINK_WINDOW_CALLS - rc->accepted),
		.arg = rc->bytes_done + LINK_WINDOW_BYTES,
	};

	rc->limit_told = rc->completed + LINK_WINDOW_CALLS;
	rc->bytes_told = f.arg;
	link_send(rc->link, &f, NULL, 0);
}

// A call is over: its credit goes back, told in steps of half a window.
static void credit_return(struct rchannel *rc, uint32_t bytes)
{
	rc->completed++;
	rc->calls--;
	rc->bytes_done += bytes;
	if (rc->link == NULL)
		return;
	if (rc->completed + LINK_WINDOW_CALLS - rc->limit_told >= LINK_WINDOW_CALLS / 2 ||
		rc->bytes_done + LINK_WINDOW_BYTES - rc->bytes_told >= LINK_WINDOW_BYTES / 2)
		credit_send(rc, PHX_FRAME_CREDIT);
}

static void rcall_detach(struct rcall *r)
{
	struct rchannel *rc = r->rchannel;

	if (rc == NULL)
		return;
	phx_list_del(&r->bucket);
	r->rchannel = NULL;
	credit_return(rc, r->bytes);
}

// ---- OPEN, SUBSCRIBE ----

static void refuse(struct link *link, const struct phx_frame *to, uint64_t sequence,
	enum phx_code code, enum phx_reason reason)
{
	const struct phx_frame f = {
		.type = sequence == 0 ? PHX_FRAME_REFUSED : PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = (uint16_t)reason,
		.epoch = to->epoch,
		.cookie = to->cookie,
		.channel = to->channel,
		.sequence = sequence,
	};

	link_send(link, &f, NULL, 0);
}

static struct rchannel *orphan_take(struct link *link, const struct phx_frame *f)
{
	struct link_table *table = link_table(link->worker);
	struct phx_list *n;

	phx_list_for_each (n, &table->orphans) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, node);

		if (rc->id == f->channel && rc->epoch < f->epoch &&
			memcmp(rc->uuid, link->peer_uuid, sizeof(rc->uuid)) == 0) {
			timer_stop(&link->worker->timers, &rc->expiry);
			phx_list_del(n);
			return rc;
		}
	}
	return NULL;
}

static struct rchannel *rchannel_create(struct link *link, const struct phx_frame *f)
{
	struct rchannel *rc = calloc(1, sizeof(*rc));

	if (rc == NULL)
		return NULL;
	rc->id = f->channel;
	memcpy(rc->uuid, link->peer_uuid, sizeof(rc->uuid));
	timer_init(&rc->expiry);
	phx_list_init(&rc->node);
	phx_list_init(&rc->bucket);
	phx_list_init(&rc->subscriptions);
	for (int i = 0; i < RCHANNEL_BUCKETS; i++)
		phx_list_init(&rc->calls_bucket[i]);
	return rc;
}

static int on_open(struct link *link, const struct phx_frame *f, enum phx_reason *reason)
{
	struct phx_frame opened = {
		.type = PHX_FRAME_OPENED,
		.epoch = f->epoch,
		.channel = f->channel,
	};
	struct rchannel *rc;

	if (rchannel_find(link, f->channel) != NULL || f->epoch == 0) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	if (link->rchannel_count >= PHX_LIMIT_CHANNELS_MAX * 16) {
		refuse(link, f, 0, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY);
		return 0;
	}
	rc = orphan_take(link, f);
	if (rc == NULL) {
		rc = rchannel_create(link, f);
		if (rc == NULL) {
			refuse(link, f, 0, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY);
			return 0;
		}
		if (f->epoch > 1)
			opened.code = PHX_NOT_FOUND; // history unknown
	}
	rc->link = link;
	rc->epoch = f->epoch;
	rc->completed = rc->accepted - rc->calls;
	rc->bytes = rc->bytes_done = 0;
	link->rchannel_count++;
	phx_list_add_tail(&link->rchannels, &rc->node);
	phx_list_add_tail(&link->rchannel_bucket[phx_mix64(rc->id) % LINK_BUCKETS], &rc->bucket);
	opened.sequence = rc->accepted;
	opened.limit = (uint32_t)(rc->completed + LINK_WINDOW_CALLS - rc->accepted);
	opened.arg = LINK_WINDOW_BYTES;
	rc->limit_told = rc->completed + LINK_WINDOW_CALLS;
	rc->bytes_told = LINK_WINDOW_BYTES;
	link_send(link, &opened, NULL, 0);
	return 0;
}

// Instances on this worker; hashes that all of them take (one, when they agree).
static uint32_t entry_local(const struct worker *worker, const struct service_entry *e,
	struct phx_hash128 *out_hash, bool *out_same)
{
	uint32_t count = 0;

	*out_same = true;
	for (uint32_t i = 0; i < e->instance_count; i++) {
		const struct service_instance *in = &e->instances[i];

		if (in->worker != worker->index)
			continue;
		if (count++ == 0)
			*out_hash = in->hash;
		else if (in->hash.lo != out_hash->lo || in->hash.hi != out_hash->hi)
			*out_same = false;
	}
	return count;
}

static void subscription_tell(struct rchannel *rc, struct subscription *s, bool force)
{
	struct worker *worker = rc->link->worker;
	const struct service_set *set =
		atomic_load_explicit(worker->services, memory_order_acquire);
	struct phx_frame f = {
		.type = PHX_FRAME_SERVICE_DOWN,
		.epoch = rc->epoch,
		.service = s->binding,
		.channel = rc->id,
	};
	struct phx_hash128 hash = {0, 0};
	uint8_t bytes[16];
	struct iovec iov = {bytes, sizeof(bytes)};
	uint8_t state = SERVICE_UNKNOWN;
	bool same = true;

	// A binding stays with its group once it has one, also when a second appears.
	if (s->service < 0)
		s->service = service_find(set, s->group, s->name);
	if (s->service == -EEXIST) {
		f.code = PHX_FAILED_PRECONDITION;
		state = SERVICE_AMBIGUOUS;
	} else if (s->service < 0) {
		f.code = PHX_NOT_FOUND;
	} else if (entry_local(worker, &set->entries[s->service], &hash, &same) == 0) {
		f.code = PHX_UNAVAILABLE;
		state = SERVICE_DOWN;
	} else {
		f.type = PHX_FRAME_SERVICE_UP;
		f.arg = (uint64_t)s->service;
		f.payload_len = same ? sizeof(bytes) : 0;
		phx_le64_store(bytes, hash.lo);
		phx_le64_store(bytes + 8, hash.hi);
		state = SERVICE_UP;
	}
	if (!same)
		hash.lo = 0;
	if (!force && s->told == state && s->told_hash == hash.lo)
		return;
	s->told = state;
	s->told_hash = hash.lo;
	link_send(rc->link, &f, &iov, f.payload_len != 0);
}

void rchannel_subscriptions(struct rchannel *rc, bool all)
{
	struct phx_list *n;

	phx_list_for_each (n, &rc->subscriptions) {
		subscription_tell(rc, phx_list_entry(n, struct subscription, node), all);
	}
}

static bool names_split(const uint8_t *p, uint32_t len, struct subscription *s)
{
	const uint8_t *nul = p != NULL ? memchr(p, 0, len) : NULL;
	size_t group_len, name_len;

	if (nul == NULL)
		return false;
	group_len = (size_t)(nul - p);
	name_len = len - group_len - 1;
	if (group_len > PHX_LIMIT_NAME_BYTES || name_len == 0 || name_len > PHX_LIMIT_NAME_BYTES ||
		memchr(nul + 1, 0, name_len) != NULL)
		return false;
	memcpy(s->group, p, group_len);
	memcpy(s->name, nul + 1, name_len);
	return true;
}

static int on_subscribe(struct rchannel *rc, const struct phx_frame *f, const struct iovec *iov,
	int n, enum phx_reason *reason)
{
	uint8_t flat[2 * PHX_LIMIT_NAME_BYTES + 2];
	struct subscription *s;
	struct phx_list *k;
	uint32_t at = 0, count = 0;

	phx_list_for_each (k, &rc->subscriptions) {
		count += phx_list_entry(k, struct subscription, node)->binding != f->service;
	}
	s = f->payload_len <= sizeof(flat) && count < PHX_LIMIT_SERVICES_MAX ? calloc(1, sizeof(*s))
									     : NULL;
	if (s == NULL) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	for (int i = 0; i < n && at + iov[i].iov_len <= sizeof(flat); i++) {
		memcpy(flat + at, iov[i].iov_base, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	if (!names_split(flat, at, s)) {
		free(s);
		*reason = PHX_REASON_W_LENGTH;
		return -EPROTO;
	}
	s->binding = f->service;
	s->service = -ENOENT;
	phx_list_add_tail(&rc->subscriptions, &s->node);
	subscription_tell(rc, s, true);
	return 0;
}

// ---- requests ----

static const struct service_instance *instance_pick(
	struct worker *worker, const struct service_set *set, uint32_t id)
{
	struct link_table *table = link_table(worker);
	const struct service_entry *e;

	if (id >= set->count)
		return NULL;
	e = &set->entries[id];
	for (uint32_t i = 0; i < e->instance_count; i++) {
		const struct service_instance *in =
			&e->instances[(table->round + i) % e->instance_count];

		if (in->worker == worker->index) {
			table->round += i + 1;
			return in;
		}
	}
	return NULL;
}

static void rcall_enter(
	struct rchannel *rc, struct rcall *r, const struct phx_frame *f, uint64_t now_ns)
{
	r->rchannel = rc;
	r->sequence = f->sequence;
	r->cookie = f->cookie;
	r->bytes = f->payload_len;
	if (f->arg != UINT64_MAX && f->arg < UINT64_MAX - now_ns)
		r->deadline_ns = now_ns + f->arg;
	rc->calls++;
	phx_list_add_tail(&rc->calls_bucket[f->sequence % RCHANNEL_BUCKETS], &r->bucket);
}

// Answer a request that did not reach a session.
static void headers_refuse(
	struct rchannel *rc, const struct phx_frame *f, enum phx_code code, enum phx_reason reason)
{
	rc->calls++;
	refuse(rc->link, f, f->sequence, code, reason);
	credit_return(rc, f->payload_len);
}

static void rcall_bad(struct rcall *r, int rc)
{
	r->status = (struct call_status){
		.code = rc == -E2BIG || rc == -ENOMEM ? PHX_RESOURCE_EXHAUSTED
			: rc == -EPROTO		      ? PHX_INVALID_ARGUMENT
						      : PHX_DATA_LOSS,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = rc == -EILSEQ	   ? PHX_REASON_UTF8
			  : rc == -EBADMSG ? PHX_REASON_PAYLOAD_CRC
			  : rc == -E2BIG   ? PHX_REASON_TOO_LARGE
			  : rc == -ENOMEM  ? PHX_REASON_RECV_QUOTA
					   : PHX_REASON_SCHEMA,
	};
	r->state = RCALL_REPLYING;
	rcall_send(r);
}

// Leaves gathered in place are checked where they were copied to: the receive heap, or private
// memory when that has no room.
static void request_gathered(struct rcall *r, const struct iovec *iov, int n, uint32_t len,
	const void *meta, uint16_t meta_len)
{
	struct iovec flat = {NULL, len};
	uint32_t at = 0;
	int rc;

	if (meta_len == 0 && rcall_take_image(r, iov, n, len) == 0) {
		rc = body_validate(
			r->schema, r->input, session_recv_address(r->session, r->block), len);
		if (rc == 1)
			rcall_deliver(r, NULL, 0, len, NULL, 0);
		else
			rcall_bad(r, rc);
		return;
	}
	flat.iov_base = aligned_alloc(8, phx_align_up(len + 8, 8));
	if (flat.iov_base == NULL) {
		rcall_bad(r, -ENOMEM);
		return;
	}
	for (int i = 0; i < n; i++) {
		memcpy((char *)flat.iov_base + at, iov[i].iov_base, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	rc = body_validate(r->schema, r->input, flat.iov_base, len);
	if (rc == 1)
		rcall_deliver(r, &flat, 1, len, meta, meta_len);
	else
		rcall_bad(r, rc);
	free(flat.iov_base);
}

static void request_small(struct link *link, struct rcall *r, const struct phx_frame *f,
	const struct iovec *iov, int n)
{
	struct iovec payload[CONN_IOV_MAX];
	const void *meta = NULL;
	uint8_t *buf;
	uint32_t len;
	int count, rc;

	if (phx_unlikely(f->meta_len != 0)) {
		meta = body_part(iov, n, 0, f->meta_len);
		if (meta == NULL || phx_metadata_check(meta, f->meta_len) != 0) {
			rcall_bad(r, -EPROTO);
			return;
		}
	}
	count = body_payload(iov, n, (size_t)f->meta_len + f->text_len, payload, CONN_IOV_MAX);
	if (phx_unlikely(f->flags & PHX_FRAME_F_PROTOBUF)) {
		r->peer_image = false;
		rc = count > 1 ? -EPROTO
			       : message_decode(r->schema, r->input, r->session,
					 count == 1 ? payload[0].iov_base : NULL, f->payload_len,
					 &buf, &len);
		if (rc < 0) {
			rcall_bad(r, rc);
			return;
		}
		payload[0] = (struct iovec){buf, len};
		rcall_deliver(r, payload, 1, len, meta, f->meta_len);
		free(buf);
		return;
	}
	if (phx_unlikely(count != 1)) { // only `local` hands over more than one part
		request_gathered(r, payload, count, f->payload_len, meta, f->meta_len);
		return;
	}
	// In one part from our own pack: checked when it was copied.
	rc = link->local ? 1
			 : body_validate(r->schema, r->input, payload[0].iov_base, f->payload_len);
	if (phx_unlikely(rc != 1))
		rcall_bad(r, rc);
	else
		rcall_deliver(r, payload, 1, f->payload_len, meta, f->meta_len);
}

static void request_grant(struct rcall *r)
{
	const struct phx_frame f = {
		.type = PHX_FRAME_GRANT,
		.flags = PHX_FRAME_F_REPLY,
		.epoch = r->rchannel->epoch,
		.cookie = r->cookie,
		.channel = r->rchannel->id,
		.sequence = r->sequence,
	};

	link_send(r->rchannel->link, &f, NULL, 0);
}

static void request_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct rcall *r = phx_container_of(waiter, struct rcall, in.waiter);

	(void)reason;
	if (offset == 0) {
		r->in.active = false;
		rcall_bad(r, -ENOMEM);
		return;
	}
	r->in.block = offset;
	r->in.has_block = true;
	request_grant(r);
}

static void request_announced(
	struct rcall *r, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct incoming *in = &r->in;
	uint32_t offset = 0;
	int rc;

	r->in_meta = NULL;
	if (f->meta_len != 0) {
		const void *meta = body_part(iov, n, 0, f->meta_len);

		r->in_meta = malloc(f->meta_len);
		if (r->in_meta == NULL || meta == NULL ||
			phx_metadata_check(meta, f->meta_len) != 0) {
			rcall_bad(r, -EPROTO);
			return;
		}
		memcpy(r->in_meta, meta, f->meta_len);
		r->meta_len = f->meta_len;
	}
	in->active = true;
	in->total = f->limit;
	in->encoded = (f->flags & PHX_FRAME_F_PROTOBUF) != 0;
	in->waiter.fn = request_room;
	rc = session_recv_reserve(r->session, &in->waiter,
		(uint32_t)phx_align_up(f->limit, 8) + f->meta_len, false, r->deadline_ns, &offset);
	if (rc == 1)
		request_room(&in->waiter, offset, PHX_REASON_NONE);
	else if (rc < 0)
		rcall_bad(r, rc);
}

static int on_headers(struct link *link, struct rchannel *rc, const struct phx_frame *f,
	const struct iovec *iov, int n, enum phx_reason *reason)
{
	struct worker *worker = link->worker;
	const struct service_set *set;
	const struct service_instance *in;
	struct rcall *r;

	// Sequences come in order on the small lane; anything else is a replay or a lie.
	if (phx_unlikely(f->sequence != rc->accepted + 1)) {
		*reason = PHX_REASON_W_CALLID;
		return -EPROTO;
	}
	if (phx_unlikely(f->sequence > rc->limit_told)) {
		*reason = PHX_REASON_W_CREDIT;
		return -EPROTO;
	}
	rc->accepted = f->sequence;
	conn_count(&link->calls_in, 1);
	if (phx_unlikely((f->flags & PHX_FRAME_F_HALF_CLOSE) == 0 ||
			 (f->flags & (PHX_FRAME_F_MESSAGE | PHX_FRAME_F_ANNOUNCED)) == 0)) {
		headers_refuse(rc, f, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED);
		return 0;
	}
	set = atomic_load_explicit(worker->services, memory_order_acquire);
	in = instance_pick(worker, set, f->service);
	if (phx_unlikely(in == NULL)) {
		headers_refuse(rc, f, PHX_UNAVAILABLE, PHX_REASON_SERVICE_DOWN);
		return 0;
	}
	if (phx_unlikely(f->method >= phx_schema_method_count(in->schema, in->service))) {
		headers_refuse(rc, f, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED);
		return 0;
	}
	r = rcall_create(in->session, in->handle, f->method);
	if (phx_unlikely(r == NULL)) {
		headers_refuse(rc, f, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_CREDIT);
		return 0;
	}
	r->peer_image = true;
	rcall_enter(rc, r, f, worker->now_ns);
	if (phx_unlikely(f->payload_bad))
		rcall_bad(r, -EBADMSG);
	else if (phx_likely((f->flags & PHX_FRAME_F_MESSAGE) != 0))
		request_small(link, r, f, iov, n);
	else
		request_announced(r, f, iov, n);
	return 0;
}

// ---- chunks of announced requests ----

static struct rcall *frame_rcall(struct link *link, const struct phx_frame *f)
{
	struct rchannel *rc = rchannel_find(link, f->channel);

	if (rc == NULL || f->epoch != rc->epoch)
		return NULL;
	return rcall_find(rc, f->sequence);
}

void *server_sink(struct link *link, const struct phx_frame *f)
{
	struct rcall *r = frame_rcall(link, f);

	return r != NULL ? incoming_sink(&r->in, link, r->session, f) : NULL;
}

static void request_complete(struct rcall *r)
{
	const void *meta = r->in_meta;
	uint8_t *buf;
	uint32_t len;
	int rc;

	if (!r->in.encoded) {
		uint8_t *base = session_recv_address(r->session, r->in.block);

		r->block = r->in.block;
		r->has_block = true;
		r->in.has_block = false;
		if (r->meta_len != 0)
			memcpy(base + phx_align_up(r->in.total, 8), meta, r->meta_len);
		free(r->in_meta);
		r->in_meta = NULL;
		rcall_deliver(r, NULL, 0, r->in.total, NULL, r->meta_len);
		return;
	}
	r->peer_image = false;
	rc = message_decode(r->schema, r->input, r->session,
		session_recv_address(r->session, r->in.block), r->in.total, &buf, &len);
	incoming_drop(&r->in, r->session);
	if (rc < 0) {
		rcall_bad(r, rc);
		return;
	}
	// Decoded images of any size go through a block of their own.
	rc = rcall_take_image(r, &(struct iovec){buf, len}, 1, len);
	free(buf);
	if (rc < 0)
		rcall_bad(r, rc);
	else
		rcall_deliver(r, NULL, 0, len, NULL, 0);
}

static int request_check_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = incoming_check(&r->in, r->session, r->schema, r->input);

	if (rc == 0)
		return 0;
	if (rc != 1) {
		incoming_drop(&r->in, r->session);
		rcall_bad(r, rc);
	} else {
		request_complete(r);
	}
	return 1;
}

int server_landed(struct link *link, const struct phx_frame *f, enum phx_reason *reason)
{
	struct rcall *r = frame_rcall(link, f);

	(void)reason;
	if (r == NULL || !r->in.active)
		return 0;
	if (f->payload_bad) {
		incoming_drop(&r->in, r->session);
		rcall_bad(r, -EBADMSG);
		return 0;
	}
	if (!incoming_landed(&r->in, f))
		return 0;
	r->in.active = false;
	if (r->in.encoded) {
		request_complete(r);
		return 0;
	}
	r->work.step = request_check_step;
	session_work_add(r->session, &r->work);
	return 0;
}

// ---- dispatch ----

// A reply on its way that nobody will take: stop it. One that a transport still reads ends later.
static void reply_abandon(struct rcall *r)
{
	if (r->out.total <= LINK_SINGLE_BYTES)
		return; // in one frame: it has left, or ends with its link
	outgoing_stop(&r->out);
	r->out.position = r->out.total;
	if (r->out.in_place != 0)
		return;
	rcall_detach(r);
	rcall_released(r);
}

static void request_end(struct rcall *r, enum phx_reason reason)
{
	if (r->state == RCALL_REPLYING)
		reply_abandon(r);
	else
		rcall_cancel(r, reason);
}

static void rchannel_end(struct rchannel *rc, enum phx_reason reason)
{
	for (int i = 0; i < RCHANNEL_BUCKETS; i++) {
		struct phx_list *n, *tmp;

		phx_list_for_each_safe (n, tmp, &rc->calls_bucket[i]) {
			request_end(phx_list_entry(n, struct rcall, bucket), reason);
		}
	}
}

static void rchannel_free(struct rchannel *rc)
{
	struct phx_list *n, *tmp;

	for (int i = 0; i < RCHANNEL_BUCKETS; i++) {
		phx_list_for_each_safe (n, tmp, &rc->calls_bucket[i]) {
			struct rcall *r = phx_list_entry(n, struct rcall, bucket);

			phx_list_del(n);
			r->rchannel = NULL; // its reply finds nobody
		}
	}
	while ((n = phx_list_pop(&rc->subscriptions)) != NULL)
		free(phx_list_entry(n, struct subscription, node));
	phx_list_del(&rc->node);
	phx_list_del(&rc->bucket);
	free(rc);
}

int server_frame(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	struct rchannel *rc;
	struct rcall *r;

	if (f->type == PHX_FRAME_OPEN)
		return on_open(link, f, reason);
	rc = rchannel_find(link, f->channel);
	if (phx_unlikely(rc == NULL || f->epoch != rc->epoch)) {
		conn_count(&link->dropped_frames, 1);
		return 0;
	}
	switch (f->type) {
	case PHX_FRAME_HEADERS:
		return on_headers(link, rc, f, iov, n, reason);
	case PHX_FRAME_SUBSCRIBE:
		return on_subscribe(rc, f, iov, n, reason);
	case PHX_FRAME_CANCEL:
		r = rcall_find(rc, f->sequence);
		if (r != NULL)
			request_end(r, PHX_REASON_CANCELLED);
		return 0;
	case PHX_FRAME_GRANT:
		r = rcall_find(rc, f->sequence);
		if (r != NULL && r->out.total > LINK_SINGLE_BYTES && r->out.position == 0 &&
			!r->out.started) {
			r->out.started = true;
			outgoing_start(link, &r->out);
		}
		return 0;
	case PHX_FRAME_MESSAGE:
		conn_count(&link->dropped_frames, 1);
		return 0;
	case PHX_FRAME_GOAWAY:
		rchannel_end(rc, PHX_REASON_CANCELLED);
		link->rchannel_count--;
		rchannel_free(rc);
		return 0;
	default:
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
}

// ---- replies ----

static void rcall_out_unpinned(struct outgoing *out)
{
	struct rcall *r = phx_container_of(out, struct rcall, out);

	if (out->position < out->total)
		return; // chunks are still to come
	rcall_detach(r);
	rcall_released(r);
}

static void status_frame(const struct rcall *r, struct phx_frame *f)
{
	*f = (struct phx_frame){
		.type = PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.code = r->status.code,
		.origin = r->status.origin,
		.executed = r->status.executed,
		.reason = r->status.reason,
		.epoch = r->rchannel->epoch,
		.cookie = r->cookie,
		.channel = r->rchannel->id,
		.sequence = r->sequence,
		.meta_len = r->message.meta_len,
		.text_len = r->status.text_len,
	};
}

static int status_send(struct rcall *r)
{
	struct link *link = r->rchannel->link;
	struct iovec iov[CONN_IOV_MAX];
	struct phx_frame f;
	uint64_t size = r->status.code == PHX_OK ? message_size(&r->message) : 0, covered;
	int n = 0;

	status_frame(r, &f);
	if (f.meta_len != 0)
		iov[n++] = (struct iovec){r->message.extra, f.meta_len};
	if (f.text_len != 0)
		iov[n++] = (struct iovec){(void *)(uintptr_t)r->status.text, f.text_len};
	if (r->status.code == PHX_OK)
		f.flags |= PHX_FRAME_F_MESSAGE;
	if (r->message.encoded != NULL)
		f.flags |= PHX_FRAME_F_PROTOBUF;
	r->out.unpinned = rcall_out_unpinned;
	r->out.message = &r->message;
	r->out.session = r->session;
	r->out.position = 0;
	r->out.total = size;
	r->out.channel = f.channel;
	r->out.sequence = f.sequence;
	r->out.epoch = f.epoch;
	r->out.cookie = f.cookie;
	r->out.is_reply = true;
	r->out.started = false;
	r->out.encoded = r->message.encoded != NULL;
	if (phx_unlikely(size > LINK_SINGLE_BYTES)) {
		f.flags = (f.flags & ~PHX_FRAME_F_MESSAGE) | PHX_FRAME_F_ANNOUNCED;
		f.limit = (uint32_t)size;
		link_send(link, &f, iov, n);
		return 1;
	}
	f.payload_len = (uint32_t)size;
	n += message_iov(&r->message, session_source(r->session), 0, size, iov + n,
		CONN_IOV_MAX - n, &covered);
	r->out.position = size;
	return outgoing_send_whole(link, &f, iov, n, &r->out);
}

void rcall_send(struct rcall *r)
{
	struct rchannel *rc = r->rchannel;
	int status;

	if (rc == NULL || rc->link == NULL || rc->link->down) {
		rcall_detach(r);
		rcall_released(r);
		return;
	}
	if (!r->peer_image && r->status.code == PHX_OK &&
		message_encode(r->schema, r->output, r->session, &r->message) != 0) {
		r->status = (struct call_status){
			.code = PHX_INTERNAL,
			.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
			.executed = PHX_EXECUTED_YES,
			.reason = PHX_REASON_NO_MEMORY,
		};
	}
	if (phx_unlikely(!phx_list_empty(&rc->link->replies))) {
		phx_list_add_tail(&rc->link->replies, &r->node);
		return;
	}
	status = status_send(r);
	if (phx_likely(status >= 0))
		return;
	if (status == -EAGAIN) {
		rc->link->small_blocked = true;
		phx_list_add_tail(&rc->link->replies, &r->node);
		return;
	}
	rcall_detach(r);
	rcall_released(r);
}

void server_writable(struct link *link)
{
	struct phx_list *n;

	while ((n = phx_list_first(&link->replies)) != NULL) {
		struct rcall *r = phx_list_entry(n, struct rcall, node);
		int status;

		phx_list_del(n);
		status = status_send(r);
		if (status == -EAGAIN) {
			link->small_blocked = true;
			phx_list_add_head(&link->replies, n);
			return;
		}
		if (status < 0) {
			rcall_detach(r);
			rcall_released(r);
		}
	}
}

void rcall_forget(struct rcall *r)
{
	incoming_drop(&r->in, r->session);
	free(r->in_meta);
	r->in_meta = NULL;
	rcall_detach(r);
}

// ---- loss ----

static void orphan_expired(struct worker *worker, struct timer *timer)
{
	(void)worker;
	rchannel_free(phx_container_of(timer, struct rchannel, expiry));
}

void rchannel_expire(struct link_table *table)
{
	struct phx_list *n;

	while ((n = phx_list_first(&table->orphans)) != NULL) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, node);

		timer_stop(&table->worker->timers, &rc->expiry);
		rchannel_free(rc);
	}
}

void server_lost(struct link *link, enum phx_reason reason)
{
	struct link_table *table = link_table(link->worker);
	struct phx_list *n;

	while ((n = phx_list_pop(&link->replies)) != NULL) {
		struct rcall *r = phx_list_entry(n, struct rcall, node);

		rcall_detach(r);
		rcall_released(r);
	}
	while ((n = phx_list_first(&link->rchannels)) != NULL) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, node);
		struct phx_list *s;

		phx_list_del(n);
		phx_list_del(&rc->bucket);
		rc->link = NULL;
		rchannel_end(rc, reason);
		while ((s = phx_list_pop(&rc->subscriptions)) != NULL)
			free(phx_list_entry(s, struct subscription, node));
		phx_list_add_tail(&table->orphans, &rc->node);
		timer_start(&link->worker->timers, &rc->expiry,
			link->worker->now_ns + LINK_ORPHAN_NS, orphan_expired);
	}
}

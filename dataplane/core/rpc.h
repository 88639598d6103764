// SPDX-License-Identifier: BSD-3-Clause
// What the stages of a call ask of each other, as plain functions on the worker's thread.
// frontend, link and policyhost include only core, so the meeting points are declared here and
// each block says who implements it.
#pragma once

#include "dataplane/core/call.h"

struct chain;
struct chain_trust;

// ---- implemented by dataplane/frontend ----

// A call that channel_admit() queued may be packed, chained and sent now: it has credit of `path`.
void call_admitted(struct call *call, struct path *path);

// A reply on its way to the application: bytes stay valid during the call only.
struct reply_view {
	const struct iovec *iov; // the image, gathered
	int iov_count;
	uint32_t msg_len;
	bool has_message;
	const void *meta;
	uint16_t meta_len;
};

// End a client call: exactly once, from any state but FREE. reply may be NULL. The call is FREE
// afterwards (or a zombie until its outgoing bytes are no longer read); small replies are copied
// into the ring or the receive heap, or parked in private memory until the heap has room.
void call_complete(
	struct call *call, const struct call_status *status, const struct reply_view *reply);

// The reply of a sent call has come: the chain, then call_complete(), now or later. view->iov has
// at most one entry.
void call_reply(
	struct call *call, const struct call_status *status, const struct reply_view *reply);

// End a client call whose announced reply lies complete and checked in call->in.block: the image,
// then call->in.meta_len bytes of metadata. call->reply_status is its status.
void call_complete_block(struct call *call);
// Put a gathered reply into a block of the receive heap (call->in), whole. -ENOMEM: no room now.
int call_take_image(struct call *call, const struct reply_view *reply);
// The same as call_complete_block() before the chain has seen it; it may lie in call->in.landing.
void call_reply_block(struct call *call);
// May a policy deny, hold or rewrite what this session receives here? Then it must not lie where
// the application can read it.
bool session_judges(const struct session *session, unsigned point);

// All outgoing bytes of a zombie are out of use.
void call_unpinned(struct call *call);

// Room for an announced message: the block's offset at once (1), later through fn (0; fn gets
// the offset, or 0 when it was refused with *reason), or a refusal now (-E2BIG larger than quota or
// any region can be, -ENOMEM). waiter is embedded in the caller's object.
int session_recv_reserve(struct session *session, struct recv_waiter *waiter, uint32_t total,
	bool is_reply, uint64_t deadline_ns, uint32_t *out_offset);
void session_recv_cancel(struct recv_waiter *waiter);
// The largest message of that kind that the session can ever take.
uint64_t session_recv_most(const struct session *session, bool is_reply);
// Give a call that no application answers its text: kept in rcall->message, which must be empty.
void rcall_text(struct rcall *rcall, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Its reply will not be sent: empty rcall->message.
void rcall_message_drop(struct rcall *rcall);
// Memory for the protobuf form of a message, charged to the session's account. NULL: no memory or
// the quota is used up.
uint8_t *message_encoded_get(struct session *session, uint32_t size);
void message_encoded_put(struct session *session, struct message *message);
void session_recv_free(struct session *session, uint32_t offset);
// Address of receive-heap memory; offset is one that the session gave out.
uint8_t *session_recv_address(struct session *session, uint32_t offset);
const struct phx_source *session_source(const struct session *session);
// Of its application.
uint64_t session_id(const struct session *session);
// Resumable work, one step a poll, in turn with the session's other work.
void session_work_add(struct session *session, struct call_work *work);
struct worker *session_worker(const struct session *session);
struct memory_account *session_account(struct session *session);
// The session's policies now, NULL = none; valid for the burst.
const struct chain *session_chain(const struct session *session);
// A transport starts or stops reading the session's memory in place.
void session_pin(struct session *session);
void session_unpin(struct session *session);

// A request came for registration `service` of `session`: a server call in state RECEIVING, or
// NULL when the session's quota is used up.
struct rcall *rcall_create(struct session *session, uint32_t service, uint16_t method);
// The request is complete (checked) in `iov` (bytes valid during the call) or, announced, in
// rcall->block: run the chain, wait for room, deliver. The rcall may be gone afterwards.
void rcall_deliver(struct rcall *rcall, const struct iovec *iov, int iov_count, uint32_t msg_len,
	const void *meta, uint16_t meta_len);
// Put an image into a block of the receive heap (rcall->block, has_block), whole. -ENOMEM: no room
// now.
int rcall_take_image(struct rcall *rcall, const struct iovec *iov, int iov_count, uint32_t msg_len);
// The caller is not interested any more (cancel, deadline, link or channel lost).
void rcall_cancel(struct rcall *rcall, enum phx_reason reason);
// A reply that a policy holds will not be sent. False: it is not held.
bool rcall_unhold(struct rcall *rcall);
// The reply is out of use (sent, dropped): give the message back, free the rcall.
void rcall_released(struct rcall *rcall);

// ---- implemented by dataplane/link ----

// A parsed call wants credit. Path: it has it, go on now. NULL: queued in the channel, or completed
// (fail-fast, unknown service); call_admitted() or call_complete() follow or have happened.
struct path *channel_admit(struct call *call);
// What is known of the schema of a binding's serving side; lives as long as the channel.
struct chain_trust *channel_trust(const struct channel *channel, uint16_t binding);
// A call without a method wants to hear that its channel has a connection: it is queued, or ends
// at once.
void channel_connect(struct call *call);
// For people: why the queued call waits.
void channel_waits_for(const struct call *call, char *out_text, size_t size);
// Give up encoding the message of this work, if it is being encoded; takes it off the work list.
void encoding_drop(struct session *session, struct call_work *work);
// Give the credit of an admitted call back: it will not be sent (pack or policy refused it, held).
void path_release(struct path *path);
// Encode and send a packed, chained call; it is SENT (or completed) afterwards.
void path_send(struct path *path, struct call *call);
// Leave whatever list of the link layer the call is in; when SENT tell the server. Before
// call_complete() by deadline or cancel.
void channel_forget(struct call *call);

// Send the reply of a server call (packed and chained, or a bare status); rcall_released() follows.
void rcall_send(struct rcall *rcall);
// The rcall goes away without a reply.
void rcall_forget(struct rcall *rcall);

// Channels of a session. target is private and checked for length only.
struct channel_config {
	struct session *session;
	struct worker *worker;
	uint32_t handle;
	char group[PHX_LIMIT_NAME_BYTES + 1]; // "" = any single group
	uint64_t peer;			      // 0 = this host, else the id of a peer
};
int channel_create(const struct channel_config *config, struct channel **out_channel);
// Tell the server and free; the frontend has ended every call of the channel.
void channel_destroy(struct channel *channel, const struct call_status *status);
// Moving a session (frontend/session_move.h). Frozen: calls wait, none fails.
void channel_freeze(struct channel *channel, bool frozen);
uint32_t channel_pending(const struct channel *channel); // calls that wait
void channel_each_pending(
	struct channel *channel, void (*fn)(struct call *call, void *arg), void *arg);
// Off the links of its worker; only waiting calls are left.
void channel_leave(struct channel *channel);
// Over the links of another worker; on its thread. -ENOMEM.
int channel_join(struct channel *channel, struct worker *worker);
// What one more binding costs both ends, and what those of the channel do, bytes.
uint64_t channel_bind_bytes(const struct phx_schema *schema, uint32_t service);
uint64_t channel_bytes(const struct channel *channel);
// Make the next binding of the channel: service of a bound schema. Its index, or -ENOSPC, -ENOMEM.
int channel_bind(struct channel *channel, const struct phx_schema *schema, uint32_t service);
// Schema and method of a binding; NULL when the binding or method does not exist. *out_series is
// the frontend's place for the series of the method, NULL in the beginning; it lasts as long as the
// channel.
const struct phx_method *channel_method(const struct channel *channel, uint16_t binding,
	uint16_t method, const struct phx_schema **out_schema, const char **out_service,
	struct stats_series ***out_series);

// ---- implemented by dataplane/policyhost ----

enum policy_point { POINT_REQUEST_OUT, POINT_REQUEST_IN, POINT_REPLY_OUT, POINT_REPLY_IN };

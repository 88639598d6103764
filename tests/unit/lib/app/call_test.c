// SPDX-License-Identifier: BSD-3-Clause
// Client calls: what stands in the rings, replies, room, cancel.
#include "tests/unit/lib/app/app_test.h"

static struct fake_dp *small_dp(void)
{
	struct fake_dp *dp = fake_dp_create();

	dp->sub_slots = dp->ret_slots = dp->comp_slots = 64;
	return dp;
}

static void call_start_small_message_goes_inline(void **)
{
	struct session s = session_open(NULL);
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct outcome o = {0};
	struct phx_sub_entry e;
	uint8_t inl[256];
	const struct note *note = (const struct note *)(void *)inl;
	const uint8_t text[5] = {7, 7, 7, 7, 7};

	options.timeout_ns = 5 * PHX_NS_PER_S;
	options.wait_for_ready = true;
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 1,
				    note_new(s.ctx, 7, 5), &options, outcome_fn, &o, NULL));
	e = fake_sub(s.dp, 0, inl);
	assert_int_equal(PHX_SUB_CALL, e.kind);
	assert_int_equal(PHX_SUB_INLINE | PHX_SUB_WAIT_FOR_READY, e.flags);
	assert_int_equal(40, e.channel);
	assert_int_equal(3, e.binding);
	assert_int_equal(1, e.method);
	assert_int_equal(5 * PHX_NS_PER_S, e.timeout_ns);
	assert_int_equal(24, e.msg_len);
	assert_int_equal(2, e.slots);
	assert_int_equal(7, note->number);
	assert_int_equal(5, note->text.count);
	assert_memory_equal(text, phx_ref_get(&note->text), 5);
	assert_int_equal(1, atomic_load(&s.dp->schemas));
	assert_int_equal(3, atomic_load(&s.dp->schema_parts));
	fake_reply(s.dp, 0, &e, inl, e.msg_len);
	outcome_wait(&s, &o);
	assert_int_equal(PHX_OK, o.status.code);
	assert_int_equal(PHX_EXECUTED_YES, o.status.executed);
	assert_int_equal(7, o.number);
	session_close(&s);
}

static void call_start_large_message_stays_in_heap(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e;
	const struct note *note;

	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0,
				    note_new(s.ctx, 9, 5000), NULL, outcome_fn, &o, NULL));
	e = fake_sub(s.dp, 0, NULL);
	assert_int_equal(0, e.flags);
	assert_int_equal(0, e.msg_len);
	assert_int_equal(PHX_TIMEOUT_NONE, e.timeout_ns);
	note = fake_at(s.dp, 0, e.msg_off, sizeof(*note));
	assert_int_equal(9, note->number);
	assert_int_equal(5000, note->text.count);
	assert_int_equal(9, *(const uint8_t *)phx_ref_get(&note->text));
	fake_reply(s.dp, 0, &e, &(struct note){.number = 10}, sizeof(struct note));
	outcome_wait(&s, &o);
	assert_int_equal(10, o.number);
	session_close(&s);
}

static void call_start_metadata_stands_in_heap(void **)
{
	struct session s = session_open(NULL);
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_metadata *md;
	struct phx_metadata_view view;
	struct outcome o = {0};
	struct phx_sub_entry e;
	struct phx_bytes value;
	uint8_t inl[256];

	assert_int_equal(0, phx_metadata_create(&md));
	assert_int_equal(0, phx_metadata_append(md, "user", "ada", 3));
	options.metadata = md;
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0,
				    note_new(s.ctx, 1, 0), &options, outcome_fn, &o, NULL));
	phx_metadata_destroy(md);
	e = fake_sub(s.dp, 0, inl);
	assert_int_equal(PHX_SUB_INLINE, e.flags);
	assert_int_equal(sizeof(struct note), e.msg_len); // the metadata is not part of it
	view = (struct phx_metadata_view){fake_at(s.dp, 0, e.meta_off, e.meta_len), e.meta_len};
	assert_true(phx_metadata_find(view, "user", &value));
	assert_int_equal(3, value.len);
	fake_reply(s.dp, 0, &e, inl, e.msg_len);
	outcome_wait(&s, &o);
	session_close(&s);
}

static void call_reply_lent_is_returned_once(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {.keep = true};
	struct note note = {.number = 77};
	uint8_t block[64] = {0};
	struct phx_sub_entry e;
	struct phx_ret_entry r;
	struct phx_bytes value;
	size_t meta_len;
	const uint8_t meta[] = {1, 0, 1, 2, 0, 'k', 'v', 'w'};

	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	memcpy(block, &note, sizeof(note));
	meta_len = sizeof(meta);
	memcpy(block + sizeof(note), meta, meta_len);
	fake_comp(s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_CALL,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = e.call,
			.handle = e.handle,
			.lent = 0xabcd,
			.msg_off = fake_recv_put(s.dp, block, sizeof(block)),
			.msg_len = sizeof(note),
			.meta_len = (uint16_t)meta_len},
		NULL, 0);
	outcome_wait(&s, &o);
	assert_int_equal(77, o.number);
	assert_true(phx_metadata_find(phx_reply_metadata(o.reply), "k", &value));
	assert_memory_equal("vw", value.data, 2);
	assert_true(fake_ret_none(s.dp, 0));
	phx_message_release(o.reply);
	(void)phx_poll(s.queue, 0);
	r = fake_ret(s.dp, 0);
	assert_int_equal(PHX_RET_RETURN, r.kind);
	assert_int_equal(1, r.count);
	assert_int_equal(0xabcd, r.handle[0]);
	(void)phx_poll(s.queue, 0);
	assert_true(fake_ret_none(s.dp, 0));
	session_close(&s);
}

static void call_returns_are_batched(void **)
{
	struct session s = session_open(NULL);
	struct outcome o[8] = {{0}};
	struct phx_ret_entry r;

	for (unsigned i = 0; i < 8; i++)
		(void)note_call(&s, i, &o[i]);
	for (unsigned i = 0; i < 8; i++) {
		struct phx_sub_entry e = fake_sub(s.dp, 0, NULL);
		struct note note = {.number = i};

		fake_comp(s.dp, 0,
			(struct phx_comp_entry){.kind = PHX_COMP_CALL,
				.flags = PHX_COMP_HAS_MESSAGE,
				.call = e.call,
				.handle = e.handle,
				.lent = 100 + i,
				.msg_off = fake_recv_put(s.dp, &note, sizeof(note)),
				.msg_len = sizeof(note)},
			NULL, 0);
	}
	assert_int_equal(8, phx_poll(s.queue, 0));
	r = fake_ret(s.dp, 0);
	assert_int_equal(6, r.count);
	assert_int_equal(100, r.handle[0]);
	r = fake_ret(s.dp, 0);
	assert_int_equal(2, r.count);
	assert_int_equal(107, r.handle[1]);
	session_close(&s);
}

static void call_error_status_is_delivered(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e;
	const char text[] = "try later";

	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	fake_comp(s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_CALL,
			.call = e.call,
			.handle = e.handle,
			.code = PHX_UNAVAILABLE,
			.origin = PHX_ORIGIN_TRANSPORT,
			.executed = PHX_EXECUTED_MAYBE,
			.reason = PHX_REASON_LINK_LOST,
			.text_len = sizeof(text) - 1},
		text, sizeof(text) - 1);
	outcome_wait(&s, &o);
	assert_int_equal(PHX_UNAVAILABLE, o.status.code);
	assert_int_equal(PHX_ORIGIN_TRANSPORT, o.status.origin);
	assert_int_equal(PHX_EXECUTED_MAYBE, o.status.executed);
	assert_int_equal(PHX_REASON_LINK_LOST, o.status.reason);
	assert_string_equal(text, o.status.text);
	assert_false(o.has_reply);
	session_close(&s);
}

static void call_stale_completion_is_ignored(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e, stale;
	struct note note = {.number = 5};

	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	stale = e;
	stale.handle += UINT64_C(1) << 32;
	fake_reply(s.dp, 0, &stale, &note, sizeof(note));
	stale.handle = e.handle;
	stale.call = 4000000;
	fake_reply(s.dp, 0, &stale, &note, sizeof(note));
	assert_int_equal(0, phx_poll(s.queue, 0));
	assert_int_equal(0, o.calls);
	fake_reply(s.dp, 0, &e, &note, sizeof(note));
	fake_reply(s.dp, 0, &e, &note, sizeof(note)); // twice: the second is stale
	outcome_wait(&s, &o);
	(void)phx_poll(s.queue, 0);
	assert_int_equal(1, o.calls);
	session_close(&s);
}

static void call_cancel_names_its_call(void **)
{
	struct session s = session_open(NULL);
	struct outcome a = {0}, b = {0};
	struct phx_sub_entry ea, eb;
	struct phx_ret_entry r;
	struct phx_call *call;
	uint8_t inl[256];

	(void)note_call(&s, 1, &a);
	call = note_call(&s, 2, &b);
	ea = fake_sub(s.dp, 0, inl);
	eb = fake_sub(s.dp, 0, inl);
	phx_call_cancel(call);
	r = fake_ret(s.dp, 0);
	assert_int_equal(PHX_RET_CANCEL, r.kind);
	assert_int_equal(1, r.count);
	assert_int_equal(0, r.queue);
	assert_int_equal(eb.call, r.call);
	assert_int_equal(eb.handle, r.handle[0]);
	assert_int_equal(ea.slots, r.position);
	fake_comp(s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_CALL,
			.call = eb.call,
			.handle = eb.handle,
			.code = PHX_CANCELLED,
			.reason = PHX_REASON_CANCELLED},
		NULL, 0);
	outcome_wait(&s, &b);
	assert_int_equal(PHX_CANCELLED, b.status.code);
	assert_int_equal(0, a.calls);
	session_close(&s);
}

static void call_start_without_room_is_eagain(void **)
{
	struct session s = session_open(small_dp());
	struct outcome o = {0};
	struct phx_message *m;
	struct phx_sub_entry e;
	unsigned started = 0;
	int rc;

	// 64 calls of one slot: the submission ring is full with the call table.
	for (;;) {
		m = note_new(s.ctx, 1, 0);
		rc = phx_call_start(
			s.channel, s.queue, &note_service, 0, m, NULL, outcome_fn, &o, NULL);
		if (rc != 0)
			break;
		started++;
	}
	assert_int_equal(-EAGAIN, rc);
	assert_true(started >= 32 && started <= 64);
	// The worker takes them all, but they stay in flight up to ret_slots.
	e = fake_sub(s.dp, 0, NULL);
	for (unsigned i = 1; i < started; i++)
		(void)fake_sub(s.dp, 0, NULL);
	while ((rc = phx_call_start(s.channel, s.queue, &note_service, 0, m, NULL, outcome_fn, &o,
			NULL)) == 0) {
		started++;
		(void)fake_sub(s.dp, 0, NULL);
		m = note_new(s.ctx, 1, 0);
	}
	assert_int_equal(-EAGAIN, rc);
	assert_true(started <= 64);
	fake_reply(s.dp, 0, &e, &(struct note){0}, sizeof(struct note));
	outcome_wait(&s, &o);
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0, m, NULL,
				    outcome_fn, &o, NULL));
	session_close(&s);
}

static void call_start_counts_lent_blocks_as_room(void **)
{
	struct session s = session_open(small_dp());
	struct outcome o = {.keep = true};
	struct phx_message *kept[64], *m;
	struct note note = {0};
	unsigned held = 0;
	int rc;

	for (;;) {
		struct phx_sub_entry e;

		m = note_new(s.ctx, 1, 0);
		rc = phx_call_start(
			s.channel, s.queue, &note_service, 0, m, NULL, outcome_fn, &o, NULL);
		if (rc != 0)
			break;
		assert_true(held < 64);
		e = fake_sub(s.dp, 0, NULL);
		fake_comp(s.dp, 0,
			(struct phx_comp_entry){.kind = PHX_COMP_CALL,
				.flags = PHX_COMP_HAS_MESSAGE,
				.call = e.call,
				.handle = e.handle,
				.lent = 1 + held,
				.msg_off = fake_recv_put(s.dp, &note, sizeof(note)),
				.msg_len = sizeof(note)},
			NULL, 0);
		o.calls = 0;
		outcome_wait(&s, &o);
		kept[held++] = o.reply;
	}
	assert_int_equal(-EAGAIN, rc);
	assert_int_equal(64, held);
	phx_message_release(m);
	for (unsigned i = 0; i < held; i++)
		phx_message_release(kept[i]);
	(void)phx_poll(s.queue, 0);
	o.keep = false;
	(void)note_call(&s, 1, &o);
	session_close(&s);
}

struct resubmit {
	struct session *s;
	struct outcome first, second;
	bool published;
};

static void resubmit_fn(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct resubmit *r = arg;

	outcome_fn(&r->first, reply, status);
	(void)note_call(r->s, 2, &r->second);
	r->published = !fake_sub_none(r->s->dp, 0);
}

static void poll_callbacks_publish_at_the_end(void **)
{
	struct session s = session_open(NULL);
	struct resubmit r = {.s = &s};
	struct phx_sub_entry e;

	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0,
				    note_new(s.ctx, 1, 0), NULL, resubmit_fn, &r, NULL));
	e = fake_sub(s.dp, 0, NULL);
	fake_reply(s.dp, 0, &e, &(struct note){0}, sizeof(struct note));
	outcome_wait(&s, &r.first);
	assert_false(r.published);
	assert_false(fake_sub_none(s.dp, 0));
	session_close(&s);
}

static void call_start_wrong_message_is_refused(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_message *m;

	assert_int_equal(0, phx_message_new(s.ctx, &m));
	assert_int_equal(-EINVAL, phx_call_start(s.channel, s.queue, &note_service, 0, m, NULL,
					  outcome_fn, &o, NULL)); // no root
	assert_int_equal(
		0, phx_message_set_root(m, phx_message_alloc(m, other_type.size), &other_type));
	assert_int_equal(-EINVAL, phx_call_start(s.channel, s.queue, &note_service, 0, m, NULL,
					  outcome_fn, &o, NULL));
	assert_int_equal(-EINVAL, phx_call_start(s.channel, s.queue, &note_service, 2, m, NULL,
					  outcome_fn, &o, NULL)); // no such method
	phx_message_release(m);
	session_close(&s);
}

static void channel_second_service_binds_once(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};

	for (int i = 0; i < 3; i++) {
		(void)note_call(&s, 1, &o);
		assert_int_equal(0, phx_call_start(s.channel, s.queue, &other_service, 0,
					    note_new(s.ctx, 1, 0), NULL, outcome_fn, &o, NULL));
	}
	assert_int_equal(2, atomic_load(&s.dp->binds));
	assert_int_equal(1, atomic_load(&s.dp->schemas));
	session_close(&s);
}

static void channel_open_refusal_tells_why(void **)
{
	struct session s = session_open(NULL);
	struct phx_channel *ch = NULL;
	struct phx_status status;

	assert_int_equal(-EINVAL, phx_channel_open(s.ctx, "bad:x", NULL, &ch, &status));
	assert_null(ch);
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	assert_string_equal("unknown scheme", status.text);
	assert_int_equal(0, phx_channel_open(s.ctx, "local:g", NULL, &ch, NULL));
	assert_string_equal("local:g", s.dp->target);
	phx_channel_close(ch);
	assert_int_equal(1, atomic_load(&s.dp->closes));
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_start_small_message_goes_inline),
		cmocka_unit_test(call_start_large_message_stays_in_heap),
		cmocka_unit_test(call_start_metadata_stands_in_heap),
		cmocka_unit_test(call_reply_lent_is_returned_once),
		cmocka_unit_test(call_returns_are_batched),
		cmocka_unit_test(call_error_status_is_delivered),
		cmocka_unit_test(call_stale_completion_is_ignored),
		cmocka_unit_test(call_cancel_names_its_call),
		cmocka_unit_test(call_start_without_room_is_eagain),
		cmocka_unit_test(call_start_counts_lent_blocks_as_room),
		cmocka_unit_test(poll_callbacks_publish_at_the_end),
		cmocka_unit_test(call_start_wrong_message_is_refused),
		cmocka_unit_test(channel_second_service_binds_once),
		cmocka_unit_test(channel_open_refusal_tells_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

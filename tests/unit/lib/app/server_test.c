// SPDX-License-Identifier: BSD-3-Clause
// Servers: delivery, replies and who releases them, cancel, threads, ends.
#include "tests/unit/lib/app/app_test.h"

#include <signal.h>
#include <unistd.h>

#define SERVICE 70 // what the fake dataplane answers to REGISTER of service 0

struct server_test {
	struct session s;
	struct phx_server *server;
	struct phx_request *requests[64];
	unsigned count;
	uint64_t number; // of the request delivered last
};

// Keeps the request for the test to reply to.
static void keep_fn(void *arg, struct phx_request *request)
{
	struct server_test *t = arg;
	const struct note *note = phx_message_root(phx_request_message(request), &note_type);

	t->number = note != NULL ? note->number : 0;
	t->requests[t->count++] = request;
}

static const phx_handler_fn handlers[] = {keep_fn, NULL};

static void server_open(struct server_test *t, struct fake_dp *dp)
{
	memset(t, 0, sizeof(*t));
	t->s = session_open(dp);
	assert_int_equal(0, phx_server_create(t->s.ctx, NULL, &t->server));
	assert_int_equal(0, phx_server_add(t->server, "blue", &note_service, handlers, t, NULL));
	assert_string_equal("blue", t->s.dp->group);
}

static void deliver(struct server_test *t, uint64_t handle, uint64_t number, uint16_t method)
{
	struct note note = {.number = number};

	fake_comp(t->s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = SERVICE,
			.handle = handle,
			.remaining_ns = PHX_TIMEOUT_NONE,
			.msg_len = sizeof(note),
			.method = method},
		&note, sizeof(note));
}

static void event(struct server_test *t, uint8_t kind, uint64_t handle)
{
	fake_comp(t->s.dp, 0, (struct phx_comp_entry){.kind = kind, .handle = handle}, NULL, 0);
}

static void wait_requests(struct server_test *t, unsigned count)
{
	fake_until(t->count >= count || phx_poll(t->s.queue, 0) < -1000);
}

static void reply_small_message_goes_inline(void **)
{
	struct server_test t;
	struct phx_sub_entry e;
	uint8_t inl[256];

	server_open(&t, NULL);
	deliver(&t, 0x100000001, 5, 0);
	wait_requests(&t, 1);
	assert_int_equal(5, t.number);
	assert_true(phx_request_context(t.requests[0]) == t.s.ctx);
	assert_true(phx_request_remaining_ns(t.requests[0]) == PHX_NO_TIMEOUT);
	assert_false(phx_request_is_cancelled(t.requests[0]));
	assert_int_equal(0, phx_reply(t.requests[0], note_new(t.s.ctx, 6, 0), NULL));
	e = fake_sub(t.s.dp, 0, inl);
	assert_int_equal(PHX_SUB_REPLY, e.kind);
	assert_int_equal(PHX_SUB_INLINE, e.flags);
	assert_int_equal(0x100000001, e.handle);
	assert_int_equal(PHX_OK, e.channel);
	assert_int_equal(6, ((struct note *)(void *)inl)->number);
	session_close(&t.s);
}

static void reply_large_message_lives_until_released(void **)
{
	struct server_test t;
	struct phx_sub_entry e;
	const struct note *note;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 0);
	wait_requests(&t, 1);
	assert_int_equal(0, phx_reply(t.requests[0], note_new(t.s.ctx, 6, 9000), NULL));
	e = fake_sub(t.s.dp, 0, NULL);
	assert_int_equal(0, e.flags);
	note = fake_at(t.s.dp, 0, e.msg_off, sizeof(*note));
	// Nothing that is built meanwhile may land in its memory.
	for (int i = 0; i < 20; i++)
		(void)note_new(t.s.ctx, 0xff, 9000);
	assert_int_equal(6, note->number);
	assert_int_equal(6, *(const uint8_t *)phx_ref_get(&note->text));
	event(&t, PHX_COMP_RELEASED, 11);
	assert_int_equal(0, phx_poll(t.s.queue, 0));
	// Now it is free: the next message of that size takes the same place.
	(void)note_new(t.s.ctx, 0xee, 9000);
	assert_int_equal(0xee, *(const uint8_t *)phx_ref_get(&note->text));
	session_close(&t.s);
}

static void reply_metadata_keeps_message_out_of_line(void **)
{
	struct server_test t;
	struct phx_metadata *md;
	struct phx_sub_entry e;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 0);
	wait_requests(&t, 1);
	assert_int_equal(0, phx_metadata_create(&md));
	assert_int_equal(0, phx_metadata_append(md, "k", "v", 1));
	assert_int_equal(0, phx_reply(t.requests[0], note_new(t.s.ctx, 6, 0), md));
	phx_metadata_destroy(md);
	e = fake_sub(t.s.dp, 0, NULL);
	assert_int_equal(0, e.flags); // somebody has to say when the metadata is read
	assert_int_equal(0, e.text_len);
	assert_int_not_equal(0, e.meta_len);
	event(&t, PHX_COMP_RELEASED, 11);
	(void)phx_poll(t.s.queue, 0);
	session_close(&t.s);
}

static void reply_status_carries_text(void **)
{
	struct server_test t;
	struct phx_sub_entry e;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 0);
	wait_requests(&t, 1);
	assert_int_equal(0, phx_reply_status(t.requests[0], PHX_NOT_FOUND, "no such note", NULL));
	e = fake_sub(t.s.dp, 0, NULL);
	assert_int_equal(PHX_SUB_NO_MESSAGE, e.flags);
	assert_int_equal(PHX_NOT_FOUND, e.channel);
	assert_int_equal(12, e.text_len);
	assert_memory_equal("no such note", fake_at(t.s.dp, 0, e.meta_off, e.text_len), 12);
	session_close(&t.s);
}

static void request_unset_method_is_unimplemented(void **)
{
	struct server_test t;
	struct phx_sub_entry e;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 1); // NULL handler
	deliver(&t, 12, 5, 9); // no such method
	assert_int_equal(2, phx_poll(t.s.queue, 0));
	for (int i = 0; i < 2; i++) {
		e = fake_sub(t.s.dp, 0, NULL);
		assert_int_equal(11 + i, e.handle);
		assert_int_equal(PHX_UNIMPLEMENTED, e.channel);
	}
	assert_int_equal(0, t.count);
	session_close(&t.s);
}

static void request_lent_block_returns_with_reply(void **)
{
	struct server_test t;
	struct note note = {.number = 8};
	struct phx_ret_entry r;

	server_open(&t, NULL);
	fake_comp(t.s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = SERVICE,
			.handle = 21,
			.lent = 0x77,
			.remaining_ns = 10 * PHX_NS_PER_S,
			.msg_off = fake_recv_put(t.s.dp, &note, sizeof(note)),
			.msg_len = sizeof(note)},
		NULL, 0);
	wait_requests(&t, 1);
	assert_int_equal(8, t.number);
	assert_true(phx_request_remaining_ns(t.requests[0]) <= 10 * PHX_NS_PER_S);
	assert_true(phx_request_remaining_ns(t.requests[0]) > 1 * PHX_NS_PER_S);
	(void)phx_poll(t.s.queue, 0);
	assert_true(fake_ret_none(t.s.dp, 0));
	assert_int_equal(0, phx_reply(t.requests[0], note_new(t.s.ctx, 1, 0), NULL));
	r = fake_ret(t.s.dp, 0);
	assert_int_equal(0x77, r.handle[0]);
	session_close(&t.s);
}

static void reply_after_cancelled_is_not_sent(void **)
{
	struct server_test t;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 0);
	wait_requests(&t, 1);
	event(&t, PHX_COMP_CANCELLED, 11);
	(void)phx_poll(t.s.queue, 0);
	assert_true(phx_request_is_cancelled(t.requests[0]));
	assert_int_equal(0, phx_reply(t.requests[0], note_new(t.s.ctx, 6, 9000), NULL));
	assert_true(fake_sub_none(t.s.dp, 0));
	session_close(&t.s);
}

static void cancelled_after_reply_releases_it(void **)
{
	struct server_test t;
	struct phx_sub_entry e;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 0);
	wait_requests(&t, 1);
	assert_int_equal(0, phx_reply(t.requests[0], note_new(t.s.ctx, 6, 9000), NULL));
	e = fake_sub(t.s.dp, 0, NULL);
	event(&t, PHX_COMP_CANCELLED, 11);
	event(&t, PHX_COMP_RELEASED, 11); // wrong, and harmless
	assert_int_equal(0, phx_poll(t.s.queue, 0));
	(void)note_new(t.s.ctx, 0xee, 9000);
	assert_int_equal(0xee, ((struct note *)fake_at(t.s.dp, 0, e.msg_off, 16))->number);
	session_close(&t.s);
}

static void *reply_backwards(void *arg)
{
	struct server_test *t = arg;

	for (unsigned i = t->count; i > 0; i--)
		assert_int_equal(0, phx_reply(t->requests[i - 1], note_new(t->s.ctx, i, 0), NULL));
	return NULL;
}

static void reply_from_other_thread_in_any_order(void **)
{
	struct server_test t;
	pthread_t thread;

	server_open(&t, NULL);
	for (unsigned i = 0; i < 40; i++)
		deliver(&t, 1000 + i, i, 0);
	wait_requests(&t, 40);
	assert_int_equal(0, pthread_create(&thread, NULL, reply_backwards, &t));
	for (unsigned i = 40; i > 0; i--) {
		struct phx_sub_entry e = fake_sub(t.s.dp, 0, NULL);

		assert_int_equal(1000 + i - 1, e.handle);
		(void)phx_poll(t.s.queue, 0);
	}
	pthread_join(thread, NULL);
	session_close(&t.s);
}

static void reply_to_full_ring_waits_for_room(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct server_test t;

	dp->sub_slots = 64;
	server_open(&t, dp);
	for (unsigned i = 0; i < 64; i++)
		deliver(&t, 1000 + i, i, 0);
	wait_requests(&t, 64);
	// 136 bytes take three slots each: 192 slots into a ring of 64.
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(0, phx_reply(t.requests[i], note_new(t.s.ctx, i, 120), NULL));
	for (unsigned i = 0; i < 64; i++) {
		struct phx_sub_entry e = fake_sub(t.s.dp, 0, NULL);

		assert_int_equal(1000 + i, e.handle);
		assert_int_equal(3, e.slots);
		(void)phx_poll(t.s.queue, 0);
	}
	session_close(&t.s);
}

static void *register_other(void *arg)
{
	struct server_test *t = arg;

	assert_int_equal(0, phx_server_add(t->server, NULL, &other_service, handlers, t, NULL));
	return NULL;
}

static void request_before_registration_answer_is_kept(void **)
{
	struct server_test t;
	struct note note = {.number = 3};
	pthread_t thread;

	server_open(&t, NULL);
	atomic_store(&t.s.dp->hold_register, 1);
	assert_int_equal(0, pthread_create(&thread, NULL, register_other, &t));
	fake_until(atomic_load(&t.s.dp->registers) == 2);
	fake_comp(t.s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = SERVICE + 1,
			.handle = 5,
			.remaining_ns = PHX_TIMEOUT_NONE,
			.msg_len = sizeof(note)},
		&note, sizeof(note));
	assert_int_equal(0, phx_poll(t.s.queue, 0));
	assert_int_equal(0, t.count);
	atomic_store(&t.s.dp->hold_register, 0);
	pthread_join(thread, NULL);
	wait_requests(&t, 1);
	assert_int_equal(3, t.number);
	session_close(&t.s);
}

static void destroy_answers_open_requests(void **)
{
	struct server_test t;
	struct phx_sub_entry e;

	server_open(&t, NULL);
	deliver(&t, 11, 5, 0);
	wait_requests(&t, 1);
	phx_server_destroy(t.server);
	assert_int_equal(1, atomic_load(&t.s.dp->unregisters));
	e = fake_sub(t.s.dp, 0, NULL);
	assert_int_equal(11, e.handle);
	assert_int_equal(PHX_UNAVAILABLE, e.channel);
	event(&t, PHX_COMP_RELEASED, 11);
	(void)phx_poll(t.s.queue, 0);
	// The handler that comes too late gets an answer, not a crash.
	assert_int_equal(-ENOTCONN, phx_reply(t.requests[0], note_new(t.s.ctx, 6, 0), NULL));
	assert_true(fake_sub_none(t.s.dp, 0));
	session_close(&t.s);
}

// Ends its server, with all that its argument stands for.
static void destroy_fn(void *arg, struct phx_request *request)
{
	struct server_test *t = arg;

	t->count++;
	assert_int_equal(0, phx_reply(request, note_new(t->s.ctx, 1, 0), NULL));
	phx_server_destroy(t->server);
}

static void destroy_in_a_handler_spares_the_rest_of_the_burst(void **)
{
	static const phx_handler_fn destroying[] = {destroy_fn, destroy_fn};
	struct server_test t;

	server_open(&t, NULL);
	assert_int_equal(0, phx_server_add(t.server, NULL, &other_service, destroying, &t, NULL));
	for (uint64_t handle = 11; handle < 14; handle++) {
		struct note note = {.number = 1};

		fake_comp(t.s.dp, 0,
			(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
				.flags = PHX_COMP_HAS_MESSAGE,
				.call = SERVICE + 1,
				.handle = handle,
				.remaining_ns = PHX_TIMEOUT_NONE,
				.msg_len = sizeof(note)},
			&note, sizeof(note));
	}
	assert_int_equal(3, phx_poll(t.s.queue, 0));
	assert_int_equal(1, t.count);
	assert_int_equal(PHX_OK, fake_sub(t.s.dp, 0, NULL).channel);
	assert_int_equal(PHX_UNAVAILABLE, fake_sub(t.s.dp, 0, NULL).channel);
	assert_int_equal(PHX_UNAVAILABLE, fake_sub(t.s.dp, 0, NULL).channel);
	assert_true(fake_sub_none(t.s.dp, 0));
	session_close(&t.s);
}

static struct phx_server *stopped;

static void stop_fn(int)
{
	phx_server_stop(stopped);
}

static void *stop_thread(void *arg)
{
	(void)kill(getpid(), SIGALRM);
	return arg;
}

static void run_ends_by_stop_in_signal_handler(void **)
{
	struct sigaction sa = {.sa_handler = stop_fn};
	struct server_test t;
	pthread_t thread;

	server_open(&t, NULL);
	stopped = t.server;
	assert_int_equal(0, sigaction(SIGALRM, &sa, NULL));
	assert_int_equal(0, pthread_create(&thread, NULL, stop_thread, NULL));
	assert_int_equal(0, phx_server_run(t.server));
	pthread_join(thread, NULL);
	session_close(&t.s);
}

static void run_ends_when_the_dataplane_dies(void **)
{
	struct server_test t;

	server_open(&t, NULL);
	fake_dp_kill(t.s.dp);
	assert_int_equal(-ENOTCONN, phx_server_run(t.server));
	session_close(&t.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reply_small_message_goes_inline),
		cmocka_unit_test(reply_large_message_lives_until_released),
		cmocka_unit_test(reply_metadata_keeps_message_out_of_line),
		cmocka_unit_test(reply_status_carries_text),
		cmocka_unit_test(request_unset_method_is_unimplemented),
		cmocka_unit_test(request_lent_block_returns_with_reply),
		cmocka_unit_test(reply_after_cancelled_is_not_sent),
		cmocka_unit_test(cancelled_after_reply_releases_it),
		cmocka_unit_test(reply_from_other_thread_in_any_order),
		cmocka_unit_test(reply_to_full_ring_waits_for_room),
		cmocka_unit_test(request_before_registration_answer_is_kept),
		cmocka_unit_test(destroy_answers_open_requests),
		cmocka_unit_test(destroy_in_a_handler_spares_the_rest_of_the_burst),
		cmocka_unit_test(run_ends_by_stop_in_signal_handler),
		cmocka_unit_test(run_ends_when_the_dataplane_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

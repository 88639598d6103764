// SPDX-License-Identifier: BSD-3-Clause
// What happens to a session: regions, growth, further queues, descriptors, fork, death.
#include "lib/app/context.h"
#include "tests/unit/lib/app/app_test.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void recv_region_event_is_mapped(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {.keep = true};
	struct fake_region *r;
	struct phx_sub_entry e;
	struct note note = {.number = 123};

	r = &s.dp->objects[1].regions[fake_dp_grow_recv(s.dp, 1 << 20)];
	fake_comp(s.dp, 0, (struct phx_comp_entry){.kind = PHX_COMP_REGION}, NULL, 0);
	fake_until(atomic_load(&r->mapped) || phx_poll(s.queue, 0) < -1000);
	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	memcpy(r->region.base + 4096, &note, sizeof(note));
	fake_comp(s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_CALL,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = e.call,
			.handle = e.handle,
			.lent = 1,
			.msg_off = r->off + 4096,
			.msg_len = sizeof(note)},
		NULL, 0);
	outcome_wait(&s, &o);
	assert_int_equal(123, o.number);
	session_close(&s);
}

static void completion_outside_regions_ends_the_session(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e;

	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	fake_comp(s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_CALL,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = e.call,
			.handle = e.handle,
			.lent = 1,
			.msg_off = 60 << 20,
			.msg_len = 16},
		NULL, 0);
	outcome_wait(&s, &o);
	assert_int_equal(PHX_UNAVAILABLE, o.status.code);
	assert_int_equal(PHX_ORIGIN_LIBRARY, o.status.origin);
	assert_int_equal(PHX_REASON_INTERNAL, o.status.reason);
	assert_int_equal(-ENOTCONN, phx_poll(s.queue, 0));
	session_close(&s);
}

static void send_heap_grows_to_the_quota(void **)
{
	struct session s = session_open(NULL);
	struct phx_message *m[64], *more;
	unsigned count = 0;

	while (count < 64) {
		struct phx_message *one;

		assert_int_equal(0, phx_message_new(s.ctx, &one));
		m[count++] = one;
		if (phx_message_alloc(one, 4 << 20) == NULL)
			break;
	}
	assert_true(count > 4 && count < 64);
	assert_true(atomic_load(&s.dp->grows) >= 2);
	for (unsigned i = 0; i < count; i++)
		phx_message_release(m[i]);
	// What was given back serves again.
	assert_int_equal(0, phx_message_new(s.ctx, &more));
	assert_non_null(phx_message_alloc(more, 4 << 20));
	phx_message_release(more);
	session_close(&s);
}

static void message_begun_while_the_dataplane_dies_goes_on(void **)
{
	struct session s = session_open_again(NULL);
	struct phx_message *m;

	atomic_store(&s.dp->die_at_grow, true);
	m = note_new(s.ctx, 5, 4 << 20); // asserts that there is memory
	assert_int_equal(0, atomic_load(&s.dp->grows));
	assert_true(phx_context_ended(s.ctx, NULL));
	phx_message_release(m);
	session_close(&s);
}

static void message_alloc_is_zeroed_and_aligned(void **)
{
	struct session s = session_open(NULL);

	for (int round = 0; round < 3; round++) {
		struct phx_message *m;

		assert_int_equal(0, phx_message_new(s.ctx, &m));
		for (uint32_t size = 0; size < 700; size += 13) {
			uint8_t *p = phx_message_alloc(m, size);

			assert_non_null(p);
			assert_int_equal(0, (uintptr_t)p % 8);
			for (uint32_t i = 0; i < size; i++)
				assert_int_equal(0, p[i]);
			memset(p, 0xff, size); // the next round meets the same memory
		}
		assert_null(phx_message_alloc(m, UINT32_MAX));
		phx_message_release(m);
	}
	session_close(&s);
}

static void message_root_knows_its_type(void **)
{
	struct session s = session_open(NULL);
	struct phx_message *m = note_new(s.ctx, 4, 0);
	const struct phx_file same_file = note_file; // another object with the same table
	const struct phx_type same = {&same_file, 0, sizeof(struct note), "test.Note"};

	assert_non_null(phx_message_root(m, &note_type));
	assert_non_null(phx_message_root(m, &same));
	assert_null(phx_message_root(m, &other_type));
	assert_int_equal(
		-EINVAL, phx_message_set_root(m, phx_message_alloc(m, 16), &note_type)); // has one
	phx_message_release(m);
	session_close(&s);
}

static void queue_create_gives_an_independent_queue(void **)
{
	struct session s = session_open(NULL);
	struct phx_queue_options options = PHX_QUEUE_OPTIONS_INIT;
	struct session second = s;
	struct outcome o = {0};
	struct phx_sub_entry e;

	options.sub_slots = 64;
	options.ret_slots = 64;
	options.comp_slots = 128;
	assert_int_equal(0, phx_queue_create(s.ctx, &options, &second.queue));
	assert_int_equal(64, s.dp->queues[1].q.sub_slots);
	assert_int_equal(128, s.dp->queues[1].q.comp_slots);
	assert_int_equal(6, atomic_load(&s.dp->mapped));
	(void)note_call(&second, 1, &o);
	assert_true(fake_sub_none(s.dp, 0));
	e = fake_sub(s.dp, 1, NULL);
	fake_reply(s.dp, 1, &e, &(struct note){.number = 2}, sizeof(struct note));
	outcome_wait(&second, &o);
	assert_int_equal(2, o.number);
	session_close(&s);
}

static void wait_times_out_and_finds_work(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e;
	uint64_t start = phx_clock_ns();

	assert_int_equal(0, phx_wait(s.queue, 0));
	assert_int_equal(0, phx_wait(s.queue, 20 * PHX_NS_PER_MS));
	assert_true(phx_clock_ns() - start >= 20 * PHX_NS_PER_MS);
	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	fake_reply(s.dp, 0, &e, &(struct note){0}, sizeof(struct note));
	assert_int_equal(1, phx_wait(s.queue, FAKE_PATIENCE_NS));
	assert_int_equal(1, phx_poll(s.queue, 0));
	session_close(&s);
}

static void fd_arm_reports_work_or_arms(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e;
	struct pollfd p = {.events = POLLIN};

	assert_int_equal(-EINVAL, phx_fd_arm(s.queue)); // before phx_fd()
	p.fd = phx_fd(s.queue);
	assert_true(p.fd >= 0);
	assert_int_equal(p.fd, phx_fd(s.queue));
	assert_int_equal(0, phx_fd_arm(s.queue));
	assert_int_equal(0, poll(&p, 1, 0));
	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	fake_reply(s.dp, 0, &e, &(struct note){0}, sizeof(struct note));
	assert_int_equal(1, poll(&p, 1, 20000));
	assert_int_equal(1, phx_fd_arm(s.queue)); // not polled yet
	assert_int_equal(1, phx_poll(s.queue, 0));
	assert_int_equal(0, phx_fd_arm(s.queue));
	assert_int_equal(0, poll(&p, 1, 0)); // the byte of the bell is gone
	fake_dp_kill(s.dp);
	assert_int_equal(1, poll(&p, 1, 20000));
	assert_int_equal(1, phx_fd_arm(s.queue));
	fake_until(phx_poll(s.queue, 0) == -ENOTCONN || phx_fd_arm(s.queue) < -1000);
	session_close(&s);
}

static int child_checks(struct session *s, struct phx_message *m, struct phx_call *call)
{
	struct phx_message *other;
	struct phx_channel *ch;
	struct phx_server *server;
	struct phx_queue *q;
	struct outcome o = {0};

	if (phx_poll(s->queue, 0) != -EPERM || phx_wait(s->queue, 0) != -EPERM ||
		phx_fd(s->queue) != -EPERM || phx_fd_arm(s->queue) != -EPERM)
		return 1;
	if (phx_message_new(s->ctx, &other) != -EPERM || phx_message_alloc(m, 8) != NULL ||
		phx_message_root(m, &note_type) != NULL)
		return 2;
	if (phx_call_start(s->channel, s->queue, &note_service, 0, m, NULL, outcome_fn, &o, NULL) !=
		-EPERM)
		return 3;
	if (phx_channel_open(s->ctx, "local:", NULL, &ch, NULL) != -EPERM ||
		phx_queue_create(s->ctx, NULL, &q) != -EPERM ||
		phx_server_create(s->ctx, NULL, &server) != -EPERM)
		return 4;
	phx_call_cancel(call);
	phx_message_release(m);
	phx_channel_close(s->channel);
	phx_detach(s->ctx); // frees the copy, leaves the parent's session alone
	return 0;
}

static void fork_child_gets_eperm_parent_goes_on(void **)
{
	if (getenv("PHX_TEST_EMULATED") != NULL) {
		print_message("skipped: the emulator swallows MADV_WIPEONFORK\n");
		skip();
	}

	struct session s = session_open(NULL);
	struct phx_message *m = note_new(s.ctx, 1, 0);
	struct outcome o = {0};
	struct phx_call *call = note_call(&s, 1, &o);
	struct phx_sub_entry e = fake_sub(s.dp, 0, NULL);
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child_checks(&s, m, call));
	assert_true(pid > 0);
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	assert_int_equal(0, WEXITSTATUS(status));
	assert_true(fake_ret_none(s.dp, 0));
	assert_int_equal(0, atomic_load(&s.dp->goodbyes));
	fake_reply(s.dp, 0, &e, &(struct note){.number = 6}, sizeof(struct note));
	outcome_wait(&s, &o);
	assert_int_equal(6, o.number);
	session_close(&s);
}

static void death_ends_calls_with_what_is_known(void **)
{
	struct session s = session_open(NULL);
	struct outcome taken = {0}, unseen = {0}, done = {0};
	struct phx_message *m = note_new(s.ctx, 1, 0);
	struct phx_sub_entry e;

	(void)note_call(&s, 1, &done);
	(void)note_call(&s, 2, &taken);
	e = fake_sub(s.dp, 0, NULL);
	(void)fake_sub(s.dp, 0, NULL);
	(void)note_call(&s, 3, &unseen);
	fake_reply(s.dp, 0, &e, &(struct note){.number = 1}, sizeof(struct note));
	fake_dp_kill(s.dp);
	while (unseen.calls == 0) {
		assert_true(phx_wait(s.queue, FAKE_PATIENCE_NS) == 1);
		(void)phx_poll(s.queue, 0);
	}
	assert_int_equal(PHX_OK, done.status.code); // it was in the ring before the end
	assert_int_equal(PHX_UNAVAILABLE, taken.status.code);
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, taken.status.reason);
	assert_int_equal(PHX_ORIGIN_LIBRARY, taken.status.origin);
	assert_int_equal(PHX_EXECUTED_MAYBE, taken.status.executed);
	assert_int_equal(PHX_EXECUTED_NO, unseen.status.executed);
	assert_int_equal(-ENOTCONN, phx_poll(s.queue, 0));
	assert_int_equal(-ENOTCONN, phx_wait(s.queue, FAKE_PATIENCE_NS));
	assert_int_equal(-ENOTCONN, phx_call_start(s.channel, s.queue, &note_service, 0, m, NULL,
					    outcome_fn, &done, NULL));
	phx_message_release(m);
	session_close(&s);
}

static void death_is_noticed_by_polling_alone(void **)
{
	struct session s = session_open(NULL);

	fake_dp_kill(s.dp);
	fake_until(phx_poll(s.queue, 0) == -ENOTCONN);
	session_close(&s);
}

static void request_fn(void *, struct phx_request *)
{
}

// Perhaps it was carried out, and what the dataplane then has is unknown here.
static void request_without_an_answer_ends_the_session(void **)
{
	static const phx_handler_fn handlers[] = {request_fn, NULL};
	struct session s = session_open(NULL);
	struct phx_server *server;
	struct phx_status status;

	assert_int_equal(0, phx_server_create(s.ctx, NULL, &server));
	s.ctx->session->patience_ns = 50 * PHX_NS_PER_MS;
	atomic_store(&s.dp->hold_register, 1);
	assert_int_equal(
		-ETIMEDOUT, phx_server_add(server, "blue", &note_service, handlers, NULL, &status));
	assert_int_equal(PHX_DEADLINE_EXCEEDED, status.code);
	assert_true(phx_context_ended(s.ctx, &status));
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, status.reason);
	atomic_store(&s.dp->hold_register, 0);
	// The dataplane hears of it at once, although something of the session is held here.
	fake_until(atomic_load(&s.dp->conn) == -1);
	session_close(&s);
}

static void detach_event_tells_the_reason(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_status status;

	(void)note_call(&s, 1, &o);
	(void)fake_sub(s.dp, 0, NULL);
	assert_false(phx_context_ended(s.ctx, &status));
	assert_int_equal(PHX_OK, status.code);
	fake_dp_detach(s.dp, PHX_REASON_ADMIN, "operator says so");
	while (o.calls == 0) {
		assert_true(phx_wait(s.queue, FAKE_PATIENCE_NS) == 1);
		(void)phx_poll(s.queue, 0);
	}
	assert_int_equal(PHX_REASON_ADMIN, o.status.reason);
	assert_non_null(strstr(o.status.text, "operator says so"));
	assert_true(phx_context_ended(s.ctx, &status));
	assert_int_equal(PHX_UNAVAILABLE, status.code);
	assert_int_equal(PHX_REASON_ADMIN, status.reason);
	assert_non_null(strstr(status.text, "operator says so"));
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recv_region_event_is_mapped),
		cmocka_unit_test(completion_outside_regions_ends_the_session),
		cmocka_unit_test(send_heap_grows_to_the_quota),
		cmocka_unit_test(message_begun_while_the_dataplane_dies_goes_on),
		cmocka_unit_test(message_alloc_is_zeroed_and_aligned),
		cmocka_unit_test(message_root_knows_its_type),
		cmocka_unit_test(queue_create_gives_an_independent_queue),
		cmocka_unit_test(wait_times_out_and_finds_work),
		cmocka_unit_test(fd_arm_reports_work_or_arms),
		cmocka_unit_test(fork_child_gets_eperm_parent_goes_on),
		cmocka_unit_test(death_ends_calls_with_what_is_known),
		cmocka_unit_test(death_is_noticed_by_polling_alone),
		cmocka_unit_test(request_without_an_answer_ends_the_session),
		cmocka_unit_test(detach_event_tells_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

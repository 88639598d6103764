// SPDX-License-Identifier: BSD-3-Clause
// Traced calls on the rig: which calls are taken, which stages are stamped, what comes back from
// the server's end, and what is believed of it.
#include "dataplane/core/trace.h"
#include "tests/conformance/rig.h"

#include "lib/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned full_count;

static void full(struct trace *trace)
{
	(void)trace;
	full_count++;
}

static struct trace *trace_begin(struct rig *rig, uint32_t generation, uint32_t count)
{
	struct trace *t = calloc(1, sizeof(*t) + count * sizeof(t->record[0]));

	assert_non_null(t);
	t->generation = generation;
	t->count = count;
	t->method = "*";
	t->full = full;
	full_count = 0;
	rig->worker->trace = t;
	return t;
}

static void trace_finish(struct rig *rig)
{
	free(rig->worker->trace);
	rig->worker->trace = NULL;
}

// Every stage was reached, one after the other.
static void assert_whole(const struct trace_record *r)
{
	assert_true(r->ended);
	for (unsigned i = TRACE_TAKEN; i < TRACE_STAGES; i++)
		assert_true(r->at[i] != 0 && r->at[i] >= r->at[i - 1]);
	assert_true(r->has_server);
	for (unsigned i = 1; i < PHX_TRACE_COUNT; i++)
		assert_true(r->server[i] >= r->server[i - 1]);
	assert_true(r->server[PHX_TRACE_SENT] <= r->at[TRACE_RECEIVED] - r->at[TRACE_SENT]);
}

static void call_has_all_stages_of_both_ends(void **state)
{
	struct rig *rig = *state;
	const struct trace *t = trace_begin(rig, 1, 2);

	assert_int_equal(rig_echo(rig, "a", 0)->code, PHX_OK);
	assert_whole(&t->record[0]);
	assert_int_equal(t->record[0].app, 1);
	assert_string_equal(t->record[0].service, "t.Svc");
	assert_string_equal(t->record[0].method, "Echo");
	assert_string_equal(t->record[0].peer, "local");
	assert_int_equal(t->record[0].code, PHX_OK);
	assert_int_equal(full_count, 0);
	trace_finish(rig);
}

static void trace_takes_so_many_calls_and_says_when_they_have_ended(void **state)
{
	struct rig *rig = *state;
	const struct trace *t = trace_begin(rig, 1, 2);

	for (int i = 0; i < 5; i++)
		assert_int_equal(rig_echo(rig, "a", 0)->code, PHX_OK);
	assert_whole(&t->record[0]);
	assert_whole(&t->record[1]);
	assert_int_equal(full_count, 1);
	trace_finish(rig);
}

static void trace_takes_only_calls_that_match(void **state)
{
	static const struct {
		const char *method;
		uint64_t app;
		unsigned taken;
	} rows[] = {
		{"*", 0, 1},
		{"t.Svc/Echo", 0, 1},
		{"t.Svc/*", 1, 1},
		{"*/Echo", 0, 1},
		{"t.Svc", 0, 0},
		{"t.Svc/Ech", 0, 0},
		{"Echo", 0, 0},
		{"*", 2, 0},
	};
	struct rig *rig = *state;

	for (uint32_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct trace *t = trace_begin(rig, 1 + i, 1);

		t->method = rows[i].method;
		t->app = rows[i].app;
		assert_int_equal(rig_echo(rig, "a", 0)->code, PHX_OK);
		assert_int_equal(full_count, rows[i].taken);
		trace_finish(rig);
	}
}

static void announced_call_has_all_stages(void **state)
{
	struct rig *rig = *state;
	const struct trace *t = trace_begin(rig, 1, 1);
	struct rig_call call = {.name = "large", .body = 200000};

	rig->server.answer_body = 150000;
	(void)rig_submit(rig, &call);
	rig_settle(rig);
	assert_whole(&t->record[0]);
	assert_int_equal(t->record[0].code, PHX_OK);
	trace_finish(rig);
}

// What was under way when it ended has no time, and neither has what comes after it.
static void call_that_is_not_sent_has_only_the_stages_before(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "a", .timeout_ns = PHX_NS_PER_S, .wait = true};
	const struct trace *t;

	assert_int_equal(rig_echo(rig, "warm", 0)->code, PHX_OK);
	rig_lose_link(rig);
	t = trace_begin(rig, 1, 1);
	(void)rig_submit(rig, &call);
	rig_settle(rig);
	assert_false(t->record[0].ended);
	rig_pass(rig, 2 * PHX_NS_PER_S);
	assert_true(t->record[0].ended);
	assert_int_equal(t->record[0].code, PHX_DEADLINE_EXCEEDED);
	assert_int_not_equal(t->record[0].at[TRACE_TAKEN], 0);
	assert_int_equal(t->record[0].at[TRACE_ADMITTED], 0);
	assert_int_equal(t->record[0].at[TRACE_SENT], 0);
	assert_int_not_equal(t->record[0].at[TRACE_DELIVERED], 0);
	trace_finish(rig);
}

static void call_of_a_trace_that_is_over_writes_nothing(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "a", .inlined = true};
	const struct trace *t;

	(void)trace_begin(rig, 1, 1);
	rig->server.quiet = true;
	(void)rig_submit(rig, &call);
	rig_settle(rig);
	trace_finish(rig);
	t = trace_begin(rig, 2, 1);
	rig_answer(rig, 0, "late", 0);
	rig_settle(rig);
	assert_false(t->record[0].ended);
	assert_int_equal(t->record[0].at[TRACE_DELIVERED], 0);
	trace_finish(rig);
}

static void peer_that_knows_no_times_is_not_asked(void **state)
{
	struct rig *rig = *state;
	const struct trace *t;

	rig->links[0]->trace = false; // of the hello
	t = trace_begin(rig, 1, 1);
	assert_int_equal(rig_echo(rig, "a", 0)->code, PHX_OK);
	assert_true(t->record[0].ended);
	assert_false(t->record[0].has_server);
	assert_int_not_equal(t->record[0].at[TRACE_RECEIVED], 0);
	trace_finish(rig);
}

// A traced call that waits for its reply; what the server's end sends meanwhile is ours.
static struct trace *asked(struct rig *rig, struct phx_frame *out_f)
{
	struct trace *t;
	struct path *path;
	struct rig_call call = {.name = "a", .inlined = true};

	assert_int_equal(rig_echo(rig, "warm", 0)->code, PHX_OK);
	rig->server.request_count = 0;
	rig->server.quiet = true;
	t = trace_begin(rig, 1, 1);
	(void)rig_submit(rig, &call);
	rig_settle(rig);
	path = phx_list_entry(phx_list_first(&rig->links[0]->paths), struct path, link_node);
	*out_f = (struct phx_frame){
		.type = PHX_FRAME_TRACE,
		.flags = PHX_FRAME_F_REPLY,
		.epoch = path->epoch,
		.channel = path->id,
		.sequence = path->sequence,
		.payload_len = PHX_WIRE_TRACE_BYTES,
	};
	for (uint32_t i = 0; i < path->sent_size; i++) {
		if (path->sent[i] != NULL)
			out_f->cookie = i;
	}
	return t;
}

static void times_that_make_no_sense_are_not_taken(void **state)
{
	static const uint64_t rows[][PHX_TRACE_COUNT] = {
		{5, 4, 5, 6, 7},
		{1, 2, 3, 4, UINT64_MAX},
		{UINT64_MAX, 0, 0, 0, 0},
	};
	struct rig *rig = *state;
	struct phx_frame f;
	const struct trace *t = asked(rig, &f);
	uint8_t bytes[PHX_WIRE_TRACE_BYTES];
	struct iovec iov = {bytes, sizeof(bytes)};

	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		phx_wire_trace_encode(rows[i], bytes);
		link_send(rig->links[1], &f, &iov, 1);
		rig_settle(rig);
		assert_false(t->record[0].has_server);
	}
	f.payload_bad = true;
	memset(bytes, 0, sizeof(bytes));
	link_send(rig->links[1], &f, &iov, 1);
	rig_settle(rig);
	assert_false(t->record[0].has_server);
	// The call is none the worse for it, and its server's own times are taken.
	rig_answer(rig, 0, "fine", 0);
	rig_settle(rig);
	assert_whole(&t->record[0]);
	trace_finish(rig);
}

static void times_of_another_length_end_the_link(void **state)
{
	struct rig *rig = *state;
	struct phx_frame f;
	const struct trace *t = asked(rig, &f);
	uint8_t bytes[PHX_WIRE_TRACE_BYTES + 8] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};

	f.payload_len = sizeof(bytes);
	link_send(rig->links[1], &f, &iov, 1);
	rig_settle(rig);
	rig_pass(rig, PHX_NS_PER_S);
	assert_true(t->record[0].ended);
	assert_int_equal(t->record[0].code, PHX_UNAVAILABLE);
	assert_false(t->record[0].has_server);
	trace_finish(rig);
}

static void times_for_no_call_are_dropped(void **state)
{
	struct rig *rig = *state;
	struct phx_frame f;
	const struct trace *t = asked(rig, &f);
	uint8_t bytes[PHX_WIRE_TRACE_BYTES] = {0};
	struct iovec iov = {bytes, sizeof(bytes)};

	f.cookie = UINT32_MAX;
	link_send(rig->links[1], &f, &iov, 1);
	f.cookie = 0;
	f.sequence += 5;
	link_send(rig->links[1], &f, &iov, 1);
	rig_settle(rig);
	assert_false(t->record[0].has_server);
	rig_answer(rig, 0, "fine", 0);
	rig_settle(rig);
	assert_whole(&t->record[0]);
	trace_finish(rig);
}

// The server's end keeps so many at a time, whatever peers ask for.
static void server_forgets_the_oldest_of_too_many(void **state)
{
	struct rig *rig = *state;
	struct trace *t = trace_begin(rig, 1, TRACE_SERVED + 2);
	struct rig_call call = {.name = "a", .inlined = true};
	unsigned with = 0, without = 0;

	rig->server.quiet = true;
	for (unsigned i = 0; i < TRACE_SERVED + 2; i++)
		(void)rig_submit(rig, &call);
	rig_settle(rig);
	for (uint32_t i = 0; i < rig->server.request_count; i++)
		rig_answer(rig, i, "a", 0);
	rig_settle(rig);
	for (unsigned i = 0; i < TRACE_SERVED + 2; i++) {
		assert_true(t->record[i].ended);
		with += t->record[i].has_server;
		without += !t->record[i].has_server;
	}
	assert_int_equal(with, TRACE_SERVED);
	assert_int_equal(without, 2);
	trace_finish(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(call_has_all_stages_of_both_ends),
		T(trace_takes_so_many_calls_and_says_when_they_have_ended),
		T(trace_takes_only_calls_that_match),
		T(announced_call_has_all_stages),
		T(call_that_is_not_sent_has_only_the_stages_before),
		T(call_of_a_trace_that_is_over_writes_nothing),
		T(peer_that_knows_no_times_is_not_asked),
		T(times_that_make_no_sense_are_not_taken),
		T(times_of_another_length_end_the_link),
		T(times_for_no_call_are_dropped),
		T(server_forgets_the_oldest_of_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

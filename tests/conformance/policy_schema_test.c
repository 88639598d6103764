// SPDX-License-Identifier: BSD-3-Clause
// Whose schema policies believe: at the client's side the one of the serving side, fetched when a
// policy inspects fields, whatever names and numbers the application uses (design.md 4, 12.12).
#include "dataplane/link/schema_fetch.h"
#include "tests/conformance/rig.h"
#include "tests/unit/lib/schema/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS	 UINT64_C(1000000)
#define DENIES	 "deny=evil reply_deny=leak"
#define REQUEST	 rig_messages[RIG_REQ]
#define REPLY	 rig_messages[RIG_REP]
#define TYPE_MAX 4

static struct t_message own[TYPE_MAX];

// The rig's types as a client has them that wants to hide a field, or an older one.
static const struct t_message *types(void)
{
	memset(own, 0, sizeof(own));
	own[RIG_REQ] = REQUEST;
	own[RIG_REP] = REPLY;
	return own;
}

static struct rig *strange(const struct t_message *client)
{
	struct rig *rig = rig_create_as(client, rig_messages);

	rig->strange = true;
	rig_attach(rig, "client-acl", "probe", DENIES);
	return rig;
}

static struct schema_fetch *fetch_of(const struct rig *rig)
{
	return rig->client.session->channels[0]->bindings[0].fetch;
}

static struct path *path_of(const struct rig *rig)
{
	return phx_list_entry(rig->client.session->channels[0]->paths.next, struct path, node);
}

static void expect(const struct rig_done *d, unsigned code, const char *text)
{
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, code);
	assert_string_equal(code == PHX_OK ? d->reply : d->text, text);
}

static void expect_acl_works(struct rig *rig)
{
	expect(rig_echo(rig, "good", 1), PHX_OK, "good");
	expect(rig_echo(rig, "evil", 1), PHX_PERMISSION_DENIED, "client-acl: forbidden value");
	rig->server.answer = "leak";
	expect(rig_echo(rig, "good", 1), PHX_PERMISSION_DENIED, "client-acl: forbidden reply");
	rig->server.answer = NULL;
}

// ---- whose names, whose numbers ----

static void renamed_field_is_judged_all_the_same(void **state)
{
	struct rig *rig;

	(void)state;
	(void)types();
	own[RIG_REQ].fields[0].name = "alias";
	own[RIG_REP].fields[0].name = "alias";
	rig = strange(own);
	expect_acl_works(rig);
	assert_int_equal(rig_stats(rig, "client-acl").failed, 0);
	rig_destroy(rig);
}

static void decoy_of_the_same_name_is_not_what_is_judged(void **state)
{
	struct rig *rig;

	(void)state;
	(void)types();
	own[RIG_REQ].fields[0].name = "other";
	own[RIG_REQ].fields[3] = (struct t_field){"name", 9, PHX_KIND_STRING, 0, 0, 0};
	rig = strange(own);
	expect_acl_works(rig);
	rig_destroy(rig);
}

static void renamed_types_and_fields_are_judged_all_the_same(void **state)
{
	struct rig *rig;

	(void)state;
	(void)types();
	own[RIG_REQ].name = "x.Harmless"; // the policy's field `amount` is about t.Req alone
	own[RIG_REQ].fields[1].name = "nothing";
	rig = rig_create_as(own, rig_messages);
	rig_attach(rig, "client-acl", "probe", "set_amount=77");
	expect(rig_echo(rig, "good", 1), PHX_OK, "good");
	assert_int_equal(rig->server.requests[0].amount, 77);
	rig_destroy(rig);
}

static void field_of_another_type_is_refused(void **state)
{
	struct rig *rig;

	(void)state;
	(void)types();
	own[RIG_REQ].fields[0].kind = PHX_KIND_BYTES;
	rig = strange(own);
	expect(rig_echo(rig, "good", 1), PHX_FAILED_PRECONDITION,
		"client-acl: field name is not what it is in the server's schema");
	assert_int_equal(rig->server.request_count, 0);
	rig_destroy(rig);
}

static void field_that_the_server_lacks_follows_on_failure(void **state)
{
	struct rig *rig;

	(void)state;
	(void)types();
	own[RIG_REQ].fields[3] = (struct t_field){"mine", 9, PHX_KIND_STRING, 0, 0, 0};
	rig = rig_create_as(own, rig_messages);
	rig_attach(rig, "client-acl", "probe", "field=mine deny=evil");
	expect(rig_echo(rig, "good", 1), PHX_FAILED_PRECONDITION,
		"client-acl: the message cannot be judged");
	rig_destroy(rig);
}

// What an older client does not have, it cannot send: it reads as absent.
static void field_that_the_client_lacks_is_absent(void **state)
{
	struct t_message server[TYPE_MAX];
	struct rig *rig;

	(void)state;
	(void)types();
	memcpy(server, own, sizeof(server));
	server[RIG_REQ].fields[3] = (struct t_field){"since2", 9, PHX_KIND_STRING, 0, 0, 0};
	rig = rig_create_as(own, server);
	rig_attach(rig, "client-acl", "probe", "field=since2 deny=evil");
	expect(rig_echo(rig, "evil", 1), PHX_OK, "evil");
	assert_int_equal(rig_stats(rig, "client-acl").failed, 0);
	rig_destroy(rig);
}

// ---- until it has come ----

static void first_call_is_held_until_the_schema_has_come(void **state)
{
	struct rig *rig = strange(rig_messages);
	struct policyhost_stats s;

	(void)state;
	expect(rig_echo(rig, "evil", 1), PHX_PERMISSION_DENIED, "client-acl: forbidden value");
	expect(rig_echo(rig, "good", 1), PHX_OK, "good");
	s = rig_stats(rig, "client-acl");
	assert_int_equal(s.held, 1);
	assert_int_equal(s.counters[PROBE_REASKED], 0); // it has not been asked before
	assert_int_equal(s.live, 0);
	rig_destroy(rig);
}

static void large_table_comes_in_parts(void **state)
{
	static char names[T_FIELDS][250];
	struct t_message server[T_MESSAGES + 1];
	struct rig *rig;

	(void)state;
	memset(server, 0, sizeof(server));
	server[RIG_REQ] = REQUEST;
	server[RIG_REP] = REPLY;
	for (unsigned i = 0; i < T_FIELDS; i++) {
		memset(names[i], 'a' + (int)i, sizeof(names[i]) - 1);
		for (unsigned k = 2; k < T_MESSAGES - 1; k++)
			server[k].fields[i] =
				(struct t_field){names[i], i + 1, PHX_KIND_UINT64, 0, 0, 0};
	}
	for (unsigned k = 2; k < T_MESSAGES - 1; k++) {
		static char message[T_MESSAGES][8];

		(void)snprintf(message[k], sizeof(message[k]), "t.M%u", k);
		server[k].name = message[k];
	}
	rig = rig_create_as(rig_messages, server);
	rig->strange = true;
	rig_attach(rig, "client-acl", "probe", DENIES);
	expect_acl_works(rig);
	rig_destroy(rig);
}

// The server's end drops the question.
static void without_an_answer_the_call_follows_on_failure(void **state)
{
	struct rig *rig = strange(rig_messages);
	struct rig_call call = {.name = "good"};
	struct rig_done *d;

	(void)state;
	rig->links[1]->backlog_count = 1000;
	d = rig_done(rig, rig_submit(rig, &call));
	rig_pass(rig, 900 * MS);
	assert_false(d->done);
	rig_pass(rig, 200 * MS);
	expect(d, PHX_FAILED_PRECONDITION, "client-acl: the message cannot be judged");
	// Asked again after a while.
	rig->links[1]->backlog_count = 0;
	expect(rig_echo(rig, "good", 1), PHX_FAILED_PRECONDITION,
		"client-acl: the message cannot be judged");
	rig_pass(rig, 5100 * MS);
	expect_acl_works(rig);
	rig_destroy(rig);
}

static void new_schema_of_the_server_is_fetched(void **state)
{
	struct rig *rig = strange(rig_messages);
	struct path *path = path_of(rig);

	(void)state;
	expect_acl_works(rig);
	assert_int_equal(rig_stats(rig, "client-acl").held, 1);
	schema_fetch_announced(fetch_of(rig), path); // the same again
	expect_acl_works(rig);
	assert_int_equal(rig_stats(rig, "client-acl").held, 1);
	path->bindings[0].hash.lo++;
	schema_fetch_announced(fetch_of(rig), path);
	expect_acl_works(rig);
	assert_int_equal(rig_stats(rig, "client-acl").held, 2);
	rig_destroy(rig);
}

// ---- ends at every step ----

enum { END_CANCEL, END_CLIENT, END_SERVER, END_LINK, END_DETACH, END_COUNT };

static void end_while_fetching(unsigned end, unsigned rounds)
{
	struct rig *rig = strange(rig_messages);
	struct rig_call call = {.name = "good"};
	uint32_t slot = rig_submit(rig, &call);

	for (unsigned i = 0; i < rounds; i++)
		(void)rig_round(rig);
	if (end == END_CANCEL)
		rig_cancel(rig, slot);
	else if (end == END_CLIENT)
		rig_close(&rig->client);
	else if (end == END_SERVER)
		rig_close(&rig->server);
	else if (end == END_DETACH)
		rig_detach(rig, "client-acl");
	else
		rig_lose_link(rig);
	rig_settle(rig);
	rig_pass(rig, 2100 * MS);
	if (end == END_LINK) {
		rig_connect(rig);
		rig_settle(rig);
		rig_pass(rig, 6000 * MS);
		expect_acl_works(rig);
	}
	if (end != END_CLIENT)
		assert_int_equal(rig_done(rig, slot)->completions, 1);
	rig_destroy(rig); // fails when anything is left
}

static void fetch_ends_at_every_step(void **state)
{
	(void)state;
	for (unsigned end = 0; end < END_COUNT; end++) {
		for (unsigned rounds = 0; rounds < 12; rounds++)
			end_while_fetching(end, rounds);
	}
}

// ---- hostile ends ----

// A part of the table, as the server's end would send it.
static struct phx_frame part_of(const struct path *path, uint64_t at, uint32_t total, uint32_t len)
{
	return (struct phx_frame){
		.type = PHX_FRAME_SCHEMA,
		.epoch = path->epoch,
		.channel = path->id,
		.arg = at,
		.limit = total,
		.payload_len = len,
	};
}

struct lie {
	uint64_t at;
	uint32_t total, len;
};

static void answers_that_make_no_sense_are_not_believed(void **state)
{
	static const struct lie lies[] = {
		{1, 100, 10}, // not from the start
		{0, 0, 0}, {0, 0, 10}, {0, 100, 0}, {0, 100, 101}, {UINT64_MAX, 100, 10},
		{0, PHX_LIMIT_SCHEMA_BYTES_MAX + 1, 10}, {0, UINT32_MAX, 10},
		{0, 64, 64}, // whole, and no table
	};
	static uint8_t bytes[128];

	(void)state;
	for (unsigned i = 0; i < PHX_ARRAY_LEN(lies); i++) {
		struct rig *rig = strange(rig_messages);
		struct path *path = path_of(rig);
		struct phx_frame f = part_of(path, lies[i].at, lies[i].total, lies[i].len);
		struct iovec iov = {bytes, lies[i].len};
		enum phx_reason reason;
		struct rig_call call = {.name = "good"};
		struct rig_done *d = rig_done(rig, rig_submit(rig, &call));

		rig->links[1]->backlog_count = 1000; // the honest answer
		// Unasked: dropped.
		assert_int_equal(client_frame(path->link, &f, &iov, 1, &reason), 0);
		assert_int_equal(fetch_of(rig)->trust.state, TRUST_UNKNOWN);
		rig_settle(rig);
		assert_int_equal(fetch_of(rig)->trust.state, TRUST_ASKED);
		assert_int_equal(client_frame(path->link, &f, &iov, 1, &reason), 0);
		rig_settle(rig);
		rig_pass(rig, MS);
		expect(d, PHX_FAILED_PRECONDITION, "client-acl: the message cannot be judged");
		rig->links[1]->backlog_count = 0;
		rig_destroy(rig);
	}
}

static void parts_of_two_sizes_are_not_believed(void **state)
{
	static uint8_t bytes[64];
	struct rig *rig = strange(rig_messages);
	struct path *path = path_of(rig);
	struct phx_frame f = part_of(path, 0, 1000, 64);
	struct iovec iov = {bytes, 64};
	enum phx_reason reason;
	struct rig_call call = {.name = "good"};
	struct rig_done *d = rig_done(rig, rig_submit(rig, &call));

	(void)state;
	rig->links[1]->backlog_count = 1000;
	rig_settle(rig);
	assert_int_equal(client_frame(path->link, &f, &iov, 1, &reason), 0);
	f.arg = 64;
	f.limit = 100000;
	assert_int_equal(client_frame(path->link, &f, &iov, 1, &reason), 0);
	rig_pass(rig, MS);
	expect(d, PHX_FAILED_PRECONDITION, "client-acl: the message cannot be judged");
	rig->links[1]->backlog_count = 0;
	rig_destroy(rig);
}

static const struct t_service services[] = {
	{"t.Svc", {{"Echo", RIG_REQ, RIG_REP, 0}}},
	{NULL, {{NULL, 0, 0, 0}}},
};

// The server comes back with another schema, again and again: what nobody uses any more is let go.
static void schemas_that_come_and_go_leave_room(void **state)
{
	struct t_message server[T_MESSAGES + 1];
	struct rig *rig = strange(rig_messages);
	struct path *path = path_of(rig);
	char name[32];

	(void)state;
	expect_acl_works(rig);
	memset(server, 0, sizeof(server));
	server[RIG_REQ] = REQUEST;
	server[RIG_REP] = REPLY;
	server[2] = (struct t_message){.name = name, .fields = {{"x", 1, PHX_KIND_BOOL, 0, 0, 0}}};
	for (unsigned i = 0; i < 300; i++) {
		struct rig_call call = {.name = "good"};
		struct rig_done *d;
		enum phx_reason reason;
		struct iovec iov;
		size_t size;

		(void)snprintf(name, sizeof(name), "t.Other%u", i);
		iov.iov_base = t_table(server, services, &size);
		iov.iov_len = size;
		rig->links[1]->backlog_count = 1000; // the honest answer
		path->bindings[0].hash.lo++;
		schema_fetch_announced(fetch_of(rig), path);
		d = rig_done(rig, rig_submit(rig, &call));
		rig_settle(rig);
		assert_int_equal(client_frame(path->link,
					 &(struct phx_frame){.type = PHX_FRAME_SCHEMA,
						 .epoch = path->epoch,
						 .channel = path->id,
						 .limit = (uint32_t)size,
						 .payload_len = (uint32_t)size},
					 &iov, 1, &reason),
			0);
		rig_settle(rig);
		rig_pass(rig, MS);
		free(iov.iov_base);
		rig->links[1]->backlog_count = 0;
		if (d->code != PHX_OK)
			fail_msg("schema %u: %s", i, d->text);
	}
	rig_destroy(rig);
}

static void question_for_no_service_ends_the_link(void **state)
{
	struct rig *rig = strange(rig_messages);
	struct path *path = path_of(rig);
	struct phx_frame f = {
		.type = PHX_FRAME_SCHEMA_GET,
		.epoch = path->epoch,
		.channel = path->id,
		.service = 1, // the rig has 0
	};
	enum phx_reason reason = 0;

	(void)state;
	assert_int_equal(server_frame(rig->links[1], &f, NULL, 0, &reason), -EPROTO);
	assert_int_equal(reason, PHX_REASON_W_STATE);
	f.service = 0;
	f.arg = UINT64_MAX; // beyond: answered, with nothing
	assert_int_equal(server_frame(rig->links[1], &f, NULL, 0, &reason), 0);
	rig_settle(rig);
	expect_acl_works(rig);
	rig_destroy(rig);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(renamed_field_is_judged_all_the_same),
		T(decoy_of_the_same_name_is_not_what_is_judged),
		T(renamed_types_and_fields_are_judged_all_the_same),
		T(field_of_another_type_is_refused),
		T(field_that_the_server_lacks_follows_on_failure),
		T(field_that_the_client_lacks_is_absent),
		T(first_call_is_held_until_the_schema_has_come),
		T(large_table_comes_in_parts),
		T(without_an_answer_the_call_follows_on_failure),
		T(new_schema_of_the_server_is_fetched),
		T(fetch_ends_at_every_step),
		T(answers_that_make_no_sense_are_not_believed),
		T(parts_of_two_sizes_are_not_believed),
		T(schemas_that_come_and_go_leave_room),
		T(question_for_no_service_ends_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

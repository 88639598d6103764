// SPDX-License-Identifier: BSD-3-Clause
// Room for the schemas of serving sides: what a peer announces again and again takes none, and one
// session cannot take that of others. See policy_schema_test.c for what they are good for.
#include "dataplane/link/schema_fetch.h"
#include "tests/conformance/rig.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DENIES	 "deny=evil"
#define TYPE_MAX 4

static struct rig *strange(void)
{
	struct rig *rig = rig_create();

	rig->strange = true;
	rig_attach(rig, "client-acl", "probe", DENIES);
	return rig;
}

static struct path *path_of(const struct rig *rig)
{
	return phx_list_entry(rig->client.session->channels[0]->paths.next, struct path, node);
}

static const struct t_service served[] = {{"t.Svc", {{"Echo", RIG_REQ, RIG_REP, 0}}}, {NULL}};

// The server's table number i: as the rig's, with one field more.
static uint8_t *numbered_table(unsigned i, size_t *out_size)
{
	struct t_message messages[TYPE_MAX] = {0};
	char name[16];

	memcpy(messages, rig_messages, 2 * sizeof(messages[0]));
	(void)snprintf(name, sizeof(name), "more%u", i);
	messages[RIG_REP].fields[2] = (struct t_field){name, 9, PHX_KIND_UINT64, 0, 0, 0};
	return t_table(messages, served, out_size);
}

// The serving side announces another schema and sends it.
static void announce(struct rig *rig, unsigned i)
{
	struct path *path = path_of(rig);
	struct rig_call call = {.name = "evil"};
	struct phx_frame f = {.type = PHX_FRAME_SCHEMA, .epoch = path->epoch, .channel = path->id};
	size_t size;
	uint8_t *table = numbered_table(i, &size);
	struct iovec iov = {table, size};
	struct rig_done *d;
	enum phx_reason reason;

	path->bindings[0].hash.lo++;
	schema_fetch_announced(rig->client.session->channels[0]->bindings[0].fetch, path);
	rig->links[1]->backlog_count = 1000; // the rig's own answer
	d = rig_done(rig, rig_submit(rig, &call));
	rig_settle(rig);
	rig->links[1]->backlog_count = 0;
	f.limit = f.payload_len = (uint32_t)size;
	assert_int_equal(client_frame(path->link, &f, &iov, 1, &reason), 0);
	free(table);
	rig_settle(rig);
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, PHX_PERMISSION_DENIED);
}

static void schema_that_was_replaced_leaves_its_room(void **state)
{
	struct rig *rig = strange();

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		announce(rig, i);
	assert_int_equal(rig_stats(rig, "client-acl").failed, 0);
	assert_int_equal(policyhost_trusts_refused(rig->host), 0);
	rig_destroy(rig);
}

static void schema_of_a_closed_channel_leaves_its_room(void **state)
{
	struct rig *rig = strange();
	struct session *s = rig->client.session;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		uint32_t channel, binding;

		announce(rig, i);
		assert_int_equal(session_channel_close(s, 0), 0);
		rig_settle(rig);
		assert_int_equal(session_channel_open(s, "g", 0, &channel), 0);
		assert_int_equal(session_bind(s, channel, 0, 0, &binding), 0);
		assert_int_equal(channel | binding, 0);
		rig_settle(rig);
	}
	assert_int_equal(policyhost_trusts_refused(rig->host), 0);
	rig_destroy(rig);
}

static void request_done(struct chain_trust_request *request)
{
	request->size = 0;
}

static int trust_table(struct rig *rig, const struct rig_app *app, uint8_t *table, size_t size,
	struct chain_trust_request *r)
{
	*r = (struct chain_trust_request){.worker = rig->worker,
		.schema = app->session->schemas[0],
		.table = table,
		.size = (uint32_t)size,
		.replaces = TRUST_NOTHING,
		.done = request_done};
	chain_trust_bind(session_chain(app->session), r);
	rig_settle(rig);
	assert_int_equal(r->size, 0);
	return r->rc;
}

static uint8_t *large_table(unsigned i, size_t *out_size)
{
	static char names[T_FIELDS][250];
	struct t_message messages[T_MESSAGES + 1];

	memset(messages, 0, sizeof(messages));
	memcpy(messages, rig_messages, 2 * sizeof(messages[0]));
	for (unsigned k = 2; k < T_MESSAGES - 1; k++) {
		static char type[T_MESSAGES][16];

		(void)snprintf(type[k], sizeof(type[k]), "t.M%u.%u", k, i);
		messages[k].name = type[k];
		for (unsigned f = 0; f < T_FIELDS; f++) {
			memset(names[f], 'a' + (int)f, sizeof(names[f]) - 1);
			messages[k].fields[f] =
				(struct t_field){names[f], f + 1, PHX_KIND_UINT64, 0, 0, 0};
		}
	}
	return t_table(messages, served, out_size);
}

static void one_session_cannot_take_the_room_of_others(void **state)
{
	struct rig *rig = rig_create();
	static struct chain_trust_request r[256], other;
	size_t size, sum = 0;
	unsigned n = 0;
	int rc;

	(void)state;
	rig->strange = true;
	rig_attach(rig, "acl", "probe", DENIES); // for both
	do {
		uint8_t *table = large_table(n, &size);

		rc = trust_table(rig, &rig->client, table, size, &r[n]);
		free(table);
		if (rc == 0) {
			sum += size;
			n++;
		}
	} while (rc == 0 && n < 200);
	assert_int_equal(rc, -ENOSPC);
	assert_in_range(sum, (4 << 20) - size + 1, 4 << 20);
	assert_int_equal(policyhost_trusts_refused(rig->host), 1);
	{
		uint8_t *table = large_table(n, &size);

		assert_int_equal(trust_table(rig, &rig->server, table, size, &other), 0);
		chain_trust_release(&r[0]);
		rig_settle(rig);
		assert_int_equal(trust_table(rig, &rig->client, table, size, &r[0]), 0);
		free(table);
	}
	rig_destroy(rig);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(schema_that_was_replaced_leaves_its_room),
		T(schema_of_a_closed_channel_leaves_its_room),
		T(one_session_cannot_take_the_room_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

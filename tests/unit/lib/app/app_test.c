// SPDX-License-Identifier: BSD-3-Clause
// The service of the tests and the usual session.
#include "tests/unit/lib/app/app_test.h"

static const uint8_t note_table[70000];
const struct phx_file note_file = {note_table, sizeof(note_table)};
const struct phx_type note_type = {&note_file, 0, sizeof(struct note), "test.Note"};
const struct phx_type other_type = {&note_file, 1, 8, "test.Other"};

static const char *const names[] = {"First", "Second"};
static const struct phx_type *const types[] = {&note_type, &note_type};
const struct phx_service note_service = {"test.Notes", &note_file, 0, 2, names, types, types};
const struct phx_service other_service = {"test.Others", &note_file, 1, 2, names, types, types};

static struct session session_attach(struct fake_dp *dp, bool again)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct session s = {.dp = dp != NULL ? dp : fake_dp_create()};

	fake_dp_start(s.dp);
	options.rundir = s.dp->rundir;
	options.stay_detached = !again;
	options.timeout_ns = FAKE_PATIENCE_NS;
	assert_int_equal(0, phx_attach(&options, &s.ctx, NULL));
	s.queue = phx_queue_default(s.ctx);
	assert_non_null(s.queue);
	assert_int_equal(0, phx_channel_open(s.ctx, "local:", NULL, &s.channel, NULL));
	return s;
}

struct session session_open(struct fake_dp *dp)
{
	return session_attach(dp, false);
}

struct session session_open_again(struct fake_dp *dp)
{
	return session_attach(dp, true);
}

void session_close(struct session *s)
{
	phx_detach(s->ctx);
	fake_dp_destroy(s->dp);
}

struct phx_message *note_new(struct phx_context *ctx, uint64_t number, uint32_t len)
{
	struct phx_message *m = NULL;
	struct note *note;
	void *text;

	assert_int_equal(0, phx_message_new(ctx, &m));
	note = phx_message_alloc(m, sizeof(*note));
	assert_non_null(note);
	assert_int_equal(0, phx_message_set_root(m, note, &note_type));
	note->number = number;
	if (len != 0) {
		text = phx_message_alloc(m, len);
		assert_non_null(text);
		memset(text, (int)(number & 0xff), len);
		phx_ref_set(&note->text, text, len);
	}
	return m;
}

void outcome_fn(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct outcome *o = arg;
	const struct note *note;

	o->calls++;
	o->status = *status;
	o->has_reply = reply != NULL;
	if (reply == NULL)
		return;
	note = phx_message_root(reply, &note_type);
	if (note != NULL)
		o->number = note->number;
	if (o->keep)
		o->reply = reply;
	else
		phx_message_release(reply);
}

struct phx_call *note_call(struct session *s, uint64_t number, struct outcome *o)
{
	struct phx_call *call = NULL;

	assert_int_equal(0, phx_call_start(s->channel, s->queue, &note_service, 0,
				    note_new(s->ctx, number, 0), NULL, outcome_fn, o, &call));
	return call;
}

// SPDX-License-Identifier: BSD-3-Clause
// The handlers of the call suite.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void seen(struct server *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->seen++;
	(void)pthread_mutex_unlock(&s->lock);
}

static struct phx_message *reply_new(const struct phx_request *request)
{
	struct phx_message *m;

	CHECK(phx_message_new(phx_request_context(request), &m) == 0, "reply");
	return m;
}

// A session that is over, or a call that was cancelled, hears no reply; nothing else may go wrong.
static void reply(struct phx_request *request, struct phx_message *m)
{
	int rc = phx_reply(request, m, NULL);

	CHECK(rc == 0 || rc == -ENOTCONN, "reply: %s", strerror(-rc));
}

static void copy_part(
	struct phx_message *m, struct phoenix_calls_Part *to, const struct phoenix_calls_Part *from)
{
	CHECK(phoenix_calls_Part_set_name(m, to, phoenix_calls_Part_name(from)) == 0, "memory");
	phoenix_calls_Part_set_value(to, phoenix_calls_Part_value(from));
	CHECK(phoenix_calls_Part_resize_parts(m, to, phoenix_calls_Part_parts_count(from)) == 0,
		"memory");
	for (uint32_t i = 0; i < phoenix_calls_Part_parts_count(from); i++)
		copy_part(
			m, phoenix_calls_Part_parts_mut(to, i), phoenix_calls_Part_parts(from, i));
}

static void copy_lists(struct phx_message *m, struct phoenix_calls_Everything *to,
	const struct phoenix_calls_Everything *from)
{
	int rc = 0;

	for (uint32_t i = 0; i < phoenix_calls_Everything_numbers_count(from); i++)
		rc |= phoenix_calls_Everything_add_numbers(
			m, to, phoenix_calls_Everything_numbers(from, i));
	for (uint32_t i = 0; i < phoenix_calls_Everything_words_count(from); i++)
		rc |= phoenix_calls_Everything_add_words(
			m, to, phoenix_calls_Everything_words(from, i));
	for (uint32_t i = 0; i < phoenix_calls_Everything_parts_count(from); i++)
		copy_part(m, phoenix_calls_Everything_add_parts(m, to),
			phoenix_calls_Everything_parts(from, i));
	for (uint32_t i = 0; i < phoenix_calls_Everything_counts_count(from); i++) {
		const struct phoenix_calls_Everything_CountsEntry *e =
			phoenix_calls_Everything_counts(from, i);
		struct phoenix_calls_Everything_CountsEntry *n =
			phoenix_calls_Everything_add_counts(m, to);

		rc |= phoenix_calls_Everything_CountsEntry_set_key(
			m, n, phoenix_calls_Everything_CountsEntry_key(e));
		phoenix_calls_Everything_CountsEntry_set_value(
			n, phoenix_calls_Everything_CountsEntry_value(e));
	}
	CHECK(rc == 0, "memory");
}

static void on_echo(
	void *arg, struct phx_request *request, const struct phoenix_calls_Everything *in)
{
	struct phx_message *m = reply_new(request);
	struct phoenix_calls_Everything *out = phoenix_calls_Everything_new(m);
	int rc = 0;

	seen(arg);
	phoenix_calls_Everything_set_flag(out, phoenix_calls_Everything_flag(in));
	phoenix_calls_Everything_set_i32(out, phoenix_calls_Everything_i32(in));
	phoenix_calls_Everything_set_u64(out, phoenix_calls_Everything_u64(in));
	phoenix_calls_Everything_set_s64(out, phoenix_calls_Everything_s64(in));
	phoenix_calls_Everything_set_real(out, phoenix_calls_Everything_real(in));
	phoenix_calls_Everything_set_single(out, phoenix_calls_Everything_single(in));
	rc |= phoenix_calls_Everything_set_text(m, out, phoenix_calls_Everything_text(in));
	rc |= phoenix_calls_Everything_set_blob(m, out, phoenix_calls_Everything_blob(in));
	phoenix_calls_Everything_set_color(out, phoenix_calls_Everything_color(in));
	if (phoenix_calls_Everything_has_part(in))
		copy_part(m, phoenix_calls_Everything_mut_part(m, out),
			phoenix_calls_Everything_part(in));
	copy_lists(m, out, in);
	if (phoenix_calls_Everything_has_maybe(in))
		phoenix_calls_Everything_set_maybe(out, phoenix_calls_Everything_maybe(in));
	if (phoenix_calls_Everything_has_name(in))
		rc |= phoenix_calls_Everything_set_name(m, out, phoenix_calls_Everything_name(in));
	if (phoenix_calls_Everything_has_id(in))
		phoenix_calls_Everything_set_id(out, phoenix_calls_Everything_id(in));
	CHECK(rc == 0, "memory");
	reply(request, m);
}

static void on_fail(
	void *arg, struct phx_request *request, const struct phoenix_calls_FailRequest *in)
{
	struct phx_str text = phoenix_calls_FailRequest_text(in);
	char *copy = strndup(text.data, text.len);
	uint32_t code = phoenix_calls_FailRequest_code(in);
	struct phx_message *m;

	seen(arg);
	if (code == PHX_OK) {
		m = reply_new(request);
		CHECK(phoenix_calls_Nothing_new(m) != NULL, "memory");
		reply(request, m);
	} else {
		CHECK(phx_reply_status(request, code, copy[0] != '\0' ? copy : NULL, NULL) == 0,
			"reply status");
	}
	free(copy);
}

// The metadata that came, to be sent back.
static struct phx_metadata *meta_copy(const struct phx_request *request, bool *out_fail)
{
	struct phx_metadata_view view = phx_request_metadata(request);
	struct phx_metadata *meta;
	struct phx_bytes value;
	struct phx_str key;
	int rc = 0;

	CHECK(phx_metadata_create(&meta) == 0, "memory");
	for (unsigned i = 0; phx_metadata_get(view, i, &key, &value); i++) {
		char name[256];

		(void)snprintf(name, sizeof(name), "%.*s", PHX_STR_ARG(key));
		rc |= phx_metadata_append(meta, name, value.data, value.len);
		*out_fail = *out_fail || strcmp(name, "fail") == 0;
	}
	CHECK(rc == 0, "metadata can be sent back");
	return meta;
}

static void on_big(
	void *arg, struct phx_request *request, const struct phoenix_calls_BigRequest *in)
{
	struct phx_bytes payload = phoenix_calls_BigRequest_payload(in);
	uint32_t size = phoenix_calls_BigRequest_reply_size(in);
	struct phx_message *m = reply_new(request);
	struct phoenix_calls_BigReply *out = phoenix_calls_BigReply_new(m);
	bool fail = false;
	struct phx_metadata *meta = meta_copy(request, &fail);
	void *bytes = malloc(size + 4u);
	int rc;

	seen(arg);
	CHECK(bytes != NULL && out != NULL, "memory");
	big_fill(bytes, size, phoenix_calls_BigRequest_seed(in));
	phoenix_calls_BigReply_set_sum(out, big_sum(payload.data, payload.len));
	phoenix_calls_BigReply_set_size(out, payload.len);
	rc = phoenix_calls_BigReply_set_payload(m, out, (struct phx_bytes){bytes, size});
	free(bytes);
	if (rc == 0) {
		rc = phx_reply(request, m, meta);
		CHECK(rc == 0 || rc == -ENOTCONN, "reply: %s", strerror(-rc));
	} else {
		phx_message_release(m);
		rc = phx_reply_status(
			request, PHX_RESOURCE_EXHAUSTED, "no memory for the reply", NULL);
		CHECK(rc == 0 || rc == -ENOTCONN, "reply status: %s", strerror(-rc));
	}
	phx_metadata_destroy(meta);
}

static void on_meta(void *arg, struct phx_request *request, const struct phoenix_calls_Nothing *in)
{
	bool fail = false;
	struct phx_metadata *meta = meta_copy(request, &fail);
	struct phx_message *m = reply_new(request);
	int rc;

	(void)in;
	seen(arg);
	CHECK(phoenix_calls_Nothing_new(m) != NULL, "memory");
	if (fail) {
		phx_message_release(m);
		rc = phx_reply_status(request, PHX_ABORTED, "with metadata", meta);
	} else {
		rc = phx_reply(request, m, meta);
	}
	CHECK(rc == 0, "reply: %s", strerror(-rc));
	phx_metadata_destroy(meta);
}

static struct phx_message *hold_reply(const struct server *s, const struct phx_request *request,
	const struct phoenix_calls_HoldRequest *in)
{
	struct phx_message *m = reply_new(request);
	struct phoenix_calls_HoldReply *out = phoenix_calls_HoldReply_new(m);

	CHECK(out != NULL, "memory");
	phoenix_calls_HoldReply_set_id(out, phoenix_calls_HoldRequest_id(in));
	phoenix_calls_HoldReply_set_remaining_ns(out, phx_request_remaining_ns(request));
	if (s != NULL)
		phoenix_calls_HoldReply_set_server(out, s->id);
	return m;
}

static void on_hold(
	void *arg, struct phx_request *request, const struct phoenix_calls_HoldRequest *in)
{
	struct server *s = arg;

	(void)pthread_mutex_lock(&s->lock);
	s->seen++;
	CHECK(s->held_count < HELD_MAX, "too many held requests");
	s->held[s->held_count++] = (struct held){request, phoenix_calls_HoldRequest_id(in)};
	(void)pthread_mutex_unlock(&s->lock);
}

static void on_who(
	void *arg, struct phx_request *request, const struct phoenix_calls_HoldRequest *in)
{
	seen(arg);
	reply(request, hold_reply(arg, request, in));
}

void held_reply(struct held h)
{
	const struct phoenix_calls_HoldRequest *in =
		phoenix_calls_HoldRequest_root(phx_request_message(h.request));

	CHECK(in != NULL && phoenix_calls_HoldRequest_id(in) == h.id, "held request %u", h.id);
	reply(h.request, hold_reply(NULL, h.request, in));
}

void service_init(struct server *s, uint32_t id)
{
	s->id = id;
	(void)pthread_mutex_init(&s->lock, NULL); // cannot fail with default attributes
	s->handlers = (struct phoenix_calls_Suite_handlers){
		.arg = s,
		.Echo = on_echo,
		.Fail = on_fail,
		.Big = on_big,
		.Meta = on_meta,
		.Hold = on_hold,
		.Who = on_who,
	};
}

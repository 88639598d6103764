// SPDX-License-Identifier: BSD-3-Clause
// Calls that end well or with a status of the application: every kind of field, every code,
// metadata in both directions.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <string.h>

static const uint8_t blob[] = {0, 1, 2, 0xff, 0x80, 0};

static struct phx_message *everything(struct phx_context *context, uint32_t words)
{
	struct phoenix_calls_Everything_CountsEntry *e;
	struct phoenix_calls_Everything *r;
	struct phoenix_calls_Part *p, *q;
	struct phx_message *m;
	int rc = 0;

	CHECK(phx_message_new(context, &m) == 0, "message");
	r = phoenix_calls_Everything_new(m);
	phoenix_calls_Everything_set_flag(r, true);
	phoenix_calls_Everything_set_i32(r, INT32_MIN);
	phoenix_calls_Everything_set_u64(r, UINT64_MAX);
	phoenix_calls_Everything_set_s64(r, INT64_MIN);
	phoenix_calls_Everything_set_real(r, 0.1);
	phoenix_calls_Everything_set_single(r, 0.5f);
	rc |= phoenix_calls_Everything_set_text(m, r, phx_str("gr\xc3\xbc\xc3\x9f dich"));
	rc |= phoenix_calls_Everything_set_blob(m, r, (struct phx_bytes){blob, sizeof(blob)});
	phoenix_calls_Everything_set_color(r, 42); // open: no name of the enum
	p = phoenix_calls_Everything_mut_part(m, r);
	rc |= phoenix_calls_Part_set_name(m, p, phx_str("outer"));
	q = phoenix_calls_Part_add_parts(m, p);
	phoenix_calls_Part_set_value(q, -5);
	for (int32_t i = 0; i < 300; i++)
		rc |= phoenix_calls_Everything_add_numbers(m, r, i * 1000003);
	for (uint32_t i = 0; i < words; i++)
		rc |= phoenix_calls_Everything_add_words(m, r, phx_str(i % 2 == 0 ? "even" : ""));
	for (int32_t i = 0; i < 3; i++) {
		p = phoenix_calls_Everything_add_parts(m, r);
		phoenix_calls_Part_set_value(p, i);
	}
	e = phoenix_calls_Everything_add_counts(m, r);
	rc |= phoenix_calls_Everything_CountsEntry_set_key(m, e, phx_str("many"));
	phoenix_calls_Everything_CountsEntry_set_value(e, 1000000007);
	phoenix_calls_Everything_set_maybe(r, 0); // there, and zero
	rc |= phoenix_calls_Everything_set_name(m, r, phx_str("chosen"));
	CHECK(rc == 0, "memory");
	return m;
}

static bool same(struct phx_str s, const char *want)
{
	return s.len == strlen(want) && memcmp(s.data, want, s.len) == 0;
}

static void check_lists(const struct phoenix_calls_Everything *r, uint32_t words)
{
	const struct phoenix_calls_Everything_CountsEntry *e;

	CHECK(phoenix_calls_Everything_numbers_count(r) == 300, "numbers");
	for (uint32_t i = 0; i < 300; i++)
		CHECK(phoenix_calls_Everything_numbers(r, i) == (int32_t)i * 1000003, "%u", i);
	CHECK(phoenix_calls_Everything_words_count(r) == words, "words");
	for (uint32_t i = 0; i < words; i++)
		CHECK(same(phoenix_calls_Everything_words(r, i), i % 2 == 0 ? "even" : ""), "%u",
			i);
	CHECK(phoenix_calls_Everything_parts_count(r) == 3, "parts");
	for (uint32_t i = 0; i < 3; i++)
		CHECK(phoenix_calls_Part_value(phoenix_calls_Everything_parts(r, i)) == (int32_t)i,
			"%u", i);
	CHECK(phoenix_calls_Everything_counts_count(r) == 1, "counts");
	e = phoenix_calls_Everything_counts(r, 0);
	CHECK(same(phoenix_calls_Everything_CountsEntry_key(e), "many") &&
			phoenix_calls_Everything_CountsEntry_value(e) == 1000000007,
		"map");
}

static void check_everything(struct phx_message *m, uint32_t words)
{
	const struct phoenix_calls_Everything *r = phoenix_calls_Everything_root(m);
	const struct phoenix_calls_Part *p;
	struct phx_bytes b;

	CHECK(r != NULL, "root");
	CHECK(phoenix_calls_Everything_flag(r), "bool");
	CHECK(phoenix_calls_Everything_i32(r) == INT32_MIN, "int32");
	CHECK(phoenix_calls_Everything_u64(r) == UINT64_MAX, "uint64");
	CHECK(phoenix_calls_Everything_s64(r) == INT64_MIN, "sint64");
	CHECK(phoenix_calls_Everything_real(r) == 0.1, "double");
	CHECK(phoenix_calls_Everything_single(r) == 0.5f, "float");
	CHECK(same(phoenix_calls_Everything_text(r), "gr\xc3\xbc\xc3\x9f dich"), "string");
	b = phoenix_calls_Everything_blob(r);
	CHECK(b.len == sizeof(blob) && memcmp(b.data, blob, b.len) == 0, "bytes");
	CHECK(phoenix_calls_Everything_color(r) == 42, "enum");
	p = phoenix_calls_Everything_part(r);
	CHECK(same(phoenix_calls_Part_name(p), "outer") && phoenix_calls_Part_parts_count(p) == 1 &&
			phoenix_calls_Part_value(phoenix_calls_Part_parts(p, 0)) == -5,
		"nested");
	check_lists(r, words);
	CHECK(phoenix_calls_Everything_has_maybe(r) && phoenix_calls_Everything_maybe(r) == 0,
		"optional");
	CHECK(phoenix_calls_Everything_has_name(r) && !phoenix_calls_Everything_has_id(r) &&
			same(phoenix_calls_Everything_name(r), "chosen"),
		"oneof");
}

static void echo(struct phx_context *context, struct phx_channel *channel, uint32_t words)
{
	const struct phx_call_options o = {.size = sizeof(o), .wait_for_ready = true};
	struct phx_message *reply;
	struct phx_status status;
	int rc = phoenix_calls_Suite_Echo(channel, everything(context, words), &o, &reply, &status);

	CHECK(rc == 0, "echo of %u words: %s", words, status.text);
	check_everything(reply, words);
	phx_message_release(reply);
}

// Every kind of field, from a message of one block to one that is announced and cut.
static void echo_everything(void)
{
	struct server *s = server_start("echo_everything");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "echo_everything");

	echo(context, channel, 0);
	echo(context, channel, 10);
	echo(context, channel, 2000);
	echo(context, channel, 20000);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

static void fail_one(struct phx_context *context, struct phx_channel *channel, uint32_t code,
	const char *text, const char *want)
{
	struct phoenix_calls_FailRequest *root;
	struct phx_message *m, *reply = NULL;
	struct phx_status status;
	int rc;

	CHECK(phx_message_new(context, &m) == 0, "message");
	root = phoenix_calls_FailRequest_new(m);
	phoenix_calls_FailRequest_set_code(root, code);
	CHECK(phoenix_calls_FailRequest_set_text(m, root, phx_str(text)) == 0, "text");
	rc = phoenix_calls_Suite_Fail(channel, m, NULL, &reply, &status);
	CHECK(rc == (code == PHX_OK ? 0 : -EREMOTEIO), "code %u: %s", code, strerror(-rc));
	check_status(&status, code, PHX_ORIGIN_APP, PHX_EXECUTED_YES, PHX_REASON_NONE);
	CHECK(strcmp(status.text, code == PHX_OK ? "" : want) == 0, "code %u text %s", code,
		status.text);
	CHECK((reply != NULL) == (code == PHX_OK), "reply");
	phx_message_release(reply);
}

// All seventeen codes with their texts, and where they come from.
static void all_codes(void)
{
	struct server *s = server_start("all_codes");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "all_codes");
	char text[1200], cut[1200];

	(void)who(context, channel);
	for (uint32_t code = 0; code < PHX_CODE_COUNT; code++) {
		(void)snprintf(text, sizeof(text), "reason number %u", code);
		fail_one(context, channel, code, text, text);
		fail_one(context, channel, code, "", "");
	}
	// The longest text that travels, and one that is cut.
	memset(text, 'x', sizeof(text));
	text[1000] = '\0';
	fail_one(context, channel, PHX_ABORTED, text, text);
	text[1000] = 'x';
	text[1100] = '\0';
	memcpy(cut, text, sizeof(cut));
	cut[1023] = '\0'; // what struct phx_status holds
	fail_one(context, channel, PHX_ABORTED, text, cut);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

static void missing_method(void)
{
	struct server *s = server_start("missing_method");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "missing_method");
	struct phx_message *reply;
	struct phx_status status;
	int rc;

	(void)who(context, channel);
	rc = phoenix_calls_Suite_Missing(channel, nothing(context), NULL, &reply, &status);
	CHECK(rc == -EREMOTEIO && status.code == PHX_UNIMPLEMENTED, "code %u", status.code);
	CHECK(strstr(status.text, "Missing") != NULL, "the text names the method: \"%s\"",
		status.text);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// The metadata comes back as it was sent, in order.
static void meta_round(struct phx_context *context, struct phx_channel *channel,
	const struct phx_metadata *meta, unsigned count)
{
	const struct phx_call_options o = {
		.size = sizeof(o), .wait_for_ready = true, .metadata = meta};
	struct outcome out;
	struct phx_metadata_view view;
	struct phx_bytes value;
	struct phx_str key;
	unsigned n = 0;

	start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Meta,
		nothing(context), &o, &out);
	await(phx_queue_default(context), &out);
	CHECK(out.status.code == PHX_OK, "%s", out.status.text);
	view = phx_reply_metadata(out.reply);
	while (phx_metadata_get(view, n, &key, &value)) {
		char want[32];

		(void)snprintf(want, sizeof(want), "key-%03u%s", n, n % 3 == 2 ? "-bin" : "");
		CHECK(same(key, want), "pair %u is %.*s", n, PHX_STR_ARG(key));
		n++;
	}
	CHECK(n == count, "%u pairs of %u came back", n, count);
	phx_message_release(out.reply);
}

static struct phx_metadata *meta_make(unsigned count, size_t value_size)
{
	struct phx_metadata *meta;
	uint8_t value[8192];

	CHECK(phx_metadata_create(&meta) == 0, "metadata");
	for (unsigned i = 0; i < count; i++) {
		bool binary = i % 3 == 2;
		char key[32];

		(void)snprintf(key, sizeof(key), "key-%03u%s", i, binary ? "-bin" : "");
		memset(value, binary ? (int)i : 'v', sizeof(value));
		CHECK(phx_metadata_append(meta, key, value, value_size) == 0, "pair %u", i);
	}
	return meta;
}

static void metadata(void)
{
	struct server *s = server_start("metadata");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "metadata");
	const struct {
		unsigned count;
		size_t size;
	} shapes[] = {{0, 0}, {1, 0}, {1, 5}, {3, 20}, {5, 200}, {64, 1}, {64, 100}, {1, 8000}};

	(void)who(context, channel);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct phx_metadata *meta = meta_make(shapes[i].count, shapes[i].size);

		meta_round(context, channel, meta, shapes[i].count);
		phx_metadata_destroy(meta);
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// One pair or one byte over the limits, and keys that may not be.
static void metadata_limits(void)
{
	struct phx_metadata *meta = meta_make(64, 10), *wide;
	char big[8192];

	CHECK(phx_metadata_append(meta, "one-more", "", 0) == -E2BIG, "65 pairs");
	phx_metadata_destroy(meta);
	memset(big, 'b', sizeof(big));
	CHECK(phx_metadata_create(&wide) == 0, "metadata");
	CHECK(phx_metadata_append(wide, "k", big, 8192) == -E2BIG, "more than 8 KiB");
	CHECK(phx_metadata_append(wide, "k", big, 8000) == 0, "8,000 bytes");
	CHECK(phx_metadata_append(wide, "k2", big, 300) == -E2BIG, "more than 8 KiB together");
	CHECK(phx_metadata_append(wide, "Upper", "v", 1) == -EINVAL, "upper case");
	CHECK(phx_metadata_append(wide, "phx-mine", "v", 1) == -EINVAL, "reserved");
	CHECK(phx_metadata_append(wide, "grpc-mine", "v", 1) == -EINVAL, "reserved");
	CHECK(phx_metadata_append(wide, "text", "\x01", 1) == -EINVAL, "not printable");
	CHECK(phx_metadata_append(wide, "text-bin", "\x01", 1) == 0, "any bytes");
	phx_metadata_destroy(wide);
}

const struct test_case cases_basic[] = {
	{"echo_everything", echo_everything},
	{"all_codes", all_codes},
	{"missing_method", missing_method},
	{"metadata", metadata},
	{"metadata_limits", metadata_limits},
	{NULL, NULL},
};

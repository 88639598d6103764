// SPDX-License-Identifier: BSD-3-Clause
// A client with the other version of the proto:  calls_v2 TARGET RUNDIR GROUP
#include <phoenix/phoenix.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "suite_v2.phx.h"

#include <stdio.h>

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);      \
			(void)fprintf(stderr, __VA_ARGS__);                                        \
			(void)fputc('\n', stderr);                                                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static struct phx_context *context;
static struct phx_channel *channel;
static const struct phx_call_options options = {
	.size = sizeof(options), .timeout_ns = 20000000000, .wait_for_ready = true};

static struct phx_message *message(void)
{
	struct phx_message *m;

	CHECK(phx_message_new(context, &m) == 0, "message");
	return m;
}

// What only this side knows is skipped there, what only the other side knows is skipped here.
static void echo(void)
{
	struct phx_message *m = message(), *reply;
	struct phoenix_calls_Everything *r = phoenix_calls_Everything_new(m);
	const struct phoenix_calls_Everything *a;
	struct phoenix_calls_Part *p;
	struct phx_status status;
	struct phx_str title;
	int rc = 0;

	phoenix_calls_Everything_set_enabled(r, true);
	phoenix_calls_Everything_set_i32(r, -77);
	rc |= phoenix_calls_Everything_set_title(m, r, phx_str("renamed"));
	phoenix_calls_Everything_set_color(r, 7);
	rc |= phoenix_calls_Everything_set_extra(m, r, (struct phx_bytes){"12345", 5});
	p = phoenix_calls_Everything_add_parts(m, r);
	phoenix_calls_Part_set_value(p, 5);
	rc |= phoenix_calls_Part_add_labels(m, p, phx_str("unknown there"));
	p = phoenix_calls_Everything_add_more(m, r);
	phoenix_calls_Part_set_value(p, 6);
	for (int32_t i = 0; i < 1000; i++)
		rc |= phoenix_calls_Everything_add_numbers(m, r, i - 500);
	phoenix_calls_Everything_set_maybe(r, 0);
	CHECK(rc == 0, "memory");
	rc = phoenix_calls_Suite_Echo(channel, m, &options, &reply, &status);
	CHECK(rc == 0, "echo: %s", status.text);
	a = phoenix_calls_Everything_root(reply);
	title = phoenix_calls_Everything_title(a);
	CHECK(phoenix_calls_Everything_enabled(a) && phoenix_calls_Everything_i32(a) == -77 &&
			phoenix_calls_Everything_color(a) == 7 &&
			phoenix_calls_Everything_has_maybe(a),
		"numbers");
	CHECK(title.len == 7 && memcmp(title.data, "renamed", 7) == 0, "%.*s", PHX_STR_ARG(title));
	CHECK(phoenix_calls_Everything_numbers_count(a) == 1000 &&
			phoenix_calls_Everything_numbers(a, 999) == 499,
		"repeated");
	CHECK(phoenix_calls_Everything_extra(a).len == 0 &&
			phoenix_calls_Everything_more_count(a) == 0,
		"fields that the server does not know came back");
	CHECK(phoenix_calls_Everything_parts_count(a) == 1 &&
			phoenix_calls_Part_value(phoenix_calls_Everything_parts(a, 0)) == 5 &&
			phoenix_calls_Part_labels_count(phoenix_calls_Everything_parts(a, 0)) == 0,
		"nested");
	phx_message_release(reply);
}

static void big(uint32_t size, uint32_t reply_size)
{
	struct phx_message *m = message(), *reply;
	struct phoenix_calls_BigRequest *r = phoenix_calls_BigRequest_new(m);
	struct phx_call_options o = options;
	struct phx_metadata *meta = NULL;
	struct phx_bytes value;
	uint8_t *bytes = malloc(size + 1);
	struct phx_status status;
	uint64_t sum = size;
	int rc;

	CHECK(bytes != NULL, "memory");
	for (uint32_t i = 0; i < size; i++) {
		bytes[i] = (uint8_t)(i * 7 + i / 1000);
		sum = sum * 31 + bytes[i];
	}
	rc = phoenix_calls_BigRequest_set_payload(m, r, (struct phx_bytes){bytes, size});
	rc |= phoenix_calls_BigRequest_set_comment(m, r, phx_str("unknown there"));
	phoenix_calls_BigRequest_set_reply_size(r, reply_size);
	CHECK(rc == 0, "memory");
	CHECK(phx_metadata_create(&meta) == 0 && phx_metadata_append(meta, "k", "v", 1) == 0,
		"metadata");
	o.metadata = meta;
	rc = phoenix_calls_Suite_Big(channel, m, &o, &reply, &status);
	CHECK(rc == 0, "big of %u and %u: %s, code %u origin %u reason %u: %s", size, reply_size,
		strerror(-rc), status.code, status.origin, status.reason, status.text);
	CHECK(phx_metadata_find(phx_reply_metadata(reply), "k", &value) && value.len == 1,
		"big of %u and %u: metadata is lost", size, reply_size);
	phx_metadata_destroy(meta);
	CHECK(phoenix_calls_BigReply_sum(phoenix_calls_BigReply_root(reply)) == sum,
		"%u bytes came changed", size);
	CHECK(phoenix_calls_BigReply_payload(phoenix_calls_BigReply_root(reply)).len == reply_size,
		"reply");
	phx_message_release(reply);
	free(bytes);
}

int main(int argc, char **argv)
{
	struct phx_attach_options o = PHX_ATTACH_OPTIONS_INIT;
	struct phoenix_calls_HoldRequest *r;
	struct phx_message *m, *reply = NULL;
	struct phx_status status;
	char target[256];
	int rc;

	CHECK(argc == 4, "usage: calls_v2 TARGET RUNDIR GROUP");
	o.rundir = argv[2];
	CHECK(phx_attach(&o, &context, &status) == 0, "%s", status.text);
	(void)snprintf(target, sizeof(target), "%s%s%s", argv[1],
		strncmp(argv[1], "local:", 6) == 0 ? "" : "/", argv[3]);
	CHECK(phx_channel_open(context, target, NULL, &channel, &status) == 0, "%s", status.text);
	m = message();
	r = phoenix_calls_HoldRequest_new(m);
	phoenix_calls_HoldRequest_set_id(r, 33);
	rc = phoenix_calls_Suite_Who(channel, m, &options, &reply, &status);
	CHECK(rc == 0, "who: %s", status.text);
	CHECK(phoenix_calls_HoldReply_id(phoenix_calls_HoldReply_root(reply)) == 33 &&
			phoenix_calls_HoldReply_server(phoenix_calls_HoldReply_root(reply)) == 1,
		"who");
	phx_message_release(reply);
	m = message();
	CHECK(phoenix_calls_HoldRequest_new(m) != NULL, "memory");
	rc = phoenix_calls_Suite_Newer(channel, m, &options, &reply, &status);
	CHECK(rc == -EREMOTEIO && status.code == PHX_UNIMPLEMENTED, "code %u", status.code);
	echo();
	big(0, 0);
	big(100, 100);
	big(70000, 70000);
	big(8 << 20, 8 << 20);
	big((64 << 20) - 64, 8);
	big(8, (64 << 20) - 64);
	phx_channel_close(channel);
	phx_detach(context);
	return 0;
}

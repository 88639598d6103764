// SPDX-License-Identifier: BSD-3-Clause
// Schema tables and names against a running dataplane: they are hostile data too.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"
#include "tests/unit/lib/schema/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return phx_mix64(random_state);
}

static enum phx_reason put_part(struct raw *raw, uint32_t total, uint32_t offset, const void *part,
	uint32_t len, uint32_t *out_handle)
{
	struct phx_attach_schema_put req = {.total = total, .offset = offset, .len = len};
	struct phx_attach_answer answer;
	enum phx_reason reason = raw_request(raw,
		(struct phx_attach_request){.h = &req.h,
			.size = sizeof(req),
			.tail = part,
			.tail_len = len,
			.type = PHX_ATTACH_SCHEMA_PUT,
			.answer_size = sizeof(struct phx_attach_handle_rep)},
		&answer);

	if (reason == PHX_REASON_NONE && out_handle != NULL)
		*out_handle =
			((const struct phx_attach_handle_rep *)(const void *)answer.h)->handle;
	return reason;
}

// Each byte of a good table changed, and many at once: bound or refused, never more.
static void tables_of_anything_are_bound_or_refused(void **state)
{
	unsigned refused = 0;
	struct raw raw;
	size_t size;
	uint8_t *table = t_table(t_all_messages, t_all_services, &size), *copy = malloc(size);

	(void)state;
	assert_true(size < 60000);
	raw_open(&raw, NULL);
	for (unsigned i = 0; i < bed_rounds(3000); i++) {
		enum phx_reason reason;

		memcpy(copy, table, size);
		for (unsigned k = 0; k <= i % 5; k++)
			copy[random_next() % size] = (uint8_t)(i % 2 ? random_next() : 0xff);
		reason = put_part(&raw, (uint32_t)size, 0, copy, (uint32_t)size, NULL);
		assert_true(reason == PHX_REASON_NONE || reason == PHX_REASON_SCHEMA ||
			    reason == PHX_REASON_NO_MEMORY);
		refused += reason == PHX_REASON_SCHEMA;
		if (reason == PHX_REASON_NO_MEMORY) { // as many as there may be
			raw_close(&raw);
			raw_open(&raw, NULL);
		}
	}
	assert_true(refused > 0);
	free(table);
	free(copy);
	raw_close(&raw);
}

static void parts_that_do_not_fit_are_refused(void **state)
{
	static uint8_t zeros[4096];
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	assert_int_equal(put_part(&raw, 0, 0, zeros, 0, NULL), PHX_REASON_TOO_LARGE);
	assert_int_equal(put_part(&raw, PHX_LIMIT_SCHEMA_BYTES_MAX + 1, 0, zeros, 8, NULL),
		PHX_REASON_TOO_LARGE);
	assert_int_equal(put_part(&raw, UINT32_MAX, 0, zeros, 8, NULL), PHX_REASON_TOO_LARGE);
	assert_int_equal(put_part(&raw, 4096, 8, zeros, 8, NULL), PHX_REASON_INVALID); // no start
	assert_int_equal(put_part(&raw, 8192, 0, zeros, 4096, NULL), PHX_REASON_NONE);
	assert_int_not_equal(put_part(&raw, 8192, 8, zeros, 8, NULL), PHX_REASON_NONE); // behind
	assert_int_equal(put_part(&raw, 64, 0, zeros, 32, NULL), PHX_REASON_NONE);
	assert_int_not_equal(put_part(&raw, 64, 32, zeros, 64, NULL), PHX_REASON_NONE); // too much
	assert_int_equal(put_part(&raw, 64, 0, zeros, 32, NULL), PHX_REASON_NONE);
	assert_int_not_equal(put_part(&raw, 4096, 32, zeros, 32, NULL), PHX_REASON_NONE); // grows
	assert_int_equal(put_part(&raw, 64, 0, zeros, 64, NULL), PHX_REASON_SCHEMA);
	assert_int_equal(
		put_part(&raw, PHX_LIMIT_SCHEMA_BYTES_MAX, 0, zeros, 4096, NULL), PHX_REASON_NONE);
	raw_close(&raw); // with a table half uploaded
}

// More than fits: schemas, queues, channels, each counted for its application alone.
static void more_than_the_limits_is_refused(void **state)
{
	struct phx_attach_channel_open open = {.timeout_ns = PHX_TIMEOUT_NONE, .target_len = 6};
	struct raw raw;
	size_t size;
	uint8_t *table = t_table(t_all_messages, t_all_services, &size);
	enum phx_reason reason = PHX_REASON_NONE;
	unsigned n;

	(void)state;
	raw_open(&raw, NULL);
	for (n = 0; reason == PHX_REASON_NONE; n++)
		reason = put_part(&raw, (uint32_t)size, 0, table, (uint32_t)size, NULL);
	assert_int_equal(n, PHX_LIMIT_SCHEMAS_MAX + 1);
	for (n = 0, reason = PHX_REASON_NONE; reason == PHX_REASON_NONE; n++)
		reason = raw_request(&raw,
			(struct phx_attach_request){.h = &open.h,
				.size = sizeof(open),
				.tail = "local:",
				.tail_len = 6,
				.type = PHX_ATTACH_CHANNEL_OPEN,
				.answer_size = sizeof(struct phx_attach_handle_rep)},
			NULL);
	assert_int_equal(n, PHX_LIMIT_CHANNELS_MAX + 1);
	free(table);
	raw_close(&raw);
}

// A table that is never finished takes room of all: it is charged, and comes back.
static void memory_of_schemas_is_charged(void **state)
{
	static const uint8_t part[4096];
	struct raw raws[12];
	enum phx_reason reason = PHX_REASON_NONE;
	unsigned n = 0;

	(void)state;
	while (reason == PHX_REASON_NONE && n < PHX_ARRAY_LEN(raws)) {
		raw_open(&raws[n], NULL);
		reason = put_part(
			&raws[n++], PHX_LIMIT_SCHEMA_BYTES_MAX, 0, part, sizeof(part), NULL);
	}
	assert_int_equal(reason, PHX_REASON_NO_MEMORY);
	assert_true(n > 1);
	// Giving one up for a smaller one makes room again.
	assert_int_equal(put_part(&raws[0], 64, 0, part, 32, NULL), PHX_REASON_NONE);
	assert_int_equal(
		put_part(&raws[n - 1], PHX_LIMIT_SCHEMA_BYTES_MAX, 0, part, sizeof(part), NULL),
		PHX_REASON_NONE);
	while (n-- != 0)
		raw_close(&raws[n]);
}

static int setup(void **state)
{
	static const char *const options[] = {
		"--standalone", "default", "--app-memory", "40M", NULL};

	(void)state;
	bed_start(options);
	return 0;
}

static void handles_of_nothing_are_refused(void **state)
{
	static const uint32_t handles[] = {1, 5, 63, 64, 65, 4096, 1u << 31, UINT32_MAX};
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	raw_service(&raw, "attacker", "local:attacker");
	for (size_t i = 0; i < PHX_ARRAY_LEN(handles); i++) {
		struct phx_attach_handle_req close = {.handle = handles[i]};
		struct phx_attach_bind bind = {.channel = handles[i]};
		struct phx_attach_register reg = {.schema = handles[i]};
		struct phx_attach_queue_fd fd = {.queue = handles[i]};
		const struct phx_attach_request requests[] = {
			{.h = &close.h,
				.size = sizeof(close),
				.type = PHX_ATTACH_CHANNEL_CLOSE,
				.answer_size = sizeof(struct phx_attach_header)},
			{.h = &bind.h,
				.size = sizeof(bind),
				.type = PHX_ATTACH_BIND,
				.answer_size = sizeof(struct phx_attach_handle_rep)},
			{.h = &reg.h,
				.size = sizeof(reg),
				.type = PHX_ATTACH_REGISTER,
				.answer_size = sizeof(struct phx_attach_handle_rep)},
			{.h = &fd.h,
				.size = sizeof(fd),
				.type = PHX_ATTACH_QUEUE_FD,
				.answer_size = sizeof(struct phx_attach_header),
				.answer_fds = 1},
		};

		for (size_t k = 0; k < PHX_ARRAY_LEN(requests); k++)
			assert_int_not_equal(raw_request(&raw, requests[k], NULL), PHX_REASON_NONE);
		bind.channel = 0;
		bind.service = phx_max(handles[i], 2u);
		assert_int_not_equal(raw_request(&raw, requests[1], NULL), PHX_REASON_NONE);
		reg.schema = 0;
		reg.service = phx_max(handles[i], 2u);
		assert_int_not_equal(raw_request(&raw, requests[2], NULL), PHX_REASON_NONE);
		reg.service = 0;
		reg.queue = handles[i];
		assert_int_not_equal(raw_request(&raw, requests[2], NULL), PHX_REASON_NONE);
	}
	raw_close(&raw);
}

// T-30: names that would mean something to a terminal, a path or a format.
static void names_and_targets_of_anything_are_refused(void **state)
{
	static const char *const names[] = {
		"a b", "a/b", "%s%n", "\x1b[2J", "a\nb", "\xff\xfe", "a\tb"};
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	raw_service(&raw, "attacker", NULL);
	for (size_t i = 0; i < PHX_ARRAY_LEN(names); i++) {
		struct phx_attach_register reg = {.group_len = (uint32_t)strlen(names[i])};
		struct phx_attach_channel_open open = {.timeout_ns = PHX_NS_PER_MS};
		char target[64];

		assert_int_not_equal(
			raw_request(&raw,
				(struct phx_attach_request){.h = &reg.h,
					.size = sizeof(reg),
					.tail = names[i],
					.tail_len = reg.group_len,
					.type = PHX_ATTACH_REGISTER,
					.answer_size = sizeof(struct phx_attach_handle_rep)},
				NULL),
			PHX_REASON_NONE);
		for (int k = 0; k < 2; k++) {
			open.target_len = (uint32_t)snprintf(target, sizeof(target), "%s%s",
				k == 0 ? "local:" : "tcp://", names[i]);
			assert_int_not_equal(raw_request(&raw,
						     (struct phx_attach_request){.h = &open.h,
							     .size = sizeof(open),
							     .tail = target,
							     .tail_len = open.target_len,
							     .type = PHX_ATTACH_CHANNEL_OPEN,
							     .answer_size = sizeof(
								     struct phx_attach_handle_rep)},
						     NULL),
				PHX_REASON_NONE);
		}
	}
	raw_close(&raw);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(tables_of_anything_are_bound_or_refused),
		BED_TEST(parts_that_do_not_fit_are_refused),
		BED_TEST(more_than_the_limits_is_refused),
		BED_TEST(memory_of_schemas_is_charged),
		BED_TEST(handles_of_nothing_are_refused),
		BED_TEST(names_and_targets_of_anything_are_refused),
	};

	return bed_main_with(
		argc, argv, "schemas", tests, PHX_ARRAY_LEN(tests), setup, bed_teardown);
}

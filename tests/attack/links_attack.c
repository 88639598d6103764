// SPDX-License-Identifier: BSD-3-Clause
// What one application may do to the links that all applications share.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum phx_reason channel_open(struct raw *raw, const char *target)
{
	struct phx_attach_channel_open open = {
		.timeout_ns = PHX_TIMEOUT_NONE, .target_len = (uint32_t)strlen(target)};

	return raw_request(raw,
		(struct phx_attach_request){.h = &open.h,
			.size = sizeof(open),
			.tail = target,
			.tail_len = open.target_len,
			.type = PHX_ATTACH_CHANNEL_OPEN,
			.answer_size = sizeof(struct phx_attach_handle_rep)},
		NULL);
}

static enum phx_reason bind_service(struct raw *raw, uint32_t channel)
{
	struct phx_attach_bind bind = {.channel = channel};

	return raw_request(raw,
		(struct phx_attach_request){.h = &bind.h,
			.size = sizeof(bind),
			.type = PHX_ATTACH_BIND,
			.answer_size = sizeof(struct phx_attach_handle_rep)},
		NULL);
}

// Each binding is a subscription at the other end, which keeps so much for a link and no more.
static void bindings_without_end_are_refused(void **state)
{
	enum phx_reason reason = PHX_REASON_NONE;
	struct raw raw;
	uint32_t n = 0;

	(void)state;
	raw_open(&raw, NULL);
	raw_service(&raw, NULL, "local:"); // channel 0
	for (uint32_t channel = 1; reason == PHX_REASON_NONE && n < 40000; channel++) {
		reason = channel_open(&raw, "local:");
		for (uint32_t i = 0; i < PHX_LIMIT_SERVICES_MAX && reason == PHX_REASON_NONE; i++) {
			reason = bind_service(&raw, channel);
			n++;
		}
	}
	assert_int_equal(reason, PHX_REASON_NO_MEMORY);
	assert_true(n > PHX_LIMIT_CHANNELS_MAX);
	raw_close(&raw);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(bindings_without_end_are_refused),
	};

	return bed_main(argc, argv, "links", tests, PHX_ARRAY_LEN(tests));
}

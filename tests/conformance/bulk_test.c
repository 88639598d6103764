// SPDX-License-Identifier: BSD-3-Clause
// Small calls beside large messages: how much of these stands between a small call and its reply.
// Counted in bytes, so that it holds on any machine. On the rig.
#include "tests/conformance/rig.h"

#include "dataplane/transport/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB	  (1u << 20)
#define BIG_CALLS 4

static uint64_t carried(const struct rig *rig)
{
	uint64_t bytes = 0;

	for (int i = 0; i < 2; i++)
		bytes += atomic_load(&rig->links[i]->lane[PHX_LANE_BULK]->rx_bytes);
	return bytes;
}

static void submit_big(struct rig *rig, uint32_t *slots)
{
	for (int i = 0; i < BIG_CALLS; i++) {
		struct rig_call big = {.name = "big", .body = 4 * MIB};

		slots[i] = rig_submit(rig, &big);
	}
}

static bool all_done(struct rig *rig, const uint32_t *slots)
{
	for (int i = 0; i < BIG_CALLS; i++) {
		if (!rig_done(rig, slots[i])->done)
			return false;
	}
	return true;
}

// Large replies and large requests are on their way at once; small calls go there and back between
// them.
static void small_call_passes_large_messages(void **state)
{
	struct rig *rig = rig_create();
	uint32_t replies[BIG_CALLS], requests[BIG_CALLS];
	uint64_t worst = 0;

	(void)state;
	assert_int_equal(rig_echo(rig, "warm", 0)->code, PHX_OK);
	rig->server.request_count = 0;
	rig->server.quiet = true;
	submit_big(rig, replies);
	rig_settle(rig);
	rig->server.answer_body = 4 * MIB;
	for (uint32_t i = 0; i < BIG_CALLS; i++)
		rig_answer(rig, i, "big", 0);
	rig->server.answer_body = 0;
	rig->server.answered = rig->server.request_count;
	rig->server.quiet = false;
	submit_big(rig, requests);
	while (!all_done(rig, replies) || !all_done(rig, requests)) {
		struct rig_call small = {.name = "small", .inlined = true};
		uint64_t before = carried(rig);
		uint32_t slot = rig_submit(rig, &small);

		for (unsigned rounds = 0; !rig_done(rig, slot)->done; rounds++) {
			assert_true(rounds < 10);
			(void)rig_round(rig);
		}
		if (carried(rig) - before > worst)
			worst = carried(rig) - before;
	}
	// Two rounds: there and back.
	assert_true(worst > 0);
	assert_true(worst <= UINT64_C(2) * LINK_ROUND_CHUNKS * (PHX_LIMIT_CHUNK_BYTES + 512));
	rig_destroy(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_call_passes_large_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

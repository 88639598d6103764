// SPDX-License-Identifier: BSD-3-Clause
// What chains cost: nanoseconds per message and point from the time stamp counter, for chains of
// null and of the probe (one string inspected), in bursts of 1, 8 and 32. The minimum of many
// rounds: what the code takes, not what else ran. Prints a table; fails only where the cost is
// absurd, since a shared machine proves no target.
#include "lib/base/clock.h"
#include "tests/conformance/rig.h"

#include <rte_cycles.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS	   2000
#define CALLS	   PHX_LIMIT_BURST
#define ABSURD_NS  2000.0
#define IMAGE_SIZE 32 // of t.Req with an eight-byte name

struct cost {
	struct rig *rig;
	struct session *session;
	struct call_policy *policies; // [CALLS]
	struct chain_item items[CALLS];
	struct message messages[CALLS];
	uint64_t images[CALLS][IMAGE_SIZE / 8];
};

static int setup(void **state)
{
	struct cost *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->rig = rig_create();
	c->session = c->rig->client.session;
	c->policies = calloc(CALLS, sizeof(*c->policies));
	for (unsigned i = 0; i < CALLS; i++) {
		uint8_t *image = (uint8_t *)c->images[i];

		phx_le32_store(image, 24); // name: right behind the fixed part
		phx_le32_store(image + 4, 8);
		memcpy(image + 24, "somebody", 8);
		phx_image_borrow(&c->messages[i].image, image, IMAGE_SIZE);
		c->items[i] = (struct chain_item){
			.session = c->session,
			.message = &c->messages[i],
			.schema = c->session->schemas[0],
			.type = RIG_REQ,
			.service = "t.Svc",
			.method = "Echo",
			.policy = &c->policies[i],
			.deadline_ns = UINT64_MAX,
		};
	}
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct cost *c = *state;

	rig_destroy(c->rig);
	free(c->policies);
	free(c);
	return 0;
}

static double cycles_per_ns;
static uint64_t overhead; // of two readings

// Without EAL nobody has measured the counter.
static int calibrate(void **state)
{
	uint64_t ns = phx_clock_ns(), cycles = rte_rdtsc_precise(), t;

	(void)state;
	while (phx_clock_ns() - ns < 20000000)
		;
	cycles_per_ns = (double)(rte_rdtsc_precise() - cycles) / (double)(phx_clock_ns() - ns);
	overhead = UINT64_MAX;
	for (unsigned i = 0; i < ROUNDS; i++) {
		t = rte_rdtsc_precise();
		overhead = phx_min(overhead, rte_rdtsc_precise() - t);
	}
	return 0;
}

static double ns_of(uint64_t cycles, unsigned n)
{
	return (double)(cycles > overhead ? cycles - overhead : 0) / cycles_per_ns / n;
}

// One burst at a request and a reply point, and the end of its calls; in cycles.
static void burst(struct cost *c, unsigned n, uint64_t out[3])
{
	static const struct call_status ok = {.code = PHX_OK};
	const struct chain_end end = {.status = &ok, .service = "t.Svc", .method = "Echo"};
	struct worker *worker = c->rig->worker;
	const struct chain *chain = session_chain(c->session);
	uint64_t t[4];

	for (unsigned i = 0; i < n; i++) {
		chain_call_start(&c->policies[i]);
		c->items[i].type = RIG_REQ;
	}
	t[0] = rte_rdtsc_precise();
	chain_run(worker, chain, POINT_REQUEST_OUT, c->items, n);
	t[1] = rte_rdtsc_precise();
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(c->items[i].verdict, CHAIN_PASS);
		c->items[i].type = RIG_REP;
	}
	t[2] = rte_rdtsc_precise();
	chain_run(worker, chain, POINT_REPLY_IN, c->items, n);
	t[3] = rte_rdtsc_precise();
	out[0] = t[1] - t[0];
	out[1] = t[3] - t[2];
	t[0] = rte_rdtsc_precise();
	for (unsigned i = 0; i < n; i++)
		chain_call_end(worker, &c->policies[i], &end);
	out[2] = rte_rdtsc_precise() - t[0];
}

static void measure(struct cost *c, const char *what, unsigned count)
{
	static const unsigned sizes[] = {1, 8, 32};
	double absurd = getenv("PHX_TEST_SLOW") != NULL ? 50.0 * ABSURD_NS : ABSURD_NS;
	uint64_t best[3], now[3];

	for (unsigned s = 0; s < PHX_ARRAY_LEN(sizes); s++) {
		memset(best, 0xff, sizeof(best));
		for (unsigned r = 0; r < ROUNDS; r++) {
			burst(c, sizes[s], now);
			for (unsigned k = 0; k < 3; k++)
				best[k] = phx_min(best[k], now[k]);
		}
		print_message(
			"%-6s x %2u, bursts of %2u: request %6.1f, reply %6.1f, end %5.1f ns a "
			"message\n",
			what, count, sizes[s], ns_of(best[0], sizes[s]), ns_of(best[1], sizes[s]),
			ns_of(best[2], sizes[s]));
		assert_true(ns_of(best[0], sizes[s]) < absurd);
	}
}

static void cost_of(struct cost *c, const char *type, const char *params)
{
	char name[32];
	unsigned count = 0;

	for (unsigned want = 1; want <= PHX_LIMIT_CHAIN_MAX; want *= 2) {
		for (; count < want; count++) {
			(void)snprintf(name, sizeof(name), "p%u", count);
			rig_attach(c->rig, name, type, params);
		}
		measure(c, type, count);
	}
}

static void cost_of_null(void **state)
{
	cost_of(*state, "null", "");
}

static void cost_of_probe(void **state)
{
	cost_of(*state, "probe", "deny=nobody_at_all");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cost_of_null, setup, teardown),
		cmocka_unit_test_setup_teardown(cost_of_probe, setup, teardown),
	};

	return cmocka_run_group_tests(tests, calibrate, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// One client thread of phoenix-bench: a closed loop that keeps so many calls in flight, or an open
// loop that starts each call at its intended time and measures from there, so that a stall is
// charged to every call that it delayed (no coordinated omission).
#pragma once

#include "tests/bench/bench.h"

struct bench_call {
	struct bench_loop *loop;
	uint64_t began_ns; // intended time in an open loop
	struct bench_call *next_free;
};

// [const] is set before the thread starts; the rest is its own until it was joined.
struct bench_loop {
	const struct meter_options *options; // [const]
	struct phx_context *context;	     // [const]
	struct phx_queue *queue;	     // [const]
	struct phx_channel *channel;	     // [const]
	const char *payload;		     // [const]
	uint64_t start_ns;		     // [const] of the load, warm-up included
	uint64_t begin_ns;		     // [const] of the window
	uint64_t end_ns;		     // [const]
	uint64_t call_limit;		     // [const] of this thread, 0 = none
	double interval_ns;		     // [const] of an open loop, 0 = closed

	struct meter_result *result; // owned
	struct bench_call *calls;    // owned
	struct bench_call *free_calls;
	uint64_t started;
	unsigned in_flight;
	unsigned to_rest; // calls that ended since the last rest
	int rc;
};

// 0 or -ENOMEM. fini of a zeroed or half-built loop is legal.
int bench_loop_init(struct bench_loop *loop);
void bench_loop_fini(struct bench_loop *loop);
// Until the end of the window or of its calls, then at most 5 s for what is in flight.
// loop->rc tells the result.
void bench_loop_run(struct bench_loop *loop);

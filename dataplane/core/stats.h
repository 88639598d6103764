// SPDX-License-Identifier: BSD-3-Clause
// Calls of one worker by (application, side, service, method) and status: counters, a latency
// histogram, and the stage stamps of one call in 1,024. A fixed number of series; what finds none
// counts in the overflow series.
//
// One writer, the worker; control reads without locks and sees each counter whole, not one instant
// of all. A series is FREE, then LIVE (taken by the worker, its names and zeroed counters published
// with the state), then ENDED (the worker writes it no more: its application is gone, the numbers
// stay to be seen), then FREE again by control, which first adds it to the past series. So what
// control looks at never changes its meaning under it, and nothing of the past is lost from sums.
#pragma once

#include "lib/base/hist.h"
#include "lib/base/limits.h"
#include "lib/base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum stats_side {
	STATS_CLIENT, // calls of the application, from submission to completion
	STATS_SERVER, // requests to it, from their arrival until the reply is out of use
};

enum stats_state { STATS_FREE, STATS_LIVE, STATS_ENDED };

struct stats_code {
	_Atomic uint64_t calls;	   // that ended with it
	_Atomic uint64_t tx_bytes; // messages and metadata from the application
	_Atomic uint64_t rx_bytes; // to it
};

struct stats_series {
	uint64_t app; // [worker>ctl] app-N, with the names published by the state
	uint8_t side; // enum stats_side
	char service[PHX_LIMIT_NAME_BYTES + 1];
	char method[PHX_LIMIT_NAME_BYTES + 1];
	uint64_t ended; // [worker>ctl] order of ends
	struct stats_code code[PHX_CODE_COUNT];
	struct phx_hist latency; // of all codes
};

// ---- stage stamps ----

#define STATS_SAMPLE_CALLS 1024 // one call in so many is stamped
#define STATS_SAMPLES	   64	// kept of a worker

// Client: submitted, handed to a link, reply here, completion written. Server: arrived, in the
// application's ring, reply taken from it, reply out of use.
enum stats_stage {
	STATS_SUBMIT = 0,
	STATS_SENT = 1,
	STATS_REPLY = 2,
	STATS_COMPLETE = 3,
	STATS_RECEIVED = 0,
	STATS_DELIVERED = 1,
	STATS_REPLIED = 2,
	STATS_RELEASED = 3,
};
#define STATS_STAGES 4

// Read by control under `number`: the same before and after means whole.
struct stats_sample {
	_Atomic uint64_t number;	   // of the sample, 0 = being replaced
	_Atomic uint64_t app;		   // of the series when it was taken
	_Atomic uint32_t series;	   // index
	_Atomic uint32_t code;		   // valid once complete
	_Atomic uint64_t at[STATS_STAGES]; // monotonic ns, 0 = not reached
};

struct stats {
	uint32_t capacity;	  // [const] series for applications
	uint32_t countdown;	  // [worker] calls until the next sample
	uint64_t samples_taken;	  // [worker]
	uint64_t ends;		  // [worker]
	_Atomic uint64_t refused; // [worker>ctl] keys that found no series
	_Atomic uint32_t *state;  // per series, enum stats_state
	struct {
		uint64_t app, hash;
	} * keys;		     // [worker] per series
	struct stats_series *series; // capacity, then the overflow series, then the past
	struct stats_sample sample[STATS_SAMPLES];
};

// -ENOMEM. Any thread.
int stats_create(uint32_t capacity, struct stats **out_stats);
// NULL is legal.
void stats_destroy(struct stats *stats);

static inline struct stats_series *stats_overflow(const struct stats *stats)
{
	return &stats->series[stats->capacity];
}
// What was in series that were freed. Written by control.
static inline struct stats_series *stats_past(const struct stats *stats)
{
	return &stats->series[stats->capacity + 1];
}

// Worker: the series of a key, taken when there is none yet; the overflow series when none is free.
// Not for every call: whoever counts keeps the pointer, which is good until stats_app_ended().
struct stats_series *stats_resolve(struct stats *stats, uint64_t app, enum stats_side side,
	const char *service, const char *method);
// Worker: nothing of this application counts any more.
void stats_app_ended(struct stats *stats, uint64_t app);
// Control: while more than three quarters of the series are taken, free those that ended first.
void stats_reclaim(struct stats *stats);
// Any thread: may be read; names and counters are those of one key until control frees it.
bool stats_readable(const struct stats *stats, uint32_t index);

// Single writer: no locked instruction.
static inline void stats_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

// Worker, hot: a call ended after ns. code is below PHX_CODE_COUNT.
static inline void stats_end(
	struct stats_series *s, unsigned code, uint64_t tx_bytes, uint64_t rx_bytes, uint64_t ns)
{
	struct stats_code *c = &s->code[code];

	stats_count(&c->calls, 1);
	stats_count(&c->tx_bytes, tx_bytes);
	stats_count(&c->rx_bytes, rx_bytes);
	phx_hist_add(&s->latency, ns);
}

// Worker, hot: is it this call's turn to be stamped?
static inline bool stats_sample_due(struct stats *stats)
{
	return --stats->countdown == 0;
}
// Worker: stamp the first stage; the number is kept with the call and is never 0.
uint64_t stats_sample_start(struct stats *stats, const struct stats_series *series);
// Worker: stamp a stage of a sampled call; a sample that newer ones have replaced is left alone.
void stats_sample_stamp(struct stats *stats, uint64_t number, enum stats_stage stage);
// Worker: stamp the last stage.
void stats_sample_end(struct stats *stats, uint64_t number, unsigned code);

// Control: a copy of one sample that is complete. False: there is none at `index`, or it changed
// meanwhile.
struct stats_sample_view {
	uint64_t number;
	uint64_t app;
	const struct stats_series *series;
	unsigned code;
	uint64_t at[STATS_STAGES];
};
bool stats_sample_read(
	const struct stats *stats, uint32_t index, struct stats_sample_view *out_view);

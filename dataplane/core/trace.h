// SPDX-License-Identifier: BSD-3-Clause
// Traces: the next calls that an operator asks for, with the time at each of their stages, on both
// hosts. One trace at a time: control makes it and tells each worker; a worker takes calls for it
// (core/worker.h: trace), whoever ends a call ends its record, and control reads the records
// once no worker has the trace any more. Without one a call costs a branch at each stage.
//
// At the server's dataplane a call whose HEADERS ask for it is stamped in a ring of its worker, the
// newest replacing the oldest: what peers ask for costs no memory and ends by itself.
#pragma once

#include "dataplane/core/worker.h"
#include "lib/base/compiler.h"
#include "lib/base/limits.h"
#include "lib/wire/trace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Of a client's call. The time up to a stage is what was done for it.
enum trace_stage {
	TRACE_SUBMITTED, // the round began in which the worker found it
	TRACE_TAKEN,	 // out of the ring
	TRACE_ADMITTED,	 // it has connection, service and credit
	TRACE_PACKED,	 // copied and checked
	TRACE_CHAINED,	 // the policies let it pass
	TRACE_SENT,	 // handed to a link
	TRACE_RECEIVED,	 // the status, and an announced reply whole
	TRACE_DELIVERED, // the completion is written
	TRACE_STAGES
};

struct trace_record {
	uint64_t app;
	unsigned lcore;
	char service[PHX_LIMIT_NAME_BYTES + 1];
	char method[PHX_LIMIT_NAME_BYTES + 1];
	uint64_t link; // with TRACE_SENT
	bool link_local;
	bool has_server; // the times below came back
	char peer[128];
	uint8_t code;
	uint64_t at[TRACE_STAGES];	  // monotonic ns, 0 = not reached
	uint64_t server[PHX_TRACE_COUNT]; // ns since its reception there
	bool ended;			  // the rest is written
};

struct trace {
	uint32_t generation;	      // [const] tells its calls from those of traces before
	uint32_t count;		      // [const] records
	uint64_t app;		      // [const] 0 = all
	const char *method;	      // [const] glob over "Service/Method"
	void (*full)(struct trace *); // [const] by a worker: all records have ended
	_Atomic uint32_t taken;	      // [workers] may run beyond count
	_Atomic uint32_t ended;	      // [workers]
	struct trace_record record[];
};

// ---- the client's worker ----

// Take the call for the trace of the worker, if it matches: its token, 0 = not taken.
uint64_t trace_call_start(struct worker *worker, uint64_t app, const char *service,
	const char *method, uint64_t submitted_ns);
// The record of a token; NULL: of a trace that is over.
struct trace_record *trace_call_record(struct worker *worker, uint64_t token);
// Stamp a stage; the first time counts.
void trace_call_stamp(struct worker *worker, uint64_t token, enum trace_stage stage);
// Handed to a link: the last time counts, and what came of an attempt before is forgotten.
void trace_call_sent(
	struct worker *worker, uint64_t token, uint64_t link, bool local, const char *peer);
// The call is over: the last stage.
void trace_call_end(struct worker *worker, uint64_t token, unsigned code);

static inline void trace_at(struct worker *worker, uint64_t token, enum trace_stage stage)
{
	if (phx_unlikely(token != 0))
		trace_call_stamp(worker, token, stage);
}

// ---- the server's worker ----

#define TRACE_SERVED 256 // calls at a time

struct trace_served {
	uint64_t token;
	uint64_t received_ns;
	uint64_t times_ns[PHX_TRACE_COUNT]; // since then, 0 = not reached
};

struct trace_server {
	uint64_t last; // token
	struct trace_served ring[TRACE_SERVED];
};

// Stamp the reception; the token is never 0.
uint64_t trace_serve_start(struct worker *worker);
// Stamp a stage; the first time counts.
void trace_serve_stamp(struct worker *worker, uint64_t token, enum phx_trace_at at);
// The times of a call that goes now; a stage that was not reached has the time of the one before.
// False: newer ones have replaced it.
bool trace_serve_end(struct worker *worker, uint64_t token, uint64_t out_times_ns[PHX_TRACE_COUNT]);

static inline void trace_serve_at(struct worker *worker, uint64_t token, enum phx_trace_at at)
{
	if (phx_unlikely(token != 0))
		trace_serve_stamp(worker, token, at);
}

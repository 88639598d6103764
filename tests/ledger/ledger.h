// SPDX-License-Identifier: BSD-3-Clause
// The ledger: clients and servers that prove what became of every call, with public headers and
// generated code alone. client.c and server.c keep the book of book.h, check.c judges it, main.c
// is the command line.
#pragma once

#include <phoenix/phoenix.h>

#include "tests/ledger/book.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

struct ledger_options {
	const char *book;
	const char *target; // of a client; group of a server
	const char *rundir;
	double seconds;	   // of a client
	uint32_t rate;	   // calls each second in open loop; 0 = closed loop
	uint32_t inflight; // at most
	uint32_t size;	   // most bytes of a payload; sizes are spread over magnitudes
	uint32_t hold_us;  // how long the server may keep a call
	uint32_t timeout_ms;
	uint32_t cancel; // one of so many calls is cancelled; 0 = none
	uint32_t seed;
	uint32_t killed;   // check: clients that may have been killed
	uint64_t at_least; // check and wait: calls that ended with OK
	bool strict;	   // of a client: every call must be OK
	bool wait_for_ready;
};

// Exit statuses: 0 well; 1 cannot work; 2 usage; 3 the book or the client found a fault.
int ledger_client(const struct ledger_options *options);
int ledger_server(const struct ledger_options *options);
int ledger_check(const struct ledger_options *options);
// Until so many more calls are OK.
int ledger_wait(const struct ledger_options *options);

// Set by SIGTERM and SIGINT.
extern _Atomic int ledger_stopped;
// Attach again and again until `end_ns`, or SIGTERM; NULL then.
struct phx_context *ledger_attach(
	const struct ledger_options *options, struct book *book, uint64_t end_ns);
// The bytes of a payload: they depend on the call.
void ledger_fill(uint8_t *bytes, uint32_t size, uint64_t id);
bool ledger_matches(const uint8_t *bytes, uint32_t size, uint64_t id);

// SPDX-License-Identifier: BSD-3-Clause
// Completions between the ring and their callbacks. Filled under the queue's lock
// (queue_poll.c), run without it (burst.c).
#pragma once

#include "lib/app/queue.h"

// A completion on its way to a callback.
struct phx_event {
	struct phx_call *call;	     // NULL: a request
	struct phx_request *request; // NULL: a call
	struct phx_runner *runner;   // of the request, held; NULL: on the polling thread
	struct phx_message *message; // of a call: reply, or what holds the text
	const char *text;	     // inside message
	uint16_t text_len;
	uint8_t code, origin, executed;
	uint16_t reason;
	bool ended; // the session was over: its end is the text
};

struct phx_burst {
	struct phx_burst *next; // in the backlog of a queue
	unsigned first;		// of a backlog: events before it are handled
	unsigned count;
	bool service; // look at the socket
	uint64_t now; // clock of this burst, 0 = not read yet
	struct phx_event events[PHX_LIMIT_BURST];
};

// Run the callbacks, hand requests over to where their handlers run. No lock held.
void phx_burst_run(struct phx_queue *q, struct phx_burst *b);
// Give back what the events of a burst hold, after that.
void phx_burst_end(struct phx_queue *q, struct phx_burst *b) PHX_REQUIRES(q->lock);

// End one call for its callback. request, reply and text are taken as phx_poll() found them.
void phx_event_run_call(struct phx_event *ev);

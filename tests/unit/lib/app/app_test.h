// SPDX-License-Identifier: BSD-3-Clause
// What the tests of libphoenix share: a service, a message type, an attached session.
#pragma once

#include <phoenix/phoenix.h>

#include "lib/base/clock.h"
#include "tests/unit/lib/app/fake_dp.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// message Note { uint64 number = 1; bytes text = 2; }
struct note {
	uint64_t number;
	struct phx_ref text;
};

extern const struct phx_file note_file; // larger than one SCHEMA_PUT
extern const struct phx_type note_type, other_type;
extern const struct phx_service note_service, other_service; // two methods each

struct session {
	struct fake_dp *dp;
	struct phx_context *ctx;
	struct phx_queue *queue;
	struct phx_channel *channel;
};

// A fake dataplane that was configured but not started, or NULL for a usual one; attached to it,
// with a channel to local: open.
struct session session_open(struct fake_dp *dp);
// The same, attaching again when the dataplane is replaced.
struct session session_open_again(struct fake_dp *dp);
void session_close(struct session *s);

// A message with `len` bytes of text, each the low byte of number.
struct phx_message *note_new(struct phx_context *ctx, uint64_t number, uint32_t len);

// What a callback saw.
struct outcome {
	unsigned calls;
	bool has_reply;
	uint64_t number;	   // of the reply
	struct phx_message *reply; // kept when `keep`
	bool keep;
	struct phx_status status;
};
void outcome_fn(void *arg, struct phx_message *reply, const struct phx_status *status);

// Start a call of method 0 with a small message; asserts success.
struct phx_call *note_call(struct session *s, uint64_t number, struct outcome *o);

// Poll until the outcome is there.
#define outcome_wait(s, o) fake_until((o)->calls != 0 || phx_poll((s)->queue, 0) < -1000)

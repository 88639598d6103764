// SPDX-License-Identifier: BSD-3-Clause
// A dataplane that dies and another one in its place, for tests of libphoenix. Works with
// fake_dp.h.
#pragma once

#include "tests/unit/lib/app/app_test.h"

#define SECOND_BASE 100 // handles of the second dataplane differ from those of the first

// The dataplane of the session dies. Its memory is freed by gone_destroy().
static inline struct fake_dp *dataplane_dies(struct session *s)
{
	struct fake_dp *old = s->dp;

	fake_dp_stop(old);
	s->dp = fake_dp_create_after(old);
	s->dp->handle_base = SECOND_BASE;
	return old;
}

static inline void wait_away(struct session *s)
{
	fake_until(phx_context_ended(s->ctx, NULL) || phx_wait(s->queue, 1000000) < -1000);
}

static inline void wait_back(struct session *s)
{
	fake_until(!phx_context_ended(s->ctx, NULL) || phx_poll(s->queue, 0) < -1000);
}

// As an application would: poll, then wait.
static inline void run_until_called(struct session *s, const struct outcome *o)
{
	uint64_t until = phx_clock_ns() + FAKE_PATIENCE_NS;

	while (o->calls == 0) {
		assert_true(phx_clock_ns() < until);
		if (phx_poll(s->queue, 0) == 0)
			assert_true(phx_wait(s->queue, FAKE_PATIENCE_NS) >= 0);
	}
}

// SPDX-License-Identifier: BSD-3-Clause
// The policy that lets everything pass at every point: what a chain costs by itself. Works with
// lib/policy/policy.h alone.
#include "lib/policy/policy.h"

extern const struct phx_policy phx_policy_null;

// The host has preset ALLOW.
static void null_burst(const struct phx_policy_burst *burst,
	struct phx_policy_message *const *messages, unsigned n)
{
	(void)burst;
	(void)messages;
	(void)n;
}

const struct phx_policy phx_policy_null = {
	.hello = PHX_POLICY_HELLO,
	.name = "null",
	.version = "1",
	.help = "lets every message pass",
	.points = PHX_POLICY_REQUESTS | PHX_POLICY_REPLIES,
	.on_failure = PHX_POLICY_OPEN,
	.burst = null_burst,
};

// SPDX-License-Identifier: BSD-3-Clause
// Parts of phoenix-bench: the roles, and the only place that knows the generated code.
#pragma once

#include "tests/bench/meter.h"

#include <phoenix/phoenix.h>

// Largest payload of either direction.
#define BENCH_PAYLOAD_MAX (1u << 30)

// Roles: until a signal or the end of the measurement. 0 or 1, as the program exits.
int bench_server_main(const struct meter_options *options);
int bench_client_main(const struct meter_options *options);

// Attach as options say; a message on stderr when it fails. 0 or a negative errno value.
int bench_attach(const struct meter_options *options, struct phx_context **out_context);
// "UNAVAILABLE (NO_SERVICE): text" on stderr, after `what`.
void bench_print_status(const char *what, int rc, const struct phx_status *status);

// ---- messages of bench.proto ----

// The echo service and its one method.
const struct phx_service *bench_service(void);
uint32_t bench_method(void);
// A new request or reply, which is the caller's. 0 or -ENOMEM.
int bench_request_new(struct phx_context *context, const void *payload, uint32_t size,
	uint32_t reply_size, struct phx_message **out_message);
int bench_reply_new(struct phx_context *context, const void *payload, uint32_t size,
	struct phx_message **out_message);
// What a request holds, borrowed from it. -EINVAL: not a request.
int bench_request_read(
	const struct phx_message *message, struct phx_bytes *out_payload, uint32_t *out_reply_size);

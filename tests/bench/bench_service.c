// SPDX-License-Identifier: BSD-3-Clause
// The messages of bench.proto: the only file of phoenix-bench that knows the generated code.
#include "tests/bench/bench.h"

#include <errno.h>

#include "bench.phx.h"

const struct phx_service *bench_service(void)
{
	return &phoenix_bench_Echo_service;
}

uint32_t bench_method(void)
{
	return phoenix_bench_Echo_method_Call;
}

int bench_request_new(struct phx_context *context, const void *payload, uint32_t size,
	uint32_t reply_size, struct phx_message **out_message)
{
	const struct phx_bytes bytes = {payload, size};
	struct phoenix_bench_EchoRequest *root;
	struct phx_message *message;
	int rc;

	rc = phx_message_new(context, &message);
	if (rc != 0)
		return rc;
	root = phoenix_bench_EchoRequest_new(message);
	rc = root == NULL ? -ENOMEM : phoenix_bench_EchoRequest_set_payload(message, root, bytes);
	if (rc != 0) {
		phx_message_release(message);
		return rc;
	}
	phoenix_bench_EchoRequest_set_reply_size(root, reply_size);
	*out_message = message;
	return 0;
}

int bench_reply_new(struct phx_context *context, const void *payload, uint32_t size,
	struct phx_message **out_message)
{
	const struct phx_bytes bytes = {payload, size};
	struct phoenix_bench_EchoReply *root;
	struct phx_message *message;
	int rc;

	rc = phx_message_new(context, &message);
	if (rc != 0)
		return rc;
	root = phoenix_bench_EchoReply_new(message);
	rc = root == NULL ? -ENOMEM : phoenix_bench_EchoReply_set_payload(message, root, bytes);
	if (rc != 0) {
		phx_message_release(message);
		return rc;
	}
	*out_message = message;
	return 0;
}

int bench_request_read(
	const struct phx_message *message, struct phx_bytes *out_payload, uint32_t *out_reply_size)
{
	const struct phoenix_bench_EchoRequest *root = phoenix_bench_EchoRequest_root(message);

	if (root == NULL)
		return -EINVAL;
	*out_payload = phoenix_bench_EchoRequest_payload(root);
	*out_reply_size = phoenix_bench_EchoRequest_reply_size(root);
	return 0;
}

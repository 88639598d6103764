// SPDX-License-Identifier: BSD-3-Clause
// Driver of proto_peer_test.py: protobuf bytes -> image -> protobuf bytes, with the table that
// the generator wrote for everything.proto. Standard input: {uint32 length, bytes} until the
// end. Standard output for each: {int32 result, uint32 length, bytes}; 0 = accepted, else the
// bytes are the reason.
#include "everything.phx.h"
#include "tests/unit/lib/protoc/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answer(int32_t rc, const void *data, uint32_t len)
{
	return fwrite(&rc, sizeof(rc), 1, stdout) == 1 &&
	       fwrite(&len, sizeof(len), 1, stdout) == 1 && fwrite(data, 1, len, stdout) == len;
}

static int roundtrip(const struct phx_schema *schema, uint32_t type, const uint8_t *in,
	uint32_t len, uint32_t turn)
{
	int64_t step = turn % 3 == 0 ? INT64_MAX : turn % 3 == 1 ? 1 + turn % 100 : 1000;
	size_t window = turn % 2 ? 1 + turn % 70 : SIZE_MAX, image_size, out_size;
	const char *error;
	int rc, ok;
	uint8_t *image = pipeline_decode(schema, type, in, len, step, &image_size, &rc, &error);
	uint8_t *out;

	if (!image)
		return answer(rc, error, (uint32_t)strlen(error));
	rc = pipeline_validate(schema, type, image, image_size);
	if (rc != 1) {
		(void)fprintf(stderr, "turn %u: image is not canonical\n", turn);
		abort();
	}
	out = pipeline_encode(schema, type, image, image_size, step, window, &out_size, &rc);
	if (rc != 1)
		abort();
	ok = answer(0, out, (uint32_t)out_size);
	free(out);
	free(image);
	return ok;
}

int main(void)
{
	struct phx_schema *schema = pipeline_bind(everything_file.table, everything_file.size);
	uint32_t type = pipeline_message(schema, "test.every.Every"), len, turn = 0;
	int ok = 1;

	while (ok && fread(&len, sizeof(len), 1, stdin) == 1) {
		uint8_t *in = malloc(len + 1u); // one before: sanitizers see a byte too far

		if (!in || fread(in + 1, 1, len, stdin) != len)
			abort();
		ok = roundtrip(schema, type, in + 1, len, turn++);
		free(in);
	}
	pipeline_free(schema);
	return ok && fflush(stdout) == 0 ? 0 : 1;
}

// SPDX-License-Identifier: BSD-3-Clause
// Bodies of received frames: gather lists of metadata, text and payload. Worker thread.
#include "dataplane/core/worker.h"
#include "dataplane/link/link.h"

#include "lib/schema/validate.h"

const void *body_part(const struct iovec *iov, int n, size_t off, size_t len)
{
	for (int i = 0; i < n; i++) {
		if (off < iov[i].iov_len)
			return off + len <= iov[i].iov_len ? (const char *)iov[i].iov_base + off
							   : NULL;
		off -= iov[i].iov_len;
	}
	return NULL;
}

int body_payload(const struct iovec *iov, int n, size_t skip, struct iovec *out, int max)
{
	int k = 0;

	for (int i = 0; i < n && k < max; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		out[k++] = (struct iovec){(char *)iov[i].iov_base + skip, iov[i].iov_len - skip};
		skip = 0;
	}
	return k;
}

static_assert(LINK_SINGLE_BYTES <= PHX_BLOCK_LARGE, "a message in one frame fits a block");

void *body_scratch(struct session *session, uint32_t len)
{
	assert(len <= PHX_BLOCK_LARGE);
	(void)len;
	return memory_block_get(&session_worker(session)->memory, PHX_BLOCK_LARGE);
}

void body_scratch_put(struct session *session, void *scratch)
{
	if (scratch != NULL)
		memory_block_put(&session_worker(session)->memory, scratch, PHX_BLOCK_LARGE);
}

int body_validate(const struct phx_schema *schema, uint32_t type, const void *base, uint32_t len)
{
	const struct phx_validate_limits lim = {.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_validate v;
	int rc;

	phx_validate_start(&v, schema, type, base, len, &lim);
	do {
		struct phx_work work = {
			.bytes = PHX_LIMIT_WORK_BYTES,
			.elements = PHX_LIMIT_WORK_ELEMENTS,
		};

		rc = phx_validate_run(&v, &work);
	} while (rc == 0); // one frame: at most PHX_LIMIT_CHUNK_BYTES
	return rc;
}

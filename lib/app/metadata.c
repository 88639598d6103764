// SPDX-License-Identifier: BSD-3-Clause
// Public face of the metadata block of lib/schema.
#include "lib/app/metadata.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int phx_metadata_create(struct phx_metadata **out_metadata)
{
	struct phx_metadata *md;

	if (out_metadata == NULL)
		return -EINVAL;
	md = calloc(1, sizeof(*md));
	if (md == NULL)
		return -ENOMEM;
	*out_metadata = md;
	return 0;
}

void phx_metadata_destroy(struct phx_metadata *md)
{
	if (md == NULL)
		return;
	free(md->block);
	free(md);
}

int phx_metadata_append(struct phx_metadata *md, const char *key, const void *value, size_t len)
{
	size_t used, need;
	int rc;

	if (md == NULL || key == NULL || (value == NULL && len != 0))
		return -EINVAL;
	used = md->len;
	if (strlen(key) > PHX_LIMIT_METADATA_BYTES || len > PHX_LIMIT_METADATA_BYTES)
		return -E2BIG;
	need = used + 8 + strlen(key) + len;
	if (need > md->cap) {
		size_t cap = need < 512 ? 512 : need * 2;
		uint8_t *block = realloc(md->block, cap);

		if (block == NULL)
			return -ENOMEM;
		md->block = block;
		md->cap = cap;
	}
	rc = phx_metadata_add(md->block, md->cap, &used, key, strlen(key), value, len);
	if (rc == 0)
		md->len = used;
	return rc == -EMSGSIZE ? -E2BIG : rc == -EPERM ? -EINVAL : rc;
}

bool phx_metadata_get(struct phx_metadata_view view, unsigned index, struct phx_str *out_key,
	struct phx_bytes *out_value)
{
	struct phx_metadata_pair pair;
	size_t pos = 0;

	for (unsigned i = 0; phx_metadata_next(view.block, view.len, &pos, &pair); i++) {
		if (i != index)
			continue;
		*out_key = (struct phx_str){pair.key, pair.key_len};
		*out_value = (struct phx_bytes){pair.value, pair.value_len};
		return true;
	}
	return false;
}

bool phx_metadata_find(struct phx_metadata_view view, const char *key, struct phx_bytes *out_value)
{
	struct phx_metadata_pair pair;

	if (key == NULL || !phx_metadata_lookup(view.block, view.len, key, strlen(key), &pair))
		return false;
	*out_value = (struct phx_bytes){pair.value, pair.value_len};
	return true;
}

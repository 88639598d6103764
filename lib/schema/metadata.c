// SPDX-License-Identifier: BSD-3-Clause
// The canonical metadata block: build, check, read. Used by the application library (build),
// the dataplane (check at submission and at frames) and policies (read).
#include "lib/schema/metadata.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"

#include <errno.h>
#include <string.h>

#define METADATA_HEAD 2 // uint16 number of pairs
#define METADATA_PAIR 3 // uint8 key length, uint16 value length

static bool metadata_key_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static bool metadata_starts(const uint8_t *key, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(key, with, n) == 0;
}

static int metadata_pair_check(
	const uint8_t *key, size_t key_len, const uint8_t *value, size_t value_len)
{
	if (key_len == 0)
		return -EINVAL;
	for (size_t i = 0; i < key_len; i++)
		if (!metadata_key_char(key[i]))
			return -EINVAL;
	if (metadata_starts(key, key_len, "phx-") || metadata_starts(key, key_len, "grpc-"))
		return -EPERM;
	if (key_len >= 4 && memcmp(key + key_len - 4, "-bin", 4) == 0)
		return 0;
	for (size_t i = 0; i < value_len; i++)
		if (value[i] < 0x20 || value[i] > 0x7e)
			return -EINVAL;
	return 0;
}

int phx_metadata_check(const void *block, size_t len)
{
	const uint8_t *p = block;
	size_t pos = METADATA_HEAD;
	uint32_t count;

	if (len == 0)
		return 0;
	if (len > PHX_LIMIT_METADATA_BYTES)
		return -EMSGSIZE;
	if (len < METADATA_HEAD)
		return -EINVAL;
	count = phx_le16_load(p);
	if (count == 0)
		return -EINVAL;
	if (count > PHX_LIMIT_METADATA_PAIRS)
		return -EMSGSIZE;
	for (uint32_t i = 0; i < count; i++) {
		size_t key_len, value_len;
		int rc;

		if (len - pos < METADATA_PAIR)
			return -EINVAL;
		key_len = p[pos];
		value_len = phx_le16_load(p + pos + 1);
		pos += METADATA_PAIR;
		if (len - pos < key_len + value_len)
			return -EINVAL;
		rc = metadata_pair_check(p + pos, key_len, p + pos + key_len, value_len);
		if (rc)
			return rc;
		pos += key_len + value_len;
	}
	return pos == len ? 0 : -EINVAL;
}

int phx_metadata_add(void *block, size_t cap, size_t *len, const char *key, size_t key_len,
	const void *value, size_t value_len)
{
	uint8_t *p = block;
	size_t pos = *len ? *len : METADATA_HEAD;
	uint32_t count = phx_metadata_count(block, *len);
	int rc;

	if (key_len > UINT8_MAX || value_len > PHX_LIMIT_METADATA_BYTES ||
		count == PHX_LIMIT_METADATA_PAIRS)
		return -EMSGSIZE;
	rc = metadata_pair_check((const uint8_t *)key, key_len, value, value_len);
	if (rc)
		return rc;
	if (pos + METADATA_PAIR + key_len + value_len > phx_min(cap, PHX_LIMIT_METADATA_BYTES + 0u))
		return -EMSGSIZE;
	phx_le16_store(p, (uint16_t)(count + 1));
	p[pos] = (uint8_t)key_len;
	phx_le16_store(p + pos + 1, (uint16_t)value_len);
	pos += METADATA_PAIR;
	memcpy(p + pos, key, key_len);
	if (value_len)
		memcpy(p + pos + key_len, value, value_len);
	*len = pos + key_len + value_len;
	return 0;
}

uint32_t phx_metadata_count(const void *block, size_t len)
{
	return len ? phx_le16_load(block) : 0;
}

bool phx_metadata_next(
	const void *block, size_t len, size_t *pos, struct phx_metadata_pair *out_pair)
{
	const uint8_t *p = block;
	size_t at = *pos ? *pos : METADATA_HEAD;

	if (at >= len)
		return false;
	out_pair->key_len = p[at];
	out_pair->value_len = phx_le16_load(p + at + 1);
	out_pair->key = (const char *)p + at + METADATA_PAIR;
	out_pair->value = p + at + METADATA_PAIR + out_pair->key_len;
	*pos = at + METADATA_PAIR + out_pair->key_len + out_pair->value_len;
	return true;
}

bool phx_metadata_lookup(const void *block, size_t len, const char *key, size_t key_len,
	struct phx_metadata_pair *out_pair)
{
	struct phx_metadata_pair pair;
	size_t pos = 0;

	while (phx_metadata_next(block, len, &pos, &pair)) {
		if (pair.key_len == key_len && memcmp(pair.key, key, key_len) == 0) {
			*out_pair = pair;
			return true;
		}
	}
	return false;
}

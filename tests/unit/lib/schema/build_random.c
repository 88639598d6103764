// SPDX-License-Identifier: BSD-3-Clause
// Random messages of any schema and their comparison, for the schema tests.
#include "lib/base/bits.h"
#include "tests/unit/lib/schema/build.h"

#include <stdlib.h>
#include <string.h>

static void random_leaf(struct t_arena *a, uint32_t ref, bool text, uint64_t *seed, uint32_t big)
{
	uint64_t r = t_random(seed);
	uint32_t len =
		big != 0 && r % 7 == 0 ? (uint32_t)(r >> 32) % big : (uint32_t)(r >> 32) % 40;
	uint8_t *bytes = malloc(len + 4);

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(text ? 'a' + t_random(seed) % 26 : t_random(seed));
	for (uint32_t i = 0; text && i + 3 < len; i += 5)
		memcpy(bytes + i, "\xe2\x82\xac", 3);
	if (len != 0)
		(void)t_leaf(a, ref, bytes, len);
	free(bytes);
}

static void random_field(struct t_arena *a, const struct phx_schema *schema,
	const struct phx_field *f, uint32_t at, uint64_t *seed, unsigned depth, uint32_t big)
{
	uint32_t count = (uint32_t)(t_random(seed) % 5), list;
	uint32_t size;

	switch ((enum phx_shape)f->shape) {
	case PHX_SHAPE_SCALAR:
		for (uint32_t i = 0; i < f->width; i++)
			a->base[at + i] = (uint8_t)t_random(seed);
		if (f->kind == PHX_KIND_BOOL)
			a->base[at] &= 1;
		break;
	case PHX_SHAPE_LEAF:
		random_leaf(a, at, f->kind == PHX_KIND_STRING, seed, big);
		break;
	case PHX_SHAPE_SCALAR_LIST:
		count *= big != 0 ? 100 : 1;
		list = t_alloc(a, count * f->width);
		if (count == 0 || list == UINT32_MAX)
			break;
		for (uint32_t i = 0; i < count * f->width; i++)
			a->base[list + i] =
				(uint8_t)t_random(seed) & (f->kind == PHX_KIND_BOOL ? 1 : 0xff);
		t_ref(a, at, list, count);
		break;
	case PHX_SHAPE_LEAF_LIST:
		list = t_alloc(a, count * 8);
		if (count == 0 || list == UINT32_MAX)
			break;
		t_ref(a, at, list, count);
		for (uint32_t i = count; i-- > 0;)
			random_leaf(a, list + i * 8, f->kind == PHX_KIND_STRING, seed, big);
		break;
	case PHX_SHAPE_MESSAGE:
		if (depth == 0 && (f->flags & PHX_FIELD_ONEOF) == 0)
			break;
		list = t_random_message(a, schema, f->message, seed, depth - (depth != 0), big);
		if (list != UINT32_MAX)
			t_ref(a, at, list, 1);
		break;
	case PHX_SHAPE_MESSAGE_LIST:
		if (depth == 0 || count == 0)
			break;
		size = phx_schema_message(schema, f->message)->size;
		list = t_alloc(a, size * count);
		if (list == UINT32_MAX)
			break;
		t_ref(a, at, list, count);
		// Build each element elsewhere and move it: references are relative, so
		// move its references with it.
		for (uint32_t i = 0; i < count; i++) {
			const struct phx_message *m = phx_schema_message(schema, f->message);
			uint32_t e = t_random_message(a, schema, f->message, seed, depth - 1, big);

			if (e == UINT32_MAX)
				break;
			memcpy(a->base + list + i * size, a->base + e, size);
			for (uint32_t k = 0; k < m->ref_count; k++) {
				uint8_t *ref = a->base + list + i * size + m->refs[k].offset;

				if (phx_le64_load(ref) != 0)
					phx_le32_store(
						ref, phx_le32_load(ref) + e - (list + i * size));
			}
		}
		break;
	}
}

uint32_t t_random_message(struct t_arena *a, const struct phx_schema *schema, uint32_t message,
	uint64_t *seed, unsigned depth, uint32_t big)
{
	const struct phx_message *m = phx_schema_message(schema, message);
	uint32_t off = t_alloc(a, m->size);
	uint32_t chosen[16] = {0};

	if (off == UINT32_MAX)
		return off;
	for (uint32_t o = 0; o < m->oneof_count; o++) {
		for (uint32_t i = 0; i < m->field_count; i++)
			if ((m->fields[i].flags & PHX_FIELD_ONEOF) != 0 && m->fields[i].bit == o &&
				t_random(seed) % 3 == 0)
				chosen[o] = m->fields[i].number;
		phx_le32_store(a->base + off + (m->presence_words + o) * 4u, chosen[o]);
	}
	for (uint32_t k = 0; k < m->field_count; k++) {
		// From the last to the first: nothing lies in canonical order.
		const struct phx_field *f = &m->fields[m->field_count - 1 - k];

		if ((f->flags & PHX_FIELD_ONEOF) != 0 && chosen[f->bit] != f->number)
			continue;
		if ((f->flags & PHX_FIELD_ONEOF) == 0 && t_random(seed) % 4 == 0)
			continue;
		random_field(a, schema, f, off + f->offset, seed, depth, big);
		if ((f->flags & PHX_FIELD_PRESENCE) != 0)
			a->base[off + f->bit / 8] |= (uint8_t)(1u << (f->bit % 8));
	}
	if (m->value_mask != NULL)
		for (uint32_t i = 0; i < m->size; i++)
			if (((const uint8_t *)m->value_mask)[i] == 0)
				a->base[off + i] = 0xa5;
	return off;
}

static bool equal_elements(const struct phx_schema *schema, const struct phx_field *f,
	const uint8_t *a, uint32_t a_off, const uint8_t *b, uint32_t b_off, uint32_t count)
{
	uint32_t size =
		f->kind == PHX_KIND_MESSAGE ? phx_schema_message(schema, f->message)->size : 8;

	if (f->shape == PHX_SHAPE_LEAF)
		return memcmp(a + a_off, b + b_off, count) == 0;
	if (f->shape == PHX_SHAPE_SCALAR_LIST)
		return memcmp(a + a_off, b + b_off, (size_t)count * f->width) == 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t x = a_off + i * size, y = b_off + i * size;

		if (f->kind == PHX_KIND_MESSAGE) {
			if (!t_equal(schema, f->message, a, x, b, y))
				return false;
			continue;
		}
		if (phx_le32_load(a + x + 4) != phx_le32_load(b + y + 4) ||
			memcmp(a + x + (int32_t)phx_le32_load(a + x),
				b + y + (int32_t)phx_le32_load(b + y),
				phx_le32_load(a + x + 4)) != 0)
			return false;
	}
	return true;
}

bool t_equal(const struct phx_schema *schema, uint32_t message, const uint8_t *a, uint32_t a_off,
	const uint8_t *b, uint32_t b_off)
{
	const struct phx_message *m = phx_schema_message(schema, message);

	if (memcmp(a + a_off, b + b_off, (m->presence_words + m->oneof_count) * 4u) != 0)
		return false;
	for (uint32_t i = 0; i < m->field_count; i++) {
		const struct phx_field *f = &m->fields[i];
		uint32_t x = a_off + f->offset, y = b_off + f->offset;

		if (f->shape == PHX_SHAPE_SCALAR) {
			if (memcmp(a + x, b + y, f->width) != 0)
				return false;
		} else if (phx_le32_load(a + x + 4) != phx_le32_load(b + y + 4)) {
			return false;
		} else if (phx_le64_load(a + x) != 0 &&
			   !equal_elements(schema, f, a, x + phx_le32_load(a + x), b,
				   y + phx_le32_load(b + y), phx_le32_load(a + x + 4))) {
			return false;
		}
	}
	return true;
}

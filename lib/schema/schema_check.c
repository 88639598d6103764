// SPDX-License-Identifier: BSD-3-Clause
// Checks of a descriptor table before anything is built from it: hostile data.
// Works with schema.c, which sets the areas; the rules are those of table.h.
#include "lib/base/bits.h"
#include "lib/base/limits.h"
#include "lib/schema/schema_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_NUMBER_MAX ((UINT32_C(1) << 29) - 1)
#define FIELD_FLAGS	 (PHX_FIELD_REPEATED | PHX_FIELD_PACKED | PHX_FIELD_PRESENCE | PHX_FIELD_ONEOF)
#define METHOD_FLAGS	 (PHX_METHOD_CLIENT_STREAM | PHX_METHOD_SERVER_STREAM | PHX_METHOD_IDEMPOTENT)

static int bad(const char **out_error, const char *text)
{
	*out_error = text;
	return -EPROTO;
}

struct phx_table_message phx_schema_raw_message(const struct phx_schema *schema, uint32_t i)
{
	const uint8_t *p = schema->raw_messages + (size_t)i * sizeof(struct phx_table_message);

	return (struct phx_table_message){
		.name_off = phx_le32_load(p),
		.first_field = phx_le32_load(p + 4),
		.field_count = phx_le16_load(p + 8),
		.oneof_count = phx_le16_load(p + 10),
		.presence_words = phx_le16_load(p + 12),
		.flags = phx_le16_load(p + 14),
		.size = phx_le32_load(p + 16),
		.reserved = phx_le32_load(p + 20),
	};
}

struct phx_table_field phx_schema_raw_field(const struct phx_schema *schema, uint32_t i)
{
	const uint8_t *p = schema->raw_fields + (size_t)i * sizeof(struct phx_table_field);

	return (struct phx_table_field){
		.name_off = phx_le32_load(p),
		.number = phx_le32_load(p + 4),
		.offset = phx_le32_load(p + 8),
		.message = phx_le32_load(p + 12),
		.kind = p[16],
		.flags = p[17],
		.bit = phx_le16_load(p + 18),
		.reserved = phx_le32_load(p + 20),
	};
}

struct phx_table_service phx_schema_raw_service(const struct phx_schema *schema, uint32_t i)
{
	const uint8_t *p = schema->raw_services + (size_t)i * sizeof(struct phx_table_service);

	return (struct phx_table_service){
		.name_off = phx_le32_load(p),
		.first_method = phx_le32_load(p + 4),
		.method_count = phx_le32_load(p + 8),
		.reserved = phx_le32_load(p + 12),
	};
}

struct phx_table_method phx_schema_raw_method(const struct phx_schema *schema, uint32_t i)
{
	const uint8_t *p = schema->raw_methods + (size_t)i * sizeof(struct phx_table_method);

	return (struct phx_table_method){
		.name_off = phx_le32_load(p),
		.input = phx_le32_load(p + 4),
		.output = phx_le32_load(p + 8),
		.flags = phx_le32_load(p + 12),
	};
}

uint8_t phx_schema_kind_width(unsigned kind)
{
	static const uint8_t widths[] = {
		[PHX_KIND_DOUBLE] = 8,
		[PHX_KIND_FLOAT] = 4,
		[PHX_KIND_INT64] = 8,
		[PHX_KIND_UINT64] = 8,
		[PHX_KIND_INT32] = 4,
		[PHX_KIND_FIXED64] = 8,
		[PHX_KIND_FIXED32] = 4,
		[PHX_KIND_BOOL] = 1,
		[PHX_KIND_STRING] = 8,
		[PHX_KIND_MESSAGE] = 8,
		[PHX_KIND_BYTES] = 8,
		[PHX_KIND_UINT32] = 4,
		[PHX_KIND_ENUM] = 4,
		[PHX_KIND_SFIXED32] = 4,
		[PHX_KIND_SFIXED64] = 8,
		[PHX_KIND_SINT32] = 4,
		[PHX_KIND_SINT64] = 8,
	};

	return kind < PHX_ARRAY_LEN(widths) ? widths[kind] : 0;
}

const char *phx_schema_name(const struct phx_schema *schema, uint32_t off)
{
	static const char legal[256] = {
		['0' ... '9'] = 1,
		['a' ... 'z'] = 1,
		['A' ... 'Z'] = 1,
		['_'] = 1,
		['.'] = 1,
	};
	const uint8_t *name;
	uint32_t len;

	if (!phx_range_ok(off, 2, schema->names_size))
		return NULL;
	len = phx_le16_load(schema->names + off);
	if (len == 0 || len > PHX_LIMIT_NAME_BYTES ||
		!phx_range_ok((uint64_t)off + 2, len + 1, schema->names_size))
		return NULL;
	name = schema->names + off + 2;
	if (name[len] != 0)
		return NULL;
	for (uint32_t i = 0; i < len; i++)
		if (!legal[name[i]])
			return NULL;
	return (const char *)name;
}

static int check_field(const struct phx_schema *schema, const struct phx_table_message *m,
	const struct phx_table_field *f, const char **out_error)
{
	bool repeated = f->flags & PHX_FIELD_REPEATED;
	bool entry;

	if (phx_schema_name(schema, f->name_off) == NULL)
		return bad(out_error, "field name");
	if (f->number == 0 || f->number > FIELD_NUMBER_MAX)
		return bad(out_error, "field number");
	if (phx_schema_kind_width(f->kind) == 0)
		return bad(out_error, "field kind");
	if ((f->flags & ~FIELD_FLAGS) != 0 || f->reserved != 0)
		return bad(out_error, "field flags");
	if (repeated && (f->flags & (PHX_FIELD_PRESENCE | PHX_FIELD_ONEOF)) != 0)
		return bad(out_error, "list with presence");
	if ((f->flags & PHX_FIELD_PRESENCE) != 0 &&
		((f->flags & PHX_FIELD_ONEOF) != 0 || f->kind == PHX_KIND_MESSAGE))
		return bad(out_error, "presence bit");
	if ((f->flags & PHX_FIELD_PACKED) != 0 &&
		(!repeated || f->kind == PHX_KIND_STRING || f->kind == PHX_KIND_BYTES ||
			f->kind == PHX_KIND_MESSAGE))
		return bad(out_error, "packed field");
	if ((f->flags & (PHX_FIELD_PRESENCE | PHX_FIELD_ONEOF)) == 0 && f->bit != 0)
		return bad(out_error, "field bit");
	if ((f->flags & PHX_FIELD_ONEOF) != 0 && f->bit >= m->oneof_count)
		return bad(out_error, "oneof number");
	if (f->kind != PHX_KIND_MESSAGE)
		return f->message == 0 ? 0 : bad(out_error, "nested type of a scalar");
	if (f->message >= schema->message_count)
		return bad(out_error, "nested type");
	entry = phx_schema_raw_message(schema, f->message).flags & PHX_MSG_MAP_ENTRY;
	if (entry && !repeated)
		return bad(out_error, "map entry outside a map");
	return 0;
}

// Presence bits distinct and dense enough, every oneof has a member. used is scratch of
// 65536 bits.
static int check_bits(const struct phx_schema *schema, const struct phx_table_message *m,
	uint64_t *used, const char **out_error)
{
	uint32_t present = 0, words, oneofs = 0;

	if (m->oneof_count > m->field_count)
		return bad(out_error, "oneof count");
	for (uint32_t i = 0; i < m->field_count; i++) {
		struct phx_table_field f = phx_schema_raw_field(schema, m->first_field + i);

		present += (f.flags & PHX_FIELD_PRESENCE) != 0;
	}
	if (m->presence_words != (present + 31) / 32)
		return bad(out_error, "presence words");
	for (unsigned flag = PHX_FIELD_PRESENCE; flag <= PHX_FIELD_ONEOF; flag <<= 1) {
		words = flag == PHX_FIELD_PRESENCE ? m->presence_words : m->oneof_count / 32 + 1u;
		memset(used, 0, phx_align_up(words * 4, 8));
		for (uint32_t i = 0; i < m->field_count; i++) {
			struct phx_table_field f = phx_schema_raw_field(schema, m->first_field + i);
			uint64_t mask = UINT64_C(1) << (f.bit % 64);

			if ((f.flags & flag) == 0)
				continue;
			if (f.bit / 32 >= words)
				return bad(out_error, "presence bit");
			if ((used[f.bit / 64] & mask) == 0)
				oneofs += flag == PHX_FIELD_ONEOF;
			else if (flag == PHX_FIELD_PRESENCE)
				return bad(out_error, "presence bit used twice");
			used[f.bit / 64] |= mask;
		}
	}
	return oneofs == m->oneof_count ? 0 : bad(out_error, "oneof without a member");
}

// Offsets and size must be what the rules of table.h give.
static int check_layout(
	const struct phx_schema *schema, const struct phx_table_message *m, const char **out_error)
{
	uint64_t off = 4u * ((uint64_t)m->presence_words + m->oneof_count);

	for (unsigned width = 8; width != 0; width = width == 8 ? 4 : width == 4 ? 1 : 0) {
		for (uint32_t i = 0; i < m->field_count; i++) {
			struct phx_table_field f = phx_schema_raw_field(schema, m->first_field + i);
			unsigned w = phx_schema_kind_width(f.kind);

			if ((f.flags & PHX_FIELD_REPEATED) != 0)
				w = 8;
			if (w != width)
				continue;
			off = phx_align_up(off, width);
			if (f.offset != off)
				return bad(out_error, "field offset");
			off += width;
		}
	}
	off = phx_align_up(off, 8);
	return m->size == (off == 0 ? 8 : off) ? 0 : bad(out_error, "message size");
}

static int check_map_entry(
	const struct phx_schema *schema, const struct phx_table_message *m, const char **out_error)
{
	struct phx_table_field key, value;

	if (m->field_count != 2 || m->oneof_count != 0 || m->presence_words != 0)
		return bad(out_error, "map entry fields");
	key = phx_schema_raw_field(schema, m->first_field);
	value = phx_schema_raw_field(schema, m->first_field + 1);
	if (key.number != 1 || value.number != 2 || key.flags != 0 || value.flags != 0)
		return bad(out_error, "map entry fields");
	switch (key.kind) {
	case PHX_KIND_DOUBLE:
	case PHX_KIND_FLOAT:
	case PHX_KIND_BYTES:
	case PHX_KIND_ENUM:
	case PHX_KIND_MESSAGE:
		return bad(out_error, "map key kind");
	}
	return 0;
}

static int check_messages(const struct phx_schema *schema, uint64_t *used, const char **out_error)
{
	uint32_t next = 0, number;
	int rc;

	for (uint32_t i = 0; i < schema->message_count; i++) {
		struct phx_table_message m = phx_schema_raw_message(schema, i);

		if (phx_schema_name(schema, m.name_off) == NULL)
			return bad(out_error, "message name");
		if ((m.flags & ~PHX_MSG_MAP_ENTRY) != 0 || m.reserved != 0)
			return bad(out_error, "message flags");
		if (m.first_field != next || m.field_count > schema->field_count - next)
			return bad(out_error, "fields of a message");
		next += m.field_count;
		number = 0;
		for (uint32_t k = 0; k < m.field_count; k++) {
			struct phx_table_field f = phx_schema_raw_field(schema, m.first_field + k);

			rc = check_field(schema, &m, &f, out_error);
			if (rc != 0)
				return rc;
			if (f.number <= number)
				return bad(out_error, "order of fields");
			number = f.number;
		}
		rc = check_bits(schema, &m, used, out_error);
		if (rc == 0)
			rc = check_layout(schema, &m, out_error);
		if (rc == 0 && (m.flags & PHX_MSG_MAP_ENTRY) != 0)
			rc = check_map_entry(schema, &m, out_error);
		if (rc != 0)
			return rc;
	}
	return next == schema->field_count ? 0 : bad(out_error, "field of no message");
}

static int check_services(const struct phx_schema *schema, const char **out_error)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < schema->service_count; i++) {
		struct phx_table_service s = phx_schema_raw_service(schema, i);

		if (phx_schema_name(schema, s.name_off) == NULL || s.reserved != 0)
			return bad(out_error, "service name");
		if (s.first_method != next || s.method_count > schema->method_count - next)
			return bad(out_error, "methods of a service");
		next += s.method_count;
	}
	if (next != schema->method_count)
		return bad(out_error, "method of no service");
	for (uint32_t i = 0; i < schema->method_count; i++) {
		struct phx_table_method m = phx_schema_raw_method(schema, i);

		if (phx_schema_name(schema, m.name_off) == NULL)
			return bad(out_error, "method name");
		if (m.input >= schema->message_count || m.output >= schema->message_count)
			return bad(out_error, "method type");
		if ((m.flags & ~(uint32_t)METHOD_FLAGS) != 0)
			return bad(out_error, "method flags");
		if (phx_schema_raw_message(schema, m.input).flags != 0 ||
			phx_schema_raw_message(schema, m.output).flags != 0)
			return bad(out_error, "map entry outside a map");
	}
	return 0;
}

int phx_schema_check(const struct phx_schema *schema, const char **out_error)
{
	uint64_t *used = malloc(65536 / 8 + 8);
	int rc;

	if (used == NULL)
		return -ENOMEM;
	rc = check_messages(schema, used, out_error);
	if (rc == 0)
		rc = check_services(schema, out_error);
	free(used);
	return rc;
}

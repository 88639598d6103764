// SPDX-License-Identifier: BSD-3-Clause
// Builders for the schema tests, independent of the code under test where it matters: the
// layout and the comparison of messages are written again from table.h.
#include "tests/unit/lib/schema/build.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"

#include <stdlib.h>
#include <string.h>

#define F(n, num, k, ...)                                                                          \
	{                                                                                          \
		.name = n, .number = num, .kind = PHX_KIND_##k, __VA_ARGS__                        \
	}
#define REP    .flags = PHX_FIELD_REPEATED
#define PACKED .flags = PHX_FIELD_REPEATED | PHX_FIELD_PACKED
#define OPT    .flags = PHX_FIELD_PRESENCE
#define ONE(o) .flags = PHX_FIELD_ONEOF, .oneof = o

const struct t_message t_all_messages[] = {
	[T_ALL] = {"t.All", 0,
		{
			F("flag", 1, BOOL),
			F("name", 2, STRING),
			F("data", 3, BYTES),
			F("inner", 4, MESSAGE, .message = T_INNER),
			F("many", 5, MESSAGE, REP, .message = T_INNER),
			F("names", 6, STRING, REP),
			F("blobs", 7, BYTES, REP),
			F("numbers", 8, INT64, PACKED),
			F("flags", 9, BOOL, PACKED),
			F("opt_int", 10, INT32, OPT),
			F("opt_name", 11, STRING, OPT),
			F("pick_int", 12, UINT32, ONE(0)),
			F("pick_text", 13, STRING, ONE(0)),
			F("pick_inner", 14, MESSAGE, ONE(0), .message = T_INNER),
			F("counts", 15, MESSAGE, REP, .message = T_MAP_SI),
			F("table", 16, MESSAGE, REP, .message = T_MAP_IM),
			F("tree", 17, MESSAGE, .message = T_NODE),
			F("nothing", 18, MESSAGE, .message = T_EMPTY),
			F("nothings", 19, MESSAGE, REP, .message = T_EMPTY),
			F("real", 20, DOUBLE),
			F("opt_flag", 200, BOOL, OPT),
			F("pick2_a", 300, BOOL, ONE(1)),
			F("pick2_b", 301, DOUBLE, ONE(1)),
		}},
	[T_INNER] = {"t.Inner", 0,
		{
			F("id", 1, FIXED32),
			F("label", 2, STRING),
			F("weights", 3, FLOAT, PACKED),
			F("state", 4, ENUM),
			F("on", 5, BOOL),
			F("s", 6, SINT32),
			F("t", 7, SFIXED64),
		}},
	[T_EMPTY] = {"t.Empty", 0, {{0}}},
	[T_MAP_SI] = {"t.All.CountsEntry", PHX_MSG_MAP_ENTRY,
		{
			F("key", 1, STRING),
			F("value", 2, INT32),
		}},
	[T_MAP_IM] = {"t.All.TableEntry", PHX_MSG_MAP_ENTRY,
		{
			F("key", 1, INT64),
			F("value", 2, MESSAGE, .message = T_INNER),
		}},
	[T_NODE] = {"t.Node", 0,
		{
			F("value", 1, INT64),
			F("left", 2, MESSAGE, .message = T_NODE),
			F("children", 3, MESSAGE, REP, .message = T_NODE),
			F("up", 4, MESSAGE, .message = T_ALL),
		}},
	[T_BYTES] = {"t.Bytes", 0, {F("data", 1, BYTES)}},
	[T_MANY] = {"t.Many", 0,
		{
			F("a", 1, FLOAT),
			F("b", 2, SINT64),
			F("c", 3, SFIXED32),
			F("d", 4, FIXED64),
			F("e", 5, UINT64),
			F("f", 6, STRING),
			F("g", 7, STRING),
		}},
	{NULL},
};

const struct t_service t_all_services[] = {
	{"t.Service",
		{{"Do", T_ALL, T_BYTES, 0}, {"Watch", T_BYTES, T_MANY, PHX_METHOD_SERVER_STREAM}}},
	{"t.Other", {{"Ping", T_EMPTY, T_EMPTY, PHX_METHOD_IDEMPOTENT}}},
	{NULL},
};

struct names {
	uint8_t *data;
	uint32_t size;
};

static uint32_t add_name(struct names *n, const char *name)
{
	uint32_t off = n->size;
	size_t len = strlen(name);

	n->data = realloc(n->data, n->size + len + 3);
	phx_le16_store(n->data + off, (uint16_t)len);
	memcpy(n->data + off + 2, name, len + 1);
	n->size += (uint32_t)len + 3;
	return off;
}

static unsigned width_of(const struct t_field *f)
{
	if ((f->flags & PHX_FIELD_REPEATED) != 0)
		return 8;
	switch (f->kind) {
	case PHX_KIND_BOOL:
		return 1;
	case PHX_KIND_FLOAT:
	case PHX_KIND_INT32:
	case PHX_KIND_FIXED32:
	case PHX_KIND_UINT32:
	case PHX_KIND_ENUM:
	case PHX_KIND_SFIXED32:
	case PHX_KIND_SINT32:
		return 4;
	}
	return 8;
}

static uint32_t field_count(const struct t_message *m)
{
	uint32_t n = 0;

	while (n < T_FIELDS && m->fields[n].name != NULL)
		n++;
	return n;
}

static uint32_t put_fields(const struct t_message *m, struct phx_table_field *out,
	struct phx_table_message *tm, struct names *names)
{
	uint32_t n = field_count(m), off, presence = 0, oneofs = 0;
	static const unsigned widths[] = {8, 4, 1};

	for (uint32_t i = 0; i < n; i++) {
		const struct t_field *f = &m->fields[i];

		out[i] = (struct phx_table_field){
			.name_off = add_name(names, f->name),
			.number = f->number,
			.message = f->message,
			.kind = f->kind,
			.flags = f->flags,
			.bit = f->oneof,
		};
		if ((f->flags & PHX_FIELD_PRESENCE) != 0)
			out[i].bit = (uint16_t)presence++;
		if ((f->flags & PHX_FIELD_ONEOF) != 0)
			oneofs = phx_max(oneofs, f->oneof + 1u);
	}
	off = ((presence + 31) / 32 + oneofs) * 4;
	for (unsigned w = 0; w < 3; w++) {
		for (uint32_t i = 0; i < n; i++) {
			if (width_of(&m->fields[i]) != widths[w])
				continue;
			off = (off + widths[w] - 1) / widths[w] * widths[w];
			out[i].offset = off;
			off += widths[w];
		}
	}
	tm->field_count = (uint16_t)n;
	tm->presence_words = (uint16_t)((presence + 31) / 32);
	tm->oneof_count = (uint16_t)oneofs;
	tm->size = off == 0 ? 8 : (off + 7) / 8 * 8;
	return n;
}

uint8_t *t_table(
	const struct t_message *messages, const struct t_service *services, size_t *out_size)
{
	struct phx_table_message tm[T_MESSAGES];
	struct phx_table_field tf[T_MESSAGES * T_FIELDS];
	struct phx_table_service ts[8];
	struct phx_table_method te[32];
	struct phx_table_header h = {
		.magic = PHX_TABLE_MAGIC, .layout = PHX_TABLE_LAYOUT, .header_size = sizeof(h)};
	struct names names = {0};
	uint8_t *table, *p;

	for (; messages[h.message_count].name != NULL; h.message_count++) {
		const struct t_message *m = &messages[h.message_count];

		tm[h.message_count] = (struct phx_table_message){
			.name_off = add_name(&names, m->name),
			.first_field = h.field_count,
			.flags = m->flags,
		};
		h.field_count += put_fields(m, &tf[h.field_count], &tm[h.message_count], &names);
	}
	for (; services != NULL && services[h.service_count].name != NULL; h.service_count++) {
		const struct t_service *s = &services[h.service_count];
		uint32_t n = 0;

		for (; n < PHX_ARRAY_LEN(s->methods) && s->methods[n].name != NULL; n++)
			te[h.method_count + n] = (struct phx_table_method){
				.name_off = add_name(&names, s->methods[n].name),
				.input = s->methods[n].input,
				.output = s->methods[n].output,
				.flags = s->methods[n].flags,
			};
		ts[h.service_count] = (struct phx_table_service){
			.name_off = add_name(&names, s->name),
			.first_method = h.method_count,
			.method_count = n,
		};
		h.method_count += n;
	}
	h.names_size = names.size;
	h.size = (uint32_t)(sizeof(h) + h.message_count * sizeof(tm[0]) +
			    h.field_count * sizeof(tf[0]) + h.service_count * sizeof(ts[0]) +
			    h.method_count * sizeof(te[0]));
	h.size = (uint32_t)phx_align_up(h.size + names.size, 8);
	table = calloc(1, h.size);
	p = mempcpy(table, &h, sizeof(h));
	p = mempcpy(p, tm, h.message_count * sizeof(tm[0]));
	p = mempcpy(p, tf, h.field_count * sizeof(tf[0]));
	p = mempcpy(p, ts, h.service_count * sizeof(ts[0]));
	p = mempcpy(p, te, h.method_count * sizeof(te[0]));
	if (names.size != 0)
		memcpy(p, names.data, names.size);
	free(names.data);
	*out_size = h.size;
	return table;
}

uint8_t *t_raw_message(uint8_t *table, uint32_t i)
{
	return table + sizeof(struct phx_table_header) + i * sizeof(struct phx_table_message);
}

uint8_t *t_raw_field(uint8_t *table, uint32_t i)
{
	return t_raw_message(table, phx_le32_load(table + 12)) + i * sizeof(struct phx_table_field);
}

uint8_t *t_raw_service(uint8_t *table, uint32_t i)
{
	return t_raw_field(table, phx_le32_load(table + 16)) + i * sizeof(struct phx_table_service);
}

uint8_t *t_raw_method(uint8_t *table, uint32_t i)
{
	return t_raw_service(table, phx_le32_load(table + 20)) +
	       i * sizeof(struct phx_table_method);
}

struct phx_schema *t_all_schema(void)
{
	struct phx_schema *schema = NULL;
	size_t size;
	uint8_t *table = t_table(t_all_messages, t_all_services, &size);

	if (phx_schema_bind(table, size, &schema, NULL) != 0)
		abort();
	free(table);
	return schema;
}

static void *pool_get(struct phx_block_pool *pool, size_t size)
{
	struct t_pool *p = phx_container_of(pool, struct t_pool, pool);

	if (p->fail_after >= 0 && p->gets >= p->fail_after)
		return NULL;
	p->gets++;
	p->outstanding++;
	return malloc(size);
}

static void pool_put(struct phx_block_pool *pool, void *block, size_t size)
{
	struct t_pool *p = phx_container_of(pool, struct t_pool, pool);

	(void)size;
	p->outstanding--;
	free(block);
}

void t_pool_init(struct t_pool *p)
{
	*p = (struct t_pool){.pool = {pool_get, pool_put}, .fail_after = -1};
}

void t_arena_init(struct t_arena *a, uint32_t size)
{
	a->base = malloc(size);
	a->size = size;
	a->used = 0;
	a->region = (struct phx_source_region){0, size};
	a->source = (struct phx_source){a->base, &a->region, 1};
}

void t_arena_fini(struct t_arena *a)
{
	free(a->base);
}

uint32_t t_alloc(struct t_arena *a, uint32_t size)
{
	uint32_t off = a->used;

	size = (uint32_t)phx_align_up(size, 8);
	if (size > a->size - off)
		return UINT32_MAX;
	a->used += size;
	memset(a->base + off, 0, size);
	return off;
}

void t_ref(struct t_arena *a, uint32_t ref, uint32_t target, uint32_t count)
{
	phx_le32_store(a->base + ref, target - ref);
	phx_le32_store(a->base + ref + 4, count);
}

uint32_t t_leaf(struct t_arena *a, uint32_t ref, const void *data, uint32_t len)
{
	uint32_t off = t_alloc(a, len);

	if (off == UINT32_MAX)
		return off;
	memcpy(a->base + off, data, len);
	memset(a->base + off + len, 0xa5, phx_align_up(len, 8) - len);
	t_ref(a, ref, off, len);
	return off;
}

uint64_t t_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

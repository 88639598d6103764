// SPDX-License-Identifier: BSD-3-Clause
// The image layout of a message and the table block: the rules of lib/schema/table.h.
#include "lib/base/bits.h"
#include "lib/protoc/model.h"

#include <string.h>

static uint32_t layout_width(const struct model_field *f)
{
	if (f->flags & PHX_FIELD_REPEATED)
		return 8;
	switch ((enum phx_kind)f->kind) {
	case PHX_KIND_BOOL:
		return 1;
	case PHX_KIND_FLOAT:
	case PHX_KIND_INT32:
	case PHX_KIND_UINT32:
	case PHX_KIND_SINT32:
	case PHX_KIND_FIXED32:
	case PHX_KIND_SFIXED32:
	case PHX_KIND_ENUM:
		return 4;
	case PHX_KIND_DOUBLE:
	case PHX_KIND_INT64:
	case PHX_KIND_UINT64:
	case PHX_KIND_SINT64:
	case PHX_KIND_FIXED64:
	case PHX_KIND_SFIXED64:
	case PHX_KIND_STRING:
	case PHX_KIND_BYTES:
	case PHX_KIND_MESSAGE:
	case PHX_KIND_GROUP_UNUSED:
		break;
	}
	return 8;
}

void model_layout(struct model_message *m)
{
	uint32_t present = 0, off;

	for (uint32_t i = 0; i < m->field_count; i++) {
		struct model_field *f = &m->fields[i];

		f->width = layout_width(f);
		if (f->flags & PHX_FIELD_PRESENCE)
			f->bit = (uint16_t)present++;
	}
	m->presence_words = (present + 31) / 32;
	off = 4 * (m->presence_words + m->oneof_count);
	for (uint32_t width = 8; width; width = width == 8 ? 4 : width == 4 ? 1 : 0) {
		for (uint32_t i = 0; i < m->field_count; i++) {
			if (m->fields[i].width != width)
				continue;
			off = (uint32_t)phx_align_up(off, width);
			m->fields[i].offset = off;
			off += width;
		}
	}
	m->size = off ? (uint32_t)phx_align_up(off, 8) : 8;
}

static void put16(struct text *t, uint32_t v)
{
	uint8_t b[2];

	phx_le16_store(b, (uint16_t)v);
	text_put(t, b, sizeof(b));
}

static void put32(struct text *t, uint32_t v)
{
	uint8_t b[4];

	phx_le32_store(b, v);
	text_put(t, b, sizeof(b));
}

static uint32_t put_name(struct text *names, const char *name)
{
	uint32_t off = (uint32_t)names->len;

	put16(names, (uint32_t)strlen(name));
	text_put(names, name, strlen(name) + 1);
	return off;
}

static void table_message(
	struct text *out, struct text *names, const struct model_message *m, uint32_t first_field)
{
	put32(out, put_name(names, m->full));
	put32(out, first_field);
	put16(out, m->field_count);
	put16(out, m->oneof_count);
	put16(out, m->presence_words);
	put16(out, m->map_entry ? PHX_MSG_MAP_ENTRY : 0);
	put32(out, m->size);
	put32(out, 0);
}

static void table_field(struct text *out, struct text *names, const struct model_field *f)
{
	uint8_t kind_flags[2] = {f->kind, f->flags};

	put32(out, put_name(names, f->name));
	put32(out, f->number);
	put32(out, f->offset);
	put32(out, f->message ? f->message->index : 0);
	text_put(out, kind_flags, sizeof(kind_flags));
	put16(out, f->bit);
	put32(out, 0);
}

void model_table(struct text *out, struct model_message *const *messages, uint32_t message_count,
	const struct model_service *services, uint32_t service_count)
{
	struct text names = {0}, fields = {0}, methods = {0};
	size_t start = out->len;
	uint32_t field_count = 0, method_count = 0;
	uint64_t size;

	text_zero(out, sizeof(struct phx_table_header));
	for (uint32_t i = 0; i < message_count; i++) {
		table_message(out, &names, messages[i], field_count);
		for (uint32_t k = 0; k < messages[i]->field_count; k++)
			table_field(&fields, &names, &messages[i]->fields[k]);
		field_count += messages[i]->field_count;
	}
	text_put(out, fields.data, fields.len);
	for (uint32_t i = 0; i < service_count; i++) {
		const struct model_service *s = &services[i];

		put32(out, put_name(&names, s->full));
		put32(out, method_count);
		put32(out, s->method_count);
		put32(out, 0);
		for (uint32_t k = 0; k < s->method_count; k++) {
			put32(&methods, put_name(&names, s->methods[k].name));
			put32(&methods, s->methods[k].input->index);
			put32(&methods, s->methods[k].output->index);
			put32(&methods, s->methods[k].flags);
		}
		method_count += s->method_count;
	}
	text_put(out, methods.data, methods.len);
	size = out->len - start + names.len;
	text_zero(&names, phx_align_up(size, 8) - size);
	text_put(out, names.data, names.len);
	out->failed |= names.failed | fields.failed | methods.failed;
	if (!out->failed) {
		uint8_t *h = (uint8_t *)out->data + start;
		const uint32_t words[] = {PHX_TABLE_MAGIC,
			PHX_TABLE_LAYOUT | (uint32_t)sizeof(struct phx_table_header) << 16,
			(uint32_t)(out->len - start), message_count, field_count, service_count,
			method_count, (uint32_t)names.len};

		for (size_t i = 0; i < PHX_ARRAY_LEN(words); i++)
			phx_le32_store(h + 4 * i, words[i]);
	}
	text_fini(&names);
	text_fini(&fields);
	text_fini(&methods);
}

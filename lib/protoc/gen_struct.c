// SPDX-License-Identifier: BSD-3-Clause
// Generated enums and structs: the image's fixed parts with explicit padding, and assertions
// that the C compiler laid them out as the table says.
#include "lib/protoc/gen.h"

#include <stdio.h>

void gen_enum(struct gen *g, const struct model_enum *e)
{
	const char *what = arena_printf(g->arena, "enum %s", e->full);

	text_printf(&g->h, "typedef int32_t %s;\nenum {\n", gen_name(g, what, "%s", e->c));
	for (uint32_t i = 0; i < e->value_count; i++) {
		const char *name = gen_name(g, what, "%s_%s", e->c, e->value_names[i]);

		if (e->values[i] == INT32_MIN)
			text_printf(&g->h, "\t%s = -2147483647 - 1,\n", name);
		else
			text_printf(&g->h, "\t%s = %d,\n", name, e->values[i]);
	}
	text_printf(&g->h, "};\n\n");
}

static const char *member_type(const struct model_field *f)
{
	if (f->width == 1)
		return "uint8_t";
	if (f->flags & PHX_FIELD_REPEATED || f->kind == PHX_KIND_MESSAGE || gen_is_leaf(f))
		return "struct phx_ref";
	if (f->kind == PHX_KIND_ENUM)
		return "int32_t";
	return gen_value_type(f, NULL);
}

static uint32_t struct_members(struct gen *g, const struct model_message *m)
{
	uint32_t off = 0, pads = 0;

	if (m->presence_words)
		text_printf(&g->h, "\tuint32_t phx_presence[%u];\n", m->presence_words);
	for (uint32_t i = 0; i < m->oneof_count; i++)
		text_printf(&g->h, "\tuint32_t phx_case_%s;\n", m->oneofs[i].name);
	off = 4 * (m->presence_words + m->oneof_count);
	for (uint32_t width = 8; width; width = width == 8 ? 4 : width == 4 ? 1 : 0) {
		for (uint32_t i = 0; i < m->field_count; i++) {
			const struct model_field *f = &m->fields[i];

			if (f->width != width)
				continue;
			if (f->offset > off)
				text_printf(&g->h, "\tuint8_t phx_pad%u[%u];\n", pads++,
					f->offset - off);
			text_printf(&g->h, "\t%s %s;\n", member_type(f), f->c);
			off = f->offset + width;
		}
	}
	if (off < m->size)
		text_printf(&g->h, "\tuint8_t phx_pad%u[%u];\n", pads, m->size - off);
	return off;
}

void gen_struct(struct gen *g, const struct model_message *m)
{
	const char *what = arena_printf(g->arena, "message %s", m->full), *owner;

	owner = names_take(&g->tags, m->c, what);
	if (owner)
		gen_fail(g, "%s and %s both need struct %s", owner, what, m->c);
	text_printf(&g->h, "// %s\nstruct %s {\n", m->full, m->c);
	(void)struct_members(g, m); // only the text is wanted
	text_printf(&g->h, "};\n");
	text_printf(&g->h, "PHX_STATIC_ASSERT(sizeof(struct %s) == %u, \"image ABI\");\n", m->c,
		m->size);
	for (uint32_t i = 0; i < m->oneof_count; i++)
		text_printf(&g->h,
			"PHX_STATIC_ASSERT(offsetof(struct %s, phx_case_%s) == %u, \"image "
			"ABI\");\n",
			m->c, m->oneofs[i].name, 4 * (m->presence_words + i));
	for (uint32_t i = 0; i < m->field_count; i++)
		text_printf(&g->h,
			"PHX_STATIC_ASSERT(offsetof(struct %s, %s) == %u, \"image ABI\");\n", m->c,
			m->fields[i].c, m->fields[i].offset);
	text_printf(&g->h, "\n");
}

// Moving a struct within its message: references are relative, so each is computed anew.
void gen_message_move(struct gen *g, const struct model_message *m)
{
	const char *what = arena_printf(g->arena, "message %s", m->full);

	text_printf(&g->h,
		"static inline void %s(void *to, const void *from)\n{\n"
		"\tmemcpy(to, from, sizeof(struct %s));\n",
		gen_name(g, what, "%s_phx_move", m->c), m->c);
	for (uint32_t i = 0; i < m->field_count; i++) {
		const struct model_field *f = &m->fields[i];

		if (f->flags & PHX_FIELD_REPEATED || f->kind == PHX_KIND_MESSAGE || gen_is_leaf(f))
			text_printf(&g->h,
				"\tphx_ref_move(&((struct %s *)to)->%s, "
				"&((const struct %s *)from)->%s);\n",
				m->c, f->c, m->c, f->c);
	}
	text_printf(&g->h, "}\n");
}

void gen_message_root(struct gen *g, const struct model_message *m)
{
	const char *what = arena_printf(g->arena, "message %s", m->full);
	const char *type = gen_name(g, what, "%s_phx_type", m->c);

	text_printf(&g->h, "extern const struct phx_type %s;\n", type);
	text_printf(&g->h,
		"// The root of an empty message. NULL: no memory, or it has a root.\n"
		"static inline struct %s *%s(struct phx_message *msg)\n{\n"
		"\tstruct %s *m = (struct %s *)phx_message_alloc(msg, (uint32_t)sizeof(struct "
		"%s));\n\n"
		"\tif (!m || phx_message_set_root(msg, m, &%s) != 0)\n\t\treturn NULL;\n"
		"\treturn m;\n}\n",
		m->c, gen_name(g, what, "%s_new", m->c), m->c, m->c, m->c, type);
	text_printf(&g->h,
		"// The root of a message of this type, else NULL.\n"
		"static inline const struct %s *%s(const struct phx_message *msg)\n{\n"
		"\treturn (const struct %s *)phx_message_root(msg, &%s);\n}\n",
		m->c, gen_name(g, what, "%s_root", m->c), m->c, type);
}

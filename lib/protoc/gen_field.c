// SPDX-License-Identifier: BSD-3-Clause
// Generated accessors of singular fields and oneofs: read, set, has, clear.
#include "lib/protoc/gen.h"

#include <stdio.h>

static const char *what_of(struct gen *g, const struct model_message *m, const char *name)
{
	return arena_printf(g->arena, "field %s of %s", name, m->full);
}

// The expression that is true when the field is set, "" when it has no presence.
static const char *has_of(struct gen *g, const struct model_message *m, const struct model_field *f)
{
	if (f->flags & PHX_FIELD_PRESENCE)
		return arena_printf(g->arena, "(m->phx_presence[%u] >> %u & 1u) != 0", f->bit / 32,
			f->bit % 32);
	if (f->flags & PHX_FIELD_ONEOF)
		return arena_printf(
			g->arena, "m->phx_case_%s == %u", m->oneofs[f->bit].name, f->number);
	if (f->kind == PHX_KIND_MESSAGE)
		return arena_printf(g->arena, "m->%s.count != 0", f->c);
	return "";
}

static void clear_value(struct gen *g, const struct model_field *f, const char *indent)
{
	if (f->kind == PHX_KIND_MESSAGE || gen_is_leaf(f))
		text_printf(&g->h, "%sm->%s.off = 0;\n%sm->%s.count = 0;\n", indent, f->c, indent,
			f->c);
	else
		text_printf(&g->h, "%sm->%s = 0;\n", indent, f->c);
}

void gen_oneof(struct gen *g, const struct model_message *m, uint32_t oneof)
{
	const char *what = arena_printf(g->arena, "oneof %s of %s", m->oneofs[oneof].name, m->full);
	const char *name = m->oneofs[oneof].c;

	text_printf(&g->h, "enum {\n\t%s = 0,\n",
		gen_name(g, what, "%s_%s_NOT_SET", m->c, m->oneofs[oneof].name));
	for (uint32_t i = 0; i < m->field_count; i++)
		if (m->fields[i].flags & PHX_FIELD_ONEOF && m->fields[i].bit == oneof)
			text_printf(&g->h, "\t%s = %u,\n",
				gen_name(g, what, "%s_%s_%s", m->c, m->oneofs[oneof].name,
					m->fields[i].name),
				m->fields[i].number);
	text_printf(&g->h,
		"};\nstatic inline uint32_t %s(const struct %s *m)\n{\n\treturn "
		"m->phx_case_%s;\n}\n",
		gen_name(g, what, "%s_which_%s", m->c, name), m->c, m->oneofs[oneof].name);
	text_printf(&g->h, "static inline void %s(struct %s *m)\n{\n\tm->phx_case_%s = 0;\n",
		gen_name(g, what, "%s_clear_%s", m->c, name), m->c, m->oneofs[oneof].name);
	for (uint32_t i = 0; i < m->field_count; i++)
		if (m->fields[i].flags & PHX_FIELD_ONEOF && m->fields[i].bit == oneof)
			clear_value(g, &m->fields[i], "\t");
	text_printf(&g->h, "}\n");
}

void gen_read(struct gen *g, const struct model_message *m, const struct model_field *f)
{
	const char *what = what_of(g, m, f->name), *has = has_of(g, m, f);
	const char *type = gen_value_type(f, g->arena);
	const char *name = gen_name(g, what, "%s_%s", m->c, f->c);

	if (f->kind == PHX_KIND_MESSAGE)
		text_printf(&g->h,
			"static inline const %s *%s(const struct %s *m)\n{\n"
			"\treturn (const %s *)phx_ref_get(&m->%s);\n}\n",
			type, name, m->c, type, f->c);
	else if (gen_is_leaf(f))
		text_printf(&g->h,
			"static inline %s %s(const struct %s *m)\n{\n"
			"\treturn phx_ref_%s(&m->%s);\n}\n",
			type, name, m->c, f->kind == PHX_KIND_STRING ? "str" : "bytes", f->c);
	else
		text_printf(&g->h,
			"static inline %s %s(const struct %s *m)\n{\n\treturn m->%s%s;\n}\n", type,
			name, m->c, f->c, f->kind == PHX_KIND_BOOL ? " != 0" : "");
	if (*has)
		text_printf(&g->h,
			"static inline bool %s(const struct %s *m)\n{\n\treturn %s;\n}\n",
			gen_name(g, what, "%s_has_%s", m->c, f->c), m->c, has);
}

// Statements that mark the field as set and clear the other members of its oneof.
static void select_field(
	struct gen *g, const struct model_message *m, const struct model_field *f, bool keep)
{
	if (f->flags & PHX_FIELD_PRESENCE)
		text_printf(&g->h, "\tm->phx_presence[%u] |= UINT32_C(1) << %u;\n", f->bit / 32,
			f->bit % 32);
	if (!(f->flags & PHX_FIELD_ONEOF))
		return;
	if (keep)
		text_printf(&g->h,
			"\t{\n\t\tstruct phx_ref keep = m->%s;\n\n"
			"\t\t%s_clear_%s(m);\n\t\tm->%s = keep;\n\t}\n",
			f->c, m->c, m->oneofs[f->bit].c, f->c);
	else
		text_printf(&g->h, "\t%s_clear_%s(m);\n", m->c, m->oneofs[f->bit].c);
	text_printf(&g->h, "\tm->phx_case_%s = %u;\n", m->oneofs[f->bit].name, f->number);
}

static void build_message(
	struct gen *g, const struct model_message *m, const struct model_field *f, const char *what)
{
	text_printf(&g->h,
		"// The nested message, made when it is not there. NULL: no memory.\n"
		"static inline struct %s *%s(struct phx_message *msg, struct %s *m)\n{\n"
		"\tif (m->%s.count == 0) {\n"
		"\t\tvoid *part = phx_message_alloc(msg, (uint32_t)sizeof(struct %s));\n\n"
		"\t\tif (!part)\n\t\t\treturn NULL;\n\t\tphx_ref_set(&m->%s, part, 1);\n",
		f->message->c, gen_name(g, what, "%s_mut_%s", m->c, f->c), m->c, f->c,
		f->message->c, f->c);
	select_field(g, m, f, true);
	text_printf(
		&g->h, "\t}\n\treturn (struct %s *)phx_ref_mut(&m->%s);\n}\n", f->message->c, f->c);
}

void gen_build(struct gen *g, const struct model_message *m, const struct model_field *f)
{
	const char *what = what_of(g, m, f->name);
	const char *type = gen_value_type(f, g->arena);

	if (f->kind == PHX_KIND_MESSAGE) {
		build_message(g, m, f, what);
	} else if (gen_is_leaf(f)) {
		text_printf(&g->h,
			"// Copies. 0, -ENOMEM, -EINVAL.\n"
			"static inline int %s(struct phx_message *msg, struct %s *m, %s value)\n{\n"
			"\tint rc = phx_ref_copy(msg, &m->%s, value.data, value.len);\n\n"
			"\tif (rc)\n\t\treturn rc;\n",
			gen_name(g, what, "%s_set_%s", m->c, f->c), m->c, type, f->c);
		select_field(g, m, f, true);
		text_printf(&g->h, "\treturn 0;\n}\n");
	} else {
		text_printf(&g->h, "static inline void %s(struct %s *m, %s value)\n{\n",
			gen_name(g, what, "%s_set_%s", m->c, f->c), m->c, type);
		select_field(g, m, f, false);
		text_printf(&g->h, "\tm->%s = value%s;\n}\n", f->c,
			f->kind == PHX_KIND_BOOL ? " ? 1 : 0" : "");
	}
	if (m->map_entry)
		return;
	text_printf(&g->h, "static inline void %s(struct %s *m)\n{\n",
		gen_name(g, what, "%s_clear_%s", m->c, f->c), m->c);
	if (f->flags & PHX_FIELD_ONEOF) {
		text_printf(&g->h, "\tif (m->phx_case_%s == %u)\n\t\t%s_clear_%s(m);\n",
			m->oneofs[f->bit].name, f->number, m->c, m->oneofs[f->bit].c);
	} else {
		if (f->flags & PHX_FIELD_PRESENCE)
			text_printf(&g->h, "\tm->phx_presence[%u] &= ~(UINT32_C(1) << %u);\n",
				f->bit / 32, f->bit % 32);
		clear_value(g, f, "\t");
	}
	text_printf(&g->h, "}\n");
}

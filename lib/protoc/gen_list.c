// SPDX-License-Identifier: BSD-3-Clause
// Generated accessors of lists and maps.
#include "lib/protoc/gen.h"

#include <stdio.h>

static const char *what_of(
	struct gen *g, const struct model_message *m, const struct model_field *f)
{
	return arena_printf(g->arena, "field %s of %s", f->name, m->full);
}

// How one element stands in the array.
static const char *element_type(struct gen *g, const struct model_field *f)
{
	if (gen_is_leaf(f))
		return "struct phx_ref";
	return f->kind == PHX_KIND_BOOL ? "uint8_t" : gen_value_type(f, g->arena);
}

static void list_read(
	struct gen *g, const struct model_message *m, const struct model_field *f, const char *what)
{
	const char *type = gen_value_type(f, g->arena), *element = element_type(g, f);
	const char *name = gen_name(g, what, "%s_%s", m->c, f->c);

	text_printf(&g->h,
		"static inline uint32_t %s(const struct %s *m)\n{\n\treturn m->%s.count;\n}\n",
		gen_name(g, what, "%s_%s_count", m->c, f->c), m->c, f->c);
	if (f->kind == PHX_KIND_MESSAGE)
		text_printf(&g->h,
			"static inline const %s *%s(const struct %s *m, uint32_t i)\n{\n"
			"\treturn (const %s *)phx_ref_get(&m->%s) + i;\n}\n",
			type, name, m->c, type, f->c);
	else if (gen_is_leaf(f))
		text_printf(&g->h,
			"static inline %s %s(const struct %s *m, uint32_t i)\n{\n"
			"\treturn phx_ref_%s((const struct phx_ref *)phx_ref_get(&m->%s) + "
			"i);\n}\n",
			type, name, m->c, f->kind == PHX_KIND_STRING ? "str" : "bytes", f->c);
	else
		text_printf(&g->h,
			"static inline %s %s(const struct %s *m, uint32_t i)\n{\n"
			"\treturn ((const %s *)phx_ref_get(&m->%s))[i]%s;\n}\n",
			type, name, m->c, element, f->c, f->kind == PHX_KIND_BOOL ? " != 0" : "");
	if (f->kind != PHX_KIND_MESSAGE && !gen_is_leaf(f))
		text_printf(&g->h,
			"// All elements; NULL when there are none.\n"
			"static inline const %s *%s(const struct %s *m)\n{\n"
			"\treturn (const %s *)phx_ref_get(&m->%s);\n}\n",
			element, gen_name(g, what, "%s_%s_data", m->c, f->c), m->c, element, f->c);
}

static void list_resize(
	struct gen *g, const struct model_message *m, const struct model_field *f, const char *what)
{
	const char *move = "NULL";

	if (gen_is_leaf(f))
		move = "phx_ref_move_one";
	else if (f->kind == PHX_KIND_MESSAGE)
		move = arena_printf(g->arena, "%s_phx_move", f->message->c);
	text_printf(&g->h,
		"// New elements are zero. 0, -ENOMEM.\n"
		"static inline int %s(struct phx_message *msg, struct %s *m, uint32_t count)\n{\n"
		"\treturn phx_list_resize(msg, &m->%s, count, (uint32_t)sizeof(%s), %s);\n}\n",
		gen_name(g, what, "%s_resize_%s", m->c, f->c), m->c, f->c, element_type(g, f),
		move);
	text_printf(&g->h,
		"static inline void %s(struct %s *m)\n{\n\tm->%s.off = 0;\n\tm->%s.count = 0;\n}\n",
		gen_name(g, what, "%s_clear_%s", m->c, f->c), m->c, f->c, f->c);
}

static void list_build_leaf(
	struct gen *g, const struct model_message *m, const struct model_field *f, const char *what)
{
	const char *type = gen_value_type(f, g->arena);

	text_printf(&g->h,
		"// Copies. 0, -ENOMEM, -EINVAL.\n"
		"static inline int %s(struct phx_message *msg, struct %s *m, uint32_t i, %s "
		"value)\n{\n"
		"\treturn phx_ref_copy(msg, (struct phx_ref *)phx_ref_mut(&m->%s) + i, value.data, "
		"value.len);\n}\n",
		gen_name(g, what, "%s_set_%s", m->c, f->c), m->c, type, f->c);
	text_printf(&g->h,
		"// Appends a copy. 0, -ENOMEM, -EINVAL.\n"
		"static inline int %s(struct phx_message *msg, struct %s *m, %s value)\n{\n"
		"\tuint32_t i = m->%s.count;\n"
		"\tint rc = %s_resize_%s(msg, m, i + 1);\n\n"
		"\tif (rc == 0)\n\t\trc = %s_set_%s(msg, m, i, value);\n"
		"\tif (rc != 0 && m->%s.count > i)\n"
		"\t\t(void)%s_resize_%s(msg, m, i); // shrinking cannot fail\n"
		"\treturn rc;\n}\n",
		gen_name(g, what, "%s_add_%s", m->c, f->c), m->c, type, f->c, m->c, f->c, m->c,
		f->c, f->c, m->c, f->c);
}

static void list_build(
	struct gen *g, const struct model_message *m, const struct model_field *f, const char *what)
{
	const char *element = element_type(g, f);

	text_printf(&g->h,
		"static inline %s *%s(struct %s *m, uint32_t i)\n{\n"
		"\treturn (%s *)phx_ref_mut(&m->%s) + i;\n}\n",
		element, gen_name(g, what, "%s_%s_mut", m->c, f->c), m->c, element, f->c);
	if (f->kind == PHX_KIND_MESSAGE)
		text_printf(&g->h,
			"// Appends an empty one. NULL: no memory. Pointers to elements die.\n"
			"static inline %s *%s(struct phx_message *msg, struct %s *m)\n{\n"
			"\tuint32_t i = m->%s.count;\n\n"
			"\treturn %s_resize_%s(msg, m, i + 1) == 0 ? %s_%s_mut(m, i) : NULL;\n}\n",
			element, gen_name(g, what, "%s_add_%s", m->c, f->c), m->c, f->c, m->c, f->c,
			m->c, f->c);
	else
		text_printf(&g->h,
			"// Appends. 0, -ENOMEM.\n"
			"static inline int %s(struct phx_message *msg, struct %s *m, %s value)\n{\n"
			"\tuint32_t i = m->%s.count;\n"
			"\tint rc = %s_resize_%s(msg, m, i + 1);\n\n"
			"\tif (rc == 0)\n\t\t*%s_%s_mut(m, i) = value%s;\n\treturn rc;\n}\n",
			gen_name(g, what, "%s_add_%s", m->c, f->c), m->c,
			gen_value_type(f, g->arena), f->c, m->c, f->c, m->c, f->c,
			f->kind == PHX_KIND_BOOL ? " ? 1 : 0" : "");
}

void gen_list(struct gen *g, const struct model_message *m, const struct model_field *f)
{
	const char *what = what_of(g, m, f);

	list_read(g, m, f, what);
	list_resize(g, m, f, what);
	if (gen_is_leaf(f))
		list_build_leaf(g, m, f, what);
	else
		list_build(g, m, f, what);
}

static void map_put(
	struct gen *g, const struct model_message *m, const struct model_field *f, const char *what)
{
	const struct model_message *e = f->message;
	const struct model_field *k = &e->fields[0], *v = &e->fields[1];
	const char *fail = v->kind == PHX_KIND_MESSAGE ? "NULL" : "-ENOMEM";
	const char *name = gen_name(g, what, "%s_put_%s", m->c, f->c);

	if (v->kind == PHX_KIND_MESSAGE)
		text_printf(&g->h,
			"// The value of a key, made when it is not there. NULL: no memory.\n"
			"static inline struct %s *%s(struct phx_message *msg, struct %s *m, %s "
			"key)\n",
			v->message->c, name, m->c, gen_value_type(k, g->arena));
	else
		text_printf(&g->h,
			"// Sets the value of a key. 0, -ENOMEM, -EINVAL.\n"
			"static inline int %s(struct phx_message *msg, struct %s *m, %s key, %s "
			"value)\n",
			name, m->c, gen_value_type(k, g->arena), gen_value_type(v, g->arena));
	text_printf(&g->h,
		"{\n\tuint32_t i = %s_phx_index_%s(m, key);\n\tbool added = i == m->%s.count;\n"
		"\tstruct %s *e = added ? %s_add_%s(msg, m) : %s_%s_mut(m, i);\n\n"
		"\tif (!e)\n\t\treturn %s;\n",
		m->c, f->c, f->c, e->c, m->c, f->c, m->c, f->c, fail);

	if (gen_is_leaf(k))
		text_printf(&g->h,
			"\tif (added) {\n\t\tint rc = %s_set_key(msg, e, key);\n\n\t\tif (rc) {\n"
			"\t\t\t(void)%s_resize_%s(msg, m, i); // shrinking cannot fail\n"
			"\t\t\treturn %s;\n\t\t}\n\t}\n",
			e->c, m->c, f->c, v->kind == PHX_KIND_MESSAGE ? "NULL" : "rc");
	else
		text_printf(&g->h, "\t%s_set_key(e, key);\n", e->c);
	if (v->kind == PHX_KIND_MESSAGE)
		text_printf(&g->h, "\treturn %s_mut_value(msg, e);\n}\n", e->c);
	else if (gen_is_leaf(v))
		text_printf(&g->h,
			"\t{\n\t\tint rc = %s_set_value(msg, e, value);\n\n"
			"\t\tif (rc && added)\n"
			"\t\t\t(void)%s_resize_%s(msg, m, i); // shrinking cannot fail\n"
			"\t\treturn rc;\n\t}\n}\n",
			e->c, m->c, f->c);
	else
		text_printf(&g->h, "\t%s_set_value(e, value);\n\treturn 0;\n}\n", e->c);
}

void gen_map(struct gen *g, const struct model_message *m, const struct model_field *f)
{
	const char *what = what_of(g, m, f);
	const struct model_message *e = f->message;
	const struct model_field *k = &e->fields[0];
	const char *key = gen_value_type(k, g->arena);

	text_printf(&g->h,
		"static inline uint32_t %s(const struct %s *m, %s key)\n{\n"
		"\tfor (uint32_t i = m->%s.count; i > 0; i--) {\n",
		gen_name(g, what, "%s_phx_index_%s", m->c, f->c), m->c, key, f->c);
	if (gen_is_leaf(k))
		text_printf(&g->h,
			"\t\tstruct phx_str k = %s_key(%s_%s(m, i - 1));\n\n"
			"\t\tif (k.len == key.len && (k.len == 0 || memcmp(k.data, key.data, "
			"k.len) == 0))\n",
			e->c, m->c, f->c);
	else
		text_printf(&g->h, "\t\tif (%s_key(%s_%s(m, i - 1)) == key)\n", e->c, m->c, f->c);
	text_printf(&g->h, "\t\t\treturn i - 1;\n\t}\n\treturn m->%s.count;\n}\n", f->c);
	text_printf(&g->h,
		"// The entry of a key (the last one), or NULL.\n"
		"static inline const struct %s *%s(const struct %s *m, %s key)\n{\n"
		"\tuint32_t i = %s_phx_index_%s(m, key);\n\n"
		"\treturn i < m->%s.count ? %s_%s(m, i) : NULL;\n}\n",
		e->c, gen_name(g, what, "%s_find_%s", m->c, f->c), m->c, key, m->c, f->c, f->c,
		m->c, f->c);
	map_put(g, m, f, what);
	text_printf(&g->h, "\n");
}

// SPDX-License-Identifier: BSD-3-Clause
// Links the types of a model, gives fields their C names and messages their layout.
#include "lib/protoc/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Words that a field, oneof or method must not be in C or C++, and those that generated code
// uses behind a message's name.
static const char *const reserved[] = {"alignas", "alignof", "and", "and_eq", "asm", "auto",
	"bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t", "char32_t",
	"char8_t", "class", "co_await", "co_return", "co_yield", "compl", "concept", "const",
	"const_cast", "consteval", "constexpr", "constinit", "continue", "decltype", "default",
	"delete", "do", "double", "dynamic_cast", "else", "enum", "errno", "explicit", "export",
	"extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "linux", "long",
	"mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or",
	"or_eq", "private", "protected", "public", "register", "reinterpret_cast", "requires",
	"restrict", "return", "root", "short", "signed", "sizeof", "static", "static_assert",
	"static_cast", "struct", "switch", "template", "this", "thread_local", "throw", "true",
	"try", "typedef", "typeid", "typename", "typeof", "union", "unix", "unsigned", "using",
	"virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq"};

static int by_word(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

static const char *field_c(struct arena *arena, const char *name)
{
	if (bsearch(name, reserved, PHX_ARRAY_LEN(reserved), sizeof(reserved[0]), by_word))
		return arena_printf(arena, "%s_", name);
	return name;
}

struct type {
	const char *full;
	struct model_message *message;
	struct model_enum *enumeration;
};

struct types {
	struct type *list;
	size_t count;
};

static int by_full(const void *a, const void *b)
{
	return strcmp(((const struct type *)a)->full, ((const struct type *)b)->full);
}

static const struct type *type_find(const struct types *types, const char *full)
{
	struct type key = {.full = *full == '.' ? full + 1 : full};

	return bsearch(&key, types->list, types->count, sizeof(key), by_full);
}

static bool types_collect(const struct model *model, struct types *out)
{
	size_t count = 0;

	for (uint32_t i = 0; i < model->file_count; i++)
		count += model->files[i].message_count + model->files[i].enum_count;
	out->list = arena_alloc(model->arena, (count + 1) * sizeof(out->list[0]));
	if (!out->list)
		return false;
	for (uint32_t i = 0; i < model->file_count; i++) {
		const struct model_file *f = &model->files[i];

		for (uint32_t k = 0; k < f->message_count; k++)
			out->list[out->count++] =
				(struct type){f->messages[k]->full, f->messages[k], NULL};
		for (uint32_t k = 0; k < f->enum_count; k++)
			out->list[out->count++] =
				(struct type){f->enums[k]->full, NULL, f->enums[k]};
	}
	qsort(out->list, out->count, sizeof(out->list[0]), by_full);
	return true;
}

static const char *resolve_message(
	const struct model *model, const struct types *types, struct model_message *m)
{
	for (uint32_t i = 0; i < m->field_count; i++) {
		struct model_field *f = &m->fields[i];

		f->c = field_c(model->arena, f->name);
		if (f->kind == PHX_KIND_MESSAGE || f->kind == PHX_KIND_ENUM) {
			const struct type *t = type_find(types, f->type);

			if (!t || (f->kind == PHX_KIND_MESSAGE ? !t->message : !t->enumeration))
				return arena_printf(model->arena, "%s.%s: unknown type %s", m->full,
					f->name, f->type);
			f->message = t->message;
			f->enumeration = t->enumeration;
		}
	}
	for (uint32_t i = 0; i < m->oneof_count; i++)
		m->oneofs[i].c = field_c(model->arena, m->oneofs[i].name);
	model_layout(m);
	return NULL;
}

static const char *resolve_services(
	const struct model *model, const struct types *types, struct model_file *file)
{
	for (uint32_t i = 0; i < file->service_count; i++) {
		struct model_service *s = &file->services[i];

		for (uint32_t k = 0; k < s->method_count; k++) {
			struct model_method *m = &s->methods[k];
			const struct type *in = type_find(types, m->input_type);
			const struct type *out = type_find(types, m->output_type);

			if (!in || !in->message || !out || !out->message)
				return arena_printf(model->arena, "%s.%s: unknown message type",
					s->full, m->name);
			m->input = in->message;
			m->output = out->message;
		}
	}
	return NULL;
}

const char *model_resolve(struct model *model)
{
	struct types types = {0};
	const char *error = NULL;

	if (!types_collect(model, &types))
		return "out of memory";
	for (uint32_t i = 0; i < model->file_count && !error; i++) {
		struct model_file *f = &model->files[i];

		// proto2 files may be there for custom options; nothing may refer to them.
		if (!f->proto3)
			continue;
		for (uint32_t k = 0; k < f->message_count && !error; k++)
			error = resolve_message(model, &types, f->messages[k]);
		if (!error)
			error = resolve_services(model, &types, f);
	}
	return error || !model->arena->failed ? error : "out of memory";
}

// SPDX-License-Identifier: BSD-3-Clause
// The generated .c file: the table of the file with everything it reaches through imports, and
// what refers to it.
#include "lib/protoc/gen.h"

#include "lib/schema/schema.h"

#include <errno.h>

struct reach {
	struct model_message **list;
	uint32_t count;
	uint32_t cap;
};

static void reach_add(struct reach *r, struct model_message *m, uint32_t mark)
{
	if (m->mark == mark)
		return;
	m->mark = mark;
	m->index = r->count;
	r->list[r->count++] = m;
}

// The file's own messages in order of declaration, then what they and the services reach, in the
// order in which it is found.
static bool reach_all(struct gen *g, struct reach *r)
{
	const struct model_file *file = g->file;
	uint32_t mark = (uint32_t)(file - g->model->files) + 1;

	for (uint32_t i = 0; i < g->model->file_count; i++)
		r->cap += g->model->files[i].message_count;
	r->list = arena_alloc(g->arena, (r->cap + 1) * sizeof(r->list[0]));
	if (!r->list)
		return false;
	for (uint32_t i = 0; i < file->message_count; i++)
		reach_add(r, file->messages[i], mark);
	for (uint32_t i = 0; i < file->service_count; i++) {
		for (uint32_t k = 0; k < file->services[i].method_count; k++) {
			reach_add(r, file->services[i].methods[k].input, mark);
			reach_add(r, file->services[i].methods[k].output, mark);
		}
	}
	for (uint32_t i = 0; i < r->count; i++)
		for (uint32_t k = 0; k < r->list[i]->field_count; k++)
			if (r->list[i]->fields[k].message)
				reach_add(r, r->list[i]->fields[k].message, mark);
	return true;
}

static void check_table(struct gen *g, const struct text *table)
{
	struct phx_schema *schema;
	const char *error = "out of memory";

	if (phx_schema_bind(table->data, table->len, &schema, &error) == 0)
		phx_schema_free(schema);
	else
		gen_fail(g, "the service would refuse this file: %s", error);
}

static void put_table(struct gen *g, const struct text *table)
{
	text_printf(&g->c, "PHX_ALIGNED_8 static const unsigned char %s_table[] = {", g->file->c);
	for (size_t i = 0; i < table->len; i++)
		text_printf(&g->c, "%s0x%02x,", i % 16 ? " " : "\n\t", (uint8_t)table->data[i]);
	text_printf(&g->c, "\n};\nconst struct phx_file %s_file = {%s_table, %zu};\n\n", g->file->c,
		g->file->c, table->len);
}

void gen_source(struct gen *g)
{
	struct reach r = {0};
	struct text table = {0};

	if (!reach_all(g, &r))
		return;
	model_table(&table, r.list, r.count, g->file->services, g->file->service_count);
	if (table.failed) {
		gen_fail(g, "out of memory");
		goto fini_table;
	}
	if (r.count > 0)
		check_table(g, &table);
	put_table(g, &table);
	for (uint32_t i = 0; i < g->file->message_count; i++) {
		const struct model_message *m = g->file->messages[i];

		if (!m->map_entry)
			text_printf(&g->c,
				"const struct phx_type %s_phx_type = {&%s_file, %u, %u, \"%s\"};\n",
				m->c, g->file->c, m->index, m->size, m->full);
	}
	text_printf(&g->c, "\n");
	for (uint32_t i = 0; i < g->file->service_count; i++)
		gen_service_source(g, &g->file->services[i]);
fini_table:
	text_fini(&table);
}

// SPDX-License-Identifier: BSD-3-Clause
// Driver of descriptor_test.py: prints the hand-written table of the plug-in, then every value
// of a FileDescriptorSet (standard input) that is read through it.
#include "lib/protoc/codec.h"
#include "lib/protoc/descriptor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_table(const struct phx_schema *schema)
{
	for (uint32_t i = 0; i < phx_schema_message_count(schema); i++) {
		const struct phx_message *m = phx_schema_message(schema, i);

		for (uint32_t k = 0; k < m->field_count; k++) {
			const struct phx_field *f = &m->fields[k];
			const char *type = f->kind == PHX_KIND_MESSAGE
						   ? phx_schema_message(schema, f->message)->name
						   : "-";

			printf("T %s %s %u %u %u %u %s\n", m->name, f->name, f->number, f->kind,
				(f->flags & PHX_FIELD_REPEATED) != 0,
				(f->flags & PHX_FIELD_PRESENCE) != 0, type);
		}
	}
}

static void print_string(const char *path, const char *name, uint32_t i, const char *s)
{
	printf("V %s.%s[%u]=", path, name, i);
	for (; *s; s++)
		printf("%02x", (uint8_t)*s);
	printf("\n");
}

static void print_node(struct arena *a, const char *path, struct node n)
{
	for (uint32_t k = 0; k < n.type->field_count; k++) {
		const struct phx_field *f = &n.type->fields[k];

		if (f->kind == PHX_KIND_MESSAGE) {
			for (uint32_t i = 0; i < node_count(n, f->number); i++)
				print_node(a, arena_printf(a, "%s.%s[%u]", path, f->name, i),
					node_at(n, f->number, i));
		} else if (f->flags & PHX_FIELD_REPEATED) {
			for (uint32_t i = 0; i < node_count(n, f->number); i++)
				print_string(path, f->name, i, node_string_at(a, n, f->number, i));
		} else if (f->kind == PHX_KIND_STRING) {
			const char *s = node_string(a, n, f->number);

			if (*s)
				print_string(path, f->name, 0, s);
		} else if (node_number(n, f->number) ||
			   (f->flags & PHX_FIELD_PRESENCE && node_has(n, f->number))) {
			printf("V %s.%s[0]=%" PRId32 "\n", path, f->name,
				(int32_t)node_number(n, f->number));
		}
	}
}

int main(void)
{
	struct phx_schema *schema = NULL;
	struct arena arena = {0};
	struct text in = {0};
	const char *error = descriptor_bind(&arena, &schema);
	struct node set;
	char buf[4096];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
		text_put(&in, buf, n);
	if (!error)
		error = codec_decode(&arena, schema, DESC_SET, in.data, in.len, &set);
	if (error) {
		(void)fprintf(stderr, "%s\n", error);
		return 1;
	}
	print_table(schema);
	print_node(&arena, "", set);
	phx_schema_free(schema);
	text_fini(&in);
	arena_fini(&arena);
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// protoc-gen-phoenix: reads a CodeGeneratorRequest from standard input, writes a
// CodeGeneratorResponse to standard output. Errors of the input travel in the response, as
// protoc wants; only failed input and output make the exit code 1.
#include "lib/base/bits.h"
#include "lib/protoc/codec.h"
#include "lib/protoc/descriptor.h"
#include "lib/protoc/gen.h"

#include <stdio.h>
#include <string.h>

static bool read_all(struct text *in)
{
	char buf[65536];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
		text_put(in, buf, n);
	return !ferror(stdin) && !in->failed;
}

// A growing canonical image: parts are appended in order.
static void put_leaf(struct text *image, size_t ref, const char *data, size_t len)
{
	size_t pos = image->len;

	if (len == 0)
		return;
	text_put(image, data, len);
	text_zero(image, phx_align_up(len, 8) - len);
	if (image->failed)
		return;
	phx_le32_store(image->data + ref, (uint32_t)(pos - ref));
	phx_le32_store(image->data + ref + 4, (uint32_t)len);
}

struct output {
	const char *name;
	struct text text;
};

static uint32_t offset_of(const struct phx_schema *schema, uint32_t message, uint32_t number)
{
	return phx_message_field(phx_schema_message(schema, message), number)->offset;
}

static void put_response(struct text *image, const struct phx_schema *schema, const char *error,
	const struct output *outputs, uint32_t count)
{
	uint32_t size = phx_schema_message(schema, DESC_RESPONSE_FILE)->size;
	size_t list, ref = offset_of(schema, DESC_RESPONSE, RESPONSE_FILE);

	text_zero(image, phx_schema_message(schema, DESC_RESPONSE)->size);
	if (image->failed)
		return;
	image->data[0] = error ? 3 : 2; // presence: error, supported_features
	phx_le64_store(image->data + offset_of(schema, DESC_RESPONSE, RESPONSE_FEATURES),
		FEATURE_PROTO3_OPTIONAL);
	if (error) {
		put_leaf(image, offset_of(schema, DESC_RESPONSE, RESPONSE_ERROR), error,
			strlen(error));
		return;
	}
	if (count == 0)
		return;
	list = image->len;
	phx_le32_store(image->data + ref, (uint32_t)(list - ref));
	phx_le32_store(image->data + ref + 4, count);
	text_zero(image, (size_t)size * count);
	for (uint32_t i = 0; i < count; i++) {
		size_t at = list + (size_t)i * size;

		put_leaf(image, at + offset_of(schema, DESC_RESPONSE_FILE, RESPONSE_FILE_NAME),
			outputs[i].name, strlen(outputs[i].name));
		put_leaf(image, at + offset_of(schema, DESC_RESPONSE_FILE, RESPONSE_FILE_CONTENT),
			outputs[i].text.data, outputs[i].text.len);
	}
}

// NULL, or what is wrong. Two outputs per file.
static const char *generate(struct arena *arena, struct model *model, struct output *outputs)
{
	for (uint32_t i = 0; i < model->generate_count; i++) {
		struct gen g = {.model = model, .arena = arena};
		const char *name = model->generate[i];
		size_t stem = strlen(name);

		g.file = model_file_find(model, name);
		if (!g.file)
			return arena_printf(arena, "%s: not in the request", name);
		if (stem > 6 && strcmp(name + stem - 6, ".proto") == 0)
			stem -= 6;
		outputs[2 * i].name = arena_printf(arena, "%.*s.phx.h", (int)stem, name);
		outputs[2 * i + 1].name = arena_printf(arena, "%.*s.phx.c", (int)stem, name);
		if (gen_file(&g)) {
			outputs[2 * i].text = g.h;
			outputs[2 * i + 1].text = g.c;
			g.h = g.c = (struct text){0};
		}
		gen_fini(&g);
		if (g.error)
			return g.error;
	}
	return arena->failed ? "out of memory" : NULL;
}

static const char *answer(struct arena *arena, const struct text *request,
	struct output **out_outputs, uint32_t *out_count)
{
	struct model model;
	const char *error = model_read(&model, arena, request->data, request->len);

	if (!error && model.parameter && *model.parameter)
		error = arena_printf(arena, "unknown parameter: %s", model.parameter);
	if (!error)
		error = model_resolve(&model);
	if (error)
		return error;
	*out_outputs = arena_alloc(arena, (2 * model.generate_count + 1) * sizeof(**out_outputs));
	if (!*out_outputs)
		return "out of memory";
	*out_count = 2 * model.generate_count;
	return generate(arena, &model, *out_outputs);
}

// Options are for people; protoc gives none. Nobody to tell when a stream is closed.
static int explain(const char *option)
{
	bool help = strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0;

	if (strcmp(option, "--version") == 0 || strcmp(option, "-V") == 0) {
		(void)printf("protoc-gen-phoenix %s\n", PHX_VERSION);
		return 0;
	}
	(void)fprintf(help ? stdout : stderr,
		"usage: protoc --phoenix_out=DIR FILE.proto...\n"
		"Writes FILE.phx.h and FILE.phx.c; protoc runs this program.\n"
		"\n"
		"  -h, --help\n"
		"  -V, --version\n");
	return help ? 0 : 2;
}

int main(int argc, char **argv)
{
	struct text request = {0}, image = {0}, response = {0};
	struct output *outputs = NULL;
	struct phx_schema *schema = NULL;
	struct arena arena = {0};
	uint32_t count = 0;
	const char *error;
	int rc = 1;

	if (argc > 1) {
		return explain(argv[1]);
	}
	error = descriptor_bind(&arena, &schema);
	if (error || !read_all(&request))
		goto fini;
	error = answer(&arena, &request, &outputs, &count);
	put_response(&image, schema, error, outputs, count);
	if (image.failed)
		goto fini;
	error = codec_encode(schema, DESC_RESPONSE, image.data, image.len, &response);
	if (!error && fwrite(response.data, 1, response.len, stdout) == response.len &&
		fflush(stdout) == 0)
		rc = 0;
fini:
	if (rc)
		(void)fprintf(stderr, "protoc-gen-phoenix: %s\n",
			error ? error : "cannot read or write"); // nobody to tell
	for (uint32_t i = 0; i < count; i++)
		text_fini(&outputs[i].text);
	phx_schema_free(schema);
	text_fini(&request);
	text_fini(&image);
	text_fini(&response);
	arena_fini(&arena);
	return rc;
}

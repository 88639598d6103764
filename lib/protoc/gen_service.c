// SPDX-License-Identifier: BSD-3-Clause
// Generated client stubs and server dispatch of a service. Streaming methods are in the table,
// but have no stubs.
#include "lib/protoc/gen.h"

#include <stdio.h>

#define STREAMS (PHX_METHOD_CLIENT_STREAM | PHX_METHOD_SERVER_STREAM)

static const char *what_of(
	struct gen *g, const struct model_service *s, const struct model_method *m)
{
	return arena_printf(g->arena, "method %s.%s", s->full, m->name);
}

static void client_stubs(struct gen *g, const struct model_service *s, uint32_t index)
{
	const struct model_method *m = &s->methods[index];
	const char *what = what_of(g, s, m);

	text_printf(&g->h,
		"// Blocking call of %s(%s) returns (%s); see phx_call().\n"
		"static inline int %s(struct phx_channel *channel, struct phx_message *request,\n"
		"\tconst struct phx_call_options *options, struct phx_message **out_reply,\n"
		"\tstruct phx_status *out_status)\n{\n"
		"\treturn phx_call(channel, &%s_service, %u, request, options, out_reply, "
		"out_status);\n}\n",
		m->name, m->input->full, m->output->full, gen_name(g, what, "%s_%s", s->c, m->name),
		s->c, index);
	text_printf(&g->h,
		"// The same without waiting; see phx_call_start().\n"
		"static inline int %s(struct phx_channel *channel, struct phx_queue *queue,\n"
		"\tstruct phx_message *request, const struct phx_call_options *options, "
		"phx_reply_fn fn,\n\tvoid *arg, struct phx_call **out_call)\n{\n"
		"\treturn phx_call_start(channel, queue, &%s_service, %u, request, options, fn, "
		"arg,\n"
		"\t\tout_call);\n}\n\n",
		gen_name(g, what, "%s_%s_start", s->c, m->name), s->c, index);
}

static void handlers_struct(struct gen *g, const struct model_service *s)
{
	const char *what = arena_printf(g->arena, "service %s", s->full);
	const char *tag = arena_printf(g->arena, "%s_handlers", s->c), *owner;

	owner = names_take(&g->tags, tag ? tag : "", what);
	if (owner)
		gen_fail(g, "%s and %s both need struct %s", owner, what, tag);
	text_printf(&g->h,
		"// One handler per method; NULL ones answer UNIMPLEMENTED. A handler replies "
		"once,\n"
		"// now or later, by phx_reply() or phx_reply_status(); `in` is valid until then.\n"
		"struct %s {\n\tvoid *arg; // of all handlers\n",
		tag);
	for (uint32_t i = 0; i < s->method_count; i++)
		if (!(s->methods[i].flags & STREAMS))
			text_printf(&g->h,
				"\tvoid (*%s)(void *arg, struct phx_request *request, "
				"const struct %s *in);\n",
				s->methods[i].name, s->methods[i].input->c);
	text_printf(&g->h,
		"};\n// Register under (group, service), group NULL = \"default\"; see "
		"phx_server_add(). "
		"*handlers must\n// stay as it is until the server is destroyed.\n"
		"int %s(struct phx_server *server, const char *group, const struct %s *handlers,\n"
		"\tstruct phx_status *out_status);\n\n",
		gen_name(g, what, "%s_register", s->c), tag);
}

void gen_service_header(struct gen *g, const struct model_service *s)
{
	const char *what = arena_printf(g->arena, "service %s", s->full);

	text_printf(&g->h, "// Service %s.\nextern const struct phx_service %s;\n", s->full,
		gen_name(g, what, "%s_service", s->c));
	if (s->method_count)
		text_printf(&g->h, "enum {\n");
	for (uint32_t i = 0; i < s->method_count; i++)
		text_printf(&g->h, "\t%s = %u,\n",
			gen_name(g, what_of(g, s, &s->methods[i]), "%s_method_%s", s->c,
				s->methods[i].name),
			i);
	text_printf(&g->h, "%s\n", s->method_count ? "};\n" : "");
	for (uint32_t i = 0; i < s->method_count; i++) {
		if (!(s->methods[i].flags & STREAMS)) {
			client_stubs(g, s, i);
			continue;
		}
		text_printf(&g->h,
			"// %s.%s is a streaming method: stubs of those are not "
			"generated yet.\n\n",
			s->full, s->methods[i].name);
		(void)fprintf(stderr,
			"%s: warning: no stubs are generated for the streaming method %s.%s\n",
			g->file->name, s->full, s->methods[i].name); // nobody to tell
	}
	handlers_struct(g, s);
}

static void dispatch(struct gen *g, const struct model_service *s, const struct model_method *m)
{
	text_printf(&g->c,
		"static void %s_dispatch_%s(void *arg, struct phx_request *request)\n{\n"
		"\tconst struct %s_handlers *handlers = (const struct %s_handlers *)arg;\n"
		"\tconst struct %s *in = %s_root(phx_request_message(request));\n\n"
		"\tif (in)\n\t\thandlers->%s(handlers->arg, request, in);\n"
		"\telse\n\t\t(void)phx_reply_status(request, PHX_INTERNAL, "
		"\"request has another type\", NULL);\n}\n\n",
		s->c, m->name, s->c, s->c, m->input->c, m->input->c, m->name);
}

static void service_methods(struct gen *g, const struct model_service *s)
{
	text_printf(&g->c, "static const char *const %s_names[] = {\n", s->c);
	for (uint32_t i = 0; i < s->method_count; i++)
		text_printf(&g->c, "\t\"%s\",\n", s->methods[i].name);
	text_printf(&g->c, "};\nstatic const struct phx_type *const %s_inputs[] = {\n", s->c);
	for (uint32_t i = 0; i < s->method_count; i++)
		text_printf(&g->c, "\t&%s_phx_type,\n", s->methods[i].input->c);
	text_printf(&g->c, "};\nstatic const struct phx_type *const %s_outputs[] = {\n", s->c);
	for (uint32_t i = 0; i < s->method_count; i++)
		text_printf(&g->c, "\t&%s_phx_type,\n", s->methods[i].output->c);
	text_printf(&g->c, "};\n");
}

void gen_service_source(struct gen *g, const struct model_service *s)
{
	uint32_t index = (uint32_t)(s - g->file->services);

	if (s->method_count)
		service_methods(g, s);
	text_printf(&g->c, "const struct phx_service %s_service = {\n\t\"%s\", &%s_file, %u, %u, ",
		s->c, s->full, g->file->c, index, s->method_count);
	if (s->method_count)
		text_printf(&g->c, "%s_names, %s_inputs, %s_outputs,\n};\n\n", s->c, s->c, s->c);
	else
		text_printf(&g->c, "0, 0, 0,\n};\n\n");
	for (uint32_t i = 0; i < s->method_count; i++)
		if (!(s->methods[i].flags & STREAMS))
			dispatch(g, s, &s->methods[i]);
	text_printf(&g->c,
		"int %s_register(struct phx_server *server, const char *group, const struct "
		"%s_handlers *handlers,\n\tstruct phx_status *out_status)\n{\n"
		"\tphx_handler_fn fns[%u] = {0};\n\n",
		s->c, s->c, s->method_count ? s->method_count : 1);
	for (uint32_t i = 0; i < s->method_count; i++)
		if (!(s->methods[i].flags & STREAMS))
			text_printf(&g->c, "\tif (handlers->%s)\n\t\tfns[%u] = %s_dispatch_%s;\n",
				s->methods[i].name, i, s->c, s->methods[i].name);
	text_printf(&g->c,
		"\treturn phx_server_add(server, group, &%s_service, fns, (void "
		"*)(uintptr_t)handlers, "
		"out_status);\n}\n\n",
		s->c);
}

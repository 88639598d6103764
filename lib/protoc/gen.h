// SPDX-License-Identifier: BSD-3-Clause
// The generator: one .proto file to x.phx.h and x.phx.c. Every C name it defines passes through
// gen_name(), which refuses the second owner of a name. Single thread.
#pragma once

#include "lib/protoc/model.h"

struct gen {
	struct model *model;
	struct arena *arena;
	struct model_file *file;
	struct text h;
	struct text c;
	struct names names; // functions, objects, constants
	struct names tags;  // structs
	const char *error;  // the first one
};

// Generate g->file into g->h and g->c. False: g->error says why.
bool gen_file(struct gen *g);
void gen_fini(struct gen *g);

// Remember the first error.
void gen_fail(struct gen *g, const char *format, ...) PHX_PRINTF(2, 3);
// A C name that is about to be defined for `what`; an error when it has an owner.
const char *gen_name(struct gen *g, const char *what, const char *format, ...) PHX_PRINTF(3, 4);

// Type of a field's values in accessors ("int32_t", "struct phx_str", "pkg_Color").
const char *gen_value_type(const struct model_field *f, struct arena *arena);
// Whether the value is passed as phx_str or phx_bytes.
bool gen_is_leaf(const struct model_field *f);

// The parts of a header (gen_struct.c, gen_read.c, gen_build.c, gen_list.c, gen_service.c).
void gen_enum(struct gen *g, const struct model_enum *e);
void gen_struct(struct gen *g, const struct model_message *m);
void gen_message_move(struct gen *g, const struct model_message *m);
void gen_message_root(struct gen *g, const struct model_message *m);
void gen_read(struct gen *g, const struct model_message *m, const struct model_field *f);
void gen_oneof(struct gen *g, const struct model_message *m, uint32_t oneof);
void gen_build(struct gen *g, const struct model_message *m, const struct model_field *f);
void gen_list(struct gen *g, const struct model_message *m, const struct model_field *f);
void gen_map(struct gen *g, const struct model_message *m, const struct model_field *f);
void gen_service_header(struct gen *g, const struct model_service *s);
void gen_service_source(struct gen *g, const struct model_service *s);
// The table of the file with everything it reaches (gen_source.c).
void gen_source(struct gen *g);

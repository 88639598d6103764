// SPDX-License-Identifier: BSD-3-Clause
// An error of the control API: a JSON-RPC code or a phx_code, one line of text and
// the details of operators' tools (data: status, field, value, candidates, hint,
// retryable). Single owner; made where the cause is known, sent once.
#pragma once

#include "lib/base/compiler.h"
#include "lib/base/status.h"

#include <jansson.h>

// Protocol errors (JSON-RPC 2.0, section 5.1); all others are enum phx_code.
enum phx_ctl_code {
	PHX_CTL_PARSE = -32700,
	PHX_CTL_INVALID_REQUEST = -32600,
	PHX_CTL_METHOD_NOT_FOUND = -32601,
	PHX_CTL_INVALID_PARAMS = -32602,
	PHX_CTL_INTERNAL = -32603,
};

#define PHX_CTL_ERROR_TEXT 256

struct phx_ctl_error {
	int code;		       // 0: no error
	char text[PHX_CTL_ERROR_TEXT]; // one line, UTF-8, cut at the end when longer
	json_t *data;		       // owned; NULL until a detail was added
};

#define PHX_CTL_ERROR_INIT ((struct phx_ctl_error){0})

// Release the details; the struct may be set again.
void phx_ctl_error_fini(struct phx_ctl_error *e);

// Replace whatever e said. Returns -EINVAL, so that `return phx_ctl_error_set(...)` is
// the usual way out of a check.
int phx_ctl_error_set(struct phx_ctl_error *e, int code, const char *fmt, ...) PHX_PRINTF(3, 4);

// Add one member of data; takes the value, which may be NULL (then nothing happens).
void phx_ctl_error_add(struct phx_ctl_error *e, const char *key, json_t *take_value);

// Add field and value; value is borrowed, may be NULL, and is left out above 256 bytes.
void phx_ctl_error_field(struct phx_ctl_error *e, const char *field, json_t *value);

// Name of a code as in data.status: "PARSE", "NOT_FOUND", ... Static.
const char *phx_ctl_code_name(int code);

// The JSON-RPC error object (new reference), NULL when out of memory.
json_t *phx_ctl_error_json(const struct phx_ctl_error *e);

// Fill e from the error object of a response. Anything malformed becomes code
// PHX_CTL_INTERNAL with a text that says so. Borrows error.
void phx_ctl_error_from_json(struct phx_ctl_error *e, json_t *error);

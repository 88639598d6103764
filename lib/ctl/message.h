// SPDX-License-Identifier: BSD-3-Clause
// JSON-RPC 2.0 messages (jsonrpc.org/specification): one text to a checked request,
// results and errors to responses. Pure functions; any thread.
#pragma once

#include "lib/ctl/error.h"

#include <stdbool.h>

struct phx_ctl_request {
	json_t *id;	    // own reference: string or integer; NULL for a notification
	const char *method; // lives as long as the message that was checked
	json_t *params;	    // own reference: always an object, empty when absent
};

// Parse one frame. Duplicate keys, NUL and bytes that are not UTF-8 are refused. 0 and
// a new reference (object or array), or -EINVAL with code PHX_CTL_PARSE in e.
int phx_ctl_message_parse(
	const char *text, size_t len, json_t **out_message, struct phx_ctl_error *e);

// Check one request object: jsonrpc "2.0", method a string, id absent, a string of at
// most JSON_ID_BYTES or an integer, params absent or an object, nothing else. 0, or
// -EINVAL with e set; then out->id is the id where it could be read, else NULL.
int phx_ctl_request_check(json_t *message, struct phx_ctl_request *out, struct phx_ctl_error *e);
void phx_ctl_request_fini(struct phx_ctl_request *r);

// A request text. id < 0: a notification. params is borrowed and may be NULL.
json_t *phx_ctl_request_json(json_int_t id, const char *method, json_t *params);

// Responses; id is borrowed, NULL prints null. NULL when out of memory.
json_t *phx_ctl_response_result(json_t *id, json_t *take_result);
json_t *phx_ctl_response_error(json_t *id, const struct phx_ctl_error *e);

// SPDX-License-Identifier: BSD-3-Clause
// Checks and builders for JSON-RPC messages; used by server.c and client.c.
#include "lib/ctl/message.h"

#include "lib/base/limits.h"

#include <errno.h>
#include <string.h>

int phx_ctl_message_parse(
	const char *text, size_t len, json_t **out_message, struct phx_ctl_error *e)
{
	json_error_t why;
	json_t *message = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (message == NULL)
		return phx_ctl_error_set(
			e, PHX_CTL_PARSE, "line %d, column %d: %s", why.line, why.column, why.text);
	*out_message = message;
	return 0;
}

static int request_id(json_t *id, struct phx_ctl_request *out, struct phx_ctl_error *e)
{
	if (id == NULL)
		return 0;
	if (json_is_integer(id) ||
		(json_is_string(id) && json_string_length(id) <= PHX_LIMIT_JSON_ID_BYTES)) {
		out->id = json_incref(id);
		return 0;
	}
	(void)phx_ctl_error_set(e, PHX_CTL_INVALID_REQUEST,
		"id must be an integer or a string of at most %d bytes", PHX_LIMIT_JSON_ID_BYTES);
	phx_ctl_error_field(e, "id", id);
	return -EINVAL;
}

static int request_params(json_t *params, struct phx_ctl_request *out, struct phx_ctl_error *e)
{
	if (params != NULL && !json_is_object(params)) {
		(void)phx_ctl_error_set(e, PHX_CTL_INVALID_PARAMS, "params must be an object");
		phx_ctl_error_field(e, "params", NULL);
		return -EINVAL;
	}
	out->params = params != NULL ? json_incref(params) : json_object();
	return 0;
}

static int request_members(json_t *message, struct phx_ctl_error *e)
{
	static const char *const known[] = {"jsonrpc", "id", "method", "params"};
	const char *key;
	json_t *value;

	json_object_foreach(message, key, value)
	{
		size_t i = 0;

		while (i < PHX_ARRAY_LEN(known) && strcmp(key, known[i]) != 0)
			i++;
		if (i < PHX_ARRAY_LEN(known))
			continue;
		(void)phx_ctl_error_set(e, PHX_CTL_INVALID_REQUEST, "unknown member '%s'", key);
		phx_ctl_error_field(e, key, NULL);
		return -EINVAL;
	}
	return 0;
}

int phx_ctl_request_check(json_t *message, struct phx_ctl_request *out, struct phx_ctl_error *e)
{
	const char *version = json_string_value(json_object_get(message, "jsonrpc"));
	int rc;

	*out = (struct phx_ctl_request){0};
	if (!json_is_object(message))
		return phx_ctl_error_set(e, PHX_CTL_INVALID_REQUEST, "a request is an object");
	rc = request_id(json_object_get(message, "id"), out, e);
	if (rc != 0)
		return rc;
	rc = request_members(message, e);
	if (rc != 0)
		return rc;
	if (version == NULL || strcmp(version, "2.0") != 0) {
		(void)phx_ctl_error_set(e, PHX_CTL_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
		phx_ctl_error_field(e, "jsonrpc", NULL);
		return -EINVAL;
	}
	out->method = json_string_value(json_object_get(message, "method"));
	if (out->method == NULL) {
		(void)phx_ctl_error_set(e, PHX_CTL_INVALID_REQUEST, "method must be a string");
		phx_ctl_error_field(e, "method", NULL);
		return -EINVAL;
	}
	return request_params(json_object_get(message, "params"), out, e);
}

void phx_ctl_request_fini(struct phx_ctl_request *r)
{
	json_decref(r->id);
	json_decref(r->params);
	*r = (struct phx_ctl_request){0};
}

json_t *phx_ctl_request_json(json_int_t id, const char *method, json_t *params)
{
	json_t *message = json_pack("{s:s}", "jsonrpc", "2.0");

	if (id >= 0)
		(void)json_object_set_new(message, "id", json_integer(id));
	(void)json_object_set_new(message, "method", json_string(method));
	if (params != NULL)
		(void)json_object_set(message, "params", params);
	return message;
}

json_t *phx_ctl_response_result(json_t *id, json_t *take_result)
{
	return json_pack("{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, "result", take_result);
}

json_t *phx_ctl_response_error(json_t *id, const struct phx_ctl_error *e)
{
	// What failed without a word had no memory for its checks.
	static const struct phx_ctl_error no_memory = {
		.code = PHX_RESOURCE_EXHAUSTED, .text = "out of memory"};

	if (e->code == PHX_OK)
		e = &no_memory;
	return json_pack(
		"{s:s, s:O?, s:o}", "jsonrpc", "2.0", "id", id, "error", phx_ctl_error_json(e));
}

// SPDX-License-Identifier: BSD-3-Clause
// Building, printing and reading the errors of the control API.
#include "lib/ctl/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERROR_VALUE_BYTES 256

void phx_ctl_error_fini(struct phx_ctl_error *e)
{
	json_decref(e->data);
	*e = PHX_CTL_ERROR_INIT;
}

// vsnprintf may cut a multi-byte character: JSON strings must be UTF-8.
static void error_trim_utf8(char *text)
{
	size_t len = strlen(text);
	size_t start = len;

	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	unsigned char lead = (unsigned char)text[start - 1];
	size_t need = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (len - (start - 1) < need)
		text[start - 1] = '\0';
}

int phx_ctl_error_set(struct phx_ctl_error *e, int code, const char *fmt, ...)
{
	va_list ap;

	json_decref(e->data);
	e->data = NULL;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); // longer texts are cut
	va_end(ap);
	error_trim_utf8(e->text);
	return -EINVAL;
}

void phx_ctl_error_add(struct phx_ctl_error *e, const char *key, json_t *take_value)
{
	if (take_value == NULL)
		return;
	if (e->data == NULL)
		e->data = json_object();
	// Details are best effort: without memory the error goes out without them.
	(void)json_object_set_new(e->data, key, take_value);
}

void phx_ctl_error_field(struct phx_ctl_error *e, const char *field, json_t *value)
{
	phx_ctl_error_add(e, "field", json_string(field));
	if (value == NULL || json_dumpb(value, NULL, 0, JSON_ENCODE_ANY) > ERROR_VALUE_BYTES)
		return;
	phx_ctl_error_add(e, "value", json_incref(value));
}

const char *phx_ctl_code_name(int code)
{
	switch (code) {
	case PHX_CTL_PARSE:
		return "PARSE";
	case PHX_CTL_INVALID_REQUEST:
		return "INVALID_REQUEST";
	case PHX_CTL_METHOD_NOT_FOUND:
		return "METHOD_NOT_FOUND";
	case PHX_CTL_INVALID_PARAMS:
		return "INVALID_PARAMS";
	case PHX_CTL_INTERNAL:
		return "INTERNAL";
	default:
		return phx_code_name((unsigned)code);
	}
}

json_t *phx_ctl_error_json(const struct phx_ctl_error *e)
{
	json_t *data = json_pack("{s:s, s:b}", "status", phx_ctl_code_name(e->code), "retryable",
		e->code == PHX_UNAVAILABLE);
	json_t *text = json_string(e->text);

	if (text == NULL) // the text quoted bytes that are not UTF-8
		text = json_string("error text is not UTF-8");
	if (e->data != NULL)
		(void)json_object_update(data, e->data); // best effort, see phx_ctl_error_add
	return json_pack("{s:i, s:o, s:o}", "code", e->code, "message", text, "data", data);
}

void phx_ctl_error_from_json(struct phx_ctl_error *e, json_t *error)
{
	json_t *code = json_object_get(error, "code");
	json_t *data = json_object_get(error, "data");
	const char *text = json_string_value(json_object_get(error, "message"));

	if (!json_is_integer(code) || text == NULL || json_integer_value(code) == 0 ||
		json_integer_value(code) < INT32_MIN || json_integer_value(code) > INT32_MAX) {
		(void)phx_ctl_error_set(e, PHX_CTL_INTERNAL, "malformed error in the response");
		return;
	}
	(void)phx_ctl_error_set(e, (int)json_integer_value(code), "%s", text);
	if (json_is_object(data))
		e->data = json_copy(data);
}

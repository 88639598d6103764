// SPDX-License-Identifier: BSD-3-Clause
// The generic validator: checks parameters against the method table and says which
// field is wrong, what it was and what would be accepted.
#include "lib/base/limits.h"
#include "lib/ctl/address.h"
#include "lib/ctl/method.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 160
#define WORDS_MAX  64

const char *phx_ctl_type_name(enum phx_ctl_type type)
{
	switch (type) {
	case PHX_CTL_BOOL:
		return "boolean";
	case PHX_CTL_INT:
		return "integer";
	case PHX_CTL_GENERATION:
		return "generation (a decimal number in a string)";
	case PHX_CTL_NAME:
		return "name";
	case PHX_CTL_GLOB:
		return "glob";
	case PHX_CTL_TEXT:
		return "text";
	case PHX_CTL_ENUM:
		return "word";
	case PHX_CTL_ADDRESS:
		return "address (IP:PORT)";
	case PHX_CTL_NETWORK:
		return "network (IP or IP/BITS)";
	case PHX_CTL_PATH:
		return "absolute path";
	case PHX_CTL_NUMBER:
		return "number";
	case PHX_CTL_MAP:
		return "object of texts";
	case PHX_CTL_OBJECT:
		return "object";
	case PHX_CTL_ARRAY:
		return "array";
	case PHX_CTL_DOCUMENT:
		return "document";
	}
	return "?";
}

static int fail_type(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	(void)phx_ctl_error_set(e, PHX_CTL_INVALID_PARAMS, "%s: must be a valid %s", path,
		phx_ctl_type_name(p->type));
	phx_ctl_error_field(e, path, value);
	return -EINVAL;
}

static int fail_range(const struct phx_ctl_param *p, const char *path, json_t *value,
	const char *what, struct phx_ctl_error *e)
{
	(void)phx_ctl_error_set(e, PHX_CTL_INVALID_PARAMS, "%s: %s must be in %lld..%lld%s%s", path,
		what, (long long)p->min, (long long)p->max, p->unit != NULL ? " " : "",
		p->unit != NULL ? p->unit : "");
	phx_ctl_error_field(e, path, value);
	phx_ctl_error_add(e, "limit",
		json_pack("{s:I, s:I}", "min", (json_int_t)p->min, "max", (json_int_t)p->max));
	return -EINVAL;
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool name_ok(const char *s, size_t len)
{
	if (len == 0 || len > PHX_CTL_NAME_BYTES || !name_char(s[0]) || strchr("._-", s[0]) != NULL)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!name_char(s[i]))
			return false;
	return true;
}

static bool glob_ok(const char *s, size_t len)
{
	if (len == 0 || len > PHX_LIMIT_NAME_BYTES)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!name_char(s[i]) && s[i] != '*' && s[i] != '?' && s[i] != '/')
			return false;
	return true;
}

static bool generation_ok(const char *s)
{
	char *end;

	if (s[0] < '0' || s[0] > '9' || (s[0] == '0' && s[1] != '\0'))
		return false;
	errno = 0;
	(void)strtoull(s, &end, 10); // only its range matters here
	return *end == '\0' && errno == 0;
}

static bool text_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

// True when word is one of "a|b|c".
static bool word_among(const char *word, const char *values)
{
	size_t len = strlen(word);

	for (const char *v = values; v != NULL; v = strchr(v, '|')) {
		v += *v == '|';
		if (strncmp(v, word, len) == 0 && (v[len] == '|' || v[len] == '\0'))
			return len > 0;
	}
	return false;
}

static int check_enum(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	if (word_among(json_string_value(value), p->values))
		return 0;
	(void)phx_ctl_error_set(
		e, PHX_CTL_INVALID_PARAMS, "%s: must be one of %s", path, p->values);
	phx_ctl_error_field(e, path, value);

	json_t *candidates = json_array();
	for (const char *v = p->values; v != NULL; v = strchr(v, '|')) {
		v += *v == '|';
		(void)json_array_append_new(candidates, json_stringn(v, strcspn(v, "|")));
	}
	phx_ctl_error_add(e, "candidates", candidates);
	return -EINVAL;
}

static int check_string(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	const char *s = json_string_value(value);
	size_t len = json_string_length(value);
	bool ok = false;

	switch (p->type) {
	case PHX_CTL_NAME:
		ok = name_ok(s, len);
		break;
	case PHX_CTL_GLOB:
		ok = glob_ok(s, len);
		break;
	case PHX_CTL_GENERATION:
		ok = generation_ok(s);
		break;
	case PHX_CTL_ADDRESS:
		ok = phx_ctl_address_parse(s, NULL) == 0;
		break;
	case PHX_CTL_NETWORK:
		ok = phx_ctl_network_parse(s, NULL) == 0;
		break;
	case PHX_CTL_PATH:
		ok = s[0] == '/' && len < PATH_MAX && text_ok(s, len);
		break;
	case PHX_CTL_ENUM:
		return check_enum(p, path, value, e);
	case PHX_CTL_TEXT:
		if ((int64_t)len < p->min || (int64_t)len > p->max)
			return fail_range(p, path, value, "length in bytes", e);
		ok = text_ok(s, len);
		break;
	case PHX_CTL_BOOL:
	case PHX_CTL_INT:
	case PHX_CTL_NUMBER:
	case PHX_CTL_MAP:
	case PHX_CTL_OBJECT:
	case PHX_CTL_ARRAY:
	case PHX_CTL_DOCUMENT:
		break;
	}
	return ok ? 0 : fail_type(p, path, value, e);
}

static int check_map(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	static const struct phx_ctl_param text = {
		.type = PHX_CTL_TEXT, .min = 0, .max = PHX_LIMIT_NAME_BYTES};
	char sub[PATH_BYTES];
	const char *key;
	json_t *member;

	if ((int64_t)json_object_size(value) > p->max)
		return fail_range(p, path, NULL, "number of members", e);
	json_object_foreach(value, key, member)
	{
		(void)snprintf(sub, sizeof(sub), "%s.%s", path, key); // a long path is cut
		if (!name_ok(key, strlen(key))) {
			(void)phx_ctl_error_set(
				e, PHX_CTL_INVALID_PARAMS, "%s: a key must be a valid name", path);
			phx_ctl_error_field(e, path, NULL);
			return -EINVAL;
		}
		int rc = json_is_string(member) ? check_string(&text, sub, member, e)
						: fail_type(&text, sub, member, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int check_array(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	char sub[PATH_BYTES];
	json_t *item;
	size_t i;

	if ((int64_t)json_array_size(value) > p->max)
		return fail_range(p, path, NULL, "number of elements", e);
	json_array_foreach(value, i, item)
	{
		(void)snprintf(sub, sizeof(sub), "%s[%zu]", path, i); // a long path is cut
		int rc = phx_ctl_param_validate(&p->fields[0], sub, item, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int check_object(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	char prefix[PATH_BYTES];

	if (p->fields == NULL)
		return 0;
	(void)snprintf(prefix, sizeof(prefix), "%s.", path); // a long path is cut
	return phx_ctl_params_validate(p->fields, NULL, prefix, value, e);
}

int phx_ctl_param_validate(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e)
{
	switch (p->type) {
	case PHX_CTL_BOOL:
		return json_is_boolean(value) ? 0 : fail_type(p, path, value, e);
	case PHX_CTL_INT:
		if (!json_is_integer(value))
			return fail_type(p, path, value, e);
		if (json_integer_value(value) < p->min || json_integer_value(value) > p->max)
			return fail_range(p, path, value, "value", e);
		return 0;
	case PHX_CTL_NUMBER:
		if (!json_is_number(value))
			return fail_type(p, path, value, e);
		if (!(json_number_value(value) >= 0) ||
			!(json_number_value(value) <= (double)p->max))
			return fail_range(p, path, value, "value", e);
		return 0;
	case PHX_CTL_MAP:
		return json_is_object(value) ? check_map(p, path, value, e)
					     : fail_type(p, path, value, e);
	case PHX_CTL_DOCUMENT:
		return json_is_object(value) ? 0 : fail_type(p, path, value, e);
	case PHX_CTL_OBJECT:
		return json_is_object(value) ? check_object(p, path, value, e)
					     : fail_type(p, path, value, e);
	case PHX_CTL_ARRAY:
		return json_is_array(value) ? check_array(p, path, value, e)
					    : fail_type(p, path, value, e);
	case PHX_CTL_GENERATION:
	case PHX_CTL_NAME:
	case PHX_CTL_GLOB:
	case PHX_CTL_TEXT:
	case PHX_CTL_ENUM:
	case PHX_CTL_ADDRESS:
	case PHX_CTL_NETWORK:
	case PHX_CTL_PATH:
		return json_is_string(value) ? check_string(p, path, value, e)
					     : fail_type(p, path, value, e);
	}
	return fail_type(p, path, value, e);
}

static const struct phx_ctl_param *find_param(const struct phx_ctl_param *list, const char *name)
{
	for (; list != NULL && list->name != NULL; list++)
		if (strcmp(list->name, name) == 0)
			return list;
	return NULL;
}

static int fail_unknown(const struct phx_ctl_param *fields, const struct phx_ctl_param *common,
	const char *prefix, const char *key, struct phx_ctl_error *e)
{
	const char *words[WORDS_MAX];
	char path[PATH_BYTES];
	size_t count = 0;

	for (const struct phx_ctl_param *p = fields; p->name != NULL && count < WORDS_MAX; p++)
		words[count++] = p->name;
	for (const struct phx_ctl_param *p = common; p != NULL && p->name != NULL; p++)
		if (count < WORDS_MAX)
			words[count++] = p->name;

	const char *nearest = phx_ctl_nearest(key, words, count);

	(void)snprintf(path, sizeof(path), "%s%s", prefix, key); // a long path is cut
	(void)phx_ctl_error_set(e, PHX_CTL_INVALID_PARAMS, "%s: unknown parameter%s%s%s", path,
		nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
		nearest != NULL ? "'?" : "");
	phx_ctl_error_field(e, path, NULL);
	if (nearest != NULL)
		phx_ctl_error_add(e, "candidates", json_pack("[s]", nearest));
	return -EINVAL;
}

int phx_ctl_params_validate(const struct phx_ctl_param *fields, const struct phx_ctl_param *common,
	const char *prefix, json_t *object, struct phx_ctl_error *e)
{
	char path[PATH_BYTES];
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		const struct phx_ctl_param *p = find_param(fields, key);

		if (p == NULL)
			p = find_param(common, key);
		if (p == NULL)
			return fail_unknown(fields, common, prefix, key, e);
		(void)snprintf(path, sizeof(path), "%s%s", prefix, key); // a long path is cut
		int rc = phx_ctl_param_validate(p, path, value, e);
		if (rc != 0)
			return rc;
	}
	for (const struct phx_ctl_param *p = fields; p->name != NULL; p++) {
		if (!p->required || json_object_get(object, p->name) != NULL)
			continue;
		(void)snprintf(path, sizeof(path), "%s%s", prefix, p->name); // a long path is cut
		(void)phx_ctl_error_set(e, PHX_CTL_INVALID_PARAMS, "%s: is required (%s)", path,
			phx_ctl_type_name(p->type));
		phx_ctl_error_field(e, path, NULL);
		return -EINVAL;
	}
	return 0;
}

int phx_ctl_method_validate(const struct phx_ctl_method *m, json_t *params, struct phx_ctl_error *e)
{
	return phx_ctl_params_validate(m->params, phx_ctl_method_common(m), "", params, e);
}

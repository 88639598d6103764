// SPDX-License-Identifier: BSD-3-Clause
// Conversions for value.h. Works with value_number.c.
#include "cli/value.h"

#include "cli/value_number.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAME_BYTES 256
#define FILE_BYTES ((size_t)PHX_LIMIT_JSON_IN_BYTES)

static int fail(struct phx_ctl_error *e, const struct phx_ctl_param *p, const char *what)
{
	return phx_ctl_error_set(e, PHX_INVALID_ARGUMENT, "%s: %s", p->name, what);
}

// A string of JSON; -EINVAL when the bytes are not UTF-8.
static int to_string(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	*out = json_string(word);
	return *out != NULL ? 0 : fail(e, p, "is not UTF-8");
}

static int to_bool(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; i < PHX_ARRAY_LEN(yes); i++) {
		if (strcasecmp(word, yes[i]) == 0 || strcasecmp(word, no[i]) == 0) {
			*out = json_boolean(strcasecmp(word, yes[i]) == 0);
			return 0;
		}
	}
	return fail(e, p, "must be yes or no");
}

static int to_int(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	char why[128];
	int64_t value;

	if (value_number(word, p->unit, &value, why, sizeof(why)) != 0)
		return fail(e, p, why);
	*out = json_integer(value);
	return *out != NULL ? 0 : -ENOMEM;
}

static int to_real(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	char *end;
	double value = strtod(word, &end);

	if (end == word || *end != '\0')
		return fail(e, p, "must be a number");
	*out = json_real(value); // NULL when not finite
	return *out != NULL ? 0 : fail(e, p, "must be a number");
}

static int to_json(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	json_error_t error;

	*out = json_loads(word, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (*out != NULL)
		return 0;
	return phx_ctl_error_set(e, PHX_INVALID_ARGUMENT, "%s: no valid JSON: %s at column %d",
		p->name, error.text, error.column);
}

// A member that no table describes: JSON where it is, else text.
static int to_any(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	*out = json_loads(word, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	return *out != NULL ? 0 : to_string(p, word, out, e);
}

// The control plane works in another directory.
static int to_path(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	char *here;

	if (word[0] == '/' || word[0] == '\0')
		return to_string(p, word, out, e);
	here = getcwd(NULL, 0);
	if (here == NULL)
		return fail(e, p, "is relative to a directory that has no name");
	*out = json_sprintf("%s/%s", here, word);
	free(here);
	return *out != NULL ? 0 : fail(e, p, "is not UTF-8");
}

static int to_scalar(
	const struct phx_ctl_param *p, const char *word, json_t **out, struct phx_ctl_error *e)
{
	switch (p->type) {
	case PHX_CTL_BOOL:
		return to_bool(p, word, out, e);
	case PHX_CTL_INT:
		return to_int(p, word, out, e);
	case PHX_CTL_NUMBER:
		return to_real(p, word, out, e);
	case PHX_CTL_GENERATION:
	case PHX_CTL_NAME:
	case PHX_CTL_GLOB:
	case PHX_CTL_TEXT:
	case PHX_CTL_ENUM:
	case PHX_CTL_ADDRESS:
	case PHX_CTL_NETWORK:
		return to_string(p, word, out, e);
	case PHX_CTL_PATH:
		return to_path(p, word, out, e);
	case PHX_CTL_MAP:
	case PHX_CTL_OBJECT:
	case PHX_CTL_ARRAY:
	case PHX_CTL_DOCUMENT:
		return to_json(p, word, out, e);
	}
	return -EINVAL;
}

static int put_scalar(
	json_t *object, const struct phx_ctl_param *p, const char *word, struct phx_ctl_error *e)
{
	json_t *value = NULL;
	int rc;

	if (json_object_get(object, p->name) != NULL)
		return fail(e, p, "is given twice");
	rc = to_scalar(p, word, &value, e);
	if (rc == 0)
		rc = json_object_set_new(object, p->name, value) == 0 ? 0 : -ENOMEM;
	return rc;
}

// The container under the name, made when it is not there. Borrowed; NULL without memory or
// when something else is there.
static json_t *container(json_t *object, const char *name, json_t *take_empty)
{
	json_t *have = json_object_get(object, name);
	json_type type = json_typeof(take_empty);

	if (have == NULL)
		return json_object_set_new(object, name, take_empty) == 0 ? take_empty : NULL;
	json_decref(take_empty);
	return json_typeof(have) == type ? have : NULL;
}

static int put_array(
	json_t *object, const struct phx_ctl_param *p, const char *word, struct phx_ctl_error *e)
{
	json_t *array = container(object, p->name, json_array());
	const char *end;
	int rc = 0;

	if (array == NULL)
		return -ENOMEM;
	if (word[0] == '[') {
		json_t *more = NULL;

		rc = to_json(p, word, &more, e);
		if (rc == 0 && json_array_extend(array, more) != 0)
			rc = -ENOMEM;
		json_decref(more);
		return rc;
	}
	if (p->fields[0].type == PHX_CTL_OBJECT || p->fields[0].type == PHX_CTL_MAP) {
		json_t *holder = json_object();

		rc = value_put(holder, &p->fields[0], NULL, word, e);
		if (rc == 0)
			rc = json_array_append(array, json_object_get(holder, p->fields[0].name));
		json_decref(holder);
		return rc;
	}
	for (; rc == 0 && *word != '\0'; word = end + (*end == ',')) {
		char *item;
		json_t *value = NULL;

		end = word + strcspn(word, ",");
		item = strndup(word, (size_t)(end - word));
		rc = item != NULL ? to_scalar(&p->fields[0], item, &value, e) : -ENOMEM;
		if (rc == 0)
			rc = json_array_append_new(array, value) == 0 ? 0 : -ENOMEM;
		free(item);
	}
	return rc;
}

static int put_member(json_t *object, const struct phx_ctl_param *p, const char *path,
	const char *word, struct phx_ctl_error *e);

// key=value,key=value
static int put_members(
	json_t *inner, const struct phx_ctl_param *p, const char *word, struct phx_ctl_error *e)
{
	const char *end;
	int rc = 0;

	for (; rc == 0 && *word != '\0'; word = end + (*end == ',')) {
		char *item, *value;

		end = word + strcspn(word, ",");
		item = strndup(word, (size_t)(end - word));
		if (item == NULL)
			return -ENOMEM;
		value = strchr(item, '=');
		if (value != NULL) {
			*value++ = '\0';
			rc = put_member(inner, p, item, value, e);
		} else {
			rc = fail(e, p, "must be KEY=VALUE,... or JSON");
		}
		free(item);
	}
	return rc;
}

static int put_object(json_t *object, const struct phx_ctl_param *p, const char *rest,
	const char *word, struct phx_ctl_error *e)
{
	json_t *inner = container(object, p->name, json_object());
	json_t *more = NULL;
	int rc;

	if (inner == NULL)
		return -ENOMEM;
	if (rest != NULL)
		return put_member(inner, p, rest, word, e);
	if (word[0] != '{')
		return put_members(inner, p, word, e);
	rc = to_json(p, word, &more, e);
	if (rc == 0 && json_object_update(inner, more) != 0)
		rc = -ENOMEM;
	json_decref(more);
	return rc;
}

// One member of an object or map; p describes the whole.
static int put_member(json_t *object, const struct phx_ctl_param *p, const char *path,
	const char *word, struct phx_ctl_error *e)
{
	char name[NAME_BYTES];
	size_t len = p->type == PHX_CTL_MAP ? strlen(path) : strcspn(path, ".");
	struct phx_ctl_param any = {.name = name, .type = PHX_CTL_TEXT};
	json_t *value = NULL;
	int rc;

	if (len == 0 || len >= sizeof(name))
		return fail(e, p, "a key is missing or too long");
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
	for (const struct phx_ctl_param *f = p->fields; f != NULL && f->name != NULL; f++)
		if (strcmp(f->name, name) == 0)
			return value_put(
				object, f, path[len] == '.' ? path + len + 1 : NULL, word, e);
	if (p->type == PHX_CTL_MAP || p->fields != NULL)
		return put_scalar(object, &any, word, e); // the validator knows the names
	if (path[len] == '.') {
		any.type = PHX_CTL_OBJECT;
		return put_object(object, &any, path + len + 1, word, e);
	}
	rc = to_any(&any, word, &value, e);
	if (rc == 0)
		rc = json_object_set_new(object, name, value) == 0 ? 0 : -ENOMEM;
	return rc;
}

// The bytes of a file, without the newline at its end. malloc()ed.
static int read_file(const char *path, char **out_text, struct phx_ctl_error *e)
{
	FILE *f = fopen(path, "re");
	char *text = malloc(FILE_BYTES + 2);
	size_t len = 0;
	int rc = 0;

	if (f == NULL || text == NULL) {
		rc = f == NULL ? -errno : -ENOMEM;
	} else {
		len = fread(text, 1, FILE_BYTES + 1, f);
		rc = ferror(f) ? -EIO : len > FILE_BYTES ? -EFBIG : 0;
	}
	if (f != NULL)
		(void)fclose(f); // was only read
	if (rc != 0) {
		(void)phx_ctl_error_set(e, PHX_UNKNOWN, "cannot read %s: %s", path, strerror(-rc));
		free(text);
		return -EIO;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	text[len] = '\0';
	*out_text = text;
	return 0;
}

int value_put(json_t *object, const struct phx_ctl_param *p, const char *rest, const char *word,
	struct phx_ctl_error *e)
{
	char *text = NULL;
	int rc = 0;

	if (word[0] == '@' && word[1] == '@')
		word++;
	else if (word[0] == '@')
		rc = read_file(word + 1, &text, e);
	if (rc == 0 && p->type == PHX_CTL_DOCUMENT && text == NULL && rest == NULL &&
		word[0] != '{')
		rc = read_file(word, &text, e);
	if (rc != 0)
		return rc;
	if (text != NULL)
		word = text + strspn(text, " \t\r\n");
	if (p->type == PHX_CTL_OBJECT || p->type == PHX_CTL_MAP)
		rc = put_object(object, p, rest, word, e);
	else if (rest != NULL)
		rc = fail(e, p, "has no members");
	else if (p->type == PHX_CTL_ARRAY)
		rc = put_array(object, p, word, e);
	else
		rc = put_scalar(object, p, word, e);
	free(text);
	return rc;
}

const char *value_hint(const struct phx_ctl_param *p)
{
	switch (p->type) {
	case PHX_CTL_BOOL:
		return "yes|no";
	case PHX_CTL_INT:
		return value_number_hint(p->unit);
	case PHX_CTL_GENERATION:
		return "N";
	case PHX_CTL_NAME:
		return "NAME";
	case PHX_CTL_GLOB:
		return "GLOB";
	case PHX_CTL_TEXT:
		return "TEXT";
	case PHX_CTL_ENUM:
		return p->values;
	case PHX_CTL_ADDRESS:
		return "IP:PORT";
	case PHX_CTL_NETWORK:
		return "IP/BITS";
	case PHX_CTL_PATH:
	case PHX_CTL_DOCUMENT:
		return "FILE";
	case PHX_CTL_NUMBER:
		return "NUMBER";
	case PHX_CTL_MAP:
	case PHX_CTL_OBJECT:
		return "KEY=VALUE,...";
	case PHX_CTL_ARRAY:
		return "A,B,...";
	}
	return "?";
}

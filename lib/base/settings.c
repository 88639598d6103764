// SPDX-License-Identifier: BSD-3-Clause
// See settings.h.
#include "lib/base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES   64
#define ORIGIN_BYTES 512

int phx_settings_env(const struct option *options, phx_setting_fn fn, void *arg)
{
	for (const struct option *o = options; o->name != NULL; o++) {
		char name[NAME_BYTES];
		const char *value;
		int rc;

		if (o->has_arg != required_argument)
			continue;
		(void)snprintf(name, sizeof(name), "PHOENIX_%s", o->name); // our own names fit
		for (char *c = name; *c != '\0'; c++)
			*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
		value = getenv(name);
		rc = value != NULL && value[0] != '\0' ? fn(arg, o->val, value, name) : 0;
		if (rc != 0)
			return rc;
	}
	return 0;
}

// ---- files ----

static int fail(int rc, const char *path, const char *what, char *error, size_t error_size)
{
	(void)snprintf(error, error_size, "%s: %s", path, what);
	return rc;
}

// The whole file with a NUL behind it.
static int read_file(
	const char *path, char **out_text, size_t *out_size, char *error, size_t error_size)
{
	char *text = malloc(PHX_SETTINGS_BYTES + 2);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	size_t size = 0;
	ssize_t n = 1;

	if (text == NULL || fd < 0)
		rc = text == NULL ? -ENOMEM : -errno;
	while (rc == 0 && n > 0 && size <= PHX_SETTINGS_BYTES) {
		n = read(fd, text + size, PHX_SETTINGS_BYTES + 1 - size);
		if (n < 0)
			rc = -errno;
		else
			size += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd); // only read
	if (rc == 0 && size > PHX_SETTINGS_BYTES)
		rc = -E2BIG;
	if (rc != 0) {
		free(text);
		return fail(rc, path, strerror(-rc), error, error_size);
	}
	text[size] = '\0';
	*out_text = text;
	*out_size = size;
	return 0;
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

static const struct option *find(const struct option *options, const char *name)
{
	for (const struct option *o = options; o->name != NULL; o++)
		if (o->has_arg == required_argument && strcmp(o->name, name) == 0 &&
			strcmp(name, "settings") != 0)
			return o;
	return NULL;
}

// Cut a line in two. NULL: nothing stands in it, or an error.
static const struct option *parse_line(const struct option *options, char *line, char **out_value,
	const char *origin, int *rc, char *error, size_t error_size)
{
	const struct option *o;
	char what[NAME_BYTES + 32];
	char *equals;

	line = trim(line);
	if (line[0] == '\0' || line[0] == '#')
		return NULL;
	equals = strchr(line, '=');
	if (equals == NULL || trim(equals + 1)[0] == '\0') {
		*rc = fail(-EINVAL, origin, "must be: name = value", error, error_size);
		return NULL;
	}
	*equals = '\0';
	line = trim(line);
	o = find(options, line);
	if (o == NULL) {
		(void)snprintf(what, sizeof(what), "no such setting: %.*s", NAME_BYTES, line);
		*rc = fail(-EINVAL, origin, what, error, error_size);
		return NULL;
	}
	*out_value = trim(equals + 1);
	return o;
}

int phx_settings_file(const char *path, const struct option *options, phx_setting_fn fn, void *arg,
	char **out_text, char *error, size_t error_size)
{
	char *text = NULL, *next, *value = NULL, origin[ORIGIN_BYTES];
	unsigned number = 0;
	size_t size;
	int rc = read_file(path, &text, &size, error, error_size);

	*out_text = text;
	if (rc != 0)
		return rc;
	if (strlen(text) != size)
		rc = fail(-EINVAL, path, "has a NUL byte", error, error_size);
	for (char *line = text; rc == 0 && line != NULL; line = next) {
		const struct option *o;

		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		(void)snprintf(origin, sizeof(origin), "%s:%u", path, ++number);
		o = parse_line(options, line, &value, origin, &rc, error, error_size);
		if (o == NULL)
			continue;
		rc = fn(arg, o->val, value, origin);
	}
	return rc;
}

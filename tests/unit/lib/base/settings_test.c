// SPDX-License-Identifier: BSD-3-Clause
// Settings of the environment and of files: which are told, in which order, and what is refused.
#include "lib/base/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct option options[] = {
	{"workers", required_argument, NULL, 1},
	{"app-memory", required_argument, NULL, 2},
	{"settings", required_argument, NULL, 3},
	{"check", no_argument, NULL, 4},
	{NULL, 0, NULL, 0},
};

static char told[4096]; // "1=value@origin;" of each

static int note(void *arg, int val, const char *value, const char *origin)
{
	size_t len = strlen(told);

	(void)snprintf(told + len, sizeof(told) - len, "%d=%s@%s;", val, value, origin);
	return *(const int *)arg;
}

static char path[] = "/tmp/phx-settings.XXXXXX";

// Walk a file with these bytes; error holds what is wrong with it.
static int walk(const void *bytes, size_t size, int answer, char error[256])
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), rc;
	char *text = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	(void)close(fd);
	told[0] = error[0] = '\0';
	rc = phx_settings_file(path, options, note, &answer, &text, error, 256);
	free(text);
	return rc;
}

static void env_names_are_capitals_with_underscores(void **)
{
	int go_on = 0, stop = 7;

	assert_int_equal(setenv("PHOENIX_WORKERS", "4", 1), 0);
	assert_int_equal(setenv("PHOENIX_APP_MEMORY", "1G", 1), 0);
	assert_int_equal(setenv("PHOENIX_CHECK", "1", 1), 0); // takes no value: a flag alone
	told[0] = '\0';
	assert_int_equal(phx_settings_env(options, note, &go_on), 0);
	assert_string_equal(told, "1=4@PHOENIX_WORKERS;2=1G@PHOENIX_APP_MEMORY;");
	told[0] = '\0';
	assert_int_equal(phx_settings_env(options, note, &stop), 7);
	assert_string_equal(told, "1=4@PHOENIX_WORKERS;");
	assert_int_equal(setenv("PHOENIX_WORKERS", "", 1), 0); // not set
	told[0] = '\0';
	assert_int_equal(phx_settings_env(options, note, &go_on), 0);
	assert_string_equal(told, "2=1G@PHOENIX_APP_MEMORY;");
	assert_int_equal(unsetenv("PHOENIX_WORKERS"), 0);
	assert_int_equal(unsetenv("PHOENIX_APP_MEMORY"), 0);
	assert_int_equal(unsetenv("PHOENIX_CHECK"), 0);
}

static void file_lines_are_told_in_order_with_their_place(void **)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "  app-memory =  1 G # all of it \t\r\n"
				   "workers=2\n"
				   "\tworkers\t=\t3";
	char error[256], expected[512];

	assert_int_equal(walk(text, strlen(text), 0, error), 0);
	(void)snprintf(expected, sizeof(expected), "2=1 G # all of it@%s:3;1=2@%s:4;1=3@%s:5;",
		path, path, path);
	assert_string_equal(told, expected);
	assert_int_equal(walk(text, strlen(text), -EDOM, error), -EDOM);
	(void)snprintf(expected, sizeof(expected), "2=1 G # all of it@%s:3;", path);
	assert_string_equal(told, expected);
	assert_int_equal(walk("", 0, 0, error), 0);
	assert_string_equal(told, "");
}

static void file_that_is_wrong_is_refused_by_line(void **)
{
	static const struct {
		const char *text;
		const char *error; // behind the path
	} rows[] = {
		{"workers = 2\nwrokers = 3\n", ":2: no such setting: wrokers"},
		{"workers", ":1: must be: name = value"},
		{"workers =", ":1: must be: name = value"},
		{"\n\n= 3", ":3: no such setting: "},
		{"check = 1", ":1: no such setting: check"},
		{"settings = /etc/other", ":1: no such setting: settings"},
		{"app_memory = 1G", ":1: no such setting: app_memory"},
	};
	char error[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(walk(rows[i].text, strlen(rows[i].text), 0, error), -EINVAL);
		assert_int_equal(strncmp(error, path, strlen(path)), 0);
		assert_string_equal(error + strlen(path), rows[i].error);
	}
	assert_int_equal(walk("workers = 2\0\n", 13, 0, error), -EINVAL);
	assert_string_equal(told, "");
}

static void file_that_cannot_be_read_is_told(void **)
{
	static char large[PHX_SETTINGS_BYTES + 1];
	char error[256] = "", *text = (char *)1;
	int go_on = 0;

	assert_int_equal(phx_settings_file("/nowhere/at/all", options, note, &go_on, &text, error,
				 sizeof(error)),
		-ENOENT);
	assert_null(text);
	assert_string_equal(error, "/nowhere/at/all: No such file or directory");
	assert_int_equal(phx_settings_file("/", options, note, &go_on, &text, error, sizeof(error)),
		-EISDIR);
	memset(large, '\n', sizeof(large));
	assert_int_equal(walk(large, sizeof(large), 0, error), -E2BIG);
	assert_int_equal(walk(large, sizeof(large) - 1, 0, error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(env_names_are_capitals_with_underscores),
		cmocka_unit_test(file_lines_are_told_in_order_with_their_place),
		cmocka_unit_test(file_that_is_wrong_is_refused_by_line),
		cmocka_unit_test(file_that_cannot_be_read_is_told),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	(void)close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return failed;
}

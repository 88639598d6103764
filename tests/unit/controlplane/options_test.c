// SPDX-License-Identifier: BSD-3-Clause
// The options of phoenix-controlplane: a flag goes over the environment, that over the file, that
// over the default.
#include "controlplane/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 12

static char path[] = "/tmp/phx-options.XXXXXX";

static const char *const variables[] = {"PHOENIX_RUNDIR", "PHOENIX_INSTANCE", "PHOENIX_STATEDIR",
	"PHOENIX_CONFIG", "PHOENIX_LOG_LEVEL", "PHOENIX_SETTINGS"};

static enum options_result parse(
	const char *file, const char *env, const char *flags, struct options *out)
{
	static char words[2][1024];
	char *argv[ARGS_MAX] = {(char *)(uintptr_t) "phoenix-controlplane"}, *save;
	FILE *f = fopen(path, "we");
	int argc = 1;

	assert_non_null(f);
	(void)fputs(file, f);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		assert_int_equal(unsetenv(variables[i]), 0);
	assert_int_equal(setenv("PHOENIX_SETTINGS", path, 1), 0);
	(void)snprintf(words[0], sizeof(words[0]), "%s", env);
	for (char *w = strtok_r(words[0], " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		char *value = strchr(w, '=');

		*value = '\0';
		assert_int_equal(setenv(w, value + 1, 1), 0);
	}
	(void)snprintf(words[1], sizeof(words[1]), "%s", flags);
	for (char *w = strtok_r(words[1], " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return options_parse(argc, argv, out);
}

static void assert_text(const char *text, const char *expected)
{
	if (expected == NULL)
		assert_null(text);
	else
		assert_string_equal(text, expected);
}

static void each_level_goes_over_those_before(void **)
{
	static const struct {
		const char *file, *env, *flags;
		const char *rundir, *instance, *statedir;
		enum phx_log_level level;
	} rows[] = {
		{"", "", "", NULL, NULL, NULL, PHX_LOG_INFO},
		{"statedir = /f", "", "", NULL, NULL, "/f", PHX_LOG_INFO},
		{"statedir = /f", "PHOENIX_STATEDIR=/e", "", NULL, NULL, "/e", PHX_LOG_INFO},
		{"statedir = /f", "PHOENIX_STATEDIR=/e", "--statedir /a", NULL, NULL, "/a",
			PHX_LOG_INFO},
		{"log-level = err", "PHOENIX_LOG_LEVEL=debug", "", NULL, NULL, NULL, PHX_LOG_DEBUG},
		{"log-level = err", "PHOENIX_LOG_LEVEL=debug", "--log-level warn", NULL, NULL, NULL,
			PHX_LOG_WARN},
		{"rundir = /f", "PHOENIX_RUNDIR=/e", "", "/e", NULL, NULL, PHX_LOG_INFO},
		{"rundir = /f", "PHOENIX_INSTANCE=e", "", NULL, "e", NULL, PHX_LOG_INFO},
		{"instance = f", "PHOENIX_RUNDIR=/e", "-i a", NULL, "a", NULL, PHX_LOG_INFO},
		{"", "PHOENIX_RUNDIR=/e PHOENIX_INSTANCE=e", "", "/e", NULL, NULL, PHX_LOG_INFO},
		{"statedir = /f", "", "--settings /dev/null", NULL, NULL, NULL, PHX_LOG_INFO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options o;

		if (parse(rows[i].file, rows[i].env, rows[i].flags, &o) != OPTIONS_RUN)
			fail_msg("row %zu", i);
		assert_text(o.rundir, rows[i].rundir);
		assert_text(o.instance, rows[i].instance);
		assert_text(o.statedir, rows[i].statedir);
		assert_int_equal(o.log_level, rows[i].level);
		options_fini(&o);
	}
}

static void what_is_wrong_is_refused(void **)
{
	static const struct {
		const char *file, *env, *flags;
	} rows[] = {
		{"log-level = loud", "", ""},
		{"workers = 1", "", ""}, // the dataplane's
		{"rundir = /a\ninstance = b", "", ""},
		{"", "PHOENIX_LOG_LEVEL=loud", ""},
		{"", "PHOENIX_SETTINGS=/nowhere", ""},
		{"", "", "--settings /nowhere"},
		{"", "", "--rundir /a -i b"},
		{"", "", "--nothing"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options o;

		assert_int_equal(
			parse(rows[i].file, rows[i].env, rows[i].flags, &o), OPTIONS_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_level_goes_over_those_before),
		cmocka_unit_test(what_is_wrong_is_refused),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	(void)close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return failed;
}

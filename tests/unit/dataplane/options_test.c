// SPDX-License-Identifier: BSD-3-Clause
// The options of phoenix-dataplane: a flag goes over the environment, that over the file, that over
// the default.
#include "dataplane/options.h"

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
static char error[512];

static const char *const variables[] = {"PHOENIX_RUNDIR", "PHOENIX_INSTANCE", "PHOENIX_WORKERS",
	"PHOENIX_LOG_LEVEL", "PHOENIX_POLICY", "PHOENIX_STANDALONE", "PHOENIX_MAX_MESSAGE",
	"PHOENIX_APP_MEMORY", "PHOENIX_SETTINGS", "XDG_RUNTIME_DIR"};

// Parse with this file, environment ("A=1 B=2") and flags, as uid 1000.
static int parse(const char *file, const char *env, const char *flags, struct options *out)
{
	static char words[2][1024];
	char *argv[ARGS_MAX] = {(char *)(uintptr_t) "phoenix-dataplane"}, *save;
	FILE *f = fopen(path, "we");
	int argc = 1;

	assert_non_null(f);
	(void)fputs(file, f);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		assert_int_equal(unsetenv(variables[i]), 0);
	assert_int_equal(setenv("PHOENIX_SETTINGS", path, 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/x", 1), 0);
	(void)snprintf(words[0], sizeof(words[0]), "%s", env);
	for (char *w = strtok_r(words[0], " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		char *value = strchr(w, '=');

		*value = '\0';
		assert_int_equal(setenv(w, value + 1, 1), 0);
	}
	(void)snprintf(words[1], sizeof(words[1]), "%s", flags);
	for (char *w = strtok_r(words[1], " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	error[0] = '\0';
	return options_parse(argc, argv, 1000, out, error, sizeof(error));
}

static void each_level_goes_over_those_before(void **)
{
	static const struct {
		const char *file, *env, *flags;
		const char *rundir;
		unsigned workers;
		enum phx_log_level level;
	} rows[] = {
		{"", "", "", "/x/phoenix/default", 0, PHX_LOG_INFO},
		{"workers = 1", "", "", "/x/phoenix/default", 1, PHX_LOG_INFO},
		{"workers = 1", "PHOENIX_WORKERS=2", "", "/x/phoenix/default", 2, PHX_LOG_INFO},
		{"workers = 1", "PHOENIX_WORKERS=2", "--workers 3", "/x/phoenix/default", 3,
			PHX_LOG_INFO},
		{"workers = 1", "", "--workers 3", "/x/phoenix/default", 3, PHX_LOG_INFO},
		{"", "PHOENIX_WORKERS=2", "--workers 3", "/x/phoenix/default", 3, PHX_LOG_INFO},
		{"log-level = err", "PHOENIX_LOG_LEVEL=debug", "", "/x/phoenix/default", 0,
			PHX_LOG_DEBUG},
		{"log-level = err", "PHOENIX_LOG_LEVEL=debug", "--log-level warn",
			"/x/phoenix/default", 0, PHX_LOG_WARN},
		{"log-level = err\nworkers = 5", "PHOENIX_WORKERS=2", "", "/x/phoenix/default", 2,
			PHX_LOG_ERR},
		// Run directory and instance are one setting.
		{"rundir = /f", "", "", "/f", 0, PHX_LOG_INFO},
		{"rundir = /f", "PHOENIX_RUNDIR=/e", "", "/e", 0, PHX_LOG_INFO},
		{"rundir = /f", "PHOENIX_RUNDIR=/e", "--rundir /a", "/a", 0, PHX_LOG_INFO},
		{"rundir = /f", "PHOENIX_INSTANCE=e", "", "/x/phoenix/e", 0, PHX_LOG_INFO},
		{"instance = f", "PHOENIX_RUNDIR=/e", "", "/e", 0, PHX_LOG_INFO},
		{"instance = f", "PHOENIX_RUNDIR=/e", "-i a", "/x/phoenix/a", 0, PHX_LOG_INFO},
		{"", "PHOENIX_RUNDIR=/e PHOENIX_INSTANCE=e", "", "/e", 0, PHX_LOG_INFO},
		// Nothing of what is set otherwise changes the file that is named.
		{"workers = 1", "PHOENIX_SETTINGS=/dev/null", "", "/x/phoenix/default", 0,
			PHX_LOG_INFO},
		{"workers = 1", "", "--settings /dev/null", "/x/phoenix/default", 0, PHX_LOG_INFO},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options o;

		if (parse(rows[i].file, rows[i].env, rows[i].flags, &o) != 0)
			fail_msg("row %zu: %s", i, error);
		assert_string_equal(o.rundir, rows[i].rundir);
		assert_int_equal(o.workers, rows[i].workers);
		assert_int_equal(o.log_level, rows[i].level);
		options_fini(&o);
	}
}

// What may be given several times is replaced as a whole.
static void policies_of_a_level_replace_those_before(void **)
{
	struct options o;

	assert_int_equal(parse("policy = a\npolicy = b\nstandalone = default", "", "", &o), 0);
	assert_int_equal(o.policy_count, 2);
	assert_string_equal(o.policies[1], "b");
	assert_string_equal(o.standalone, "default");
	options_fini(&o);
	assert_int_equal(parse("policy = a\npolicy = b", "PHOENIX_POLICY=c", "", &o), 0);
	assert_int_equal(o.policy_count, 1);
	assert_string_equal(o.policies[0], "c");
	options_fini(&o);
	assert_int_equal(parse("policy = a", "PHOENIX_POLICY=c", "--policy d --policy e", &o), 0);
	assert_int_equal(o.policy_count, 2);
	assert_string_equal(o.policies[0], "d");
	options_fini(&o);
}

static void what_is_wrong_is_told_with_its_place(void **)
{
	static const struct {
		const char *file, *env, *flags, *text;
	} rows[] = {
		{"workers = 0", "", "", ":1: --workers must be 1 to"},
		{"\nlog-level = loud", "", "", ":2: --log-level must be"},
		{"nothing = 1", "", "", ":1: no such setting: nothing"},
		{"rundir = /a\ninstance = b", "", "", "exclude each other"},
		{"", "PHOENIX_WORKERS=many", "", "PHOENIX_WORKERS: --workers must be 1 to"},
		{"", "PHOENIX_MAX_MESSAGE=1", "", "PHOENIX_MAX_MESSAGE: --max-message must be"},
		{"", "PHOENIX_INSTANCE=../x", "", "instance name"},
		{"", "PHOENIX_SETTINGS=/nowhere", "", "/nowhere: No such file"},
		{"", "", "--workers 0", "--workers must be 1 to"},
		{"", "", "--rundir /a -i b", "exclude each other"},
		{"", "", "--settings /nowhere", "/nowhere: No such file"},
		{"", "", "--nothing", "unknown option --nothing"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct options o;

		assert_int_not_equal(parse(rows[i].file, rows[i].env, rows[i].flags, &o), 0);
		if (strstr(error, rows[i].text) == NULL)
			fail_msg("row %zu: %s", i, error);
	}
}

// A wrong file does not keep anybody from asking for help.
static void help_needs_no_file(void **)
{
	struct options o;

	assert_int_equal(parse("nonsense", "PHOENIX_WORKERS=0", "--help", &o), 0);
	assert_true(o.help);
	options_fini(&o);
	assert_int_equal(parse("workers = 2", "", "-n 4 --", &o), 0);
	assert_true(o.eal_given);
	assert_int_equal(o.eal_count, 2);
	assert_int_equal(o.workers, 2);
	options_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_level_goes_over_those_before),
		cmocka_unit_test(policies_of_a_level_replace_those_before),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(help_needs_no_file),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	(void)close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)unlink(path);
	return failed;
}

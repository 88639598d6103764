// SPDX-License-Identifier: BSD-3-Clause
// Options: where they may stand, which source wins, what is refused.
#include "cli/options.h"

#include "lib/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_AT_MOST 16

struct parsed {
	struct options o;
	struct words w;
	char why[256];
	char *argv[WORDS_AT_MOST];
	struct words line;
};

static enum options_result parse(struct parsed *p, const char *line)
{
	const char *why;
	size_t offset;

	*p = (struct parsed){.why = ""};
	assert_int_equal(words_split(line, &p->line, &why, &offset), 0);
	assert_true(p->line.count < WORDS_AT_MOST);
	for (size_t i = 0; i < p->line.count; i++)
		p->argv[i] = p->line.items[i]; // getopt moves these
	return options_parse((int)p->line.count, p->argv, &p->o, &p->w, p->why, sizeof(p->why));
}

static void release(struct parsed *p)
{
	words_fini(&p->w);
	words_fini(&p->line);
}

static void expect_words(const struct parsed *p, const char *first, const char *second)
{
	assert_int_equal(p->w.count, 2);
	assert_string_equal(p->w.items[0], first);
	assert_string_equal(p->w.items[1], second);
}

static void options_may_follow_the_command(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "phoenix-cli -j app list -n -t 2"), OPTIONS_RUN);
	expect_words(&p, "app", "list");
	assert_true(p.o.json && p.o.dry_run && !p.o.pretty);
	assert_true(p.o.timeout_ns == 2 * PHX_NS_PER_S && p.o.timeout_given);
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli -- app -x"), OPTIONS_RUN);
	expect_words(&p, "app", "-x");
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli -p -o a,b"), OPTIONS_USAGE); // -p is JSON
	release(&p);
}

static void timeouts_are_seconds_or_have_a_unit(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "phoenix-cli x"), OPTIONS_RUN);
	assert_true(p.o.timeout_ns == 10 * PHX_NS_PER_S && !p.o.timeout_given);
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli -t 0.5 x"), OPTIONS_RUN);
	assert_true(p.o.timeout_ns == PHX_NS_PER_S / 2);
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli -t 250ms x"), OPTIONS_RUN);
	assert_true(p.o.timeout_ns == 250 * PHX_NS_PER_MS);
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli -t 0 x"), OPTIONS_USAGE);
	assert_non_null(strstr(p.why, "-t"));
	release(&p);
}

static void a_flag_wins_over_a_variable(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(setenv("PHOENIX_INSTANCE", "lab", 1), 0);
	assert_int_equal(parse(&p, "phoenix-cli app"), OPTIONS_RUN);
	assert_string_equal(p.o.instance, "lab");
	release(&p);
	// A run directory in the environment says more than the name of an instance.
	assert_int_equal(setenv("PHOENIX_RUNDIR", "/run/x", 1), 0);
	assert_int_equal(parse(&p, "phoenix-cli app"), OPTIONS_RUN);
	assert_null(p.o.instance);
	assert_null(p.o.socket);
	release(&p);
	assert_int_equal(setenv("PHOENIX_SOCKET", "/run/x/s", 1), 0);
	assert_int_equal(parse(&p, "phoenix-cli app"), OPTIONS_RUN);
	assert_string_equal(p.o.socket, "/run/x/s");
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli -i web app"), OPTIONS_RUN);
	assert_string_equal(p.o.instance, "web");
	assert_null(p.o.socket);
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli --rundir /tmp/y app"), OPTIONS_RUN);
	assert_string_equal(p.o.rundir, "/tmp/y");
	assert_null(p.o.socket);
	assert_null(p.o.instance);
	release(&p);
	assert_int_equal(unsetenv("PHOENIX_INSTANCE"), 0);
	assert_int_equal(unsetenv("PHOENIX_RUNDIR"), 0);
	assert_int_equal(unsetenv("PHOENIX_SOCKET"), 0);
}

// `trace rpc --count 5` is `trace rpc count 5`; what the program knows stays an option.
static void parameters_may_have_dashes(void **state)
{
	static const char *const expected[] = {"trace", "rpc", "count", "5", "app=x"};
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "phoenix-cli trace rpc --count 5 --json --app=x"), OPTIONS_RUN);
	assert_true(p.o.json);
	assert_int_equal(p.w.count, sizeof(expected) / sizeof(expected[0]));
	for (size_t i = 0; i < p.w.count; i++)
		assert_string_equal(p.w.items[i], expected[i]);
	release(&p);
	assert_int_equal(parse(&p, "phoenix-cli trace rpc -Z"), OPTIONS_USAGE);
	release(&p);
}

static void contradictions_are_refused(void **state)
{
	static const char *const lines[] = {
		"phoenix-cli -s /x -i y app",
		"phoenix-cli --rundir /x -i y app",
		"phoenix-cli -f file app list",
		"phoenix-cli -k app list",
		"phoenix-cli -x app list",
		"phoenix-cli -j -o name peer",
		"phoenix-cli -r many peer",
		"phoenix-cli -Z peer",
		"phoenix-cli --nonsense peer",
		"phoenix-cli peer -t",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct parsed p;

		assert_int_equal(parse(&p, lines[i]), OPTIONS_USAGE);
		assert_true(p.why[0] != '\0');
		release(&p);
	}
}

static void json_is_known_even_when_another_option_is_wrong(void **state)
{
	struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, "phoenix-cli -Z -j peer"), OPTIONS_USAGE);
	assert_true(p.o.json);
	assert_non_null(strstr(p.why, "-Z"));
	release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_may_follow_the_command),
		cmocka_unit_test(timeouts_are_seconds_or_have_a_unit),
		cmocka_unit_test(a_flag_wins_over_a_variable),
		cmocka_unit_test(parameters_may_have_dashes),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(json_is_known_even_when_another_option_is_wrong),
	};

	(void)unsetenv("PHOENIX_INSTANCE");
	(void)unsetenv("PHOENIX_RUNDIR");
	(void)unsetenv("PHOENIX_SOCKET");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

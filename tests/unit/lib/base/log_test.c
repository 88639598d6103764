// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/base/log: form of a line, escaping, levels, rate limit. stderr is a pipe
// while a test reads it.
#include "lib/base/log.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int saved_stderr;
static int reader;
static char output[65536];

static int capture_start(void **state)
{
	int fds[2];

	(void)state;
	if (pipe(fds) != 0)
		return -1;
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	saved_stderr = dup(STDERR_FILENO);
	(void)dup2(fds[1], STDERR_FILENO);
	(void)close(fds[1]);
	reader = fds[0];
	phx_log_set_level(PHX_LOG_INFO);
	return 0;
}

// What was written so far; lines are in the pipe as soon as the call returns.
static const char *captured(void)
{
	ssize_t n = read(reader, output, sizeof(output) - 1);

	output[n > 0 ? n : 0] = '\0';
	return output;
}

static int capture_stop(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(reader);
	return 0;
}

static void write_line_has_time_program_level_component(void **state)
{
	regex_t re;
	int ret;

	(void)state;
	assert_int_equal(
		regcomp(&re,
			"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
			"unit warn session: app 7: no room\n$",
			REG_EXTENDED),
		0);
	phx_log_set_program("unit");
	phx_log_warn("session", "app %d: %s", 7, "no room");
	ret = regexec(&re, captured(), 0, NULL, 0);
	regfree(&re);
	assert_int_equal(ret, 0);
}

static void write_control_characters_are_escaped(void **state)
{
	(void)state;
	phx_log_err("x", "%s", "a\nb\x1b[31mc\\d\x7f");
	assert_non_null(strstr(captured(), "x: a\\x0ab\\x1b[31mc\\x5cd\\x7f\n"));
}

static void write_long_text_is_cut_and_stays_one_line(void **state)
{
	char *text = malloc(10000);
	const char *out;

	(void)state;
	memset(text, '\n', 9999);
	text[9999] = '\0';
	phx_log_err("x", "%s", text);
	free(text);
	out = captured();
	assert_true(strlen(out) > 1000);
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

static void write_above_level_is_dropped(void **state)
{
	(void)state;
	phx_log_debug("x", "hidden");
	assert_string_equal(captured(), "");
	phx_log_set_level(PHX_LOG_DEBUG);
	phx_log_debug("x", "shown");
	assert_non_null(strstr(captured(), "debug x: shown"));
}

static void write_preserves_errno(void **state)
{
	(void)state;
	errno = 1234;
	phx_log_err("x", "y");
	assert_int_equal(errno, 1234);
}

static void site_pass_eleventh_line_of_a_second_is_dropped_and_counted(void **state)
{
	struct phx_log_site site = {0};
	uint32_t dropped = 0;
	uint64_t second, passed;

	(void)state;
	do { // once more if a second ended meanwhile
		site = (struct phx_log_site){0};
		second = phx_clock_ns() / PHX_NS_PER_S;
		passed = 0;
		for (int i = 0; i < 25; i++)
			passed += phx_log_site_pass(&site, &dropped);
	} while (phx_clock_ns() / PHX_NS_PER_S != second);
	assert_int_equal(passed, 10);
	assert_int_equal(dropped, 0);
	atomic_store(&site.window_s, 1); // as if that second were long ago
	assert_true(phx_log_site_pass(&site, &dropped));
	assert_int_equal(dropped, 15);
}

static void level_parse_names_round_trip(void **state)
{
	enum phx_log_level level = PHX_LOG_INFO;

	(void)state;
	assert_int_equal(phx_log_level_parse("err", &level), 0);
	assert_int_equal(level, PHX_LOG_ERR);
	assert_int_equal(phx_log_level_parse("debug", &level), 0);
	assert_int_equal(level, PHX_LOG_DEBUG);
	assert_int_equal(phx_log_level_parse("DEBUG", &level), -EINVAL);
	assert_int_equal(phx_log_level_parse("", &level), -EINVAL);
	assert_int_equal(level, PHX_LOG_DEBUG);
}

static void component_level_counts_for_that_component_alone(void **state)
{
	(void)state;
	phx_log_set_level(PHX_LOG_WARN);
	assert_int_equal(phx_log_set_component_level("chatty", PHX_LOG_DEBUG), 0);
	phx_log_debug("chatty", "seen");
	phx_log_info("quiet", "not seen");
	assert_non_null(strstr(captured(), "chatty: seen"));
	assert_null(strstr(output, "quiet"));
	assert_int_equal(phx_log_component_level("chatty"), PHX_LOG_DEBUG);
	assert_int_equal(phx_log_component_level("quiet"), PHX_LOG_WARN);
	assert_int_equal(phx_log_set_component_level("chatty", PHX_LOG_ERR), 0);
	phx_log_warn("chatty", "too much");
	assert_string_equal(captured(), "");
	// The level of everything takes that of components back.
	phx_log_set_level(PHX_LOG_INFO);
	phx_log_info("chatty", "again");
	assert_non_null(strstr(captured(), "chatty: again"));
}

static void components_are_those_that_can_log(void **state)
{
	const char *names[PHX_LOG_COMPONENTS_MAX];
	size_t count = phx_log_components(names, PHX_LOG_COMPONENTS_MAX), chatty = 0;

	(void)state;
	for (size_t i = 0; i < count; i++)
		chatty += strcmp(names[i], "chatty") == 0;
	assert_int_equal(chatty, 1);
	assert_int_equal(phx_log_components(names, 1), 1);
	assert_int_equal(phx_log_set_component_level("never-heard-of", PHX_LOG_DEBUG), -ENOENT);
}

int main(void)
{
#define CAPTURED(f) cmocka_unit_test_setup_teardown(f, capture_start, capture_stop)
	const struct CMUnitTest tests[] = {
		CAPTURED(write_line_has_time_program_level_component),
		CAPTURED(write_control_characters_are_escaped),
		CAPTURED(write_long_text_is_cut_and_stays_one_line),
		CAPTURED(write_above_level_is_dropped),
		CAPTURED(write_preserves_errno),
		cmocka_unit_test(site_pass_eleventh_line_of_a_second_is_dropped_and_counted),
		cmocka_unit_test(level_parse_names_round_trip),
		CAPTURED(component_level_counts_for_that_component_alone),
		cmocka_unit_test(components_are_those_that_can_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

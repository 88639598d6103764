// SPDX-License-Identifier: BSD-3-Clause
// Values as operators write them: units, lists, objects, JSON, files.
#include "cli/value.h"

#include "cli/value_number.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_number(const char *word, const char *unit, int64_t want)
{
	char why[128];
	int64_t value = -999;

	assert_int_equal(value_number(word, unit, &value, why, sizeof(why)), 0);
	assert_true(value == want);
}

static void expect_no_number(const char *word, const char *unit, const char *why_part)
{
	char why[128] = "";
	int64_t value = -999;

	assert_int_equal(value_number(word, unit, &value, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, why_part));
	assert_true(value == -999);
}

static void number_counts_and_rates(void **state)
{
	(void)state;
	expect_number("0", NULL, 0);
	expect_number("-3", NULL, -3);
	expect_number("10k", NULL, 10000);
	expect_number("1.5M", NULL, 1500000);
	expect_number("2G", "rps", INT64_C(2000000000));
	expect_number("1k/s", "rps", 1000);
	expect_number("9223372036854775807", NULL, INT64_MAX);
	expect_no_number("9223372036854775808", NULL, "whole number");
	expect_no_number("1.0005k", NULL, "no whole number");
	expect_no_number("", NULL, "whole number");
	expect_no_number("k", NULL, "whole number");
	expect_no_number("5x", NULL, "k, M or G");
	expect_no_number("5ms", NULL, "k, M or G");
	expect_no_number("9223372036854775807k", NULL, "too large");
}

static void number_durations_in_the_unit_of_the_parameter(void **state)
{
	(void)state;
	expect_number("250", "ms", 250);
	expect_number("250ms", "ms", 250);
	expect_number("2s", "ms", 2000);
	expect_number("0.5s", "ms", 500);
	expect_number("2m", "s", 120);
	expect_number("1h", "ms", 3600000);
	expect_number("3us", "ns", 3000);
	expect_no_number("500us", "ms", "no whole number of ms");
	expect_no_number("5k", "ms", "ns, us, ms, s, m or h");
}

static void number_sizes_are_powers_of_1024(void **state)
{
	(void)state;
	expect_number("512", "bytes", 512);
	expect_number("4K", "bytes", 4096);
	expect_number("4k", "bytes", 4096);
	expect_number("2MiB", "bytes", 2097152);
	expect_number("2MB", "bytes", 2097152);
	expect_number("7B", "bytes", 7);
	expect_number("1.5G", "bytes", INT64_C(1610612736));
	expect_no_number("1s", "bytes", "K, M, G or T");
	expect_no_number("0.3", "bytes", "no whole number of bytes");
}

static const struct phx_ctl_param element[] = {{.name = "e", .type = PHX_CTL_NAME}, {.name = NULL}};
static const struct phx_ctl_param numbers[] = {
	{.name = "n", .type = PHX_CTL_INT, .max = 9}, {.name = NULL}};
static const struct phx_ctl_param members[] = {
	{.name = "uid", .type = PHX_CTL_INT, .max = 100},
	{.name = "names", .type = PHX_CTL_ARRAY, .max = 4, .fields = element},
	{.name = "on", .type = PHX_CTL_BOOL},
	{.name = NULL},
};
static const struct phx_ctl_param p_text = {.name = "t", .type = PHX_CTL_TEXT, .max = 100};
static const struct phx_ctl_param p_bool = {.name = "b", .type = PHX_CTL_BOOL};
static const struct phx_ctl_param p_real = {.name = "r", .type = PHX_CTL_NUMBER, .max = 1};
static const struct phx_ctl_param p_list = {
	.name = "l", .type = PHX_CTL_ARRAY, .max = 9, .fields = element};
static const struct phx_ctl_param p_numbers = {
	.name = "q", .type = PHX_CTL_ARRAY, .max = 9, .fields = numbers};
static const struct phx_ctl_param p_map = {.name = "m", .type = PHX_CTL_MAP, .max = 9};
static const struct phx_ctl_param p_object = {
	.name = "o", .type = PHX_CTL_OBJECT, .fields = members};
static const struct phx_ctl_param p_free = {.name = "f", .type = PHX_CTL_OBJECT};

// One word more into an object that is compared with JSON when given.
static void put(json_t *object, const struct phx_ctl_param *p, const char *rest, const char *word,
	const char *want)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	int rc = value_put(object, p, rest, word, &e);

	if (rc != 0)
		print_error("%s\n", e.text);
	assert_int_equal(rc, 0);
	if (want != NULL) {
		json_t *expected = json_loads(want, 0, NULL);

		assert_non_null(expected);
		assert_true(json_equal(object, expected));
		json_decref(expected);
	}
}

static void refuse(json_t *object, const struct phx_ctl_param *p, const char *rest,
	const char *word, const char *text_part)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	assert_int_equal(value_put(object, p, rest, word, &e), -EINVAL);
	assert_non_null(strstr(e.text, text_part));
	phx_ctl_error_fini(&e);
}

static void put_scalars(void **state)
{
	json_t *o = json_object();

	(void)state;
	put(o, &p_text, NULL, "{not json}", NULL);
	put(o, &p_bool, NULL, "on", NULL);
	put(o, &p_real, NULL, "0.99", "{\"t\":\"{not json}\",\"b\":true,\"r\":0.99}");
	refuse(o, &p_text, NULL, "again", "given twice");
	json_decref(o);

	o = json_object();
	refuse(o, &p_bool, NULL, "maybe", "yes or no");
	refuse(o, &p_real, NULL, "1x", "number");
	refuse(o, &p_real, NULL, "inf", "number");
	refuse(o, &p_text, NULL, "\xff", "UTF-8");
	refuse(o, &p_text, "x", "y", "no members");
	assert_int_equal(json_object_size(o), 0);
	json_decref(o);
}

static void put_lists_grow(void **state)
{
	json_t *o = json_object();

	(void)state;
	put(o, &p_list, NULL, "a,b", "{\"l\":[\"a\",\"b\"]}");
	put(o, &p_list, NULL, "c", "{\"l\":[\"a\",\"b\",\"c\"]}");
	put(o, &p_list, NULL, "[\"d\"]", "{\"l\":[\"a\",\"b\",\"c\",\"d\"]}");
	json_decref(o);
	o = json_object();
	put(o, &p_numbers, NULL, "1,2", "{\"q\":[1,2]}");
	refuse(o, &p_numbers, NULL, "x", "whole number");
	json_decref(o);
	o = json_object();
	put(o, &p_list, NULL, "", "{\"l\":[]}");
	refuse(o, &p_list, NULL, "[1", "JSON");
	json_decref(o);
}

static void put_objects_merge(void **state)
{
	json_t *o = json_object();

	(void)state;
	put(o, &p_object, "uid", "7", "{\"o\":{\"uid\":7}}");
	put(o, &p_object, NULL, "on=yes", "{\"o\":{\"uid\":7,\"on\":true}}");
	put(o, &p_object, NULL, "{\"names\":[\"x\"]}",
		"{\"o\":{\"uid\":7,\"on\":true,\"names\":[\"x\"]}}");
	put(o, &p_object, "names", "y", "{\"o\":{\"uid\":7,\"on\":true,\"names\":[\"x\",\"y\"]}}");
	refuse(o, &p_object, "uid", "8", "given twice");
	refuse(o, &p_object, NULL, "uid", "KEY=VALUE");
	refuse(o, &p_object, "", "x", "key is missing");
	json_decref(o);
}

static void put_maps_keep_dots_in_keys(void **state)
{
	json_t *o = json_object();

	(void)state;
	put(o, &p_map, "tier", "front", "{\"m\":{\"tier\":\"front\"}}");
	put(o, &p_map, "a.b", "1", "{\"m\":{\"tier\":\"front\",\"a.b\":\"1\"}}");
	put(o, &p_map, NULL, "x=1,y=a=b",
		"{\"m\":{\"tier\":\"front\",\"a.b\":\"1\",\"x\":\"1\",\"y\":\"a=b\"}}");
	json_decref(o);
}

static void put_free_objects_guess(void **state)
{
	json_t *o = json_object();

	(void)state;
	put(o, &p_free, NULL, "rate=1000,mode=fast,on=true",
		"{\"f\":{\"rate\":1000,\"mode\":\"fast\",\"on\":true}}");
	put(o, &p_free, "deep.er", "[1]",
		"{\"f\":{\"rate\":1000,\"mode\":\"fast\",\"on\":true,\"deep\":{\"er\":[1]}}}");
	json_decref(o);
}

static void put_reads_files(void **state)
{
	char path[] = "/tmp/phx-value.XXXXXX", word[64];
	int fd = mkstemp(path);
	static const char text[] = " {\"uid\": 3}\n\n";
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *o = json_object();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	(void)snprintf(word, sizeof(word), "@%s", path);
	put(o, &p_object, NULL, word, "{\"o\":{\"uid\":3}}");
	put(o, &p_text, NULL, "@@home", "{\"o\":{\"uid\":3},\"t\":\"@home\"}");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(value_put(o, &p_map, NULL, word, &e), -EIO);
	assert_non_null(strstr(e.text, "No such file"));
	phx_ctl_error_fini(&e);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_counts_and_rates),
		cmocka_unit_test(number_durations_in_the_unit_of_the_parameter),
		cmocka_unit_test(number_sizes_are_powers_of_1024),
		cmocka_unit_test(put_scalars),
		cmocka_unit_test(put_lists_grow),
		cmocka_unit_test(put_objects_merge),
		cmocka_unit_test(put_maps_keep_dots_in_keys),
		cmocka_unit_test(put_free_objects_guess),
		cmocka_unit_test(put_reads_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

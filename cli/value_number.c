// SPDX-License-Identifier: BSD-3-Clause
// Exact arithmetic for value_number.h: no floating point, so that what is sent is what was
// written or an error.
#include "cli/value_number.h"

#include "lib/base/compiler.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct suffix {
	const char *text;
	int64_t factor;
};

static const struct suffix durations[] = {
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", 60000000000},
	{"min", 60000000000},
	{"h", 3600000000000},
	{NULL, 0},
};
static const struct suffix sizes[] = {
	{"", 1},
	{"K", INT64_C(1) << 10},
	{"M", INT64_C(1) << 20},
	{"G", INT64_C(1) << 30},
	{"T", INT64_C(1) << 40},
	{NULL, 0},
};
static const struct suffix counts[] = {
	{"", 1},
	{"k", 1000},
	{"M", 1000000},
	{"G", 1000000000},
	{NULL, 0},
};

static const struct suffix *family_of(const char *unit)
{
	static const char *const times[] = {"ns", "us", "ms", "s"};

	for (size_t i = 0; unit != NULL && i < PHX_ARRAY_LEN(times); i++)
		if (strcmp(unit, times[i]) == 0)
			return durations;
	return unit != NULL && strcmp(unit, "bytes") == 0 ? sizes : counts;
}

static const struct suffix *find_suffix(const struct suffix *list, const char *text, size_t len)
{
	for (; list->text != NULL; list++)
		if (strlen(list->text) == len && strncasecmp(list->text, text, len) == 0 &&
			(list->text[0] != 'm' || text[0] == 'm'))
			return list;
	return NULL;
}

// Bytes of the suffix that count: 10KiB, 10KB and 10B are sizes, 1k/s is a rate.
static size_t suffix_len(const struct suffix *family, const char *text)
{
	size_t len = strlen(text);

	if (family == sizes && len > 0 && (text[len - 1] == 'B' || text[len - 1] == 'b'))
		len -= len == 3 && text[1] == 'i' ? 2 : 1;
	if (family == counts && len >= 2 && strcmp(text + len - 2, "/s") == 0)
		len -= 2;
	return len;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static int fail(char *why, size_t why_size, const char *text)
{
	(void)snprintf(why, why_size, "%s", text);
	return -EINVAL;
}

// Digits and fraction to value / 10^decimals. Returns where the suffix begins, or NULL.
static const char *read_digits(const char *s, bool *negative, int64_t *value, int64_t *scale)
{
	*negative = *s == '-';
	s += *negative;
	if (!digit(*s))
		return NULL;
	*value = 0;
	*scale = 1;
	for (bool fraction = false; digit(*s) || (*s == '.' && !fraction && digit(s[1])); s++) {
		if (*s == '.') {
			fraction = true;
			continue;
		}
		if (__builtin_mul_overflow(*value, 10, value) ||
			__builtin_add_overflow(*value, *s - '0', value) ||
			(fraction && __builtin_mul_overflow(*scale, 10, scale)))
			return NULL;
	}
	return s;
}

int value_number(const char *word, const char *unit, int64_t *out, char *why, size_t why_size)
{
	const struct suffix *family = family_of(unit);
	const char *own_text = family == durations ? unit : "";
	const struct suffix *own = find_suffix(family, own_text, strlen(own_text));
	const struct suffix *given = own;
	bool negative;
	int64_t value, scale;
	const char *end = read_digits(word, &negative, &value, &scale);

	if (end == NULL)
		return fail(why, why_size, "must be a whole number");
	if (*end != '\0')
		given = find_suffix(family, end, suffix_len(family, end));
	if (given == NULL && family == durations)
		return fail(why, why_size, "must be a time with ns, us, ms, s, m or h");
	if (given == NULL && family == sizes)
		return fail(why, why_size, "must be a size, or one with K, M, G or T");
	if (given == NULL)
		return fail(why, why_size, "must be a whole number, or one with k, M or G");

	__int128 total = (__int128)value * given->factor;
	__int128 divisor = (__int128)scale * own->factor;

	if (total % divisor != 0) {
		(void)snprintf(
			why, why_size, "is no whole number of %s", unit != NULL ? unit : "units");
		return -EINVAL;
	}
	total = total / divisor * (negative ? -1 : 1);
	if (total < INT64_MIN || total > INT64_MAX)
		return fail(why, why_size, "is too large");
	*out = (int64_t)total;
	return 0;
}

const char *value_number_hint(const char *unit)
{
	const struct suffix *family = family_of(unit);

	return family == durations ? "DURATION" : family == sizes ? "SIZE" : "N";
}

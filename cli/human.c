// SPDX-License-Identifier: BSD-3-Clause
// Formatting for human.h.
#include "cli/human.h"

#include "lib/base/compiler.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

struct scale {
	double above; // used for values that print as this much or more
	double factor;
	const char *text;
};

static const struct scale counts[] = {
	{1e9, 1e9, "G"},
	{1e6, 1e6, "M"},
	{1e3, 1e3, "k"},
};
static const struct scale sizes[] = {
	{0x1p40, 0x1p40, "T"},
	{0x1p30, 0x1p30, "G"},
	{0x1p20, 0x1p20, "M"},
	{0x1p10, 0x1p10, "K"},
};
static const struct scale durations[] = {
	// of nanoseconds, below a minute
	{1e9, 1e9, "s"},
	{1e6, 1e6, "ms"},
	{1e3, 1e3, "us"},
	{0, 1, "ns"},
};

// What the suffix of a key says: factor to nanoseconds, or which scale.
static const struct unit {
	const char *suffix;
	enum { UNIT_SIZE, UNIT_TIME, UNIT_COUNT } kind;
	double factor;
} units[] = {
	{"_bytes", UNIT_SIZE, 1},
	{"_ns", UNIT_TIME, 1},
	{"_us", UNIT_TIME, 1e3},
	{"_ms", UNIT_TIME, 1e6},
	{"_rps", UNIT_COUNT, 1},
	{"_total", UNIT_COUNT, 1},
};

static bool ends_with(const char *key, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && memcmp(key + len - n, suffix, n) == 0;
}

// Unit of a key, NULL when it has none; *out_len is the key's length up to the unit.
static const struct unit *unit_of(const char *key, size_t *out_len)
{
	size_t len = strlen(key);
	bool total = ends_with(key, len, "_total");

	if (total)
		len -= strlen("_total");
	for (size_t i = 0; i < PHX_ARRAY_LEN(units); i++) {
		if (!ends_with(key, len, units[i].suffix))
			continue;
		*out_len = len - strlen(units[i].suffix);
		return &units[i];
	}
	*out_len = len;
	return total ? &units[PHX_ARRAY_LEN(units) - 1] : NULL;
}

void human_label(const char *key, char *out, size_t size)
{
	size_t len;
	const struct unit *unit = unit_of(key, &len);

	if (unit == NULL || unit->kind != UNIT_TIME)
		(void)snprintf(out, size, "%s", key);
	else
		(void)snprintf(out, size, "%.*s%s", (int)len, key,
			key[len + strlen(unit->suffix)] != '\0' ? "_total" : "");
}

// Three digits or so: 9.8k, 19.6k, 120k. A value that rounds to 1000 takes the next scale.
static void put_scaled(FILE *out, double value, const struct scale *scales, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		double v = value / scales[i].factor;

		if (value < scales[i].above * 0.9995 && i + 1 < count)
			continue;
		if (value < scales[i].above * 0.9995 || (scales[i].factor == 1 && v == floor(v)))
			(void)fprintf(
				out, "%.0f%s", value, scales[i].factor == 1 ? scales[i].text : "");
		else
			(void)fprintf(out, "%.*f%s", v < 99.95 ? 1 : 0, v, scales[i].text);
		return;
	}
}

static void put_duration(FILE *out, double ns)
{
	uint64_t s = (uint64_t)(ns / 1e9);

	if (ns < 60e9)
		put_scaled(out, ns, durations, PHX_ARRAY_LEN(durations));
	else if (s < 3600)
		(void)fprintf(out, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		(void)fprintf(out, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	else
		(void)fprintf(out, "%llud%02uh", (unsigned long long)(s / 86400),
			(unsigned)(s / 3600 % 24));
}

static void put_number(FILE *out, const char *key, json_t *value)
{
	size_t len;
	const struct unit *unit = unit_of(key, &len);
	double v = json_number_value(value);

	if (unit == NULL || v < 0) {
		if (json_is_integer(value))
			(void)fprintf(out, "%lld", (long long)json_integer_value(value));
		else
			(void)fprintf(out, "%.6g", v);
		return;
	}
	switch (unit->kind) {
	case UNIT_SIZE:
		put_scaled(out, v, sizes, PHX_ARRAY_LEN(sizes));
		return;
	case UNIT_TIME:
		put_duration(out, v * unit->factor);
		return;
	case UNIT_COUNT:
		put_scaled(out, v, counts, PHX_ARRAY_LEN(counts));
		return;
	}
}

// Would the character steer the terminal or turn the text around?
static bool steers(wchar_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

// One character of UTF-8 that jansson has checked; returns its bytes.
static size_t decode(const char *s, wchar_t *out)
{
	unsigned char lead = (unsigned char)s[0];
	size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? lead : lead & (0x7fu >> len);

	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80) {
			*out = '?';
			return 1;
		}
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	*out = (wchar_t)c;
	return len;
}

void human_text(FILE *out, const char *text)
{
	while (*text != '\0') {
		wchar_t c;
		size_t len = decode(text, &c);

		if (!steers(c))
			(void)fwrite(text, 1, len, out);
		else if (c < 0x100)
			(void)fprintf(out, "\\x%02x", (unsigned)c);
		else
			(void)fprintf(out, "\\u%04x", (unsigned)c);
		text += len;
	}
}

static void put_list(FILE *out, const char *key, json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		bool braces = json_is_object(item) || json_is_array(item);

		(void)fputs(i > 0 ? "," : "", out);
		(void)fputs(braces ? "{" : "", out);
		human_value(out, key, item);
		(void)fputs(braces ? "}" : "", out);
	}
}

static void put_members(FILE *out, json_t *object)
{
	const char *key, *comma = "";
	json_t *member;

	json_object_foreach(object, key, member)
	{
		bool braces = json_is_object(member) || json_is_array(member);

		(void)fputs(comma, out);
		human_text(out, key);
		(void)fputs(braces ? "={" : "=", out);
		human_value(out, key, member);
		(void)fputs(braces ? "}" : "", out);
		comma = ",";
	}
}

void human_value(FILE *out, const char *key, json_t *value)
{
	bool empty = value == NULL || json_is_null(value) ||
		     (json_is_string(value) && json_string_length(value) == 0) ||
		     (json_is_array(value) && json_array_size(value) == 0) ||
		     (json_is_object(value) && json_object_size(value) == 0);

	if (empty)
		(void)fputc('-', out);
	else if (json_is_string(value))
		human_text(out, json_string_value(value));
	else if (json_is_boolean(value))
		(void)fputs(json_is_true(value) ? "yes" : "no", out);
	else if (json_is_number(value))
		put_number(out, key, value);
	else if (json_is_array(value))
		put_list(out, key, value);
	else
		put_members(out, value);
}

size_t human_width(const char *text)
{
	size_t width = 0;

	while (*text != '\0') {
		wchar_t c;

		text += decode(text, &c);
		int columns = wcwidth(c); // -1 where the locale does not know the character
		width += columns >= 0 ? (size_t)columns : 1;
	}
	return width;
}

bool human_is_flat(json_t *value)
{
	json_t *item;
	const char *key;
	size_t i;

	json_array_foreach(value, i, item)
	{
		if (json_is_object(item) || json_is_array(item))
			return false;
	}
	json_object_foreach(value, key, item)
	{
		if (json_is_object(item) || json_is_array(item))
			return false;
	}
	return true;
}

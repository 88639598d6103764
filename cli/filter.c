// SPDX-License-Identifier: BSD-3-Clause
// Filters for filter.h. A result becomes text at the first filter that needs text.
#include "cli/filter.h"

#include "cli/report.h"
#include "cli/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fail(char *why, size_t why_size, const char *text, const char *word)
{
	(void)snprintf(why, why_size, "%s%s", text, word);
	return -EINVAL;
}

static int add(struct filters *f, const struct words *w, char *why, size_t why_size)
{
	struct filter *filter = &f->items[f->count];
	const char *name = w->count > 0 ? w->items[0] : "";
	bool grep = strcmp(name, "grep") == 0;
	char text[128];
	int rc;

	if (f->count == FILTERS_MAX)
		return fail(why, why_size, "too many filters", "");
	if (grep)
		filter->kind = FILTER_GREP;
	else if (strcmp(name, "json") == 0)
		filter->kind = FILTER_JSON;
	else if (strcmp(name, "count") == 0)
		filter->kind = FILTER_COUNT;
	else
		return fail(
			why, why_size, "after | comes grep PATTERN, json or count, not: ", name);
	if (w->count != (grep ? 2 : 1))
		return fail(why, why_size, grep ? "grep takes one pattern" : "nothing may follow ",
			grep ? "" : name);
	if (f->count > 0 && f->items[f->count - 1].kind == FILTER_COUNT)
		return fail(why, why_size, "nothing may follow count", "");
	if (filter->kind == FILTER_JSON && f->count > 0)
		return fail(why, why_size, "json must be the first filter", "");
	if (grep) {
		rc = regcomp(&filter->pattern, w->items[1], REG_EXTENDED | REG_NOSUB);
		if (rc != 0) {
			(void)regerror(rc, &filter->pattern, text, sizeof(text));
			return fail(why, why_size, "grep: ", text);
		}
	}
	f->count++;
	return 0;
}

int filters_parse(const char *text, struct filters *out, char *why, size_t why_size)
{
	bool more = true;
	int rc = 0;

	out->count = 0;
	while (rc == 0 && more) {
		struct words w = WORDS_INIT;
		const char *reason = "out of memory";
		size_t end, offset;

		rc = words_split_until(text, '|', &w, &end, &reason, &offset);
		if (rc != 0)
			rc = fail(why, why_size, reason, "");
		else
			rc = add(out, &w, why, why_size);
		words_fini(&w);
		more = rc == 0 && text[end] == '|';
		text += end + more;
	}
	if (rc != 0)
		filters_fini(out);
	return rc;
}

void filters_fini(struct filters *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->items[i].kind == FILTER_GREP)
			regfree(&f->items[i].pattern);
	f->count = 0;
}

static char *text_of(const struct phx_ctl_method *m, bool raw, const struct print_columns *columns,
	json_t *result, bool json)
{
	json_t *rows = report_rows(m, raw, result);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	if (json) {
		(void)json_dumpf(
			rows != NULL ? rows : result, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
		(void)fputc('\n', out);
	} else {
		print_result(out, m, columns, result);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

// Keep the lines that match, in place.
static void keep_lines(char *text, const regex_t *pattern)
{
	char *to = text, *line = text;

	while (*line != '\0') {
		size_t len = strcspn(line, "\n");
		bool whole = line[len] == '\n';

		line[len] = '\0';
		if (regexec(pattern, line, 0, NULL, 0) == 0) {
			memmove(to, line, len);
			to[len] = '\n';
			to += len + whole;
		}
		line += len + whole;
	}
	*to = '\0';
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static size_t count_rows(const struct phx_ctl_method *m, json_t *result)
{
	json_t *rows =
		m != NULL && m->list_key != NULL ? json_object_get(result, m->list_key) : result;

	return json_is_array(rows) ? json_array_size(rows) : 1;
}

void filters_print(const struct filters *f, FILE *out, const struct phx_ctl_method *m, bool raw,
	const struct print_columns *columns, json_t *result)
{
	char *text = NULL;
	size_t i = 0;

	if (f->items[0].kind == FILTER_COUNT) {
		(void)fprintf(out, "%zu\n", count_rows(m, result));
		return;
	}
	text = text_of(m, raw, columns, result, f->items[0].kind == FILTER_JSON);
	for (i = f->items[0].kind == FILTER_JSON; text != NULL && i < f->count; i++) {
		if (f->items[i].kind == FILTER_COUNT) {
			(void)fprintf(out, "%zu\n", count_lines(text));
			free(text);
			return;
		}
		keep_lines(text, &f->items[i].pattern);
	}
	if (text != NULL)
		(void)fputs(text, out);
	else
		(void)fputs("out of memory\n", stderr);
	free(text);
}

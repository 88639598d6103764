// SPDX-License-Identifier: BSD-3-Clause
// Output for report.h. Failing writes show when the stream is checked at the end.
#include "cli/report.h"

#include "cli/filter.h"
#include "cli/human.h"

#include <stdlib.h>
#include <string.h>

static void put_json(const struct report *r, json_t *value)
{
	size_t flags = r->pretty ? JSON_INDENT(2) : JSON_COMPACT;

	flags |= JSON_REAL_PRECISION(12); // 52.3 as it was meant

	(void)json_dumpf(value, r->out, flags | JSON_ENCODE_ANY); // checked at the end
	(void)fputc('\n', r->out);
}

static bool is_list(const struct phx_ctl_method *m)
{
	size_t len = strlen(m->name);

	return m->list_key != NULL && len > 4 && strcmp(m->name + len - 4, "list") == 0;
}

json_t *report_rows(const struct phx_ctl_method *m, bool raw, json_t *result)
{
	return m != NULL && !raw && is_list(m) ? json_object_get(result, m->list_key) : NULL;
}

void report_result(const struct report *r, const struct phx_ctl_method *m, bool raw,
	const struct print_columns *columns, json_t *result)
{
	json_t *rows = report_rows(m, raw, result);

	if (r->filters != NULL)
		filters_print(r->filters, r->out, m, raw, columns, result);
	else if (r->json)
		put_json(r, rows != NULL ? rows : result);
	else if (!r->quiet)
		print_result(r->out, m, columns, result);
}

static void put_list(FILE *out, const char *before, json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		(void)fputs(i > 0 ? ", " : before, out);
		human_value(out, "", item);
	}
}

static void report_json_error(const struct report *r, const struct phx_ctl_error *e)
{
	json_t *document = json_pack("{s:o}", "error", phx_ctl_error_json(e));

	put_json(r, document);
	json_decref(document);
}

static void put_where(const struct report *r)
{
	if (r->where != NULL)
		(void)fprintf(r->err, "%s: ", r->where);
}

// Candidates and hint below or behind the text, unless it offers them itself.
static void put_details(const struct report *r, const struct phx_ctl_error *e)
{
	const char *hint = json_string_value(json_object_get(e->data, "hint"));

	if (strstr(e->text, "did you mean") == NULL && strstr(e->text, "must be one of") == NULL)
		put_list(r->err, "; did you mean: ", json_object_get(e->data, "candidates"));
	(void)fputc('\n', r->err);
	if (hint == NULL)
		return;
	(void)fputs("hint: ", r->err);
	human_text(r->err, hint);
	(void)fputc('\n', r->err);
}

void report_error(const struct report *r, struct phx_ctl_error *e)
{
	if (r->json) {
		if (r->where != NULL)
			phx_ctl_error_add(e, "where", json_string(r->where));
		report_json_error(r, e);
		return;
	}
	put_where(r);
	(void)fputs("error: ", r->err);
	human_text(r->err, e->text);
	(void)fprintf(r->err, " (%s)", phx_ctl_code_name(e->code));
	put_details(r, e);
}

static void report_json_usage(
	const struct report *r, const char *line, size_t column, struct grammar_error *e)
{
	struct phx_ctl_error *error = &e->error;

	phx_ctl_error_add(error, "command", json_string(line));
	phx_ctl_error_add(error, "column", json_integer((json_int_t)column + 1));
	report_error(r, error);
}

void report_usage(const struct report *r, const struct words *w, struct grammar_error *e)
{
	size_t column = 0;
	char *line = words_line(w, e->word, e->offset, &column);
	json_t *expected = json_object_get(e->error.data, "expected");

	if (line == NULL || line[0] == '\0') {
		report_error(r, &e->error);
		free(line);
		return;
	}
	if (r->json) {
		report_json_usage(r, line, column, e);
		free(line);
		return;
	}
	if (r->where != NULL)
		(void)fprintf(r->err, "%s:\n", r->where);
	(void)fputs("* ", r->err);
	human_text(r->err, line);
	(void)fprintf(r->err, "\n* %*s^ ", (int)column, "");
	human_text(r->err, e->error.text);
	put_details(r, &e->error);
	if (json_array_size(expected) > 0) {
		put_list(r->err, "* expected: ", expected);
		(void)fputc('\n', r->err);
	}
	free(line);
}

// SPDX-License-Identifier: BSD-3-Clause
// Layout for print.h; single values are human.c's.
#include "cli/print.h"

#include "cli/human.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES   64
#define PATH_LEVELS 8

// Member "a.b.c" of a row: as one key, else going into objects. NULL when absent.
static json_t *member(json_t *row, const char *key)
{
	json_t *value = json_object_get(row, key);
	char part[KEY_BYTES];

	for (int level = 0; value == NULL && level < PATH_LEVELS; level++) {
		size_t len = strcspn(key, ".");

		if (key[len] == '\0' || len >= sizeof(part))
			return NULL;
		(void)snprintf(part, sizeof(part), "%.*s", (int)len, key);
		row = json_object_get(row, part);
		key += len + 1;
		value = json_object_get(row, key);
	}
	return value;
}

// The last part of a path names the unit.
static const char *unit_key(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot != NULL ? dot + 1 : key;
}

// header (or the key in capitals) without the unit that the cells carry.
static void put_header(const char *key, const char *header, char *out, size_t size)
{
	char lower[KEY_BYTES];
	size_t i;

	for (i = 0; header != NULL && header[i] != '\0' && i + 1 < sizeof(lower); i++)
		lower[i] = (char)tolower((unsigned char)header[i]);
	lower[i] = '\0';
	human_label(header != NULL ? lower : key, out, size);
	for (i = 0; out[i] != '\0'; i++)
		out[i] = (char)toupper((unsigned char)out[i]);
}

static char *cell_text(const char *key, json_t *value)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	human_value(out, unit_key(key), value);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

static void put_spaces(FILE *out, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)fputc(' ', out);
}

// Lines of cells, row by row; a cell that ran out of memory is NULL and printed as ?.
static void put_lines(FILE *out, char *const *cells, size_t rows, size_t columns, size_t indent)
{
	size_t width[NAMES_MAX] = {0};

	for (size_t i = 0; i < rows * columns; i++) {
		size_t w = cells[i] != NULL ? human_width(cells[i]) : 1;

		if (w > width[i % columns])
			width[i % columns] = w;
	}
	for (size_t i = 0; i < rows * columns; i++) {
		size_t column = i % columns;
		const char *text = cells[i] != NULL ? cells[i] : "?";

		if (column == 0)
			put_spaces(out, indent);
		(void)fputs(text, out);
		if (column + 1 < columns)
			put_spaces(out, width[column] - human_width(text) + 2);
		else
			(void)fputc('\n', out);
	}
}

static void put_table(FILE *out, const struct print_columns *c, json_t *rows, size_t indent)
{
	size_t lines = json_array_size(rows) + 1;
	char **cells = calloc(lines * c->count + 1, sizeof(*cells));
	json_t *row;
	size_t r;

	if (cells == NULL || c->count == 0) {
		free(cells);
		return;
	}
	for (size_t i = 0; i < c->count; i++) {
		char header[KEY_BYTES];

		put_header(c->keys[i], c->headers[i], header, sizeof(header));
		cells[i] = strdup(header);
	}
	json_array_foreach(rows, r, row)
	{
		for (size_t i = 0; i < c->count; i++)
			cells[(r + 1) * c->count + i] =
				cell_text(c->keys[i], member(row, c->keys[i]));
	}
	put_lines(out, cells, lines, c->count, indent);
	for (size_t i = 0; i < lines * c->count; i++)
		free(cells[i]);
	free(cells);
}

static void add_column(struct print_columns *c, const char *key, const char *header)
{
	size_t before = c->words.count;

	names_add(&c->words, key, strlen(key));
	if (c->words.count == before)
		return; // there already, or no room
	c->keys[c->count] = c->words.items[before];
	c->headers[c->count] = header;
	c->count++;
}

// Columns of rows that no table describes: their keys, in the order of appearance.
static void columns_of_rows(struct print_columns *c, json_t *rows)
{
	json_t *row, *value;
	const char *key;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_object_foreach(row, key, value) add_column(c, key, NULL);
	}
}

static bool rows_are_flat(json_t *rows)
{
	json_t *row, *value;
	const char *key;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (!json_is_object(row))
			return false;
		json_object_foreach(row, key, value)
		{
			if (!human_is_flat(value))
				return false;
		}
	}
	return true;
}

static void put_object(FILE *out, const struct print_columns *c, json_t *object, size_t indent);

static void columns_of_object(struct print_columns *c, json_t *object)
{
	json_t *value;
	const char *key;

	json_object_foreach(object, key, value) add_column(c, key, NULL);
}

// What does not fit behind "key: ": tables, objects, lists of what is nested deeper.
static void put_nested(FILE *out, json_t *value, size_t indent)
{
	struct print_columns *c = calloc(1, sizeof(*c));
	json_t *item;
	size_t i;

	if (c == NULL)
		return;
	if (json_is_object(value)) {
		columns_of_object(c, value);
		put_object(out, c, value, indent);
	} else if (rows_are_flat(value)) {
		columns_of_rows(c, value);
		put_table(out, c, value, indent);
	} else {
		json_array_foreach(value, i, item)
		{
			put_spaces(out, indent);
			(void)fputs("-\n", out);
			put_nested(out, item, indent + 2);
		}
	}
	free(c);
}

static bool needs_block(json_t *value)
{
	if (json_is_object(value))
		return json_object_size(value) > 0;
	return json_is_array(value) && !human_is_flat(value);
}

static void put_object(FILE *out, const struct print_columns *c, json_t *object, size_t indent)
{
	size_t width = 0;
	char label[KEY_BYTES];

	for (size_t i = 0; i < c->count; i++) {
		human_label(c->keys[i], label, sizeof(label));
		if (!needs_block(member(object, c->keys[i])) && human_width(label) > width)
			width = human_width(label);
	}
	for (size_t i = 0; i < c->count; i++) {
		json_t *value = member(object, c->keys[i]);

		human_label(c->keys[i], label, sizeof(label));
		put_spaces(out, indent);
		human_text(out, label);
		(void)fputc(':', out);
		if (needs_block(value)) {
			(void)fputc('\n', out);
			put_nested(out, value, indent + 2);
			continue;
		}
		put_spaces(out, width - human_width(label) + 1);
		human_value(out, unit_key(c->keys[i]), value);
		(void)fputc('\n', out);
	}
}

// The method's columns; for one object also everything else it has.
static void columns_of_method(
	struct print_columns *c, const struct phx_ctl_method *m, json_t *result, bool list)
{
	if (m != NULL && m->columns != NULL)
		for (const struct phx_ctl_column *k = m->columns; k->key != NULL; k++)
			if (list || json_object_get(result, k->key) != NULL)
				add_column(c, k->key, k->header);
	if (!list)
		columns_of_object(c, result);
}

// The columns with those of the rows in place of the ones whose names have a #.
static void columns_of_patterns(
	struct print_columns *out, const struct print_columns *columns, json_t *rows)
{
	json_t *row, *value;
	const char *key;
	size_t i;

	for (size_t k = 0; k < columns->count; k++) {
		if (strchr(columns->keys[k], '#') == NULL) {
			add_column(out, columns->keys[k], columns->headers[k]);
			continue;
		}
		json_array_foreach(rows, i, row)
		{
			json_object_foreach(row, key, value)
			{
				if (print_column_matches(columns->keys[k], key, strlen(key)))
					add_column(out, key, NULL);
			}
		}
	}
}

static void put_rows(FILE *out, const struct print_columns *columns, json_t *rows)
{
	struct print_columns *own = calloc(1, sizeof(*own));

	if (own == NULL)
		return;
	columns_of_patterns(own, columns, rows);
	put_table(out, own, rows, 0);
	free(own);
}

void print_result(FILE *out, const struct phx_ctl_method *m, const struct print_columns *columns,
	json_t *result)
{
	bool list = m != NULL && m->list_key != NULL &&
		    json_is_array(json_object_get(result, m->list_key));
	struct print_columns *own = NULL;

	if (columns == NULL || columns->count == 0) {
		own = calloc(1, sizeof(*own));
		if (own == NULL)
			return;
		columns_of_method(own, m, result, list);
		columns = own;
	}
	if (list)
		put_rows(out, columns, json_object_get(result, m->list_key));
	else if (json_is_object(result))
		put_object(out, columns, result, 0);
	else
		put_nested(out, result, 0);
	free(own);
}

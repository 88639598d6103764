// SPDX-License-Identifier: BSD-3-Clause
// TAB and ? of the shell, for shell.h.
#include "cli/shell.h"

#include "cli/complete.h"
#include "cli/human.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80

struct position {
	char *text; // the line up to the cursor
	struct words w;
	char *partial; // the word at the cursor, maybe empty; owned
	struct choices found;
	size_t start; // where in partial the choices begin
};

static void add_shell_words(struct choices *out, const char *partial)
{
	for (size_t i = 0; i < shell_word_count(); i++) {
		const struct shell_word *word = shell_word_at(i);

		if (strncmp(word->name, partial, strlen(partial)) == 0)
			choices_add(out, word->name, word->hint, word->help);
	}
}

static void position_fini(struct position *p)
{
	choices_fini(&p->found);
	words_fini(&p->w);
	free(p->partial);
	free(p->text);
}

static char *text_before_cursor(EditLine *editor)
{
	const LineInfo *line = el_line(editor);

	return strndup(line->buffer, (size_t)(line->cursor - line->buffer));
}

static void add_filters(struct choices *out, const char *partial)
{
	static const struct choice filters[] = {
		{(char *)"grep", "PATTERN", "lines that match an extended regular expression"},
		{(char *)"json", "", "the result as JSON"},
		{(char *)"count", "", "the number of rows or lines"},
	};

	for (size_t i = 0; i < PHX_ARRAY_LEN(filters); i++)
		if (strncmp(filters[i].word, partial, strlen(partial)) == 0)
			choices_add(out, filters[i].word, filters[i].hint, filters[i].help);
}

// Split what stands before the cursor, behind the last |. *out_filter: there was one.
static int split(struct position *p, bool *out_filter)
{
	const char *text = p->text, *why;
	size_t end, offset;
	int rc;

	*out_filter = false;
	while ((rc = words_split_until(text, '|', &p->w, &end, &why, &offset)) == 0 &&
		text[end] == '|') {
		*out_filter = true;
		text += end + 1;
		words_fini(&p->w);
	}
	return rc;
}

// What may stand at the cursor. 0, -EINVAL within quotes or brackets, -ENOMEM.
static int position_find(struct shell *sh, struct position *p)
{
	bool filter, help;
	size_t len;
	int rc;

	*p = (struct position){.text = text_before_cursor(sh->editor)};
	if (p->text == NULL)
		return -ENOMEM;
	rc = split(p, &filter);
	if (rc != 0)
		return rc;
	len = strlen(p->text);
	if (p->w.count > 0 && strchr(" \t", p->text[len - 1]) == NULL)
		p->partial = p->w.items[--p->w.count];
	else
		p->partial = strdup("");
	if (p->partial == NULL)
		return -ENOMEM;
	if (filter) {
		if (p->w.count == 0)
			add_filters(&p->found, p->partial);
		return 0;
	}
	help = p->w.count > 0 && strcmp(p->w.items[0], "help") == 0;
	const struct words w = {p->w.items + help, p->w.count - help};

	p->start = complete_words(
		&w, p->partial, help ? NULL : session_rows, &sh->cli->session, &p->found);
	if (p->w.count == 0)
		add_shell_words(&p->found, p->partial);
	return 0;
}

static size_t terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return COLUMNS_DEFAULT;
}

static bool with_hint(const struct choice *c)
{
	return c->hint != NULL && c->hint[0] != '\0';
}

// Below the line: words, with what follows them, as many in a row as fit.
static void list_choices(const struct choices *found)
{
	size_t width = 0, column = 0, columns = terminal_columns();

	for (size_t i = 0; i < found->count; i++) {
		const struct choice *c = &found->items[i];
		size_t len = strlen(c->word) + (with_hint(c) ? strlen(c->hint) + 1 : 0);

		width = phx_max(width, len + 2);
	}
	(void)fputc('\n', stdout);
	for (size_t i = 0; i < found->count; i++) {
		const struct choice *c = &found->items[i];
		int n = printf(
			"%s%s%s", c->word, with_hint(c) ? " " : "", with_hint(c) ? c->hint : "");

		column += width;
		if (i + 1 == found->count || column + width > columns) {
			(void)fputc('\n', stdout);
			column = 0;
		} else {
			(void)printf("%*s", (int)width - n, "");
		}
	}
	(void)fflush(stdout);
}

// A line for each choice.
static void explain_choices(const struct choices *found)
{
	int word = 0, hint = 0;

	for (size_t i = 0; i < found->count; i++) {
		const struct choice *c = &found->items[i];

		word = phx_max(word, (int)strlen(c->word));
		hint = phx_max(hint, with_hint(c) ? (int)strlen(c->hint) : 0);
	}
	(void)fputc('\n', stdout);
	for (size_t i = 0; i < found->count; i++) {
		const struct choice *c = &found->items[i];

		(void)printf("  %-*s  %-*s%s%s\n", word, c->word, hint, with_hint(c) ? c->hint : "",
			hint > 0 ? "  " : "", c->help != NULL ? c->help : "");
	}
	if (found->count == 0)
		(void)puts("  a value, or nothing");
	(void)fflush(stdout);
}

static struct shell *shell_of(EditLine *editor)
{
	struct shell *sh = NULL;

	(void)el_get(editor, EL_CLIENTDATA, &sh); // set before anything is read
	return sh;
}

// Insert what all choices have in common, and a blank behind the only one.
static bool insert_common(EditLine *editor, const struct position *p)
{
	size_t typed = strlen(p->partial) - p->start;
	size_t common = choices_common(&p->found);
	const char *word = p->found.items[0].word;
	bool progress = common > typed;
	char *text;

	if (progress) {
		text = strndup(word + typed, common - typed);
		if (text != NULL)
			(void)el_insertstr(editor, text); // a line that is full stays as it is
		free(text);
	}
	if (p->found.count > 1)
		return progress;
	(void)el_insertstr(editor, " ");
	return true;
}

static unsigned char key_complete(EditLine *editor, int)
{
	struct position p;
	unsigned char result = CC_ERROR;

	if (position_find(shell_of(editor), &p) == 0 && p.found.count > 0) {
		if (insert_common(editor, &p)) {
			result = CC_REFRESH;
		} else {
			list_choices(&p.found);
			result = CC_REDISPLAY;
		}
	}
	position_fini(&p);
	return result;
}

static unsigned char key_help(EditLine *editor, int)
{
	struct position p;
	int rc = position_find(shell_of(editor), &p);
	size_t len = p.text != NULL ? strlen(p.text) : 0;
	unsigned char result = CC_REDISPLAY;

	if (rc == -EINVAL || (len > 0 && p.text[len - 1] == '\\')) { // literal
		(void)el_insertstr(editor, "?");
		result = CC_REFRESH;
	} else if (rc == 0) {
		explain_choices(&p.found);
	} else {
		result = CC_ERROR;
	}
	position_fini(&p);
	return result;
}

void shell_keys_bind(struct shell *sh)
{
	(void)el_set(sh->editor, EL_ADDFN, "ph-complete", "complete the word", key_complete);
	(void)el_set(sh->editor, EL_ADDFN, "ph-help", "say what may come here", key_help);
	(void)el_set(sh->editor, EL_BIND, "^I", "ph-complete", NULL);
	(void)el_set(sh->editor, EL_BIND, "?", "ph-help", NULL);
}

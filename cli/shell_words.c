// SPDX-License-Identifier: BSD-3-Clause
// Words that only the shell knows, for shell.h.
#include "cli/shell.h"

#include "cli/batch.h"
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

static const struct shell_word words[] = {
	{"help", "[NOUN [VERB]]", "what there is; ? at any place of a line"},
	{"history", "", "earlier lines; !N runs number N again, !! the last one"},
	{"source", "FILE", "run a file of commands"},
	{"timing", "on|off", "say how long each command took"},
	{"output", "table|json", "how results are shown"},
	{"exit", "", "end the shell, as ^D does"},
};

size_t shell_word_count(void)
{
	return PHX_ARRAY_LEN(words);
}

const struct shell_word *shell_word_at(size_t index)
{
	return &words[index];
}

static void usage(const char *name)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(words); i++)
		if (strcmp(words[i].name, name) == 0)
			(void)fprintf(stderr, "error: usage: %s %s\n", name, words[i].hint);
}

static void print_help(const struct words *about)
{
	if (help_print(stdout, about) != 0) {
		(void)fputs("error: no such command\n", stderr);
	} else if (about->count == 0) {
		(void)puts("\nin the shell:");
		for (size_t i = 0; i < PHX_ARRAY_LEN(words); i++)
			(void)printf("  %-20s %s\n", words[i].name, words[i].help);
		(void)puts(
			"  | grep PATTERN, | json, | count behind a command\n"
			"keys: TAB completes, ? explains, ^C drops the line or ends the request");
	}
}

static void source(struct shell *sh, const char *path)
{
	struct options *o = &sh->cli->options;

	if (strcmp(path, "-") == 0) {
		(void)fputs("error: the shell reads the terminal already\n", stderr);
		return;
	}
	o->file = path;
	(void)batch_run(sh->cli); // its failure has been reported
	o->file = NULL;
}

// One of two words. False when it is neither.
static bool choose(const char *word, const char *yes, const char *no, bool *out)
{
	if (strcmp(word, yes) != 0 && strcmp(word, no) != 0)
		return false;
	*out = strcmp(word, yes) == 0;
	return true;
}

bool shell_word_run(struct shell *sh, const struct words *w)
{
	const char *name = w->items[0];
	const char *first = w->count == 2 ? w->items[1] : "";
	const struct words about = {w->items + 1, w->count - 1};
	bool fine = true;

	if (strcmp(name, "help") == 0 || strcmp(name, "?") == 0) {
		print_help(&about);
	} else if (strcmp(name, "history") == 0) {
		fine = w->count == 1;
		if (fine)
			shell_history_print(sh, stdout);
	} else if (strcmp(name, "source") == 0) {
		fine = w->count == 2;
		if (fine)
			source(sh, first);
	} else if (strcmp(name, "timing") == 0) {
		fine = choose(first, "on", "off", &sh->timing);
	} else if (strcmp(name, "output") == 0) {
		fine = choose(first, "json", "table", &sh->cli->report.json);
	} else if (strcmp(name, "exit") == 0 || strcmp(name, "quit") == 0) {
		fine = w->count == 1;
		sh->over = fine;
	} else {
		return false;
	}
	if (!fine)
		usage(name);
	return true;
}

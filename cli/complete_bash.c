// SPDX-License-Identifier: BSD-3-Clause
// Answers for complete_bash.h.
#include "cli/complete_bash.h"

#include "cli/complete.h"
#include "cli/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_BYTES 256

// The words before the one at the cursor as a command line: its options say whom to ask.
static int parse_options(struct words *all, struct options *out_options, struct words *w)
{
	char **argv = calloc(all->count + 1, sizeof(*argv));
	char why[WHY_BYTES];

	if (argv == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < all->count; i++)
		argv[i] = all->items[i];
	// What is wrong with the options is told when the command runs.
	(void)options_parse((int)all->count, argv, out_options, w, why, sizeof(why));
	free(argv);
	return 0;
}

// bash replaces what stands after the last = or : that was typed.
static void print_choices(const struct choices *found, const char *partial, size_t start)
{
	size_t skip = 0;

	for (size_t i = 0; partial[i] != '\0'; i++)
		if (partial[i] == '=' || partial[i] == ':')
			skip = i + 1;
	for (size_t i = 0; i < found->count; i++) {
		const char *word = found->items[i].word;

		// Checked when the program ends.
		if (skip <= start)
			(void)printf("%.*s%s\n", (int)(start - skip), partial + skip, word);
		else if (strlen(word) >= skip - start)
			(void)printf("%s\n", word + (skip - start));
	}
}

static void complete(struct words *all, const char *partial)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct choices found = CHOICES_INIT;
	struct words w = WORDS_INIT;
	struct session session;
	struct options options;
	bool reachable;
	size_t start;

	if (parse_options(all, &options, &w) == 0) {
		reachable = session_init(&session, &options, &e) == CLI_DONE;
		start = complete_words(
			&w, partial, reachable ? session_rows : NULL, &session, &found);
		print_choices(&found, partial, start);
		if (reachable)
			session_fini(&session);
	}
	choices_fini(&found);
	phx_ctl_error_fini(&e);
	words_fini(&w);
}

int complete_bash(void)
{
	const char *line = getenv("COMP_LINE"), *point = getenv("COMP_POINT"), *why;
	struct words all = WORDS_INIT;
	char *text, *partial = NULL;
	size_t len, offset;
	int rc;

	if (line == NULL)
		return -EINVAL;
	len = point != NULL ? strtoul(point, NULL, 10) : strlen(line);
	text = strndup(line, len);
	if (text == NULL)
		return -ENOMEM;
	len = strlen(text);
	rc = words_split(text, &all, &why, &offset);
	if (rc == 0 && all.count > 1 && strchr(" \t", text[len - 1]) == NULL)
		partial = all.items[--all.count]; // ours to free
	if (rc == 0 && all.count > 0)
		complete(&all, partial != NULL ? partial : "");
	free(partial);
	words_fini(&all);
	free(text);
	return rc;
}

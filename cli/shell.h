// SPDX-License-Identifier: BSD-3-Clause
// Inside the shell: what interact.c, its keys, its history and its own words share.
#pragma once

#include "cli/command.h"

#include <histedit.h>
#include <signal.h>

#define SHELL_PROMPT_BYTES 128

struct shell {
	struct cli *cli;
	EditLine *editor;
	History *history;
	char *history_path; // NULL: not kept; owned
	char prompt[SHELL_PROMPT_BYTES];
	sigset_t wait_mask; // SIGINT is blocked but while waiting, so that none is lost
	bool timing;
	bool over;
};

// A word that only the shell knows.
struct shell_word {
	const char *name;
	const char *hint;
	const char *help;
};
size_t shell_word_count(void);
const struct shell_word *shell_word_at(size_t index);

// Run the line if its first word is one of the shell's own; false: it is not.
bool shell_word_run(struct shell *sh, const struct words *w);

// Bind TAB and ? in the editor's current map of keys.
void shell_keys_bind(struct shell *sh);

// Find and read the file of earlier lines: $XDG_STATE_HOME/phoenix/history, mode 0600. What
// stands in the way is told once, on stderr.
void shell_history_load(struct shell *sh);
// Remember a line (which may end with a newline), in the file as well. Not the one before
// again, none that begins with a blank or has to do with secrets or payloads.
void shell_history_add(struct shell *sh, const char *line);
// Line number n of the list that `history` prints, or the last one for 0. NULL: there is none.
// Valid until the next call.
const char *shell_history_line(struct shell *sh, int n);
void shell_history_print(struct shell *sh, FILE *out);

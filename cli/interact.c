// SPDX-License-Identifier: BSD-3-Clause
// The editor loop of interact.h, on libedit.
#include "cli/interact.h"

#include "cli/help.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 1000
#define PROMPT_BYTES  128

struct shell {
	struct cli *cli;
	EditLine *editor;
	History *history;
	char prompt[PROMPT_BYTES];
	sigset_t wait_mask; // SIGINT is blocked but while waiting, so that none is lost
};

static struct shell *shell_of(EditLine *editor)
{
	struct shell *sh = NULL;

	(void)el_get(editor, EL_CLIENTDATA, &sh); // set before anything is read
	return sh;
}

static char *prompt_of(EditLine *editor)
{
	return shell_of(editor)->prompt;
}

// The editor's source of characters: 1, 0 at the end, -1 with errno EINTR for ^C.
static int read_character(EditLine *editor, wchar_t *out)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	mbstate_t state = {0};
	ssize_t n;
	char c;

	for (;;) {
		if (ppoll(&input, 1, NULL, &shell_of(editor)->wait_mask) < 0)
			return -1;
		n = read(STDIN_FILENO, &c, 1);
		if (n <= 0)
			return (int)n;
		switch (mbrtowc(out, &c, 1, &state)) {
		case (size_t)-2: // more bytes follow
			break;
		case (size_t)-1:
			*out = L'?';
			return 1;
		default:
			return 1;
		}
	}
}

// "phoenix (NAME)> ": the instance, which is the last part of its run directory, or the path
// of a socket that was given.
static void set_prompt(struct shell *sh)
{
	const char *path = sh->cli->session.path;
	const char *end = strrchr(path, '/'), *name = path;

	if (sh->cli->options.socket != NULL || end == NULL)
		end = path + strlen(path);
	else
		for (const char *s = path; s < end; s++)
			if (*s == '/')
				name = s + 1;
	(void)snprintf(sh->prompt, sizeof(sh->prompt), "phoenix (%.*s)> ", (int)(end - name), name);
}

static void nothing(int)
{
}

// True when the line ends the shell.
static bool run_line(struct shell *sh, const char *line)
{
	struct words w = WORDS_INIT;
	const char *why;
	size_t offset;
	bool over = false;
	int rc = words_split(line, &w, &why, &offset);

	if (rc != 0) {
		(void)fprintf(stderr, "error: %s\n", rc == -ENOMEM ? "out of memory" : why);
		return false;
	}
	if (w.count > 0 && (strcmp(w.items[0], "exit") == 0 || strcmp(w.items[0], "quit") == 0)) {
		over = true;
	} else if (w.count > 0 && strcmp(w.items[0], "help") == 0) {
		struct words about = {w.items + 1, w.count - 1};

		if (help_print(stdout, &about) != 0)
			(void)fputs("error: no such command\n", stderr);
	} else if (w.count > 0) {
		// Its failure has been reported; the shell goes on.
		(void)command_run(sh->cli, &w, GRAMMAR_ABBREVIATE);
	}
	words_fini(&w);
	return over;
}

static void read_lines(struct shell *sh)
{
	HistEvent event;
	const char *line;
	int count;

	for (;;) {
		errno = 0;
		line = el_gets(sh->editor, &count);
		if (line == NULL && errno == EINTR) { // ^C
			(void)fputc('\n', stdout);
			el_reset(sh->editor);
			continue;
		}
		if (line == NULL || count <= 0) {
			(void)fputc('\n', stdout);
			return;
		}
		if (line[strspn(line, " \t\n")] != '\0')
			(void)history(sh->history, &event, H_ENTER, line);
		if (run_line(sh, line))
			return;
		(void)fflush(stdout);
	}
}

static void set_editor(struct shell *sh)
{
	HistEvent event;

	(void)history(sh->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)history(sh->history, &event, H_SETUNIQUE, 1);
	(void)el_set(sh->editor, EL_CLIENTDATA, sh);
	(void)el_set(sh->editor, EL_PROMPT, prompt_of);
	(void)el_set(sh->editor, EL_GETCFN, read_character);
	(void)el_set(sh->editor, EL_HIST, history, sh->history);
	(void)el_set(sh->editor, EL_SIGNAL, 0);
	(void)el_set(sh->editor, EL_EDITOR, "emacs"); // ~/.editrc may say vi
	(void)el_source(sh->editor, NULL);	      // no ~/.editrc is fine
}

int interact_run(struct cli *cli)
{
	struct sigaction handler = {.sa_handler = nothing}, before;
	struct shell sh = {.cli = cli};
	sigset_t block, mask;
	int code = CLI_LOCAL;

	set_prompt(&sh);
	sh.history = history_init();
	sh.editor = el_init("phoenix-cli", stdin, stdout, stderr);
	if (sh.history == NULL || sh.editor == NULL) {
		(void)fputs("error: the terminal cannot be used\n", stderr);
	} else {
		set_editor(&sh);
		(void)sigemptyset(&block); // none of these can fail
		(void)sigaddset(&block, SIGINT);
		(void)sigprocmask(SIG_BLOCK, &block, &mask);
		sh.wait_mask = mask;
		(void)sigdelset(&sh.wait_mask, SIGINT);
		(void)sigaction(SIGINT, &handler, &before);
		read_lines(&sh);
		(void)sigaction(SIGINT, &before, NULL);
		(void)sigprocmask(SIG_SETMASK, &mask, NULL);
		code = CLI_DONE;
	}
	if (sh.editor != NULL)
		el_end(sh.editor);
	if (sh.history != NULL)
		history_end(sh.history);
	return code;
}

// SPDX-License-Identifier: BSD-3-Clause
// The editor loop of interact.h, on libedit.
#include "cli/interact.h"

#include "cli/filter.h"
#include "cli/shell.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define WHY_BYTES 160

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

static void complain(const char *text)
{
	(void)fprintf(stderr, "error: %s\n", text);
}

// A command with its filters, which stand in rest behind the first |.
static void run_command(struct shell *sh, const struct words *w, const char *rest)
{
	struct filters filters = {.count = 0};
	char why[WHY_BYTES];
	uint64_t start_ns = phx_clock_ns();

	if (rest[0] == '|' && filters_parse(rest + 1, &filters, why, sizeof(why)) != 0) {
		complain(why);
		return;
	}
	sh->cli->report.filters = filters.count > 0 ? &filters : NULL;
	// Its failure has been reported; the shell goes on.
	(void)command_run(sh->cli, w, GRAMMAR_ABBREVIATE);
	sh->cli->report.filters = NULL;
	filters_fini(&filters);
	(void)fflush(stdout);
	if (sh->timing)
		(void)fprintf(stderr, "time: %.3f ms\n",
			(double)(phx_clock_ns() - start_ns) / (double)PHX_NS_PER_MS);
}

static void run_line(struct shell *sh, const char *line)
{
	struct words w = WORDS_INIT;
	const char *why;
	size_t end, offset;
	int rc = words_split_until(line, '|', &w, &end, &why, &offset);

	if (rc != 0)
		complain(rc == -ENOMEM ? "out of memory" : why);
	else if (w.count == 0 && line[end] == '|')
		complain("a command is missing before |");
	else if (w.count > 0 && !shell_word_run(sh, &w))
		run_command(sh, &w, line + end);
	words_fini(&w);
}

// The earlier line that !N or !! means, shown; the line itself when it is neither. NULL:
// there is none, which was told.
static const char *recall(struct shell *sh, const char *line)
{
	char *end;
	long n = 0;

	if (line[0] != '!')
		return line;
	if (line[1] == '!') {
		end = (char *)line + 2;
	} else {
		n = strtol(line + 1, &end, 10);
		if (end == line + 1 || n <= 0 || n > INT_MAX)
			end = (char *)"?";
	}
	line = end[strspn(end, " \t\n")] == '\0' ? shell_history_line(sh, (int)n) : NULL;
	if (line != NULL)
		(void)printf("%s\n", line);
	else
		complain("no such line in the history");
	return line;
}

static void take_line(struct shell *sh, const char *line)
{
	char *copy;

	line = recall(sh, line);
	copy = line != NULL ? strdup(line) : NULL; // the history may move
	if (copy == NULL)
		return;
	shell_history_add(sh, copy);
	run_line(sh, copy);
	free(copy);
	(void)fflush(stdout);
}

static void read_lines(struct shell *sh)
{
	const char *line;
	int count;

	while (!sh->over) {
		// Raw before the prompt is drawn, which el_gets does after: a ^D in between would
		// be the terminal's and be lost.
		(void)el_set(sh->editor, EL_PREP_TERM, 1);
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
		take_line(sh, line);
	}
}

static void set_editor(struct shell *sh)
{
	const char *map = "emacs";

	(void)el_set(sh->editor, EL_CLIENTDATA, sh);
	(void)el_set(sh->editor, EL_PROMPT, prompt_of);
	(void)el_set(sh->editor, EL_GETCFN, read_character);
	(void)el_set(sh->editor, EL_HIST, history, sh->history);
	(void)el_set(sh->editor, EL_SIGNAL, 0);
	(void)el_set(sh->editor, EL_EDITOR, map);
	shell_keys_bind(sh);
	(void)el_source(sh->editor, NULL); // no ~/.editrc is fine; it may bind other keys
	(void)el_get(sh->editor, EL_EDITOR, &map);
	if (strcmp(map, "vi") == 0)
		shell_keys_bind(sh); // another map
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
		shell_history_load(&sh);
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
	free(sh.history_path);
	return code;
}

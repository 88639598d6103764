// SPDX-License-Identifier: BSD-3-Clause
// phoenix-cli: every command is a method of the control plane; nothing is decided here.
#include "cli/batch.h"
#include "cli/complete_bash.h"
#include "cli/help.h"
#include "cli/interact.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#define WHY_BYTES 256

static int print_help(struct cli *cli, const struct words *w)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	if (help_print(stdout, w) == 0)
		return CLI_DONE;
	(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "no such command: %s %s", w->items[0],
		w->count > 1 ? w->items[1] : "");
	phx_ctl_error_add(&e, "hint", json_string("phoenix-cli --help"));
	return command_fail(cli, &e, CLI_USAGE);
}

static int print_dump(struct cli *cli)
{
	json_t *dump = help_dump();

	cli->report.json = true;
	report_result(&cli->report, NULL, true, NULL, dump);
	json_decref(dump);
	return CLI_DONE;
}

// No command: the shell on a terminal; elsewhere lines from stdin, of which there must be one.
static int run_shell(struct cli *cli)
{
	struct words none = WORDS_INIT;
	int c;

	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return interact_run(cli);
	c = getc(stdin);
	if (c == EOF)
		return command_run(cli, &none, 0); // says what is missing
	(void)ungetc(c, stdin);			   // one character always fits
	cli->options.file = "-";
	return batch_run(cli);
}

static int run(struct cli *cli, const struct words *w)
{
	const struct options *o = &cli->options;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	int code;

	if (o->complete)
		return complete_bash() == 0 ? CLI_DONE : CLI_USAGE;
	if (o->version) {
		(void)printf("phoenix-cli %s\n", PHX_VERSION); // checked at the end
		return CLI_DONE;
	}
	if (o->help)
		return print_help(cli, w);
	if (o->dump)
		return print_dump(cli);
	code = session_init(&cli->session, o, &e);
	if (code != CLI_DONE)
		return command_fail(cli, &e, code);
	if (o->file == NULL && w->count == 0)
		code = run_shell(cli);
	else if (o->file != NULL)
		code = batch_run(cli);
	else
		code = command_run(cli, w, GRAMMAR_ABBREVIATE);
	session_fini(&cli->session);
	return code;
}

int main(int argc, char **argv)
{
	struct cli cli = {.report = {.out = stdout, .err = stderr}};
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct words w = WORDS_INIT;
	char why[WHY_BYTES] = "";
	int code = CLI_DONE;

	(void)setlocale(LC_CTYPE, ""); // the width of characters; C will do
	switch (options_parse(argc, argv, &cli.options, &w, why, sizeof(why))) {
	case OPTIONS_USAGE:
		cli.report.json = cli.options.json;
		(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "%s", why);
		phx_ctl_error_add(&e, "hint", json_string("phoenix-cli --help"));
		code = command_fail(&cli, &e, CLI_USAGE);
		break;
	case OPTIONS_RUN:
		cli.report.json = cli.options.json;
		cli.report.pretty = cli.options.pretty;
		cli.report.quiet = cli.options.quiet;
		code = run(&cli, &w);
		break;
	}
	words_fini(&w);
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_DONE) {
		(void)fprintf(stderr, "error: cannot write: %s\n",
			errno != 0 ? strerror(errno) : "an earlier write failed");
		code = CLI_LOCAL;
	}
	return code;
}

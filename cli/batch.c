// SPDX-License-Identifier: BSD-3-Clause
// Reading and running for batch.h. Words may not be abbreviated here: a script must mean the
// same when a verb is added.
#include "cli/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_BYTES 288

struct batch {
	struct cli *cli;
	FILE *in;
	const char *name;
	char where[WHERE_BYTES];
	int code; // of the first failure
	bool over;
};

static void set_where(struct batch *b, size_t number)
{
	(void)snprintf(b->where, sizeof(b->where), "%.256s:%zu", b->name, number);
	b->cli->report.where = b->where;
}

static void note(struct batch *b, int code)
{
	(void)fflush(b->cli->report.out); // in step with stderr; checked at the end
	if (code == CLI_DONE)
		return;
	if (b->code == CLI_DONE)
		b->code = code;
	b->over = !b->cli->options.keep_going || code == CLI_INTERRUPTED;
}

// The line could not be split into words.
static int fail_line(struct batch *b, const char *line, const char *why, size_t offset)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "column %zu: %s", offset + 1, why);
	phx_ctl_error_add(&e, "command", json_string(line));
	return command_fail(b->cli, &e, CLI_USAGE);
}

static int run_line(struct batch *b, const char *line)
{
	struct words w = WORDS_INIT;
	const char *why;
	size_t offset = 0;
	int rc = words_split(line, &w, &why, &offset);
	int code = CLI_DONE;

	if (rc == -ENOMEM) {
		struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

		(void)phx_ctl_error_set(&e, PHX_INTERNAL, "out of memory");
		return command_fail(b->cli, &e, CLI_LOCAL);
	}
	if (rc != 0)
		return fail_line(b, line, why, offset);
	if (w.count > 0 && b->cli->options.echo)
		(void)fprintf(b->cli->report.err, "+ %s\n", line);
	if (w.count > 0)
		code = command_run(b->cli, &w, 0);
	words_fini(&w);
	return code;
}

static int fail_read(struct batch *b, int error)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	b->cli->report.where = NULL;
	(void)phx_ctl_error_set(&e, PHX_UNKNOWN, "cannot read %s: %s", b->name, strerror(error));
	return command_fail(b->cli, &e, CLI_LOCAL);
}

static void run_lines(struct batch *b)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	for (size_t number = 1; !b->over; number++) {
		errno = 0;
		len = getline(&line, &size, b->in);
		if (len < 0) {
			if (ferror(b->in))
				note(b, fail_read(b, errno));
			break;
		}
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		set_where(b, number);
		if (strlen(line) != (size_t)len)
			note(b, fail_line(b, "", "a NUL byte", strlen(line)));
		else
			note(b, run_line(b, line));
	}
	free(line);
}

static void run_request(struct batch *b, json_t *request, size_t number)
{
	set_where(b, number);
	if (b->cli->options.echo) {
		(void)fputs("+ ", b->cli->report.err);
		(void)json_dumpf(request, b->cli->report.err, JSON_COMPACT | JSON_ENCODE_ANY);
		(void)fputc('\n', b->cli->report.err);
	}
	note(b, command_request(b->cli, request));
}

// Texts one after another, each an object or an array of objects, until the end.
static void run_requests(struct batch *b)
{
	const size_t flags = JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES;
	size_t number = 1;
	int c;

	while (!b->over) {
		do
			c = getc(b->in);
		while (c == ' ' || c == '\t' || c == '\r' || c == '\n');
		if (c == EOF)
			break;
		(void)ungetc(c, b->in); // one character always fits

		json_error_t error;
		json_t *text = json_loadf(b->in, flags, &error), *request;
		size_t i;

		if (text == NULL) {
			struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

			set_where(b, number);
			(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT,
				"no valid JSON: %s (line %d of this text)", error.text, error.line);
			note(b, command_fail(b->cli, &e, CLI_USAGE));
			break; // where the next one begins is unknown
		}
		if (json_is_object(text))
			run_request(b, text, number++);
		json_array_foreach(text, i, request)
		{
			if (!b->over)
				run_request(b, request, number++);
		}
		json_decref(text);
	}
	if (ferror(b->in))
		note(b, fail_read(b, EIO));
}

int batch_run(struct cli *cli)
{
	struct batch b = {.cli = cli, .name = cli->options.file};
	bool is_stdin = strcmp(b.name, "-") == 0;
	int c;

	if (is_stdin)
		b.name = "stdin";
	b.in = is_stdin ? stdin : fopen(b.name, "re");
	if (b.in == NULL)
		return fail_read(&b, errno);
	errno = 0;
	c = getc(b.in);
	if (c != EOF)
		(void)ungetc(c, b.in); // one character always fits
	if (ferror(b.in))
		note(&b, fail_read(&b, errno));
	else if (c == '{' || c == '[')
		run_requests(&b);
	else
		run_lines(&b);
	if (!is_stdin)
		(void)fclose(b.in); // was only read
	cli->report.where = NULL;
	return b.code;
}

// SPDX-License-Identifier: BSD-3-Clause
// Execution for command.h.
#include "cli/command.h"

#include "cli/doctor.h"
#include "cli/local.h"
#include "cli/monitor.h"
#include "cli/top.h"

#include <string.h>

int command_fail(struct cli *cli, struct phx_ctl_error *e, int exit_code)
{
	report_error(&cli->report, e);
	phx_ctl_error_fini(e);
	return exit_code;
}

static void set_timeout(const struct cli *cli, struct grammar_command *c)
{
	json_int_t ms = 0, lasts;

	if (c->raw || c->method == NULL || json_object_get(c->params, "timeout_ms") != NULL)
		return;
	lasts = phx_ctl_method_lasts_ms(c->method, c->params);
	if ((c->method->flags & PHX_CTL_FORWARD) != 0 || lasts != 0) {
		ms = session_forward_ms(&cli->session);
		if (!cli->options.timeout_given)
			ms += lasts;
	} else if (strcmp(c->method->name, "job.wait") == 0)
		ms = PHX_CTL_TIMEOUT_MAX_MS; // as long as any job; -t is less
	if (ms != 0)
		(void)json_object_set_new(c->params, "timeout_ms", json_integer(ms));
}

// The error that the job ended with, as one of the shell.
static int job_failed(struct cli *cli, json_t *job)
{
	static const char *const members[] = {"hint", "candidates"};
	const char *name = json_string_value(json_object_get(job, "job"));
	const char *text = json_string_value(json_object_get(job, "error"));
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	if (cli->report.json)
		return CLI_JOB; // the job says it all
	(void)phx_ctl_error_set(&e, (int)json_integer_value(json_object_get(job, "code")), "%s: %s",
		name != NULL ? name : "the job", text != NULL ? text : "it has failed");
	for (size_t i = 0; i < PHX_ARRAY_LEN(members); i++)
		phx_ctl_error_add(&e, members[i], json_incref(json_object_get(job, members[i])));
	return command_fail(cli, &e, CLI_JOB);
}

// What was answered is shown; it may still say that something is wrong.
static int result_exit_code(struct cli *cli, const struct phx_ctl_method *m, json_t *result)
{
	const char *state = json_string_value(json_object_get(result, "state"));

	if (m == NULL)
		return CLI_DONE;
	if ((m->flags & PHX_CTL_JOB) != 0 && state != NULL && strcmp(state, "failed") == 0)
		return job_failed(cli, result);
	if ((m->flags & PHX_CTL_FAULTS) != 0 &&
		json_array_size(json_object_get(result, m->list_key)) != 0)
		return session_exit_code(PHX_INVALID_ARGUMENT);
	return CLI_DONE;
}

static int send_command(
	struct cli *cli, struct grammar_command *c, const struct print_columns *columns)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *result = NULL;
	int code;

	set_timeout(cli, c);
	code = session_call(&cli->session, c->name, c->params, &result, &e);
	if (code != CLI_DONE)
		return command_fail(cli, &e, code);
	if (json_is_true(json_object_get(c->params, "dry_run")) && !cli->report.json &&
		!cli->report.quiet)
		(void)fputs("dry run, nothing was changed\n", cli->report.out);
	report_result(&cli->report, c->method, c->raw, columns, result);
	code = result_exit_code(cli, c->method, result);
	json_decref(result);
	return code;
}

// The command and its arguments; both have checked nothing yet.
static int run_local(struct cli *cli, const struct local *local, const struct words *w)
{
	const struct words arguments = {w->items + 1, w->count - 1};

	switch (local->id) {
	case LOCAL_DOCTOR:
		return doctor_run(cli, &arguments);
	case LOCAL_MONITOR:
		return monitor_run(cli, &arguments);
	case LOCAL_TOP:
		return top_run(cli, &arguments);
	}
	return CLI_LOCAL;
}

int command_run(struct cli *cli, const struct words *w, unsigned flags)
{
	const struct options *o = &cli->options;
	struct print_columns columns = {.count = 0};
	struct grammar_command c;
	struct grammar_error error;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	int code;

	if (grammar_parse(w, flags, &c, &error) != 0) {
		if (error.local)
			return command_fail(cli, &error.error, CLI_LOCAL);
		report_usage(&cli->report, w, &error);
		phx_ctl_error_fini(&error.error);
		return CLI_USAGE;
	}
	if (c.local != NULL)
		return run_local(cli, c.local, w);
	if (o->columns != NULL && print_columns_parse(o->columns, c.method, &columns, &e) != 0)
		code = command_fail(cli, &e, CLI_USAGE);
	else if (o->dry_run && grammar_dry_run(&c, &e) != 0)
		code = command_fail(cli, &e, CLI_USAGE);
	else
		code = send_command(cli, &c, &columns);
	grammar_command_fini(&c);
	return code;
}

// A request as it stands, checked as far as it must be to send it.
static int request_take(json_t *request, struct grammar_command *out, struct phx_ctl_error *e)
{
	const char *name = json_string_value(json_object_get(request, "method"));
	json_t *params = json_object_get(request, "params");
	const char *key;
	json_t *value;

	if (name == NULL)
		return phx_ctl_error_set(
			e, PHX_INVALID_ARGUMENT, "a request must be an object with a method");
	if (params != NULL && !json_is_object(params))
		return phx_ctl_error_set(e, PHX_INVALID_ARGUMENT, "params must be an object");
	json_object_foreach(request, key, value)
	{
		if (strcmp(key, "method") != 0 && strcmp(key, "params") != 0 &&
			strcmp(key, "jsonrpc") != 0 && strcmp(key, "id") != 0)
			return phx_ctl_error_set(
				e, PHX_INVALID_ARGUMENT, "unknown member '%.40s'", key);
	}
	out->name = strdup(name);
	out->method = phx_ctl_method_find(name);
	out->params = params != NULL ? json_deep_copy(params) : json_object();
	if (out->name != NULL && out->params != NULL)
		return 0;
	return phx_ctl_error_set(e, PHX_INTERNAL, "out of memory");
}

int command_request(struct cli *cli, json_t *request)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct grammar_command c = {.raw = true};
	int code;

	if (request_take(request, &c, &e) != 0 ||
		(cli->options.dry_run && grammar_dry_run(&c, &e) != 0))
		code = command_fail(cli, &e, CLI_USAGE);
	else
		code = send_command(cli, &c, NULL);
	grammar_command_fini(&c);
	return code;
}

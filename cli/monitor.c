// SPDX-License-Identifier: BSD-3-Clause
// The subscription of monitor.h.
#include "cli/monitor.h"

#include "cli/human.h"
#include "cli/value_number.h"

#include <string.h>

#define COUNT_MAX 1000000000

struct monitor {
	struct cli *cli;
	int64_t left; // events to print; -1: all
};

static void print_event(const struct report *r, json_t *event)
{
	static const char *const members[] = {"at", "type", "object", "detail"};

	if (r->json) {
		json_t *copy = json_copy(event);

		(void)json_object_del(copy, "subscription"); // there is one alone
		report_result(r, NULL, true, NULL, copy);
		json_decref(copy);
		return;
	}
	for (size_t i = 0; i < PHX_ARRAY_LEN(members); i++) {
		(void)fputs(i > 0 ? "  " : "", r->out);
		human_value(r->out, members[i], json_object_get(event, members[i]));
	}
	(void)fputc('\n', r->out);
}

static bool take(void *arg, const char *method, json_t *params)
{
	struct monitor *m = arg;
	FILE *out = m->cli->report.out;

	if (strcmp(method, "event") != 0)
		return true; // not ours
	print_event(&m->cli->report, params);
	if (m->left > 0)
		m->left--;
	return fflush(out) == 0 && m->left != 0;
}

static int usage(struct cli *cli, const char *text)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "monitor: %s", text);
	phx_ctl_error_add(&e, "hint", json_string("phoenix-cli monitor [-n COUNT] [TYPE]..."));
	return command_fail(cli, &e, CLI_USAGE);
}

int monitor_run(struct cli *cli, const struct words *w)
{
	const struct phx_ctl_method *method = phx_ctl_method_find("event.subscribe");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct monitor m = {cli, -1};
	json_t *params = json_object(), *types = json_array();
	char why[64];
	int code = CLI_DONE;

	for (size_t i = 0; i < w->count && code == CLI_DONE; i++) {
		if (strcmp(w->items[i], "-n") != 0)
			(void)json_array_append_new(types, json_string(w->items[i]));
		else if (++i == w->count ||
			 value_number(w->items[i], NULL, &m.left, why, sizeof(why)) != 0 ||
			 m.left < 1 || m.left > COUNT_MAX)
			code = usage(cli, "-n needs a number from 1");
	}
	if (json_array_size(types) > 0)
		(void)json_object_set(params, "types", types);
	if (code == CLI_DONE && phx_ctl_method_validate(method, params, &e) != 0)
		code = command_fail(cli, &e, CLI_USAGE);
	else if (code == CLI_DONE)
		code = session_stream(&cli->session, method->name, params, take, &m, &e);
	if (code != CLI_DONE && code != CLI_USAGE && code != CLI_INTERRUPTED)
		report_error(&cli->report, &e);
	phx_ctl_error_fini(&e);
	json_decref(types);
	json_decref(params);
	return code;
}

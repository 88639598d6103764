// SPDX-License-Identifier: BSD-3-Clause
// The list of doctor.h: made by doctor_host.c, doctor_instance.c and doctor_program.c.
#include "cli/doctor.h"

#include "cli/doctor_checks.h"
#include "cli/human.h"

#include <string.h>

static const char *const level_names[] = {"ok", "warn", "fail"};

void doctor_add(struct doctor *d, const char *id, enum doctor_level level, const char *found,
	const char *needed, const char *fix)
{
	(void)json_array_append_new(d->checks, // best effort without memory
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "level", level_names[level],
			"found", found, "needed", needed, "fix", fix));
}

static size_t count_level(json_t *checks, enum doctor_level level)
{
	size_t count = 0, i;
	json_t *row;

	json_array_foreach(checks, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "level"));

		count += name != NULL && strcmp(name, level_names[level]) == 0;
	}
	return count;
}

static const char *member(json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL ? text : "";
}

// Level, check and what was found on one line; what is needed and how to get it below.
static void print_checks(FILE *out, json_t *checks)
{
	json_t *row;
	size_t i;

	json_array_foreach(checks, i, row)
	{
		const char *fix = member(row, "fix");

		(void)fprintf(out, "%-5s %-21s ", member(row, "level"), member(row, "id"));
		human_text(out, member(row, "found"));
		(void)fputs("\n                  needed:  ", out);
		human_text(out, member(row, "needed"));
		if (fix[0] != '\0') {
			(void)fputs("\n                  fix:     ", out);
			human_text(out, fix);
		}
		(void)fputc('\n', out);
	}
	(void)fprintf(out, "%zu checks, %zu warnings, %zu failed\n", json_array_size(checks),
		count_level(checks, DOCTOR_WARN), count_level(checks, DOCTOR_FAIL));
}

int doctor_run(struct cli *cli, const struct words *w)
{
	static const struct phx_ctl_column columns[] = {{"id", "CHECK"}, {"level", "LEVEL"},
		{"found", "FOUND"}, {"needed", "NEEDED"}, {"fix", "FIX"}, {.key = NULL}};
	static const struct phx_ctl_method shape = {
		.name = "doctor.list", .list_key = "checks", .columns = columns};
	struct doctor d = {.cli = cli, .checks = json_array()};
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *result;
	size_t failed;

	if (w->count > 0) {
		(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "doctor takes no words");
		json_decref(d.checks);
		return command_fail(cli, &e, CLI_USAGE);
	}
	doctor_host(&d);
	doctor_instance(&d);
	failed = count_level(d.checks, DOCTOR_FAIL);
	result = json_pack("{s:o}", "checks", d.checks);
	if (cli->report.json || cli->report.filters != NULL)
		report_result(&cli->report, &shape, false, NULL, result);
	else if (!cli->report.quiet)
		print_checks(cli->report.out, d.checks);
	json_decref(result);
	return failed > 0 ? CLI_LOCAL : CLI_DONE;
}

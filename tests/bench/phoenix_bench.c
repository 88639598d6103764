// SPDX-License-Identifier: BSD-3-Clause
// phoenix-bench: latency, rate and goodput of calls through the service; works with
// bench_client.c and bench_server.c.
#include "tests/bench/bench.h"

#include <string.h>

static void usage(FILE *out)
{
	(void)fputs("usage: phoenix-bench client TARGET [OPTION...]\n"
		    "       phoenix-bench server GROUP... [OPTION...]\n"
		    "Measures unary calls to the echo service of a phoenix-bench server.\n"
		    "TARGET is local:[GROUP], tcp://HOST:PORT[/GROUP] or cluster:NAME[/GROUP].\n"
		    "\n"
		    "  --rundir DIR run directory (PHOENIX_RUNDIR)\n",
		out);
	meter_options_print(out);
	(void)fputs("  -h, --help\n"
		    "  -V, --version\n"
		    "\n"
		    "exit codes: 0 done, 1 run time, 2 usage\n",
		out);
}

int bench_attach(const struct meter_options *options, struct phx_context **out_context)
{
	struct phx_attach_options attach = PHX_ATTACH_OPTIONS_INIT;
	struct phx_status status = {0};
	int rc;

	attach.rundir = options->rundir;
	attach.name = options->name;
	rc = phx_attach(&attach, out_context, &status);
	if (rc != 0)
		bench_print_status("attach", rc, &status);
	return rc;
}

void bench_print_status(const char *what, int rc, const struct phx_status *status)
{
	(void)fprintf(stderr, "phoenix-bench: %s: %s: %s (%s) %s\n", what, strerror(-rc),
		phx_code_name(status->code), phx_reason_name(status->reason), status->text);
}

int main(int argc, char **argv)
{
	struct meter_options options;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			usage(stdout);
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
			(void)printf("phoenix-bench %s\n", phx_version());
			return 0;
		}
	}
	if (meter_options_parse(&options, argc, argv) != 0)
		return 2;
	if (meter_pin(options.pin) != 0) {
		(void)fprintf(stderr, "phoenix-bench: cannot run on CPU %d\n", options.pin);
		return 2;
	}
	if (strcmp(options.role, "server") == 0)
		return bench_server_main(&options);
	if (strcmp(options.role, "client") == 0 && options.target_count == 1)
		return bench_client_main(&options);
	(void)fputs("phoenix-bench: the role is \"server\", or \"client\" with one target "
		    "(see --help)\n",
		stderr);
	return 2;
}

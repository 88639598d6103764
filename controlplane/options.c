// SPDX-License-Identifier: BSD-3-Clause
// Parsing for options.h.
#include "controlplane/options.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
	"usage: phoenix-controlplane [OPTION...]\n"
	"Keeps what operators want, answers them on control.sock, tells the dataplane.\n"
	"\n"
	"  --rundir DIR         run directory (PHOENIX_RUNDIR; default\n"
	"                       $XDG_RUNTIME_DIR/phoenix/NAME, /run/phoenix/NAME for root)\n"
	"  -i, --instance NAME  NAME of the default run directory (default \"default\")\n"
	"  --statedir DIR       directory of the journal; set it where the run directory\n"
	"                       does not outlive a reboot (default: the run directory)\n"
	"  --config FILE        what operators want, as `config save` wrote it: taken when the\n"
	"                       journal is empty (default: local users attach, the first\n"
	"                       owner keeps a service name, nothing listens)\n"
	"  --log-level LEVEL    err, warn, info or debug (default info)\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"exit codes: 0 stopped, 1 run time, 2 usage or configuration, 3 instance exists,\n"
	"4 resources\n";

enum { OPT_RUNDIR = 256, OPT_STATEDIR, OPT_CONFIG, OPT_LOG_LEVEL };

static const struct option long_options[] = {
	{"rundir", required_argument, NULL, OPT_RUNDIR},
	{"instance", required_argument, NULL, 'i'},
	{"statedir", required_argument, NULL, OPT_STATEDIR},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static enum options_result usage(const char *text, const char *word)
{
	(void)fprintf(stderr, "phoenix-controlplane: %s%s (see --help)\n", text, word);
	return OPTIONS_USAGE;
}

enum options_result options_parse(int argc, char **argv, struct options *out_options)
{
	struct options o = {.log_level = PHX_LOG_INFO};
	int c;

	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":i:hV", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_RUNDIR:
			o.rundir = optarg;
			break;
		case 'i':
			o.instance = optarg;
			break;
		case OPT_STATEDIR:
			o.statedir = optarg;
			break;
		case OPT_CONFIG:
			o.config = optarg;
			break;
		case OPT_LOG_LEVEL:
			if (phx_log_level_parse(optarg, &o.log_level) != 0)
				return usage("no log level: ", optarg);
			break;
		case 'h':
			(void)fputs(help, stdout);
			return OPTIONS_DONE;
		case 'V':
			(void)printf("phoenix-controlplane %s\n", PHX_VERSION);
			return OPTIONS_DONE;
		default:
			return usage(c == ':' ? "missing value of " : "unknown option ",
				argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage("unexpected argument ", argv[optind]);
	if (o.rundir != NULL && o.instance != NULL)
		return usage("give --rundir or --instance", ", not both");
	*out_options = o;
	return OPTIONS_RUN;
}

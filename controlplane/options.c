// SPDX-License-Identifier: BSD-3-Clause
// Parsing for options.h.
#include "controlplane/options.h"

#include "lib/base/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
	"  --settings FILE      values of these options, a line \"name = value\" each (default\n"
	"                       /etc/phoenix/controlplane.conf, if there is one)\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"An option that takes a value may also stand in the file, or be the environment variable\n"
	"PHOENIX_NAME (PHOENIX_LOG_LEVEL). A flag goes over the environment, that over the file.\n"
	"\n"
	"exit codes: 0 stopped, 1 run time, 2 usage or configuration, 3 instance exists,\n"
	"4 resources\n";

enum { OPT_RUNDIR = 256, OPT_STATEDIR, OPT_CONFIG, OPT_LOG_LEVEL, OPT_SETTINGS };

static const struct option long_options[] = {
	{"rundir", required_argument, NULL, OPT_RUNDIR},
	{"instance", required_argument, NULL, 'i'},
	{"statedir", required_argument, NULL, OPT_STATEDIR},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"settings", required_argument, NULL, OPT_SETTINGS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static enum options_result usage(const char *text, const char *word)
{
	(void)fprintf(stderr, "phoenix-controlplane: %s%s (see --help)\n", text, word);
	return OPTIONS_USAGE;
}

// ---- levels: the file, the environment, the flags; each goes over those before ----

struct parse {
	struct options o;
	const char *settings;			   // the file, NULL = not given
	const char *level_rundir, *level_instance; // of the level that is being taken
};

// 0 or -EINVAL: no log level.
static int take(struct parse *p, int opt, const char *value)
{
	switch (opt) {
	case OPT_RUNDIR:
		p->level_rundir = value;
		return 0;
	case 'i':
		p->level_instance = value;
		return 0;
	case OPT_STATEDIR:
		p->o.statedir = value;
		return 0;
	case OPT_CONFIG:
		p->o.config = value;
		return 0;
	case OPT_SETTINGS:
		p->settings = value;
		return 0;
	default:
		return phx_log_level_parse(value, &p->o.log_level);
	}
}

// A run directory goes over an instance in the environment, where the shell takes it so too.
static bool level_end(struct parse *p, bool both)
{
	if (!both && p->level_rundir != NULL && p->level_instance != NULL)
		return false;
	if (p->level_rundir != NULL || p->level_instance != NULL) {
		p->o.rundir = p->level_rundir;
		p->o.instance = p->level_rundir == NULL ? p->level_instance : NULL;
	}
	p->level_rundir = p->level_instance = NULL;
	return true;
}

static int take_setting(void *arg, int opt, const char *value, const char *origin)
{
	if (opt == OPT_SETTINGS)
		return 0; // known already
	if (take(arg, opt, value) == 0)
		return 0;
	(void)fprintf(
		stderr, "phoenix-controlplane: %s: no log level: %s (see --help)\n", origin, value);
	return -EINVAL;
}

static enum options_result take_flags(struct parse *p, int argc, char **argv)
{
	int c;

	optind = 0; // glibc: start over
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":i:hV", long_options, NULL)) != -1) {
		switch (c) {
		case 'h':
			(void)fputs(help, stdout);
			return OPTIONS_DONE;
		case 'V':
			(void)printf("phoenix-controlplane %s\n", PHX_VERSION);
			return OPTIONS_DONE;
		case ':':
		case '?':
			return usage(c == ':' ? "missing value of " : "unknown option ",
				argv[optind - 1]);
		default:
			if (take(p, c, optarg) != 0)
				return usage("no log level: ", optarg);
		}
	}
	if (optind < argc)
		return usage("unexpected argument ", argv[optind]);
	if (!level_end(p, false))
		return usage("give --rundir or --instance", ", not both");
	return OPTIONS_RUN;
}

// The file that was named, else the usual one where it is there.
static enum options_result take_file(struct parse *p)
{
	const char *path = p->settings != NULL ? p->settings : getenv("PHOENIX_SETTINGS");
	bool named = path != NULL && path[0] != '\0';
	char error[512] = "";
	int rc;

	path = named ? path : OPTIONS_FILE;
	rc = phx_settings_file(
		path, long_options, take_setting, p, &p->o.file_text, error, sizeof(error));
	if (rc == -ENOENT && !named)
		return OPTIONS_RUN;
	if (rc != 0)
		return error[0] != '\0' ? usage(error, "") : OPTIONS_USAGE; // said
	if (!level_end(p, false))
		return usage(path, ": give rundir or instance, not both");
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv, struct options *out_options)
{
	const struct parse defaults = {.o = {.log_level = PHX_LOG_INFO}};
	struct parse p = defaults;
	enum options_result result = take_flags(&p, argc, argv); // which file is it?

	if (result != OPTIONS_RUN)
		return result;
	p.o = defaults.o;
	result = take_file(&p);
	if (result == OPTIONS_RUN && phx_settings_env(long_options, take_setting, &p) != 0)
		result = OPTIONS_USAGE; // said
	if (result == OPTIONS_RUN) {
		(void)level_end(&p, true); // takes both
		result = take_flags(&p, argc, argv);
	}
	if (result == OPTIONS_RUN)
		*out_options = p.o;
	else
		options_fini(&p.o);
	return result;
}

void options_fini(struct options *options)
{
	free(options->file_text);
	options->file_text = NULL;
}

// SPDX-License-Identifier: BSD-3-Clause
// Parses the command line; options_eal.c makes EAL's from it.
#include "dataplane/options.h"

#include "lib/base/bits.h"
#include "lib/base/limits.h"
#include "lib/base/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APP_MEMORY_DEFAULT (UINT64_C(4) << 30)
#define APP_MEMORY_MIN	   (UINT64_C(1) << 20)
#define APP_MEMORY_MAX	   (UINT64_C(1) << 44)
#define MAX_MESSAGE_MIN	   (UINT64_C(1) << 16)

static const char usage[] =
	"usage: phoenix-dataplane [EAL-ARGUMENT... --] [OPTION...]\n"
	"Carries the calls of this host's applications.\n"
	"\n"
	"  --rundir DIR         run directory (PHOENIX_RUNDIR; default\n"
	"                       $XDG_RUNTIME_DIR/phoenix/NAME, /run/phoenix/NAME for root)\n"
	"  -i, --instance NAME  NAME of the default run directory (default \"default\")\n"
	"  --standalone FILE    rules from FILE instead of a control plane; \"default\":\n"
	"                       only this user and root may attach and register\n"
	"  --workers N          number of workers (default 1, or one for each further lcore)\n"
	"  --app-memory SIZE    shared memory and schemas of all applications (default 4G)\n"
	"  --max-message SIZE   largest message that applications may send or receive\n"
	"                       (64K to 1G, default 64M)\n"
	"  --policy TYPE        attach a built-in policy to every application; may be repeated\n"
	"                       (there is one: null, which lets everything pass)\n"
	"  --log-level LEVEL    err, warn, info or debug (default info)\n"
	"  --settings FILE      values of these options, a line \"name = value\" each (default\n"
	"                       /etc/phoenix/dataplane.conf, if there is one)\n"
	"  --check              start EAL as it would be, stop at once and say how it went\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"Without \"--\" the workers float over the allowed CPUs and no hugepages are needed.\n"
	"With \"--\" the arguments in front of it go to EAL: \"-l 0-1\" runs control on CPU 0\n"
	"and a worker pinned to CPU 1.\n"
	"\n"
	"An option that takes a value may also stand in the file, or be the environment variable\n"
	"PHOENIX_NAME (PHOENIX_LOG_LEVEL). A flag goes over the environment, that over the file.\n"
	"\n"
	"exit codes: 0 stopped, 1 run time, 2 usage, EAL or configuration, 3 instance exists,\n"
	"4 resources\n";

enum {
	OPT_RUNDIR = 256,
	OPT_STANDALONE,
	OPT_WORKERS,
	OPT_APP_MEMORY,
	OPT_MAX_MESSAGE,
	OPT_POLICY,
	OPT_LOG_LEVEL,
	OPT_SETTINGS,
	OPT_CHECK
};

static const struct option long_options[] = {
	{"rundir", required_argument, NULL, OPT_RUNDIR},
	{"instance", required_argument, NULL, 'i'},
	{"standalone", required_argument, NULL, OPT_STANDALONE},
	{"workers", required_argument, NULL, OPT_WORKERS},
	{"app-memory", required_argument, NULL, OPT_APP_MEMORY},
	{"max-message", required_argument, NULL, OPT_MAX_MESSAGE},
	{"policy", required_argument, NULL, OPT_POLICY},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"settings", required_argument, NULL, OPT_SETTINGS},
	{"check", no_argument, NULL, OPT_CHECK},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

const char *options_usage(void)
{
	return usage;
}

// "4096", "64M", "2G". -EINVAL.
static int parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	uint64_t v, scale = 1;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0)
		return -EINVAL;
	if (*end != '\0') {
		const char *unit = strchr(units, *end);

		if (unit == NULL || end[1] != '\0')
			return -EINVAL;
		scale = UINT64_C(1) << (10 * (unit - units + 1));
	}
	return phx_mul_ok(v, scale, out) ? 0 : -EINVAL;
}

static bool instance_ok(const char *name)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return name[0] != '\0' && name[0] != '.' && name[len] == '\0' && len <= 64;
}

// Where it is, of what the levels have left; both are NULL when none has said anything.
static int set_rundir(struct options *o, const char *rundir, const char *instance, unsigned uid,
	char *error, size_t error_size)
{
	const char *base = "/run", *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (instance != NULL && !instance_ok(instance)) {
		(void)snprintf(error, error_size, "instance name must be of [A-Za-z0-9_.-]");
		return -EINVAL;
	}
	if (rundir != NULL) {
		n = snprintf(o->rundir, sizeof(o->rundir), "%s", rundir);
	} else {
		if (uid != 0 && (xdg == NULL || xdg[0] == '\0')) {
			(void)snprintf(error, error_size,
				"no run directory: give --rundir or set XDG_RUNTIME_DIR");
			return -EINVAL;
		}
		if (uid != 0)
			base = xdg;
		n = snprintf(o->rundir, sizeof(o->rundir), "%s/phoenix/%s", base,
			instance != NULL ? instance : "default");
	}
	if (n <= 0 || (size_t)n >= sizeof(o->rundir)) {
		(void)snprintf(error, error_size,
			"run directory must have 1 to %d bytes, socket addresses allow no more",
			OPTIONS_RUNDIR_MAX - 1);
		return -EINVAL;
	}
	return 0;
}

static int set_number(struct options *o, int opt, const char *text, char *error, size_t error_size)
{
	uint64_t v = 0;

	if (opt == OPT_WORKERS) {
		if (parse_size(text, &v) != 0 || v < 1 || v > PHX_LIMIT_WORKERS_MAX) {
			(void)snprintf(error, error_size, "--workers must be 1 to %d",
				PHX_LIMIT_WORKERS_MAX);
			return -EINVAL;
		}
		o->workers = (unsigned)v;
		return 0;
	}
	if (opt == OPT_MAX_MESSAGE) {
		if (parse_size(text, &v) != 0 || v < MAX_MESSAGE_MIN ||
			v > PHX_LIMIT_MESSAGE_BYTES_MAX) {
			(void)snprintf(error, error_size, "--max-message must be 64K to 1G");
			return -EINVAL;
		}
		o->max_message = v;
		return 0;
	}
	if (parse_size(text, &v) != 0 || v < APP_MEMORY_MIN || v > APP_MEMORY_MAX) {
		(void)snprintf(error, error_size, "--app-memory must be 1M to 16T");
		return -EINVAL;
	}
	o->app_memory = v;
	return 0;
}

static int add_policy(struct options *o, const char *type, char *error, size_t error_size)
{
	if (type[0] == '\0' || strlen(type) > OPTIONS_POLICY_NAME ||
		o->policy_count == PHX_LIMIT_CHAIN_MAX) {
		(void)snprintf(error, error_size, "--policy takes a name, at most %d times",
			PHX_LIMIT_CHAIN_MAX);
		return -EINVAL;
	}
	o->policies[o->policy_count++] = type;
	return 0;
}

// EAL's arguments stand in front of the first `--`; ours get a place for a program name.
static void split_eal(struct options *o, int *argc, char ***argv)
{
	int i;

	for (i = 1; i < *argc; i++) {
		if (strcmp((*argv)[i], "--") != 0)
			continue;
		o->eal_given = true;
		o->eal_count = i - 1;
		o->eal = *argv + 1;
		*argv += i;
		*argc -= i;
		return;
	}
}

// ---- levels: the file, the environment, the flags; each goes over those before ----

struct parse {
	struct options *o;
	const char *rundir, *instance; // at most one is set
	const char *settings;	       // the file, NULL = not given
	// Of the level that is being taken:
	const char *level_rundir, *level_instance;
	bool level_policy;
	char *error;
	size_t error_size;
};

static int take(struct parse *p, int opt, const char *value)
{
	int rc = 0;

	switch (opt) {
	case OPT_RUNDIR:
		p->level_rundir = value;
		break;
	case 'i':
		p->level_instance = value;
		break;
	case OPT_SETTINGS:
		p->settings = value;
		break;
	case OPT_STANDALONE:
		p->o->standalone = value;
		break;
	case OPT_POLICY:
		if (!p->level_policy)
			p->o->policy_count = 0; // those of the level before
		p->level_policy = true;
		rc = add_policy(p->o, value, p->error, p->error_size);
		break;
	case OPT_LOG_LEVEL:
		rc = phx_log_level_parse(value, &p->o->log_level);
		if (rc != 0)
			(void)snprintf(p->error, p->error_size,
				"--log-level must be err, warn, info or debug");
		break;
	default:
		rc = set_number(p->o, opt, value, p->error, p->error_size);
		break;
	}
	return rc;
}

// A run directory goes over an instance in the environment, where the shell takes it so too.
static int level_end(struct parse *p, bool both)
{
	if (!both && p->level_rundir != NULL && p->level_instance != NULL) {
		(void)snprintf(
			p->error, p->error_size, "--rundir and --instance exclude each other");
		return -EINVAL;
	}
	if (p->level_rundir != NULL || p->level_instance != NULL) {
		p->rundir = p->level_rundir;
		p->instance = p->level_rundir == NULL ? p->level_instance : NULL;
	}
	p->level_rundir = p->level_instance = NULL;
	p->level_policy = false;
	return 0;
}

static int take_setting(void *arg, int opt, const char *value, const char *origin)
{
	struct parse *p = arg;
	char why[200];
	int rc;

	if (opt == OPT_SETTINGS)
		return 0; // known already
	rc = take(p, opt, value);
	if (rc != 0) {
		(void)snprintf(why, sizeof(why), "%s", p->error); // may be cut
		(void)snprintf(p->error, p->error_size, "%s: %s", origin, why);
	}
	return rc;
}

static int take_flags(struct parse *p, int argc, char **argv)
{
	int opt, rc = 0;

	optind = 0; // glibc: start over, whoever parsed before
	opterr = 0;
	while (rc == 0 && (opt = getopt_long(argc, argv, ":i:hV", long_options, NULL)) != -1) {
		if (opt == OPT_CHECK) {
			p->o->check = true;
		} else if (opt == 'h') {
			p->o->help = true;
		} else if (opt == 'V') {
			p->o->version = true;
		} else if (opt == ':' || opt == '?') {
			(void)snprintf(p->error, p->error_size, "%s %s",
				opt == ':' ? "missing value of" : "unknown option",
				argv[optind - 1]);
			rc = -EINVAL;
		} else {
			rc = take(p, opt, optarg);
		}
	}
	if (rc == 0 && optind < argc) {
		(void)snprintf(p->error, p->error_size, "unexpected argument %s", argv[optind]);
		rc = -EINVAL;
	}
	return rc == 0 ? level_end(p, false) : rc;
}

// The file that was named, else the usual one where it is there.
static int take_file(struct parse *p)
{
	const char *path = p->settings != NULL ? p->settings : getenv("PHOENIX_SETTINGS");
	bool named = path != NULL && path[0] != '\0';
	int rc = phx_settings_file(named ? path : OPTIONS_FILE, long_options, take_setting, p,
		&p->o->file_text, p->error, p->error_size);

	if (rc == -ENOENT && !named)
		return 0;
	return rc == 0 ? level_end(p, false) : rc;
}

int options_parse(
	int argc, char **argv, unsigned uid, struct options *out, char *error, size_t error_size)
{
	struct options defaults = {
		.app_memory = APP_MEMORY_DEFAULT,
		.max_message = PHX_LIMIT_MESSAGE_BYTES_DEFAULT,
		.log_level = PHX_LOG_INFO,
	};
	struct options o;
	struct parse p = {.o = &o, .error = error, .error_size = error_size};
	int rc;

	split_eal(&defaults, &argc, &argv);
	o = defaults;
	rc = take_flags(&p, argc, argv); // which file is it, and is any needed?
	if (rc == 0 && !o.help && !o.version) {
		o = defaults;
		p.rundir = p.instance = NULL;
		rc = take_file(&p);
		if (rc == 0)
			rc = phx_settings_env(long_options, take_setting, &p);
		if (rc == 0)
			rc = level_end(&p, true);
		if (rc == 0)
			rc = take_flags(&p, argc, argv);
		if (rc == 0)
			rc = set_rundir(&o, p.rundir, p.instance, uid, error, error_size);
	}
	if (rc == 0)
		*out = o;
	else
		options_fini(&o);
	return rc == 0 ? 0 : -EINVAL;
}

void options_fini(struct options *options)
{
	free(options->file_text);
	options->file_text = NULL;
}

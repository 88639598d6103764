// SPDX-License-Identifier: BSD-3-Clause
// Parsing for options.h.
#include "cli/options.h"

#include "cli/value_number.h"
#include "lib/base/clock.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_NS (10 * PHX_NS_PER_S)
#define RETRIES_MAX	   100000

const char options_help[] =
	"usage: phoenix-cli [options] NOUN [VERB] [NAME] [[--]KEY VALUE | [--]KEY=VALUE]...\n"
	"       phoenix-cli [options] doctor\n"
	"       phoenix-cli [options] monitor [-n COUNT] [TYPE]...\n"
	"       phoenix-cli [options] top [-n COUNT] [-d SECONDS]\n"
	"       phoenix-cli [options] rpc METHOD [JSON]\n"
	"       phoenix-cli [options] -f FILE\n"
	"       phoenix-cli [options]        the shell; without a terminal: -f -\n"
	"\n"
	"  -s, --socket PATH    control socket (PHOENIX_SOCKET)\n"
	"  --rundir DIR         run directory of the daemons (PHOENIX_RUNDIR)\n"
	"  -i, --instance NAME  instance (PHOENIX_INSTANCE, default \"default\")\n"
	"  -j, --json           one JSON document on stdout for each command: the rows of a\n"
	"                       list, the result of everything else, {\"error\":...}\n"
	"  -p, --pretty         -j, over several lines\n"
	"  -o, --columns A,B    members to show as text\n"
	"  -q, --quiet          no text when it worked\n"
	"  -v, --show-rpc       show the JSON request on stderr\n"
	"  -n, --dry-run        let the server check a change without making it\n"
	"  -t, --timeout TIME   wait this long for an answer (seconds or 500ms; default 10s,\n"
	"                       and until the job is over for who waits for one)\n"
	"  -r, --retries N      try again to connect, N times, 200 ms apart\n"
	"  -f, --file FILE      run a file of commands, or of JSON requests when its first\n"
	"                       byte is { or [; - is stdin\n"
	"  -k, --keep-going     with -f: go on after a failure, return the first one\n"
	"  -x, --echo           with -f: show each command on stderr\n"
	"  --dump-commands      all commands as JSON\n"
	"  --bash-complete      for bash: complete -o default -C 'phoenix-cli --bash-complete' "
	"phoenix-cli\n"
	"  -h, --help [NOUN [VERB]]\n"
	"  -V, --version\n"
	"\n"
	"exit codes: 0 done, 1 local failure, 2 usage (nothing was sent), 3 cannot connect,\n"
	"4 no answer in time, 5 the job that was waited for has failed, 64+N the server answered\n"
	"status N (67 invalid argument, also what config validate finds, 69 not found,\n"
	"71 permission, 78 dataplane unavailable), 130 interrupted\n";

enum { OPT_RUNDIR = 256, OPT_DUMP, OPT_COMPLETE };

static const struct option long_options[] = {
	{"socket", required_argument, NULL, 's'},
	{"rundir", required_argument, NULL, OPT_RUNDIR},
	{"instance", required_argument, NULL, 'i'},
	{"json", no_argument, NULL, 'j'},
	{"pretty", no_argument, NULL, 'p'},
	{"columns", required_argument, NULL, 'o'},
	{"quiet", no_argument, NULL, 'q'},
	{"show-rpc", no_argument, NULL, 'v'},
	{"dry-run", no_argument, NULL, 'n'},
	{"timeout", required_argument, NULL, 't'},
	{"retries", required_argument, NULL, 'r'},
	{"file", required_argument, NULL, 'f'},
	{"keep-going", no_argument, NULL, 'k'},
	{"echo", no_argument, NULL, 'x'},
	{"dump-commands", no_argument, NULL, OPT_DUMP},
	{"bash-complete", no_argument, NULL, OPT_COMPLETE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

struct parse {
	struct options *o;
	char *why;
	size_t why_size;
};

static int fail(struct parse *p, const char *text, const char *word)
{
	if (p->why[0] == '\0') // the first one is told
		(void)snprintf(p->why, p->why_size, "%s%s", text, word);
	return -1;
}

static int set_timeout(struct parse *p, const char *word)
{
	char why[64];
	char seconds[64];
	int64_t ns;

	// A number alone is seconds, fractions too.
	(void)snprintf(seconds, sizeof(seconds), "%s%s", word,
		word[strspn(word, "0123456789.")] == '\0' ? "s" : "");
	if (value_number(seconds, "ns", &ns, why, sizeof(why)) != 0 || ns <= 0)
		return fail(p, "-t: no time: ", word);
	p->o->timeout_ns = (uint64_t)ns;
	p->o->timeout_given = true;
	return 0;
}

static int set_retries(struct parse *p, const char *word)
{
	char why[64];
	int64_t n;

	if (value_number(word, NULL, &n, why, sizeof(why)) != 0 || n < 0 || n > RETRIES_MAX)
		return fail(p, "-r: no number of retries: ", word);
	p->o->retries = (unsigned)n;
	return 0;
}

static int set_option(struct parse *p, int c, char **argv)
{
	struct options *o = p->o;

	switch (c) {
	case 's':
		o->socket = optarg;
		return 0;
	case OPT_RUNDIR:
		o->rundir = optarg;
		return 0;
	case 'i':
		o->instance = optarg;
		return 0;
	case 'p':
		o->pretty = true;
		o->json = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'o':
		o->columns = optarg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->show_request = true;
		return 0;
	case 'n':
		o->dry_run = true;
		return 0;
	case 't':
		return set_timeout(p, optarg);
	case 'r':
		return set_retries(p, optarg);
	case 'f':
		o->file = optarg;
		return 0;
	case 'k':
		o->keep_going = true;
		return 0;
	case 'x':
		o->echo = true;
		return 0;
	case OPT_DUMP:
		o->dump = true;
		return 0;
	case OPT_COMPLETE:
		o->complete = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	case 'V':
		o->version = true;
		return 0;
	case ':':
		return fail(p, "this option needs a value: ", argv[optind - 1]);
	default:
		return fail(p, "no such option, or no value for it: ", argv[optind - 1]);
	}
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

// The environment where no flag said which socket it is.
static void set_environment(struct options *o)
{
	if (o->socket != NULL || o->rundir != NULL || o->instance != NULL)
		return;
	o->socket = variable("PHOENIX_SOCKET");
	if (o->socket == NULL && variable("PHOENIX_RUNDIR") == NULL)
		o->instance = variable("PHOENIX_INSTANCE");
}

static int check(struct parse *p, const struct words *w)
{
	const struct options *o = p->o;

	if ((o->socket != NULL) + (o->rundir != NULL) + (o->instance != NULL) > 1)
		return fail(p, "give one of -s, --rundir and -i", "");
	if (o->file != NULL && w->count > 0)
		return fail(p, "-f runs a file; no command may be given with it: ", w->items[0]);
	if (o->file == NULL && (o->keep_going || o->echo))
		return fail(p, "-k and -x belong to -f", "");
	if (o->json && o->columns != NULL)
		return fail(p, "-o chooses columns of text, not of JSON", "");
	return 0;
}

static int add_word(struct parse *p, struct words *w, const char *word)
{
	return words_add(w, word, strlen(word)) == 0 ? 0 : fail(p, "out of memory", "");
}

// `top` and `monitor` have options of their own.
static bool is_word(const struct words *w, int c)
{
	const char *command = w->count > 0 ? w->items[0] : "";

	return ((c == 'n' || c == 'd') && strcmp(command, "top") == 0) ||
	       (c == 'n' && strcmp(command, "monitor") == 0);
}

// --count 5 behind a command is its parameter `count 5`, unless it is an option of the program.
static bool is_parameter(const struct words *w, int c, const char *word)
{
	return c == '?' && w->count > 0 && strncmp(word, "--", 2) == 0 && word[2] != '\0';
}

enum options_result options_parse(int argc, char **argv, struct options *out_options,
	struct words *w, char *why, size_t why_size)
{
	struct parse p = {out_options, why, why_size};
	int c, rc = 0;

	*out_options = (struct options){.timeout_ns = TIMEOUT_DEFAULT_NS};
	optind = 0; // glibc: forget what was parsed before
	why[0] = '\0';
	while ((c = getopt_long(argc, argv, "-:s:i:jpo:qvnt:r:f:kxhVd", long_options, NULL)) !=
		-1) {
		if (c == 1)
			rc |= add_word(&p, w, optarg);
		else if (is_parameter(w, c, argv[optind - 1]))
			rc |= add_word(&p, w, argv[optind - 1] + 2);
		else if (is_word(w, c))
			rc |= add_word(&p, w, c == 'n' ? "-n" : "-d");
		else if (set_option(&p, c, argv) != 0)
			rc = -1; // goes on: -j decides how the error is told
		if (out_options->complete)
			break; // the rest are bash's words
	}
	for (; rc == 0 && !out_options->complete && optind < argc; optind++)
		rc = add_word(&p, w, argv[optind]);
	if (rc == 0)
		rc = check(&p, w);
	set_environment(out_options);
	return rc == 0 ? OPTIONS_RUN : OPTIONS_USAGE;
}

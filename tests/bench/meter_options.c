// SPDX-License-Identifier: BSD-3-Clause
// Options and printed results of the load generators; works with meter.c.
#include "tests/bench/meter.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_LOOP_OUTSTANDING 256

enum {
	OPT_SIZE = 256,
	OPT_REPLY,
	OPT_RATE,
	OPT_GAP,
	OPT_WARM,
	OPT_IDLE,
	OPT_PIDS,
	OPT_PIN,
	OPT_SPIN,
	OPT_JSON,
	OPT_NAME,
	OPT_RUNDIR,
};

static const struct option long_options[] = {
	{"size", required_argument, NULL, OPT_SIZE},
	{"reply", required_argument, NULL, OPT_REPLY},
	{"rate", required_argument, NULL, OPT_RATE},
	{"gap", required_argument, NULL, OPT_GAP},
	{"warm", required_argument, NULL, OPT_WARM},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"pids", required_argument, NULL, OPT_PIDS},
	{"pin", required_argument, NULL, OPT_PIN},
	{"spin", no_argument, NULL, OPT_SPIN},
	{"json", no_argument, NULL, OPT_JSON},
	{"name", required_argument, NULL, OPT_NAME},
	{"rundir", required_argument, NULL, OPT_RUNDIR},
	{NULL, 0, NULL, 0},
};

void meter_options_print(FILE *out)
{
	(void)fputs("  -c N         calls in flight of each thread (1; open loop 256)\n"
		    "  -t N         threads (1)\n"
		    "  -z SECONDS   measured time (2)\n"
		    "  -n CALLS     end after so many, if that is earlier\n"
		    "  --size B     bytes of a request (64)\n"
		    "  --reply B    bytes of a reply (8)\n"
		    "  --rate R     open loop of R calls a second; latency from the intended time\n"
		    "  --gap US     rest after each call; a server: before each reply\n"
		    "  --warm S     seconds before measuring (0.3)\n"
		    "  --idle S     a few calls, then only the CPU time of S quiet seconds\n"
		    "  --pids A,B   processes whose CPU time counts too\n"
		    "  --pin CPU    run there\n"
		    "  --spin       poll instead of blocking, where there is a choice\n"
		    "  --json       one line of JSON\n"
		    "  --name TEXT  printed with the results\n",
		out);
}

// A number in [min, max] and nothing behind it.
static int parse_number(const char *text, double min, double max, double *out)
{
	char *end;
	double v;

	v = strtod(text, &end);
	if (end == text || *end != '\0' || !(v >= min && v <= max))
		return -EINVAL;
	*out = v;
	return 0;
}

static int parse_pids(struct meter_options *o, const char *text)
{
	while (*text != '\0') {
		char *end;
		long v = strtol(text, &end, 10);

		if (end == text || v <= 0 || v > INT32_MAX || o->pid_count == METER_PIDS_MAX)
			return -EINVAL;
		o->pids[o->pid_count++] = (pid_t)v;
		text = *end == ',' ? end + 1 : end;
		if (*end != ',' && *end != '\0')
			return -EINVAL;
	}
	return 0;
}

static int parse_one(struct meter_options *o, int opt, const char *arg)
{
	double v = 0;

	switch (opt) {
	case OPT_PIDS:
		return parse_pids(o, arg);
	case OPT_NAME:
		o->name = arg;
		return 0;
	case OPT_RUNDIR:
		o->rundir = arg;
		return 0;
	case OPT_SPIN:
		o->spin = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	}
	if (parse_number(arg, opt == OPT_PIN ? -1 : 0, 1e12, &v) != 0)
		return -EINVAL;
	switch (opt) {
	case 'c':
		o->outstanding = (unsigned)v;
		return v >= 1 && v <= 65536 ? 0 : -EINVAL;
	case 't':
		o->threads = (unsigned)v;
		return v >= 1 && v <= 64 ? 0 : -EINVAL;
	case 'z':
		o->seconds = v;
		return v > 0 ? 0 : -EINVAL;
	case 'n':
		o->calls = (uint64_t)v;
		return 0;
	case OPT_SIZE:
		o->size = (uint32_t)v;
		return v <= (1u << 30) ? 0 : -EINVAL;
	case OPT_REPLY:
		o->reply = (uint32_t)v;
		return v <= (1u << 30) ? 0 : -EINVAL;
	case OPT_RATE:
		o->rate = v;
		return 0;
	case OPT_GAP:
		o->gap_us = v;
		return 0;
	case OPT_WARM:
		o->warm_s = v;
		return 0;
	case OPT_IDLE:
		o->idle_s = v;
		return 0;
	case OPT_PIN:
		o->pin = (int)v;
		return v < 1024 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

static int complain(const char *text, const char *word)
{
	(void)fprintf(stderr, "%s: %s%s (see --help)\n", program_invocation_short_name, text, word);
	return -EINVAL;
}

int meter_options_parse(struct meter_options *o, int argc, char **argv)
{
	int opt;

	*o = (struct meter_options){.name = "unnamed",
		.threads = 1,
		.seconds = 2,
		.warm_s = 0.3,
		.size = 64,
		.reply = 8,
		.pin = -1};
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":c:t:z:n:", long_options, NULL)) != -1) {
		if (opt == '?' || opt == ':')
			return complain(opt == ':' ? "missing value of " : "unknown option ",
				argv[optind - 1]);
		if (parse_one(o, opt, optarg) != 0)
			return complain("bad value: ", optarg);
	}
	if (argc - optind < 2 || argc - optind - 1 > METER_TARGETS_MAX)
		return complain("a role and its targets are needed", "");
	if (o->outstanding == 0)
		o->outstanding = o->rate > 0 ? OPEN_LOOP_OUTSTANDING : 1;
	o->role = argv[optind++];
	while (optind < argc)
		o->targets[o->target_count++] = argv[optind++];
	return 0;
}

// What all numbers are derived from.
struct derived {
	double seconds;
	double rate;
	double goodput;
	double mean_us;
	double cpu_per_million;
	double own_per_million;
	double cores;
	double others;
	uint64_t errors;
};

static struct derived derive(const struct meter_options *o, const struct meter_result *r)
{
	struct derived d = {0};
	double calls = (double)r->calls;

	d.seconds = (double)(r->end.at_ns - r->begin.at_ns) / 1e9;
	for (unsigned i = 1; i < METER_CODES; i++)
		d.errors += r->errors[i];
	if (d.seconds > 0) {
		d.rate = calls / d.seconds;
		d.goodput = calls * o->size / d.seconds / 1e9;
		d.cores = (r->end.total - r->begin.total) / d.seconds;
		d.others = (r->end.busy - r->begin.busy) / d.seconds - d.cores;
	}
	if (r->calls > 0) {
		d.cpu_per_million = (r->end.total - r->begin.total) / calls * 1e6;
		d.own_per_million = (r->end.own - r->begin.own) / calls * 1e6;
	}
	if (r->hist.count > 0)
		d.mean_us = r->hist.sum_ns / (double)r->hist.count / 1e3;
	return d;
}

static void print_json(const struct meter_options *o, const struct meter_result *r, FILE *out)
{
	struct derived d = derive(o, r);
	const char *comma = "";

	(void)fprintf(out,
		"{\"name\": \"%s\", \"outstanding\": %u, \"threads\": %u, \"size\": %u, "
		"\"reply\": %u, \"calls\": %llu, \"seconds\": %.4f, \"mean_us\": %.3f, "
		"\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f, ",
		o->name, o->outstanding, o->threads, o->size, o->reply,
		(unsigned long long)r->calls, d.seconds, d.mean_us,
		meter_hist_quantile_us(&r->hist, 0.5), meter_hist_quantile_us(&r->hist, 0.99),
		meter_hist_quantile_us(&r->hist, 0.999), (double)r->hist.max_ns / 1e3);
	(void)fprintf(out,
		"\"rate\": %.1f, \"goodput_gb_s\": %.5f, \"cpu_s_per_million\": %.4f, "
		"\"own_cpu_s_per_million\": %.4f, \"cores\": %.3f, \"other_cores\": %.3f, "
		"\"errors\": {",
		d.rate, d.goodput, d.cpu_per_million, d.own_per_million, d.cores, d.others);
	for (unsigned i = 1; i < METER_CODES; i++) {
		if (r->errors[i] == 0)
			continue;
		(void)fprintf(out, "%s\"%u\": %llu", comma, i, (unsigned long long)r->errors[i]);
		comma = ", ";
	}
	(void)fputs("}}\n", out);
}

static void print_text(const struct meter_options *o, const struct meter_result *r, FILE *out)
{
	struct derived d = derive(o, r);

	(void)fprintf(out, "%s: %llu calls in %.3f s, %u x %u outstanding, %u B / %u B\n", o->name,
		(unsigned long long)r->calls, d.seconds, o->threads, o->outstanding, o->size,
		o->reply);
	(void)fprintf(out, "  latency us  mean %.2f  p50 %.2f  p99 %.2f  p99.9 %.2f  max %.1f\n",
		d.mean_us, meter_hist_quantile_us(&r->hist, 0.5),
		meter_hist_quantile_us(&r->hist, 0.99), meter_hist_quantile_us(&r->hist, 0.999),
		(double)r->hist.max_ns / 1e3);
	(void)fprintf(out, "  rate %.0f /s  goodput %.4f GB/s  cpu %.3f s per million calls\n",
		d.rate, d.goodput, d.cpu_per_million);
	for (unsigned i = 1; i < METER_CODES; i++) {
		if (r->errors[i] != 0)
			(void)fprintf(
				out, "  status %u: %llu\n", i, (unsigned long long)r->errors[i]);
	}
}

void meter_result_print(
	const struct meter_options *options, const struct meter_result *result, FILE *out)
{
	if (options->json)
		print_json(options, result, out);
	else
		print_text(options, result, out);
	(void)fflush(out); // a reader that went away is not our failure
}

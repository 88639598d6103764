// SPDX-License-Identifier: BSD-3-Clause
// Command line of the ledger, see ledger.h.
#include "tests/ledger/ledger.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

_Atomic int ledger_stopped;

static const char usage[] =
	"usage: ledger new BOOK\n"
	"       ledger server BOOK GROUP [--rundir DIR]\n"
	"       ledger client BOOK TARGET [--rundir DIR] [--seconds S] [--rate N] [--inflight N]\n"
	"                     [--size N] [--hold-us N] [--timeout-ms N] [--cancel N] [--seed N]\n"
	"                     [--strict] [--wait-for-ready]\n"
	"       ledger wait BOOK [--at-least N] [--seconds S]   until N more calls are OK\n"
	"       ledger check BOOK [--killed N] [--at-least N]\n";

static void on_signal(int signal)
{
	(void)signal;
	ledger_stopped = 1;
}

struct phx_context *ledger_attach(
	const struct ledger_options *options, struct book *book, uint64_t end_ns)
{
	struct phx_attach_options o = PHX_ATTACH_OPTIONS_INIT;
	struct phx_context *context = NULL;
	struct phx_status status = {.text = ""};
	int rc = -EAGAIN;

	o.rundir = options->rundir;
	o.timeout_ns = 250 * MS;
	while (rc != 0 && !ledger_stopped && book_now_ns() < end_ns)
		rc = phx_attach(&o, &context, &status);
	if (rc == 0)
		(void)atomic_fetch_add_explicit(&book->sessions, 1, memory_order_relaxed);
	else if (!ledger_stopped)
		(void)fprintf(stderr, "ledger: attach: %s: %s\n", strerror(-rc), status.text);
	return rc == 0 ? context : NULL;
}

void ledger_fill(uint8_t *bytes, uint32_t size, uint64_t id)
{
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(id * 31 + i + (i >> 8));
}

bool ledger_matches(const uint8_t *bytes, uint32_t size, uint64_t id)
{
	for (uint32_t i = 0; i < size; i++) {
		if (bytes[i] != (uint8_t)(id * 31 + i + (i >> 8)))
			return false;
	}
	return true;
}

static const struct option long_options[] = {
	{"rundir", required_argument, NULL, 'd'},
	{"seconds", required_argument, NULL, 's'},
	{"rate", required_argument, NULL, 'r'},
	{"inflight", required_argument, NULL, 'c'},
	{"size", required_argument, NULL, 'z'},
	{"hold-us", required_argument, NULL, 'h'},
	{"timeout-ms", required_argument, NULL, 't'},
	{"cancel", required_argument, NULL, 'x'},
	{"seed", required_argument, NULL, 'S'},
	{"killed", required_argument, NULL, 'k'},
	{"at-least", required_argument, NULL, 'n'},
	{"strict", no_argument, NULL, 'e'},
	{"wait-for-ready", no_argument, NULL, 'w'},
	{NULL, 0, NULL, 0},
};

static int parse(int argc, char **argv, struct ledger_options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		uint32_t n = optarg != NULL ? (uint32_t)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 'd':
			o->rundir = optarg;
			break;
		case 's':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'r':
			o->rate = n;
			break;
		case 'c':
			o->inflight = n;
			break;
		case 'z':
			o->size = n;
			break;
		case 'h':
			o->hold_us = n;
			break;
		case 't':
			o->timeout_ms = n;
			break;
		case 'x':
			o->cancel = n;
			break;
		case 'S':
			o->seed = n;
			break;
		case 'k':
			o->killed = n;
			break;
		case 'n':
			o->at_least = n;
			break;
		case 'e':
			o->strict = true;
			break;
		case 'w':
			o->wait_for_ready = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return o->inflight == 0 || o->timeout_ms == 0 ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct ledger_options o = {
		.seconds = 5, .inflight = 16, .timeout_ms = 2000, .size = 64, .seed = 1};
	struct sigaction action = {.sa_handler = on_signal};
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc < 3 || parse(argc - 1, argv + 1, &o) != 0) {
		(void)fputs(usage, stderr);
		return 2;
	}
	// getopt has moved the words that are no options to the end.
	o.book = argv[1 + optind];
	o.target = argv[2 + optind];
	(void)sigaction(SIGTERM, &action, NULL); // valid signals only
	(void)sigaction(SIGINT, &action, NULL);
	if (o.book != NULL && strcmp(verb, "new") == 0)
		return book_create(o.book) == NULL;
	if (o.book != NULL && strcmp(verb, "check") == 0)
		return ledger_check(&o);
	if (o.book != NULL && strcmp(verb, "wait") == 0)
		return ledger_wait(&o);
	if (o.target != NULL && strcmp(verb, "server") == 0)
		return ledger_server(&o);
	if (o.target != NULL && strcmp(verb, "client") == 0)
		return ledger_client(&o);
	(void)fputs(usage, stderr);
	return 2;
}

// SPDX-License-Identifier: BSD-3-Clause
// Many processes with many channels to one server. Every channel carries calls before and after
// the moment at which all of them are open.
#include "tests/system/processes/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct member {
	const struct roles_options *options;
	unsigned index;
	struct phx_context *context;
	struct phx_channel **channels;
};

// Numbers that no other channel asks for.
static bool calls_are_right(struct member *m)
{
	const struct roles_options *o = m->options;

	for (unsigned k = 0; k < o->calls; k++) {
		for (unsigned i = 0; i < o->channels; i++) {
			uint64_t left = (uint64_t)m->index << 32 | i << 16 | k;

			if (!add_is_right(m->context, m->channels[i], left, now_ns() & 0xffff))
				return false;
		}
	}
	return true;
}

static bool channels_open(struct member *m)
{
	const struct roles_options *o = m->options;
	struct phx_status status;

	m->channels = calloc(o->channels, sizeof(struct phx_channel *));
	for (unsigned i = 0; m->channels != NULL && i < o->channels; i++) {
		int rc = phx_channel_open(m->context, o->target, NULL, &m->channels[i], &status);

		if (rc != 0) {
			say_status("open", rc, &status);
			return false;
		}
	}
	return m->channels != NULL;
}

// ready: where to say that all is open; go: ends when everybody is.
static int member_main(const struct roles_options *o, unsigned index, int ready, int go)
{
	struct member m = {.options = o, .index = index};
	bool right =
		attach(o, "member", &m.context) == 0 && channels_open(&m) && calls_are_right(&m);
	char c = right ? '+' : '-';

	if (write(ready, &c, 1) != 1)
		return 1;
	if (right && read(go, &c, 1) == 0)
		right = calls_are_right(&m);
	if (m.context != NULL)
		phx_detach(m.context);
	free((void *)m.channels);
	return right ? 0 : 1;
}

static bool everybody_is_ready(const struct roles_options *o, int ready)
{
	char c;

	for (unsigned i = 0; i < o->processes; i++)
		if (read(ready, &c, 1) != 1 || c != '+')
			return false;
	return true;
}

int role_crowd(const struct roles_options *o)
{
	int ready[2], go[2], status, failed = 0;
	char line[8];

	if (pipe(ready) != 0 || pipe(go) != 0)
		return 1;
	for (unsigned i = 0; i < o->processes; i++) {
		pid_t child = fork();

		if (child < 0)
			return 1;
		if (child == 0) {
			(void)close(ready[0]); // not ours
			(void)close(go[1]);
			_exit(member_main(o, i + 1, ready[1], go[0]));
		}
	}
	(void)close(ready[1]); // theirs: the end of all of them ends the wait
	if (!everybody_is_ready(o, ready[0]))
		failed = 1;
	say_line(failed ? "failed" : "open");
	if (!failed && fgets(line, sizeof(line), stdin) == NULL) // the test looks around
		failed = 1;
	(void)close(go[1]);
	for (unsigned i = 0; i < o->processes; i++)
		if (wait(&status) < 0 || status != 0)
			failed = 1;
	say_line(failed ? "failed" : "all right");
	return failed;
}

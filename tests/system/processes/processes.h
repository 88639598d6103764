// SPDX-License-Identifier: BSD-3-Clause
// Roles of one small program: a server that adds, and applications that do what the tests of
// processes need. Each role is 0 or 1, as the program exits, and says on stderr what went wrong.
#pragma once

#include <phoenix/phoenix.h>

#include <stdbool.h>

struct roles_options {
	const char *rundir;
	const char *target; // of clients; the group of servers
	unsigned processes;
	unsigned channels; // of each process
	unsigned calls;	   // of each channel
	unsigned threads;  // of a pool, 0 = handlers inline
};

int role_serve(const struct roles_options *o);
// Processes with channels, all open at once: each says what it has found.
int role_crowd(const struct roles_options *o);
// One application that opens more channels for each line on stdin that says how many in all.
int role_idle(const struct roles_options *o);
// Connects to where nobody answers, on one thread, while calls to `target` go on.
int role_connect(const struct roles_options *o, char **targets, unsigned count);
// Has calls in flight and requests to handle, and never polls again.
int role_deaf(const struct roles_options *o);
// Calls `target` without end, with short deadlines.
int role_feed(const struct roles_options *o);

// ---- what roles share ----

int attach(const struct roles_options *o, const char *name, struct phx_context **out_context);
// A blocking call; false, with a message, when the sum is wrong or there is none.
bool add_is_right(
	struct phx_context *context, struct phx_channel *channel, uint64_t left, uint64_t right);
// A request. NULL: no memory.
struct phx_message *add_request(struct phx_context *context, uint64_t left, uint64_t right);
void say_status(const char *what, int rc, const struct phx_status *status);
void say_line(const char *line); // on stdout, at once
uint64_t now_ns(void);

// SPDX-License-Identifier: BSD-3-Clause
// The connection to the control plane: where it is, requests with a timeout, what failed as
// an error and an exit code. ^C ends the request. One thread.
#pragma once

#include "cli/options.h"
#include "lib/ctl/error.h"

// Exit codes; beyond these 64 + N for status N.
enum cli_exit {
	CLI_DONE = 0,
	CLI_LOCAL = 1,
	CLI_USAGE = 2,
	CLI_CONNECT = 3,
	CLI_TIMEOUT = 4,
	CLI_JOB = 5,
	CLI_STATUS = 64,
	CLI_INTERRUPTED = 130,
};

struct phx_ctl_client;
struct phx_ctl_method;

struct session {
	const struct options *options;
	struct phx_ctl_client *client; // NULL until the first request, and after a loss
	char path[108];
};

// Find the socket; nothing is opened. options must outlive the session. CLI_DONE, or
// CLI_USAGE with e set.
int session_init(struct session *s, const struct options *options, struct phx_ctl_error *e);
void session_fini(struct session *s);

// Send a request and wait for its answer, connecting where needed. CLI_DONE and a new
// reference in *out_result, else the exit code with e set.
int session_call(struct session *s, const char *method, json_t *params, json_t **out_result,
	struct phx_ctl_error *e);

// Told of each notification (params borrowed). False: no more.
typedef bool (*session_notify_fn)(void *arg, const char *method, json_t *params);

// Send a request and then take notifications until notify returns false. CLI_DONE, CLI_INTERRUPTED
// after ^C, else the exit code; e is set unless it is CLI_DONE.
int session_stream(struct session *s, const char *method, json_t *params, session_notify_fn notify,
	void *arg, struct phx_ctl_error *e);

// The rows of a list method (struct phx_ctl_method), for completion: asked quietly and for at
// most 200 ms altogether. New reference, NULL without an answer. arg is a struct session.
json_t *session_rows(void *arg, const struct phx_ctl_method *list);

// The timeout_ms to give to a method that the dataplane answers: as long as the shell waits, less
// the way back. The control plane's own limit is shorter.
json_int_t session_forward_ms(const struct session *s);

// Exit code of an error that the server answered: 64 + N, protocol errors as the status
// they mean.
int session_exit_code(int code);

// Why nobody can be reached at path: owner, mode, whether a daemon runs, what to start.
void session_explain(const char *path, int rc, struct phx_ctl_error *e);

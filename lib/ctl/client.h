// SPDX-License-Identifier: BSD-3-Clause
// JSON-RPC client on a Unix socket: non-blocking for an event loop (the control plane
// towards the dataplane), with a blocking call on top (the shell, tests). One thread.
#pragma once

#include "lib/ctl/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct phx_ctl_client;

// A request is over. result is borrowed and NULL on failure, e NULL on success. Codes made
// here: DEADLINE_EXCEEDED (no answer in time), UNAVAILABLE (connection lost),
// PHX_CTL_INTERNAL (the answer is malformed). Never called from within _send.
typedef void (*phx_ctl_done_fn)(void *arg, json_t *result, const struct phx_ctl_error *e);

// The server tells something that was not asked for: a notification. params is borrowed, an
// object or NULL. Never called from within _send.
typedef void (*phx_ctl_notify_fn)(void *arg, const char *method, json_t *params);

// Connect. 0; -ENOENT, -ECONNREFUSED, -EACCES, -EAGAIN (backlog full), other -errno.
int phx_ctl_client_open(const char *path, struct phx_ctl_client **out_client);

// Requests without an answer end with UNAVAILABLE. NULL is fine. Not from a done function.
void phx_ctl_client_destroy(struct phx_ctl_client *c);

// Readable when _process has work, timeouts included. Owned by the client.
int phx_ctl_client_fd(const struct phx_ctl_client *c);

// Be told of notifications from now on; without (NULL) they are dropped.
void phx_ctl_client_on_notify(struct phx_ctl_client *c, phx_ctl_notify_fn notify, void *arg);

// Send a request; params (object or NULL) is borrowed. done is called exactly once.
// 0, -ENOMEM (done is not called), -ENOTCONN after the connection was lost.
int phx_ctl_client_send(struct phx_ctl_client *c, const char *method, json_t *params,
	uint64_t timeout_ns, phx_ctl_done_fn done, void *arg);

// Write, read, answer, time out. 0, or -errno once the connection is lost; then every
// request has been answered and the client is only good for _destroy. -EPROTO: the server
// sent something that is no JSON-RPC.
int phx_ctl_client_process(struct phx_ctl_client *c);

// Uid of the server's process (SO_PEERCRED). 0 or -errno.
int phx_ctl_client_peer_uid(const struct phx_ctl_client *c, uint32_t *out_uid);

// Send and wait, with *sigmask as the signal mask meanwhile (NULL: the caller's), so that
// a caller who blocks a signal outside misses none. 0: *out_result is a new reference.
// -EREMOTEIO: the server answered the error in e. -ETIMEDOUT, -ECONNRESET, -EPROTO with e
// set as well. -EINTR: a signal came.
int phx_ctl_client_call(struct phx_ctl_client *c, const char *method, json_t *params,
	uint64_t timeout_ns, const sigset_t *sigmask, json_t **out_result, struct phx_ctl_error *e);

// Wait once for what the server sends and handle it; *sigmask as for _call. 0; -EINTR: a signal
// came; what _process returns.
int phx_ctl_client_wait(struct phx_ctl_client *c, const sigset_t *sigmask);

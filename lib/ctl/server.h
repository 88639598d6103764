// SPDX-License-Identifier: BSD-3-Clause
// JSON-RPC server on a Unix socket for both daemons: framing, limits, roles, validation
// and answers in order; the daemon supplies handlers. One thread owns a server, never
// blocks in it, and may answer a call later. It fits into any event loop:
//
//	static const struct phx_ctl_binding bindings[] = {
//		{"app.list", app_list}, {"app.get", app_get}, {NULL}};
//	struct phx_ctl_server_options o = {.path = "/run/phoenix/default/dataplane.sock",
//		.mode = 0600, .bindings = bindings, .arg = dataplane};
//	rc = phx_ctl_server_create(&o, &server, why, sizeof(why));
//	epoll_ctl(loop_fd, EPOLL_CTL_ADD, phx_ctl_server_fd(server), EPOLLIN);
//	... whenever that descriptor is readable: phx_ctl_server_process(server);
//
//	static void app_list(void *arg, struct phx_ctl_call *call)
//	{
//		json_t *rows = ...;
//		phx_ctl_call_rows(call, "apps", rows, generation);
//	}
//
// If the client disappears, its calls stay valid until they are answered.
#pragma once

#include "lib/ctl/method.h"

#include <sys/types.h>

struct phx_ctl_server;
struct phx_ctl_call;

// Must answer with exactly one of phx_ctl_call_reply, _rows or _fail, now or later.
typedef void (*phx_ctl_handler_fn)(void *arg, struct phx_ctl_call *call);

struct phx_ctl_binding {
	const char *method; // name in the method table; NULL ends the list
	phx_ctl_handler_fn handler;
};

// Whom the kernel says the client is (SO_PEERCRED, SO_PEERGROUPS at connect).
#define PHX_CTL_PEER_GROUPS 32
struct phx_ctl_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	enum phx_ctl_role role;
	gid_t groups[PHX_CTL_PEER_GROUPS]; // supplementary; the role was decided by all of them
	uint32_t group_count;		   // the first of them: no more rights than it has
};

// A call was answered; for the audit log. error_code 0: success. Optional.
typedef void (*phx_ctl_answered_fn)(void *arg, const struct phx_ctl_call *call, int error_code);

struct phx_ctl_server_options {
	const char *path;
	mode_t mode;
	const char *admin_group;    // its members are adm; NULL: none
	const char *operator_group; // its members are op; NULL: none. Also owns the socket
	bool own_uid_only;	    // refuse all but root and this process's uid
	const struct phx_ctl_binding *bindings; // kept by reference
	void *arg;
	phx_ctl_answered_fn answered;
	// 0 means the default: 5 s, 5 s, 10 s, limits.h
	uint64_t handshake_ns; // from connect to the first whole request
	uint64_t request_ns;   // from the first to the last byte of a request
	uint64_t stall_ns;     // output without any progress
	unsigned clients_max;
	unsigned clients_uid_max;
};

struct phx_ctl_server_stats {
	uint64_t accepted_total;
	uint64_t refused_total; // above the limits of connections, or by uid
	uint64_t requests_total;
	uint64_t errors_total;
	uint64_t timeouts_total; // handshake and request
	uint64_t stalled_total;
	uint64_t clients;
};

// 0; -errno of phx_ctl_socket_listen with why set; -EINVAL: a binding that is not in the
// table; -ENOMEM, -EMFILE.
int phx_ctl_server_create(const struct phx_ctl_server_options *options,
	struct phx_ctl_server **out_server, char *why, size_t why_size);

// Close everything and remove the socket. Calls not yet answered must still be answered
// (nothing is sent).
void phx_ctl_server_destroy(struct phx_ctl_server *s);

// Readable when _process has work, timeouts included. Owned by the server.
int phx_ctl_server_fd(const struct phx_ctl_server *s);

// Do what can be done now; bounded work a call. Returns the number of events handled.
unsigned phx_ctl_server_process(struct phx_ctl_server *s);

void phx_ctl_server_stats(const struct phx_ctl_server *s, struct phx_ctl_server_stats *out_stats);

// Let streams send what they have; the server's descriptor becomes readable.
void phx_ctl_server_wake(struct phx_ctl_server *s);

// ---- notifications ----
// A stream belongs to the connection of a call. The server asks it for the next message (a new
// reference; NULL: none now) whenever the client has read what was sent before, so that a slow
// client holds no memory, and one who reads nothing is disconnected like any other.
// phx_ctl_server_wake() when there is something again. Messages follow the answer of the call.
struct phx_ctl_stream;
typedef json_t *(*phx_ctl_next_fn)(void *arg);
// Called once, when the stream or its connection ends; the stream is gone afterwards.
typedef void (*phx_ctl_stream_ended_fn)(void *arg);

// -ENOMEM; -ENOSPC: JSON_STREAMS.
int phx_ctl_call_stream(struct phx_ctl_call *c, phx_ctl_next_fn next, phx_ctl_stream_ended_fn ended,
	void *arg, struct phx_ctl_stream **out_stream);
// Is it one of the connection of this call?
bool phx_ctl_stream_is_of(const struct phx_ctl_stream *stream, const struct phx_ctl_call *c);
void phx_ctl_stream_end(struct phx_ctl_stream *stream);

// The call. Everything returned is valid until the call is answered.
const struct phx_ctl_method *phx_ctl_call_method(const struct phx_ctl_call *c);
json_t *phx_ctl_call_params(const struct phx_ctl_call *c); // borrowed; validated
const struct phx_ctl_peer *phx_ctl_call_peer(const struct phx_ctl_call *c);
// Parameters that the table declares; missing gives the second argument.
const char *phx_ctl_call_string(
	const struct phx_ctl_call *c, const char *name, const char *missing);
int64_t phx_ctl_call_int(const struct phx_ctl_call *c, const char *name, int64_t missing);
bool phx_ctl_call_bool(const struct phx_ctl_call *c, const char *name);

// Answer; the call is gone afterwards. result NULL answers INTERNAL (out of memory).
void phx_ctl_call_reply(struct phx_ctl_call *c, json_t *take_result);
// Answer {key: rows that match params.filter, "generation", "next": null}.
void phx_ctl_call_rows(
	struct phx_ctl_call *c, const char *key, json_t *take_rows, uint64_t generation);
// Answer an error; e stays the caller's.
void phx_ctl_call_fail(struct phx_ctl_call *c, const struct phx_ctl_error *e);
// Answer an error without details.
void phx_ctl_call_fail_code(struct phx_ctl_call *c, int code, const char *fmt, ...)
	PHX_PRINTF(3, 4);
// Answer NOT_FOUND: there is no `kind` (a noun) that is called value; field is the parameter.
// Those of names (array of strings, borrowed) that may have been meant become the candidates.
// hint: a command that lists them, or NULL.
void phx_ctl_call_not_found(struct phx_ctl_call *c, const char *kind, const char *field,
	const char *value, json_t *names, const char *hint);

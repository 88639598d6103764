// SPDX-License-Identifier: BSD-3-Clause
// Inside of the server: connections, frames and calls. server.c owns the listener and
// the clock, server_conn.c bytes, server_call.c meaning. One thread.
#pragma once

#include "lib/base/list.h"
#include "lib/ctl/frame.h"
#include "lib/ctl/server.h"
#include "lib/ctl/socket.h"

struct conn;
struct slot;

struct phx_ctl_call {
	struct phx_list in_server;
	struct phx_ctl_server *server; // NULL after phx_ctl_server_destroy
	struct slot *slot;	       // NULL when the client has gone
	const struct phx_ctl_method *method;
	json_t *id; // NULL: a notification
	json_t *params;
	json_t *response; // own reference, once answered
	struct phx_ctl_peer peer;
	bool answered;
};

// One frame: a request, or a batch of them. Answers leave in the order of slots.
struct slot {
	struct phx_list in_conn;
	struct conn *conn;
	bool batch;
	unsigned open;	 // calls not yet answered
	json_t *answers; // array of responses in order
	struct phx_ctl_call **calls;
	unsigned count;
};

struct phx_ctl_stream {
	struct phx_list in_conn;
	struct conn *conn;
	struct slot *after; // nothing is sent before this one has been answered; NULL: it has
	phx_ctl_next_fn next;
	phx_ctl_stream_ended_fn ended;
	void *arg;
};

struct conn {
	struct phx_list in_server;
	struct phx_ctl_server *server;
	int fd;
	struct phx_ctl_peer peer;
	char *in;
	size_t in_len, in_size;
	struct phx_ctl_frame frame;
	struct phx_list slots;
	unsigned pending; // slots
	struct phx_list streams;
	unsigned stream_count;
	char *out;
	size_t out_pos, out_len, out_size;
	uint64_t connected_ns;
	uint64_t request_ns; // first byte of the incomplete request, 0: none
	uint64_t stall_ns;   // last progress of the output, 0: nothing to send
	uint32_t events;     // what epoll watches
	bool spoke;	     // a whole request has come
	bool hungry;	     // no whole request is buffered
	bool hung_up;	     // the client closed both directions
	bool eof;	     // nothing more to read
	bool closing;	     // close once the output has left
	bool dead;	     // close now
};

struct phx_ctl_server {
	struct phx_ctl_server_options options;
	struct phx_ctl_socket socket;
	int epoll_fd;
	int timer_fd;
	int spare_fd;		       // see accept_with_spare
	bool kicked;		       // during this round
	gid_t admin_gid, operator_gid; // (gid_t)-1: no such group
	struct phx_list conns;
	struct phx_list calls;
	unsigned conn_count;
	struct phx_ctl_server_stats stats;
};

// server_conn.c; only the server's loop closes connections.
int phx_ctl_conn_open(struct phx_ctl_server *s, int take_fd, const struct phx_ctl_peer *peer);
void phx_ctl_conn_close(struct conn *c);
// Read what may be read now.
void phx_ctl_conn_input(struct conn *c);
// Start complete requests, some a round.
void phx_ctl_conn_frames(struct conn *c);
// Could another request be started at once?
bool phx_ctl_conn_more(const struct conn *c);
// Serialize answers that are complete, in order, and write.
void phx_ctl_conn_output(struct conn *c);
// Output, then update what is watched.
void phx_ctl_conn_settle(struct conn *c);
// Check the deadlines. Returns the next one (0: none).
uint64_t phx_ctl_conn_timeout(struct conn *c, uint64_t now_ns);
// Answer an error without an id, read nothing more, close when everything has left.
void phx_ctl_conn_refuse(struct conn *c, const struct phx_ctl_error *e);
// May it be closed?
bool phx_ctl_conn_done(const struct conn *c);

// server_call.c
void phx_ctl_dispatch(struct conn *c, const char *text, size_t len);
// Queue an error that answers no request.
void phx_ctl_dispatch_error(struct conn *c, const struct phx_ctl_error *e);
void phx_ctl_slot_destroy(struct slot *slot);
bool phx_ctl_server_bound(void *server, const struct phx_ctl_method *m);

// server_stream.c
// What streams have, as long as the client reads.
void phx_ctl_streams_output(struct conn *c);
// The slot has been answered.
void phx_ctl_streams_answered(struct conn *c, const struct slot *slot);
void phx_ctl_streams_end(struct conn *c);

// server_conn.c: append one text to the output. -ENOMEM, -EMSGSIZE.
int phx_ctl_conn_append(struct conn *c, json_t *json);

// server.c: make the server's descriptor readable.
void phx_ctl_server_kick(struct phx_ctl_server *s);

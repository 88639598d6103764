// SPDX-License-Identifier: BSD-3-Clause
// Two connections that are each other's peer, private to this folder: local.c is their life,
// local_tx.c carries frames from one end to the other.
//
// Both ends belong to their own worker. On one worker a frame is delivered by a plain call; where
// that would nest (a delivery sends) it waits in the receiver's queue for the end of the round.
// Between workers a message is posted to the receiver and comes back to its sender, whose blocks it
// is made of. An end is told of the other's close() by a command; the pair lives until both have
// closed and every message is back.
#pragma once

#include "dataplane/core/worker.h"
#include "dataplane/transport/transport.h"

#define LOCAL_QUEUE_MESSAGES 256 // on their way in one direction
#define LOCAL_QUEUE_LARGE    32	 // of them with large blocks
#define LOCAL_IN_PLACE_BODY  4096
#define LOCAL_IN_PLACE_PART  1024

struct local_pair;

struct local_conn {
	struct conn base;
	struct local_pair *pair;       // [const]
	struct local_conn *peer;       // [const]
	struct cmd peer_cmd;	       // tells this end that the peer has closed
	struct cmd start_cmd;	       // tells this end that the peer has started
	_Atomic(struct worker *) home; // [worker>any] NULL until started
	_Atomic bool closed;	       // [worker>any] close() was called
	_Atomic bool peer_told;	       // [any] peer_cmd is on its way or was run
	bool dead;		       // [worker] send() is over
	bool told;		       // [worker] closed() was told
	bool want_writable;	       // [worker] send() said -EAGAIN
	int error;		       // [worker]
	enum phx_reason reason;	       // [worker]
	uint32_t outstanding;	       // [worker] messages sent and not back
	uint32_t outstanding_large;    // [worker]
	struct phx_list queue;	       // [worker] messages to this end, from its own worker
};

struct local_pair {
	_Atomic uint32_t refs; // ends that are not closed, messages, commands
	struct local_conn end[2];
};

// A frame under way. Made of blocks of the sender's worker.
struct local_message {
	struct cmd cmd;
	struct phx_list node;
	struct local_conn *from;
	struct conn_done *done; // NULL: everything is copied
	void *extra;		// a second large block or NULL
	struct iovec *iov;
	uint32_t iov_count;
	uint32_t size; // of this block
	struct phx_frame frame;
};

static inline struct local_conn *local_of(struct conn *conn)
{
	return phx_container_of(conn, struct local_conn, base);
}

void local_ref(struct local_pair *pair);
void local_unref(struct local_pair *pair);
// This end is lost; closed() follows at the end of the round.
void local_fail(struct local_conn *c, enum phx_reason reason, int error);

int local_send(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, struct conn_done *done);
// Deliver what waits in the queue of this end.
void local_deliver_queue(struct local_conn *c);
// Tell this end that it may send again, if it waits and there is room.
void local_writable(struct local_conn *c);

// SPDX-License-Identifier: BSD-3-Clause
// One TCP connection, private to this folder: tcp.c is its life, tcp_tx.c sends, tcp_rx.c receives.
// Worker thread only, but for creation.
#pragma once

#include "dataplane/core/worker.h"
#include "dataplane/transport/transport.h"
#include "lib/wire/parser.h"

#include <sys/uio.h>

#define TCP_STAGE_SIZE	  (UINT32_C(128) * 1024) // ring of copied bytes; a power of two
#define TCP_IOV_MAX	  1024			 // of one sendmsg (IOV_MAX of Linux)
#define TCP_QUEUE_BYTES	  (UINT32_C(512) * 1024) // waiting to be written, staged and in place
#define TCP_IN_PLACE_BODY 8192			 // smaller bodies are copied
#define TCP_IN_PLACE_PART 1024			 // smaller parts of larger bodies too
#define TCP_RX_SIZE	  (UINT32_C(256) * 1024)
#define TCP_RX_BEHIND	  4096 // read behind a sink: the next header, not much of the next chunk
#define TCP_POLL_FRAMES	  256
#define TCP_POLL_BYTES	  (UINT32_C(256) * 1024)

static_assert((TCP_STAGE_SIZE & (TCP_STAGE_SIZE - 1)) == 0, "positions are masked");
static_assert(TCP_STAGE_SIZE >= PHX_FRAME_HEADER + PHX_FRAME_BODY_MAX, "any frame can be staged");
static_assert(TCP_RX_SIZE / 2 >= PHX_FRAME_HEADER + PHX_FRAME_BODY_MAX, "any frame fits");
static_assert(TCP_IOV_MAX >= 2 * CONN_IOV_MAX + 2, "any gather list fits");

struct tcp_conn {
	struct conn base;
	bool started;
	bool closing;  // close() was called
	bool dead;     // failed; closed() is due or was told
	bool told;     // closed() was told
	uint32_t busy; // depth of calls that still use this
	int error;
	enum phx_reason reason;

	// Sending. The queue of pieces is iov[head..tail); staged pieces lie in `stage`, a ring
	// whose positions only grow while the queue is not empty.
	bool blocked;	    // the socket is full; the kernel will tell
	bool want_writable; // send() said -EAGAIN
	uint32_t iov_head, iov_tail;
	uint32_t stage_head, stage_tail;
	uint32_t unflushed_frames, unflushed_bytes; // staged since the last write
	uint64_t queued, written;		    // bytes of the stream
	struct phx_list dones;			    // in order of position
	uint8_t *stage;

	// Receiving: rx[rx_begin..rx_end) is not parsed yet.
	struct phx_parser parser;
	uint8_t *rx;
	uint32_t rx_begin, rx_end;
	bool rx_more;	 // the last poll stopped at its limit
	bool rx_drained; // the kernel said that there is nothing more

	struct iovec iov[TCP_IOV_MAX];
};

static inline struct tcp_conn *tcp_of(struct conn *conn)
{
	return phx_container_of(conn, struct tcp_conn, base);
}

// The connection is lost; closed() follows from poll or flush. The first reason stays.
void tcp_fail(struct tcp_conn *t, enum phx_reason reason, int error);

int tcp_send(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, struct conn_done *done);
// Write what is queued until done or the socket is full. Returns the bytes written.
uint64_t tcp_tx_write(struct tcp_conn *t);
// Run done->fn of what has been written (all = of everything).
void tcp_tx_finish(struct tcp_conn *t, bool all);
// Tell the link layer when it waits for room and there is some.
void tcp_tx_writable(struct tcp_conn *t);

// Receive and deliver a burst. Returns the amount of work.
unsigned tcp_rx(struct tcp_conn *t);

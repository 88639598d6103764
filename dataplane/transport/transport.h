// SPDX-License-Identifier: BSD-3-Clause
// The one table behind which `local`, `tcp` and `rdma` live. A connection is one lane of a link.
// The unit handed over is {header, gather list}. No RPC code below this line, no transport
// code above it. All calls on the owning worker's thread unless said otherwise.
//
// Life: a constructor below makes a connection on any thread; whoever owns it sets `up`, `link`,
// `lane` and starts it on its worker; it ends with ops->close(), also when it was never started.
// Up-calls come from poll, flush and commands of the worker, never from inside send() or close(),
// with one exception that `local` needs: see local_conn_pair(). close() is legal inside any
// up-call.
#pragma once

#include "dataplane/core/done.h"
#include "dataplane/core/source.h"
#include "lib/base/limits.h"
#include "lib/wire/frame.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct worker;
struct conn;

enum {
	TRANSPORT_CAP_IN_PLACE = 1 << 0, // may keep reading a gather list after send() returned
	TRANSPORT_CAP_SINK = 1 << 1,	 // delivers chunks straight into up->sink() memory
	TRANSPORT_CAP_LOCAL = 1 << 2,	 // both ends in this process: content needs no validation
};

// What a connection tells the link layer.
struct conn_up {
	// A whole frame. frame->payload_bad says that its content is damaged: that call ends, not
	// the connection. Metadata, text and payload in `iov` (together meta_len + text_len +
	// payload_len bytes), readable during the call only. A negative errno value closes the
	// connection with *reason.
	int (*frame)(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
		int iov_count, enum phx_reason *reason);
	// For every MESSAGE frame that is payload alone (phx_frame_is_chunk): memory for its
	// payload_len bytes, or NULL (delivered by frame() instead). After the bytes have landed,
	// landed() is called (frame->payload_bad as above); no other frame of this connection comes
	// between the two. The memory stays valid until then unless the link layer gives the
	// message up: then it calls ops->sink_cancel() first. closed() implies sink_cancel().
	void *(*sink)(struct conn *conn, const struct phx_frame *frame);
	int (*landed)(struct conn *conn, const struct phx_frame *frame, enum phx_reason *reason);
	// send() said -EAGAIN before; there is room again. Called once per such time.
	void (*writable)(struct conn *conn);
	// The connection is dead: peer closed or reset (W_RESET; error 0 or -errno), timed out
	// (W_IDLE), or sent nonsense (other W_*). Called once, from poll or flush, never from
	// inside send(), and not after close(). The link layer then calls ops->close(); until it
	// has, send() says -EPIPE.
	void (*closed)(struct conn *conn, enum phx_reason reason, int error);
};

struct conn {
	struct source source; // tcp, rdma: polled; local: never on the poll list (fd -1)
	const struct transport_ops *ops;
	const struct conn_up *up;
	void *link; // the link layer's
	struct worker *worker;
	uint8_t lane;
	bool payload_crc;      // negotiated: compute and check
	uint32_t flush_frames; // the next write after so many at the latest; 0 = the limit
	_Atomic uint64_t tx_frames, rx_frames, tx_bytes, rx_bytes; // [worker>ctl]
	_Atomic uint64_t tx_calls, rx_calls; // send/recv system calls or posts
	_Atomic uint64_t crc_errors;
};

struct transport_ops {
	const char *name; // "local", "tcp", "rdma"
	uint32_t caps;
	// Send one frame. 0: taken and copied, iov may be reused. 1: taken, read in place until
	// done->fn runs (only if done != NULL and CAP_IN_PLACE). -EAGAIN: no room, nothing taken,
	// up->writable() will come. -EPIPE: the connection is dead or closing.
	// iov holds metadata, text, payload: phx_frame_body_len() bytes in up to CONN_IOV_MAX
	// entries. The transport sets F_PAYLOAD_CRC and payload_crc. Hot; bytes leave at flush() at
	// the latest.
	int (*send)(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
		int iov_count, struct conn_done *done);
	// Forget a sink memory handed out before (its message was given up): later bytes of that
	// chunk are discarded, no landed() follows. Legal when there is none.
	void (*sink_cancel)(struct conn *conn);
	// Close and free: every outstanding done->fn runs (now or later) before memory goes away.
	// What was sent before leaves as far as that needs no waiting. No up-call follows.
	void (*close)(struct conn *conn);
	// Start the connection on `worker`, whose thread calls this: adds the source.
	// 0, or -errno of worker_source_add(); then it is not started and only close() is legal.
	int (*start)(struct conn *conn, struct worker *worker);
};

// Longest gather list: metadata, text and the leaves of a message with the pieces between them.
#define CONN_IOV_MAX (2 + 2 * PHX_LIMIT_GATHER_MAX + 2)

// Add to a counter of a connection: single writer.
static inline void conn_count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

// A connection over a connected, non-blocking TCP socket on which the hello is done. Takes the
// socket, also on failure. Any thread. -ENOMEM or -errno of setsockopt.
int tcp_conn_create(int take_fd, unsigned lane, bool payload_crc, struct conn **out_conn);

// Two connections that are each other's peer, in this process; each may live on any worker. On one
// worker send() calls the peer's up-calls directly, so the sender's state must be settled before it
// calls send(); a send() from inside such an up-call is delivered later: from the flush on
// one worker, from a command on another. Any thread. -ENOMEM.
int local_conn_pair(unsigned lane, struct conn *out_conns[2]);

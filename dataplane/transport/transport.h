// SPDX-License-Identifier: BSD-3-Clause
// The one table behind which `local`, `tcp` and `rdma` live. A connection is one lane of a link.
// The unit handed over is {header, gather list}. No RPC code below this line, no transport
// code above it. All calls on the owning worker's thread unless said otherwise.
#pragma once

#include "dataplane/core/source.h"
#include "lib/wire/frame.h"

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

// Told when a gather list is no longer read in place. Embed it.
struct conn_done {
	void (*fn)(struct conn_done *done);
	struct phx_list node; // transport's
};

// What a connection tells the link layer.
struct conn_up {
	// A whole frame: metadata, text and payload in `iov` (together meta_len + text_len +
	// payload_len bytes), readable during the call only. A negative errno value closes the
	// connection with *reason.
	int (*frame)(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
		int iov_count, enum phx_reason *reason);
	// For a MESSAGE chunk: memory for its payload_len bytes, or NULL (delivered by frame()
	// instead, if it fits the transport's buffer, else dropped). After the bytes have landed,
	// landed() is called; between the two the memory stays valid unless up->frame closes it:
	// then the link layer calls ops->sink_cancel().
	void *(*sink)(struct conn *conn, const struct phx_frame *frame);
	int (*landed)(struct conn *conn, const struct phx_frame *frame, enum phx_reason *reason);
	// send() said -EAGAIN before; there is room again.
	void (*writable)(struct conn *conn);
	// The connection is dead (peer closed, reset, protocol error). Called once, from poll or
	// flush, never from inside send(). The link layer then calls ops->close().
	void (*closed)(struct conn *conn, enum phx_reason reason, int error);
};

struct conn {
	struct source source; // tcp, rdma: polled; local: never on the poll list (fd -1)
	const struct transport_ops *ops;
	const struct conn_up *up;
	void *link; // the link layer's
	struct worker *worker;
	uint8_t lane;
	bool payload_crc;					   // negotiated: compute and check
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
	// iov holds metadata, text, payload. Hot; bytes leave at flush() at the latest.
	int (*send)(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
		int iov_count, struct conn_done *done);
	// Forget a sink memory handed out before (its message was given up): later bytes of that
	// chunk are discarded.
	void (*sink_cancel)(struct conn *conn);
	// Close and free: every outstanding done->fn runs (now or later) before memory goes away.
	void (*close)(struct conn *conn);
	// Start the connection on `worker`, whose thread calls this: adds the source.
	int (*start)(struct conn *conn, struct worker *worker);
};

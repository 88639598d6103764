// SPDX-License-Identifier: BSD-3-Clause
// A bed for the transport suite: two connected ends of one transport on workers that the test
// drives by hand, one round at a time, and a link layer that checks and writes down what comes.
#pragma once

#include "dataplane/core/worker.h"
#include "dataplane/transport/transport.h"
#include "lib/base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

enum bed_kind { BED_LOCAL, BED_LOCAL_CROSS, BED_TCP };

struct end {
	struct conn *conn;
	struct worker *worker;
	struct end *peer;
	uint32_t next;	   // cookie that is due
	uint64_t frames;   // got through frame()
	uint64_t landed;   // got through landed()
	uint64_t bad;	   // with payload_bad
	uint64_t mistakes; // wrong order or content
	uint32_t writable;
	uint32_t closed;
	enum phx_reason reason;
	int error;
	bool in_send;	       // an up-call now would be nested
	uint32_t nested;       // such up-calls
	bool use_sink;	       // answer sink() with memory
	bool echo;	       // answer each frame from inside the up-call
	bool close_on_frame;   // close() inside the up-call
	int fail_frame;	       // frame() and landed() return this
	uint8_t *sink_memory;  // PHX_LIMIT_CHUNK_BYTES
	struct phx_frame last; // the last frame
};

struct bed {
	struct rte_rcu_qsbr *qsbr;
	struct worker *workers[2];
	unsigned worker_count;
	struct end end[2];
};

// Made and started; ends with bed_destroy(), which closes what is still open.
struct bed *bed_create(enum bed_kind kind, bool payload_crc);
void bed_destroy(struct bed *bed);

// The same over TCP with end[0] alone; the other end is a plain, blocking socket, the caller's.
struct bed *bed_create_raw(bool payload_crc, int *out_fd);

// Made, not started: the caller's to close.
void bed_connect(enum bed_kind kind, bool payload_crc, struct conn *out_conns[2]);

// One round of a worker: polls, flushes, commands. Returns the work done.
unsigned bed_round(struct worker *worker);
// Rounds of all workers until *counter >= value; fails after 10 s.
#define bed_until(bed, cond)                                                                       \
	do {                                                                                       \
		uint64_t bed_end_ = bed_deadline();                                                \
		while (!(cond))                                                                    \
			bed_rounds(bed, bed_end_, #cond);                                          \
	} while (0)
uint64_t bed_deadline(void);
void bed_rounds(struct bed *bed, uint64_t deadline, const char *what);
// Rounds of all workers until nothing has moved for a while: for "and no more comes".
void bed_settle(struct bed *bed);

// Byte i of the body of a frame with this cookie.
uint8_t bed_byte(uint32_t cookie, uint32_t i);
// Fill memory with the body of a frame.
void bed_fill(uint8_t *out, uint32_t cookie, uint32_t len);

// ops->send with the nesting check. The frame's cookie must be the next of this direction.
int end_send(struct end *from, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, struct conn_done *done);

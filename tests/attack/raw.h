// SPDX-License-Identifier: BSD-3-Clause
// An attacker: a session with its memory mapped raw, without libphoenix. Works with bed.h.
#pragma once

#include "lib/attach/client.h"
#include "lib/base/status.h"
#include "lib/shm/layout.h"
#include "tests/attack/bed.h"

struct raw {
	struct phx_attach_client client;
	struct phx_attach_hello_rep hello;
	uint8_t *app_queue;	 // writable
	uint8_t *app_heap;	 // writable, at offset hello.send_heap.offset
	const uint8_t *dp_queue; // read-only
	const uint8_t *dp_heap;
	int fds[5]; // as they came: app queue, dp queue, app heap, dp heap, doorbell
	uint32_t sub_prod, ret_prod, comp_cons;
	bool detached; // EVENT_DETACH came
	uint32_t reason;
	char text[256];
};

// Connect only.
void raw_connect(struct raw *raw);
// Connect, say hello, map, be ready. sizes may be NULL.
void raw_open(struct raw *raw, const struct phx_attach_queue_sizes *sizes);
void raw_hello_fill(struct phx_attach_hello_req *req);
// Send a request and take its answer: 0, or the reason of the refusal.
enum phx_reason raw_request(
	struct raw *raw, struct phx_attach_request request, struct phx_attach_answer *out_answer);
// Say this hello and take its answer, likewise.
enum phx_reason raw_hello(
	struct raw *raw, struct phx_attach_hello_req *req, struct phx_attach_answer *out_answer);
// Send a packet as it is, with descriptors. 0 or -errno.
int raw_send(struct raw *raw, const void *packet, size_t size, const int *fds, unsigned fd_count);
// The dataplane ends the session for this reason.
void raw_expect(struct raw *raw, enum phx_reason reason);
// Is the session over? Does not wait.
bool raw_over(struct raw *raw);
// The session is over, for whatever reason (shown).
enum phx_reason raw_expect_any(struct raw *raw);
// Everything is unmapped and closed.
void raw_close(struct raw *raw);

// Upload the schema of tests/unit/lib/schema/build.h, serve t.Service in `group` (NULL: not), open
// channel 0 to "local:group" and bind t.Service as binding 0, t.Other as 1.
void raw_service(struct raw *raw, const char *group, const char *target);

// A message t.All with so many bytes of data at the start of the heap region: too large for a ring
// entry from 200 on.
void raw_message(struct raw *raw, uint32_t bytes);

// Index words, by their offset in layout.h.
void raw_word_set(struct raw *raw, uint32_t offset, uint32_t value);
uint32_t raw_word(const uint8_t *queue, uint32_t offset);
// Ring the doorbell.
void raw_bell(const struct raw *raw);
// Slot i behind the producer of the submission ring; of the return ring.
struct phx_sub_entry *raw_sub_slot(struct raw *raw, uint32_t i);
struct phx_ret_entry *raw_ret_slot(struct raw *raw, uint32_t i);
void raw_sub_publish(struct raw *raw, uint32_t slots);
void raw_ret_publish(struct raw *raw, uint32_t slots);
// Write, publish, ring. inl_len bytes of zeros stand inline.
void raw_sub(struct raw *raw, struct phx_sub_entry e, uint32_t inl_len);
void raw_ret(struct raw *raw, struct phx_ret_entry e);
// The dataplane takes all that was submitted, or ends the session, within the deadline.
void raw_taken(struct raw *raw);
// The next completion, within the deadline.
struct phx_comp_entry raw_comp(struct raw *raw);
bool raw_comp_now(struct raw *raw, struct phx_comp_entry *out);

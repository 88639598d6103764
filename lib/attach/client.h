// SPDX-License-Identifier: BSD-3-Clause
// The application's end of app.sock: requests with an answer, events, descriptors.
//
// One thread at a time uses a client (the owner locks). Nothing the dataplane sends is used
// before its size, type and number of descriptors were checked. Once a function has returned
// -ENOTCONN or -EPROTO the socket is closed and every later request fails with -ENOTCONN.
#pragma once

#include "lib/attach/attach.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Called for each event (EVENT_REGION, EVENT_DETACH) while a request waits or in
// phx_attach_client_poll(); sizes are checked. The packet is borrowed. fd is the callee's to
// close, -1 when the event carries none. Must not use the client.
typedef void (*phx_attach_event_fn)(void *arg, const struct phx_attach_header *packet, int fd);

struct phx_attach_client {
	int fd; // -1: closed
	uint64_t next_id;
	uint8_t *packet; // the packet received last
	phx_attach_event_fn event;
	void *arg;
};

// An answer. `h` is borrowed until the next use of the client; the descriptors belong to the
// receiver of this struct, who sets those it keeps to -1 and calls phx_attach_answer_fini().
struct phx_attach_answer {
	const struct phx_attach_header *h;
	unsigned fd_count;
	int fds[PHX_ATTACH_FDS_MAX];
};

// What is asked: a request struct that starts with a header, and bytes behind it.
struct phx_attach_request {
	struct phx_attach_header *h; // filled in here: type, size, id
	size_t size;		     // of the struct
	const void *tail;	     // may be NULL
	size_t tail_len;
	uint16_t type;	     // enum phx_attach_type
	size_t answer_size;  // exact size of the answer
	unsigned answer_fds; // exact number of descriptors of the answer
};

// Prepare; no system call. 0 or -ENOMEM. Ended by phx_attach_client_fini().
int phx_attach_client_init(struct phx_attach_client *c, phx_attach_event_fn event, void *arg);

// Close and free. Legal on a zeroed client only if fd was set to -1.
void phx_attach_client_fini(struct phx_attach_client *c);

// Connect to the socket at `path`. 0; -ENAMETOOLONG: path does not fit a socket address;
// -ENOENT, -ECONNREFUSED, -EAGAIN: nobody listens (yet); -EACCES; other values of connect.
int phx_attach_client_connect(struct phx_attach_client *c, const char *path);

// Close the connection; the client may connect again.
void phx_attach_client_close(struct phx_attach_client *c);

// Send a request and wait for its answer until deadline_ns (phx_clock_ns time). 0: *out_answer is
// a REPLY of the announced size. -EREMOTEIO: it is a REFUSED (struct phx_attach_refused and
// its text). -ETIMEDOUT; -ENOTCONN: the other side is gone; -EPROTO: it sent nonsense;
// -EINVAL: the request is larger than a packet. *out_answer is set for 0 and -EREMOTEIO only.
int phx_attach_client_request(struct phx_attach_client *c, const struct phx_attach_request *request,
	uint64_t deadline_ns, struct phx_attach_answer *out_answer);

// Send a request whose answer nobody waits for (it is dropped when it comes). Never blocks.
// 0, -EAGAIN: the socket is full, -ENOTCONN.
int phx_attach_client_post(
	struct phx_attach_client *c, struct phx_attach_header *h, size_t size, uint16_t type);

// Handle every event that has arrived; never blocks. Number of packets, -ENOTCONN, -EPROTO.
int phx_attach_client_poll(struct phx_attach_client *c);

// Close the descriptors that are not -1.
void phx_attach_answer_fini(struct phx_attach_answer *answer);

// The checked body of a REFUSED answer or EVENT_DETACH. Its text (not terminated) stands
// behind it: (const char *)(refused + 1), refused->text_len bytes.
static inline const struct phx_attach_refused *phx_attach_refused_of(
	const struct phx_attach_header *h)
{
	return (const struct phx_attach_refused *)(const void *)h;
}

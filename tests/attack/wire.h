// SPDX-License-Identifier: BSD-3-Clause
// An attacker on the network: a raw TCP peer of a dataplane with a listener. Works with bed.h.
#pragma once

#include "lib/wire/frame.h"
#include "lib/wire/hello.h"
#include "tests/attack/bed.h"

#include <stddef.h>

// Group fixtures: a dataplane with a listener on loopback.
int wire_setup(void **state);
int wire_teardown(void **state);

struct wire {
	int lane[PHX_LANE_COUNT];
	uint64_t token;
};

// A connection to the listener.
int wire_connect(void);
// Send everything, in pieces of `piece` bytes (0: at once). 0 or -errno.
int wire_send(int fd, const void *bytes, size_t len, size_t piece);
// Frame with a correct CRC and body bytes.
int wire_frame(int fd, const struct phx_frame *f, const void *body);
// The next frame: 1, 0 when the connection was closed. body has room for PHX_FRAME_BODY_MAX.
int wire_read(int fd, struct phx_frame *f, uint8_t *body);
// Read frames until one of this type: false when the connection was closed before.
bool wire_expect(int fd, unsigned type, struct phx_frame *f, uint8_t *body);
// The dataplane closes the connection.
void wire_expect_closed(int fd);
// A hello of this lane as bytes of a frame and body.
size_t wire_hello(uint8_t *out, uint64_t token, uint8_t lane);
// Both lanes greeted: a link.
void wire_open(struct wire *wire);
void wire_close(struct wire *wire);
// A channel with this id on the link, subscribed to the bystander as binding 0; its subscription is
// up when this returns.
void wire_channel(struct wire *wire, uint64_t id);

// The dataplane's log names this since the last call that found something.
void wire_expect_logged(const char *word);

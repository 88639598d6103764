// SPDX-License-Identifier: BSD-3-Clause
// A TCP proxy between two dataplanes that does to the stream what networks do: chaosproxy.c
// moves the bytes, chaosproxy_main.c listens and takes orders.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define FLOW_CHUNK    16384
#define FLOW_CHUNKS   128 // read ahead of what was written, at most
#define DIRECTIONS    2
#define DIRECTION_ALL 3 // bits: 1 up (to the target), 2 down

enum trigger_kind { TRIGGER_NONE, TRIGGER_RESET, TRIGGER_CLOSE, TRIGGER_CORRUPT };

// What is done to everything that passes now.
struct chaos {
	uint32_t split;	   // bytes of one write; 0 = all
	uint32_t rate;	   // bytes a second of one direction of a connection; 0 = all
	uint64_t delay_ns; // from reading to writing
	unsigned stalled;  // directions that are not read
	unsigned lost;	   // directions whose bytes vanish
	bool refuse;	   // new connections are reset
	// Happens once, when so many more bytes have passed in that direction.
	enum trigger_kind trigger;
	unsigned trigger_direction;
	uint64_t trigger_left;
};

struct chunk {
	STAILQ_ENTRY(chunk) next;
	uint64_t due_ns;
	uint32_t len, off;
	uint8_t bytes[FLOW_CHUNK];
};

// One direction of a connection.
struct flow {
	STAILQ_HEAD(, chunk) chunks;
	unsigned count;
	unsigned direction; // bit
	int from, to;	    // descriptors of the connection
	uint64_t next_ns;   // of the next write under a rate
	bool ended;	    // nothing more to read
	bool shut;	    // and said so to the other side
};

struct pair {
	LIST_ENTRY(pair) link;
	int fd[2]; // who called, and the target
	struct flow flow[DIRECTIONS];
	bool dead;
};

uint64_t chaos_now_ns(void);
struct pair *pair_create(int take_client, int take_target);
// reset: both ends get a reset instead of an orderly end.
void pair_destroy(struct pair *pair, bool reset);
// Events to wait for on one end, given what goes on.
short pair_events(const struct pair *pair, const struct chaos *chaos, unsigned end);
// Read and write what can be; false when the pair is over (*out_reset says how).
bool pair_move(struct pair *pair, struct chaos *chaos, const short revents[2], uint64_t now,
	bool *out_reset);
// When something is to be written that could not before; UINT64_MAX: never.
uint64_t pair_due_ns(const struct pair *pair, uint64_t now);

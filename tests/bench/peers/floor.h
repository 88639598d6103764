// SPDX-License-Identifier: BSD-3-Clause
// A bare model of calls through a service: client, dataplanes and server are processes joined by
// single-producer single-consumer rings, with no marshalling, policy or check. What remains is
// what the arrangement of processes costs: the floor under a measurement of the real thing.
#pragma once

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "tests/bench/meter.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOR_SLOTS    1024
#define FLOOR_INLINE   64
#define FLOOR_PARTIES  4
#define FLOOR_YIELDS   200 // a hybrid waiter yields so often before it sleeps
#define FLOOR_PIN_NONE -1

// Two lines, as a 16-byte header and 64 inline bytes need.
struct floor_entry {
	uint32_t id;
	uint32_t len;
	uint64_t off; // in the heap, when len > FLOOR_INLINE
	uint8_t payload[FLOOR_INLINE];
	uint8_t pad[48];
};
static_assert(sizeof(struct floor_entry) == 128, "two cache lines");

struct floor_ring {
	PHX_CACHE_ALIGNED _Atomic uint32_t head; // producer>consumer
	PHX_CACHE_ALIGNED _Atomic uint32_t tail; // consumer>producer
	PHX_CACHE_ALIGNED struct floor_entry entry[FLOOR_SLOTS];
};

// Where one party sleeps.
struct floor_bell {
	PHX_CACHE_ALIGNED _Atomic uint32_t asleep;
	int fd; // eventfd
};

enum floor_party { FLOOR_CLIENT, FLOOR_DP_A, FLOOR_DP_B, FLOOR_SERVER };
enum floor_ring_id { FLOOR_C_TO_A, FLOOR_A_TO_C, FLOOR_B_TO_S, FLOOR_S_TO_B, FLOOR_RINGS };

enum floor_wait {
	FLOOR_SPIN,
	FLOOR_YIELD,
	FLOOR_HYBRID, // yield FLOOR_YIELDS times, then sleep
	FLOOR_BLOCK,
};

struct floor_shared {
	struct floor_bell bell[FLOOR_PARTIES];
	struct floor_ring ring[FLOOR_RINGS];
};

struct floor {
	struct meter_options options;
	struct floor_shared *shared;
	uint8_t *client_heap;
	uint8_t *server_heap;
	int dataplanes; // 0: client and server directly; 1; 2: joined by TCP on loopback
	bool copy;	// the dataplane copies large payloads between heaps
	enum floor_wait app_wait;
	enum floor_wait dp_wait;
	int pins[FLOOR_PARTIES];
};

// One party that finds nothing to do.
struct floor_waiter {
	struct floor_bell *bell;
	enum floor_wait how;
	int yields;
	int epoll_fd; // -1: only the bell wakes
};

// Nothing was found: wait as `waiter` does. in2 may be NULL; what came meanwhile is seen.
void floor_idle(struct floor_waiter *waiter, struct floor_ring *in, struct floor_ring *in2);
// After a burst was pushed to `ring`: wake its reader if it sleeps.
void floor_ring_bell(struct floor_bell *bell, struct floor_ring *ring);

// The parties; all but the client run until they are killed or their socket closes.
void floor_server(struct floor *f, struct floor_ring *in, struct floor_ring *out, int peer);
void floor_dataplane(struct floor *f);
void floor_dataplane_tcp(struct floor *f, int me, int sock);
int floor_client(struct floor *f, int peer);

// The producer's side.
static inline bool floor_has_room(struct floor_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	return head - atomic_load_explicit(&r->tail, memory_order_acquire) < FLOOR_SLOTS;
}

static inline struct floor_entry *floor_slot(struct floor_ring *r)
{
	return &r->entry[atomic_load_explicit(&r->head, memory_order_relaxed) % FLOOR_SLOTS];
}

static inline void floor_push(struct floor_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

// The consumer's side.
static inline uint32_t floor_available(struct floor_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	return atomic_load_explicit(&r->head, memory_order_acquire) - tail;
}

static inline struct floor_entry *floor_peek(struct floor_ring *r)
{
	return &r->entry[atomic_load_explicit(&r->tail, memory_order_relaxed) % FLOOR_SLOTS];
}

static inline void floor_pop(struct floor_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

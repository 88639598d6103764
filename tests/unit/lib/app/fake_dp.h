// SPDX-License-Identifier: BSD-3-Clause
// A dataplane for the tests of libphoenix: a thread that answers on app.sock, and functions with
// which a test plays the worker by hand. It lives in the test's process and has mappings of
// its own of every region. fake_dp.c: socket and regions; fake_worker.c: rings.
#pragma once

#include "lib/attach/attach.h"
#include "lib/shm/bell.h"
#include "lib/shm/layout.h"
#include "lib/shm/region.h"
#include "lib/shm/ring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAKE_QUEUES  4
#define FAKE_REGIONS 32
#define FAKE_RECV    1048576 // bytes of the first receive heap region

struct fake_region {
	struct phx_region region;
	uint32_t off;
	uint32_t size;
	_Atomic bool mapped;
};

struct fake_object {
	struct fake_region regions[FAKE_REGIONS];
	_Atomic uint32_t count;
	uint32_t next_off;
};

struct fake_queue {
	struct phx_attach_queue q;
	uint8_t *dp;	    // our mapping of the region we write
	const uint8_t *app; // of the region the application writes
	struct phx_ring_cons sub, ret;
	struct phx_ring_prod comp;
	struct phx_bell_waker waker;
	struct phx_bell_sleeper sleeper;
	_Atomic int fd; // our end of the application's descriptor
	_Atomic uint64_t rings;
};

struct fake_dp {
	char rundir[64];
	int listen_fd, stop_fd;
	_Atomic int conn;
	pthread_t thread;
	int doorbell;
	struct fake_object objects[2];
	struct fake_queue queues[FAKE_QUEUES];
	_Atomic uint32_t queue_count;
	uint32_t recv_used; // bytes handed out of the first receive heap region

	// Set before fake_dp_start()
	uint32_t sub_slots, ret_slots, comp_slots; // 0 = what the application asks for
	uint64_t send_quota;			   // address space, default 64 MiB
	uint64_t features;			   // default: all
	_Atomic uint32_t refusals;		   // hellos to refuse with:
	uint32_t refuse_code, refuse_reason;
	void (*spoil)(struct phx_attach_hello_rep *rep); // make the answer wrong
	bool spoil_fds;					 // send one descriptor too few
	uint32_t handle_base;				 // added to every handle

	// What happened
	_Atomic uint32_t hellos, mapped, schemas, schema_parts, schema_bytes, opens, closes, binds;
	_Atomic uint32_t registers, unregisters, goodbyes, grows;
	struct phx_attach_hello_req hello;
	char target[256], group[256];
	_Atomic bool refuse_bind, refuse_register;
	_Atomic uint32_t hold_register; // 1: no answer to REGISTER until it is 0
	_Atomic bool die_at_grow;	// HEAP_GROW is the last that it hears
};

// Start on a fresh run directory; asserts on failure.
struct fake_dp *fake_dp_create(void);
void fake_dp_start(struct fake_dp *dp);
// Stop, join, unmap, remove the run directory.
void fake_dp_destroy(struct fake_dp *dp);
// The process is gone: socket, thread, bells. Its memory stays until fake_dp_destroy().
void fake_dp_stop(struct fake_dp *dp);
// Another one on the run directory of a stopped one, not started.
struct fake_dp *fake_dp_create_after(struct fake_dp *old);
// What the death of a dataplane looks like to the application.
void fake_dp_kill(struct fake_dp *dp);
// Send EVENT_DETACH.
void fake_dp_detach(struct fake_dp *dp, uint32_t reason, const char *text);
// A further receive region, announced on the socket (not in the ring). Its index.
uint32_t fake_dp_grow_recv(struct fake_dp *dp, uint32_t size);

// Address of [off, off + len) of an object in our mapping; asserts that it is in a region.
void *fake_at(struct fake_dp *dp, unsigned object, uint32_t off, uint32_t len);

// ---- the worker ----

// The next submission, its inline bytes in `inl` (256 bytes). Waits up to 10 s, then asserts.
struct phx_sub_entry fake_sub(struct fake_dp *dp, unsigned queue, uint8_t *inl);
// Is one there?
bool fake_sub_none(struct fake_dp *dp, unsigned queue);
struct phx_ret_entry fake_ret(struct fake_dp *dp, unsigned queue);
bool fake_ret_none(struct fake_dp *dp, unsigned queue);

// Write an entry with inline bytes; slots and the INLINE flag are filled in. Published at once.
void fake_comp(struct fake_dp *dp, unsigned queue, struct phx_comp_entry e, const void *inl,
	uint32_t inl_len);
// Put bytes into the receive heap: their offset.
uint32_t fake_recv_put(struct fake_dp *dp, const void *bytes, uint32_t len);
// End a call with PHX_OK and this inline message.
void fake_reply(struct fake_dp *dp, unsigned queue, const struct phx_sub_entry *call,
	const void *message, uint32_t len);

// A thread that echoes every call of a queue inline until told to stop, sleeping by the bell.
struct fake_echo {
	struct fake_dp *dp;
	unsigned queue;
	unsigned jitter; // up to so many spins before each look, 0 = none
	pthread_t thread;
	_Atomic bool stop;
	_Atomic uint64_t calls;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t replied_ns; // when it answered last
};
void fake_echo_start(struct fake_echo *echo);
void fake_echo_stop(struct fake_echo *echo);

// Seconds of patience of every wait in these tests.
#define FAKE_PATIENCE_NS UINT64_C(20000000000)
#define fake_until(cond)                                                                           \
	do {                                                                                       \
		uint64_t until_ = phx_clock_ns() + FAKE_PATIENCE_NS;                               \
		while (!(cond)) {                                                                  \
			assert_true(phx_clock_ns() < until_);                                      \
			(void)sched_yield();                                                       \
		}                                                                                  \
	} while (0)

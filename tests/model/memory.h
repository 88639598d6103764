// SPDX-License-Identifier: BSD-3-Clause
// Memory of the model: two threads, a few locations, each written by one of them. Two machines
// behind one table: x86-TSO (a store buffer each) and C11 (views: a load may return any value
// that coherence and happens-before leave). Works with explore.h, which chooses.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_LOCATIONS 10
#define MEMORY_THREADS	 2
#define TSO_BUFFER	 6
#define WEAK_MESSAGES	 20

enum step_kind {
	STEP_NONE,
	STEP_LOAD,
	STEP_STORE,
	STEP_EXCHANGE,
	STEP_SLEEP, // futex: sleep if the location holds value; else a location of -1: event
	STEP_BELL,  // wake the other thread; futex: location 0, event: -1
};

// One access that a thread is about to make.
struct step {
	enum step_kind kind;
	int location;
	int order; // __ATOMIC_ constant
	uint32_t value;
};

struct tso {
	uint32_t value[MEMORY_LOCATIONS];
	struct {
		uint32_t value;
		uint32_t location;
	} buffer[MEMORY_THREADS][TSO_BUFFER];
	uint32_t buffered[MEMORY_THREADS];
};

// A store, what its thread had seen (release) and how far both threads were.
struct weak_message {
	uint32_t value;
	uint8_t view[MEMORY_LOCATIONS];
	uint8_t clock[MEMORY_THREADS];
};

// The messages of a location are numbered in the order of its one writer.
struct weak {
	struct weak_message message[MEMORY_LOCATIONS][WEAK_MESSAGES];
	uint8_t first[MEMORY_LOCATIONS];   // number of message[][0]; older ones cannot be read
	uint8_t newest[MEMORY_LOCATIONS];  // number
	uint8_t last_sc[MEMORY_LOCATIONS]; // newest seq_cst store
	uint8_t view[MEMORY_THREADS][MEMORY_LOCATIONS];
	uint8_t clock[MEMORY_THREADS][MEMORY_THREADS];
	uint8_t written[MEMORY_LOCATIONS]; // plain data: clock of the last write and read
	uint8_t read[MEMORY_LOCATIONS];
	uint8_t kernel_view[MEMORY_LOCATIONS]; // of the threads that rang a futex
};

struct memory {
	union {
		struct tso tso;
		struct weak weak;
	};
};

// What the machines need to know about the locations.
struct memory_layout {
	int count;
	bool data[MEMORY_LOCATIONS];	  // plain memory: races are errors
	uint8_t writer[MEMORY_LOCATIONS]; // thread
};

struct machine {
	const char *name;
	void (*init)(struct memory *, const struct memory_layout *, const uint32_t *values);
	// Ways in which the step can go now; 0: not before the buffer is empty or has room.
	unsigned (*choices)(const struct memory *, int thread, const struct step *);
	// One of them; the value loaded. *error is set when the access is a race.
	uint32_t (*apply)(struct memory *, int thread, const struct step *, unsigned choice,
		const char **error);
	// Move the oldest store of a thread to memory; false: none.
	bool (*drain)(struct memory *, int thread);
};

extern const struct machine machine_tso, machine_weak;

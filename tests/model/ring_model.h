// SPDX-License-Identifier: BSD-3-Clause
// The two sides of a ring as rounds of a model: what libphoenix and the worker do with ring.h and
// bell.h, and the same with one mistake planted. Works with explore.h.
#pragma once

#include "tests/model/explore.h"

#include "lib/shm/bell.h"
#include "lib/shm/ring.h"

#define RING_SIZE 2
#define RINGS_MAX 2

enum waiting {
	WAIT_SPIN,  // the consumer never sleeps, the producer only publishes
	WAIT_FUTEX, // as an application on its completion ring
	WAIT_EVENT, // as a worker on its event descriptor
};

enum mistake {
	MISTAKE_NONE,
	MISTAKE_NO_RECHECK,	  // arm, then sleep at once
	MISTAKE_EPOCH_FIRST,	  // the waker looks at the epoch, then publishes
	MISTAKE_SAME_EPOCH,	  // the next sleep does not raise the epoch
	MISTAKE_SLEEP_BLIND,	  // the futex does not compare
	MISTAKE_FUTEX_INDEX,	  // the futex is the producer index
	MISTAKE_SEEN_LATE,	  // what the futex is compared with is read after the recheck
	MISTAKE_MARK_LATE,	  // the futex word is written after the waiters are woken
	MISTAKE_ROOM,		  // one slot more than there is
	MISTAKE_PUBLISH_EARLY,	  // the index before the slots
	MISTAKE_GIVE_BACK_EARLY,  // the index before the copy
	MISTAKE_DISARM_FORGOTTEN, // awake with the old epoch
};

struct scene {
	const char *name;
	enum waiting waiting;
	uint32_t rings;	   // served by one consumer and one bell
	uint32_t messages; // on each
	uint32_t burst;	   // at most, before it is published
	uint32_t start;	   // of indices and epoch
};

// Set up the model of a scene. It points to memory of ring_model.c: one at a time.
void ring_model_init(const struct scene *scene, enum mistake mistake, const struct machine *machine,
	struct model *out);

// Locations of ring r: producer index, consumer index, slots; of the epoch.
#define RING_PROD(r)   ((int)(r)*4)
#define RING_CONS(r)   ((int)(r)*4 + 1)
#define RING_SLOT(r)   ((int)(r)*4 + 2)
#define RING_EPOCH(sc) ((int)(sc)->rings * 4)
#define RING_BELL(sc)  ((int)(sc)->rings * 4 + 1)

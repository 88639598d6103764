// SPDX-License-Identifier: BSD-3-Clause
// The proof of ring and bell: no interleaving on x86 or under C11 loses a wake-up, reads a slot
// before it is written or overwrites one that is not read; and that the proof can fail: each
// planted mistake is found. usage: ring_model_test tso | c11 [--trace]
#include "tests/model/ring_model.h"

#include <stdio.h>
#include <string.h>

static const struct scene scenes[] = {
	{"spin", WAIT_SPIN, 1, 5, 1, 0},
	{"spin, bursts past 2^32", WAIT_SPIN, 1, 6, 2, UINT32_MAX - 1},
	{"futex", WAIT_FUTEX, 1, 4, 1, 0},
	{"futex, bursts past 2^32", WAIT_FUTEX, 1, 5, 2, UINT32_MAX - 1},
	{"event", WAIT_EVENT, 1, 4, 1, 0},
	{"event, bursts past 2^32", WAIT_EVENT, 1, 5, 2, UINT32_MAX - 1},
	{"event, two rings with one bell", WAIT_EVENT, 2, 2, 1, 0},
};
enum {
	SPIN = 0,
	FUTEX = 2,
	EVENT = 4,
	TWO = 6,
};

// Mistakes in code, and orders weaker than those of ring.h and bell.h. x86 hides some.
#define ON_TSO 1
#define ON_C11 2
#define EVERY  (ON_TSO | ON_C11)

// The order of one kind of access to one location replaced.
#define WEAKER(kind, location, order)                                                              \
	MISTAKE_NONE,                                                                              \
	{                                                                                          \
		(kind), (location), (order)                                                        \
	}
#define RELEASE __ATOMIC_RELEASE
#define RELAXED __ATOMIC_RELAXED

static const struct {
	const char *name;
	int scene;
	int machines;
	enum mistake mistake;
	struct weakening weakening;
} planted[] = {
	{"publish by a release store", FUTEX, EVERY, WEAKER(STEP_EXCHANGE, 0, RELEASE)},
	{"publish by a release store", EVENT, EVERY, WEAKER(STEP_EXCHANGE, 0, RELEASE)},
	{"publish one of two by a release store", TWO, EVERY, WEAKER(STEP_EXCHANGE, 4, RELEASE)},
	{"arm by a release store", FUTEX, EVERY, WEAKER(STEP_STORE, 4, RELEASE)},
	{"arm by a release store", EVENT, EVERY, WEAKER(STEP_STORE, 4, RELEASE)},
	{"publish relaxed", SPIN, ON_C11, WEAKER(STEP_STORE, 0, RELAXED)},
	{"look relaxed", SPIN, ON_C11, WEAKER(STEP_LOAD, 0, RELAXED)},
	{"give back relaxed", SPIN, ON_C11, WEAKER(STEP_STORE, 1, RELAXED)},
	{"look for room relaxed", SPIN, ON_C11, WEAKER(STEP_LOAD, 1, RELAXED)},
	{"no recheck", FUTEX, EVERY, MISTAKE_NO_RECHECK, {0}},
	{"no recheck", EVENT, EVERY, MISTAKE_NO_RECHECK, {0}},
	{"epoch before publish", FUTEX, EVERY, MISTAKE_EPOCH_FIRST, {0}},
	{"epoch before publish", EVENT, EVERY, MISTAKE_EPOCH_FIRST, {0}},
	{"the same epoch for every sleep", FUTEX, EVERY, MISTAKE_SAME_EPOCH, {0}},
	{"the same epoch for every sleep", EVENT, EVERY, MISTAKE_SAME_EPOCH, {0}},
	{"sleep without comparing", FUTEX, EVERY, MISTAKE_SLEEP_BLIND, {0}},
	{"sleep on the producer index", FUTEX, EVERY, MISTAKE_FUTEX_INDEX, {0}},
	{"compare with a late value", FUTEX, EVERY, MISTAKE_SEEN_LATE, {0}},
	{"mark after the wake-up", FUTEX, EVERY, MISTAKE_MARK_LATE, {0}},
	{"awake with the old epoch", EVENT, EVERY, MISTAKE_DISARM_FORGOTTEN, {0}},
	{"one slot too many", SPIN, EVERY, MISTAKE_ROOM, {0}},
	{"publish before writing", SPIN, EVERY, MISTAKE_PUBLISH_EARLY, {0}},
	{"give back before reading", SPIN, EVERY, MISTAKE_GIVE_BACK_EARLY, {0}},
};

static int check_scene(const struct scene *scene, const struct machine *machine)
{
	struct verdict v;
	struct model m;
	int failed = 0;

	// Every smaller number too: a last message has nobody to save it. C11 has far more states.
	uint32_t most = scene->messages - (machine == &machine_weak && scene->messages > 3);

	for (uint32_t n = 1; n <= most; n++) {
		struct scene shorter = *scene;

		shorter.messages = n;
		ring_model_init(&shorter, MISTAKE_NONE, machine, &m);
		v = explore(&m, true);
		printf("%s: %s, %u messages: %u states, %s\n", machine->name, scene->name, n,
			v.states, v.violation != NULL ? v.violation : "sound");
		failed += v.violation != NULL || v.endings == 0;
	}
	return failed;
}

static int check_planted(size_t i, const struct machine *machine, bool trace)
{
	struct scene scene = scenes[planted[i].scene];
	struct verdict v;
	struct model m;

	scene.messages = phx_min(scene.messages, 3u); // enough for each of them
	ring_model_init(&scene, planted[i].mistake, machine, &m);
	m.weakening[0] = planted[i].weakening;
	if (trace)
		printf("%s: %s, %s:\n", machine->name, scene.name, planted[i].name);
	v = explore(&m, trace);
	printf("%s: %s, %s: %u states, %s\n", machine->name, scene.name, planted[i].name, v.states,
		v.violation != NULL ? v.violation : "NOT FOUND");
	return v.violation == NULL;
}

int main(int argc, char **argv)
{
	bool weak = argc > 1 && strcmp(argv[1], "c11") == 0;
	bool trace = argc > 2 && strcmp(argv[2], "--trace") == 0;
	const struct machine *machine = weak ? &machine_weak : &machine_tso;
	int failed = 0;

	for (size_t i = 0; i < PHX_ARRAY_LEN(scenes); i++)
		failed += check_scene(&scenes[i], machine);
	for (size_t i = 0; i < PHX_ARRAY_LEN(planted); i++)
		if ((planted[i].machines & (weak ? ON_C11 : ON_TSO)) != 0)
			failed += check_planted(i, machine, trace);
	if (failed > 0)
		printf("%d wrong\n", failed);
	return failed > 0;
}

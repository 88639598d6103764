// SPDX-License-Identifier: BSD-3-Clause
// Rounds of a producer and a consumer over the inline code of lib/shm. Works with ring_model.h.
#include "tests/model/ring_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct producer {
	struct phx_ring_prod ring[RINGS_MAX];
	struct phx_bell_waker waker;
	uint32_t sent[RINGS_MAX];
};

enum phase {
	PHASE_POLL,
	PHASE_ARM,
	PHASE_WOKEN,
};

struct consumer {
	struct phx_ring_cons ring[RINGS_MAX];
	struct phx_bell_sleeper sleeper;
	uint32_t received[RINGS_MAX];
	uint32_t phase;
	uint32_t zero;
};

static_assert(sizeof(struct producer) <= EXPLORE_PRIVATE, "room");
static_assert(sizeof(struct consumer) <= EXPLORE_PRIVATE, "room");

// What is shared; only its addresses are used.
static struct {
	_Alignas(64) uint64_t slots[RINGS_MAX][RING_SIZE * 8];
	_Alignas(64) uint32_t words[RINGS_MAX * 2 + 2][16];
} arena;

static struct scene scene;
static enum mistake mistake;

static uint32_t message(uint32_t ring, uint32_t n)
{
	return 100 + ring * 100 + n;
}

static struct phx_shm_u32 *bell_word(void)
{
	return (void *)arena.words[RINGS_MAX * 2 + 1];
}

static void ring_bell(const struct producer *p)
{
	if (scene.waiting == WAIT_EVENT) {
		explore_bell_event();
		return;
	}
	if (mistake != MISTAKE_MARK_LATE)
		phx_bell_mark(&p->waker, bell_word());
	explore_bell_futex();
	if (mistake == MISTAKE_MARK_LATE)
		phx_bell_mark(&p->waker, bell_word());
}

static uint32_t put_burst(struct producer *p, uint32_t r)
{
	struct phx_ring_prod *ring = &p->ring[r];
	uint32_t n = phx_min(scene.burst, scene.messages - p->sent[r]);
	int room = n > 0 ? phx_ring_prod_room(ring, 1) : 0;

	if (room < 0)
		explore_violation("the consumer's index looks impossible");
	if (mistake == MISTAKE_ROOM)
		room++;
	n = phx_min(n, (uint32_t)room);
	if (mistake == MISTAKE_PUBLISH_EARLY && n > 0) {
		phx_ring_prod_advance(ring, n);
		phx_ring_prod_publish_release(ring);
		ring->next -= n;
	}
	for (uint32_t i = 0; i < n; i++)
		explore_store_plain(phx_ring_prod_slot(ring, i), message(r, p->sent[r] + i));
	phx_ring_prod_advance(ring, n);
	p->sent[r] += n;
	return n;
}

// Like lib/app/queue_submit.c: fill, publish each ring, one bell.
static bool produce(void *private)
{
	struct producer *p = private;
	bool ring = false;
	uint32_t left = 0;

	for (uint32_t r = 0; r < scene.rings; r++)
		left += scene.messages - p->sent[r];
	if (left == 0)
		return false;
	for (uint32_t r = 0; r < scene.rings; r++)
		if (put_burst(p, r) > 0 && mistake == MISTAKE_EPOCH_FIRST)
			ring |= phx_bell_should_ring(&p->waker);
	for (uint32_t r = 0; r < scene.rings; r++) {
		if (scene.waiting == WAIT_SPIN && phx_ring_prod_pending(&p->ring[r]) != 0)
			phx_ring_prod_publish_release(&p->ring[r]);
		else if (mistake == MISTAKE_EPOCH_FIRST && phx_ring_prod_pending(&p->ring[r]) != 0)
			phx_shm_store32_seq_cst(
				p->ring[r].prod_word, p->ring[r].published = p->ring[r].next);
		else
			ring |= phx_ring_prod_publish_bell(&p->ring[r], &p->waker);
	}
	if (ring)
		ring_bell(p);
	return true;
}

static void take_all(struct consumer *c, uint32_t r, int available)
{
	struct phx_ring_cons *ring = &c->ring[r];
	const struct phx_shm_slot *slot[RING_SIZE];
	uint32_t n = (uint32_t)available;

	if (n > RING_SIZE)
		explore_violation("more available than there are slots");
	for (uint32_t i = 0; i < n; i++)
		slot[i] = phx_ring_cons_slot(ring, i);
	phx_ring_cons_advance(ring, n);
	if (mistake == MISTAKE_GIVE_BACK_EARLY)
		phx_ring_cons_publish(ring);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t copy[8];

		phx_shm_copy_slot(copy, slot[i]);
		if (copy[0] != message(r, c->received[r]))
			explore_violation("a slot holds another message");
		c->received[r]++;
	}
	phx_ring_cons_publish(ring);
}

static int checked(int available)
{
	if (available < 0)
		explore_violation("the producer's index looks impossible");
	return available;
}

static uint32_t poll_rings(struct consumer *c)
{
	uint32_t got = 0;

	for (uint32_t r = 0; r < scene.rings; r++) {
		int n = checked(phx_ring_cons_avail(&c->ring[r]));

		take_all(c, r, n);
		got += (uint32_t)n;
	}
	return got;
}

static bool anything(struct consumer *c)
{
	int n = 0;

	for (uint32_t r = 0; r < scene.rings && n == 0; r++)
		n = checked(phx_ring_cons_recheck(&c->ring[r]));
	return n > 0;
}

static void fall_asleep(const struct consumer *c, uint32_t seen)
{
	if (scene.waiting == WAIT_EVENT || mistake == MISTAKE_SLEEP_BLIND)
		explore_sleep_event();
	else if (mistake == MISTAKE_FUTEX_INDEX)
		explore_sleep_futex(c->ring[0].prod_word, c->ring[0].prod);
	else
		explore_sleep_futex(bell_word(), seen);
}

static void arm_and_sleep(struct consumer *c)
{
	uint32_t seen = 0;

	if (scene.waiting == WAIT_FUTEX)
		seen = phx_bell_seen(bell_word());
	phx_bell_arm(&c->sleeper);
	if (mistake != MISTAKE_NO_RECHECK && anything(c))
		return;
	if (mistake == MISTAKE_SEEN_LATE)
		seen = phx_bell_seen(bell_word());
	fall_asleep(c, seen);
}

static void wake_up(struct consumer *c)
{
	if (mistake == MISTAKE_DISARM_FORGOTTEN)
		return;
	phx_bell_disarm(&c->sleeper);
	if (mistake == MISTAKE_SAME_EPOCH)
		c->sleeper.epoch = scene.start;
}

// Like lib/app/wait.c and dataplane/core/worker_sleep.c: poll to empty, arm, recheck, sleep.
static bool consume(void *private)
{
	struct consumer *c = private;
	uint32_t left = 0;

	for (uint32_t r = 0; r < scene.rings; r++)
		left += scene.messages - c->received[r];
	if (left == 0)
		return false;
	switch ((enum phase)c->phase) {
	case PHASE_POLL:
		if (poll_rings(c) == 0 && scene.waiting != WAIT_SPIN)
			c->phase = PHASE_ARM;
		break;
	case PHASE_ARM:
		arm_and_sleep(c);
		c->phase = PHASE_WOKEN;
		break;
	case PHASE_WOKEN:
		wake_up(c);
		c->phase = PHASE_POLL;
		if (mistake == MISTAKE_DISARM_FORGOTTEN)
			(void)poll_rings(c);
		break;
	}
	return true;
}

static void place(struct model *m, int location, const char *name, const void *address,
	uint32_t value, int writer, bool data)
{
	m->names[location] = name;
	m->address[location] = address;
	m->initial[location] = value;
	m->layout.writer[location] = (uint8_t)writer;
	m->layout.data[location] = data;
	m->layout.count = phx_max(m->layout.count, location + 1);
}

static void place_ring(struct model *m, uint32_t r)
{
	static const char *const names[RINGS_MAX][4] = {
		{"producer index", "consumer index", "slot 0", "slot 1"},
		{"other producer index", "other consumer index", "other slot 0", "other slot 1"},
	};

	place(m, RING_PROD(r), names[r][0], arena.words[2 * r], scene.start, 0, false);
	place(m, RING_CONS(r), names[r][1], arena.words[2 * r + 1], scene.start, 1, false);
	for (int i = 0; i < RING_SIZE; i++)
		place(m, RING_SLOT(r) + i, names[r][2 + i], &arena.slots[r][i * 8], 0, 0, true);
}

void ring_model_init(const struct scene *new_scene, enum mistake new_mistake,
	const struct machine *machine, struct model *out)
{
	static struct producer producer;
	static struct consumer consumer;
	struct phx_shm_u32 *epoch = (void *)arena.words[RINGS_MAX * 2];
	int rc = 0;

	scene = *new_scene;
	mistake = new_mistake;
	memset(&producer, 0, sizeof(producer));
	memset(&consumer, 0, sizeof(consumer));
	memset(out, 0, sizeof(*out));
	for (uint32_t r = 0; r < scene.rings; r++) {
		rc |= phx_ring_prod_init(&producer.ring[r], arena.slots[r], RING_SIZE,
			(void *)arena.words[2 * r], (void *)arena.words[2 * r + 1], scene.start);
		rc |= phx_ring_cons_init(&consumer.ring[r], arena.slots[r], RING_SIZE,
			(void *)arena.words[2 * r], (void *)arena.words[2 * r + 1], scene.start);
		place_ring(out, r);
	}
	if (rc != 0)
		abort();
	phx_bell_waker_init(&producer.waker, epoch);
	phx_bell_sleeper_init(&consumer.sleeper, epoch);
	consumer.sleeper.epoch = scene.start;
	place(out, RING_EPOCH(&scene), "epoch", epoch, scene.start, 1, false);
	if (scene.waiting == WAIT_FUTEX)
		place(out, RING_BELL(&scene), "bell word", bell_word(), scene.start, 0, false);
	out->machine = machine;
	out->round[0] = produce;
	out->round[1] = consume;
	out->private[0] = &producer;
	out->private[1] = &consumer;
	out->private_size[0] = sizeof(producer);
	out->private_size[1] = sizeof(consumer);
	out->weakening[0].location = out->weakening[1].location = -1;
}

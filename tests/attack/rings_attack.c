// SPDX-License-Identifier: BSD-3-Clause
// Rings against a running dataplane: reliability.md group R.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t random_state = 1;

static uint32_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)phx_mix64(random_state);
}

// t.Other/Ping, inline; to nobody when channel is none.
static struct phx_sub_entry ping(uint32_t slot)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CALL,
		.flags = PHX_SUB_INLINE,
		.call = slot,
		.handle = 1000 + slot,
		.channel = 9,
		.timeout_ns = PHX_TIMEOUT_NONE,
		.msg_len = 8,
	};
}

// indices that jump, in a session that has worked before.
static void index_jumping_disconnects(void **state)
{
	static const struct {
		uint32_t word, by;
	} rows[] = {
		{PHX_QA_SUB_PROD, 65},
		{PHX_QA_SUB_PROD, UINT32_MAX},
		{PHX_QA_SUB_PROD, 1u << 31},
		{PHX_QA_RET_PROD, 65},
		{PHX_QA_RET_PROD, UINT32_MAX},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct raw raw;

		raw_open(&raw, NULL);
		raw_sub(&raw, ping(0), 8);
		assert_int_equal(raw_comp(&raw).kind, PHX_COMP_CALL);
		raw_word_set(
			&raw, rows[i].word, raw_word(raw.app_queue, rows[i].word) + rows[i].by);
		raw_bell(&raw);
		raw_expect(&raw, PHX_REASON_RING_INDEX);
		raw_close(&raw);
	}
}

static void completion_index_ahead_disconnects(void **state)
{
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	raw_word_set(&raw, PHX_QA_COMP_CONS, 1000);
	for (uint32_t i = 0; i < 200 && !raw_over(&raw); i++) {
		raw_sub(&raw, ping(0), 8);
		raw_taken(&raw);
	}
	raw_expect(&raw, PHX_REASON_RING_INDEX);
	raw_close(&raw);
}

// pages of nothing but ones, and of anything.
static void page_of_rubbish_disconnects(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(40); i++) {
		enum phx_reason reason;
		struct raw raw;

		raw_open(&raw, NULL);
		if (i == 0)
			memset(raw.app_queue, 0xff, raw.hello.queue.app_size);
		else
			for (uint32_t at = 0; at < raw.hello.queue.app_size; at += 4)
				raw_word_set(&raw, at, random_next());
		if (i % 2) {
			raw_word_set(&raw, PHX_QA_SUB_PROD, 1 + random_next() % 64);
			raw_word_set(&raw, PHX_QA_RET_PROD, random_next() % 64);
		}
		raw_bell(&raw);
		reason = raw_expect_any(&raw);
		assert_true(reason >= PHX_REASON_RING_INDEX && reason <= PHX_REASON_DOUBLE_FREE);
		raw_close(&raw);
	}
}

// threads that write indices and entries without a lock.
struct hammer {
	struct raw *raw;
	_Atomic bool stop;
	uint64_t seed;
};

static void *hammer(void *arg)
{
	static const uint32_t words[] = {
		PHX_QA_SUB_PROD, PHX_QA_RET_PROD, PHX_QA_COMP_CONS, PHX_QA_SLEEP};
	struct hammer *h = arg;

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		uint64_t r = phx_mix64(h->seed++);
		uint32_t word = words[r % 4];

		raw_word_set(h->raw, word,
			r & 16 ? (uint32_t)(r >> 32)
			       : raw_word(h->raw->app_queue, word) + (uint32_t)(r >> 60));
		if ((r & 0xff00) == 0)
			raw_bell(h->raw);
	}
	return NULL;
}

static void two_threads_disconnect(void *(*run)(void *), uint64_t seed)
{
	struct raw raw;
	struct hammer h = {.raw = &raw, .seed = seed};
	pthread_t threads[2];

	raw_open(&raw, NULL);
	for (int t = 0; t < 2; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, run, &h), 0);
	(void)raw_expect_any(&raw);
	atomic_store(&h.stop, true);
	for (int t = 0; t < 2; t++)
		assert_int_equal(pthread_join(threads[t], NULL), 0);
	assert_true(raw.reason >= PHX_REASON_RING_INDEX);
	raw_close(&raw);
}

static void indices_hammered_by_threads_disconnect(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(20); i++)
		two_threads_disconnect(hammer, i * 1000);
}

static void *produce_without_lock(void *arg)
{
	struct hammer *h = arg;

	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		uint32_t prod = raw_word(h->raw->app_queue, PHX_QA_SUB_PROD);
		struct phx_sub_entry *slots = (void *)(h->raw->app_queue + PHX_Q_SLOTS);

		slots[prod % 64] = ping(prod % 32);
		raw_word_set(h->raw, PHX_QA_SUB_PROD, prod + 1);
		raw_bell(h->raw);
	}
	return NULL;
}

static void producers_without_lock_harm_only_themselves(void **state)
{
	(void)state;
	two_threads_disconnect(produce_without_lock, 0);
}

//
static void ring_sizes_impossible_are_refused(void **state)
{
	static const struct phx_attach_queue_sizes sizes[] = {
		{1, 64, 128, 0},
		{63, 64, 128, 0},
		{65, 64, 128, 0},
		{8192, 64, 128, 0},
		{1u << 31, 64, 128, 0},
		{UINT32_MAX, 64, 128, 0},
		{64, 32, 128, 0},
		{64, 8192, 128, 0},
		{64, 64, 96, 0},
		{64, 64, 65536, 0},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(sizes); i++) {
		struct phx_attach_hello_req req;
		enum phx_reason reason;
		struct raw raw;

		raw_connect(&raw);
		raw_hello_fill(&req);
		req.queue = sizes[i];
		reason = raw_hello(&raw, &req, NULL);
		assert_string_equal(phx_reason_name(reason), "RING_CFG");
		raw_close(&raw);
	}
}

// everything at once.
static void full_ring_is_served_whole(void **state)
{
	const struct phx_attach_queue_sizes sizes = {4096, 4096, 32768, 0};
	struct raw raw;

	(void)state;
	raw_open(&raw, &sizes);
	assert_int_equal(raw.hello.queue.call_slots, 4096);
	for (uint32_t i = 0; i < 4096; i++) {
		*raw_sub_slot(&raw, i) = ping(i);
		raw_sub_slot(&raw, i)->slots = 1;
	}
	raw_sub_publish(&raw, 4096);
	for (uint32_t i = 0; i < 4096; i++) {
		struct phx_comp_entry e = raw_comp(&raw);

		assert_int_equal(e.kind, PHX_COMP_CALL);
		assert_int_equal(e.handle, 1000 + i);
	}
	raw_close(&raw);
}

// an application that never reads completions is ended, its ring not overrun.
static void completions_never_read_disconnect(void **state)
{
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	for (uint32_t i = 0; i < 200 && !raw_over(&raw); i++) {
		raw_sub(&raw, ping(0), 8);
		raw_taken(&raw);
	}
	raw_expect(&raw, PHX_REASON_QUOTA_ABUSE);
	assert_true(raw_word(raw.dp_queue, PHX_QD_COMP_PROD) <= 128);
	raw_close(&raw);
}

// doorbells for nothing.
static void doorbell_storm_changes_nothing(void **state)
{
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	for (unsigned i = 0; i < bed_rounds(300000); i++)
		raw_bell(&raw);
	raw_sub(&raw, ping(0), 8);
	assert_int_equal(raw_comp(&raw).kind, PHX_COMP_CALL);
	raw_close(&raw);
}

// the counter of the eventfd full, and writes to it blocking.
static void doorbell_full_and_blocking_changes_nothing(void **state)
{
	uint64_t full = UINT64_MAX - 1;
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	assert_int_equal(write(raw.fds[4], &full, sizeof(full)), sizeof(full));
	assert_int_equal(fcntl(raw.fds[4], F_SETFL, 0), 0);
	// No bell from here on: the worker finds it when it looks, or when others wake it.
	*raw_sub_slot(&raw, 0) = ping(0);
	raw_sub_slot(&raw, 0)->slots = 1;
	raw_word_set(&raw, PHX_QA_SUB_PROD, ++raw.sub_prod);
	assert_int_equal(raw_comp(&raw).kind, PHX_COMP_CALL);
	raw_close(&raw);
}

// everything that needs a session, before there is one.
static void requests_before_the_session_disconnect(void **state)
{
	(void)state;
	for (uint16_t type = 0; type < 80; type++) {
		struct {
			struct phx_attach_header h;
			uint8_t zero[64];
		} packet = {.h = {.type = type, .id = 1}};
		enum phx_reason reason;
		struct raw raw;

		if (type == PHX_ATTACH_HELLO || type == PHX_ATTACH_GOODBYE)
			continue;
		packet.h.size = sizeof(packet);
		raw_connect(&raw);
		assert_int_equal(raw_send(&raw, &packet, sizeof(packet), NULL, 0), 0);
		reason = raw_expect_any(&raw);
		assert_true(reason == PHX_REASON_HELLO_STATE || reason == PHX_REASON_DESC_KIND);
		raw_close(&raw);
	}
}

static void hello_twice_disconnects(void **state)
{
	struct phx_attach_hello_req req;
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	raw_hello_fill(&req);
	req.h = (struct phx_attach_header){PHX_ATTACH_HELLO, 0, sizeof(req), 77};
	assert_int_equal(raw_send(&raw, &req, sizeof(req), NULL, 0), 0);
	raw_expect(&raw, PHX_REASON_HELLO_STATE);
	raw_close(&raw);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(index_jumping_disconnects),
		BED_TEST(completion_index_ahead_disconnects),
		BED_TEST(page_of_rubbish_disconnects),
		BED_TEST(indices_hammered_by_threads_disconnect),
		BED_TEST(producers_without_lock_harm_only_themselves),
		BED_TEST(ring_sizes_impossible_are_refused),
		BED_TEST(full_ring_is_served_whole),
		BED_TEST(completions_never_read_disconnect),
		BED_TEST(doorbell_storm_changes_nothing),
		BED_TEST(doorbell_full_and_blocking_changes_nothing),
		BED_TEST(requests_before_the_session_disconnect),
		BED_TEST(hello_twice_disconnects),
	};

	return bed_main(argc, argv, "rings", tests, PHX_ARRAY_LEN(tests));
}

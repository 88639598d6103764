// SPDX-License-Identifier: BSD-3-Clause
// Entries and messages against a running dataplane: reliability.md group D. The attacker is client
// and server of its own service, so that what passes is seen to arrive harmless.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"
#include "lib/schema/schema.h"
#include "tests/unit/lib/schema/build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static uint32_t all_size, data_at, tree_at, left_at, node_size, nothings_at;

static void learn_layout(void)
{
	struct phx_schema *schema = t_all_schema();
	const struct phx_message *all = phx_schema_message(schema, T_ALL);
	const struct phx_message *node = phx_schema_message(schema, T_NODE);

	all_size = all->size;
	node_size = node->size;
	data_at = phx_message_field_named(all, "data")->offset;
	tree_at = phx_message_field_named(all, "tree")->offset;
	nothings_at = phx_message_field_named(all, "nothings")->offset;
	left_at = phx_message_field_named(node, "left")->offset;
	phx_schema_free(schema);
}

// An attacker with a service of its own, which it calls.
static void open_both(struct raw *raw)
{
	if (all_size == 0)
		learn_layout();
	raw_open(raw, NULL);
	raw_service(raw, "attacker", "local:attacker");
}

// Offset in the application-written object of a place in the heap region.
static uint32_t heap(const struct raw *raw, uint32_t at)
{
	return raw->hello.send_heap.offset + at;
}

static void set_ref(struct raw *raw, uint32_t at, int32_t offset, uint32_t count)
{
	uint64_t ref = (uint32_t)offset | (uint64_t)count << 32;

	__atomic_store_n((uint64_t *)(raw->app_heap + at), ref, __ATOMIC_RELAXED);
}

static struct phx_sub_entry call(const struct raw *raw, uint32_t at)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CALL,
		.call = 1,
		.handle = 77,
		.timeout_ns = PHX_TIMEOUT_NONE,
		.msg_off = heap(raw, at),
	};
}

// The call ends with one of these codes; the session goes on.
static void assert_ends(struct raw *raw, struct phx_sub_entry e, enum phx_code code)
{
	struct phx_comp_entry c;

	raw_sub(raw, e, 0);
	c = raw_comp(raw);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.handle, e.handle);
	assert_string_equal(phx_code_name(c.code), phx_code_name(code));
}

// Take the request that comes and refuse it, which ends the call.
static void serve_one(struct raw *raw)
{
	struct phx_comp_entry c = raw_comp(raw);

	assert_int_equal(c.kind, PHX_COMP_REQUEST);
	if (c.lent != 0)
		raw_ret(raw, (struct phx_ret_entry){
				     .kind = PHX_RET_RETURN, .count = 1, .handle = {c.lent}});
	raw_sub(raw,
		(struct phx_sub_entry){.kind = PHX_SUB_REPLY,
			.flags = PHX_SUB_NO_MESSAGE,
			.handle = c.handle,
			.channel = PHX_ABORTED},
		0);
	c = raw_comp(raw);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.code, PHX_ABORTED);
}

// D-01, D-03, D-04: messages and metadata where no heap is.
static void messages_outside_the_heap_end_the_call(void **state)
{
	struct raw raw;
	uint32_t offsets[7];

	(void)state;
	open_both(&raw);
	offsets[0] = heap(&raw, raw.hello.send_heap.size);
	offsets[1] = heap(&raw, raw.hello.send_heap.size - 8);
	offsets[2] = raw.hello.queue.app_offset;
	offsets[3] = raw.hello.queue.app_offset + PHX_Q_SLOTS;
	offsets[4] = UINT32_MAX - 7;
	offsets[5] = heap(&raw, 4);
	offsets[6] = 1u << 31;
	for (size_t i = 0; i < PHX_ARRAY_LEN(offsets); i++) {
		struct phx_sub_entry e = call(&raw, 0);

		e.msg_off = offsets[i];
		assert_ends(&raw, e, PHX_INVALID_ARGUMENT);
		e = call(&raw, 0);
		e.meta_off = offsets[i] - 16;
		e.meta_len = 64;
		assert_ends(&raw, e, PHX_INVALID_ARGUMENT);
	}
	raw_close(&raw);
}

// D-05, D-06: references that leave, wrap, point back, overlap.
static void references_anywhere_end_the_call_or_arrive(void **state)
{
	static const int32_t offsets[] = {-1, -8, -1000000, INT32_MIN, INT32_MAX, 1 << 20, 4, 1};
	static const uint32_t counts[] = {
		1, 8, 4096, 1 << 20, UINT32_MAX, UINT32_MAX - 7, 1u << 31};
	struct raw raw;

	(void)state;
	open_both(&raw);
	for (size_t i = 0; i < PHX_ARRAY_LEN(offsets); i++) {
		for (size_t k = 0; k < PHX_ARRAY_LEN(counts); k++) {
			struct phx_comp_entry c;

			set_ref(&raw, data_at, offsets[i], counts[k]);
			raw_sub(&raw, call(&raw, 0), 0);
			c = raw_comp(&raw);
			if (c.kind == PHX_COMP_CALL) {
				assert_true(c.code == PHX_INVALID_ARGUMENT ||
					    c.code == PHX_RESOURCE_EXHAUSTED);
				continue;
			}
			// Bytes of our own heap, whichever: what arrived is ours.
			assert_int_equal(c.kind, PHX_COMP_REQUEST);
			raw.comp_cons -= c.slots;
			serve_one(&raw);
		}
	}
	raw_close(&raw);
}

// D-07: a tree that is its own left branch, and one of two that are each other's.
static void cyclic_messages_end_the_call(void **state)
{
	uint32_t first = 4096, second = first + 512;
	struct raw raw;

	(void)state;
	open_both(&raw);
	set_ref(&raw, tree_at, (int32_t)(first - tree_at), 1);
	set_ref(&raw, first + left_at, -(int32_t)left_at, 1);
	assert_ends(&raw, call(&raw, 0), PHX_INVALID_ARGUMENT);
	set_ref(&raw, first + left_at, (int32_t)(second - first - left_at), 1);
	set_ref(&raw, second + left_at, (int32_t)(first - second - left_at), 1);
	assert_ends(&raw, call(&raw, 0), PHX_INVALID_ARGUMENT);
	raw_close(&raw);
}

// D-08: counts beyond every limit, and lists that cost far more than they are.
static void counts_beyond_limits_end_the_call(void **state)
{
	static const uint32_t counts[] = {UINT32_MAX, 1u << 31, 1u << 29, 1u << 24};
	struct raw raw;

	(void)state;
	open_both(&raw);
	for (size_t i = 0; i < PHX_ARRAY_LEN(counts); i++) {
		struct phx_comp_entry c;

		set_ref(&raw, nothings_at, (int32_t)(all_size - nothings_at), counts[i]);
		raw_sub(&raw, call(&raw, 0), 0);
		c = raw_comp(&raw);
		assert_int_equal(c.kind, PHX_COMP_CALL);
		assert_true(c.code == PHX_INVALID_ARGUMENT || c.code == PHX_RESOURCE_EXHAUSTED);
	}
	raw_close(&raw);
}

// D-09, D-10: a thread that rewrites references and payload while they are read.
struct rewriter {
	struct raw *raw;
	_Atomic bool stop;
};

static void *rewrite(void *arg)
{
	struct rewriter *w = arg;
	uint64_t seed = 1;

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		uint64_t r = phx_mix64(seed++);

		if (r & 3)
			set_ref(w->raw, data_at, (int32_t)(all_size - data_at + (r >> 8) % 64),
				(uint32_t)(r >> 16) % 100000);
		else
			set_ref(w->raw, data_at, (int32_t)(r >> 8), (uint32_t)(r >> 32));
		__atomic_store_n((uint64_t *)(w->raw->app_heap + all_size), r, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void message_rewritten_while_it_is_read_harms_nobody(void **state)
{
	struct rewriter w = {.raw = NULL};
	unsigned arrived = 0;
	pthread_t thread;
	struct raw raw;

	(void)state;
	open_both(&raw);
	w.raw = &raw;
	assert_int_equal(pthread_create(&thread, NULL, rewrite, &w), 0);
	for (unsigned i = 0; i < bed_rounds(3000); i++) {
		struct phx_comp_entry c;

		raw_sub(&raw, call(&raw, 0), 0);
		c = raw_comp(&raw);
		if (c.kind == PHX_COMP_CALL) {
			assert_true(c.code == PHX_INVALID_ARGUMENT || c.code == PHX_DATA_LOSS ||
				    c.code == PHX_RESOURCE_EXHAUSTED);
			continue;
		}
		assert_int_equal(c.kind, PHX_COMP_REQUEST);
		raw.comp_cons -= c.slots;
		serve_one(&raw);
		arrived++;
	}
	atomic_store(&w.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(arrived > 0);
	raw_close(&raw);
}

// D-14
static void names_of_nothing_end_the_call(void **state)
{
	struct phx_sub_entry e;
	struct raw raw;

	(void)state;
	open_both(&raw);
	e = call(&raw, 0);
	e.method = 1;
	assert_ends(&raw, e, PHX_UNIMPLEMENTED); // a stream
	e.method = UINT16_MAX;
	assert_ends(&raw, e, PHX_UNIMPLEMENTED);
	e.method = 0;
	e.binding = 2;
	assert_ends(&raw, e, PHX_UNIMPLEMENTED);
	e.binding = UINT16_MAX;
	assert_ends(&raw, e, PHX_UNIMPLEMENTED);
	e.binding = 0;
	e.channel = UINT32_MAX;
	assert_ends(&raw, e, PHX_INVALID_ARGUMENT);
	raw_close(&raw);
}

// D-02, D-11, D-15 to D-17, R-11: entries that no library writes, one session each.
static void entries_no_library_writes_disconnect(void **state)
{
	static const struct {
		struct phx_sub_entry e;
		uint8_t slots; // 0: as it should be
		enum phx_reason reason;
	} rows[] = {
		{{.kind = 0}, 0, PHX_REASON_DESC_KIND},
		{{.kind = 200}, 0, PHX_REASON_DESC_KIND},
		{{.kind = PHX_SUB_CALL}, 5, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_SUB_CALL}, 255, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_SUB_CALL, .flags = 0x8000}, 0, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_NO_MESSAGE}, 0, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_INLINE, .msg_len = 208}, 0,
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_INLINE, .msg_len = UINT32_MAX}, 0,
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .call = 64}, 0, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .call = UINT32_MAX}, 0, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .meta_len = UINT16_MAX}, 0, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_REPLY, .text_len = UINT16_MAX}, 0, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_REPLY}, 0, PHX_REASON_STALE_HANDLE},
		{{.kind = PHX_SUB_REPLY, .handle = UINT64_C(1) << 32}, 0, PHX_REASON_STALE_HANDLE},
		{{.kind = PHX_SUB_REPLY, .handle = UINT64_MAX}, 0, PHX_REASON_STALE_HANDLE},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct raw raw;

		open_both(&raw);
		*raw_sub_slot(&raw, 0) = rows[i].e;
		raw_sub_slot(&raw, 0)->slots = rows[i].slots == 0 ? 1 : rows[i].slots;
		raw_sub_publish(&raw, 1);
		raw_expect(&raw, rows[i].reason);
		raw_close(&raw);
	}
}

static void call_slot_used_twice_disconnects(void **state)
{
	struct raw raw;

	(void)state;
	open_both(&raw);
	raw_sub(&raw, call(&raw, 0), 0);
	assert_int_equal(raw_comp(&raw).kind, PHX_COMP_REQUEST); // it is being served
	raw_sub(&raw, call(&raw, 0), 0);
	raw_expect(&raw, PHX_REASON_DESC_KIND);
	raw_close(&raw);
}

// D-16
static void second_reply_disconnects_and_the_client_hears_one(void **state)
{
	struct phx_sub_entry reply = {
		.kind = PHX_SUB_REPLY, .flags = PHX_SUB_NO_MESSAGE, .channel = PHX_ABORTED};
	struct raw server, client;
	struct phx_comp_entry c;

	(void)state;
	open_both(&server);
	raw_open(&client, NULL);
	raw_service(&client, NULL, "local:attacker");
	raw_sub(&client, call(&client, 0), 0);
	reply.handle = raw_comp(&server).handle;
	reply.slots = 1;
	*raw_sub_slot(&server, 0) = reply;
	*raw_sub_slot(&server, 1) = reply;
	raw_sub_publish(&server, 2);
	raw_expect(&server, PHX_REASON_STALE_HANDLE);
	c = raw_comp(&client);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.code, PHX_ABORTED);
	raw_close(&server);
	assert_false(raw_comp_now(&client, &c));
	raw_close(&client);
}

// D-18
static void deadlines_of_any_length_end_or_wait(void **state)
{
	struct phx_sub_entry e;
	struct raw raw;

	(void)state;
	open_both(&raw);
	e = call(&raw, 0);
	e.timeout_ns = 0;
	raw_sub(&raw, e, 0);
	for (;;) {
		struct phx_comp_entry c = raw_comp(&raw);

		if (c.kind != PHX_COMP_CALL)
			continue; // it was delivered, then cancelled
		assert_int_equal(c.code, PHX_DEADLINE_EXCEEDED);
		break;
	}
	e.timeout_ns = UINT64_MAX - 1;
	e.call = 2;
	raw_sub(&raw, e, 0);
	e.timeout_ns = 1u << 31;
	e.call = 3;
	raw_sub(&raw, e, 0);
	raw_close(&raw); // with calls that wait for ever
}

// D-19
static void metadata_not_canonical_ends_the_call(void **state)
{
	static const uint8_t blocks[][12] = {
		{0, 0},					  // no pairs
		{1, 0},					  // one that is not there
		{65, 0},				  // too many
		{1, 0, 0, 0, 0},			  // empty key
		{1, 0, 1, 0, 0, 'A'},			  // upper case
		{1, 0, 1, 255, 255, 'a'},		  // value beyond the block
		{1, 0, 255, 0, 0, 'a'},			  // key beyond the block
		{1, 0, 4, 1, 0, 'p', 'h', 'x', '-', 'v'}, // reserved
		{1, 0, 1, 1, 0, 'a', 7},		  // control character
		{1, 0, 1, 1, 0, 'a', 'v', 'x'},		  // trailing bytes
	};
	struct phx_sub_entry e;
	struct raw raw;

	(void)state;
	open_both(&raw);
	for (size_t i = 0; i < PHX_ARRAY_LEN(blocks); i++) {
		memcpy(raw.app_heap + 8192, blocks[i], sizeof(blocks[i]));
		e = call(&raw, 0);
		e.meta_off = heap(&raw, 8192);
		e.meta_len = 12;
		assert_ends(&raw, e, PHX_INVALID_ARGUMENT);
	}
	raw_close(&raw);
}

// Cancels for calls of nobody, of somebody else's queue, far ahead.
static void cancels_for_nothing_disconnect_or_do_nothing(void **state)
{
	static const struct {
		struct phx_ret_entry e;
		enum phx_reason reason; // NONE: nothing happens
	} rows[] = {
		{{.kind = PHX_RET_CANCEL, .count = 1, .call = 5, .handle = {99}}, PHX_REASON_NONE},
		{{.kind = PHX_RET_CANCEL, .count = 1, .position = 1u << 31}, PHX_REASON_NONE},
		{{.kind = PHX_RET_CANCEL, .count = 1, .queue = 1}, PHX_REASON_DESC_KIND},
		{{.kind = PHX_RET_CANCEL, .count = 1, .queue = UINT16_MAX}, PHX_REASON_DESC_KIND},
		{{.kind = PHX_RET_CANCEL, .count = 1, .call = 64}, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_RET_CANCEL, .count = 6, .call = 0}, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_RET_CANCEL, .count = 1, .reserved = 9}, PHX_REASON_DESC_FLAGS},
		{{.kind = 77, .count = 1}, PHX_REASON_DESC_KIND},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct raw raw;

		open_both(&raw);
		raw_ret(&raw, rows[i].e);
		if (rows[i].reason != PHX_REASON_NONE) {
			raw_expect(&raw, rows[i].reason);
		} else {
			raw_sub(&raw, call(&raw, 0), 0);
			serve_one(&raw);
		}
		raw_close(&raw);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(messages_outside_the_heap_end_the_call),
		BED_TEST(references_anywhere_end_the_call_or_arrive),
		BED_TEST(cyclic_messages_end_the_call),
		BED_TEST(counts_beyond_limits_end_the_call),
		BED_TEST(message_rewritten_while_it_is_read_harms_nobody),
		BED_TEST(names_of_nothing_end_the_call),
		BED_TEST(entries_no_library_writes_disconnect),
		BED_TEST(call_slot_used_twice_disconnects),
		BED_TEST(second_reply_disconnects_and_the_client_hears_one),
		BED_TEST(deadlines_of_any_length_end_or_wait),
		BED_TEST(metadata_not_canonical_ends_the_call),
		BED_TEST(cancels_for_nothing_disconnect_or_do_nothing),
	};

	return bed_main(argc, argv, "messages", tests, PHX_ARRAY_LEN(tests));
}

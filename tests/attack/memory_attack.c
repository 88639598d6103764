// SPDX-License-Identifier: BSD-3-Clause
// Shared memory against a running dataplane: reliability.md group H, and the seals of group F.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void open_both(struct raw *raw)
{
	raw_open(raw, NULL);
	raw_service(raw, "attacker", "local:attacker");
	raw_message(raw, 1000);
}

static struct phx_sub_entry call(const struct raw *raw, uint32_t slot)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CALL,
		.call = slot,
		.handle = slot,
		.timeout_ns = PHX_TIMEOUT_NONE,
		.msg_off = raw->hello.send_heap.offset,
	};
}

static enum phx_reason grow(struct raw *raw, uint64_t size)
{
	struct phx_attach_heap_grow req = {.size = size};

	return raw_request(raw,
		(struct phx_attach_request){.h = &req.h,
			.size = sizeof(req),
			.type = PHX_ATTACH_HEAP_GROW,
			.answer_size = sizeof(struct phx_attach_region_rep),
			.answer_fds = 1},
		NULL);
}

// H-01: more than the quota, the address space, any number.
static void growing_beyond_the_quota_is_refused(void **state)
{
	static const uint64_t sizes[] = {UINT64_C(2) << 20, UINT64_C(1) << 31, UINT64_C(1) << 40,
		UINT64_C(1) << 63, UINT64_MAX};
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	for (size_t i = 0; i < PHX_ARRAY_LEN(sizes); i++)
		assert_int_not_equal(grow(&raw, sizes[i]), PHX_REASON_NONE);
	// Until the quota is used up, without mapping anything.
	for (unsigned n = 0; grow(&raw, 4096) == PHX_REASON_NONE; n++)
		assert_true(n < PHX_LIMIT_HEAP_REGIONS_MAX);
	raw_close(&raw);
}

static void region_that_is_none_disconnects(void **state)
{
	static const struct {
		uint32_t object, index;
	} rows[] = {{0, 2}, {1, 63}, {1, UINT32_MAX}, {2, 0}, {UINT32_MAX, 0}, {0, 0}};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct phx_attach_mapped req = {
			.h = {PHX_ATTACH_MAPPED, 0, sizeof(req), 9},
			.object = rows[i].object,
			.index = rows[i].index,
		};
		struct raw raw;

		raw_open(&raw, NULL);
		assert_int_equal(raw_send(&raw, &req, sizeof(req), NULL, 0), 0);
		raw_expect(&raw, PHX_REASON_DESC_REGION);
		raw_close(&raw);
	}
}

// H-04: an application that returns nothing: its own calls run out of room, nobody else's.
static void blocks_never_returned_stop_only_their_holder(void **state)
{
	struct raw raw;
	unsigned served = 0;

	(void)state;
	open_both(&raw);
	for (;;) {
		struct phx_comp_entry c;

		raw_sub(&raw, call(&raw, served % 32), 0);
		for (;;) {
			uint64_t deadline = phx_clock_ns() + 200 * PHX_NS_PER_MS;

			while (!raw_comp_now(&raw, &c) && phx_clock_ns() < deadline)
				bed_pause();
			if (phx_clock_ns() >= deadline)
				goto stopped;
			if (c.kind == PHX_COMP_CALL)
				break;
			assert_int_equal(c.kind, PHX_COMP_REQUEST);
			raw_sub(&raw,
				(struct phx_sub_entry){.kind = PHX_SUB_REPLY,
					.flags = PHX_SUB_NO_MESSAGE,
					.handle = c.handle,
					.channel = PHX_ABORTED},
				0);
		}
		served++;
		assert_true(served < 1000);
	}
stopped:
	assert_true(served > 10 && served <= 64);
	raw_close(&raw);
}

// H-05 to H-07
static void returns_of_what_is_not_held_disconnect(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct phx_ret_entry e = {.kind = PHX_RET_RETURN, .count = 1};
		enum phx_reason reason = PHX_REASON_BAD_FREE;
		struct phx_comp_entry c;
		struct raw raw;

		open_both(&raw);
		raw_sub(&raw, call(&raw, 0), 0);
		c = raw_comp(&raw);
		assert_int_equal(c.kind, PHX_COMP_REQUEST);
		assert_int_not_equal(c.lent, 0);
		switch (i) {
		case 0:
			e.handle[0] = 0xffffff;
			break;
		case 1:
			e.handle[0] = UINT64_MAX;
			break;
		case 2: // never lent
			e.handle[0] = c.lent + 1;
			reason = PHX_REASON_STALE_HANDLE;
			break;
		case 3: // another generation
			e.handle[0] = c.lent + (UINT64_C(3) << 32);
			reason = PHX_REASON_STALE_HANDLE;
			break;
		default: // twice in one entry
			e.count = 2;
			e.handle[0] = e.handle[1] = c.lent;
			reason = PHX_REASON_DOUBLE_FREE;
			break;
		}
		raw_ret(&raw, e);
		raw_expect(&raw, reason);
		raw_close(&raw);
	}
}

static void returns_of_impossible_counts_disconnect(void **state)
{
	static const uint8_t counts[] = {0, 7, 255};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(counts); i++) {
		struct raw raw;

		open_both(&raw);
		raw_ret(&raw, (struct phx_ret_entry){.kind = PHX_RET_RETURN, .count = counts[i]});
		raw_expect(&raw, PHX_REASON_DESC_COUNT);
		raw_close(&raw);
	}
}

// H-08, H-03: a sender that scribbles over its heap and returns nothing harms itself.
static void heap_overwritten_while_calls_run_harms_nobody(void **state)
{
	struct raw raw;

	(void)state;
	open_both(&raw);
	for (unsigned i = 0; i < bed_rounds(500); i++) {
		struct phx_comp_entry c;

		raw_sub(&raw, call(&raw, i % 32), 0);
		memset(raw.app_heap, (int)(i * 7), 65536);
		while (raw_comp_now(&raw, &c))
			if (c.kind == PHX_COMP_REQUEST && c.lent != 0)
				raw_ret(&raw, (struct phx_ret_entry){.kind = PHX_RET_RETURN,
						      .count = 1,
						      .handle = {c.lent}});
		if (raw_over(&raw))
			break; // its call slots were in use: its own fault
		raw_taken(&raw);
	}
	raw_close(&raw);
}

static int reopen(int fd, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static void assert_fails(int rc)
{
	assert_int_equal(rc, -1);
}

// H-12: whatever makes a read-only object writable.
static void object_of_the_dataplane_stays_read_only(void **state)
{
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	for (int i = 1; i <= 3; i += 2) { // queue, heap
		uint32_t size = i == 1 ? raw.hello.queue.dp_size : raw.hello.recv_heap.size;
		void *map =
			i == 1 ? (void *)(uintptr_t)raw.dp_queue : (void *)(uintptr_t)raw.dp_heap;
		char byte = 1;
		int fd;

		assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, raw.fds[i], 0) ==
			    MAP_FAILED);
		assert_fails(mprotect(map, size, PROT_READ | PROT_WRITE));
		assert_fails((int)pwrite(raw.fds[i], &byte, 1, 0));
		assert_fails(ftruncate(raw.fds[i], 0));
		assert_fails(
			fallocate(raw.fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
		assert_fails(madvise(map, size, MADV_REMOVE));
		fd = reopen(raw.fds[i], O_RDWR);
		if (fd >= 0) { // the same uid may open it, and still not write
			assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) ==
				    MAP_FAILED);
			assert_fails((int)pwrite(fd, &byte, 1, 0));
			assert_fails(ftruncate(fd, 0));
			assert_fails(
				fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
			assert_fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
			(void)close(fd);
		}
	}
	raw_sub(&raw, (struct phx_sub_entry){.kind = PHX_SUB_CALL, .channel = 9}, 0);
	assert_int_equal(raw_comp(&raw).kind, PHX_COMP_CALL);
	raw_close(&raw);
}

// F-07: an own object, once sealed, keeps its size and pages; MADV_DONTNEED is only ours.
static void own_object_cannot_be_taken_from_under_the_dataplane(void **state)
{
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	for (int i = 0; i <= 2; i += 2) { // queue, heap
		uint32_t size = i == 0 ? raw.hello.queue.app_size : raw.hello.send_heap.size;
		void *map = i == 0 ? raw.app_queue : raw.app_heap;

		assert_fails(ftruncate(raw.fds[i], 0));
		assert_fails(ftruncate(raw.fds[i], 2 * (off_t)size));
		assert_fails(
			fallocate(raw.fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size));
		assert_fails(madvise(map, size, MADV_REMOVE));
		assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, raw.fds[i], 0) ==
			    MAP_FAILED);
		assert_int_equal(madvise(map, size, MADV_DONTNEED), 0);
	}
	raw_sub(&raw, (struct phx_sub_entry){.kind = PHX_SUB_CALL, .channel = 9}, 0);
	assert_int_equal(raw_comp(&raw).kind, PHX_COMP_CALL);
	raw_close(&raw);
}

// F-07, the other half: what is punched out before the seal is there again after it.
static void object_punched_before_the_seal_is_whole_after_it(void **state)
{
	struct phx_attach_hello_req req;
	struct phx_attach_answer answer;
	struct stat st;
	struct raw raw;

	(void)state;
	raw_connect(&raw);
	raw_hello_fill(&req);
	assert_int_equal(raw_hello(&raw, &req, &answer), PHX_REASON_NONE);
	memcpy(raw.fds, answer.fds, sizeof(raw.fds));
	for (int i = 0; i <= 2; i += 2) {
		struct phx_attach_mapped mapped = {.object = 0, .index = i == 0 ? 0 : 1};

		assert_int_equal(fstat(raw.fds[i], &st), 0);
		assert_int_equal(fallocate(raw.fds[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 0, st.st_size),
			0);
		assert_int_equal(raw_request(&raw,
					 (struct phx_attach_request){.h = &mapped.h,
						 .size = sizeof(mapped),
						 .type = PHX_ATTACH_MAPPED,
						 .answer_size = sizeof(struct phx_attach_header)},
					 NULL),
			PHX_REASON_NONE);
		assert_int_equal(fstat(raw.fds[i], &st), 0);
		assert_int_equal(st.st_blocks * 512, st.st_size);
	}
	raw_close(&raw);
}

// H-13: the next session finds nothing of the one before.
static void memory_of_the_next_session_is_empty(void **state)
{
	struct phx_comp_entry c;
	struct raw raw;

	(void)state;
	open_both(&raw);
	memset(raw.app_heap, 0xa5, raw.hello.send_heap.size);
	raw_message(&raw, 3000);
	raw_sub(&raw, call(&raw, 0), 0);
	c = raw_comp(&raw);
	assert_int_equal(c.kind, PHX_COMP_REQUEST);
	raw_close(&raw);
	raw_open(&raw, NULL);
	for (uint32_t i = 0; i < raw.hello.recv_heap.size; i++)
		assert_int_equal(raw.dp_heap[i], 0);
	for (uint32_t i = 0; i < raw.hello.send_heap.size; i++)
		assert_int_equal(raw.app_heap[i], 0);
	for (uint32_t i = PHX_Q_SLOTS; i < raw.hello.queue.dp_size; i++)
		assert_int_equal(raw.dp_queue[i], 0);
	raw_close(&raw);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(growing_beyond_the_quota_is_refused),
		BED_TEST(region_that_is_none_disconnects),
		BED_TEST(blocks_never_returned_stop_only_their_holder),
		BED_TEST(returns_of_what_is_not_held_disconnect),
		BED_TEST(returns_of_impossible_counts_disconnect),
		BED_TEST(heap_overwritten_while_calls_run_harms_nobody),
		BED_TEST(object_of_the_dataplane_stays_read_only),
		BED_TEST(own_object_cannot_be_taken_from_under_the_dataplane),
		BED_TEST(object_punched_before_the_seal_is_whole_after_it),
		BED_TEST(memory_of_the_next_session_is_empty),
	};

	return bed_main(argc, argv, "memory", tests, PHX_ARRAY_LEN(tests));
}

// SPDX-License-Identifier: BSD-3-Clause
// What all tests of the ops table share: the bed of the transport named on the command line.
// Included once by each.
#pragma once

#include "tests/conformance/bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum bed_kind kind;
static bool payload_crc;
static struct bed *bed;
static uint8_t body[PHX_FRAME_BODY_MAX];
static uint32_t done_count;

static inline int setup(void **state)
{
	(void)state;
	bed = bed_create(kind, payload_crc);
	done_count = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(bed->end[i].nested, 0);
	bed_destroy(bed);
	return 0;
}

static inline void count_done(struct conn_done *done)
{
	(void)done;
	done_count++;
}

// Send one frame, waiting for room as a link layer would; returns what send() said at last.
static inline int send_body(
	struct end *from, struct phx_frame frame, int pieces, struct conn_done *done)
{
	struct iovec iov[CONN_IOV_MAX];
	uint32_t len = phx_frame_body_len(&frame), at = 0, writable;
	int rc;

	for (int i = 0; i < pieces; i++) {
		uint32_t n = i == pieces - 1 ? len - at : len / (uint32_t)pieces;

		iov[i] = (struct iovec){body + at, n};
		at += n;
	}
	bed_fill(body, frame.cookie, len);
	for (;;) {
		writable = from->writable;
		rc = end_send(from, &frame, iov, pieces, done);
		if (rc != -EAGAIN)
			return rc;
		bed_until(bed, from->writable != writable);
	}
}

static inline void expect_all_arrived(struct end *to, uint64_t count)
{
	bed_until(bed, to->frames + to->landed >= count);
	bed_settle(bed);
	assert_int_equal(to->frames + to->landed, count);
	assert_int_equal(to->mistakes, 0);
	assert_int_equal(to->bad, 0);
	assert_int_equal(to->closed, 0);
}

#define with_bed(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static inline int transport_main(
	int argc, char **argv, const struct CMUnitTest *tests, size_t count)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "local") == 0) {
		kind = BED_LOCAL;
	} else if (strcmp(name, "local-cross") == 0) {
		kind = BED_LOCAL_CROSS;
	} else if (strncmp(name, "tcp", 3) == 0) {
		kind = BED_TCP;
		payload_crc = strcmp(name, "tcp-crc") == 0;
	} else {
		fprintf(stderr, "usage: transport_test local|local-cross|tcp|tcp-crc\n");
		return 2;
	}
	return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}

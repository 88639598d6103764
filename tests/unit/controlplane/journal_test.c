// SPDX-License-Identifier: BSD-3-Clause
// The record file: what is appended comes back, and whatever a crash or a bad disk leaves is
// read up to its last good record.
#include "controlplane/journal.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME   "j"
#define MAGIC  8u
#define HEADER 16u

struct rig {
	char dir[64];
	int dir_fd;
	char text[4096]; // of the replay: "seq:payload " each
	struct journal *journal;
	struct journal_report report;
};

static int record(void *arg, uint64_t seq, const void *payload, size_t len)
{
	struct rig *r = arg;
	size_t n = strlen(r->text);

	(void)snprintf(r->text + n, sizeof(r->text) - n, "%llu:%.*s ", (unsigned long long)seq,
		(int)len, (const char *)payload);
	return 0;
}

static int reopen(struct rig *r)
{
	journal_close(r->journal);
	r->journal = NULL;
	r->text[0] = '\0';
	return journal_open(r->dir_fd, NAME, record, r, &r->journal, &r->report);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/phx-journal.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY);
	assert_true(r->dir_fd >= 0);
	assert_int_equal(reopen(r), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {NAME, NAME ".bad", NAME ".new"};
	struct rig *r = *state;

	journal_close(r->journal);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(r->dir_fd, names[i], 0); // some are not there
	assert_int_equal(close(r->dir_fd), 0);
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

static void append(struct rig *r, uint64_t seq, const char *text)
{
	assert_int_equal(journal_append(r->journal, seq, text, strlen(text)), 0);
}

static size_t read_file(const struct rig *r, char *out, size_t size)
{
	int fd = openat(r->dir_fd, NAME, O_RDONLY);
	ssize_t n = read(fd, out, size);

	assert_true(n >= 0);
	assert_int_equal(close(fd), 0);
	return (size_t)n;
}

static void write_file(const struct rig *r, const char *bytes, size_t len)
{
	int fd = openat(r->dir_fd, NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(close(fd), 0);
}

static void records_come_back_in_order(void **state)
{
	struct rig *r = *state;

	append(r, 1, "one");
	append(r, 5, "five");
	append(r, 6, "");
	assert_int_equal(reopen(r), 0);
	assert_string_equal(r->text, "1:one 5:five 6: ");
	assert_int_equal(r->report.records, 3);
	assert_int_equal(r->report.last_seq, 6);
	assert_int_equal(r->report.discarded_bytes, 0);
}

static void append_out_of_order_is_refused(void **state)
{
	struct rig *r = *state;

	append(r, 2, "two");
	assert_int_equal(journal_append(r->journal, 2, "x", 1), -EINVAL);
	assert_int_equal(journal_append(r->journal, 1, "x", 1), -EINVAL);
	assert_int_equal(reopen(r), 0);
	assert_string_equal(r->text, "2:two ");
}

// Every prefix of the file: the whole records in it, and a journal that can be used.
static void truncation_at_every_byte_keeps_the_records_before(void **state)
{
	struct rig *r = *state;
	char bytes[256];
	size_t len;
	const size_t one = MAGIC + HEADER + 3, two = one + HEADER + 3;

	append(r, 1, "one");
	append(r, 2, "two");
	len = read_file(r, bytes, sizeof(bytes));
	assert_int_equal(len, two);
	for (size_t cut = 0; cut <= len; cut++) {
		const char *want = cut == two ? "1:one 2:two " : cut >= one ? "1:one " : "";
		size_t good = cut == two ? two : cut >= one ? one : cut >= MAGIC ? MAGIC : cut;

		write_file(r, bytes, cut);
		assert_int_equal(reopen(r), 0);
		assert_string_equal(r->text, want);
		assert_int_equal(r->report.discarded_bytes, cut - good);
		if (r->report.discarded_bytes != 0) {
			assert_true(journal_broken(r->journal));
			assert_int_equal(journal_append(r->journal, 7, "x", 1), -EROFS);
			assert_int_equal(journal_compact(r->journal, r->report.last_seq, "one",
						 r->report.last_seq != 0 ? 3 : 0),
				0);
		}
		append(r, 7, "new");
		assert_int_equal(reopen(r), 0);
		assert_int_equal(r->report.discarded_bytes, 0);
		assert_int_equal(r->report.last_seq, 7);
		assert_non_null(strstr(r->text, "7:new "));
	}
}

static void a_flipped_bit_anywhere_ends_the_replay_before_it(void **state)
{
	struct rig *r = *state;
	char bytes[256];
	size_t len;
	const size_t one = MAGIC + HEADER + 3;

	append(r, 1, "one");
	append(r, 2, "two");
	len = read_file(r, bytes, sizeof(bytes));
	for (size_t bit = MAGIC * 8; bit < len * 8; bit++) {
		bytes[bit / 8] ^= (char)(1 << (bit % 8));
		write_file(r, bytes, len);
		assert_int_equal(reopen(r), 0);
		assert_string_equal(r->text, bit / 8 < one ? "" : "1:one ");
		assert_true(r->report.discarded_bytes > 0);
		assert_int_equal(faccessat(r->dir_fd, NAME ".bad", F_OK, 0), 0);
		bytes[bit / 8] ^= (char)(1 << (bit % 8));
	}
}

static void a_file_that_is_no_journal_is_left_alone(void **state)
{
	struct rig *r = *state;
	char bytes[64];

	write_file(r, "PHXJ0002 and more", 17);
	assert_int_equal(reopen(r), -EPROTO);
	assert_int_equal(read_file(r, bytes, sizeof(bytes)), 17);
	write_file(r, "abc", 3);
	assert_int_equal(reopen(r), -EPROTO);
	write_file(r, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(reopen(r), 0);
}

// A good checksum does not make an older record good.
static void a_record_in_wrong_order_ends_the_replay(void **state)
{
	struct rig *r = *state;
	char bytes[256];
	size_t len;

	append(r, 3, "three");
	len = read_file(r, bytes, sizeof(bytes));
	// The same record again, whole and intact.
	memcpy(bytes + len, bytes + MAGIC, len - MAGIC);
	write_file(r, bytes, len + len - MAGIC);
	assert_int_equal(reopen(r), 0);
	assert_string_equal(r->text, "3:three ");
	assert_int_equal(r->report.discarded_bytes, len - MAGIC);
}

static void a_length_beyond_the_file_ends_the_replay(void **state)
{
	static const uint32_t lengths[] = {1, JOURNAL_RECORD_MAX, JOURNAL_RECORD_MAX + 1, INT32_MAX,
		UINT32_MAX - HEADER, UINT32_MAX};
	struct rig *r = *state;
	char bytes[MAGIC + HEADER] = "PHXJ0001";

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		phx_le32_store((uint8_t *)bytes + MAGIC, lengths[i]);
		phx_le64_store((uint8_t *)bytes + MAGIC + 8, 1);
		write_file(r, bytes, sizeof(bytes));
		assert_int_equal(reopen(r), 0);
		assert_int_equal(r->report.records, 0);
		assert_int_equal(r->report.discarded_bytes, HEADER);
	}
}

static void compaction_replaces_all_records(void **state)
{
	struct rig *r = *state;
	uint64_t size;

	for (uint64_t i = 1; i <= 100; i++)
		append(r, i, "some text");
	size = journal_size(r->journal);
	assert_int_equal(journal_compact(r->journal, 99, "all", 3), -EINVAL);
	assert_int_equal(journal_compact(r->journal, 100, "all", 3), 0);
	assert_true(journal_size(r->journal) < size / 10);
	append(r, 101, "more");
	assert_int_equal(reopen(r), 0);
	assert_string_equal(r->text, "100:all 101:more ");
	assert_int_equal(faccessat(r->dir_fd, NAME ".new", F_OK, 0), -1);
}

// What an earlier compaction left is in nobody's way.
static void compaction_removes_an_old_temporary_file(void **state)
{
	struct rig *r = *state;
	int fd = openat(r->dir_fd, NAME ".new", O_WRONLY | O_CREAT, 0600);

	assert_int_equal(close(fd), 0);
	append(r, 1, "one");
	assert_int_equal(journal_compact(r->journal, 1, "one", 3), 0);
	assert_int_equal(reopen(r), 0);
	assert_string_equal(r->text, "1:one ");
}

static void a_link_in_place_of_the_journal_is_not_followed(void **state)
{
	struct rig *r = *state;

	assert_int_equal(unlinkat(r->dir_fd, NAME, 0), 0);
	assert_int_equal(symlinkat("/tmp/phx-nowhere", r->dir_fd, NAME), 0);
	assert_int_equal(reopen(r), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(records_come_back_in_order),
		T(append_out_of_order_is_refused),
		T(truncation_at_every_byte_keeps_the_records_before),
		T(a_flipped_bit_anywhere_ends_the_replay_before_it),
		T(a_file_that_is_no_journal_is_left_alone),
		T(a_record_in_wrong_order_ends_the_replay),
		T(a_length_beyond_the_file_ends_the_replay),
		T(compaction_replaces_all_records),
		T(compaction_removes_an_old_temporary_file),
		T(a_link_in_place_of_the_journal_is_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// An append-only file of records {len, crc32c, seq, payload}, durable before an append
// returns. Replay stops at the first record that is not whole; compaction replaces the
// file atomically. One thread; blocks on the disk.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_RECORD_MAX (16u << 20) // bytes of one payload

struct journal;

// A record of the replay, which is as it was written. -EPROTO ends the replay as if it were bad;
// another error ends the opening: it says nothing about the record.
typedef int (*journal_record_fn)(void *arg, uint64_t seq, const void *payload, size_t len);

struct journal_report {
	uint64_t records;
	uint64_t last_seq;	  // 0: none
	uint64_t discarded_bytes; // behind the last good record
};

// Open or create NAME in the directory (dir_fd stays the caller's and must outlive the
// journal) and replay it. A bad tail is kept as NAME.bad and is no longer read; the caller
// then writes the state that was replayed with journal_compact before it appends. 0;
// -EPROTO: not a journal of this version; other -errno.
int journal_open(int dir_fd, const char *name, journal_record_fn fn, void *arg,
	struct journal **out_journal, struct journal_report *out_report);
void journal_close(struct journal *j);

// Append and sync; seq must be above the last one. On failure nothing was added: -ENOSPC,
// -EIO, other -errno. After a failed sync, or behind a bad tail, the file is not trusted
// any more and every append is -EROFS until journal_compact.
int journal_append(struct journal *j, uint64_t seq, const void *payload, size_t len);

// Replace all records by one, seq the last one or above, or by none when that is 0. payload says
// what the records say: after a failure or a crash either file may be found. On failure the
// journal stays as it was, or, when only its directory could not be synced, is not trusted.
int journal_compact(struct journal *j, uint64_t seq, const void *payload, size_t len);

// Bytes of the file, and whether appends are refused.
uint64_t journal_size(const struct journal *j);
bool journal_broken(const struct journal *j);

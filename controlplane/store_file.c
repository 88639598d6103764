// SPDX-License-Identifier: BSD-3-Clause
// The store in one journal: records are transactions, the first may be a snapshot.
#include "controlplane/journal.h"
#include "controlplane/store.h"

#include "lib/base/compiler.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME	      "intent.journal"
#define COMPACT_BYTES (4u << 20) // rewrite the file when it has grown above this

struct store_file {
	struct store base;
	int dir_fd;
	struct journal *journal;
	json_t *keys; // what the journal says; never changed in place after load
	uint64_t generation;
	struct journal_report report;
	uint64_t compact_at; // size of the file
};

// changes onto keys: null removes. 0 or -ENOMEM.
static int apply(json_t *keys, json_t *changes)
{
	const char *key;
	json_t *value;

	json_object_foreach(changes, key, value)
	{
		if (json_is_null(value))
			(void)json_object_del(keys, key); // absent already is fine
		else if (json_object_set(keys, key, value) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int replay_record(void *arg, uint64_t seq, const void *payload, size_t len)
{
	struct store_file *f = arg;
	json_error_t error;
	json_t *record = json_loadb(payload, len, JSON_REJECT_DUPLICATES, &error);
	json_t *changes = json_object_get(record, "changes");
	json_t *snapshot = json_object_get(record, "snapshot");
	int rc = -EPROTO;

	(void)seq;
	if (record == NULL) {
		// Its checksum is right, so we wrote it, and the parser calls a lack of memory
		// many names: nothing that may be intent is thrown away for that.
		rc = error.text[0] == '\0' ? -ENOMEM : -EBADMSG;
	} else if (json_is_object(snapshot)) {
		json_decref(f->keys);
		f->keys = json_incref(snapshot); // the record's only user from here on
		rc = 0;
	} else if (json_is_object(changes)) {
		rc = apply(f->keys, changes);
	}
	json_decref(record);
	return rc;
}

// json_dumps() leaves out keys that find no room.
static char *record_text(json_t *record, size_t *out_len)
{
	size_t len = json_dumpb(record, NULL, 0, JSON_COMPACT); // 0: no record, or no memory
	char *text = len != 0 ? malloc(len) : NULL;

	if (text == NULL)
		return NULL;
	if (json_dumpb(record, text, len, JSON_COMPACT) != len) {
		free(text);
		return NULL;
	}
	*out_len = len;
	return text;
}

// Write again what the journal says, in one record.
static int write_snapshot(struct store_file *f)
{
	json_t *record = json_pack("{s:O}", "snapshot", f->keys);
	size_t len;
	char *text = record_text(record, &len);
	int rc = -ENOMEM;

	if (text != NULL)
		rc = journal_compact(f->journal, f->generation, text, len);
	if (rc == 0)
		f->compact_at = journal_size(f->journal) * 2 + COMPACT_BYTES;
	free(text);
	json_decref(record);
	return rc;
}

static int file_load(
	struct store *s, json_t **out_keys, uint64_t *out_generation, char *why, size_t why_size)
{
	struct store_file *f = phx_container_of(s, struct store_file, base);

	f->generation = f->report.last_seq;
	if (f->report.discarded_bytes > 0) {
		int rc = write_snapshot(f);

		phx_log_err("store",
			"journal is damaged behind record %llu: %llu bytes were discarded and kept "
			"in %s.bad",
			(unsigned long long)f->report.last_seq,
			(unsigned long long)f->report.discarded_bytes, NAME);
		if (rc != 0) {
			(void)snprintf(
				why, why_size, "%s: cannot be rewritten: %s", NAME, strerror(-rc));
			return rc;
		}
	}
	*out_keys = json_incref(f->keys);
	*out_generation = f->generation;
	return 0;
}

static int file_commit(struct store *s, json_t *changes, json_t *keys, uint64_t generation)
{
	struct store_file *f = phx_container_of(s, struct store_file, base);
	json_t *record;
	char *text;
	size_t len;
	int rc = 0;

	// First what is there already, so that a compaction that fails half-way says nothing new.
	if (journal_broken(f->journal) || journal_size(f->journal) > f->compact_at)
		rc = write_snapshot(f);
	if (rc != 0)
		return rc;
	rc = -ENOMEM;
	record = json_pack("{s:O}", "changes", changes);
	text = record_text(record, &len);
	if (text != NULL)
		rc = journal_append(f->journal, generation, text, len);
	free(text);
	json_decref(record);
	if (rc == 0) {
		json_decref(f->keys);
		f->keys = json_incref(keys);
		f->generation = generation;
	}
	return rc;
}

static void file_close(struct store *s)
{
	struct store_file *f = phx_container_of(s, struct store_file, base);

	journal_close(f->journal);
	json_decref(f->keys);
	close(f->dir_fd);
	free(f);
}

static const struct store_ops file_ops = {
	.load = file_load,
	.commit = file_commit,
	.close = file_close,
};

int store_file_open(const char *dir, struct store **out_store, char *why, size_t why_size)
{
	struct store_file *f = calloc(1, sizeof(*f));
	int rc = -ENOMEM;

	if (f == NULL)
		return rc;
	f->base.ops = &file_ops;
	f->compact_at = COMPACT_BYTES;
	f->keys = json_object();
	if (f->keys == NULL) {
		free(f);
		return rc;
	}
	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0) {
		rc = -errno;
		goto free_store;
	}
	rc = journal_open(f->dir_fd, NAME, replay_record, f, &f->journal, &f->report);
	if (rc == 0) {
		*out_store = &f->base;
		return 0;
	}
	close(f->dir_fd);
free_store:
	(void)snprintf(why, why_size, "%s/%s: %s", dir, NAME,
		rc == -EPROTO ? "not a journal of this version" : strerror(-rc));
	json_decref(f->keys);
	free(f);
	return rc;
}

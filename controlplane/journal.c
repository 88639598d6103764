// SPDX-License-Identifier: BSD-3-Clause
// The durable record file of journal.h; used by store_file.c.
#include "controlplane/journal.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAGIC	     "PHXJ0001"
#define MAGIC_BYTES  8u
#define HEADER_BYTES 16u // len, crc, seq; the checksum covers seq and payload
#define NAME_SIZE    64

struct journal {
	int dir_fd;
	int fd;
	char name[NAME_SIZE];
	uint64_t end; // behind the last good record
	uint64_t last_seq;
	bool broken;
};

static int read_all(int fd, void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const void *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n =
			pwrite(fd, (const char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static uint32_t record_crc(uint64_t seq, const void *payload, size_t len)
{
	uint8_t bytes[8];

	phx_le64_store(bytes, seq);
	return phx_crc32c(phx_crc32c(0, bytes, sizeof(bytes)), payload, len);
}

static int record_write(int fd, uint64_t offset, uint64_t seq, const void *payload, size_t len)
{
	uint8_t header[HEADER_BYTES];
	int rc;

	phx_le32_store(header, (uint32_t)len);
	phx_le32_store(header + 4, record_crc(seq, payload, len));
	phx_le64_store(header + 8, seq);
	rc = write_all(fd, header, sizeof(header), offset);
	return rc != 0 ? rc : write_all(fd, payload, len, offset + HEADER_BYTES);
}

// One record at offset into *out_payload (malloc()ed). -ENODATA: not whole or not good.
static int record_read(const struct journal *j, uint64_t size, uint64_t *out_seq,
	void **out_payload, size_t *out_len)
{
	uint8_t header[HEADER_BYTES];
	uint32_t len;
	void *payload;
	int rc;

	if (!phx_range_ok(j->end, HEADER_BYTES, size))
		return -ENODATA;
	rc = read_all(j->fd, header, sizeof(header), j->end);
	if (rc != 0)
		return rc;
	len = phx_le32_load(header);
	*out_seq = phx_le64_load(header + 8);
	if (len > JOURNAL_RECORD_MAX || !phx_range_ok(j->end + HEADER_BYTES, len, size) ||
		*out_seq <= j->last_seq)
		return -ENODATA;
	payload = malloc(len != 0 ? len : 1);
	if (payload == NULL)
		return -ENOMEM;
	rc = read_all(j->fd, payload, len, j->end + HEADER_BYTES);
	if (rc == 0 && record_crc(*out_seq, payload, len) != phx_le32_load(header + 4))
		rc = -ENODATA;
	if (rc != 0) {
		free(payload);
		return rc;
	}
	*out_payload = payload;
	*out_len = len;
	return 0;
}

static int replay(struct journal *j, uint64_t size, journal_record_fn fn, void *arg,
	struct journal_report *report)
{
	for (;;) {
		void *payload;
		uint64_t seq;
		size_t len;
		int rc = record_read(j, size, &seq, &payload, &len);

		if (rc == -ENODATA)
			break;
		if (rc != 0)
			return rc;
		rc = fn(arg, seq, payload, len);
		free(payload);
		if (rc == -EPROTO)
			break;
		if (rc != 0)
			return rc;
		j->end += HEADER_BYTES + len;
		j->last_seq = seq;
		report->records++;
	}
	report->last_seq = j->last_seq;
	report->discarded_bytes = size - j->end;
	return 0;
}

// Keep the whole file under another name; compaction then makes a new one.
static int keep_bad(struct journal *j)
{
	char bad[NAME_SIZE + 8];

	(void)snprintf(bad, sizeof(bad), "%s.bad", j->name);
	if (unlinkat(j->dir_fd, bad, 0) != 0 && errno != ENOENT)
		return -errno;
	j->broken = true;
	return linkat(j->dir_fd, j->name, j->dir_fd, bad, 0) == 0 ? 0 : -errno;
}

// What a crash leaves of the first write: a part of the magic, or zeros in its place.
static bool magic_is_torn(const char *have, size_t len)
{
	static const char zeros[MAGIC_BYTES];

	return memcmp(have, MAGIC, len) == 0 || memcmp(have, zeros, len) == 0;
}

static int create_or_check(struct journal *j, uint64_t *out_size)
{
	char magic[MAGIC_BYTES];
	struct stat st;
	size_t len;
	int rc;

	if (fstat(j->fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPROTO;
	*out_size = (uint64_t)st.st_size;
	j->end = MAGIC_BYTES;
	len = (size_t)phx_min((uint64_t)st.st_size, (uint64_t)MAGIC_BYTES);
	rc = read_all(j->fd, magic, len, 0);
	if (rc != 0 || (len == MAGIC_BYTES && memcmp(magic, MAGIC, len) == 0))
		return rc;
	if (st.st_size > (off_t)MAGIC_BYTES || !magic_is_torn(magic, len))
		return -EPROTO;
	rc = write_all(j->fd, MAGIC, MAGIC_BYTES, 0);
	*out_size = MAGIC_BYTES;
	if (rc != 0)
		return rc;
	return fsync(j->fd) == 0 && fsync(j->dir_fd) == 0 ? 0 : -errno;
}

int journal_open(int dir_fd, const char *name, journal_record_fn fn, void *arg,
	struct journal **out_journal, struct journal_report *out_report)
{
	struct journal *j = calloc(1, sizeof(*j));
	uint64_t size;
	int rc;

	if (j == NULL)
		return -ENOMEM;
	*out_report = (struct journal_report){0};
	j->dir_fd = dir_fd;
	(void)snprintf(j->name, sizeof(j->name), "%s", name);
	j->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (j->fd < 0) {
		rc = -errno;
		free(j);
		return rc;
	}
	rc = create_or_check(j, &size);
	if (rc == 0)
		rc = replay(j, size, fn, arg, out_report);
	if (rc == 0 && out_report->discarded_bytes > 0)
		rc = keep_bad(j);
	if (rc != 0) {
		journal_close(j);
		return rc;
	}
	*out_journal = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	close(j->fd);
	free(j);
}

int journal_append(struct journal *j, uint64_t seq, const void *payload, size_t len)
{
	int rc;

	if (len > JOURNAL_RECORD_MAX || seq <= j->last_seq)
		return -EINVAL;
	if (j->broken)
		return -EROFS;
	rc = record_write(j->fd, j->end, seq, payload, len);
	if (rc == 0 && fdatasync(j->fd) != 0) {
		rc = -errno;
		// What reached the disk is unknown, and a second sync would lie.
		j->broken = true;
	}
	if (rc != 0) {
		if (ftruncate(j->fd, (off_t)j->end) != 0)
			j->broken = true;
		return rc;
	}
	j->end += HEADER_BYTES + len;
	j->last_seq = seq;
	return 0;
}

static int write_file(int fd, uint64_t seq, const void *payload, size_t len)
{
	int rc = write_all(fd, MAGIC, MAGIC_BYTES, 0);

	if (rc == 0 && seq != 0)
		rc = record_write(fd, MAGIC_BYTES, seq, payload, len);
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	return rc;
}

int journal_compact(struct journal *j, uint64_t seq, const void *payload, size_t len)
{
	char temp[NAME_SIZE + 8];
	int fd, rc;

	if (len > JOURNAL_RECORD_MAX || seq < j->last_seq)
		return -EINVAL;
	(void)snprintf(temp, sizeof(temp), "%s.new", j->name);
	if (unlinkat(j->dir_fd, temp, 0) != 0 && errno != ENOENT)
		return -errno;
	fd = openat(j->dir_fd, temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = write_file(fd, seq, payload, len);
	if (rc == 0 && renameat(j->dir_fd, temp, j->dir_fd, j->name) != 0)
		rc = -errno;
	if (rc != 0) {
		(void)unlinkat(j->dir_fd, temp, 0); // best effort; the next one removes it too
		close(fd);
		return rc;
	}
	// From here on the new file is the journal, even if the directory could not be synced:
	// after a crash either file is whole and says the same.
	close(j->fd);
	j->fd = fd;
	j->end = seq != 0 ? MAGIC_BYTES + HEADER_BYTES + len : MAGIC_BYTES;
	j->last_seq = seq;
	j->broken = fsync(j->dir_fd) != 0;
	return j->broken ? -EIO : 0;
}

uint64_t journal_size(const struct journal *j)
{
	return j->end;
}

bool journal_broken(const struct journal *j)
{
	return j->broken;
}

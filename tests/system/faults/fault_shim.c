// SPDX-License-Identifier: BSD-3-Clause
// Preloaded into a program: its k-th call on files below one directory fails, or is the last
// thing it does. Works with faults.py, which sets
//   PHX_FAULT_DIR   directory; calls on other files are not counted
//   PHX_FAULT_AT    k, from 1
//   PHX_FAULT_KIND  kill: end before the call; killed: end behind it; torn: end after half of a
//                   write; eio, enospc: the call fails once; full: half of a write, then ENOSPC for
//                   everything that needs space
//   PHX_FAULT_MARK  file that is made when the fault happens
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static unsigned long calls;
static bool full;

static bool below(const char *path)
{
	const char *dir = getenv("PHX_FAULT_DIR");

	return dir != NULL && strncmp(path, dir, strlen(dir)) == 0;
}

static bool fd_counts(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return below(path);
}

static bool path_counts(int dir_fd, const char *path)
{
	return path[0] == '/' ? below(path) : dir_fd >= 0 && fd_counts(dir_fd);
}

static void die(void)
{
	(void)syscall(SYS_kill, getpid(), SIGKILL);
	for (;;)
		(void)pause();
}

static bool kind_is(const char *name)
{
	const char *kind = getenv("PHX_FAULT_KIND");

	return kind != NULL && strcmp(kind, name) == 0;
}

enum todo { GO_ON, FAIL, HALF, HALF_AND_DIE, DIE_BEHIND };

// What to do with this call, which is one that counts.
static enum todo next(bool needs_space)
{
	const char *at = getenv("PHX_FAULT_AT"), *mark = getenv("PHX_FAULT_MARK");

	if (full) {
		errno = ENOSPC;
		return needs_space ? FAIL : GO_ON;
	}
	calls++;
	if (at == NULL || strtoul(at, NULL, 10) != calls)
		return GO_ON;
	if (mark != NULL)
		(void)syscall(SYS_close,
			syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	if (kind_is("kill"))
		die();
	if (kind_is("killed"))
		return DIE_BEHIND;
	if (kind_is("torn"))
		return HALF_AND_DIE;
	if (kind_is("full")) {
		full = true;
		errno = ENOSPC;
		return needs_space ? HALF : GO_ON;
	}
	errno = kind_is("enospc") ? ENOSPC : EIO;
	return FAIL;
}

static long done(enum todo todo, long result)
{
	int error = errno;

	if (todo == DIE_BEHIND || todo == HALF_AND_DIE)
		die();
	errno = error;
	return result;
}

// A system call on a descriptor or path, but for writes.
#define RUN(counts, needs_space, ...)                                                              \
	enum todo todo = (counts) ? next(needs_space) : GO_ON;                                     \
	if (todo == FAIL || todo == HALF)                                                          \
		return -1;                                                                         \
	return done(todo, syscall(__VA_ARGS__))

static ssize_t write_at(int fd, const void *buf, size_t len, off_t offset, bool at)
{
	enum todo todo = fd_counts(fd) ? next(true) : GO_ON;

	if (todo == FAIL)
		return -1;
	if (todo == HALF || todo == HALF_AND_DIE)
		len /= 2;
	return done(todo, at ? syscall(SYS_pwrite64, fd, buf, len, offset)
			     : syscall(SYS_write, fd, buf, len));
}

EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	return write_at(fd, buf, len, 0, false);
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t len, off_t offset)
{
	return write_at(fd, buf, len, offset, true);
}

EXPORT int openat64(int dir_fd, const char *path, int flags, ...)
{
	bool creates = (flags & O_CREAT) != 0;
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (creates)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	RUN(path_counts(dir_fd, path), creates, SYS_openat, dir_fd, path, flags, mode);
}

EXPORT int fsync(int fd)
{
	RUN(fd_counts(fd), false, SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
	RUN(fd_counts(fd), false, SYS_fdatasync, fd);
}

EXPORT int ftruncate64(int fd, off_t len)
{
	RUN(fd_counts(fd), false, SYS_ftruncate, fd, len);
}

EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	RUN(path_counts(from_fd, from), true, SYS_renameat2, from_fd, from, to_fd, to, 0);
}

EXPORT int unlinkat(int dir_fd, const char *path, int flags)
{
	RUN(path_counts(dir_fd, path), false, SYS_unlinkat, dir_fd, path, flags);
}

EXPORT int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	RUN(path_counts(from_fd, from), true, SYS_linkat, from_fd, from, to_fd, to, flags);
}

EXPORT int fchmod(int fd, mode_t mode)
{
	RUN(fd_counts(fd), false, SYS_fchmod, fd, mode);
}

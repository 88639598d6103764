// SPDX-License-Identifier: BSD-3-Clause
// Preloaded into a program: when armed, its k-th allocation or system call of those that create
// something fails, is the last thing it does, or is where it stops. Steered through the file of
// fault_deny.h.
#include "tests/system/faults/fault_deny.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

// What glibc calls its own.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct deny *deny;

typedef long (*syscall_fn)(long number, ...);

static syscall_fn real_syscall(void)
{
	static syscall_fn fn;

	if (fn == NULL)
		fn = (syscall_fn)dlsym(RTLD_NEXT, "syscall");
	return fn;
}

#define SYS(...) real_syscall()(__VA_ARGS__)

__attribute__((constructor)) static void deny_init(void)
{
	const char *path = getenv("PHX_DENY_FILE");
	int fd = path != NULL ? (int)SYS(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	long p = -1;

	if (fd >= 0)
		p = SYS(SYS_mmap, NULL, sizeof(*deny), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
	if (p != -1)
		deny = (struct deny *)p;
	if (fd >= 0)
		(void)SYS(SYS_close, fd); // the mapping stays
}

// Is it this one's turn? errno is set then.
static bool denied(const char *function, int error)
{
	uint32_t at, n, span;

	if (deny == NULL || atomic_load(&deny->armed) == 0)
		return false;
	if (deny->function[0] != '\0' && strcmp(deny->function, function) != 0)
		return false;
	n = atomic_fetch_add(&deny->calls, 1) + 1;
	if (n <= DENY_LOG)
		(void)snprintf(deny->log[n - 1], sizeof(deny->log[0]), "%s", function);
	at = atomic_load(&deny->at);
	span = atomic_load(&deny->span);
	if (at == 0 || n < at || n > at + (span != 0 ? span - 1 : 0))
		return false;
	(void)snprintf(deny->hit, sizeof(deny->hit), "%s", function);
	atomic_fetch_add(&deny->fired, 1);
	if (atomic_load(&deny->action) == DENY_ORPHAN && SYS(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
		for (;;)
			(void)SYS(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	}
	if (atomic_load(&deny->action) == DENY_KILL || atomic_load(&deny->action) == DENY_ORPHAN) {
		(void)SYS(SYS_kill, getpid(), SIGKILL);
		for (;;)
			(void)SYS(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	}
	if (atomic_load(&deny->action) == DENY_STOP) {
		(void)SYS(SYS_kill, getpid(), SIGSTOP);
		return false;
	}
	errno = error;
	return true;
}

// Data that moves: a place to die at, but what its failure means is the chaos proxy's to show.
static void passes(const char *function)
{
	if (deny != NULL && atomic_load(&deny->action) != DENY_FAIL)
		(void)denied(function, 0);
}

// jansson 2.14 goes on in its lexer when the buffer of the token, which doubles, cannot grow, and
// reads and writes past it: nothing that its users can help.
static bool jansson_buffer(size_t size, const void *caller)
{
	Dl_info info;

	return size >= 32 && (size & (size - 1)) == 0 && dladdr(caller, &info) != 0 &&
	       info.dli_fname != NULL && strstr(info.dli_fname, "libjansson") != NULL;
}

EXPORT void *malloc(size_t size)
{
	if (deny != NULL && atomic_load(&deny->armed) != 0 &&
		!jansson_buffer(size, __builtin_return_address(0)) && denied("malloc", ENOMEM))
		return NULL;
	return __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
	return denied("calloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *p, size_t size)
{
	return denied("realloc", ENOMEM) ? NULL : __libc_realloc(p, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return denied("aligned_alloc", ENOMEM) ? NULL : __libc_memalign(alignment, size);
}

EXPORT char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = denied("strdup", ENOMEM) ? NULL : __libc_malloc(size);

	return copy != NULL ? memcpy(copy, text, size) : NULL;
}

EXPORT void *mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (denied("mmap", ENOMEM))
		return MAP_FAILED;
	return (void *)SYS(SYS_mmap, at, size, protection, flags, fd, offset);
}

// Declared here and not by the system's headers, whose types of addresses are unions.
#define CALL(name, number, error, parameters, ...)                                                 \
	EXPORT int name parameters;                                                                \
	EXPORT int name parameters                                                                 \
	{                                                                                          \
		return denied(#name, error) ? -1 : (int)SYS(number, __VA_ARGS__);                  \
	}

CALL(memfd_create, SYS_memfd_create, EMFILE, (const char *name, unsigned flags), name, flags)
CALL(ftruncate64, SYS_ftruncate, ENOMEM, (int fd, off_t size), fd, size)
CALL(fallocate64, SYS_fallocate, ENOSPC, (int fd, int mode, off_t offset, off_t size), fd, mode,
	offset, size)
CALL(fchmod, SYS_fchmod, EPERM, (int fd, mode_t mode), fd, mode)
CALL(mlock, SYS_mlock, ENOMEM, (const void *at, size_t size), at, size)
CALL(madvise, SYS_madvise, ENOMEM, (void *at, size_t size, int advice), at, size, advice)
CALL(epoll_create1, SYS_epoll_create1, EMFILE, (int flags), flags)
CALL(eventfd, SYS_eventfd2, EMFILE, (unsigned value, int flags), value, flags)
CALL(timerfd_create, SYS_timerfd_create, EMFILE, (int clock, int flags), clock, flags)
CALL(socket, SYS_socket, EMFILE, (int domain, int type, int protocol), domain, type, protocol)
CALL(socketpair, SYS_socketpair, EMFILE, (int domain, int type, int protocol, int fds[2]), domain,
	type, protocol, fds)
CALL(bind, SYS_bind, EADDRINUSE, (int fd, const void *address, unsigned len), fd, address, len)
CALL(listen, SYS_listen, EADDRINUSE, (int fd, int backlog), fd, backlog)
CALL(connect, SYS_connect, EADDRNOTAVAIL, (int fd, const void *address, unsigned len), fd, address,
	len)
CALL(accept4, SYS_accept4, EMFILE, (int fd, void *address, unsigned *len, int flags), fd, address,
	len, flags)
CALL(dup, SYS_dup, EMFILE, (int fd), fd)
CALL(setsockopt, SYS_setsockopt, ENOBUFS,
	(int fd, int level, int option, const void *value, unsigned len), fd, level, option, value,
	len)
CALL(getsockopt, SYS_getsockopt, ENOBUFS,
	(int fd, int level, int option, void *value, unsigned *len), fd, level, option, value, len)

EXPORT int epoll_ctl(int fd, int what, int other, void *event);

// Changing and taking out need no memory and cannot fail.
EXPORT int epoll_ctl(int fd, int what, int other, void *event)
{
	enum { ADD = 1 };

	if (what == ADD && denied("epoll_ctl", ENOSPC))
		return -1;
	return (int)SYS(SYS_epoll_ctl, fd, what, other, event);
}

EXPORT ssize_t sendmsg(int fd, const void *m, int flags);
EXPORT ssize_t recvmsg(int fd, void *m, int flags);

EXPORT ssize_t sendmsg(int fd, const void *m, int flags)
{
	return denied("sendmsg", ENOBUFS) ? -1 : SYS(SYS_sendmsg, fd, m, flags);
}

EXPORT ssize_t recvmsg(int fd, void *m, int flags)
{
	return denied("recvmsg", ENOMEM) ? -1 : SYS(SYS_recvmsg, fd, m, flags);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags);
EXPORT ssize_t recv(int fd, void *bytes, size_t size, int flags);

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	passes("send");
	return SYS(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

EXPORT ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
	passes("recv");
	return SYS(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL);
}

EXPORT int fcntl64(int fd, int what, ...)
{
	va_list args;
	long value;

	va_start(args, what);
	value = va_arg(args, long); // the caller's register, used or not
	va_end(args);
	return denied("fcntl", EPERM) ? -1 : (int)SYS(SYS_fcntl, fd, what, value);
}

EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(args, mode_t);
	va_end(args);
	return denied("open", EMFILE) ? -1 : (int)SYS(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return denied("pthread_create", EAGAIN) ? EAGAIN : real(thread, attr, start, arg);
}

// pidfd_open, futex.
EXPORT long syscall(long number, ...)
{
	long a[6];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long); // registers and the stack, used or not
	va_end(args);
	if (number == SYS_pidfd_open && denied("pidfd_open", EMFILE))
		return -1;
	return SYS(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

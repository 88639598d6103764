// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/shm/region: what the creator gets, what the other side can and cannot do with
// the descriptors (reliability.md F-05 to F-07, H-12; the question L187). Everything runs a
// second time on 2 MiB pages when the pool has some.
#include "lib/shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define HUGE UINT64_C(0x200000)

// The page kind of a test: ordinary or huge.
struct pages {
	uint64_t size;
	unsigned flags;
};
static struct pages small_pages = {65536, 0};
static struct pages huge_pages = {HUGE, PHX_REGION_HUGE};

static unsigned huge_free(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned n = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	(void)fclose(f);
	return n;
}

static struct pages *pages_or_skip(void **state)
{
	struct pages *p = *state;

	if ((p->flags & PHX_REGION_HUGE) != 0 && huge_free() < 2) {
		print_message("skipped: fewer than two free 2 MiB pages\n");
		skip();
	}
	return p;
}

static struct phx_region create(enum phx_region_writer writer, const struct pages *p)
{
	struct phx_region r;

	assert_int_equal(phx_region_create(writer, p->size, p->flags, NULL, &r), 0);
	assert_int_equal(r.huge, (p->flags & PHX_REGION_HUGE) != 0);
	return r;
}

static int export_fd(const struct phx_region *r)
{
	int fd = -1;

	assert_int_equal(phx_region_export(r, &fd), 0);
	return fd;
}

static int reopen(int fd, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

// Can a byte be read there? The kernel tries it for us.
static bool readable(const void *addr)
{
	int fds[2];
	bool ok;

	if (pipe(fds) != 0)
		return false;
	ok = write(fds[1], addr, 1) == 1;
	(void)close(fds[0]);
	(void)close(fds[1]);
	return ok;
}

#define assert_errno(call, want)                                                                   \
	do {                                                                                       \
		errno = 0;                                                                         \
		assert_int_equal((call), -1);                                                      \
		assert_int_equal(errno, (want));                                                   \
	} while (0)

static void assert_no_writable_map(int fd, uint64_t size, int want)
{
	errno = 0;
	assert_ptr_equal(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(errno, want);
}

static void assert_not_removable(int fd, void *base, uint64_t size)
{
	assert_errno(ftruncate(fd, 0), EPERM);
	assert_errno(ftruncate(fd, (off_t)(2 * size)), EPERM);
	assert_errno(
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size), EPERM);
	assert_int_equal(munlock(base, size), 0); // a locked page answers EINVAL instead
	if (getenv("PHX_TEST_EMULATED") == NULL)  // the emulator swallows advice
		assert_errno(madvise(base, size, MADV_REMOVE), EPERM);
	assert_errno(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
}

static void create_dp_written_is_mapped_sealed_and_private(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_region r = create(PHX_REGION_DP_WRITTEN, p);
	struct stat st;

	assert_int_equal(fstat(r.fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, p->size);
	assert_true((uint64_t)st.st_blocks * 512 >= p->size); // populated
	assert_true(fcntl(r.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(r.fd, F_GET_SEALS) &
				 (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL),
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	assert_true(r.sealed);
	assert_null(r.registration_base);
	memset(r.base, 0x5a, p->size);
	phx_region_fini(&r);
	phx_region_fini(&r); // legal
}

// H-12 and L187: the reader of a dataplane-written object tries everything.
static void export_dp_written_cannot_be_made_writable(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_region r = create(PHX_REGION_DP_WRITTEN, p);
	int fd = export_fd(&r), rw;
	const uint8_t *base = NULL;

	memset(r.base, 0x5a, p->size);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(phx_region_map_readonly(fd, p->size, NULL, &base, NULL), 0);
	assert_int_equal(base[p->size - 1], 0x5a);
	r.base[7] = 0x11;
	assert_int_equal(base[7], 0x11); // one memory

	assert_no_writable_map(fd, p->size, EACCES);
	assert_errno(mprotect((void *)(uintptr_t)base, p->size, PROT_READ | PROT_WRITE), EACCES);
	assert_errno(pwrite(fd, "x", 1, 0), EBADF);
	// The re-open succeeds for the same user, and is worth nothing.
	rw = reopen(fd, O_RDWR);
	if (rw >= 0) {
		assert_no_writable_map(rw, p->size, EPERM);
		// hugetlbfs has no write(2) at all: EINVAL there.
		errno = 0;
		assert_int_equal(pwrite(rw, "x", 1, 0), -1);
		assert_int_equal(errno, r.huge ? EINVAL : EPERM);
		assert_not_removable(rw, r.base, p->size);
		assert_int_equal(close(rw), 0);
	}
	assert_not_removable(r.fd, r.base, p->size);
	assert_int_equal(madvise((void *)(uintptr_t)base, p->size, MADV_DONTNEED), 0);

	for (uint64_t i = 0; i < p->size; i++)
		if (base[i] != (i == 7 ? 0x11 : 0x5a) || r.base[i] != base[i])
			fail_msg("byte %llu changed", (unsigned long long)i);
	phx_region_unmap(base, p->size, false);
	assert_int_equal(close(fd), 0);
	phx_region_fini(&r);
}

// In a child with another uid; the exit status is the number of the step that went wrong.
static int other_user(int fd, int own_fd)
{
	char path[64];

	if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
		return 1;
	if (reopen(fd, O_RDWR) >= 0 || errno != EACCES)
		return 2;
	if (reopen(fd, O_RDONLY) >= 0 || errno != EACCES)
		return 3;
	if (fchmod(fd, 0666) == 0)
		return 4;
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getppid(), own_fd);
	if (open(path, O_RDWR | O_CLOEXEC) >= 0 || (errno != EACCES && errno != EPERM))
		return 5;
	return 0;
}

static void export_other_user_cannot_reopen(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_region r;
	int fd, status = -1;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: needs root to become another user\n");
		skip();
	}
	r = create(PHX_REGION_DP_WRITTEN, p);
	fd = export_fd(&r);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(other_user(fd, r.fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(close(fd), 0);
	phx_region_fini(&r);
}

static void seal_app_written_stops_new_writers_and_keeps_the_old(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_region r = create(PHX_REGION_APP_WRITTEN, p);
	int fd = export_fd(&r), late;
	uint8_t *app = NULL;

	assert_false(r.sealed);
	assert_int_equal(phx_region_map_writable(fd, p->size, NULL, &app, NULL), 0);
	memset(app, 0x77, p->size);
	assert_int_equal(phx_region_seal(&r), 0);
	assert_int_equal(phx_region_seal(&r), 0); // legal
	assert_true(r.sealed);
	app[3] = 0x12;
	assert_int_equal(r.base[3], 0x12);
	assert_int_equal(r.base[p->size - 1], 0x77);
	assert_int_equal(r.registration_base[3], 0x12);

	assert_no_writable_map(fd, p->size, EPERM);
	assert_not_removable(fd, app, p->size);
	assert_int_equal(madvise(app, p->size, MADV_DONTNEED), 0);
	assert_int_equal(r.base[3], 0x12);
	assert_int_equal(phx_region_export(&r, &late), -EALREADY);
	// The dataplane cannot write by mistake either.
	assert_errno(mprotect(r.base, p->size, PROT_READ | PROT_WRITE), EACCES);
	phx_region_unmap(app, p->size, false);
	assert_int_equal(close(fd), 0);
	phx_region_fini(&r);
}

// F-06 and F-07 between mapping and the last seal.
static void seal_app_punched_holes_before_is_populated_again(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_region r = create(PHX_REGION_APP_WRITTEN, p);
	int fd = export_fd(&r);
	uint8_t *app = NULL;
	struct stat st;

	assert_int_equal(phx_region_map_writable(fd, p->size, NULL, &app, NULL), 0);
	memset(app, 0x77, p->size);
	assert_errno(ftruncate(fd, 0), EPERM); // never possible
	assert_int_equal(
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)p->size), 0);
	assert_int_equal(phx_region_seal(&r), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 >= p->size);
	assert_int_equal(r.base[0], 0);
	assert_int_equal(r.base[p->size - 1], 0);
	app[1] = 9;
	assert_int_equal(r.base[1], 9);
	phx_region_unmap(app, p->size, false);
	assert_int_equal(close(fd), 0);
	phx_region_fini(&r);
}

static void create_in_range_maps_there_and_fini_gives_back(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_range range;
	struct phx_region a, b;
	uint8_t *base;

	assert_int_equal(phx_range_reserve(4 * p->size, &range), 0);
	base = range.base;
	assert_int_equal((uintptr_t)base % HUGE, 0);
	assert_false(readable(base));
	assert_int_equal(phx_region_create(PHX_REGION_DP_WRITTEN, p->size, p->flags, base, &a), 0);
	assert_int_equal(
		phx_region_create(PHX_REGION_APP_WRITTEN, p->size, p->flags, base + p->size, &b),
		0);
	assert_ptr_equal(a.base, base);
	assert_ptr_equal(b.base, base + p->size);
	assert_true(readable(base) && readable(base + 2 * p->size - 1));
	assert_false(readable(base + 2 * p->size));
	phx_region_fini(&a);
	assert_false(readable(base)); // reserved again
	assert_true(readable(base + p->size));
	phx_region_fini(&b);
	assert_false(readable(base + 4 * p->size)); // the guard
	phx_range_release(&range);
	phx_range_release(&range); // legal
}

static void create_is_not_inherited_by_fork(void **state)
{
	const struct pages *p = pages_or_skip(state);
	struct phx_region r = create(PHX_REGION_DP_WRITTEN, p);
	int status = -1;
	pid_t pid;

	if (getenv("PHX_TEST_EMULATED") != NULL) {
		phx_region_fini(&r);
		print_message("skipped: the emulator swallows MADV_DONTFORK\n");
		skip();
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(readable(r.base) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	phx_region_fini(&r);
}

static void create_huge_with_empty_pool_falls_back(void **state)
{
	struct phx_region r;

	(void)state;
	if (huge_free() >= 16) {
		print_message("skipped: the pool of 2 MiB pages is not empty\n");
		skip();
	}
	assert_int_equal(
		phx_region_create(PHX_REGION_DP_WRITTEN, 16 * HUGE, PHX_REGION_HUGE, NULL, &r), 0);
	assert_false(r.huge);
	r.base[16 * HUGE - 1] = 1;
	phx_region_fini(&r);
}

static void create_bad_arguments_are_refused(void **state)
{
	struct phx_region r = {.fd = 77};
	struct phx_range range = {.size = 77};

	(void)state;
	assert_int_equal(phx_region_create(PHX_REGION_DP_WRITTEN, 0, 0, NULL, &r), -EINVAL);
	assert_int_equal(phx_region_create(PHX_REGION_DP_WRITTEN, 100, 0, NULL, &r), -EINVAL);
	assert_int_equal(
		phx_region_create(PHX_REGION_DP_WRITTEN, PHX_RANGE_MAX + 65536, 0, NULL, &r),
		-EINVAL);
	assert_int_equal(phx_region_create(PHX_REGION_DP_WRITTEN, 65536, 8, NULL, &r), -EINVAL);
	assert_int_equal(
		phx_region_create(PHX_REGION_DP_WRITTEN, 65536, 0, (void *)0x1001, &r), -EINVAL);
	assert_int_equal(r.fd, 77);
	assert_int_equal(phx_range_reserve(0, &range), -EINVAL);
	assert_int_equal(phx_range_reserve(PHX_RANGE_MAX + 1, &range), -EINVAL);
	assert_int_equal(range.size, 77);
	assert_int_equal(phx_range_reserve(PHX_RANGE_MAX, &range), 0);
	phx_range_release(&range);
}

static void assert_refused(int fd, uint64_t size, bool writable, const char *want)
{
	const char *text = NULL;
	const uint8_t *ro = NULL;
	uint8_t *rw = NULL;
	int ret = writable ? phx_region_map_writable(fd, size, NULL, &rw, &text)
			   : phx_region_map_readonly(fd, size, NULL, &ro, &text);

	assert_int_equal(ret, -EBADF);
	assert_string_equal(text, want);
	assert_null(ro);
	assert_null(rw);
	if (fd >= 0)
		(void)close(fd); // may be a bad one on purpose
}

static int memfd_sealed(int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 65536), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

// F-05.
static void map_wrong_descriptors_are_refused_with_text(void **state)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
	int fds[2], fd;

	(void)state;
	assert_refused(-1, 65536, false, "descriptor is not open");
	assert_refused(open("/tmp", O_RDONLY), 65536, false, "descriptor is not a memory object");
	assert_refused(
		open("/dev/zero", O_RDWR), 65536, false, "descriptor is not a memory object");
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(close(fds[1]), 0);
	assert_refused(fds[0], 65536, false, "descriptor is not a memory object");
	assert_refused(open("/proc/self/status", O_RDONLY), 0, false,
		"descriptor is not on tmpfs or hugetlbfs");
	assert_refused(
		memfd_sealed(all), 131072, false, "descriptor has another size than announced");
	fd = memfd_sealed(all);
	assert_refused(reopen(fd, O_WRONLY), 65536, false, "descriptor cannot be read");
	assert_refused(reopen(fd, O_RDONLY), 65536, true, "descriptor cannot be written");
	assert_int_equal(close(fd), 0);
	assert_refused(memfd_sealed(0), 65536, false, "descriptor is not sealed against shrinking");
	assert_refused(memfd_sealed(all & ~F_SEAL_SHRINK), 65536, true,
		"descriptor is not sealed against shrinking");
	assert_refused(memfd_sealed(F_SEAL_SHRINK), 65536, true,
		"descriptor is not sealed against growing");
	assert_refused(memfd_sealed(F_SEAL_SHRINK | F_SEAL_GROW), 65536, false,
		"descriptor is not sealed against writing");
}

static void map_in_range_lands_there(void **state)
{
	struct phx_region r = create(PHX_REGION_DP_WRITTEN, &small_pages);
	struct phx_range range;
	const uint8_t *base = NULL;
	int fd = export_fd(&r);

	(void)state;
	assert_int_equal(phx_range_reserve(1 << 20, &range), 0);
	assert_int_equal(phx_region_map_readonly(fd, r.size, range.base + 65536, &base, NULL), 0);
	assert_ptr_equal(base, range.base + 65536);
	assert_true(readable(base));
	phx_region_unmap(base, r.size, true);
	assert_false(readable(base));
	phx_region_unmap(NULL, 0, true); // legal
	phx_range_release(&range);
	assert_int_equal(close(fd), 0);
	phx_region_fini(&r);
}

int main(void)
{
#define BOTH(f)                                                                                    \
	cmocka_unit_test_prestate(f, &small_pages),                                                \
	{                                                                                          \
#f " on huge pages", f, NULL, NULL, &huge_pages                                    \
	}
	const struct CMUnitTest tests[] = {
		BOTH(create_dp_written_is_mapped_sealed_and_private),
		BOTH(export_dp_written_cannot_be_made_writable),
		BOTH(export_other_user_cannot_reopen),
		BOTH(seal_app_written_stops_new_writers_and_keeps_the_old),
		BOTH(seal_app_punched_holes_before_is_populated_again),
		BOTH(create_in_range_maps_there_and_fini_gives_back),
		BOTH(create_is_not_inherited_by_fork),
		cmocka_unit_test(create_huge_with_empty_pool_falls_back),
		cmocka_unit_test(create_bad_arguments_are_refused),
		cmocka_unit_test(map_wrong_descriptors_are_refused_with_text),
		cmocka_unit_test(map_in_range_lands_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
#include "lib/ctl/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	char path[100];
	char lock[110];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/phx-socket-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/control.sock", f->dir);
	(void)snprintf(f->lock, sizeof(f->lock), "%s.lock", f->path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	(void)unlink(f->path);
	(void)unlink(f->lock);
	(void)rmdir(f->dir);
	free(f);
	return 0;
}

static int listen_at(struct fixture *f, struct phx_ctl_socket *s)
{
	char why[256] = "";
	int rc = phx_ctl_socket_listen(f->path, 0660, (gid_t)-1, s, why, sizeof(why));

	assert_int_equal(why[0] != '\0', rc != 0);
	return rc;
}

static void listen_fresh_path_has_the_mode(void **state)
{
	struct phx_ctl_socket s;
	struct stat st;

	assert_int_equal(listen_at(*state, &s), 0);
	assert_int_equal(lstat(s.path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0660);
	phx_ctl_socket_close(&s);
	assert_int_equal(lstat(s.path, &st), -1);
}

static void listen_twice_is_busy_and_leaves_the_first_alone(void **state)
{
	struct phx_ctl_socket first, second;
	struct stat before, after;

	assert_int_equal(listen_at(*state, &first), 0);
	assert_int_equal(lstat(first.path, &before), 0);
	assert_int_equal(listen_at(*state, &second), -EBUSY);
	assert_int_equal(lstat(first.path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	phx_ctl_socket_close(&first);
}

// Bind without the lock, like a foreign program.
static int foreign_socket(const char *path, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void listen_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;

	close(foreign_socket(f->path, true));
	assert_int_equal(listen_at(f, &s), 0);
	phx_ctl_socket_close(&s);
}

static void listen_live_foreign_socket_is_busy(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;
	int fd = foreign_socket(f->path, true);

	assert_int_equal(listen_at(f, &s), -EBUSY);
	assert_int_equal(access(f->path, F_OK), 0);
	close(fd);
}

static void listen_regular_file_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;

	close(open(f->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(listen_at(f, &s), -EEXIST);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void listen_symlink_is_refused_and_kept(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;
	struct stat st;

	assert_int_equal(symlink("/tmp/nowhere", f->path), 0);
	assert_int_equal(listen_at(f, &s), -EEXIST);
	assert_int_equal(lstat(f->path, &st), 0);
}

static void listen_symlinked_lock_is_refused(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;

	assert_int_equal(symlink("/tmp/nowhere", f->lock), 0);
	assert_int_equal(listen_at(f, &s), -ELOOP);
}

static void listen_world_writable_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;

	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(listen_at(f, &s), -EPERM);
	assert_int_equal(access(f->lock, F_OK), -1);
	assert_int_equal(chmod(f->dir, 0720), 0);
	assert_int_equal(listen_at(f, &s), -EPERM);
	assert_int_equal(chmod(f->dir, 0700), 0);
}

static void listen_foreign_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	struct phx_ctl_socket s;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(f->dir, 65534, 65534), 0);
	assert_int_equal(listen_at(f, &s), -EPERM);
	assert_int_equal(chown(f->dir, 0, 0), 0);
}

static void listen_missing_directory_and_long_path_are_refused(void **state)
{
	struct fixture f = *(struct fixture *)*state;
	struct phx_ctl_socket s;
	char why[256], path[256];

	(void)snprintf(f.path, sizeof(f.path), "%s/none/x.sock", f.dir);
	assert_int_equal(listen_at(&f, &s), -ENOENT);
	memset(path, 'a', sizeof(path));
	path[200] = '\0';
	assert_int_equal(
		phx_ctl_socket_listen(path, 0600, (gid_t)-1, &s, why, sizeof(why)), -ENAMETOOLONG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(listen_fresh_path_has_the_mode),
		T(listen_twice_is_busy_and_leaves_the_first_alone),
		T(listen_stale_socket_is_replaced),
		T(listen_live_foreign_socket_is_busy),
		T(listen_regular_file_is_refused_and_kept),
		T(listen_symlink_is_refused_and_kept),
		T(listen_symlinked_lock_is_refused),
		T(listen_world_writable_directory_is_refused),
		T(listen_foreign_directory_is_refused),
		T(listen_missing_directory_and_long_path_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

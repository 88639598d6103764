// SPDX-License-Identifier: BSD-3-Clause
// With whose rights a file is written. Needs root, which can take those of others.
#include "controlplane/savefile.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define UID   61234
#define GROUP 64242 // who may write into the directory

static char dir[64], path[80];

static int write_as(uid_t uid, const gid_t *groups, size_t count)
{
	const struct savefile_rights rights = {uid, uid, groups, count};

	return savefile_write(path, "text", 4, &rights);
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/phx-savefile.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/file", dir);
	if (geteuid() != 0)
		return 0;
	assert_int_equal(chown(dir, 0, GROUP), 0);
	assert_int_equal(chmod(dir, 0770), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path); // it may not be there
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("only root takes the rights of others\n");
	skip();
}

static void groups_of_the_client_count(void **state)
{
	static const gid_t groups[] = {GROUP};
	struct stat st;

	(void)state;
	need_root();
	assert_int_equal(write_as(UID, groups, 1), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, UID);
}

static void groups_of_the_daemon_do_not_count(void **state)
{
	static const gid_t own[] = {GROUP};
	gid_t after[8];

	(void)state;
	need_root();
	assert_int_equal(setgroups(1, own), 0);
	assert_int_equal(write_as(UID, NULL, 0), -EACCES);
	assert_int_equal(getgroups(8, after), 1); // they are back
	assert_int_equal(after[0], GROUP);
	assert_int_equal(savefile_write(path, "text", 4, NULL), 0);
}

// A child without the right to switch.
static int write_from(uid_t from, uid_t as)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		int rc = setgroups(0, NULL) != 0 || setgid(GROUP) != 0 || setuid(from) != 0
				 ? -EIO
				 : write_as(as, NULL, 0);

		_exit(-rc);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void rights_that_cannot_be_taken_refuse(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(write_from(UID, UID + 1), -EPERM);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(write_from(UID, UID), 0);
	assert_int_equal(write_from(UID, 0), 0); // root has no less
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(groups_of_the_client_count, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_of_the_daemon_do_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
			rights_that_cannot_be_taken_refuse, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// The run directory: one instance each, sockets made under its lock only. Works with main.c.
#include "dataplane/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_NAME "dataplane.lock"
#define BACKLOG	  128

static int rundir_make(const char *path)
{
	char part[PATH_MAX];
	size_t len = strlen(path), i;

	if (len == 0 || len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return -errno;
		part[i] = path[i];
	}
	return 0;
}

static int rundir_check(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return st.st_uid != geteuid() || (st.st_mode & 022) != 0 ? -EPERM : 0;
}

static int rundir_path(const struct rundir *dir, const char *name, char *out, size_t size)
{
	int n = snprintf(out, size, "%s/%s", dir->path, name);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

// Lock the file that stands under the name now; a holder removes it at its end.
static int rundir_lock(const char *path, int *out_fd)
{
	struct stat mine, named;
	int fd, tries;

	for (tries = 0; tries < 100; tries++) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			int rc = errno == EWOULDBLOCK ? -EEXIST : -errno;

			close(fd);
			return rc;
		}
		if (fstat(fd, &mine) == 0 && stat(path, &named) == 0 &&
			mine.st_ino == named.st_ino && mine.st_dev == named.st_dev) {
			*out_fd = fd;
			return 0;
		}
		close(fd); // removed between open and lock
	}
	return -EBUSY;
}

int rundir_open(const char *path, struct rundir *out)
{
	struct rundir dir = {.path = path, .lock_fd = -1};
	char lock[PATH_MAX];
	int rc = rundir_make(path);

	if (rc == 0)
		rc = rundir_check(path);
	if (rc == 0)
		rc = rundir_path(&dir, LOCK_NAME, lock, sizeof(lock));
	if (rc == 0)
		rc = rundir_lock(lock, &dir.lock_fd);
	if (rc == 0)
		*out = dir;
	return rc;
}

void rundir_close(struct rundir *dir)
{
	char lock[PATH_MAX];

	if (dir->lock_fd < 0)
		return;
	if (rundir_path(dir, LOCK_NAME, lock, sizeof(lock)) == 0)
		(void)unlink(lock); // a lock file that stays does no harm
	close(dir->lock_fd);
	dir->lock_fd = -1;
}

int rundir_listen(const struct rundir *dir, const char *name, int type, unsigned mode, int *out_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;
	int rc = rundir_path(dir, name, addr.sun_path, sizeof(addr.sun_path)), fd;

	if (rc != 0)
		return rc;
	if (lstat(addr.sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return -ENOTSOCK;
		if (unlink(addr.sun_path) != 0)
			return -errno;
	}
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	// Nobody can connect before listen, so the mode is right when somebody can.
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
		chmod(addr.sun_path, mode) != 0 || listen(fd, BACKLOG) != 0) {
		rc = -errno;
		close(fd);
		rundir_unlink(dir, name);
		return rc;
	}
	*out_fd = fd;
	return 0;
}

void rundir_unlink(const struct rundir *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (rundir_path(dir, name, path, sizeof(path)) == 0 && lstat(path, &st) == 0 &&
		S_ISSOCK(st.st_mode))
		(void)unlink(path); // gone already is as good
}

// SPDX-License-Identifier: BSD-3-Clause
// The steps of savefile.h; used by noun_config.c.
#include "controlplane/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

struct target {
	char dir[PATH_MAX];
	const char *name; // in the directory
	char temp[NAME_MAX + 1];
	int dir_fd;
};

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int target_open(const char *path, struct target *t)
{
	const char *slash = strrchr(path, '/');
	struct stat st;
	int n;

	if (slash == NULL || slash[1] == '\0' || strlen(path) >= sizeof(t->dir))
		return -EINVAL;
	t->name = slash + 1;
	(void)snprintf(t->dir, sizeof(t->dir), "%.*s/", (int)(slash - path), path);
	n = snprintf(t->temp, sizeof(t->temp), ".%s.%d.new", t->name, (int)getpid());
	if (n >= (int)sizeof(t->temp))
		return -ENAMETOOLONG;
	t->dir_fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir_fd < 0)
		return -errno;
	if (fstatat(t->dir_fd, t->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) {
		close(t->dir_fd);
		return -EEXIST;
	}
	return 0;
}

// The new file, complete and on disk, under its temporary name.
static int write_temp(const struct target *t, const char *text, size_t len)
{
	int fd, rc;

	if (unlinkat(t->dir_fd, t->temp, 0) != 0 && errno != ENOENT)
		return -errno;
	fd = openat(t->dir_fd, t->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	rc = fchmod(fd, 0640) == 0 ? write_all(fd, text, len) : -errno; // whatever the umask
	if (rc == 0 && fsync(fd) != 0)
		rc = -errno;
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

static int replace(const struct target *t, const char *text, size_t len)
{
	int rc = write_temp(t, text, len);

	if (rc == 0 && renameat(t->dir_fd, t->temp, t->dir_fd, t->name) != 0)
		rc = -errno;
	if (rc != 0) {
		(void)unlinkat(t->dir_fd, t->temp, 0); // it may not be there
		return rc;
	}
	return fsync(t->dir_fd) == 0 ? 0 : -errno;
}

int savefile_write(const char *path, const char *text, size_t len, uid_t uid, gid_t gid)
{
	struct target t;
	uid_t own_uid = geteuid();
	gid_t own_gid = getegid();
	int rc;

	if (uid != (uid_t)-1) { // without the right to do so nothing changes
		(void)setfsgid(gid);
		(void)setfsuid(uid);
	}
	rc = target_open(path, &t);
	if (rc == 0) {
		rc = replace(&t, text, len);
		close(t.dir_fd);
	}
	if (uid != (uid_t)-1) {
		(void)setfsuid(own_uid);
		(void)setfsgid(own_gid);
	}
	return rc;
}

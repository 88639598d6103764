// SPDX-License-Identifier: BSD-3-Clause
// The steps of savefile.h; used by noun_config.c.
#include "controlplane/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

// ---- rights ----

#define OWN_GROUPS_MAX 1024 // with more nobody else's rights are taken

struct own {
	gid_t groups[OWN_GROUPS_MAX];
	int group_count;
};

// Of this thread alone, as setfsuid() is; libc's setgroups() changes all threads.
static int groups_set(const gid_t *groups, size_t count)
{
	return syscall(SYS_setgroups, count, groups) == 0 ? 0 : -errno;
}

static void rights_restore(const struct own *own)
{
	// What could be taken can be given back: the capabilities for it were not touched.
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	(void)groups_set(own->groups, (size_t)own->group_count);
}

// The two only say what was before.
static int rights_take(const struct savefile_rights *r, struct own *own)
{
	int rc;

	own->group_count = getgroups(OWN_GROUPS_MAX, own->groups);
	if (own->group_count < 0)
		return -errno;
	rc = groups_set(r->groups, r->group_count);
	if (rc != 0)
		return rc;
	(void)setfsgid(r->gid);
	(void)setfsuid(r->uid);
	if ((gid_t)setfsgid((gid_t)-1) == r->gid && (uid_t)setfsuid((uid_t)-1) == r->uid)
		return 0;
	rights_restore(own);
	return -EPERM;
}

int savefile_write(
	const char *path, const char *text, size_t len, const struct savefile_rights *rights)
{
	struct own own;
	struct target t;
	bool switched = false;
	int rc = 0;

	if (rights != NULL && rights->uid != geteuid()) {
		rc = rights_take(rights, &own);
		switched = rc == 0;
		if (rc == -EPERM && rights->uid == 0)
			rc = 0;
	}
	if (rc == 0)
		rc = target_open(path, &t);
	if (rc == 0) {
		rc = replace(&t, text, len);
		close(t.dir_fd);
	}
	if (switched)
		rights_restore(&own);
	return rc;
}

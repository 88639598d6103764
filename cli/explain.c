// SPDX-License-Identifier: BSD-3-Clause
// What an operator needs to know when nobody answers at the control socket.
#include "cli/session.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PATH_BYTES 160

// Pid of who holds the lock of the control plane, from /proc/locks: trying the lock could
// make a daemon fail that starts just now. 0: nobody, or a process we cannot see; -1: unknown.
static long lock_holder(const char *path)
{
	char lock[PATH_BYTES], line[256], want[64];
	struct stat st;
	long pid = 0;
	FILE *locks;

	(void)snprintf(lock, sizeof(lock), "%s.lock", path);
	if (stat(lock, &st) != 0)
		return errno == ENOENT ? 0 : -1;
	locks = fopen("/proc/locks", "re");
	if (locks == NULL)
		return -1;
	(void)snprintf(want, sizeof(want), " %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
		(unsigned long long)st.st_ino);
	while (pid == 0 && fgets(line, sizeof(line), locks) != NULL)
		if (strstr(line, " FLOCK ") != NULL && strstr(line, want) != NULL)
			(void)sscanf(line, "%*s FLOCK %*s WRITE %ld", &pid); // else it stays 0
	(void)fclose(locks);						     // was only read
	return pid;
}

static const char *user_name(uid_t uid, char *buffer, size_t size)
{
	const struct passwd *p = getpwuid(uid);

	if (p != NULL)
		return p->pw_name;
	(void)snprintf(buffer, size, "%u", (unsigned)uid);
	return buffer;
}

static const char *group_name(gid_t gid, char *buffer, size_t size)
{
	const struct group *g = getgrgid(gid);

	if (g != NULL)
		return g->gr_name;
	(void)snprintf(buffer, size, "%u", (unsigned)gid);
	return buffer;
}

// Owner, group and mode as text and in data. False when the file is not there.
static bool add_owner(const char *path, char *text, size_t size, struct phx_ctl_error *e)
{
	char owner[24], group[24], mode[8];
	const char *user, *of_group;
	struct stat st;

	if (stat(path, &st) != 0)
		return false;
	user = user_name(st.st_uid, owner, sizeof(owner));
	of_group = group_name(st.st_gid, group, sizeof(group));
	(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)(st.st_mode & 07777));
	(void)snprintf(text, size, "owner %s, group %s, mode %s", user, of_group, mode);
	phx_ctl_error_add(e, "owner", json_string(user));
	phx_ctl_error_add(e, "group", json_string(of_group));
	phx_ctl_error_add(e, "mode", json_string(mode));
	return true;
}

static void add_hint(const char *path, int rc, long holder, struct phx_ctl_error *e)
{
	const char *slash = strrchr(path, '/');

	if (rc == -EACCES || rc == -EPERM)
		phx_ctl_error_add(
			e, "hint", json_string("join the socket's group, or run as its owner"));
	else if (holder <= 0 && slash != NULL && slash != path)
		phx_ctl_error_add(e, "hint",
			json_sprintf(
				"phoenix-controlplane --rundir %.*s", (int)(slash - path), path));
	else if (holder > 0)
		phx_ctl_error_add(e, "hint", json_string("wait and try again, see -r"));
}

void session_explain(const char *path, int rc, struct phx_ctl_error *e)
{
	char owner[96] = "", runs[64] = "";
	struct phx_ctl_error details = PHX_CTL_ERROR_INIT;
	long holder = lock_holder(path);
	bool there = add_owner(path, owner, sizeof(owner), &details);

	if (holder > 0)
		(void)snprintf(runs, sizeof(runs), "; the control plane runs, pid %ld", holder);
	else if (holder == 0)
		(void)snprintf(runs, sizeof(runs), "; no control plane runs there");
	(void)phx_ctl_error_set(e, PHX_UNAVAILABLE, "cannot connect to %s: %s%s%s%s%s", path,
		strerror(-rc), there ? " (" : "", owner, there ? ")" : "", runs);
	e->data = details.data;
	phx_ctl_error_add(e, "path", json_string(path));
	if (holder >= 0)
		phx_ctl_error_add(e, "running", json_boolean(holder > 0));
	add_hint(path, rc, holder, e);
}

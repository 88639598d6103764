// SPDX-License-Identifier: BSD-3-Clause
// The careful bind behind socket.h; used by server.c.
#include "lib/ctl/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

struct why {
	char *text;
	size_t size;
};

static int fail(struct why *why, int rc, const char *fmt, ...) PHX_PRINTF(3, 4);
static int fail(struct why *why, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why->text, why->size, fmt, ap); // cut when longer
	va_end(ap);
	return rc;
}

// Open the directory of path and check who may write there.
static int open_directory(const char *path, const char **out_name, int *out_fd, struct why *why)
{
	char dir[108];
	const char *slash = strrchr(path, '/');
	struct stat st;

	(void)snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
		slash == NULL ? "." : path);
	*out_name = slash == NULL ? path : slash + 1;
	if (**out_name == '\0')
		return fail(why, -EINVAL, "%s: names no file", path);

	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fail(why, -errno, "%s: %s", dir, strerror(errno));
	if (fstat(fd, &st) != 0) {
		int rc = fail(why, -errno, "%s: %s", dir, strerror(errno));

		close(fd);
		return rc;
	}
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0) {
		close(fd);
		return fail(why, -EPERM,
			"%s: must belong to uid %u or root and not be writable for others "
			"(owner %u, mode %04o)",
			dir, (unsigned)geteuid(), (unsigned)st.st_uid, st.st_mode & 07777);
	}
	*out_fd = fd;
	return 0;
}

static int take_lock(const char *path, const char *name, int dir_fd, int *out_fd, struct why *why)
{
	char lock[120];

	(void)snprintf(lock, sizeof(lock), "%s.lock", name);

	int fd = openat(dir_fd, lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(why, -errno, "%s.lock: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int rc = errno == EWOULDBLOCK ? -EBUSY : -errno;

		close(fd);
		return fail(why, rc, "%s: another instance holds it", path);
	}
	*out_fd = fd;
	return 0;
}

// A socket somebody listens on without our lock belongs to another program.
static bool socket_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0)
		return true;
	answers = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		  errno == EAGAIN;
	close(fd);
	return answers;
}

static int clear_stale(
	const struct sockaddr_un *address, const char *name, int dir_fd, struct why *why)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT
			       ? 0
			       : fail(why, -errno, "%s: %s", address->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fail(why, -EEXIST, "%s: exists and is not a socket", address->sun_path);
	if (st.st_uid != geteuid())
		return fail(why, -EEXIST, "%s: a socket of uid %u", address->sun_path,
			(unsigned)st.st_uid);
	if (socket_answers(address))
		return fail(why, -EBUSY, "%s: a program listens there", address->sun_path);
	if (unlinkat(dir_fd, name, 0) != 0)
		return fail(why, -errno, "%s: %s", address->sun_path, strerror(errno));
	return 0;
}

static int bind_socket(const struct sockaddr_un *address, const char *name, int dir_fd, mode_t mode,
	gid_t gid, int *out_fd, struct why *why)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return fail(why, -errno, "socket: %s", strerror(errno));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		rc = fail(why, -errno, "%s: %s", address->sun_path, strerror(errno));
		goto close_fd;
	}
	// Nobody can connect before listen(2), so this order leaves no window.
	if ((gid != (gid_t)-1 &&
		    fchownat(dir_fd, name, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) != 0) ||
		fchmodat(dir_fd, name, mode, 0) != 0 || listen(fd, BACKLOG) != 0) {
		rc = fail(why, -errno, "%s: %s", address->sun_path, strerror(errno));
		goto unlink_name;
	}
	*out_fd = fd;
	return 0;

unlink_name:
	(void)unlinkat(dir_fd, name, 0); // we made it just now
close_fd:
	close(fd);
	return rc;
}

int phx_ctl_socket_listen(const char *path, mode_t mode, gid_t gid,
	struct phx_ctl_socket *out_socket, char *why_text, size_t why_size)
{
	struct why why = {why_text, why_size};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int dir_fd = -1, lock_fd = -1, fd = -1, rc;
	const char *name;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(&why, -ENAMETOOLONG, "%s: longer than %zu bytes", path,
			sizeof(address.sun_path) - 1);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	rc = open_directory(path, &name, &dir_fd, &why);
	if (rc != 0)
		return rc;
	rc = take_lock(path, name, dir_fd, &lock_fd, &why);
	if (rc != 0)
		goto close_directory;
	rc = clear_stale(&address, name, dir_fd, &why);
	if (rc == 0)
		rc = bind_socket(&address, name, dir_fd, mode, gid, &fd, &why);
	if (rc != 0) {
		close(lock_fd);
		goto close_directory;
	}
	*out_socket = (struct phx_ctl_socket){.fd = fd, .lock_fd = lock_fd};
	(void)snprintf(out_socket->path, sizeof(out_socket->path), "%s", path);

close_directory:
	close(dir_fd);
	return rc;
}

void phx_ctl_socket_close(struct phx_ctl_socket *s)
{
	(void)unlink(s->path); // ours while the lock is held; gone already is fine
	close(s->fd);
	close(s->lock_fd);
}

// SPDX-License-Identifier: BSD-3-Clause
// Measures the peer of a socket; works with attach_server.c and rules.c.
#include "dataplane/frontend/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 // asm-generic/socket.h since Linux 6.5
#endif

static bool peer_is_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

// -1 = unknown. A pid may be somebody else's by the time it is opened, but not while the peer's
// socket is still open and only its owner has it; the socket is watched as well.
static int open_pidfd(int fd, int32_t pid)
{
	socklen_t len = sizeof(int);
	int pidfd = -1;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0) {
		(void)fcntl(pidfd, F_SETFD, FD_CLOEXEC); // cannot fail for an open descriptor
		return pidfd;
	}
	if (pid <= 0)
		return -1;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd >= 0 && peer_is_gone(fd)) {
		close(pidfd);
		return -1;
	}
	return pidfd;
}

static void read_exe(int32_t pid, char *out)
{
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", pid); // fits
	n = readlink(path, out, IDENTITY_TEXT);
	if (n <= 0 || n >= IDENTITY_TEXT)
		n = 0; // unreadable or cut off: unknown
	out[n] = '\0';
}

// The line "0::/path" of /proc/PID/cgroup.
static void read_cgroup(int32_t pid, char *out)
{
	char path[64], line[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid); // fits
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, "0::", 3) != 0 || len - 3 >= IDENTITY_TEXT)
			continue;
		memcpy(out, line + 3, len - 3);
		out[len - 3] = '\0';
		break;
	}
	(void)fclose(f); // read only
}

static bool process_is_dead(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

int identity_measure(int fd, struct identity *out)
{
	struct identity id = {.pidfd = -1};
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return -errno;
	id.uid = cred.uid;
	id.gid = cred.gid;
	id.pid = cred.pid;
	id.pidfd = open_pidfd(fd, id.pid);
	if (id.pidfd >= 0) {
		read_exe(id.pid, id.exe);
		read_cgroup(id.pid, id.cgroup);
		// Still alive, so the pid was its own while we read by it.
		if (process_is_dead(id.pidfd)) {
			identity_fini(&id);
			return -ECONNRESET;
		}
	}
	if (peer_is_gone(fd)) {
		identity_fini(&id);
		return -ECONNRESET;
	}
	*out = id;
	return 0;
}

void identity_fini(struct identity *identity)
{
	if (identity->pidfd >= 0)
		close(identity->pidfd);
	identity->pidfd = -1;
}

// SPDX-License-Identifier: BSD-3-Clause
// Creating the listening Unix socket of a daemon without following links, without
// taking a path from somebody else, and without a moment in which its mode is too wide.
// Start-up only; any thread.
#pragma once

#include "lib/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct phx_ctl_socket {
	int fd;	     // listening, non-blocking, close-on-exec
	int lock_fd; // holds the instance's lock until it is closed
	char path[108];
};

// Bind and listen on path. Its directory must be a real directory, owned by this user or
// root and not writable for others. PATH.lock is created and locked with flock(2) first; a
// stale socket of this user is removed, anything else at path is refused and left alone.
// The mode is set before listen(2); gid (gid_t)-1 leaves the group alone.
// 0, or with one line of explanation in why: -EBUSY another instance holds it, -EEXIST
// path is not our socket, -EPERM unsafe directory, -ENAMETOOLONG (107 bytes), other -errno.
int phx_ctl_socket_listen(const char *path, mode_t mode, gid_t gid,
	struct phx_ctl_socket *out_socket, char *why, size_t why_size);

// Remove the socket and release the lock, in this order. The lock file stays.
void phx_ctl_socket_close(struct phx_ctl_socket *s);

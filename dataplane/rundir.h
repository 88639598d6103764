// SPDX-License-Identifier: BSD-3-Clause
// The run directory of an instance: made, locked and cleared of stale sockets. Control thread.
#pragma once

// A locked run directory. lock_fd -1 = none.
struct rundir {
	const char *path; // borrowed
	int lock_fd;
};

// Create path (and missing parents, 0755), check that it is a directory of this user that nobody
// else may write, and lock it. 0; -EEXIST: another instance holds it; -EPERM: foreign owner or
// writable by others; -ENOTDIR; other negative errno values of the system. Ended by
// rundir_close().
int rundir_open(const char *path, struct rundir *out);

// Unlock and remove the lock file. The directory stays. Legal on lock_fd -1.
void rundir_close(struct rundir *dir);

// Bind and listen on path/name with `mode`. What stands there is removed if it is a socket, else
// -ENOTSOCK. SOCK_SEQPACKET or SOCK_STREAM, non-blocking, close-on-exec. *out_fd is the caller's.
int rundir_listen(const struct rundir *dir, const char *name, int type, unsigned mode, int *out_fd);

// Remove the socket path/name made by rundir_listen().
void rundir_unlink(const struct rundir *dir, const char *name);

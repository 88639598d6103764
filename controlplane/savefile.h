// SPDX-License-Identifier: BSD-3-Clause
// Writing a file whole or not at all.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Replace path (absolute) by len bytes, mode 0640: a temporary file beside it, synced, renamed,
// and its directory synced. Files are opened with the rights of uid and gid where this process
// may take them ((uid_t)-1: its own). On failure the old file stays and nothing is left behind.
// 0; -EEXIST: something that is no regular file is there; other -errno.
int savefile_write(const char *path, const char *text, size_t len, uid_t uid, gid_t gid);

// SPDX-License-Identifier: BSD-3-Clause
// Writing a file whole or not at all.
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct savefile_rights {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; // supplementary
	size_t group_count;
};

// Replace path (absolute) by len bytes, mode 0640: a temporary file beside it, synced, renamed,
// and its directory synced. Files are opened with `rights` (NULL: those of this process). Where it
// may not take them its own serve for root and for its own user, who have no less. On failure the
// old file stays and nothing is left behind. 0; -EEXIST: something that is no regular file is
// there; -EPERM: the rights cannot be taken; other -errno.
int savefile_write(
	const char *path, const char *text, size_t len, const struct savefile_rights *rights);

// SPDX-License-Identifier: BSD-3-Clause
// The run directory of an instance: flag over environment (PHOENIX_RUNDIR) over
// $XDG_RUNTIME_DIR/phoenix/NAME or /run/phoenix/NAME. Start-up only; any thread.
#pragma once

#include <stddef.h>

#define PHX_CTL_RUNDIR_BYTES 88 // leaves room for the names of sockets and locks

// Where a daemon keeps its sockets: below $XDG_RUNTIME_DIR unless it is root. Made (0755,
// with its parent) when missing. flag and instance may be NULL ("default"). 0; -EINVAL bad
// instance name, -ENAMETOOLONG, other -errno, with one line of explanation in why.
int phx_ctl_rundir_make(const char *flag, const char *instance, char *out_dir, size_t size,
	char *why, size_t why_size);

// Where a client finds them: the directory below $XDG_RUNTIME_DIR when it is there, else
// the one in /run. Same errors; nothing is made.
int phx_ctl_rundir_find(const char *flag, const char *instance, char *out_dir, size_t size,
	char *why, size_t why_size);

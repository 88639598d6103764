// SPDX-License-Identifier: BSD-3-Clause
// Settings of a daemon that do not stand on its command line. Each long option that takes a value
// is an environment variable too, PHOENIX_ and its name in capitals with '_' for '-', and a line of
// a file:
//
//	# so many as there are cores to spare
//	workers = 4
//
// A flag goes over the environment, that over the file, and that over the default: whoever parses
// takes the file first, then the environment, then the flags. Start of a program only.
#pragma once

#include <getopt.h>
#include <stddef.h>

#define PHX_SETTINGS_BYTES 65536 // of a file at most

// Told of each setting: the option's val, its value, and where it stands ("PHOENIX_WORKERS",
// "/etc/phoenix/dataplane.conf:2"), which is valid during the call. Anything but 0 ends the walk
// and is returned by it.
typedef int (*phx_setting_fn)(void *arg, int val, const char *value, const char *origin);

// Those of the environment, in the order of options (ended by name NULL). Empty variables are not
// set. Values are the environment's.
int phx_settings_env(const struct option *options, phx_setting_fn fn, void *arg);

// Those of a file, in the order of its lines; it cannot name another file ("settings"). *out_text
// is what values point into, NULL when the file was not read; the caller frees it when they are not
// used any more, after a failure too. -EINVAL: a line that is none, or of no option that takes a
// value; -E2BIG: larger than PHX_SETTINGS_BYTES; -ENOMEM; -errno of opening and reading. For these
// error has one line, with the file's name.
int phx_settings_file(const char *path, const struct option *options, phx_setting_fn fn, void *arg,
	char **out_text, char *error, size_t error_size);

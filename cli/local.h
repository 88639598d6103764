// SPDX-License-Identifier: BSD-3-Clause
// Commands of the shell itself, beside those of the method table: names and help. They run in
// command.c.
#pragma once

#include <stddef.h>

enum local_id {
	LOCAL_DOCTOR,
	LOCAL_MONITOR,
	LOCAL_TOP,
};

struct local {
	enum local_id id;
	const char *name;
	const char *summary;
	const char *help; // usage and what it prints, several lines
};

size_t local_count(void);
const struct local *local_at(size_t index);
// By whole name; NULL when there is none.
const struct local *local_find(const char *name);

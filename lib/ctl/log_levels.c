// SPDX-License-Identifier: BSD-3-Clause
// Rows and changes for log_levels.h.
#include "lib/ctl/log_levels.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

// Components that match, sorted.
static size_t find(const char *glob, const char *out_names[PHX_LOG_COMPONENTS_MAX])
{
	const char *all[PHX_LOG_COMPONENTS_MAX];
	size_t count = phx_log_components(all, PHX_LOG_COMPONENTS_MAX), found = 0;

	for (size_t i = 0; i < count; i++)
		if (glob == NULL || fnmatch(glob, all[i], 0) == 0)
			out_names[found++] = all[i];
	qsort(out_names, found, sizeof(out_names[0]), compare);
	return found;
}

json_t *phx_ctl_log_rows(const char *daemon, const char *glob)
{
	const char *names[PHX_LOG_COMPONENTS_MAX];
	size_t count = find(glob, names);
	json_t *rows = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(rows, // a row lost without memory
			json_pack("{s:s, s:s, s:s}", "daemon", daemon, "component", names[i],
				"level", phx_log_level_name(phx_log_component_level(names[i]))));
	return rows;
}

size_t phx_ctl_log_set(const char *glob, enum phx_log_level level, bool *out_changed)
{
	const char *names[PHX_LOG_COMPONENTS_MAX];
	size_t count = find(glob, names);

	*out_changed = false;
	for (size_t i = 0; i < count; i++)
		*out_changed |= phx_log_component_level(names[i]) != level;
	if (strcmp(glob, "*") == 0)
		phx_log_set_level(level);
	for (size_t i = 0; i < count; i++)
		(void)phx_log_set_component_level(names[i], level); // it is one
	return count;
}

void phx_ctl_log_answer_get(struct phx_ctl_call *call, const char *daemon)
{
	phx_ctl_call_reply(call,
		json_pack("{s:o}", "levels",
			phx_ctl_log_rows(daemon, phx_ctl_call_string(call, "component", NULL))));
}

void phx_ctl_log_answer_set(struct phx_ctl_call *call, const char *daemon)
{
	const char *glob = phx_ctl_call_string(call, "component", "*");
	enum phx_log_level level = PHX_LOG_INFO;
	bool changed;

	(void)phx_log_level_parse(phx_ctl_call_string(call, "level", "info"), &level); // checked
	(void)phx_ctl_log_set(glob, level, &changed); // none is an empty answer
	phx_ctl_call_reply(call, json_pack("{s:b, s:o}", "changed", changed, "levels",
					 phx_ctl_log_rows(daemon, glob)));
}

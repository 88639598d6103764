// SPDX-License-Identifier: BSD-3-Clause
// Look-ups in the method table and the words near a mistyped one.
#include "lib/ctl/methods.h"

#include <fnmatch.h>
#include <string.h>

static const struct phx_ctl_method *const nouns[] = {
	phx_ctl_methods_system,
	phx_ctl_methods_app,
	phx_ctl_methods_service,
	phx_ctl_methods_listener,
	phx_ctl_methods_peer,
	phx_ctl_methods_cluster,
	phx_ctl_methods_link,
	phx_ctl_methods_channel,
	phx_ctl_methods_engine,
	phx_ctl_methods_lcore,
	phx_ctl_methods_placement,
	phx_ctl_methods_stats,
	phx_ctl_methods_trace,
	phx_ctl_methods_mem,
	phx_ctl_methods_log,
	phx_ctl_methods_config,
	phx_ctl_methods_event,
	phx_ctl_methods_job,
	phx_ctl_methods_rpc,
	phx_ctl_methods_rules,
	phx_ctl_methods_flow,
};

size_t phx_ctl_method_count(void)
{
	size_t count = 0;

	for (size_t i = 0; i < PHX_ARRAY_LEN(nouns); i++)
		for (const struct phx_ctl_method *m = nouns[i]; m->name != NULL; m++)
			count++;
	return count;
}

const struct phx_ctl_method *phx_ctl_method_at(size_t index)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(nouns); i++)
		for (const struct phx_ctl_method *m = nouns[i]; m->name != NULL; m++)
			if (index-- == 0)
				return m;
	return NULL;
}

const struct phx_ctl_method *phx_ctl_method_find(const char *name)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(nouns); i++)
		for (const struct phx_ctl_method *m = nouns[i]; m->name != NULL; m++)
			if (strcmp(m->name, name) == 0)
				return m;
	return NULL;
}

#define PARAM_TIMEOUT                                                                              \
	{                                                                                          \
		.name = "timeout_ms", .type = PHX_CTL_INT, .min = 1,                               \
		.max = PHX_CTL_TIMEOUT_MAX_MS, .unit = "ms", .help = "give up after this time"     \
	}

const struct phx_ctl_param *phx_ctl_method_common(const struct phx_ctl_method *m)
{
	static const struct phx_ctl_param read_params[] = {PARAM_TIMEOUT, {.name = NULL}};
	static const struct phx_ctl_param mutation_params[] = {
		PARAM_TIMEOUT,
		{.name = "dry_run",
			.type = PHX_CTL_BOOL,
			.help = "check and answer, change nothing"},
		{.name = "if_generation",
			.type = PHX_CTL_GENERATION,
			.help = "change only when the generation still is this one"},
		{.name = NULL},
	};

	return (m->flags & PHX_CTL_MUTATES) != 0 ? mutation_params : read_params;
}

int64_t phx_ctl_method_lasts_ms(const struct phx_ctl_method *m, json_t *params)
{
	int64_t ms = 0;

	for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++)
		if (p->lasts)
			ms += json_integer_value(json_object_get(params, p->name));
	return ms;
}

const struct phx_ctl_param *phx_ctl_method_param(const struct phx_ctl_method *m, const char *name)
{
	const struct phx_ctl_param *lists[] = {m->params, phx_ctl_method_common(m)};

	for (size_t i = 0; i < PHX_ARRAY_LEN(lists); i++)
		for (const struct phx_ctl_param *p = lists[i]; p->name != NULL; p++)
			if (strcmp(p->name, name) == 0)
				return p;
	return NULL;
}

const char *phx_ctl_role_name(enum phx_ctl_role role)
{
	switch (role) {
	case PHX_CTL_RO:
		return "ro";
	case PHX_CTL_OP:
		return "op";
	case PHX_CTL_ADM:
		return "adm";
	}
	return "?";
}

// Edit distance (Wagner and Fischer, 1974) of two words of at most 63 bytes.
static size_t word_distance(const char *a, const char *b)
{
	size_t row[64];
	size_t la = strlen(a), lb = strlen(b);

	if (la >= PHX_ARRAY_LEN(row) || lb >= PHX_ARRAY_LEN(row))
		return PHX_ARRAY_LEN(row);
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);
			size_t grow = phx_min(row[j], row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = phx_min(change, grow);
		}
	}
	return row[lb];
}

const char *phx_ctl_nearest(const char *word, const char *const *words, size_t count)
{
	size_t best = phx_max(strlen(word) / 3, (size_t)1) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (words[i] == NULL)
			continue;
		size_t d = word_distance(word, words[i]);
		if (d < best) {
			best = d;
			found = words[i];
		}
	}
	return found;
}

static bool row_matches(json_t *row, json_t *filter)
{
	const char *key;
	json_t *want;

	json_object_foreach(filter, key, want)
	{
		json_t *have = json_object_get(row, key);

		if (json_is_string(want)) {
			if (!json_is_string(have) ||
				fnmatch(json_string_value(want), json_string_value(have), 0) != 0)
				return false;
		} else if (!json_equal(want, have)) {
			return false;
		}
	}
	return true;
}

json_t *phx_ctl_filter_rows(json_t *rows, json_t *filter)
{
	json_t *kept = json_array();
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (row_matches(row, filter))
			(void)json_array_append(kept, row); // a row lost without memory
	}
	return kept;
}

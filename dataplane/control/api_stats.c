// SPDX-License-Identifier: BSD-3-Clause
// The noun stats: sums of the workers' series. Control reads them without asking: counters are
// relaxed, single-writer, and a series that is readable does not change its meaning.
#include "dataplane/control/api.h"

#include "dataplane/core/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUANTILES_MAX 8

enum { KEY_APP = 1, KEY_SIDE = 2, KEY_SERVICE = 4, KEY_METHOD = 8, KEY_STATUS = 16 };

static const struct {
	const char *name;
	unsigned bit;
} keys[] = {
	{"app", KEY_APP},
	{"side", KEY_SIDE},
	{"service", KEY_SERVICE},
	{"method", KEY_METHOD},
	{"status", KEY_STATUS},
};

// Series with equal keys, of all workers.
struct group {
	char app[API_ID_BYTES];
	const char *side;
	char service[PHX_LIMIT_NAME_BYTES + 1];
	char method[PHX_LIMIT_NAME_BYTES + 1];
	uint64_t calls[PHX_CODE_COUNT], tx_bytes[PHX_CODE_COUNT], rx_bytes[PHX_CODE_COUNT];
	struct phx_hist latency;
};

struct groups {
	struct group **groups;
	size_t count, room;
	unsigned by;
};

static void key_of(
	const struct groups *gs, const struct stats *stats, uint32_t index, struct group *key)
{
	const struct stats_series *s = &stats->series[index];
	bool rest = index >= stats->capacity; // overflow or past: of many

	memset(key, 0, offsetof(struct group, calls));
	key->side = "";
	if ((gs->by & KEY_APP) != 0 && rest)
		(void)snprintf(
			key->app, sizeof(key->app), index == stats->capacity ? "overflow" : "past");
	else if ((gs->by & KEY_APP) != 0)
		(void)api_id(key->app, "app", s->app);
	if (rest)
		return;
	if ((gs->by & KEY_SIDE) != 0)
		key->side = s->side == STATS_CLIENT ? "client" : "server";
	if ((gs->by & KEY_SERVICE) != 0)
		memcpy(key->service, s->service, sizeof(key->service));
	if ((gs->by & KEY_METHOD) != 0)
		memcpy(key->method, s->method, sizeof(key->method));
}

static struct group *group_get(struct groups *gs, const struct group *key)
{
	struct group *g;

	for (size_t i = 0; i < gs->count; i++) {
		g = gs->groups[i];
		if (strcmp(g->app, key->app) == 0 && strcmp(g->side, key->side) == 0 &&
			strcmp(g->service, key->service) == 0 &&
			strcmp(g->method, key->method) == 0)
			return g;
	}
	if (gs->count == gs->room) {
		size_t room = gs->room == 0 ? 16 : gs->room * 2;
		struct group **more = realloc(gs->groups, room * sizeof(struct group *));

		if (more == NULL)
			return NULL;
		gs->groups = more;
		gs->room = room;
	}
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	memcpy(g, key, offsetof(struct group, calls));
	phx_hist_init(&g->latency);
	gs->groups[gs->count++] = g;
	return g;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static int add_series(struct groups *gs, const struct stats *stats, uint32_t index)
{
	const struct stats_series *s = &stats->series[index];
	struct group key, *g;

	if (phx_hist_count(&s->latency) == 0)
		return 0;
	key_of(gs, stats, index, &key);
	g = group_get(gs, &key);
	if (g == NULL)
		return -ENOMEM;
	for (unsigned c = 0; c < PHX_CODE_COUNT; c++) {
		g->calls[c] += load(&s->code[c].calls);
		g->tx_bytes[c] += load(&s->code[c].tx_bytes);
		g->rx_bytes[c] += load(&s->code[c].rx_bytes);
	}
	phx_hist_merge(&g->latency, &s->latency);
	return 0;
}

// ---- rows ----

static json_t *micros(uint64_t ns)
{
	return json_real((double)ns / 1000.0);
}

static void row_quantiles(json_t *row, const struct group *g, json_t *wanted)
{
	json_t *q;
	size_t i;

	if (wanted == NULL) {
		(void)json_object_set_new(
			row, "p50_us", micros(phx_hist_quantile(&g->latency, 0.5)));
		(void)json_object_set_new(
			row, "p99_us", micros(phx_hist_quantile(&g->latency, 0.99)));
		(void)json_object_set_new(
			row, "p999_us", micros(phx_hist_quantile(&g->latency, 0.999)));
		return;
	}
	json_array_foreach(wanted, i, q)
	{
		char name[32];

		(void)snprintf(name, sizeof(name), "q%g_us", json_number_value(q));
		(void)json_object_set_new(
			row, name, micros(phx_hist_quantile(&g->latency, json_number_value(q))));
	}
}

static json_t *row_json(const struct groups *gs, const struct group *g, const char *status,
	uint64_t calls, uint64_t tx, uint64_t rx)
{
	json_t *row = json_object();

	if ((gs->by & KEY_APP) != 0)
		(void)json_object_set_new(row, "app", json_string(g->app));
	if ((gs->by & KEY_SIDE) != 0)
		(void)json_object_set_new(row, "side", json_string(g->side));
	if ((gs->by & KEY_SERVICE) != 0)
		(void)json_object_set_new(row, "service", api_text(g->service));
	if ((gs->by & KEY_METHOD) != 0)
		(void)json_object_set_new(row, "method", api_text(g->method));
	if (status != NULL)
		(void)json_object_set_new(row, "status", json_string(status));
	(void)json_object_set_new(row, "calls_total", json_integer((json_int_t)calls));
	(void)json_object_set_new(row, "tx_bytes_total", json_integer((json_int_t)tx));
	(void)json_object_set_new(row, "rx_bytes_total", json_integer((json_int_t)rx));
	return row;
}

// Latencies are those of all codes of a group.
static void add_rows(
	const struct groups *gs, const struct group *g, json_t *quantiles, json_t *rows)
{
	uint64_t calls = 0, tx = 0, rx = 0, errors = 0;
	json_t *row;

	for (unsigned c = 0; c < PHX_CODE_COUNT; c++) {
		if ((gs->by & KEY_STATUS) != 0 && g->calls[c] != 0) {
			row = row_json(gs, g, phx_code_name(c), g->calls[c], g->tx_bytes[c],
				g->rx_bytes[c]);
			row_quantiles(row, g, quantiles);
			(void)json_array_append_new(rows, row);
		}
		calls += g->calls[c];
		tx += g->tx_bytes[c];
		rx += g->rx_bytes[c];
		errors += c != PHX_OK ? g->calls[c] : 0;
	}
	if ((gs->by & KEY_STATUS) != 0)
		return;
	row = row_json(gs, g, NULL, calls, tx, rx);
	(void)json_object_set_new(row, "errors_total", json_integer((json_int_t)errors));
	row_quantiles(row, g, quantiles);
	(void)json_array_append_new(rows, row);
}

static unsigned keys_wanted(const struct phx_ctl_call *call)
{
	json_t *by = json_object_get(phx_ctl_call_params(call), "group_by"), *name;
	unsigned bits = 0;
	size_t i;

	json_array_foreach(by, i, name)
	{
		for (size_t k = 0; k < PHX_ARRAY_LEN(keys); k++) {
			if (strcmp(json_string_value(name), keys[k].name) == 0)
				bits |= keys[k].bit;
		}
	}
	return bits != 0 ? bits : KEY_APP | KEY_SIDE | KEY_SERVICE | KEY_METHOD | KEY_STATUS;
}

void api_stats_get(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct groups gs = {.by = keys_wanted(call)};
	json_t *quantiles = json_object_get(phx_ctl_call_params(call), "quantiles");
	json_t *rows = json_array();
	int rc = 0;

	for (unsigned w = 0; w < api->config.worker_count && rc == 0; w++) {
		const struct stats *stats = api->config.workers[w]->calls;

		for (uint32_t i = 0; i < stats->capacity + 2 && rc == 0; i++) {
			if (stats_readable(stats, i))
				rc = add_series(&gs, stats, i);
		}
	}
	for (size_t i = 0; i < gs.count; i++) {
		add_rows(&gs, gs.groups[i], quantiles, rows);
		free(gs.groups[i]);
	}
	free(gs.groups);
	if (rc == 0) {
		api_rows(api, call, rows);
		return;
	}
	json_decref(rows);
	phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
}

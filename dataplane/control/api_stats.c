// SPDX-License-Identifier: BSD-3-Clause
// The noun stats: sums of the workers' series. Control reads them without asking: counters are
// relaxed, single-writer, and a series that is readable does not change its meaning.
#include "dataplane/control/api.h"

#include "dataplane/core/stats.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_APP, KEY_SIDE, KEY_SERVICE, KEY_METHOD, KEY_STATUS, KEY_COUNT };

static const char *const keys[KEY_COUNT] = {"app", "side", "service", "method", "status"};

// Series with equal keys, of all workers.
struct group {
	char app[API_ID_BYTES];
	const char *side;
	char service[PHX_LIMIT_NAME_BYTES + 1];
	char method[PHX_LIMIT_NAME_BYTES + 1];
	uint64_t calls[PHX_CODE_COUNT], tx_bytes[PHX_CODE_COUNT], rx_bytes[PHX_CODE_COUNT];
	struct phx_hist latency;
};

struct query {
	unsigned by;		       // bits of KEY_*
	const char *filter[KEY_COUNT]; // globs, NULL = all
	json_t *quantiles;	       // NULL: the usual ones
	json_t *names;		       // application -> [name, claimed name]
	json_t *index;		       // key text -> place in groups
	struct group **groups;
	size_t count, room;
};

static bool is_by(const struct query *q, unsigned key)
{
	return (q->by & 1u << key) != 0;
}

// ---- groups ----

// What the keys of a series are called; the overflow series and the past are of many.
static void names_of(const struct stats *stats, uint32_t index, char app[API_ID_BYTES],
	const char *names[KEY_STATUS])
{
	const struct stats_series *s = &stats->series[index];
	bool rest = index >= stats->capacity;

	if (rest)
		(void)snprintf(app, API_ID_BYTES, index == stats->capacity ? "overflow" : "past");
	else
		(void)api_id(app, "app", s->app);
	names[KEY_APP] = app;
	names[KEY_SIDE] = rest ? "" : s->side == STATS_CLIENT ? "client" : "server";
	names[KEY_SERVICE] = rest ? "" : s->service;
	names[KEY_METHOD] = rest ? "" : s->method;
}

static bool is_wanted(const struct query *q, const char *const names[KEY_STATUS])
{
	for (unsigned k = 0; k < KEY_STATUS; k++) {
		if (q->filter[k] != NULL && fnmatch(q->filter[k], names[k], 0) != 0)
			return false;
	}
	return true;
}

static int groups_grow(struct query *q)
{
	size_t room = q->room == 0 ? 16 : q->room * 2;
	struct group **more = realloc(q->groups, room * sizeof(struct group *));

	if (more == NULL)
		return -ENOMEM;
	q->groups = more;
	q->room = room;
	return 0;
}

static struct group *group_new(struct query *q, const char *const names[KEY_STATUS])
{
	struct group *g;

	if (q->count == q->room && groups_grow(q) != 0)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return NULL;
	(void)snprintf(g->app, sizeof(g->app), "%s", names[KEY_APP]);
	g->side = names[KEY_SIDE];
	(void)snprintf(g->service, sizeof(g->service), "%s", names[KEY_SERVICE]);
	(void)snprintf(g->method, sizeof(g->method), "%s", names[KEY_METHOD]);
	phx_hist_init(&g->latency);
	q->groups[q->count++] = g;
	return g;
}

static struct group *group_get(struct query *q, const char *const names[KEY_STATUS])
{
	char text[2 * (PHX_LIMIT_NAME_BYTES + 1) + 2 * API_ID_BYTES];
	size_t n = 0;
	json_t *at;

	for (unsigned k = 0; k < KEY_STATUS; k++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "%s\n", is_by(q, k) ? names[k] : ""); // fits
	at = json_object_get(q->index, text);
	if (at != NULL)
		return q->groups[json_integer_value(at)];
	if (json_object_set_new_nocheck(q->index, text, json_integer((json_int_t)q->count)) != 0)
		return NULL;
	return group_new(q, names);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static int add_series(struct query *q, const struct stats *stats, uint32_t index)
{
	const struct stats_series *s = &stats->series[index];
	const char *names[KEY_STATUS];
	char app[API_ID_BYTES];
	struct group *g;

	if (phx_hist_count(&s->latency) == 0)
		return 0;
	names_of(stats, index, app, names);
	if (!is_wanted(q, names))
		return 0;
	g = group_get(q, names);
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

// Eighths of a microsecond: such a number prints as short as it is.
static json_t *micros(uint64_t ns)
{
	return json_real((double)((ns + 62) / 125) / 8);
}

// 0.5 is p50_us, 0.999 p999_us, 0.05 p05_us, 1 p100_us: the digits behind the point, two at least.
static void quantile_name(double quantile, char *out, size_t size)
{
	char text[32];
	size_t len = (size_t)snprintf(text, sizeof(text), "%.9f", quantile); // 0 to 1: it fits

	while (len > strlen("0.00") && text[len - 1] == '0')
		len--;
	if (quantile >= 1 || quantile <= 0)
		(void)snprintf(out, size, quantile >= 1 ? "p100_us" : "p0_us");
	else
		(void)snprintf(
			out, size, "p%.*s_us", (int)(len - strlen("0.")), text + strlen("0."));
}

static void row_quantiles(const struct query *q, json_t *row, const struct group *g)
{
	json_t *quantile;
	size_t i;

	if (q->quantiles == NULL) {
		(void)json_object_set_new(
			row, "p50_us", micros(phx_hist_quantile(&g->latency, 0.5)));
		(void)json_object_set_new(
			row, "p99_us", micros(phx_hist_quantile(&g->latency, 0.99)));
		(void)json_object_set_new(
			row, "p999_us", micros(phx_hist_quantile(&g->latency, 0.999)));
		return;
	}
	json_array_foreach(q->quantiles, i, quantile)
	{
		double value = json_number_value(quantile);
		char name[32];

		quantile_name(value, name, sizeof(name));
		(void)json_object_set_new(row, name, micros(phx_hist_quantile(&g->latency, value)));
	}
}

static void row_keys(const struct query *q, json_t *row, const struct group *g)
{
	json_t *names = json_object_get(q->names, g->app);

	if (is_by(q, KEY_APP)) {
		(void)json_object_set_new(row, keys[KEY_APP], json_string(g->app));
		if (names != NULL)
			(void)json_object_update(row, names);
	}
	if (is_by(q, KEY_SIDE))
		(void)json_object_set_new(row, keys[KEY_SIDE], json_string(g->side));
	if (is_by(q, KEY_SERVICE))
		(void)json_object_set_new(row, keys[KEY_SERVICE], api_text(g->service));
	if (is_by(q, KEY_METHOD))
		(void)json_object_set_new(row, keys[KEY_METHOD], api_text(g->method));
}

// The codes [first, last] of a group that the filter leaves, added up; no row when there is none.
static void add_row(
	const struct query *q, json_t *rows, const struct group *g, unsigned first, unsigned last)
{
	uint64_t calls = 0, errors = 0, tx = 0, rx = 0;
	json_t *row;

	for (unsigned c = first; c <= last; c++) {
		if (q->filter[KEY_STATUS] != NULL &&
			fnmatch(q->filter[KEY_STATUS], phx_code_name(c), 0) != 0)
			continue;
		calls += g->calls[c];
		errors += c != PHX_OK ? g->calls[c] : 0;
		tx += g->tx_bytes[c];
		rx += g->rx_bytes[c];
	}
	if (calls == 0)
		return;
	row = json_object();
	row_keys(q, row, g);
	if (is_by(q, KEY_STATUS))
		(void)json_object_set_new(row, keys[KEY_STATUS], json_string(phx_code_name(first)));
	(void)json_object_set_new(row, "calls_total", json_integer((json_int_t)calls));
	(void)json_object_set_new(row, "errors_total", json_integer((json_int_t)errors));
	(void)json_object_set_new(row, "tx_bytes_total", json_integer((json_int_t)tx));
	(void)json_object_set_new(row, "rx_bytes_total", json_integer((json_int_t)rx));
	row_quantiles(q, row, g);
	(void)json_array_append_new(rows, row);
}

static json_t *rows_json(const struct query *q)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < q->count; i++) {
		for (unsigned c = 0; is_by(q, KEY_STATUS) && c < PHX_CODE_COUNT; c++)
			add_row(q, rows, q->groups[i], c, c);
		if (!is_by(q, KEY_STATUS))
			add_row(q, rows, q->groups[i], 0, PHX_CODE_COUNT - 1);
	}
	return rows;
}

// ---- the question ----

static unsigned key_bit(const char *name)
{
	for (unsigned k = 0; k < KEY_COUNT; k++) {
		if (strcmp(name, keys[k]) == 0)
			return 1u << k;
	}
	return 0;
}

static void query_init(struct query *q, struct api *api, const struct phx_ctl_call *call)
{
	json_t *params = phx_ctl_call_params(call), *name;
	json_t *filter = json_object_get(params, "filter");
	size_t i;

	*q = (struct query){
		.quantiles = json_object_get(params, "quantiles"),
		.names = api_app_names(api),
		.index = json_object(),
	};
	json_array_foreach(json_object_get(params, "group_by"), i, name)
	{
		q->by |= key_bit(json_string_value(name));
	}
	if (q->by == 0)
		q->by = (1u << KEY_COUNT) - 1;
	for (unsigned k = 0; k < KEY_COUNT; k++)
		q->filter[k] = json_string_value(json_object_get(filter, keys[k]));
}

static void query_fini(struct query *q)
{
	for (size_t i = 0; i < q->count; i++)
		free(q->groups[i]);
	free(q->groups);
	json_decref(q->index);
	json_decref(q->names);
}

void api_stats_get(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct query q;
	int rc = 0;

	query_init(&q, api, call);
	for (unsigned w = 0; w < api->config.worker_count && rc == 0; w++) {
		const struct stats *stats = api->config.workers[w]->calls;

		for (uint32_t i = 0; i < stats->capacity + 2 && rc == 0; i++) {
			if (stats_readable(stats, i))
				rc = add_series(&q, stats, i);
		}
	}
	if (rc == 0)
		api_rows_filtered(api, call, rows_json(&q));
	else
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
	query_fini(&q);
}

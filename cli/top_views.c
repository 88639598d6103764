// SPDX-License-Identifier: BSD-3-Clause
// Tables and arithmetic of top_views.h.
#include "cli/top_views.h"

#include "lib/base/clock.h"

#include <math.h>
#include <string.h>

#define COLUMNS(...) ((const struct phx_ctl_column[]){__VA_ARGS__, {.key = NULL}})
#define RATES(...)   ((const struct top_rate[]){__VA_ARGS__, {.from = NULL}})

const struct top_view top_views[TOP_VIEW_COUNT] =
	{
		[TOP_LCORES] =
			{
				.key = 'l',
				.method = "lcore.list",
				.keys = {"lcore"},
				.rates = RATES({"busy_ns_total", "busy_pct"},
					{"sleep_ns_total", "sleep_pct"}, {"work_total", "work_rps"},
					{"rounds_total", "rounds_rps"},
					{"sleeps_total", "sleeps_rps"}),
				.shape =
					{.name = "top.list",
						.list_key = "lcores",
						.columns =
							COLUMNS({"lcore", "LCORE"},
								{"role", "ROLE"}, {"cpus", "CPUS"},
								{"engines", "ENGINES"},
								{"busy_pct", "BUSY%"},
								{"sleep_pct", "SLEEP%"},
								{"work_rps", "WORK/S"}, {"rounds_rps", "ROUNDS/S"},
								{"sleeps_rps", "SLEEPS/S"})},
			},
		[TOP_ENGINES] =
			{
				.key = 'e',
				.method = "engine.list",
				.keys = {"engine"},
				.rates =
					RATES({"busy_ns_total", "busy_pct"},
						{"polls_total", "polls_rps"},
						{"work_total", "work_rps"},
						{"calls_total", "calls_rps"}),
				.shape =
					{.name = "top.list",
						.list_key = "engines",
						.columns =
							COLUMNS({"engine", "ENGINE"},
								{"kind", "KIND"},
								{"object", "OBJECT"},
								{"lcore", "LCORE"},
								{"state", "STATE"},
								{"busy_pct", "BUSY%"},
								{"work_rps", "WORK/S"}, {"calls_rps", "CALLS/S"})},
			},
		[TOP_APPS] =
			{
				.key = 'a',
				.method = "app.list",
				.keys = {"app"},
				.rates =
					RATES({"calls_total", "calls_rps"},
						{"errors_total", "errors_rps"},
						{"requests_total", "requests_rps"},
						{"replies_total", "replies_rps"}),
				.shape =
					{.name = "top.list",
						.list_key = "apps",
						.columns =
							COLUMNS({"app", "APP"}, {"name", "NAME"},
								{"claimed_name", "CLAIMED"},
								{"pid", "PID"}, {"lcore", "LCORE"},
								{"inflight", "INFLIGHT"},
								{"calls_rps", "CALLS/S"},
								{"errors_rps", "ERRORS/S"},
								{"requests_rps", "REQUESTS/S"},
								{"shm_bytes", "SHM"})},
			},
		[TOP_METHODS] =
			{
				.key = 'm',
				.method = "stats.get",
				.keys = {"app", "service", "method", "status"},
				.rates =
					RATES({"calls_total", "calls_rps"},
						{"tx_bytes_total", "tx_bytes_rps"},
						{"rx_bytes_total", "rx_bytes_rps"}),
				.shape =
					{.name = "top.list",
						.list_key = "methods",
						.columns =
							COLUMNS({"app", "APP"}, {"service", "SERVICE"}, {"method", "METHOD"},
								{"status", "STATUS"},
								{"calls_rps", "CALLS/S"},
								{"tx_bytes_rps", "TX_BYTES/S"},
								{"rx_bytes_rps", "RX_BYTES/S"},
								{"p50_us", "P50_US"},
								{"p99_us", "P99_US"})},
			},
};

static json_t *rows_of(const struct top_view *v, json_t *answer)
{
	return json_object_get(answer, phx_ctl_method_find(v->method)->list_key);
}

static bool same_row(const struct top_view *v, json_t *a, json_t *b)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(v->keys) && v->keys[i] != NULL; i++) {
		json_t *x = json_object_get(a, v->keys[i]), *y = json_object_get(b, v->keys[i]);

		if (x != y && !json_equal(x, y))
			return false;
	}
	return true;
}

static json_t *find_row(const struct top_view *v, json_t *rows, json_t *row)
{
	json_t *other;
	size_t i;

	json_array_foreach(rows, i, other)
	{
		if (same_row(v, row, other))
			return other;
	}
	return NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

static void add_rate(
	json_t *out, const struct top_rate *rate, json_t *before, json_t *now, uint64_t ns)
{
	json_t *a = json_object_get(before, rate->from), *b = json_object_get(now, rate->from);
	json_int_t change = json_integer_value(b) - json_integer_value(a);
	double share;

	if (!json_is_integer(a) || !json_is_integer(b) || change < 0 || ns == 0)
		return;
	share = (double)change / (double)ns;
	if (ends_with(rate->to, "_pct")) // a tenth of a percent; clocks differ a little
		(void)json_object_set_new(
			out, rate->to, json_real(fmin(round(share * 1000), 1000) / 10));
	else
		(void)json_object_set_new(out, rate->to,
			json_integer((json_int_t)llround(share * (double)PHX_NS_PER_S)));
}

json_t *top_rows(const struct top_view *v, json_t *before, json_t *now, uint64_t ns)
{
	json_t *out = json_array(), *row;
	size_t i;

	json_array_foreach(rows_of(v, now), i, row)
	{
		json_t *old = find_row(v, rows_of(v, before), row), *copy = json_object();

		for (const struct phx_ctl_column *c = v->shape.columns; c->key != NULL; c++)
			(void)json_object_set(copy, c->key, json_object_get(row, c->key));
		for (const struct top_rate *r = v->rates; r->from != NULL; r++)
			add_rate(copy, r, old, row, ns);
		(void)json_array_append_new(out, copy); // best effort
	}
	return out;
}

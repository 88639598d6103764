// SPDX-License-Identifier: BSD-3-Clause
// The noun stats, single calls: one in 1,024 is stamped at its stages, the last of each worker are
// kept (core/stats.h).
#include "dataplane/control/api.h"

#include "dataplane/core/stats.h"
#include "lib/base/clock.h"

#include <stdlib.h>
#include <time.h>

struct sample {
	struct stats_sample_view view;
	const struct worker *worker;
};

static uint64_t wall_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); // cannot fail for this clock
	return (uint64_t)ts.tv_sec * PHX_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->view.at[0] > y->view.at[0]) - (x->view.at[0] < y->view.at[0]);
}

// Nanoseconds from the first stage; null: the call never got there.
static json_t *stage_json(const struct stats_sample_view *v, unsigned stage)
{
	return v->at[stage] != 0 ? json_integer((json_int_t)(v->at[stage] - v->at[0]))
				 : json_null();
}

static json_t *sample_json(const struct sample *s, uint64_t wall_minus_mono)
{
	static const char *const client[STATS_STAGES] = {
		NULL, "sent_ns", "reply_ns", "complete_ns"};
	static const char *const server[STATS_STAGES] = {
		NULL, "delivered_ns", "replied_ns", "released_ns"};
	const struct stats_sample_view *v = &s->view;
	const struct stats_series *series = v->series;
	bool rest = series == stats_overflow(s->worker->calls);
	bool is_client = series->side == STATS_CLIENT;
	json_t *row = json_pack("{s:o, s:s, s:o, s:o, s:s, s:i, s:o}", "app",
		rest ? json_string("overflow") : api_id_json("app", v->app), "side",
		rest	    ? ""
		: is_client ? "client"
			    : "server",
		"service", api_text(series->service), "method", api_text(series->method), "status",
		phx_code_name(v->code), "lcore", (int)s->worker->lcore, "sampled_at",
		phx_ctl_wall_time(v->at[0] + wall_minus_mono));

	for (unsigned i = 1; i < STATS_STAGES; i++)
		(void)json_object_set_new(row, is_client ? client[i] : server[i], stage_json(v, i));
	return row;
}

void api_stats_samples(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	uint64_t wall_minus_mono = wall_ns() - phx_clock_ns();
	struct sample *samples =
		calloc((size_t)api->config.worker_count * STATS_SAMPLES, sizeof(*samples));
	json_t *rows = json_array();
	size_t count = 0;

	if (samples == NULL) {
		json_decref(rows);
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
		return;
	}
	for (unsigned w = 0; w < api->config.worker_count; w++) {
		for (uint32_t i = 0; i < STATS_SAMPLES; i++) {
			samples[count].worker = api->config.workers[w];
			if (stats_sample_read(
				    samples[count].worker->calls, i, &samples[count].view))
				count++;
		}
	}
	qsort(samples, count, sizeof(*samples), by_time);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(rows, sample_json(&samples[i], wall_minus_mono));
	free(samples);
	api_rows(api, call, rows);
}

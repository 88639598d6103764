// SPDX-License-Identifier: BSD-3-Clause
// Records of traced calls as rows: what was done, on which side, how long it took. The parts add up
// to the whole, since each is the time between two stamps of the client's clock, but for what the
// server's dataplane tells of its own part: the rest of the time that the call was away is shown as
// network. Works with api_trace.c.
#include "dataplane/control/api_trace.h"

#include "lib/base/clock.h"

#include <time.h>

// Two clocks may differ by so much of the time measured; more is not believed.
#define CLOCKS_DIFFER 1000

struct stages {
	json_t *rows;
	uint64_t at_ns;
};

static void add(struct stages *s, const char *side, const char *stage, uint64_t took_ns)
{
	(void)json_array_append_new(
		s->rows, json_pack("{s:s, s:s, s:I, s:I}", "side", side, "stage", stage, "at_ns",
				 (json_int_t)s->at_ns, "took_ns", (json_int_t)took_ns));
	s->at_ns += took_ns;
}

// From the hand-over to the link until the status.
static void add_away(struct stages *s, const struct trace_record *r, uint64_t took_ns)
{
	static const char *const names[PHX_TRACE_COUNT] = {
		[PHX_TRACE_COMPLETE] = "receive",
		[PHX_TRACE_DELIVERED] = "deliver",
		[PHX_TRACE_REPLIED] = "application",
		[PHX_TRACE_CHAINED] = "chain",
		[PHX_TRACE_SENT] = "send",
	};
	uint64_t there_ns = r->server[PHX_TRACE_SENT], before = 0;

	if (!r->has_server || there_ns > took_ns + took_ns / CLOCKS_DIFFER) {
		add(s, "server", "remote", took_ns);
		return;
	}
	add(s, "network", "both ways", took_ns > there_ns ? took_ns - there_ns : 0);
	for (unsigned i = 0; i < PHX_TRACE_COUNT; i++) {
		add(s, "server", names[i], r->server[i] - before);
		before = r->server[i];
	}
}

// A stage that was not reached was under way until the next one that was.
static void add_all(struct stages *s, const struct trace_record *r)
{
	static const char *const names[TRACE_STAGES] = {
		[TRACE_TAKEN] = "submit",
		[TRACE_ADMITTED] = "wait",
		[TRACE_PACKED] = "pack",
		[TRACE_CHAINED] = "chain",
		[TRACE_SENT] = "send",
		[TRACE_DELIVERED] = "complete",
	};
	uint64_t before = r->at[TRACE_SUBMITTED];
	unsigned i, stage = TRACE_TAKEN;

	for (i = TRACE_TAKEN; i < TRACE_STAGES; i++) {
		uint64_t now = phx_max(r->at[i], before);

		if (r->at[i] == 0)
			continue;
		if (stage == TRACE_RECEIVED)
			add_away(s, r, now - before);
		else
			add(s, "client", names[stage], now - before);
		before = now;
		stage = i + 1;
	}
}

static json_t *call_json(const struct trace_record *r, uint64_t wall_minus_mono)
{
	struct stages s = {.rows = json_array()};
	uint64_t total = r->at[TRACE_DELIVERED] - r->at[TRACE_SUBMITTED];
	json_t *row = json_pack("{s:o, s:o, s:o, s:s, s:i, s:o, s:I}", "app",
		api_id_json("app", r->app), "service", api_text(r->service), "method",
		api_text(r->method), "status", phx_code_name(r->code), "lcore", (int)r->lcore,
		"started_at", phx_ctl_wall_time(r->at[TRACE_SUBMITTED] + wall_minus_mono),
		"total_ns", (json_int_t)total);

	if (r->at[TRACE_SENT] != 0) {
		(void)json_object_set_new(row, "link", api_link_id(r->link, r->link_local));
		(void)json_object_set_new(row, "peer", api_text(r->peer));
	}
	add_all(&s, r);
	(void)json_object_set_new(row, "stages", s.rows);
	return row;
}

json_t *api_trace_calls(const struct trace *trace)
{
	struct timespec ts;
	json_t *rows = json_array();
	uint64_t wall_minus_mono;

	(void)clock_gettime(CLOCK_REALTIME, &ts); // cannot fail for this clock
	wall_minus_mono =
		(uint64_t)ts.tv_sec * PHX_NS_PER_S + (uint64_t)ts.tv_nsec - phx_clock_ns();
	for (uint32_t i = 0; i < trace->count; i++) {
		if (trace->record[i].ended)
			(void)json_array_append_new(
				rows, call_json(&trace->record[i], wall_minus_mono));
	}
	return rows;
}

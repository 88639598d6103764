// SPDX-License-Identifier: BSD-3-Clause
// The noun lcore: threads of this dataplane and what they do. Counters of core/worker.
#include "dataplane/control/api.h"

#include <rte_lcore.h>
#include <stdio.h>

// "0-3,7"
static json_t *cpus_json(unsigned lcore)
{
	rte_cpuset_t set = rte_lcore_cpuset(lcore);
	char text[256] = "";
	size_t n = 0;
	int cpu, last;

	for (cpu = 0; cpu < CPU_SETSIZE && n < sizeof(text) - 16; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		for (last = cpu; last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set);)
			last++;
		n += (size_t)snprintf(text + n, sizeof(text) - n, n == 0 ? "%d" : ",%d", cpu);
		if (last != cpu)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "-%d", last);
		cpu = last;
	}
	return json_string(text);
}

static json_t *worker_row(const struct worker *w)
{
	const struct worker_stats *s = &w->stats;
	uint64_t idle = atomic_load_explicit(&s->idle_rounds, memory_order_relaxed);
	uint64_t rounds = atomic_load_explicit(&s->rounds, memory_order_relaxed);
	uint64_t work = atomic_load_explicit(&s->work, memory_order_relaxed);
	json_t *row = json_pack("{s:i, s:s, s:o, s:b}", "lcore", (int)w->lcore, "role", "worker",
		"cpus", cpus_json(w->lcore), "pinned", w->pinned);

	(void)json_object_set_new(row, "engines", api_counter(&s->sources));
	(void)json_object_set_new(row, "rounds_total", api_counter(&s->rounds));
	(void)json_object_set_new(row, "idle_rounds_total", api_counter(&s->idle_rounds));
	(void)json_object_set_new(row, "work_total", api_counter(&s->work));
	(void)json_object_set_new(row, "busy_ns_total", api_counter(&s->busy_ns));
	(void)json_object_set_new(row, "sleep_ns_total", api_counter(&s->sleep_ns));
	(void)json_object_set_new(row, "yields_total", api_counter(&s->yields));
	(void)json_object_set_new(row, "sleeps_total", api_counter(&s->sleeps));
	(void)json_object_set_new(row, "wakeups_total", api_counter(&s->wakeups));
	(void)json_object_set_new(row, "longest_poll_ns", api_counter(&s->longest_poll_ns));
	(void)json_object_set_new(
		row, "work_per_poll", api_ratio(work, rounds > idle ? rounds - idle : 0));
	(void)json_object_set_new(row, "ns_per_work",
		api_ratio(atomic_load_explicit(&s->busy_ns, memory_order_relaxed), work));
	return row;
}

// The control thread has no rounds and no engines.
static json_t *control_row(void)
{
	unsigned lcore = rte_get_main_lcore();

	return json_pack("{s:i, s:s, s:o, s:b, s:i}", "lcore", (int)lcore, "role", "control",
		"cpus", cpus_json(lcore), "pinned", 0, "engines", 0);
}

void api_lcore_list(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	json_t *rows = json_array();
	unsigned i;

	(void)json_array_append_new(rows, control_row());
	for (i = 0; i < api->config.worker_count; i++)
		(void)json_array_append_new(rows, worker_row(api->config.workers[i]));
	api_rows(api, call, rows);
}

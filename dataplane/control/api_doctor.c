// SPDX-License-Identifier: BSD-3-Clause
// system.doctor of this dataplane: what its environment gave it.
#include "dataplane/control/api.h"

#include <rte_eal.h>
#include <rte_malloc.h>
#include <stdio.h>

#define TEXT_BYTES 96

static json_t *row(const char *id, const char *found, const char *needed, const char *fix)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "level", "ok", "found", found,
		"needed", needed, "fix", fix);
}

static json_t *memory_row(void)
{
	size_t total = 0;
	char found[TEXT_BYTES];

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		struct rte_malloc_socket_stats stats;

		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			total += stats.heap_totalsz_bytes;
	}
	(void)snprintf(found, sizeof(found), "%zu MiB of %s pages", total >> 20,
		rte_eal_has_hugepages() != 0 ? "huge" : "ordinary");
	return row("memory", found, "memory for pools; huge pages are optional", "");
}

static json_t *workers_row(const struct api *api)
{
	char found[TEXT_BYTES];
	unsigned pinned = 0;

	for (unsigned i = 0; i < api->config.worker_count; i++)
		pinned += api->config.workers[i]->pinned;
	(void)snprintf(
		found, sizeof(found), "%u, %u of them pinned", api->config.worker_count, pinned);
	return row("workers", found, "1",
		pinned > 0 ? "" : "optional: phoenix-dataplane -l 0-1 -- pins one to CPU 1");
}

void api_system_doctor(void *arg, struct phx_ctl_call *call)
{
	const struct api *api = arg;

	phx_ctl_call_reply(call, json_pack("{s:s, s:[o, o]}", "version", PHX_VERSION, "checks",
					 memory_row(), workers_row(api)));
}

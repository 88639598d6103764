// SPDX-License-Identifier: BSD-3-Clause
// The noun system: this dataplane as a whole, and what an operator should know about it. The
// control plane shows it as a part of its own status.
#include "dataplane/control/api.h"

#include "dataplane/core/stats.h"
#include "dataplane/policyhost/policyhost.h"
#include "lib/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

PHX_PRINTF(4, 5)
static void warn(json_t *warnings, const char *id, const char *hint, const char *fmt, ...)
{
	char text[PHX_CTL_ERROR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); // cut when longer
	va_end(ap);
	(void)json_array_append_new(warnings,
		json_pack("{s:s, s:o, s:s}", "id", id, "text", api_text(text), "hint", hint));
}

static void listener_warning(void *arg, const struct host_listener_info *info)
{
	if (!info->listening)
		warn(arg, "listener_down", "another program may have the address",
			"listener %s cannot listen on %s: %s", info->name, info->address,
			info->error);
}

struct peers {
	json_t *warnings;
	int count;
};

static void peer_warning(void *arg, const struct host_peer_info *info)
{
	struct peers *p = arg;

	p->count++;
	if (strcmp(info->state, "backoff") == 0)
		warn(p->warnings, "peer_down", "phoenix-cli link list", "peer %s is not there: %s",
			info->address, info->error);
}

static void attach_warnings(const struct attach_server *a, json_t *warnings)
{
	unsigned long long versions = a->stats.disconnects[PHX_REASON_HELLO_VERSION];

	if (a->draining)
		warn(warnings, "draining", "phoenix-cli system drain resume yes",
			"the host is drained: no application attaches and no call begins");
	if (versions != 0)
		warn(warnings, "version_mismatch", "phoenix-cli app history",
			"applications with another version of libphoenix were refused, %llu times",
			versions);
	if (a->stats.out_of_files != 0)
		warn(warnings, "out_of_files", "raise LimitNOFILE of the dataplane",
			"connections were dropped for want of descriptors, %llu times",
			(unsigned long long)a->stats.out_of_files);
	if (a->config.chains != NULL && policyhost_trusts_refused(a->config.chains) != 0)
		warn(warnings, "peer_schemas", "phoenix-cli link list",
			"schemas of serving sides were not kept, %llu times: policies could not "
			"judge by fields",
			(unsigned long long)policyhost_trusts_refused(a->config.chains));
	if (a->budget.refused != 0)
		warn(warnings, "app_memory", "phoenix-cli mem get",
			"shared memory was refused %llu times, %llu of %llu bytes are in use",
			(unsigned long long)a->budget.refused, (unsigned long long)a->budget.used,
			(unsigned long long)a->budget.limit);
}

static void worker_warnings(const struct worker *w, json_t *warnings)
{
	uint64_t blocks = atomic_load_explicit(&w->memory.refused, memory_order_relaxed);
	uint64_t series = atomic_load_explicit(&w->calls->refused, memory_order_relaxed);

	if (blocks != 0)
		warn(warnings, "message_memory", "phoenix-cli mem get",
			"worker %u had no memory for messages, %llu times", w->index,
			(unsigned long long)blocks);
	if (series != 0)
		warn(warnings, "series_full", "phoenix-cli stats get",
			"worker %u has more series than places, %llu count as overflow", w->index,
			(unsigned long long)series);
}

static void count_app(void *arg, const struct attach_info *info)
{
	*(int *)arg += api_is_app(info);
}

static int services_up(const struct service_set *set)
{
	int count = 0;

	for (uint32_t i = 0; i < set->count; i++)
		count += set->entries[i].instance_count != 0;
	return count;
}

static const char *state_name(const struct api *api)
{
	if (api->document == NULL)
		return "startup";
	return api->config.attach->draining ? "draining" : "running";
}

void api_system_status(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	const struct api_config *c = &api->config;
	struct peers peers = {.warnings = json_array()};
	int apps = 0;

	if (api->document == NULL)
		warn(peers.warnings, "no_rules", "start phoenix-controlplane",
			"there are no rules yet, applications are not attached");
	attach_server_each(c->attach, count_app, &apps);
	attach_warnings(c->attach, peers.warnings);
	host_listeners_each(c->host, listener_warning, peers.warnings);
	host_peers_each(c->host, peer_warning, &peers);
	for (unsigned i = 0; i < c->worker_count; i++)
		worker_warnings(c->workers[i], peers.warnings);
	phx_ctl_call_reply(call,
		json_pack("{s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:o}", "state", state_name(api),
			"version", PHX_VERSION, "uptime_ms",
			(json_int_t)((phx_clock_ns() - api->started_ns) / PHX_NS_PER_MS), "apps",
			apps, "services", services_up(registry_set(c->registry)), "peers",
			peers.count, "workers", (int)c->worker_count, "warnings", peers.warnings));
}

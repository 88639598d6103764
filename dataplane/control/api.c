// SPDX-License-Identifier: BSD-3-Clause
// The binding table of dataplane.sock, its place in the control loop, and what nouns share.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_BYTES 256

static const struct phx_ctl_binding bindings[] = {
	{"event.poll", api_event_poll},
	{"flow.channel", api_flow_channel},
	{"flow.host", api_flow_host},
	{"flow.link", api_flow_link},
	{"flow.listeners", api_flow_listeners},
	{"system.doctor", api_system_doctor},
	{"rules.get", api_rules_get},
	{"rules.push", api_rules_push},
	{"app.list", api_app_list},
	{"app.get", api_app_get},
	{"app.history", api_app_history},
	{"app.detach", api_app_detach},
	{"channel.list", api_channel_list},
	{"channel.get", api_channel_get},
	{"engine.list", api_engine_list},
	{"link.list", api_link_list},
	{"link.get", api_link_get},
	{"log.get", api_log_get},
	{"log.set", api_log_set},
	{"mem.get", api_mem_get},
	{"stats.get", api_stats_get},
	{"stats.samples", api_stats_samples},
	{"service.list", api_service_list},
	{"lcore.list", api_lcore_list},
	{"system.status", api_system_status},
	{"placement.list", api_placement_list},
	{"placement.rebalance", api_placement_rebalance},
	{"placement.set", api_placement_set},
	{"trace.rpc_get", api_trace_rpc_get},
	{"trace.rpc_start", api_trace_rpc_start},
	{"trace.rpc_stop", api_trace_rpc_stop},
	{NULL, NULL},
};

static void api_ready(struct ctl_source *source, uint32_t events)
{
	(void)events;
	// The loop comes back while there is work.
	(void)phx_ctl_server_process(phx_container_of(source, struct api, source)->server);
}

int api_create(const struct api_config *config, struct phx_ctl_document *take_document,
	struct api **out_api)
{
	struct phx_ctl_server_options options = {
		.path = config->path,
		.mode = 0600,
		.own_uid_only = true,
		.bindings = bindings,
	};
	struct api *api = calloc(1, sizeof(*api));
	char why[WHY_BYTES] = "out of memory";
	int rc;

	if (api == NULL) {
		phx_ctl_document_destroy(take_document);
		return -ENOMEM;
	}
	api->config = *config;
	api->document = take_document;
	api->source.fd = -1;
	api->started_ns = phx_clock_ns();
	phx_list_init(&api->gathers);
	phx_list_init(&api->rebalances);
	options.arg = api;
	rc = phx_ctl_server_create(&options, &api->server, why, sizeof(why));
	if (rc == 0) {
		api->source = (struct ctl_source){phx_ctl_server_fd(api->server), api_ready};
		rc = ctl_add(config->loop, &api->source, EPOLLIN);
	} else {
		phx_log_err("api", "%s", why);
	}
	if (rc != 0) {
		api->source.fd = -1;
		api_destroy(api);
		return rc;
	}
	*out_api = api;
	return 0;
}

void api_destroy(struct api *api)
{
	if (api == NULL)
		return;
	ctl_del(api->config.loop, &api->source);
	api_placement_drop(api);
	api_trace_drop(api);
	phx_ctl_server_destroy(api->server);
	gather_drop_all(&api->gathers);
	phx_ctl_document_destroy(api->document);
	free(api);
}

const char *api_id(char text[API_ID_BYTES], const char *noun, uint64_t id)
{
	(void)snprintf(text, API_ID_BYTES, "%s-%llu", noun, (unsigned long long)id);
	return text;
}

json_t *api_id_json(const char *noun, uint64_t id)
{
	char text[API_ID_BYTES];

	return json_string(api_id(text, noun, id));
}

json_t *api_text(const char *text)
{
	char plain[512];
	json_t *json = json_string(text);
	size_t i;

	if (json != NULL)
		return json;
	(void)snprintf(plain, sizeof(plain), "%s", text); // cut off when long
	for (i = 0; plain[i] != '\0'; i++) {
		if ((plain[i] & 0x80) != 0)
			plain[i] = '?';
	}
	return json_string(plain);
}

json_t *api_ratio(uint64_t a, uint64_t b)
{
	return json_real(b == 0 ? 0 : (double)(a * 100 / b) / 100);
}

json_t *api_counter(const _Atomic uint64_t *counter)
{
	return json_integer((json_int_t)atomic_load_explicit(counter, memory_order_relaxed));
}

static uint64_t generation_of(const struct api *api)
{
	return api->document != NULL ? api->document->generation : 0;
}

void api_rows(struct api *api, struct phx_ctl_call *call, json_t *take_rows)
{
	phx_ctl_call_rows(call, phx_ctl_call_method(call)->list_key, take_rows, generation_of(api));
}

void api_rows_filtered(struct api *api, struct phx_ctl_call *call, json_t *take_rows)
{
	phx_ctl_call_reply(call,
		json_pack("{s:o, s:o, s:n}", phx_ctl_call_method(call)->list_key, take_rows,
			"generation", json_sprintf("%llu", (unsigned long long)generation_of(api)),
			"next"));
}

// SPDX-License-Identifier: BSD-3-Clause
// The server on dataplane.sock: rules from the control plane, and what this dataplane knows, one
// noun a file (api_<noun>.c). Control thread; what workers own is asked of them (gather.h).
#pragma once

#include "dataplane/control/api_event.h"
#include "dataplane/control/loop.h"
#include "dataplane/core/registry.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/attach_server.h"
#include "dataplane/frontend/rules.h"
#include "dataplane/link/host.h"
#include "lib/ctl/document.h"
#include "lib/ctl/server.h"

#define API_ID_BYTES 32 // "app-18446744073709551615"

struct api_config {
	struct ctl_loop *loop;
	const char *path; // of the socket
	struct worker **workers;
	unsigned worker_count;
	struct rules *rules;
	struct registry *registry;
	struct attach_server *attach;
	struct host *host;
	struct api_events *events;
	uint8_t uuid[16]; // of this instance
	// The document came with --standalone: pushes are refused.
	bool standalone;
	// Another document is in force; it stays valid until the next one was told.
	void (*document_changed)(void *arg, const struct phx_ctl_document *document);
	// End the program.
	void (*shutdown)(void *arg);
	void *document_arg; // of both
};

struct api_trace;

struct api {
	struct api_config config;
	struct phx_ctl_server *server;
	struct ctl_source source;
	struct phx_ctl_document *document; // in force, NULL = none; owned
	struct phx_list gathers;	   // struct gather.node: questions to workers
	struct phx_list rebalances;	   // struct rebalance.node of api_placement.c
	struct api_trace *trace;	   // of api_trace.c, NULL = there was none yet
	uint64_t started_ns;
};

// Serve. take_document (may be NULL) is the one in force, owned from now on, also on failure. What
// phx_ctl_server_create() returned, with the reason logged.
int api_create(const struct api_config *config, struct phx_ctl_document *take_document,
	struct api **out_api);
// When no worker runs any more; open questions are answered UNAVAILABLE. NULL is legal.
void api_destroy(struct api *api);

// ---- for the nouns ----

// "app-3" into text; returns it.
const char *api_id(char text[API_ID_BYTES], const char *noun, uint64_t id);
// The same as a new string.
json_t *api_id_json(const char *noun, uint64_t id);
// Text that somebody else chose, as a string: bytes that are not UTF-8 become '?'.
json_t *api_text(const char *text);
// A relaxed counter.
json_t *api_counter(const _Atomic uint64_t *counter);
// a / b with two decimals, 0 when b is. NULL: no memory.
json_t *api_ratio(uint64_t a, uint64_t b);
// Answer a list sorted as it is, under the method's list_key.
void api_rows(struct api *api, struct phx_ctl_call *call, json_t *take_rows);
// The same for rows that the noun has filtered already.
void api_rows_filtered(struct api *api, struct phx_ctl_call *call, json_t *take_rows);

// The row of an application, as `app list` shows it.
json_t *api_app_row(const struct api *api, const struct attach_info *info);

// New reference: {"app-3": {name, claimed_name}} of attached applications and those that have
// ended.
json_t *api_app_names(struct api *api);
// The id of a link.
json_t *api_link_id(uint64_t id, bool local);
// Connections that no rule has let in are no applications.
bool api_is_app(const struct attach_info *info);

// The application that the parameter "app" means: an id, a name given by the rules, or a claimed
// name that only one has. False: answered.
bool api_app_find(struct api *api, struct phx_ctl_call *call, uint64_t *out_id);

// Handlers; arg is struct api.
void api_event_poll(void *arg, struct phx_ctl_call *call);
void api_flow_channel(void *arg, struct phx_ctl_call *call);
void api_flow_host(void *arg, struct phx_ctl_call *call);
void api_flow_link(void *arg, struct phx_ctl_call *call);
void api_flow_listeners(void *arg, struct phx_ctl_call *call);
void api_rules_get(void *arg, struct phx_ctl_call *call);
void api_rules_push(void *arg, struct phx_ctl_call *call);
void api_app_list(void *arg, struct phx_ctl_call *call);
void api_app_detach(void *arg, struct phx_ctl_call *call);
void api_service_list(void *arg, struct phx_ctl_call *call);
void api_log_get(void *arg, struct phx_ctl_call *call);
void api_log_set(void *arg, struct phx_ctl_call *call);
void api_system_doctor(void *arg, struct phx_ctl_call *call);
void api_lcore_list(void *arg, struct phx_ctl_call *call);
void api_app_get(void *arg, struct phx_ctl_call *call);
void api_app_history(void *arg, struct phx_ctl_call *call);
void api_channel_get(void *arg, struct phx_ctl_call *call);
void api_channel_list(void *arg, struct phx_ctl_call *call);
void api_engine_list(void *arg, struct phx_ctl_call *call);
void api_link_get(void *arg, struct phx_ctl_call *call);
void api_link_list(void *arg, struct phx_ctl_call *call);
void api_mem_get(void *arg, struct phx_ctl_call *call);
void api_stats_get(void *arg, struct phx_ctl_call *call);
void api_stats_samples(void *arg, struct phx_ctl_call *call);
void api_system_status(void *arg, struct phx_ctl_call *call);
void api_placement_list(void *arg, struct phx_ctl_call *call);
void api_placement_set(void *arg, struct phx_ctl_call *call);
void api_placement_rebalance(void *arg, struct phx_ctl_call *call);
void api_trace_rpc_get(void *arg, struct phx_ctl_call *call);
void api_trace_rpc_start(void *arg, struct phx_ctl_call *call);
void api_trace_rpc_stop(void *arg, struct phx_ctl_call *call);
// Forget the trace; no worker runs any more.
void api_trace_drop(struct api *api);
// End rebalances that are under way.
void api_placement_drop(struct api *api);

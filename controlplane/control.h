// SPDX-License-Identifier: BSD-3-Clause
// What the noun files share: the control plane as a whole, and the answer to a mutation.
#pragma once

#include "controlplane/events.h"
#include "controlplane/job.h"
#include "controlplane/reconcile.h"
#include "controlplane/state.h"
#include "lib/ctl/server.h"

struct control {
	struct loop *loop;
	struct state state;
	struct jobs jobs;
	struct phx_list traces; // of noun_trace.c
	struct reconcile *reconcile;
	struct events events;
	const char *statedir;	 // of the journal
	const char *config_path; // of config.save without a path
	uint64_t started_ns;
};

// Handlers, one noun a file; arg is struct control.
void noun_app_rule_list(void *arg, struct phx_ctl_call *call);
void noun_app_rule_set(void *arg, struct phx_ctl_call *call);
void noun_app_rule_del(void *arg, struct phx_ctl_call *call);
void noun_service_rule_list(void *arg, struct phx_ctl_call *call);
void noun_service_rule_set(void *arg, struct phx_ctl_call *call);
void noun_service_rule_del(void *arg, struct phx_ctl_call *call);
void noun_listener_list(void *arg, struct phx_ctl_call *call);
void noun_listener_add(void *arg, struct phx_ctl_call *call);
void noun_listener_set(void *arg, struct phx_ctl_call *call);
void noun_listener_del(void *arg, struct phx_ctl_call *call);
void noun_log_get(void *arg, struct phx_ctl_call *call);
void noun_log_set(void *arg, struct phx_ctl_call *call);
void noun_peer_list(void *arg, struct phx_ctl_call *call);
void noun_peer_add(void *arg, struct phx_ctl_call *call);
void noun_peer_set(void *arg, struct phx_ctl_call *call);
void noun_peer_del(void *arg, struct phx_ctl_call *call);
void noun_cluster_list(void *arg, struct phx_ctl_call *call);
void noun_cluster_get(void *arg, struct phx_ctl_call *call);
void noun_cluster_add(void *arg, struct phx_ctl_call *call);
void noun_cluster_set(void *arg, struct phx_ctl_call *call);
void noun_cluster_del(void *arg, struct phx_ctl_call *call);
void noun_config_get(void *arg, struct phx_ctl_call *call);
void noun_config_save(void *arg, struct phx_ctl_call *call);
void noun_config_load(void *arg, struct phx_ctl_call *call);
void noun_config_diff(void *arg, struct phx_ctl_call *call);
void noun_config_validate(void *arg, struct phx_ctl_call *call);
void noun_event_history(void *arg, struct phx_ctl_call *call);
void noun_event_subscribe(void *arg, struct phx_ctl_call *call);
void noun_event_unsubscribe(void *arg, struct phx_ctl_call *call);
void noun_job_get(void *arg, struct phx_ctl_call *call);
void noun_job_list(void *arg, struct phx_ctl_call *call);
void noun_job_wait(void *arg, struct phx_ctl_call *call);
void noun_channel_close(void *arg, struct phx_ctl_call *call);
void noun_link_close(void *arg, struct phx_ctl_call *call);
void noun_system_drain(void *arg, struct phx_ctl_call *call);
void noun_system_shutdown(void *arg, struct phx_ctl_call *call);
void noun_system_doctor(void *arg, struct phx_ctl_call *call);
void noun_system_status(void *arg, struct phx_ctl_call *call);
void noun_system_version(void *arg, struct phx_ctl_call *call);
void noun_trace_rpc(void *arg, struct phx_ctl_call *call);
// Give up traces that are waited for; the connection to the dataplane is closed.
void noun_trace_drop(struct control *c);
// Methods that the dataplane answers.
void noun_forward(void *arg, struct phx_ctl_call *call);
void noun_forward_aside(void *arg, struct phx_ctl_call *call); // where the answer takes its time

// The table for control.sock.
extern const struct phx_ctl_binding control_bindings[];

// One line to the log for every change and every refused change.
void control_audit(void *arg, const struct phx_ctl_call *call, int error_code);

// Commit changes (taken) under the call's dry_run and if_generation, answer, push.
void control_commit(struct control *c, struct phx_ctl_call *call, json_t *take_changes);

// The same, with further members of the answer (taken).
void control_commit_with(
	struct control *c, struct phx_ctl_call *call, json_t *take_changes, json_t *take_result);

// Ask the dataplane in the name of the call; done gets the call and answers it. When the
// dataplane is down the call is answered so.
void control_request(struct control *c, struct phx_ctl_call *call, const char *method,
	json_t *params, phx_ctl_done_fn done);

// End the program once what has been answered is sent.
void control_stop(struct control *c);

// Add, change or remove one named object under "KIND/NAME".
void control_object_list(struct control *c, struct phx_ctl_call *call, const char *kind);
void control_object_get(struct control *c, struct phx_ctl_call *call, const char *kind);
void control_object_add(struct control *c, struct phx_ctl_call *call, const char *kind);
void control_object_set(struct control *c, struct phx_ctl_call *call, const char *kind);
void control_object_del(struct control *c, struct phx_ctl_call *call, const char *kind);
// Answer NOT_FOUND with the names that are near.
void control_not_found(
	struct phx_ctl_call *call, const char *kind, const char *name, json_t *names);
// New reference: the params without the common ones and `before`.
json_t *control_object_of(const struct phx_ctl_call *call);

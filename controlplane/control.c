// SPDX-License-Identifier: BSD-3-Clause
// The binding table and what mutations have in common.
#include "controlplane/control.h"

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/ctl/methods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct phx_ctl_binding control_bindings[] = {
	{"system.doctor", noun_system_doctor},
	{"system.status", noun_system_status},
	{"system.version", noun_system_version},
	{"app.list", noun_forward},
	{"app.get", noun_forward},
	{"app.history", noun_forward},
	{"app.detach", noun_forward},
	{"app.rule_list", noun_app_rule_list},
	{"app.rule_set", noun_app_rule_set},
	{"app.rule_del", noun_app_rule_del},
	{"service.list", noun_forward},
	{"service.rule_list", noun_service_rule_list},
	{"service.rule_set", noun_service_rule_set},
	{"service.rule_del", noun_service_rule_del},
	{"listener.list", noun_listener_list},
	{"listener.add", noun_listener_add},
	{"listener.set", noun_listener_set},
	{"listener.del", noun_listener_del},
	{"peer.list", noun_peer_list},
	{"peer.add", noun_peer_add},
	{"peer.set", noun_peer_set},
	{"peer.del", noun_peer_del},
	{"cluster.list", noun_cluster_list},
	{"cluster.get", noun_cluster_get},
	{"cluster.add", noun_cluster_add},
	{"cluster.set", noun_cluster_set},
	{"cluster.del", noun_cluster_del},
	{"config.get", noun_config_get},
	{"config.save", noun_config_save},
	{"config.load", noun_config_load},
	{"config.diff", noun_config_diff},
	{"config.validate", noun_config_validate},
	{"event.history", noun_event_history},
	{"event.subscribe", noun_event_subscribe},
	{"event.unsubscribe", noun_event_unsubscribe},
	{"job.get", noun_job_get},
	{"job.list", noun_job_list},
	{"job.wait", noun_job_wait},
	{"channel.close", noun_channel_close},
	{"link.close", noun_link_close},
	{"system.drain", noun_system_drain},
	{"system.shutdown", noun_system_shutdown},
	{"link.list", noun_forward},
	{"link.get", noun_forward},
	{"channel.list", noun_forward},
	{"channel.get", noun_forward},
	{"engine.list", noun_forward},
	{"lcore.list", noun_forward},
	{"placement.list", noun_forward},
	{"placement.rebalance", noun_forward_aside},
	{"placement.set", noun_forward_aside},
	{"stats.get", noun_forward},
	{"stats.samples", noun_forward},
	{"trace.rpc", noun_trace_rpc},
	{"trace.rpc_get", noun_forward},
	{"trace.rpc_start", noun_forward},
	{"trace.rpc_stop", noun_forward},
	{"log.get", noun_log_get},
	{"log.set", noun_log_set},
	{"mem.get", noun_forward},
	{NULL, NULL},
};

void control_audit(void *arg, const struct phx_ctl_call *call, int error_code)
{
	static const uint8_t key[16] = "phoenix-params--"; // a fingerprint, no secret
	const struct phx_ctl_method *m = phx_ctl_call_method(call);
	const struct phx_ctl_peer *peer = phx_ctl_call_peer(call);
	const char *result = error_code == 0 ? "OK" : phx_ctl_code_name(error_code);
	struct control *c = arg;
	char link[64], exe[256];
	char *params;
	ssize_t n;

	if (m == NULL || (m->flags & (PHX_CTL_MUTATES | PHX_CTL_ACTION)) == 0)
		return;
	(void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)peer->pid);
	n = readlink(link, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	params = json_dumps(phx_ctl_call_params(call), JSON_COMPACT | JSON_SORT_KEYS);

	struct phx_hash128 h = phx_siphash128(
		key, params != NULL ? params : "", params != NULL ? strlen(params) : 0);

	// Not the macro: every change is on record, whatever the rate.
	phx_log_write(PHX_LOG_INFO, "audit",
		"uid=%u pid=%d exe=%s method=%s params=%016llx result=%s", (unsigned)peer->uid,
		(int)peer->pid, n > 0 ? exe : "-", m->name, (unsigned long long)h.lo, result);
	events_add(&c->events, "audit", m->name,
		json_pack("{s:I, s:i, s:s, s:s}", "uid", (json_int_t)peer->uid, "pid",
			(int)peer->pid, "exe", n > 0 ? exe : "", "result", result));
	free(params);
}

static void tell_changed(struct control *c, const struct phx_ctl_call *call, json_t *changes)
{
	json_t *keys = json_array(), *value;
	const char *key;

	json_object_foreach(changes, key, value)
	{
		(void)json_array_append_new(keys, json_string(key));
	}
	events_add(&c->events, "config.changed", phx_ctl_call_method(call)->name,
		json_pack("{s:o, s:o}", "generation",
			json_sprintf("%llu", (unsigned long long)c->state.generation), "keys",
			keys));
}

void control_commit(struct control *c, struct phx_ctl_call *call, json_t *take_changes)
{
	control_commit_with(c, call, take_changes, json_object());
}

void control_commit_with(
	struct control *c, struct phx_ctl_call *call, json_t *take_changes, json_t *take_result)
{
	struct state_change change = {
		.changes = take_changes,
		.dry_run = phx_ctl_call_bool(call, "dry_run"),
		.if_generation = phx_ctl_call_string(call, "if_generation", NULL),
	};
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	bool changed;

	if (take_result == NULL || take_changes == NULL) {
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
	} else if (state_commit(&c->state, &change, &changed, &e) != 0) {
		phx_ctl_call_fail(call, &e);
	} else {
		(void)json_object_set_new(take_result, "changed", json_boolean(changed));
		(void)json_object_set_new(take_result, "generation",
			json_sprintf("%llu", (unsigned long long)c->state.generation));
		phx_ctl_call_reply(call, json_incref(take_result));
		if (changed && !change.dry_run) {
			tell_changed(c, call, take_changes);
			reconcile_push(c->reconcile);
		}
	}
	phx_ctl_error_fini(&e);
	json_decref(take_changes);
	json_decref(take_result);
}

void control_stop(struct control *c)
{
	loop_stop(c->loop);
}

json_t *control_object_of(const struct phx_ctl_call *call)
{
	json_t *object = json_copy(phx_ctl_call_params(call));

	for (const struct phx_ctl_param *p = phx_ctl_method_common(phx_ctl_call_method(call));
		p->name != NULL; p++)
		(void)json_object_del(object, p->name); // most are absent
	(void)json_object_del(object, "before");
	return object;
}

void control_not_found(struct phx_ctl_call *call, const char *kind, const char *name, json_t *names)
{
	const char *method = phx_ctl_call_method(call)->name;
	bool rule = strcmp(kind, "rule") == 0;
	char hint[96];

	(void)snprintf(hint, sizeof(hint), "phoenix-cli %.*s %s", (int)strcspn(method, "."), method,
		rule ? "rule_list" : "list"); // method names are short
	phx_ctl_call_not_found(call, kind, "name", name, names, hint);
}

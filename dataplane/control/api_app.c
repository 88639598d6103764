// SPDX-License-Identifier: BSD-3-Clause
// The noun app: attached applications, and how one is disconnected. Works with
// frontend/attach_server.
#include "dataplane/control/api.h"

#include "dataplane/frontend/session.h"

#include <stdio.h>
#include <string.h>

// ---- rows ----

static json_t *labels_json(const struct api *api, const char *rule)
{
	const struct rules_set *set = rules_current(api->config.rules);
	json_t *labels = json_object();
	size_t i, k;

	for (i = 0; set != NULL && i < set->attach_count; i++) {
		const struct rules_attach *a = &set->attach[i];

		if (strcmp(a->name, rule) != 0)
			continue;
		for (k = 0; k < a->label_count; k++)
			(void)json_object_set_new(
				labels, a->labels[k].key, json_string(a->labels[k].value));
	}
	return labels;
}

static unsigned service_count(const struct api *api, const struct session *session)
{
	const struct service_set *set = registry_set(api->config.registry);
	unsigned count = 0;
	uint32_t i, k;

	for (i = 0; session != NULL && i < set->count; i++) {
		for (k = 0; k < set->entries[i].instance_count; k++)
			count += set->entries[i].instances[k].session == session;
	}
	return count;
}

static const char *state_name(const struct attach_info *info)
{
	if (strcmp(info->state, "ready") == 0)
		return "attached";
	return strcmp(info->state, "closing") == 0 ? "detaching" : "attaching";
}

static void row_identity(json_t *row, const struct identity *who)
{
	(void)json_object_set_new(row, "pid", json_integer(who->pid));
	(void)json_object_set_new(row, "uid", json_integer(who->uid));
	(void)json_object_set_new(row, "gid", json_integer(who->gid));
	(void)json_object_set_new(row, "exe", api_text(who->exe));
	(void)json_object_set_new(row, "cgroup", api_text(who->cgroup));
}

static void row_counters(json_t *row, const struct session *session)
{
	static const struct session_stats none;
	const struct session_stats *s = session != NULL ? &session->stats : &none;

	(void)json_object_set_new(row, "channels", api_counter(&s->channels));
	(void)json_object_set_new(row, "inflight", api_counter(&s->inflight));
	(void)json_object_set_new(row, "serving", api_counter(&s->serving));
	(void)json_object_set_new(row, "calls_total", api_counter(&s->calls));
	(void)json_object_set_new(row, "errors_total", api_counter(&s->errors));
	(void)json_object_set_new(row, "requests_total", api_counter(&s->requests));
	(void)json_object_set_new(row, "replies_total", api_counter(&s->replies));
}

json_t *api_app_row(const struct api *api, const struct attach_info *info)
{
	json_t *row = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o}", "app",
		api_id_json("app", info->id), "name", api_text(info->name), "claimed_name",
		api_text(info->claim), "state", state_name(info), "rule", api_text(info->rule),
		"labels", labels_json(api, info->rule));

	row_identity(row, info->identity);
	(void)json_object_set_new(row, "attached_at", phx_ctl_wall_time(info->since_ns));
	(void)json_object_set_new(row, "library", api_text(info->library));
	(void)json_object_set_new(
		row, "lcore", json_integer(api->config.workers[info->worker]->lcore));
	(void)json_object_set_new(row, "services", json_integer(service_count(api, info->session)));
	row_counters(row, info->session);
	(void)json_object_set_new(row, "shm_bytes",
		json_integer(
			(json_int_t)(info->send_bytes + info->recv_bytes + info->queue_bytes)));
	return row;
}

bool api_is_app(const struct attach_info *info)
{
	return info->rule[0] != '\0';
}

struct rows {
	const struct api *api;
	json_t *rows;
};

static void add_row(void *arg, const struct attach_info *info)
{
	struct rows *r = arg;

	if (api_is_app(info))
		(void)json_array_append_new(r->rows, api_app_row(r->api, info));
}

static void add_name(void *arg, const struct attach_info *info)
{
	char id[API_ID_BYTES];

	(void)json_object_set_new(arg, api_id(id, "app", info->id),
		json_pack("{s:o, s:o}", "name", api_text(info->name), "claimed_name",
			api_text(info->claim)));
}

json_t *api_app_names(struct api *api)
{
	const struct attach_server *server = api->config.attach;
	json_t *names = json_object();
	char id[API_ID_BYTES];

	for (uint64_t i = 0; i < phx_min(server->history_count, (uint64_t)ATTACH_HISTORY); i++) {
		const struct attach_history *h = &server->history[i];

		(void)json_object_set_new(names, api_id(id, "app", h->id),
			json_pack("{s:o, s:o}", "name", api_text(h->name), "claimed_name",
				api_text(h->claim)));
	}
	attach_server_each(api->config.attach, add_name, names);
	return names;
}

void api_app_list(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct rows r = {api, json_array()};

	attach_server_each(api->config.attach, add_row, &r);
	api_rows(api, call, r.rows);
}

// ---- one application by id or name ----

enum match { MATCH_NONE, MATCH_CLAIM, MATCH_NAME, MATCH_ID };

struct search {
	const char *text;
	enum match best;
	uint64_t id;
	json_t *ids;   // of all with the best match
	json_t *names; // of all
};

static void compare(void *arg, const struct attach_info *info)
{
	struct search *s = arg;
	char id[API_ID_BYTES];
	enum match match = MATCH_NONE;

	if (!api_is_app(info))
		return;
	if (strcmp(api_id(id, "app", info->id), s->text) == 0)
		match = MATCH_ID;
	else if (strcmp(info->name, s->text) == 0)
		match = MATCH_NAME;
	else if (strcmp(info->claim, s->text) == 0)
		match = MATCH_CLAIM;
	(void)json_array_append_new(s->names, json_string(id));
	if (info->name[0] != '\0')
		(void)json_array_append_new(s->names, api_text(info->name));
	if (info->claim[0] != '\0')
		(void)json_array_append_new(s->names, api_text(info->claim));
	if (match == MATCH_NONE || match < s->best)
		return;
	if (match > s->best)
		(void)json_array_clear(s->ids);
	s->best = match;
	s->id = info->id;
	(void)json_array_append_new(s->ids, json_string(id));
}

static void fail_ambiguous(struct phx_ctl_call *call, const struct search *s)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *value = json_string(s->text);

	(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "%zu applications are called '%s'",
		json_array_size(s->ids), s->text);
	phx_ctl_error_field(&e, "app", value);
	phx_ctl_error_add(&e, "candidates", json_incref(s->ids));
	phx_ctl_error_add(&e, "hint", json_string("name one by its id"));
	phx_ctl_call_fail(call, &e);
	phx_ctl_error_fini(&e);
	json_decref(value);
}

bool api_app_find(struct api *api, struct phx_ctl_call *call, uint64_t *out_id)
{
	struct search s = {
		.text = phx_ctl_call_string(call, "app", ""),
		.ids = json_array(),
		.names = json_array(),
	};
	bool found;

	attach_server_each(api->config.attach, compare, &s);
	found = s.best != MATCH_NONE && json_array_size(s.ids) == 1;
	if (found)
		*out_id = s.id;
	else if (s.best == MATCH_NONE)
		phx_ctl_call_not_found(call, "app", "app", s.text, s.names, "phoenix-cli app list");
	else
		fail_ambiguous(call, &s);
	json_decref(s.ids);
	json_decref(s.names);
	return found;
}

void api_app_detach(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	const char *reason = phx_ctl_call_string(call, "reason", "detached by the operator");
	uint64_t id;
	int rc;

	if (!api_app_find(api, call, &id))
		return;
	// -ENOENT: it is leaving already.
	rc = attach_server_disconnect(api->config.attach, id, PHX_REASON_DETACHED, reason);
	phx_ctl_call_reply(
		call, json_pack("{s:o, s:b}", "app", api_id_json("app", id), "changed", rc == 0));
}

// SPDX-License-Identifier: BSD-3-Clause
// The rare part of counted.h: finding series, keeping errors.
#include "dataplane/frontend/counted.h"

PHX_COLD struct stats_series *counted_resolve(struct session *session, enum stats_side side,
	const char *service, const char *method, struct stats_series **slot)
{
	*slot = stats_resolve(session->worker->calls, session->config.id, side, service, method);
	return *slot;
}

PHX_COLD struct stats_series *counted_nowhere(struct session *session)
{
	session->nowhere =
		stats_resolve(session->worker->calls, session->config.id, STATS_CLIENT, "", "");
	return session->nowhere;
}

void counted_call_moved(struct call *call)
{
	const struct phx_schema *schema;
	struct stats_series **slot;
	const char *service;

	call->sample = 0;
	if (channel_method(call->channel, call->binding, call->method, &schema, &service, &slot) ==
		NULL)
		call->series = NULL;
	else if (*slot != NULL)
		call->series = *slot;
	else
		call->series = counted_resolve(
			call->session, STATS_CLIENT, call->service_name, call->method_name, slot);
}

// Equal ones are counted together, the one that is longest ago gives way.
PHX_COLD void counted_error(const struct call *call, const struct call_status *status)
{
	struct session *session = call->session;
	const char *service = call->series != NULL ? call->service_name : "";
	const char *method = call->series != NULL ? call->method_name : "";
	struct session_error *e = &session->errors[0];

	for (int i = 0; i < SESSION_ERRORS; i++) {
		struct session_error *o = &session->errors[i];

		if (o->count != 0 && o->service == service && o->method == method &&
			o->code == status->code && o->origin == status->origin &&
			o->executed == status->executed && o->reason == status->reason) {
			o->count++;
			o->last_ns = session->worker->now_ns;
			return;
		}
		if (o->last_ns < e->last_ns)
			e = o;
	}
	*e = (struct session_error){
		.count = 1,
		.last_ns = session->worker->now_ns,
		.service = service,
		.method = method,
		.code = status->code,
		.origin = status->origin,
		.executed = status->executed,
		.reason = status->reason,
	};
}

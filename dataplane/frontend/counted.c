// SPDX-License-Identifier: BSD-3-Clause
// The rare part of counted.h: finding series.
#include "dataplane/frontend/counted.h"

PHX_COLD struct stats_series *counted_resolve(struct session *session, enum stats_side side,
	const char *service, const char *method, struct stats_series **slot)
{
	*slot = stats_resolve(session->worker->calls, session->config.id, side, service, method);
	return *slot;
}

PHX_COLD struct stats_series *counted_nowhere(struct session *session)
{
	return stats_resolve(session->worker->calls, session->config.id, STATS_CLIENT, "", "");
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

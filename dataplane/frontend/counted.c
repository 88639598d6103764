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

// SPDX-License-Identifier: BSD-3-Clause
// Connects the workers of this process with each other; works with link.h and transport/local.
#include "dataplane/local_links.h"

#include "dataplane/link/link.h"

// A link whose client end is on worker `from` and whose server end is on worker `to`. Link ids of
// local links count down from the largest, so that they never meet those of the network.
static int connect_workers(struct worker *from, struct worker *to, uint64_t id)
{
	struct link_config config = {.id = id, .local = true, .trace = true, .peer_name = "local"};
	struct conn *ends[2];
	struct link *link;
	int rc = local_conn_pair(PHX_LANE_SMALL, ends), lane;

	if (rc != 0)
		return rc;
	config.client = true;
	for (lane = 0; lane < PHX_LANE_COUNT; lane++)
		config.lane[lane] = ends[0];
	rc = link_open(from, &config, &link);
	config.client = false;
	for (lane = 0; lane < PHX_LANE_COUNT; lane++)
		config.lane[lane] = ends[1];
	if (rc != 0) {
		ends[1]->ops->close(ends[1]);
		return rc;
	}
	return link_open(to, &config, &link);
}

int local_links_open(struct workers *workers)
{
	uint64_t id = UINT64_MAX;
	unsigned i, k;
	int rc = 0;

	for (i = 0; i < workers->count && rc == 0; i++)
		rc = link_table_create(workers->worker[i]);
	for (i = 0; i < workers->count; i++) {
		for (k = 0; k < workers->count && rc == 0; k++)
			rc = connect_workers(workers->worker[i], workers->worker[k], id--);
	}
	return rc;
}

void local_links_close(struct workers *workers)
{
	unsigned i;

	for (i = 0; i < workers->count; i++)
		link_table_destroy(workers->worker[i]);
	// What the ends told each other.
	for (i = 0; i < workers->count; i++)
		(void)cmdq_run(&workers->worker[i]->inbox, workers->worker[i], UINT32_MAX);
}

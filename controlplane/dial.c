// SPDX-License-Identifier: BSD-3-Clause
// Dialling for reconcile.c, follow.c and aside.c.
#include "controlplane/dial.h"

#include <errno.h>
#include <unistd.h>

int dial_dataplane(const char *path, struct phx_ctl_client **out_client)
{
	struct phx_ctl_client *client;
	uint32_t uid;
	int rc = phx_ctl_client_open(path, &client);

	if (rc != 0)
		return rc;
	rc = phx_ctl_client_peer_uid(client, &uid);
	if (rc == 0 && uid != 0 && uid != geteuid())
		rc = -EACCES;
	if (rc != 0)
		phx_ctl_client_destroy(client);
	else
		*out_client = client;
	return rc;
}

// SPDX-License-Identifier: BSD-3-Clause
// Connecting to the dataplane. One thread.
#pragma once

#include "lib/ctl/client.h"

// Only a dataplane of this user or of root is told anything and believed: -EACCES. Other -errno of
// phx_ctl_client_open().
int dial_dataplane(const char *path, struct phx_ctl_client **out_client);

// SPDX-License-Identifier: BSD-3-Clause
// Links of this host to itself, for `local:` channels: one from each worker to each, over the
// local transport. Main thread, while the workers do not run.
#pragma once

#include "dataplane/workers.h"

// Give each worker its link table and the local links. -ENOMEM and others of link_open(); what was
// made is ended by local_links_close().
int local_links_open(struct workers *workers);
// Legal on workers without tables.
void local_links_close(struct workers *workers);

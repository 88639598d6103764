// SPDX-License-Identifier: BSD-3-Clause
// The listeners, admitted peers and clusters of the intent document. Control thread.
#pragma once

#include "dataplane/link/host.h"
#include "lib/ctl/document.h"

// Make the host's listeners those of the document. -ENOMEM.
int listeners_apply(struct host *host, const struct phx_ctl_document *document);

// Make the host's clusters those of the document. -ENOMEM.
int clusters_apply(struct host *host, const struct phx_ctl_document *document);

// For host_config.admits: the peer that admits the address, "loopback" where the listener names no
// peers and the address is one, else NULL.
const char *listeners_admit(
	const struct phx_ctl_document *document, const char *listener, const struct sockaddr *from);

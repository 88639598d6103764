// SPDX-License-Identifier: BSD-3-Clause
// The schema of a channel's service, fetched from its serving side when a policy inspects fields
// (design.md 4, 12.12). One object for each binding of a channel. Worker thread.
#pragma once

#include "dataplane/core/chain.h"
#include "dataplane/link/link.h"

struct schema_fetch {
	struct chain_trust trust;
	struct channel *channel; // NULL: closed while control checks the table
	uint32_t binding;
	uint64_t path;		 // id of the path that was asked, 0 = none yet
	uint64_t prefer;	 // id of the one that announced another schema, 0 = any
	struct phx_hash128 hash; // as it announced
	uint8_t *table;
	uint32_t size, have;
	bool posted; // control has `request`, and the session is pinned
	bool held;   // the last request has got what is to be given back
	bool stale;  // meanwhile another schema was announced
	struct session *session;
	struct chain_trust_request request;
};

// NULL: no memory.
struct schema_fetch *schema_fetch_create(struct channel *channel, uint32_t binding);
// NULL is legal.
void schema_fetch_destroy(struct schema_fetch *fetch);
// SERVICE_UP on a path of the channel.
void schema_fetch_announced(struct schema_fetch *fetch, const struct path *path);
// The path is lost or closed.
void schema_fetch_lost(struct schema_fetch *fetch, const struct path *path);
// A SCHEMA frame on the path. Everything in it is checked; one that nobody asked for is dropped.
void schema_fetch_part(struct schema_fetch *fetch, struct path *path, const struct phx_frame *f,
	const struct iovec *iov, int n);

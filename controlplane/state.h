// SPDX-License-Identifier: BSD-3-Clause
// Intent in memory: the keys of the store and the document made of them. A change is
// checked as a whole document, then stored, then takes effect: all or nothing. One thread.
#pragma once

#include "controlplane/store.h"
#include "lib/ctl/document.h"

#include <stdbool.h>

struct state {
	struct store *store; // owned
	json_t *keys;
	struct phx_ctl_document *document; // never NULL after state_open
	uint64_t generation;
};

// Load; an empty store gets the document of the file first_path, or the default one when that
// is NULL. Takes the store, also on failure. 0 or -errno with why.
int state_open(struct state *s, struct store *take_store, const char *first_path, char *why,
	size_t why_size);
void state_close(struct state *s);

struct state_change {
	json_t *changes;	   // key -> value, null removes; borrowed
	bool dry_run;		   // check only
	const char *if_generation; // NULL: any
};

// Apply one transaction. 0 and *out_changed (false: the document already said so and
// nothing was stored). -EINVAL with e set: INVALID_ARGUMENT or INVALID_PARAMS (what is
// wrong with the document), ABORTED (if_generation), RESOURCE_EXHAUSTED (larger than one push may
// be, or no space on the disk), INTERNAL (other store failures).
int state_commit(struct state *s, const struct state_change *change, bool *out_changed,
	struct phx_ctl_error *e);

// The document that changes would make, the caller's. Same errors as state_commit.
int state_check(const struct state *s, json_t *changes, struct phx_ctl_document **out_document,
	struct phx_ctl_error *e);

// Start the generation above another one (a dataplane was ahead of a lost journal). Same
// errors as state_commit.
int state_raise(struct state *s, uint64_t above, struct phx_ctl_error *e);

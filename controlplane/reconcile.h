// SPDX-License-Identifier: BSD-3-Clause
// Keeps the dataplane's rules equal to the intent: dials dataplane.sock with back-off,
// compares, pushes; carries the requests that the dataplane answers. One thread.
#pragma once

#include "controlplane/follow.h"
#include "controlplane/loop.h"
#include "controlplane/state.h"
#include "lib/ctl/client.h"

struct reconcile;

struct reconcile_status {
	bool up;	     // connected
	bool synced;	     // the dataplane has the current document
	bool resynced;	     // it had it once since this control plane started
	bool push_failed;    // it does not take the document: error says why
	uint64_t generation; // of the dataplane, as far as known
	uint64_t pushes_total;
	const char *instance; // of the dataplane, "" when unknown
	const char *error;    // why it is not synced, "" when it is
};

struct reconcile_config {
	struct loop *loop;
	const char *path; // of the dataplane's socket
	struct state *state;
	struct events *events;
	struct follow *follow; // told when the dataplane is there
};

// Start dialling at once. Everything is kept by reference. 0 or -errno.
int reconcile_create(const struct reconcile_config *config, struct reconcile **out_reconcile);
void reconcile_destroy(struct reconcile *r);

// The intent has changed: push it when connected.
void reconcile_push(struct reconcile *r);

// Send a request to the dataplane. -ENOTCONN when it is down, -ENOMEM.
int reconcile_request(struct reconcile *r, const char *method, json_t *params, uint64_t timeout_ns,
	phx_ctl_done_fn done, void *arg);

// The same for a request whose answer takes its time: nothing else waits behind it. Also -EBUSY:
// too many of them, and what dialling said.
int reconcile_request_aside(struct reconcile *r, const char *method, json_t *params,
	uint64_t timeout_ns, phx_ctl_done_fn done, void *arg);

void reconcile_status(const struct reconcile *r, struct reconcile_status *out_status);

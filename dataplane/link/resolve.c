// SPDX-License-Identifier: BSD-3-Clause
// Names of peers: getaddrinfo() blocks, so it runs on a thread of its own. See host_priv.h.
#include "dataplane/link/host_priv.h"

#include <netdb.h>
#include <signal.h>

static void resolved(struct worker *worker, struct cmd *cmd)
{
	struct resolve *r = phx_container_of(cmd, struct resolve, cmd);

	(void)worker;
	resolve_join(r);
	outbound_resolved(r->peer);
}

static void addresses_take(struct resolve *r, const struct addrinfo *found)
{
	r->at = r->count = 0;
	for (; found != NULL && r->count < RESOLVE_ADDRESSES_MAX; found = found->ai_next) {
		struct resolve_address *a = &r->addresses[r->count++];

		memcpy(&a->to, found->ai_addr, found->ai_addrlen);
		a->len = found->ai_addrlen;
	}
}

static void *resolve_main(void *arg)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct resolve *r = arg;
	struct addrinfo *found;

	r->error = getaddrinfo(r->host, r->port, &hints, &found);
	if (r->error == 0) {
		addresses_take(r, found);
		freeaddrinfo(found);
	}
	ctl_post(r->peer->host->config.loop, &r->cmd, resolved);
	return NULL;
}

int resolve_start(struct resolve *r)
{
	sigset_t all, before;
	int rc;

	// Signals belong to the control thread.
	(void)sigfillset(&all);				   // cannot fail
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); // nor these with valid arguments
	rc = -pthread_create(&r->thread, NULL, resolve_main, r);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	r->running = rc == 0;
	return rc;
}

bool resolve_next(struct resolve *r)
{
	if (r->at + 1 < r->count) {
		r->at++;
		return true;
	}
	r->count = 0;
	return false;
}

void resolve_join(struct resolve *r)
{
	if (r->running)
		(void)pthread_join(r->thread, NULL); // ours, joined once
	r->running = false;
}

// SPDX-License-Identifier: BSD-3-Clause
// Names of peers: getaddrinfo() blocks, for half a minute when a name server is away, so it runs on
// a thread of its own that nobody waits for. See host_priv.h.
#include "dataplane/link/host_priv.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

// The thread's until it is posted, then control's.
struct resolve_job {
	struct host_peer *peer; // [ctl]
	struct ctl_loop *loop;
	struct cmd cmd;
	bool posted, abandoned; // under `answering`
	struct resolve result;
};

// Held while a thread answers: whoever abandons a job knows that it does not touch the loop.
static pthread_mutex_t answering = PTHREAD_MUTEX_INITIALIZER;

static void resolved(struct worker *worker, struct cmd *cmd)
{
	struct resolve_job *job = phx_container_of(cmd, struct resolve_job, cmd);
	struct host_peer *peer = job->peer;

	(void)worker;
	peer->resolve = job->result;
	free(job);
	outbound_resolved(peer);
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

// Takes the job.
static void answer(struct resolve_job *take_job)
{
	bool abandoned;

	(void)pthread_mutex_lock(&answering); // cannot fail
	abandoned = take_job->abandoned;
	take_job->posted = true;
	if (!abandoned)
		ctl_post(take_job->loop, &take_job->cmd, resolved);
	(void)pthread_mutex_unlock(&answering);
	if (abandoned)
		free(take_job);
}

static void *resolve_main(void *arg)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct resolve_job *job = arg;
	struct resolve *r = &job->result;
	struct addrinfo *found;

	r->error = getaddrinfo(r->host, r->port, &hints, &found);
	if (r->error == 0) {
		addresses_take(r, found);
		freeaddrinfo(found);
	}
	answer(job);
	return NULL;
}

static int thread_start(struct resolve_job *job)
{
	sigset_t all, before;
	pthread_t thread;
	int rc;

	// Signals belong to the control thread.
	(void)sigfillset(&all);				   // cannot fail
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); // nor these with valid arguments
	rc = -pthread_create(&thread, NULL, resolve_main, job);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		(void)pthread_detach(thread); // it is there and can be joined
	return rc;
}

int resolve_start(struct host_peer *peer)
{
	struct resolve_job *job = calloc(1, sizeof(*job));
	int rc;

	if (job == NULL)
		return -ENOMEM;
	job->peer = peer;
	job->loop = peer->host->config.loop;
	job->result = peer->resolve;
	rc = thread_start(job);
	if (rc != 0)
		free(job);
	else
		peer->resolve.job = job;
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

void resolve_stop(struct resolve *r)
{
	if (r->job == NULL)
		return;
	(void)pthread_mutex_lock(&answering); // cannot fail
	r->job->abandoned = !r->job->posted;
	if (r->job->abandoned)
		r->job = NULL; // the thread frees it
	(void)pthread_mutex_unlock(&answering);
}

void resolve_fini(struct resolve *r)
{
	free(r->job);
	r->job = NULL;
}

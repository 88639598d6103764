// SPDX-License-Identifier: BSD-3-Clause
// The thread that finds a new session and puts it in place. Works with attach.c and hello.c.
#include "lib/app/reattach.h"

#include "lib/app/attach.h"
#include "lib/app/channel.h"
#include "lib/app/queue.h"
#include "lib/app/server.h"
#include "lib/base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Back-off as gRPC's (doc/connection-backoff.md: factor 1.6, jitter 20 %), on the scale of a local
// socket, where a try costs some 20 us.
#define REATTACH_FIRST_NS    (5 * PHX_NS_PER_MS)
#define REATTACH_MAX_NS	     (250 * PHX_NS_PER_MS)
#define REATTACH_PATIENCE_NS PHX_NS_PER_S // with a dataplane that listens and does not answer

void phx_reattach_init(struct phx_context *ctx)
{
	struct phx_reattach *r = &ctx->reattach;
	pthread_condattr_t attr;

	(void)pthread_mutex_init(&r->mutex, NULL); // none of these can fail in glibc
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
}

// Sleep, unless the context ends. False: it does.
static bool reattach_pause(struct phx_reattach *r, uint64_t ns)
{
	uint64_t until = phx_clock_ns() + ns;
	struct timespec ts = {(time_t)(until / PHX_NS_PER_S), (long)(until % PHX_NS_PER_S)};
	bool stop;
	int rc = 0;

	(void)pthread_mutex_lock(&r->mutex);
	while (!r->stop && rc == 0)
		rc = pthread_cond_timedwait(&r->wake, &r->mutex, &ts);
	stop = r->stop;
	(void)pthread_mutex_unlock(&r->mutex);
	return !stop;
}

// ---- one new session ----

struct reattach_job {
	struct phx_session *session;
	struct phx_queue *fresh[PHX_LIMIT_QUEUES_MAX];
	int bells[PHX_LIMIT_QUEUES_MAX];
};

static void job_init(struct reattach_job *job)
{
	memset(job, 0, sizeof(*job));
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++)
		job->bells[i] = -1;
}

static void job_fini(struct reattach_job *job)
{
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++) {
		phx_queue_destroy(job->fresh[i]);
		if (job->bells[i] >= 0)
			(void)close(job->bells[i]); // received for nobody
	}
	if (job->session != NULL)
		phx_session_put(job->session, 1);
}

// The queues that the application has, in the order in which they were made.
static int job_queues(struct phx_context *ctx, struct reattach_job *job,
	const struct phx_attach_queue *first) PHX_REQUIRES(ctx->control)
{
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX && ctx->queues[i] != NULL; i++) {
		struct phx_attach_queue offered = *first;
		int rc = 0;
		bool watched;

		if (i != 0)
			rc = phx_queue_ask(job->session, &ctx->queues[i]->asked, &offered);
		if (rc == 0 && offered.index != i)
			rc = -EPROTO;
		if (rc == 0)
			rc = phx_queue_init(job->session, &offered, &job->fresh[i]);
		if (rc)
			return rc;
		phx_lock_take(&ctx->queues[i]->lock);
		watched = ctx->queues[i]->fd >= 0;
		phx_lock_give(&ctx->queues[i]->lock);
		if (watched)
			rc = phx_queue_ask_fd(job->session, i, &job->bells[i]);
		if (rc)
			return rc;
	}
	return 0;
}

// All that can fail is behind us once every queue is settled.
static int job_settle(struct phx_context *ctx) PHX_REQUIRES(ctx->control)
{
	int rc = 0;

	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX && ctx->queues[i] != NULL && rc == 0; i++) {
		phx_lock_take(&ctx->queues[i]->lock);
		rc = phx_queue_settle(ctx->queues[i]);
		phx_lock_give(&ctx->queues[i]->lock);
	}
	return rc;
}

static void job_install(struct phx_context *ctx, struct reattach_job *job)
	PHX_REQUIRES(ctx->control)
{
	struct phx_session *old = ctx->session, *s = job->session;

	s->epoch = old->epoch + 1;
	// Whoever loads this sees the numbers of channels and services that came before it.
	atomic_store_explicit(&ctx->epoch, s->epoch, memory_order_release); // phx_call_submit
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX && ctx->queues[i] != NULL; i++) {
		struct phx_queue *q = ctx->queues[i];

		phx_lock_take(&q->lock);
		phx_queue_replace(q, job->fresh[i]);
		// Without it an event loop is woken by the timer alone; there is no better.
		if (q->fd >= 0)
			(void)phx_queue_watch(q, job->bells[i]);
		phx_lock_give(&q->lock);
		job->bells[i] = -1;
	}
	phx_messages_replace(ctx, s);
	ctx->session = s;
	job->session = NULL;
	s->patience_ns = PHX_CONTROL_NS;
	atomic_store_explicit(&ctx->gone, PHX_CONTEXT_UP, memory_order_release); // phx_context_gone
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX && ctx->queues[i] != NULL; i++) {
		struct phx_queue *q = ctx->queues[i];

		phx_lock_take(&q->lock);
		q->end_cursor = 0;
		q->ended = false;
		phx_queue_wake_fd(q);
		phx_lock_give(&q->lock);
		phx_queue_wake(q);
	}
	phx_session_put(old, 1);
}

// Open, bind and register what is not. 0: all of it is there.
static int reattach_replay(struct phx_context *ctx, struct phx_session *s)
	PHX_REQUIRES(ctx->control)
{
	int channels = phx_channels_replay(ctx, s);
	int servers = phx_servers_replay(ctx, s);

	return channels != 0 ? channels : servers;
}

static int job_run(struct phx_context *ctx, struct reattach_job *job,
	const struct phx_attach_queue *first) PHX_REQUIRES(ctx->control)
{
	int rc = job_queues(ctx, job, first);

	if (rc)
		return rc;
	phx_channels_void(ctx);
	phx_servers_void(ctx);
	// A refusal does not stop the others; it is asked again later.
	(void)reattach_replay(ctx, job->session);
	if (job->session->end.code != 0)
		return -ENOTCONN;
	rc = job_settle(ctx);
	if (rc)
		return rc;
	job_install(ctx, job);
	return 0;
}

// A new session in the place of the one that has ended. 0: there is one.
static int reattach_session(struct phx_context *ctx)
{
	struct phx_attach_queue first;
	struct phx_status *status = malloc(sizeof(*status));
	struct reattach_job *job = malloc(sizeof(*job));
	int rc = -ENOMEM;

	if (status != NULL && job != NULL) {
		job_init(job);
		phx_status_begin(status);
		rc = phx_attach_once(
			ctx, &ctx->options, REATTACH_PATIENCE_NS, &job->session, &first, status);
		if (rc == 0) {
			phx_lock_take(&ctx->control);
			rc = job_run(ctx, job, &first);
			phx_lock_give(&ctx->control);
		}
		job_fini(job);
	}
	free(job);
	free(status);
	return rc;
}

// ---- the thread ----

// One try at what is missing. True: nothing is, and the thread has to end.
static bool reattach_try(struct phx_context *ctx)
{
	bool done;

	if (phx_context_gone(ctx) && !phx_context_over(ctx) && reattach_session(ctx) != 0)
		return false;
	phx_lock_take(&ctx->control);
	done = phx_context_over(ctx);
	if (!phx_context_gone(ctx))
		done = reattach_replay(ctx, ctx->session) == 0 && !phx_context_gone(ctx);
	if (done)
		ctx->reattach.running = false;
	phx_lock_give(&ctx->control);
	return done;
}

static void *reattach_main(void *arg)
{
	struct phx_context *ctx = arg;
	unsigned seed = (unsigned)phx_clock_ns() ^ (unsigned)(uintptr_t)ctx;
	uint64_t pause_ns = REATTACH_FIRST_NS;

	do {
		// 80 to 120 %, so that the applications of a host do not come all at once.
		uint64_t jitter = 800 + (uint64_t)rand_r(&seed) % 400;

		if (!reattach_pause(&ctx->reattach, pause_ns * jitter / 1000))
			break;
		pause_ns = phx_min(pause_ns * 8 / 5, REATTACH_MAX_NS);
	} while (!reattach_try(ctx));
	return NULL;
}

void phx_reattach_start(struct phx_context *ctx) PHX_NO_ANALYSIS // `control` is held
{
	struct phx_reattach *r = &ctx->reattach;
	sigset_t all, old;

	if (r->running)
		return;
	if (r->started)
		(void)pthread_join(r->thread, NULL); // it has nothing left to do
	// Signals are for the application's threads.
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r->started = r->running = pthread_create(&r->thread, NULL, reattach_main, ctx) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void phx_reattach_fini(struct phx_context *ctx) PHX_NO_ANALYSIS // nobody else uses the context
{
	struct phx_reattach *r = &ctx->reattach;

	(void)pthread_mutex_lock(&r->mutex);
	r->stop = true;
	(void)pthread_cond_signal(&r->wake);
	(void)pthread_mutex_unlock(&r->mutex);
	if (r->started)
		(void)pthread_join(r->thread, NULL); // it ends at its next look
	r->started = r->running = false;
}

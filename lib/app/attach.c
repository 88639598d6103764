// SPDX-License-Identifier: BSD-3-Clause
// phx_attach() and phx_detach(): find the dataplane, wait for its rules, end the session.
#include "lib/app/attach.h"

#include "lib/app/channel.h"
#include "lib/app/queue.h"
#include "lib/app/server.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ATTACH_PATH_MAX	    512
#define ATTACH_TIMEOUT_NS   (10 * PHX_NS_PER_S)
#define ATTACH_RETRY_MIN_NS (1 * PHX_NS_PER_MS)
#define ATTACH_RETRY_MAX_NS (200 * PHX_NS_PER_MS)

const char *phx_version(void)
{
	return PHX_VERSION;
}

static bool attach_path_fits(int len, size_t size)
{
	return len > 0 && (size_t)len < size;
}

// Path of app.sock; false: it does not fit. A dataplane of this user goes before that of the
// system, as for the shell (lib/ctl/rundir.c).
static bool attach_path(const char *rundir, char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (rundir == NULL)
		rundir = getenv("PHOENIX_RUNDIR");
	if (rundir != NULL && rundir[0] != '\0')
		return attach_path_fits(snprintf(path, size, "%s/app.sock", rundir), size);
	if (runtime != NULL && runtime[0] != '\0') {
		int n = snprintf(path, size, "%s/phoenix/default/app.sock", runtime);

		if (attach_path_fits(n, size) && access(path, F_OK) == 0)
			return true;
	}
	return attach_path_fits(snprintf(path, size, "/run/phoenix/default/app.sock"), size);
}

static unsigned attach_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 2; // more CPUs than the set holds
	return (unsigned)CPU_COUNT(&set);
}

// A copy of the options that lives as long as the context. 0 or -ENOMEM.
static int context_options(struct phx_context *ctx, const struct phx_attach_options *options)
{
	const char *rundir = options->rundir, *name = options->name;

	ctx->options = *options;
	ctx->options.rundir = rundir != NULL ? strdup(rundir) : NULL;
	ctx->options.name = name != NULL ? strdup(name) : NULL;
	if ((rundir != NULL && ctx->options.rundir == NULL) ||
		(name != NULL && ctx->options.name == NULL)) {
		free((void *)(uintptr_t)ctx->options.rundir);
		free((void *)(uintptr_t)ctx->options.name);
		return -ENOMEM;
	}
	return 0;
}

static int context_create(const struct phx_attach_options *options, struct phx_context **out_ctx)
{
	// The caches stand on cache lines of their own.
	struct phx_context *ctx = aligned_alloc(PHX_CACHE_LINE, sizeof(*ctx));
	int rc;

	if (ctx == NULL)
		return -ENOMEM;
	memset(ctx, 0, sizeof(*ctx));
	ctx->cpus = attach_cpus();
	phx_lock_init(&ctx->end_lock);
	phx_lock_init(&ctx->control);
	phx_lock_init(&ctx->sessions_lock);
	phx_lock_init(&ctx->messages_lock);
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++)
		phx_lock_init(&ctx->caches[i].lock);
	phx_reattach_init(ctx);
	phx_list_init(&ctx->channels);
	phx_list_init(&ctx->servers);
	phx_list_init(&ctx->sessions);
	rc = context_options(ctx, options);
	if (rc)
		goto err_free;
	rc = phx_fork_page_create(&ctx->fork_page);
	if (rc)
		goto err_options;
	*out_ctx = ctx;
	return 0;
err_options:
	free((void *)(uintptr_t)ctx->options.rundir);
	free((void *)(uintptr_t)ctx->options.name);
err_free:
	free(ctx);
	return rc;
}

static void context_destroy(struct phx_context *ctx, bool forked) PHX_NO_ANALYSIS
{
	phx_channels_free(ctx);
	phx_servers_free(ctx);
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++)
		phx_queue_destroy(ctx->queues[i]);
	// Nobody uses the context, so nobody changes the list meanwhile.
	while (!phx_list_empty(&ctx->sessions))
		phx_session_destroy(
			phx_list_entry(ctx->sessions.next, struct phx_session, link), forked);
	phx_message_destroy_all(ctx);
	phx_fork_page_destroy(ctx->fork_page);
	free((void *)(uintptr_t)ctx->options.rundir);
	free((void *)(uintptr_t)ctx->options.name);
	free(ctx);
}

// A try that may succeed later: nobody listens yet, the dataplane goes away, has no rules.
static bool attach_may_retry(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN || rc == -ENOTCONN;
}

int phx_attach_once(struct phx_context *ctx, const struct phx_attach_options *options,
	uint64_t patience_ns, struct phx_session **out_session, struct phx_attach_queue *out_queue,
	struct phx_status *status)
{
	char path[ATTACH_PATH_MAX];
	struct phx_session *s;
	int rc;

	rc = phx_session_create(ctx, &s);
	if (rc)
		return phx_status_end(status, rc);
	s->patience_ns = patience_ns;
	rc = -EINVAL;
	if (attach_path(options->rundir, path, sizeof(path)))
		rc = phx_attach_client_connect(&s->client, path);
	else
		(void)snprintf(path, sizeof(path), "the run directory"); // named in the status
	if (rc == 0)
		rc = phx_hello(s, options, phx_clock_ns() + patience_ns, out_queue, status);
	else
		phx_status_fill(status, rc == -EACCES ? PHX_PERMISSION_DENIED : PHX_UNAVAILABLE,
			PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			rc == -EACCES ? PHX_REASON_DENIED : PHX_REASON_UNAVAILABLE,
			"cannot connect to %s: %s", path, strerror(-rc));
	if (rc) {
		phx_session_put(s, 1);
		return rc;
	}
	*out_session = s;
	return 0;
}

// The first session of a context that nobody knows yet.
static int attach_first(struct phx_context *ctx, const struct phx_attach_options *options,
	uint64_t deadline_ns, struct phx_status *status) PHX_REQUIRES(ctx->control)
{
	struct phx_attach_queue sizes;
	struct phx_session *s;
	uint64_t now = phx_clock_ns();
	uint64_t patience_ns = deadline_ns > now ? phx_min(deadline_ns - now, PHX_CONTROL_NS) : 1;
	int rc = phx_attach_once(ctx, options, patience_ns, &s, &sizes, status);

	if (rc)
		return rc;
	rc = phx_queue_init(s, &sizes, &ctx->queues[0]);
	if (rc) {
		phx_session_put(s, 1);
		return phx_status_end(status, rc);
	}
	ctx->default_queue = ctx->queues[0];
	s->patience_ns = PHX_CONTROL_NS;
	s->epoch = 1;
	atomic_store_explicit(&ctx->epoch, 1, memory_order_relaxed); // nobody knows the context
	ctx->session = s;
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++)
		ctx->caches[i].session = s;
	return 0;
}

static int attach_loop(struct phx_context *ctx, const struct phx_attach_options *options,
	struct phx_status *status) PHX_REQUIRES(ctx->control)
{
	uint64_t timeout = options->timeout_ns ? options->timeout_ns : ATTACH_TIMEOUT_NS;
	uint64_t now = phx_clock_ns();
	uint64_t deadline = timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX;
	uint64_t pause_ns = ATTACH_RETRY_MIN_NS;

	for (;;) {
		int rc = attach_first(ctx, options, deadline, status);
		struct timespec ts;

		if (rc == 0)
			return 0;
		now = phx_clock_ns();
		if (!attach_may_retry(rc))
			return rc;
		if (now >= deadline)
			return -ETIMEDOUT;
		pause_ns = phx_min(pause_ns, deadline - now);
		ts.tv_sec = (time_t)(pause_ns / PHX_NS_PER_S);
		ts.tv_nsec = (long)(pause_ns % PHX_NS_PER_S);
		(void)nanosleep(&ts, NULL); // a signal only makes the next try come sooner
		pause_ns = phx_min(pause_ns * 2, ATTACH_RETRY_MAX_NS);
	}
}

int phx_attach(const struct phx_attach_options *options, struct phx_context **out_context,
	struct phx_status *out_status)
{
	struct phx_attach_options o = PHX_ATTACH_OPTIONS_INIT;
	struct phx_status *status;
	struct phx_context *ctx;
	int rc;

	phx_status_begin(out_status);
	if (out_context == NULL || (options != NULL && options->size < sizeof(size_t)))
		return phx_status_end(out_status, -EINVAL);
	if (options != NULL)
		memcpy(&o, options, phx_min(options->size, sizeof(o)));
	status = calloc(1, sizeof(*status));
	if (status == NULL)
		return phx_status_end(out_status, -ENOMEM);
	rc = context_create(&o, &ctx);
	if (rc == 0) {
		phx_lock_take(&ctx->control);
		rc = attach_loop(ctx, &o, status);
		phx_lock_give(&ctx->control);
		if (rc == 0)
			*out_context = ctx;
		else
			context_destroy(ctx, false);
	}
	(void)phx_status_end(status, rc); // rc is what it was
	if (out_status != NULL)
		*out_status = *status;
	free(status);
	return rc;
}

static void detach_goodbye(struct phx_context *ctx)
{
	struct phx_attach_header bye;

	phx_lock_take(&ctx->control);
	// The hang-up that follows says the same.
	(void)phx_attach_client_post(&ctx->session->client, &bye, sizeof(bye), PHX_ATTACH_GOODBYE);
	phx_lock_give(&ctx->control);
}

void phx_detach(struct phx_context *ctx)
{
	bool forked;

	if (ctx == NULL)
		return;
	forked = phx_context_forked(ctx);
	if (!forked) {
		phx_reattach_fini(ctx);
		detach_goodbye(ctx);
	}
	context_destroy(ctx, forked);
}

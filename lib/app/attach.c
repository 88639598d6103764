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

static int context_create(struct phx_context **out_ctx)
{
	// The caches stand on cache lines of their own.
	struct phx_context *ctx = aligned_alloc(PHX_CACHE_LINE, sizeof(*ctx));
	int rc;

	if (ctx == NULL)
		return -ENOMEM;
	memset(ctx, 0, sizeof(*ctx));
	ctx->doorbell = -1;
	ctx->client.fd = -1;
	ctx->cpus = attach_cpus();
	phx_lock_init(&ctx->control);
	phx_lock_init(&ctx->heap_lock);
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++)
		phx_lock_init(&ctx->caches[i].lock);
	phx_list_init(&ctx->channels);
	phx_list_init(&ctx->servers);
	rc = phx_fork_page_create(&ctx->fork_page);
	if (rc == 0)
		rc = phx_attach_client_init(&ctx->client, phx_context_on_event, ctx);
	if (rc) {
		phx_fork_page_destroy(ctx->fork_page);
		free(ctx);
		return rc;
	}
	*out_ctx = ctx;
	return 0;
}

// What a session that did not come about leaves behind, so that hello can be said again.
static void context_reset(struct phx_context *ctx, bool forked) PHX_REQUIRES(ctx->control)
{
	while (ctx->region_events != NULL) {
		struct phx_region_event *event = ctx->region_events;

		ctx->region_events = event->next;
		(void)close(event->fd); // received, not used
		free(event);
	}
	phx_attach_client_close(&ctx->client);
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++) {
		phx_queue_destroy(ctx->queues[i]);
		ctx->queues[i] = NULL;
	}
	ctx->default_queue = NULL;
	if (ctx->doorbell >= 0)
		(void)close(ctx->doorbell); // received with the hello
	ctx->doorbell = -1;
	phx_heap_destroy(ctx->heap);
	ctx->heap = NULL;
	if (!forked) {
		// A child has none of these mappings; others may stand in their place.
		phx_space_fini(&ctx->send);
		phx_space_fini(&ctx->recv);
	}
	atomic_store_explicit(&ctx->gone, 0, memory_order_relaxed); // nobody else knows ctx
}

static void context_destroy(struct phx_context *ctx, bool forked) PHX_NO_ANALYSIS
{
	phx_channels_free(ctx);
	phx_servers_free(ctx);
	context_reset(ctx, forked);
	phx_attach_client_fini(&ctx->client);
	phx_message_destroy_all(ctx);
	phx_fork_page_destroy(ctx->fork_page);
	free(ctx);
}

// A try that may succeed later: nobody listens yet, the dataplane goes away, has no rules.
static bool attach_may_retry(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN || rc == -ENOTCONN;
}

static int attach_once(struct phx_context *ctx, const struct phx_attach_options *options,
	uint64_t deadline_ns, struct phx_status *status) PHX_REQUIRES(ctx->control)
{
	char path[ATTACH_PATH_MAX];
	int rc = -EINVAL;

	if (attach_path(options->rundir, path, sizeof(path)))
		rc = phx_attach_client_connect(&ctx->client, path);
	else
		(void)snprintf(path, sizeof(path), "the run directory"); // named in the status
	if (rc == 0)
		return phx_hello(ctx, options, deadline_ns, status);
	phx_status_fill(status, rc == -EACCES ? PHX_PERMISSION_DENIED : PHX_UNAVAILABLE,
		PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
		rc == -EACCES ? PHX_REASON_DENIED : PHX_REASON_UNAVAILABLE,
		"cannot connect to %s: %s", path, strerror(-rc));
	return rc;
}

static int attach_loop(struct phx_context *ctx, const struct phx_attach_options *options,
	struct phx_status *status) PHX_REQUIRES(ctx->control)
{
	uint64_t timeout = options->timeout_ns ? options->timeout_ns : ATTACH_TIMEOUT_NS;
	uint64_t now = phx_clock_ns();
	uint64_t deadline = timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX;
	uint64_t pause_ns = ATTACH_RETRY_MIN_NS;

	for (;;) {
		int rc = attach_once(ctx, options, deadline, status);
		struct timespec ts;

		if (rc == 0)
			return 0;
		context_reset(ctx, false);
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
	rc = context_create(&ctx);
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
	(void)phx_attach_client_post(&ctx->client, &bye, sizeof(bye), PHX_ATTACH_GOODBYE);
	phx_lock_give(&ctx->control);
}

void phx_detach(struct phx_context *ctx)
{
	bool forked;

	if (ctx == NULL)
		return;
	forked = phx_context_forked(ctx);
	if (!forked)
		detach_goodbye(ctx);
	context_destroy(ctx, forked);
}

// SPDX-License-Identifier: BSD-3-Clause
// Pools of handler threads, and executors. Works with burst.c, which hands over, and request_run.c.
#include "lib/app/runner.h"

#include "lib/app/queue.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

// ---- make and end ----

static int runner_check(const struct phx_server_options *o)
{
	switch (o->handlers) {
	case PHX_HANDLERS_INLINE:
		return 0;
	case PHX_HANDLERS_EXECUTOR:
		return o->executor != NULL ? 0 : -EINVAL;
	case PHX_HANDLERS_POOL:
		break;
	default:
		return -EINVAL;
	}
	if (o->threads > PHX_POOL_THREADS_MAX || o->backlog > PHX_HANDOVER_MAX)
		return -EINVAL;
	if (o->cpu_count > CPU_SETSIZE || (o->cpu_count != 0 && o->cpus == NULL))
		return -EINVAL;
	for (uint32_t i = 0; i < o->cpu_count; i++)
		if (o->cpus[i] >= CPU_SETSIZE)
			return -EINVAL;
	return 0;
}

static void runner_free(struct phx_runner *r)
{
	phx_handover_fini(&r->work);
	free(r->pool);
	free(r->cpus);
	free(r);
}

static int runner_pool(
	struct phx_runner *r, const struct phx_server_options *o, const struct phx_queue *q)
{
	// Each request has two completion slots (design: reserve before submit).
	uint32_t backlog = o->backlog != 0 ? o->backlog : q->comp_slots / 2;

	r->threads = o->threads != 0 ? o->threads : phx_max(q->context->cpus, 1u);
	r->cpu_count = o->cpu_count;
	r->cpus = calloc(phx_max(o->cpu_count, 1u), sizeof(*r->cpus));
	r->pool = calloc(r->threads, sizeof(*r->pool));
	if (r->cpus == NULL || r->pool == NULL)
		return -ENOMEM;
	if (o->cpu_count != 0)
		memcpy(r->cpus, o->cpus, o->cpu_count * sizeof(*r->cpus));
	return phx_handover_init(&r->work, backlog);
}

int phx_runner_create(const struct phx_server_options *o, const struct phx_queue *q,
	struct phx_runner **out_runner)
{
	struct phx_runner *r;
	int rc = runner_check(o);

	if (rc != 0)
		return rc;
	if (o->handlers == PHX_HANDLERS_INLINE) {
		*out_runner = NULL;
		return 0;
	}
	r = aligned_alloc(PHX_CACHE_LINE, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	memset(r, 0, sizeof(*r));
	r->refs = 1;
	r->kind = o->handlers;
	r->executor = o->executor;
	r->executor_arg = o->executor_arg;
	if (r->kind == PHX_HANDLERS_POOL)
		rc = runner_pool(r, o, q);
	if (rc != 0) {
		runner_free(r);
		return rc;
	}
	*out_runner = r;
	return 0;
}

void phx_runner_put(struct phx_runner *r)
{
	if (r != NULL && --r->refs == 0)
		runner_free(r);
}

// ---- the pool ----

static void *pool_main(void *arg)
{
	struct phx_runner *r = arg;
	struct phx_request *request;
	char name[16];

	(void)snprintf(name, sizeof(name), "phx-handler-%u",
		atomic_fetch_add_explicit(&r->named, 1, memory_order_relaxed) % 1000);
	(void)pthread_setname_np(pthread_self(), name); // for people only
	while ((request = phx_handover_wait(&r->work)) != NULL)
		phx_request_run(request);
	return NULL;
}

static int pool_thread(struct phx_runner *r, uint32_t i)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc != 0)
		return -rc;
	if (r->cpu_count != 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(r->cpus[i % r->cpu_count], &set);
		rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	if (rc == 0)
		rc = pthread_create(&r->pool[i], &attr, pool_main, r);
	(void)pthread_attr_destroy(&attr); // cannot fail in glibc
	return -rc;
}

static void pool_join(struct phx_runner *r)
{
	phx_handover_stop(&r->work, true);
	while (r->started != 0)
		(void)pthread_join(r->pool[--r->started], NULL); // it was created
}

int phx_runner_start(struct phx_runner *r)
{
	sigset_t all, old;
	int rc = 0;

	if (r == NULL || r->kind != PHX_HANDLERS_POOL)
		return 0;
	if (atomic_exchange_explicit(&r->running, true, memory_order_acquire)) // phx_runner_stop
		return -EBUSY;
	phx_handover_stop(&r->work, false);
	atomic_store_explicit(&r->named, 0, memory_order_relaxed);
	// Signals are for the application's threads.
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	while (rc == 0 && r->started < r->threads) {
		rc = pool_thread(r, r->started);
		r->started += rc == 0;
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		phx_runner_stop(r);
	return rc;
}

void phx_runner_stop(struct phx_runner *r)
{
	if (r == NULL || r->kind != PHX_HANDLERS_POOL)
		return;
	pool_join(r);
	atomic_store_explicit(&r->running, false, memory_order_release); // phx_runner_start
}

// ---- handing over ----

static void task_run(void *arg)
{
	phx_request_run(arg);
}

bool phx_runner_give(struct phx_runner *r, struct phx_request *request)
{
	if (r->kind == PHX_HANDLERS_POOL)
		return phx_handover_put(&r->work, request);
	return r->executor(r->executor_arg, (struct phx_task){task_run, request}) == 0;
}

static void runner_drain(struct phx_runner *r)
{
	struct phx_request *request;

	while ((request = phx_handover_take(&r->work)) != NULL)
		phx_request_run(request); // an orphan: no handler sees it
}

void phx_runner_given(struct phx_runner *r, unsigned count)
{
	if (r->kind != PHX_HANDLERS_POOL)
		return;
	// The epoch is raised by both sides: either phx_runner_close() sees what was put, or
	// this sees that it was closed.
	phx_handover_wake(&r->work, count);
	if (phx_unlikely(atomic_load_explicit(&r->closed, memory_order_acquire)))
		runner_drain(r);
}

void phx_runner_close(struct phx_runner *r)
{
	if (r == NULL || r->kind != PHX_HANDLERS_POOL)
		return;
	atomic_store_explicit(&r->closed, true, memory_order_release); // phx_runner_given
	phx_handover_wake(&r->work, 1);
	runner_drain(r);
}

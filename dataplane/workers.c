// SPDX-License-Identifier: BSD-3-Clause
// Puts workers on lcores; works with core/worker.c and daemon.c.
#include "dataplane/workers.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/log.h"

#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>

static int make_worker(struct workers *w, unsigned lcore, bool user_lcores)
{
	rte_cpuset_t cpus = rte_lcore_cpuset(lcore);
	bool pinned = user_lcores && CPU_COUNT(&cpus) == 1;
	int rc = worker_create(w->count, lcore, pinned, w->qsbr, &w->worker[w->count]);

	if (rc == 0)
		w->count++;
	return rc;
}

int workers_init(struct workers *w, unsigned wanted, bool user_lcores)
{
	unsigned available = rte_lcore_count() - 1, lcore;
	size_t size = phx_align_up(rte_rcu_qsbr_get_memsize(PHX_LIMIT_WORKERS_MAX), 64);
	int rc = 0;

	*w = (struct workers){0};
	if (available == 0 || wanted > available || available > PHX_LIMIT_WORKERS_MAX) {
		phx_log_err("workers",
			"%u lcores: one is for control, at least one and at most %d for workers%s "
			"(for example -l 0-1)",
			available + 1, PHX_LIMIT_WORKERS_MAX,
			wanted > available && available != 0 ? ", fewer than --workers" : "");
		return -EINVAL;
	}
	if (wanted == 0)
		wanted = available;
	w->qsbr = aligned_alloc(64, size);
	if (w->qsbr == NULL || rte_rcu_qsbr_init(w->qsbr, PHX_LIMIT_WORKERS_MAX) != 0)
		rc = -ENOMEM;
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (rc == 0 && w->count < wanted)
			rc = make_worker(w, lcore, user_lcores);
	}
	if (rc != 0)
		workers_fini(w);
	return rc;
}

int workers_start(struct workers *w)
{
	unsigned i;

	w->running = true;
	for (i = 0; i < w->count; i++) {
		if (rte_eal_remote_launch(worker_main, w->worker[i], w->worker[i]->lcore) != 0) {
			workers_stop(w);
			return -EBUSY;
		}
	}
	return 0;
}

void workers_stop(struct workers *w)
{
	unsigned i;

	if (!w->running)
		return;
	for (i = 0; i < w->count; i++)
		worker_stop(w->worker[i]);
	for (i = 0; i < w->count; i++)
		(void)rte_eal_wait_lcore(w->worker[i]->lcore); // said what was wrong itself
	w->running = false;
}

void workers_fini(struct workers *w)
{
	workers_stop(w);
	while (w->count > 0)
		worker_destroy(w->worker[--w->count]);
	free(w->qsbr);
	*w = (struct workers){0};
}

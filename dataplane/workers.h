// SPDX-License-Identifier: BSD-3-Clause
// The workers of this process on EAL's lcores. Control thread.
#pragma once

#include "dataplane/core/worker.h"
#include "lib/base/limits.h"

struct registry;

struct workers {
	struct worker *worker[PHX_LIMIT_WORKERS_MAX];
	unsigned count;
	bool running;
	struct rte_rcu_qsbr *qsbr;
};

// Memory for quiescence and `wanted` workers (0: one for each worker lcore) on the worker lcores;
// pinned where EAL pins their lcore to one CPU and the user chose it. -EINVAL: fewer lcores than
// wanted (the reason is logged); -ENOMEM and others of worker_create(). Ended by workers_fini().
int workers_init(struct workers *w, unsigned wanted, bool user_lcores);
// Start the loops. -EBUSY: an lcore does not take its loop (those started are stopped).
int workers_start(struct workers *w);
// End the loops and wait for them; then nothing runs on workers any more.
void workers_stop(struct workers *w);
void workers_fini(struct workers *w);

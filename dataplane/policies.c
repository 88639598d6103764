// SPDX-License-Identifier: BSD-3-Clause
// See policies.h. Works with policyhost/ and daemon.c.
#include "dataplane/policies.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <stdio.h>
#include <string.h>

#define RECLAIM_NS UINT64_C(100000000)

// What was replaced is freed when its last call has ended; nobody tells us, so look now and then.
static void reclaim(struct worker *worker, struct timer *timer)
{
	struct policies *p = phx_container_of(timer, struct policies, reclaim);

	(void)worker;
	if (policyhost_reclaim(p->host) != 0)
		ctl_timer_start(p->loop, timer, phx_clock_ns() + RECLAIM_NS, reclaim);
}

static void post(void *arg, struct cmd *cmd, void (*fn)(struct worker *worker, struct cmd *cmd))
{
	struct policies *p = arg;

	ctl_post(p->loop, cmd, fn);
}

static void changed(void *arg)
{
	struct policies *p = arg;

	ctl_timer_start(p->loop, &p->reclaim, phx_clock_ns() + RECLAIM_NS, reclaim);
}

// The type's name, and behind the first of it a number: "null", "null-2".
static int attach(struct policies *p, const char *type, unsigned number)
{
	char name[OPTIONS_POLICY_NAME + 16];
	const struct policyhost_attach what = {
		.name = name, .type = type, .position = POLICYHOST_LAST};
	struct policyhost_error error = {.text = ""};
	int rc;

	(void)snprintf(name, sizeof(name), number == 1 ? "%s" : "%s-%u", type, number); // fits
	rc = policyhost_attach(p->host, &what, &error);
	if (rc != 0)
		phx_log_err("policies", "--policy %s: %s", type,
			rc == -ENOENT		? "no such policy"
			: error.text[0] != '\0' ? error.text
						: strerrorname_np(-rc));
	return rc == -ENOENT ? -EINVAL : rc;
}

int policies_start(struct policies *p, struct ctl_loop *loop, const struct workers *workers,
	const struct options *options)
{
	const struct policyhost_config config = {
		.qsbr = workers->qsbr,
		.workers = workers->worker,
		.worker_count = workers->count,
		.changed = changed,
		.changed_arg = p,
		.post = post,
		.post_arg = p,
	};
	int rc;

	p->loop = loop;
	timer_init(&p->reclaim);
	rc = policyhost_create(&config, &p->host);
	for (unsigned i = 0; i < options->policy_count && rc == 0; i++) {
		unsigned number = 1;

		for (unsigned k = 0; k < i; k++)
			number += strcmp(options->policies[k], options->policies[i]) == 0;
		rc = attach(p, options->policies[i], number);
	}
	return rc;
}

void policies_stop(struct policies *p)
{
	if (p->host == NULL)
		return;
	ctl_timer_stop(p->loop, &p->reclaim);
	policyhost_destroy(p->host);
	p->host = NULL;
}

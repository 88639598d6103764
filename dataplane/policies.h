// SPDX-License-Identifier: BSD-3-Clause
// The policy host of the daemon: made before the workers run, with the policies of the command
// line attached to every application. Control thread.
#pragma once

#include "dataplane/control/loop.h"
#include "dataplane/options.h"
#include "dataplane/policyhost/policyhost.h"
#include "dataplane/workers.h"

struct policies {
	struct ctl_loop *loop;
	struct chain_host *host; // NULL until policies_start()
	struct timer reclaim;
};

// Workers exist and do not run. 0, -EINVAL (logged), -ENOMEM.
int policies_start(struct policies *policies, struct ctl_loop *loop, const struct workers *workers,
	const struct options *options);
// Workers have ended, sessions and links are gone; the workers' memory is still there. Legal on
// zeroes.
void policies_stop(struct policies *policies);

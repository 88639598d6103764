// SPDX-License-Identifier: BSD-3-Clause
// Work that takes its time: closing channels and links, taking the host out of service. A job asks
// the dataplane for one step after the other, and can be asked for, waited for and looked at
// afterwards. One thread.
#pragma once

#include "controlplane/loop.h"
#include "lib/base/list.h"
#include "lib/ctl/server.h"

struct control;
struct job;

struct jobs {
	struct loop *loop;
	struct control *control;
	struct phx_list all; // oldest first
	unsigned running, over;
	uint64_t next_id;
};

struct job_plan {
	const char *method; // of the dataplane
	json_t *params;	    // taken; "act" is added
	const char *object; // what it is about; borrowed
	bool drain;	    // wait until nothing is under way, until timeout_ms
	bool close;	    // then end what is left; else being late is a failure
	bool stop;	    // the control plane ends with it
};

void jobs_init(struct jobs *jobs, struct loop *loop, struct control *control);
// Jobs that run are forgotten, who waits is answered. The loop runs no more.
void jobs_fini(struct jobs *jobs);

// Begin one for the call, which is answered now, or at the end when it has `wait`.
void jobs_start(struct jobs *jobs, struct phx_ctl_call *call, const struct job_plan *plan);

void jobs_list(struct jobs *jobs, struct phx_ctl_call *call, uint64_t generation);
// The job of the parameter "job": as it is now, or when it is over.
void jobs_get(struct jobs *jobs, struct phx_ctl_call *call);
void jobs_wait(struct jobs *jobs, struct phx_ctl_call *call);

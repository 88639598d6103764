// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun job: work that takes its time.
#include "lib/ctl/methods.h"

#define JOB_COLUMNS                                                                                \
	PHX_CTL_COLUMNS({"job", "JOB"}, {"kind", "KIND"}, {"object", "OBJECT"},                    \
		{"state", "STATE"}, {"inflight", "INFLIGHT"}, {"started_at", "STARTED"},           \
		{"ended_at", "ENDED"}, {"status", "STATUS"}, {"error", "ERROR"})
#define JOB_RESULT                                                                                 \
	"job, kind (its method), object, state: running, done or failed, inflight (calls that "    \
	"are waited for), cut (calls that were ended), started_at, ended_at; when it has failed "  \
	"error, code, status, and perhaps hint and candidates"
#define JOB_ID                                                                                     \
	{                                                                                          \
		.name = "job", .type = PHX_CTL_NAME, .required = true,                             \
		.help = "id, as the method that began it answered",                                \
	}

const struct phx_ctl_method phx_ctl_methods_job[] = {
	{
		.name = "job.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "jobs, the oldest first; the last 64 that are over are kept",
		.params = PHX_CTL_PARAMS(),
		.list_key = "jobs",
		.columns = JOB_COLUMNS,
		.result = "jobs: [{" JOB_RESULT "}], generation, next",
		.example = "job list",
	},
	{
		.name = "job.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "one job",
		.params = PHX_CTL_PARAMS(JOB_ID),
		.columns = JOB_COLUMNS,
		.result = JOB_RESULT,
		.example = "job get job-3",
	},
	{
		.name = "job.wait",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP | PHX_CTL_JOB,
		.summary = "one job, answered when it is over",
		.params = PHX_CTL_PARAMS(JOB_ID),
		.columns = JOB_COLUMNS,
		.result = JOB_RESULT,
		.example = "job wait job-3",
	},
	{.name = NULL},
};

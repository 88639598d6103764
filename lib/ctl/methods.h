// SPDX-License-Identifier: BSD-3-Clause
// Shared by the noun files of the method table; read it through method.h.
#pragma once

#include "lib/base/limits.h"
#include "lib/ctl/method.h"

// Each list ends with a method whose name is NULL.
extern const struct phx_ctl_method phx_ctl_methods_app[];
extern const struct phx_ctl_method phx_ctl_methods_channel[];
extern const struct phx_ctl_method phx_ctl_methods_cluster[];
extern const struct phx_ctl_method phx_ctl_methods_config[];
extern const struct phx_ctl_method phx_ctl_methods_engine[];
extern const struct phx_ctl_method phx_ctl_methods_event[];
extern const struct phx_ctl_method phx_ctl_methods_flow[];
extern const struct phx_ctl_method phx_ctl_methods_job[];
extern const struct phx_ctl_method phx_ctl_methods_lcore[];
extern const struct phx_ctl_method phx_ctl_methods_link[];
extern const struct phx_ctl_method phx_ctl_methods_listener[];
extern const struct phx_ctl_method phx_ctl_methods_log[];
extern const struct phx_ctl_method phx_ctl_methods_mem[];
extern const struct phx_ctl_method phx_ctl_methods_peer[];
extern const struct phx_ctl_method phx_ctl_methods_placement[];
extern const struct phx_ctl_method phx_ctl_methods_rpc[];
extern const struct phx_ctl_method phx_ctl_methods_rules[];
extern const struct phx_ctl_method phx_ctl_methods_service[];
extern const struct phx_ctl_method phx_ctl_methods_stats[];
extern const struct phx_ctl_method phx_ctl_methods_system[];
extern const struct phx_ctl_method phx_ctl_methods_trace[];

// Objects of the intent document: the parameters of the methods that set one, and the
// check of the document itself. Each list ends with name NULL.
extern const struct phx_ctl_param phx_ctl_attach_rule_fields[];
extern const struct phx_ctl_param phx_ctl_register_rule_fields[];
extern const struct phx_ctl_param phx_ctl_listener_fields[];
extern const struct phx_ctl_param phx_ctl_peer_fields[];
extern const struct phx_ctl_param phx_ctl_cluster_fields[];

// A parameter of methods that begin a job.
#define PHX_CTL_PARAM_WAIT                                                                         \
	{                                                                                          \
		.name = "wait", .type = PHX_CTL_BOOL,                                              \
		.help = "answer when the job is over, not when it has begun"                       \
	}
// How a method ends what carries calls.
#define PHX_CTL_PARAM_CLOSE_MODE                                                                   \
	{                                                                                          \
		.name = "mode", .type = PHX_CTL_ENUM, .values = "drain|reset",                     \
		.help = "drain (default): calls under way have until timeout_ms (10 s) to end; "   \
			"reset: they end now"                                                      \
	}
#define PHX_CTL_JOB_RESULT "job, state: running; with wait: the job as job get shows it"

#define PHX_CTL_PARAMS(...)                                                                        \
	((const struct phx_ctl_param[]){__VA_ARGS__ __VA_OPT__(, ){.name = NULL}})
#define PHX_CTL_COLUMNS(...) ((const struct phx_ctl_column[]){__VA_ARGS__, {.key = NULL}})

// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun cluster: several peers under one name.
#include "lib/ctl/methods.h"

static const struct phx_ctl_param endpoint_fields[] = {
	{.name = "address",
		.type = PHX_CTL_ADDRESS,
		.required = true,
		.help = "numeric address and port of a listener"},
	{.name = "weight",
		.type = PHX_CTL_INT,
		.min = 1,
		.max = 1000,
		.help = "its share of the calls (1)"},
	{.name = NULL},
};
static const struct phx_ctl_param endpoint[] = {
	{.name = "endpoint", .type = PHX_CTL_OBJECT, .fields = endpoint_fields},
	{.name = NULL},
};

#define CLUSTER_FIELDS                                                                             \
	{                                                                                          \
		.name = "name",                                                                    \
		.type = PHX_CTL_NAME,                                                              \
		.required = true,                                                                  \
		.help = "name of the cluster; applications connect to cluster:NAME[/GROUP]",       \
	},                                                                                         \
		{                                                                                  \
			.name = "balancing",                                                       \
			.type = PHX_CTL_ENUM,                                                      \
			.values = "round_robin|least_request",                                     \
			.help = "who gets the next call: in turn (default), or who has the "       \
				"fewest under way",                                                \
		},                                                                                 \
	{                                                                                          \
		.name = "endpoints", .type = PHX_CTL_ARRAY, .max = PHX_LIMIT_ENDPOINTS_MAX,        \
		.fields = endpoint, .help = "address=IP:PORT[,weight=N], given once for each",     \
	}

const struct phx_ctl_param phx_ctl_cluster_fields[] = {CLUSTER_FIELDS, {.name = NULL}};

#define CHANGE_COLUMNS PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"})
#define CLUSTER_COLUMNS                                                                            \
	PHX_CTL_COLUMNS({"name", "NAME"}, {"balancing", "BALANCING"}, {"endpoints", "ENDPOINTS"})
#define CLUSTER_ROW "name, balancing, endpoints: [{address, weight}]"
#define CLUSTER_NAME                                                                               \
	{                                                                                          \
		.name = "name", .type = PHX_CTL_NAME, .required = true,                            \
		.help = "name of the cluster",                                                     \
	}

const struct phx_ctl_method phx_ctl_methods_cluster[] = {
	{
		.name = "cluster.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "clusters that channels may name",
		.params = PHX_CTL_PARAMS(),
		.list_key = "clusters",
		.columns = CLUSTER_COLUMNS,
		.result = "clusters: [{" CLUSTER_ROW "}], generation, next",
		.example = "cluster list",
	},
	{
		.name = "cluster.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "one cluster",
		.params = PHX_CTL_PARAMS(CLUSTER_NAME),
		.columns = CLUSTER_COLUMNS,
		.result = CLUSTER_ROW,
		.example = "cluster get pay",
	},
	{
		.name = "cluster.add",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "name a cluster of endpoints",
		.params = PHX_CTL_PARAMS(CLUSTER_FIELDS),
		.columns = CHANGE_COLUMNS,
		.result = "changed, generation",
		.example = "cluster add pay endpoints address=10.0.0.5:5000 endpoints "
			   "address=10.0.0.6:5000,weight=2",
	},
	{
		.name = "cluster.set",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "change a cluster, for channels that are open too; what is not given "
			   "stays",
		.params = PHX_CTL_PARAMS(CLUSTER_FIELDS),
		.columns = CHANGE_COLUMNS,
		.result = "changed, generation",
		.example = "cluster set pay balancing least_request",
	},
	{
		.name = "cluster.del",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "forget a cluster; calls of its channels end UNAVAILABLE",
		.params = PHX_CTL_PARAMS(CLUSTER_NAME),
		.columns = CHANGE_COLUMNS,
		.result = "changed, generation",
		.example = "cluster del pay",
	},
	{.name = NULL},
};

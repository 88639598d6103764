// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun peer: networks that listeners may admit, by name.
#include "lib/ctl/methods.h"

#define PEER_FIELDS                                                                                \
	{                                                                                          \
		.name = "name",                                                                    \
		.type = PHX_CTL_NAME,                                                              \
		.required = true,                                                                  \
		.help = "name of the peer",                                                        \
	},                                                                                         \
	{                                                                                          \
		.name = "network", .type = PHX_CTL_NETWORK, .required = true,                      \
		.help = "its address, or the network of a group of peers",                         \
	}

const struct phx_ctl_param phx_ctl_peer_fields[] = {PEER_FIELDS, {.name = NULL}};

const struct phx_ctl_method phx_ctl_methods_peer[] = {
	{
		.name = "peer.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "peers that listeners may admit",
		.params = PHX_CTL_PARAMS(),
		.list_key = "peers",
		.columns = PHX_CTL_COLUMNS({"name", "NAME"}, {"network", "NETWORK"}),
		.result = "peers: [{name, network}], generation, next",
		.example = "peer list",
	},
	{
		.name = "peer.add",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "name a peer",
		.params = PHX_CTL_PARAMS(PEER_FIELDS),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "peer add rack1 network 10.0.0.0/24",
	},
	{
		.name = "peer.set",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "give a peer another network; links of the old one close",
		.params = PHX_CTL_PARAMS(PEER_FIELDS),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "peer set rack1 network 10.0.1.0/24",
	},
	{
		.name = "peer.del",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "forget a peer that no listener names",
		.params = PHX_CTL_PARAMS({.name = "name",
			.type = PHX_CTL_NAME,
			.required = true,
			.help = "name of the peer"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "peer del rack1",
	},
	{.name = NULL},
};

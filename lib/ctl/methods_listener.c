// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun listener: where peers may connect to this dataplane.
#include "lib/ctl/methods.h"

static const struct phx_ctl_param peer_name[] = {
	{.name = "peer", .type = PHX_CTL_NAME, .help = "name of an admitted peer"},
	{.name = NULL},
};

#define LISTENER_CHANGES                                                                           \
	{                                                                                          \
		.name = "name",                                                                    \
		.type = PHX_CTL_NAME,                                                              \
		.required = true,                                                                  \
		.help = "name of the listener",                                                    \
	},                                                                                         \
		{                                                                                  \
			.name = "transport",                                                       \
			.type = PHX_CTL_ENUM,                                                      \
			.values = "tcp",                                                           \
			.help = "another transport",                                               \
		},                                                                                 \
		{                                                                                  \
			.name = "address",                                                         \
			.type = PHX_CTL_ADDRESS,                                                   \
			.help = "another address; links of the old one close",                     \
		},                                                                                 \
	{                                                                                          \
		.name = "peers", .type = PHX_CTL_ARRAY, .max = PHX_LIMIT_PEERS_MAX,                \
		.fields = peer_name, .help = "the peers that may connect; links of others close",  \
	}

#define LISTENER_FIELDS                                                                            \
	{                                                                                          \
		.name = "name",                                                                    \
		.type = PHX_CTL_NAME,                                                              \
		.required = true,                                                                  \
		.help = "name of the listener",                                                    \
	},                                                                                         \
		{                                                                                  \
			.name = "transport",                                                       \
			.type = PHX_CTL_ENUM,                                                      \
			.required = true,                                                          \
			.values = "tcp",                                                           \
			.help = "transport that listens",                                          \
		},                                                                                 \
		{                                                                                  \
			.name = "address",                                                         \
			.type = PHX_CTL_ADDRESS,                                                   \
			.required = true,                                                          \
			.help = "numeric address and port",                                        \
		},                                                                                 \
	{                                                                                          \
		.name = "peers", .type = PHX_CTL_ARRAY, .max = PHX_LIMIT_PEERS_MAX,                \
		.fields = peer_name,                                                               \
		.help = "peers that may connect; loopback addresses only when empty",              \
	}

const struct phx_ctl_param phx_ctl_listener_fields[] = {LISTENER_FIELDS, {.name = NULL}};

const struct phx_ctl_method phx_ctl_methods_listener[] = {
	{
		.name = "listener.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "listeners that the operator wants, and whether they listen",
		.params = PHX_CTL_PARAMS(),
		.list_key = "listeners",
		.columns = PHX_CTL_COLUMNS({"name", "NAME"}, {"transport", "TRANSPORT"},
			{"address", "ADDRESS"}, {"peers", "PEERS"}, {"state", "STATE"},
			{"error", "ERROR"}),
		.result = "listeners: [{name, transport, address, peers, state: listening, error, "
			  "pending (the dataplane does not know it yet) or unknown (it is down), "
			  "error, accepted_total, refused_total}], generation, next",
		.example = "listener list",
	},
	{
		.name = "listener.add",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "listen for peers",
		.params = PHX_CTL_PARAMS(LISTENER_FIELDS),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "listener add web transport tcp address 127.0.0.1:5000",
	},
	{
		.name = "listener.set",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "change a listener; what is not given stays",
		.params = PHX_CTL_PARAMS(LISTENER_CHANGES),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "listener set web peers rack1,rack2",
	},
	{
		.name = "listener.del",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "stop listening; links that came over it close",
		.params = PHX_CTL_PARAMS({.name = "name",
			.type = PHX_CTL_NAME,
			.required = true,
			.help = "name of the listener"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "listener del web",
	},
	{.name = NULL},
};

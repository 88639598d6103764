// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun mem: where memory went.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_mem[] = {
	{
		.name = "mem.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "pools of the dataplane and memory of applications",
		.params = PHX_CTL_PARAMS({.name = "app",
			.type = PHX_CTL_GLOB,
			.help = "id or name of one application"}),
		.columns = PHX_CTL_COLUMNS({"app_bytes", "APP_BYTES"}, {"app_limit_bytes", "LIMIT"},
			{"pools", "POOLS"}, {"apps", "APPS"}),
		.result =
			"app_bytes, app_limit_bytes, app_refused_total, apps: [{app, name, "
			"claimed_name, send_bytes, send_quota_bytes, recv_bytes, "
			"recv_quota_bytes: heaps, queue_bytes: rings, schema_bytes, send_regions, "
			"recv_regions, recv_used_bytes, lent_blocks, lent_bytes, "
			"room_waits_total, snapshot_bytes, snapshot_quota_bytes, "
			"snapshot_refused_total}], pools: [{name, lcore, block_bytes, used, "
			"total, refused_total}]",
		.example = "mem get",
	},
	{.name = NULL},
};

// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun stats: counters and latencies of calls.
#include "lib/ctl/methods.h"

static const struct phx_ctl_param filter[] = {
	{.name = "app", .type = PHX_CTL_GLOB, .help = "id of the application"},
	{.name = "side", .type = PHX_CTL_GLOB, .help = "client or server"},
	{.name = "service", .type = PHX_CTL_GLOB, .help = "service name"},
	{.name = "method", .type = PHX_CTL_GLOB, .help = "method name"},
	{.name = "status", .type = PHX_CTL_GLOB, .help = "OK, UNAVAILABLE, ..."},
	{.name = NULL},
};
static const struct phx_ctl_param key[] = {
	{.name = "key",
		.type = PHX_CTL_ENUM,
		.values = "app|side|service|method|status",
		.help = "series with equal keys are added up"},
	{.name = NULL},
};
static const struct phx_ctl_param quantile[] = {
	{.name = "quantile",
		.type = PHX_CTL_NUMBER,
		.max = 1,
		.help = "0.99 is the 99th percentile"},
	{.name = NULL},
};

const struct phx_ctl_method phx_ctl_methods_stats[] = {
	{
		.name = "stats.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "calls by application, service, method and status",
		.params = PHX_CTL_PARAMS({.name = "filter",
						 .type = PHX_CTL_OBJECT,
						 .fields = filter,
						 .help = "only series that match"},
			{.name = "group_by",
				.type = PHX_CTL_ARRAY,
				.max = 5,
				.fields = key,
				.help = "what tells series apart; all five when absent"},
			{.name = "quantiles",
				.type = PHX_CTL_ARRAY,
				.max = 8,
				.fields = quantile,
				.help = "latencies to report; 0.5, 0.99, 0.999 when absent"}),
		.list_key = "series",
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"side", "SIDE"}, {"service", "SERVICE"},
			{"method", "METHOD"}, {"status", "STATUS"}, {"calls_total", "CALLS"},
			{"p#_us", "P#_US"}),
		.result = "series: [{app, name, claimed_name, side: client or server, service, "
			  "method, status, calls_total, errors_total, tx_bytes_total, "
			  "rx_bytes_total, p50_us, p99_us, p999_us, or p#_us of the quantiles "
			  "asked for, # their digits (0.9: p90_us, 1: p100_us): of all status of "
			  "the series}], "
			  "generation, next; app is overflow for keys beyond the table and past "
			  "for series given up",
		.example = "stats get filter.service='hello.*'",
	},
	{
		.name = "stats.samples",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "stages of single calls, one of 1024, the last of each worker",
		.params = PHX_CTL_PARAMS({.name = "filter",
			.type = PHX_CTL_OBJECT,
			.fields = filter,
			.help = "only calls that match"}),
		.list_key = "samples",
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"side", "SIDE"}, {"method", "METHOD"},
			{"status", "STATUS"}, {"sent_ns", "SENT"}, {"reply_ns", "REPLY"},
			{"complete_ns", "COMPLETE"}, {"delivered_ns", "DELIVERED"},
			{"replied_ns", "REPLIED"}, {"released_ns", "RELEASED"}),
		.result =
			"samples: [{app, side, service, method, status, lcore, sampled_at, and in "
			"ns from submission sent_ns, reply_ns, complete_ns of clients, from "
			"arrival delivered_ns, replied_ns, released_ns of servers; null where a "
			"call never came}], generation, next",
		.example = "stats samples filter.side=client",
	},
	{.name = NULL},
};

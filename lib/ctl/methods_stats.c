// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun stats: counters and latencies of calls.
#include "lib/ctl/methods.h"

static const struct phx_ctl_param filter[] = {
	{.name = "app", .type = PHX_CTL_GLOB, .help = "name of the application"},
	{.name = "service", .type = PHX_CTL_GLOB, .help = "service name"},
	{.name = "method", .type = PHX_CTL_GLOB, .help = "method name"},
	{.name = "status", .type = PHX_CTL_GLOB, .help = "OK, UNAVAILABLE, ..."},
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
			{.name = "quantiles",
				.type = PHX_CTL_ARRAY,
				.max = 8,
				.fields = quantile,
				.help = "latencies to report; 0.5, 0.99, 0.999 when absent"}),
		.list_key = "series",
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"service", "SERVICE"},
			{"method", "METHOD"}, {"status", "STATUS"}, {"calls_total", "CALLS"},
			{"p50_us", "P50_US"}, {"p99_us", "P99_US"}),
		.result = "series: [{app, service, method, status, calls_total, tx_bytes_total, "
			  "rx_bytes_total, p50_us, p99_us, p999_us}], generation, next",
		.example = "stats get filter.service='hello.*'",
	},
	{.name = NULL},
};

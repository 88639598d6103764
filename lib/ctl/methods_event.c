// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun event: what happens, as it happens.
#include "lib/ctl/methods.h"

static const struct phx_ctl_param type[] = {
	{.name = "type", .type = PHX_CTL_GLOB, .help = "app.attached, link.*, ..."},
	{.name = NULL},
};

#define TYPES                                                                                      \
	{                                                                                          \
		.name = "types", .type = PHX_CTL_ARRAY, .max = 16, .fields = type,                 \
		.help = "only events of these types; all when absent"                              \
	}
#define SINCE                                                                                      \
	{                                                                                          \
		.name = "since_seq", .type = PHX_CTL_INT, .max = INT64_MAX,                        \
		.help = "begin behind the event of this number; at the first that is kept when "   \
			"it has not been given yet"                                                \
	}
#define EVENT_COLUMNS                                                                              \
	PHX_CTL_COLUMNS({"seq", "SEQ"}, {"at", "AT"}, {"type", "TYPE"}, {"object", "OBJECT"},      \
		{"detail", "DETAIL"})

const struct phx_ctl_method phx_ctl_methods_event[] = {
	{
		.name = "event.history",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "the last events, oldest first",
		.params = PHX_CTL_PARAMS(TYPES, SINCE,
			{.name = "limit",
				.type = PHX_CTL_INT,
				.min = 1,
				.max = PHX_LIMIT_EVENTS_MAX,
				.help = "so many of the newest (100)"}),
		.list_key = "events",
		.columns = EVENT_COLUMNS,
		.result = "events: [{seq, at, type, object, detail}], lost (events behind "
			  "since_seq that are not kept any more), instance, generation, next",
		.example = "event history types link.*,app.detached limit 20",
	},
	{
		.name = "event.subscribe",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP | PHX_CTL_STREAM,
		.summary = "be told of events on this connection",
		.params = PHX_CTL_PARAMS(TYPES, SINCE),
		.columns = PHX_CTL_COLUMNS({"subscription", "SUBSCRIPTION"}, {"seq", "SEQ"}),
		.result =
			"subscription, seq of the last event before it, instance (another one: seq "
			"counts anew); then notifications "
			"event {subscription, seq, at, type, object, detail}; type event.lost "
			"with detail.count where the reader was too slow",
		.example = "event subscribe types app.*",
	},
	{
		.name = "event.unsubscribe",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP | PHX_CTL_STREAM,
		.summary = "end a subscription of this connection",
		.params = PHX_CTL_PARAMS({.name = "subscription",
			.type = PHX_CTL_NAME,
			.required = true,
			.help = "as event.subscribe answered (sub-3)"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}),
		.result = "changed",
		.example = "event unsubscribe sub-3",
	},
	{
		.name = "event.poll",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_PRIVATE,
		.summary = "events of a dataplane; waits for one when there is none",
		.params = PHX_CTL_PARAMS(
			SINCE, {.name = "wait_ms",
				       .type = PHX_CTL_INT,
				       .max = 60000,
				       .unit = "ms",
				       .help = "answer after this time without an event"}),
		.list_key = "events",
		.columns = EVENT_COLUMNS,
		.result = "instance, events: [{seq, at, type, object, detail}], lost, seq of the "
			  "last one",
		.example = "rpc event.poll '{\"since_seq\":0}'",
	},
	{.name = NULL},
};

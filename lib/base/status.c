// SPDX-License-Identifier: BSD-3-Clause
// Names of the status enumerations of status.h.
#include "lib/base/status.h"

#include "lib/base/compiler.h"

const char *phx_code_name(unsigned code)
{
	static const char *const names[PHX_CODE_COUNT] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return code < PHX_ARRAY_LEN(names) ? names[code] : "UNKNOWN";
}

const char *phx_origin_name(unsigned origin)
{
	static const char *const names[PHX_ORIGIN_COUNT] = {
		"application",
		"library",
		"local-dataplane",
		"remote-dataplane",
		"transport",
		"policy",
	};

	return origin < PHX_ARRAY_LEN(names) ? names[origin] : "transport";
}

const char *phx_executed_name(unsigned executed)
{
	static const char *const names[] = {"no", "maybe", "yes"};

	return executed < PHX_ARRAY_LEN(names) ? names[executed] : "maybe";
}

const char *phx_reason_name(unsigned reason)
{
	static const char *const names[PHX_REASON_COUNT] = {
#define PHX_REASON_STR(name) #name,
		PHX_REASONS(PHX_REASON_STR)
#undef PHX_REASON_STR
	};

	return reason < PHX_ARRAY_LEN(names) ? names[reason] : "INTERNAL";
}

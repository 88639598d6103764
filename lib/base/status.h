// SPDX-License-Identifier: BSD-3-Clause
// The one status of a call: code, origin, reason token, executed. Used by the
// library, JSON errors, CLI exit codes and the wire. Codes are gRPC's
// (github.com/grpc/grpc doc/statuscodes.md); the numbers of all four are ABI.
//
// Installed as <phoenix/status.h>, so it needs nothing of the project and has a guard that
// works for both of its paths.
#ifndef PHX_STATUS_H
#define PHX_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Marks what applications see of libphoenix, and only that.
#ifndef PHX_API
#define PHX_API __attribute__((visibility("default")))
#endif

enum phx_code {
	PHX_OK = 0,
	PHX_CANCELLED = 1,
	PHX_UNKNOWN = 2,
	PHX_INVALID_ARGUMENT = 3,
	PHX_DEADLINE_EXCEEDED = 4,
	PHX_NOT_FOUND = 5,
	PHX_ALREADY_EXISTS = 6,
	PHX_PERMISSION_DENIED = 7,
	PHX_RESOURCE_EXHAUSTED = 8,
	PHX_FAILED_PRECONDITION = 9,
	PHX_ABORTED = 10,
	PHX_OUT_OF_RANGE = 11,
	PHX_UNIMPLEMENTED = 12,
	PHX_INTERNAL = 13,
	PHX_UNAVAILABLE = 14,
	PHX_DATA_LOSS = 15,
	PHX_UNAUTHENTICATED = 16,
};
#define PHX_CODE_COUNT 17

// Who produced the status.
enum phx_origin {
	PHX_ORIGIN_APP = 0,
	PHX_ORIGIN_LIBRARY = 1,
	PHX_ORIGIN_LOCAL_DATAPLANE = 2,
	PHX_ORIGIN_REMOTE_DATAPLANE = 3,
	PHX_ORIGIN_TRANSPORT = 4,
	PHX_ORIGIN_POLICY = 5, // the policy's name is in the status text
};
#define PHX_ORIGIN_COUNT 6

// Did a server handler run? "maybe" is only said where nobody can know.
enum phx_executed {
	PHX_EXECUTED_NO = 0,
	PHX_EXECUTED_MAYBE = 1,
	PHX_EXECUTED_YES = 2,
};

// Reason tokens: the upper-case names of phx_reason_name(). Call reasons first, then
// reasons for which an application is disconnected (K), then a link is closed (C).
#define PHX_REASONS(X)                                                                             \
	X(NONE)                                                                                    \
	X(INVALID)                                                                                 \
	X(TOO_LARGE)                                                                               \
	X(NO_MEMORY)                                                                               \
	X(NO_CREDIT)                                                                               \
	X(RECV_QUOTA)                                                                              \
	X(DENIED)                                                                                  \
	X(CANCELLED)                                                                               \
	X(DEADLINE)                                                                                \
	X(UNAVAILABLE)                                                                             \
	X(MAYBE_EXECUTED)                                                                          \
	X(UNIMPLEMENTED)                                                                           \
	X(SCHEMA)                                                                                  \
	X(INTERNAL)                                                                                \
	X(NO_RULES)                                                                                \
	X(NO_SERVICE)                                                                              \
	X(SERVICE_DOWN)                                                                            \
	X(AMBIGUOUS_GROUP)                                                                         \
	X(LINK_DOWN)                                                                               \
	X(LINK_LOST)                                                                               \
	X(HOLD_CAP)                                                                                \
	X(METADATA)                                                                                \
	X(PAYLOAD_CRC)                                                                             \
	X(UTF8)                                                                                    \
	X(APP_GONE)                                                                                \
	X(DATAPLANE_GONE)                                                                          \
	X(DETACHED)                                                                                \
	X(FORKED)                                                                                  \
	X(RING_INDEX)                                                                              \
	X(RING_CFG)                                                                                \
	X(DESC_REGION)                                                                             \
	X(DESC_RANGE)                                                                              \
	X(DESC_ALIGN)                                                                              \
	X(DESC_FLAGS)                                                                              \
	X(DESC_COUNT)                                                                              \
	X(DESC_KIND)                                                                               \
	X(STALE_HANDLE)                                                                            \
	X(BAD_FREE)                                                                                \
	X(DOUBLE_FREE)                                                                             \
	X(FD_UNEXPECTED)                                                                           \
	X(HELLO_VERSION)                                                                           \
	X(HELLO_TIMEOUT)                                                                           \
	X(HELLO_STATE)                                                                             \
	X(SLOW_CONSUMER)                                                                           \
	X(MEM_FAULT)                                                                               \
	X(QUOTA_ABUSE)                                                                             \
	X(APP_EXIT)                                                                                \
	X(ADMIN)                                                                                   \
	X(DP_RESTART)                                                                              \
	X(W_MAGIC)                                                                                 \
	X(W_VERSION)                                                                               \
	X(W_LENGTH)                                                                                \
	X(W_CRC)                                                                                   \
	X(W_FRAG)                                                                                  \
	X(W_CREDIT)                                                                                \
	X(W_CALLID)                                                                                \
	X(W_EPOCH)                                                                                 \
	X(W_STATE)                                                                                 \
	X(W_AUTH)                                                                                  \
	X(W_IDLE)                                                                                  \
	X(W_RESET)

// Calls: NONE..FORKED; an application is disconnected: RING_INDEX..DP_RESTART; a link is
// closed: W_MAGIC..W_RESET.
enum phx_reason {
#define PHX_REASON_ENUM(name) PHX_REASON_##name,
	PHX_REASONS(PHX_REASON_ENUM)
#undef PHX_REASON_ENUM
		PHX_REASON_COUNT
};

// "OK", "CANCELLED", ... ; values outside the enum give "UNKNOWN". Static strings.
PHX_API const char *phx_code_name(unsigned code);
// "application", "library", "local-dataplane", "remote-dataplane", "transport", "policy".
PHX_API const char *phx_origin_name(unsigned origin);
// "no", "maybe", "yes".
PHX_API const char *phx_executed_name(unsigned executed);
// "NONE", "INVALID", ...; out of range gives "INTERNAL".
PHX_API const char *phx_reason_name(unsigned reason);

#ifdef __cplusplus
}
#endif

#endif

// SPDX-License-Identifier: BSD-3-Clause
// The one table of limits. Everything an application, peer or operator can grow is
// bounded by a row here; `phoenix-cli rpc limits` prints the table.
#pragma once

#include <stddef.h>
#include <stdint.h>

// name, value, unit, what it bounds
#define PHX_LIMITS(X)                                                                              \
	X(RING_SLOTS_MIN, 64, "slots", "smallest submission, return or completion ring")           \
	X(RING_SLOTS_MAX, 4096, "slots", "largest submission or return ring")                      \
	X(CQ_SLOTS_MAX, 32768, "slots", "largest completion ring")                                 \
	X(INLINE_SLOTS, 4, "slots", "slots of one entry, inline bytes included")                   \
	X(INFLIGHT_MAX, 16384, "calls", "calls in flight of one application")                      \
	X(QUEUES_MAX, 64, "queues", "queue objects of one application")                            \
	X(CHANNELS_MAX, 4096, "channels", "open channels of one application")                      \
	X(SERVICES_MAX, 256, "services", "services registered by one application")                 \
	X(BINDING_BYTES_MAX, 8388608, "bytes", "bindings of all channels of one application")      \
	X(SCHEMAS_MAX, 64, "schemas", "schema tables uploaded by one application")                 \
	X(SCHEMA_BYTES_MAX, 1048576, "bytes", "size of one schema table")                          \
	X(SCHEMA_MESSAGES_MAX, 4096, "messages", "message types in one schema table")              \
	X(SCHEMA_FIELDS_MAX, 65536, "fields", "fields in one schema table")                        \
	X(NESTING_MAX, 100, "levels", "nesting of one message")                                    \
	X(CHAIN_MAX, 16, "policies", "policies in one chain")                                      \
	X(GATHER_MAX, 64, "entries", "leaves of a message sent in place; the rest is copied")      \
	X(MESSAGE_BYTES_DEFAULT, 67108864, "bytes", "largest message unless configured")           \
	X(MESSAGE_BYTES_MAX, 1073741824, "bytes", "largest message that can be configured")        \
	X(MESSAGE_ELEMENTS_MAX, 16777216, "elements", "elements and parts of one message")         \
	X(WORK_BYTES, 65536, "bytes", "bytes of pack, unpack or copy before yielding")             \
	X(WORK_ELEMENTS, 1024, "elements", "elements visited before yielding")                     \
	X(CHUNK_BYTES, 65536, "bytes", "payload of one frame")                                     \
	X(LEAF_COPY_BYTES, 4096, "bytes", "leaves up to this size are copied, not gathered")       \
	X(METADATA_PAIRS, 64, "pairs", "metadata pairs of one call and direction")                 \
	X(METADATA_BYTES, 8192, "bytes", "metadata block of one call and direction")               \
	X(STATUS_TEXT_BYTES, 1024, "bytes", "status text")                                         \
	X(NAME_BYTES, 255, "bytes", "service, group, method or policy name")                       \
	X(SEND_QUOTA_DEFAULT, 1073741824, "bytes", "send heap of one application")                 \
	X(RECV_QUOTA_DEFAULT, 268435456, "bytes", "receive heap of one application")               \
	X(HEAP_FIRST_BYTES, 262144, "bytes", "first region of a heap")                             \
	X(HEAP_REGIONS_MAX, 64, "regions", "regions of one heap")                                  \
	X(SNAPSHOT_QUOTA, 67108864, "bytes", "snapshots of one session")                           \
	X(BURST, 32, "entries", "entries handled for one engine in a row")                         \
	X(FLUSH_FRAMES, 256, "frames", "frames of one link flush")                                 \
	X(FLUSH_BYTES, 65536, "bytes", "inline bytes of one link flush")                           \
	X(JSON_IN_BYTES, 1048576, "bytes", "one JSON request")                                     \
	X(JSON_OUT_BYTES, 16777216, "bytes", "one JSON response")                                  \
	X(JSON_DEPTH, 32, "levels", "nesting of one JSON request")                                 \
	X(JSON_VALUES, 65536, "values", "values of one JSON request")                              \
	X(JSON_ID_BYTES, 128, "bytes", "id of a JSON request")                                     \
	X(JSON_CLIENTS, 64, "connections", "clients of a control socket")                          \
	X(JSON_CLIENTS_UID, 16, "connections", "clients of a control socket of one uid")           \
	X(JSON_PENDING, 32, "requests", "outstanding requests of one client")                      \
	X(JSON_STREAMS, 8, "subscriptions", "subscriptions of one client of a control socket")     \
	X(EVENTS_MAX, 4096, "events", "events that a daemon keeps")                                \
	X(WORKERS_MAX, 64, "workers", "worker lcores of one dataplane")                            \
	X(SERIES_MAX, 1024, "series", "statistics of one worker: (application, service, method)")  \
	X(LINKS_MAX, 1024, "links", "links of one dataplane")                                      \
	X(APPS_MAX, 1024, "applications", "attached applications of one dataplane")                \
	X(RULES_MAX, 1024, "rules", "attach rules, and register rules, of one document")           \
	X(LABELS_MAX, 16, "labels", "labels given by one attach rule")                             \
	X(LISTENERS_MAX, 64, "listeners", "listeners of one document")                             \
	X(CLUSTERS_MAX, 256, "clusters", "clusters of one document")                               \
	X(ENDPOINTS_MAX, 64, "endpoints", "endpoints of one cluster")                              \
	X(PEERS_MAX, 1024, "peers", "admitted peers of one document")

enum {
#define PHX_LIMIT_ENUM(name, value, unit, text) PHX_LIMIT_##name = value,
	PHX_LIMITS(PHX_LIMIT_ENUM)
#undef PHX_LIMIT_ENUM
};

struct phx_limit {
	const char *name; // lower case, as printed
	uint64_t value;
	const char *unit;
	const char *text;
};

// The table, for printing. Static, *out_len rows. Names are the upper-case ones.
const struct phx_limit *phx_limits(size_t *out_len);

// SPDX-License-Identifier: BSD-3-Clause
// The intent document: what the control plane owns and pushes, what `--standalone FILE`
// reads. Version 1:
//   {"version":1,"generation":"7",
//    "attach":[{"name":"web","action":"allow","uid":1000,"gid":100,"app":"web",
//               "placement":"dedicated","labels":{"tier":"front"}}],
//    "register":[{"name":"pay","action":"owner","service":"pay.*","group":"*","uid":1000}],
//    "listeners":[{"name":"web","transport":"tcp","address":"127.0.0.1:5000",
//                  "peers":["rack1"]}],
//    "peers":[{"name":"rack1","network":"10.0.0.0/24"}],
//    "clusters":[{"name":"pay","balancing":"least_request",
//                 "endpoints":[{"address":"10.0.0.5:5000","weight":2}]}]}
// Rules are checked in order, the first that matches decides, no match denies. Sections
// may be absent when empty, and so may the generation: what operators keep in files has none.
// Names are unique within a section. Immutable once parsed: any
// thread may read; strings belong to the document.
#pragma once

#include "lib/ctl/address.h"
#include "lib/ctl/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHX_CTL_DOCUMENT_VERSION 1
#define PHX_CTL_ID_ANY		 UINT32_MAX
#define PHX_CTL_DIGEST_BYTES	 33 // 32 hexadecimal digits and NUL

enum phx_ctl_action_kind {
	PHX_CTL_DENY,
	PHX_CTL_ALLOW,
	PHX_CTL_OWNER, // register only: the uid that registered the name first
};

enum phx_ctl_placement {
	PHX_CTL_SHARED,
	PHX_CTL_SPREAD,
	PHX_CTL_PACKED,
	PHX_CTL_DEDICATED,
};

struct phx_ctl_label {
	const char *key;
	const char *value;
};

struct phx_ctl_attach_rule {
	const char *name;
	enum phx_ctl_action_kind action;
	uint32_t uid;	 // or PHX_CTL_ID_ANY
	uint32_t gid;	 // or PHX_CTL_ID_ANY
	const char *app; // name for the application, NULL: none
	enum phx_ctl_placement placement;
	int worker; // index, -1: by placement
	const struct phx_ctl_label *labels;
	size_t label_count;
};

struct phx_ctl_register_rule {
	const char *name;
	enum phx_ctl_action_kind action;
	const char *service; // glob (fnmatch(3) without flags), "*" when absent
	const char *group;   // glob, "*" when absent
	uint32_t uid;	     // or PHX_CTL_ID_ANY
	uint32_t gid;	     // or PHX_CTL_ID_ANY
};

struct phx_ctl_peer_entry {
	const char *name;
	struct phx_ctl_network network;
};

struct phx_ctl_listener_entry {
	const char *name;
	const char *transport; // "tcp"
	const char *address;   // as written
	struct sockaddr_storage sockaddr;
	const struct phx_ctl_peer_entry *const *peers; // admitted; none: loopback only
	size_t peer_count;
};

struct phx_ctl_endpoint {
	const char *address; // as written
	uint32_t weight;
};

struct phx_ctl_cluster_entry {
	const char *name;
	bool least_request; // else round robin
	const struct phx_ctl_endpoint *endpoints;
	size_t endpoint_count;
};

struct phx_ctl_document {
	uint64_t generation; // 0: none
	const struct phx_ctl_attach_rule *attach;
	size_t attach_count;
	const struct phx_ctl_register_rule *registers;
	size_t register_count;
	const struct phx_ctl_listener_entry *listeners; // sorted by name
	size_t listener_count;
	const struct phx_ctl_peer_entry *peers; // sorted by name
	size_t peer_count;
	const struct phx_ctl_cluster_entry *clusters; // sorted by name
	size_t cluster_count;
	char digest[PHX_CTL_DIGEST_BYTES]; // of everything but the generation
	json_t *json;			   // canonical form; borrow it
};

// Check json (borrowed) alone: form, ranges, unique names, not what it refers to. prefix ("" or
// "config.") opens the paths in errors. 0; -EINVAL with e set; -ENOMEM.
int phx_ctl_document_check(json_t *json, const char *prefix, struct phx_ctl_error *e);

// Check one element of a section in the same way; the errors name it by its index. An unknown
// section has no elements that could be wrong.
int phx_ctl_document_check_element(const char *section, size_t index, json_t *element,
	const char *prefix, struct phx_ctl_error *e);

// How many sections a document may have.
size_t phx_ctl_document_sections(void);

// Check json (borrowed) and build the structures. prefix ("" or "document.") opens the
// paths in errors. 0; -EINVAL with e set; -ENOMEM with e set to INTERNAL.
int phx_ctl_document_parse(json_t *json, const char *prefix, struct phx_ctl_document **out_document,
	struct phx_ctl_error *e);
void phx_ctl_document_destroy(struct phx_ctl_document *d);

// Read a document from a file: one JSON object within the limits of a request; it is not
// checked further. 0 and a new reference; -EINVAL what it says is no JSON, -E2BIG, -ENOMEM or
// what opening and reading returned, with e set (NOT_FOUND, FAILED_PRECONDITION, PARSE with
// line and column).
int phx_ctl_document_read(const char *path, json_t **out_json, struct phx_ctl_error *e);

// Does the document (borrowed) fit into one request and, indented as it is kept, into one file?
// Some room is left for what stands around it. 0; -EINVAL with e set to RESOURCE_EXHAUSTED, its
// limit (JSON_IN_BYTES, JSON_VALUES) and a hint; -ENOMEM with e set.
int phx_ctl_document_fits(json_t *json, struct phx_ctl_error *e);

// The canonical text, one line and a newline: sections and members in fixed order,
// listeners and peers by name, nothing that is empty. Parsing and printing it again gives
// the same bytes. malloc()ed, caller frees; NULL when out of memory.
char *phx_ctl_document_text(const struct phx_ctl_document *d);

// New references. Default of a control plane: every local user attaches, a service name
// belongs to the uid that registered it first. Default of --standalone: uid and root
// attach and register. Neither listens. Generation 0. NULL when out of memory.
json_t *phx_ctl_document_open_default(void);
json_t *phx_ctl_document_self_default(uint32_t uid);

// The rule that decides, NULL when none matches (which denies).
const struct phx_ctl_attach_rule *phx_ctl_attach_find(
	const struct phx_ctl_document *d, uint32_t uid, uint32_t gid);
const struct phx_ctl_register_rule *phx_ctl_register_find(const struct phx_ctl_document *d,
	const char *service, const char *group, uint32_t uid, uint32_t gid);
// May a peer with this address connect to the listener?
bool phx_ctl_listener_admits(
	const struct phx_ctl_listener_entry *l, const struct sockaddr *address);

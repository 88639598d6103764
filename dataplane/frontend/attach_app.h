// SPDX-License-Identifier: BSD-3-Clause
// One connection of app.sock, private to attach_*.c. Control thread, except what job->run and the
// callbacks of the session do on the worker.
#pragma once

#include "dataplane/frontend/attach_place.h"
#include "dataplane/frontend/attach_server.h"
#include "dataplane/frontend/session.h"
#include "lib/attach/attach.h"
#include "lib/schema/schema.h"

enum attach_state {
	ATTACH_HELLO,	// connected
	ATTACH_MAPPING, // hello answered, the application maps
	ATTACH_READY,
	ATTACH_CLOSING, // the socket is closed, resources come back
};

struct attach_packet {
	struct phx_list node;
	int fds[PHX_ATTACH_FDS_MAX]; // owned
	unsigned fd_count;
	size_t size;
	uint8_t data[];
};

// A request on its way through the worker; one at a time for each application, who is not read
// meanwhile.
struct attach_job {
	struct cmd cmd;
	struct attach_app *app;
	int (*run)(struct attach_job *job);   // worker; fills rc
	void (*done)(struct attach_job *job); // control; not called when the application is closing
	uint64_t id;			      // of the request
	int rc;
	uint32_t handle;
	uint32_t channel, schema, service, queue; // arguments
	uint64_t offset, size, peer;
	struct phx_schema *owned_schema;      // until the session has taken it over
	const struct phx_schema *lent_schema; // the session's
	char name[PHX_LIMIT_NAME_BYTES + 1];  // target, group
	bool remote;			      // waits for open_remote, not for the worker
	bool notify;			      // handle is a descriptor to send
};

struct attach_queue {
	struct phx_attach_queue desc;
	uint32_t app_region, dp_region;
	bool live;
	int notify_fd; // dataplane's end, -1 = none
};

struct attach_app {
	struct phx_list node;
	struct attach_server *server;
	uint64_t id;
	enum attach_state state;
	struct ctl_source socket;
	struct ctl_source process; // pidfd
	struct timer timer;	   // hello deadline, later the polls of closing
	struct identity identity;
	char name[RULES_NAME];
	char rule[RULES_NAME];
	char claim[65];
	char library[33];
	uint64_t since_ns;

	struct phx_list packets; // to send
	unsigned packet_count;
	struct timer retry; // of sending, when the kernel had no memory
	uint32_t watched;   // events that epoll knows
	bool busy;	    // a job is out

	struct attach_object objects[2];
	int doorbell;
	struct worker *worker;
	enum rules_placement placement;
	bool fixed; // a rule names the worker
	struct session *session;
	bool started; // the worker knows the session
	struct attach_queue queues[PHX_LIMIT_QUEUES_MAX];
	uint32_t queue_count;
	uint32_t call_slots;
	struct attach_job job;

	uint8_t *upload; // schema table being received
	uint32_t upload_size, upload_fill;
	uint64_t schema_bytes; // charged for it and for the session's
	const struct phx_schema *schemas[PHX_LIMIT_SCHEMAS_MAX]; // the session's
	uint32_t schema_count;
	bool registered; // the registry may name the session

	struct cmd fail_cmd; // worker>control, once
	_Atomic bool failed;
	enum phx_reason fail_reason;
	char fail_text[128];
	struct cmd want_cmd; // worker>control>worker, one at a time
	_Atomic bool wanting;
	uint64_t want_size;
	int want_rc;	    // of the region that was wanted
	bool want_deferred; // until the session has moved
	bool moving;	    // between two workers

	bool ending;		// attach_close() was called
	enum phx_reason reason; // of closing
	struct cmd close_cmd;
	uint64_t close_token;
	bool close_passed; // the worker has run everything of this application
};

// ---- attach_conn.c: packets ----
int attach_app_accept(struct attach_server *server, int fd);
// Send a packet; header type, size and id are filled in here. fds are taken over in any case.
// Closes the application when its queue is full or the socket broken.
void attach_send(struct attach_app *app, void *packet, size_t size, uint16_t type, uint64_t id,
	const int *take_fds, unsigned fd_count);
void attach_reply(struct attach_app *app, uint64_t id); // success without a body
// REFUSED, or EVENT_DETACH with id 0.
void attach_refuse(struct attach_app *app, uint64_t id, enum phx_code code, enum phx_reason reason,
	const char *text);
// The refusal that fits a negative errno value.
void attach_refuse_errno(struct attach_app *app, uint64_t id, int rc, const char *text);
// Read on, or stop reading while a job is out. What was closed meanwhile goes on closing.
void attach_set_busy(struct attach_app *app, bool busy);
void attach_packets_drop(struct attach_app *app);

// ---- attach_hello.c ----
// Checks of sizes are done; these close the application or answer.
void attach_hello(struct attach_app *app, const struct phx_attach_hello_req *req);
bool attach_sizes_ok(
	const struct phx_attach_queue_sizes *sizes, struct phx_attach_queue_sizes *out);
// Make queue `index` of checked sizes. Errors of attach_object_queue; -ENOSPC: call slots.
int attach_queue_make(struct attach_app *app, const struct phx_attach_queue_sizes *sizes);
void attach_queue_undo(struct attach_app *app);

// ---- attach_request.c ----
// One packet of a checked header. size is the packet's.
void attach_request(struct attach_app *app, const uint8_t *packet, size_t size);

// ---- attach_session.c: the boundary to the worker ----
int attach_session_create(struct attach_app *app);
// Post the application's job; `done` runs on control later.
void attach_job_post(struct attach_app *app, uint64_t id, int (*run)(struct attach_job *),
	void (*done)(struct attach_job *));
void attach_session_start(struct attach_app *app, uint64_t id);
// Go on with the receive region that the session wants.
void attach_session_want(struct attach_app *app);
void attach_session_region(
	struct attach_app *app, uint64_t id, const struct attach_region *r, bool receive);
void attach_session_queue(struct attach_app *app, uint64_t id, uint32_t queue);
void attach_session_notify(struct attach_app *app, uint64_t id, uint32_t queue);
// 0, or what chain_session_schema() said: nothing has been answered.
int attach_session_schema(struct attach_app *app, uint64_t id, struct phx_schema *take_schema);
void attach_session_channel(struct attach_app *app, uint64_t id, const char *group, uint64_t peer);
void attach_session_channel_close(struct attach_app *app, uint64_t id, uint32_t handle);
void attach_session_bind(struct attach_app *app, uint64_t id, const struct phx_attach_bind *req);
void attach_session_register(struct attach_app *app, uint64_t id,
	const struct phx_attach_register *req, const char *group);
void attach_session_unregister(struct attach_app *app, uint64_t id, uint32_t handle);

// ---- attach_close.c ----
// Disconnect: history, EVENT_DETACH, teardown. The object stays valid until the next turn of the
// loop at least; a second call is ignored. text may be NULL.
void attach_close(struct attach_app *app, enum phx_reason reason, const char *text);
// A job of a closing application has come back.
void attach_close_continue(struct attach_app *app);
uint64_t attach_wall_ns(void);
void attach_server_check_stopped(struct attach_server *server);

// SPDX-License-Identifier: BSD-3-Clause
// A rig for the path of calls: one worker that the test drives round by round under a clock of its
// own, a client's and a server's session of the real frontend, a local link between them, and
// the policy host. The test plays both applications with their rings and heaps. rig.c: the
// dataplane's side; rig_app.c: the applications.
#pragma once

#include "dataplane/core/registry.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/session.h"
#include "dataplane/link/link.h"
#include "dataplane/policyhost/policyhost.h"

#include <stdbool.h>
#include <stdint.h>

#define RIG_CALLS 1024 // call slots

// t.Req {string name = 1; uint64 amount = 2; bytes body = 3;}
// t.Rep {string text = 1; bytes body = 2;}
// t.Svc {rpc Echo(t.Req) returns (t.Rep);}
enum { RIG_REQ, RIG_REP };

struct rig_done { // how a call ended
	bool done;
	unsigned completions;
	uint8_t code, origin, executed, reason;
	char text[256];
	char reply[256]; // text of the reply
	uint32_t reply_body;
};

struct rig_request { // as the server's application saw it
	uint64_t handle;
	char name[256];
	uint64_t amount;
	uint32_t body_len;
	uint8_t body_first, body_last;
	char meta[32]; // value of "who"
};

struct rig_app {
	struct rig *rig;
	struct session *session;
	const char *failed; // why the dataplane would disconnect it
	uint8_t *app, *dp;
	struct phx_ring_prod sub, ret;
	struct phx_ring_cons comp;
	uint32_t heap_next, lent;
	uint32_t queue_slots;
	struct rig_done calls[RIG_CALLS]; // client: by slot
	uint32_t sub_position[RIG_CALLS];
	struct rig_request requests[RIG_CALLS]; // server: in order of arrival
	uint32_t request_count, answered, released, cancelled;
	bool quiet;	      // the server does not answer by itself
	const char *answer;   // text of its replies; NULL = the request's name
	uint32_t answer_body; // bytes of their body
	uint32_t closed;
	uint32_t evil; // requests that no policy may let through: named "evil", body from 'e'
};

struct rig {
	uint64_t now; // clock of the worker
	struct rte_rcu_qsbr *qsbr;
	struct worker *worker;
	struct registry *registry;
	struct cmdq control; // the control thread's inbox, run at the end of a round
	struct chain_host *host;
	struct phx_schema *schemas[2]; // of client, server
	struct rig_app client, server;
	struct link *links[2];
	uint32_t next_slot;
	bool strange; // the client's side learns the server's schema by its first call, not before
	bool threads; // workers run on their own: unused by hand-driven tests
};

struct rig *rig_create(void);
// The applications have message types of their own; the client's lie in memory as rig_messages do.
struct t_message;
extern const struct t_message *const rig_messages;
struct rig *rig_create_as(const struct t_message *client, const struct t_message *server);
// Closes what is open, and fails when a snapshot block or a policy is left.
void rig_destroy(struct rig *rig);
// The two around a cmocka test: a rig as its state, and at the end neither application
// disconnected.
int rig_setup(void **state);
int rig_teardown(void **state);
// One round at the present time: polls, flushes, commands, timers; the server's application
// answers. Returns the work done.
unsigned rig_round(struct rig *rig);
// Rounds until nothing moves.
void rig_settle(struct rig *rig);
// So many rounds, each a part of a timer tick later: to stop amid what takes several.
void rig_rounds(struct rig *rig, unsigned rounds);
// Let time pass in steps of a timer tick.
void rig_pass(struct rig *rig, uint64_t ns);

struct rig_call {
	const char *name;
	uint64_t amount;
	uint32_t body; // bytes of the body, filled with 'b'
	const char *meta_key, *meta_value;
	uint64_t timeout_ns; // 0 = none
	bool inlined;
	bool wait;   // for the service to be ready
	bool again;  // the message that stands at `at` already
	uint32_t at; // out: where the message lies in the client's heap
	uint32_t name_at, body_at;
};
// Submit a call; its slot. Nothing has run yet.
uint32_t rig_submit(struct rig *rig, struct rig_call *call);
// Submit by name, settle, and give how it ended (or not).
struct rig_done *rig_echo(struct rig *rig, const char *name, uint64_t amount);
void rig_cancel(struct rig *rig, uint32_t slot);
struct rig_done *rig_done(struct rig *rig, uint32_t slot);
// The server answers request number i (RIG's `quiet`), with text or, code != 0, a bare status.
void rig_answer(struct rig *rig, uint32_t i, const char *text, unsigned code);
// The link between the two is lost, noticed first by the client's end.
void rig_lose_link(struct rig *rig);
// The same, noticed first by the server's end: what the client still sends is lost with it.
void rig_lose_server_end(struct rig *rig);
// A new link between the two.
void rig_connect(struct rig *rig);
// Are there 64 of these bytes in a row in what the application can read of its receive heap?
bool rig_can_read(const struct rig_app *app, char byte);
// The application dies.
void rig_close(struct rig_app *app);

// Attach with parameters "name=value name=value"; asserts.
void rig_attach(struct rig *rig, const char *name, const char *type, const char *params);
int rig_try_attach(struct rig *rig, const char *name, const char *type, const char *params);
void rig_reconfigure(struct rig *rig, const char *name, const char *params);
void rig_detach(struct rig *rig, const char *name);
struct policyhost_stats rig_stats(struct rig *rig, const char *name);

// probe.c
extern _Atomic unsigned probe_ends;	     // call ends of all of them, whoever is attached now
extern const struct phx_policy probe_policy; // judges everywhere
extern const struct phx_policy probe_again_policy; // the same with recheck_on_change
extern const struct phx_policy watch_policy;	   // looks on, has a state
enum {						   // counters of all three
	PROBE_ENDS,
	PROBE_STATE_OK,
	PROBE_STATE_BAD,
	PROBE_CHANGED,
	PROBE_REASKED,
	PROBE_ENDS_OK,
};

// SPDX-License-Identifier: BSD-3-Clause
// Links of one worker: RPC over connections. A link carries the paths of many channels (client
// end) and the rchannels of many peers' channels (server end). A path is one channel on one link:
// it has the channel id, epoch, sequence and credit of the wire. Worker thread only.
//
// Channel -> paths: a channel has one path per link to its peer (one per remote worker). Calls go
// round robin over the paths whose peer worker has the service.
#pragma once

#include "dataplane/core/call.h"
#include "dataplane/core/registry.h"
#include "dataplane/core/rpc.h"
#include "dataplane/core/worker.h"
#include "dataplane/transport/transport.h"

#define LINK_BUCKETS	  256
#define LINK_WINDOW_CALLS 1024u
#define LINK_WINDOW_BYTES (UINT64_C(16) << 20)
#define LINK_PING_NS	  UINT64_C(1000000000)	// keep-alive interval; three missed = W_IDLE
#define LINK_QUIET_TICKS  10			// intervals between questions on an idle link
#define LINK_SINGLE_BYTES PHX_LIMIT_CHUNK_BYTES // larger messages are announced
#define LINK_RESOLVE_NS	  UINT64_C(100000000)	// to ask a new link what was accepted
#define LINK_ELSEWHERE_NS UINT64_C(1000000000)	// to wait for a path to where a service is
#define LINK_ROUND_CHUNKS 2			// of all links of a worker in a round: 128 KiB
#define LINK_GRANT_NS	  UINT64_C(5000000000)	// a grant without progress for so long expires
// What peers may make this worker keep: channels, histories of lost ones, subscriptions.
#define LINK_CHANNELS_MAX      65536u // of all links; one link has half of them at most
#define LINK_ORPHANS_MAX       8192u
#define LINK_ORPHAN_BUCKETS    1024u
#define LINK_SUBSCRIPTIONS_MAX (UINT64_C(256) << 20) // bytes; one link a sixteenth at most
#define LINK_ORPHAN_NS	       UINT64_C(2000000000)  // a lost channel's history is kept this long
// A drain ends by itself when nobody has asked for so long: whoever closes asks every 20 ms, and
// waits up to 2 s for an answer.
#define LINK_DRAIN_NS UINT64_C(3000000000)

struct link {
	struct phx_list node; // of the table's links
	struct worker *worker;
	struct conn *lane[PHX_LANE_COUNT]; // the same conn twice when there is only one
	uint64_t peer;			   // id at the dialer; 0 = this host; client ends only
	uint8_t peer_uuid[16];
	char peer_name[128];
	uint16_t remote_worker; // index there
	uint64_t id;		// link-N
	bool local;		// contents need no validation
	bool client;		// this end dialled: it carries paths
	bool trace;		// the peer knows PHX_FRAME_TRACE
	bool down;
	bool draining;	    // the operator closes it: it takes no new calls
	struct timer drain; // while it is
	uint32_t pings_missed;
	uint32_t inflight;    // sent calls of all paths
	uint32_t quiet_ticks; // keep-alive intervals since the peer was heard of
	uint64_t last_rx;     // rx frame count at the last tick
	uint64_t opened_ns;
	struct timer ping;
	struct phx_list paths;	   // struct path.link_node
	struct phx_list rchannels; // struct rchannel.node
	struct phx_list path_bucket[LINK_BUCKETS];
	struct phx_list rchannel_bucket[LINK_BUCKETS];
	struct phx_list bulk;	 // struct outgoing, granted, round robin
	struct phx_list backlog; // struct backlog_frame: small lane said -EAGAIN
	uint32_t backlog_count, rchannel_count;
	uint64_t backlog_bytes;
	uint64_t subscription_bytes; // of its channels
	struct phx_list busy_node;
	struct phx_list replies; // struct rcall.node: small lane said -EAGAIN
	bool bulk_blocked, small_blocked;
	_Atomic uint64_t calls_out, calls_in, dropped_frames; // [worker>ctl]
	void *ctl;					      // control's object
	struct cmd end;					      // teardown
	enum phx_reason end_reason;
	int end_error;
};

enum service_state {
	SERVICE_ASKED,
	SERVICE_UP,
	SERVICE_DOWN,
	SERVICE_UNKNOWN,
	SERVICE_AMBIGUOUS,
	SERVICE_ELSEWHERE, // another worker of the peer has it, or will in a moment
};

struct path_binding {
	uint64_t since_ns; // of state
	uint8_t state;	   // enum service_state
	bool image;	   // the peer's instances take images of our hash
	uint32_t service;
	struct phx_hash128 hash; // that the peer announced, zeroes = none
};

enum path_state { PATH_OPENING, PATH_OPEN, PATH_REFUSED, PATH_LOST };

struct path {
	struct phx_list node;	   // of the channel
	struct phx_list link_node; // of the link
	struct phx_list bucket;
	struct channel *channel;
	struct link *link; // NULL when LOST
	uint64_t peer;	   // of its last link
	uint32_t member;   // place of that peer in the channel's cluster
	uint64_t id;	   // random: the wire's channel id
	uint32_t epoch;
	uint8_t state;
	uint8_t refused_code; // when REFUSED
	uint8_t refused_reason;
	uint16_t remote_worker; // of its last link: there the history of its calls is
	uint64_t sequence;	// last given
	uint64_t limit;		// sequences up to here may be given
	uint64_t bytes_sent;
	uint64_t bytes_limit;
	uint32_t admitted;	       // credit taken, not sent yet
	struct path_binding *bindings; // channel->binding_count
	struct call **sent;	       // by cookie
	uint32_t *sent_next;	       // free list
	uint32_t sent_size, sent_free, sent_count;
	bool resolving; // asked the new link what was accepted before the loss
	struct timer resolve;
};

struct channel_binding {
	char *groups; // malloc: what the peer listed when several offer the service
	const struct phx_schema *schema;
	uint32_t service;
	uint32_t method_count;
	bool known;	   // a peer has announced it once
	uint64_t *methods; // malloc: service_method_id(), little-endian, for SUBSCRIBE
	struct phx_hash128 hash;
	struct schema_fetch *fetch;   // owned
	struct stats_series **series; // of each method, the frontend's
	struct phx_list pending;      // struct call.node: waiting for service or credit
};

#define CHANNEL_STOPPED_ADMIN 1u // the operator has closed it
#define CHANNEL_STOPPED_HOST  2u // the host is being drained
#define CHANNEL_STOPPED_DRAIN 4u // the operator is closing it
struct channel {
	struct phx_list node; // of the peer's channels
	struct session *session;
	struct worker *worker;
	uint32_t handle;
	uint64_t peer;		 // or a cluster
	struct peer_links *home; // its record
	char group[PHX_LIMIT_NAME_BYTES + 1];
	struct phx_list paths;
	struct phx_list connects; // struct call.node: waiting for a connection
	struct path *next_path;	  // round robin
	uint32_t path_count;
	struct channel_binding *bindings;
	uint32_t binding_count, binding_size;
	bool closing;
	uint8_t stopped;		   // CHANNEL_STOPPED_*: new calls are refused
	struct timer drain;		   // while CHANNEL_STOPPED_DRAIN is set
	bool frozen;			   // its session is about to move: calls wait
	_Atomic uint64_t calls, bytes_out; // [worker>ctl]
};

// What a worker knows of a peer host. Peer 0 is this host.
enum peer_state { PEER_CONNECTING, PEER_UP, PEER_BACKOFF };
struct peer_links {
	struct phx_list node;
	uint64_t peer;
	uint8_t state;
	uint32_t link_count;
	bool retired; // to be freed with its last link
	struct phx_list channels;
	struct cluster *cluster; // owned; NULL: one peer (cluster.h)
	char why[160];		 // with BACKOFF
};

// A service that the peer's channel asked for: one block with its names.
struct subscription {
	uint32_t binding;	 // theirs
	int service;		 // id here, or negative errno value
	uint8_t told;		 // enum service_state last sent
	bool image;		 // a hash was sent: instances with it take images
	struct phx_hash128 hash; // that one
	uint32_t round;		 // of the instances: the next
	uint32_t size;		 // of the block
	const char *group;	 // in it
	const char *name;	 // in it
	uint64_t order;		 // service_order() of the methods
	uint32_t method_count;	 // of the client's schema, in its order
	uint64_t methods[];	 // service_method_id()
};

#define RCHANNEL_BUCKETS 16 // looked into for what is not a whole request
struct rchannel {
	struct phx_list node; // of the link, or of the table's orphans
	struct link_table *table;
	struct phx_list bucket;
	struct link *link; // NULL = orphan
	uint64_t id;
	uint32_t epoch;
	uint64_t accepted; // sequences up to here are in the call table or ended
	uint64_t completed;
	uint64_t limit_told; // accepted + limit of the last CREDIT
	uint64_t bytes;	     // received
	uint64_t bytes_done;
	uint64_t bytes_told;
	uint32_t calls;	  // live rcalls
	uint8_t uuid[16]; // of the peer
	struct timer expiry;
	struct subscription **subscriptions; // by the id that HEADERS carry
	uint32_t subscription_count;
	struct phx_list calls_bucket[RCHANNEL_BUCKETS]; // struct rcall.bucket by sequence
};

// A chunk that a transport reads in place.
struct chunk {
	struct conn_done done;
	struct outgoing *out;
	struct link_table *table;
};

struct link_table {
	struct source source; // polled while links have chunks to send
	struct worker *worker;
	struct phx_list busy;	// struct link.busy_node
	struct phx_list chunks; // free struct chunk
	struct phx_list links;
	struct phx_list peers;
	struct phx_list orphans; // oldest first
	struct phx_list orphan_bucket[LINK_ORPHAN_BUCKETS];
	uint32_t orphan_count;
	uint32_t rchannel_count;     // of all links, orphans included
	uint64_t subscription_bytes; // of all links
	uint64_t seed;		     // of the buckets: peers choose the ids
	struct peer_links *local;    // peer 0
	uint32_t round;		     // instance round robin
	bool stopped;		     // the host is being drained
};

// ---- control, through posted commands, on the worker's thread ----
int link_table_create(struct worker *worker);
void link_table_destroy(struct worker *worker);
struct link_config {
	uint64_t id;
	uint64_t peer; // dialled peer; ignored for accepted links
	bool client;
	bool local;
	bool trace; // the peer knows PHX_FRAME_TRACE
	uint8_t peer_uuid[16];
	const char *peer_name;
	unsigned remote_worker;
	struct conn *lane[PHX_LANE_COUNT];
	void *ctl;
};
// Start the conns and carry channels. The link is freed by link_close() or when it dies, after
// link_lost_fn ran. -ENOMEM: conns are closed.
int link_open(struct worker *worker, const struct link_config *config, struct link **out_link);
void link_close(struct link *link, enum phx_reason reason);
// Told once per link that died by itself or was closed; control's object.
extern void (*link_lost_fn)(struct worker *worker, void *ctl, enum phx_reason reason, int error);

// ---- who waits for a connection: connect.c ----
// Let them go if there is one, or if there will be none.
void connect_kick(struct channel *channel);
// For people: why there is none.
void connect_waits_for(const struct channel *channel, char *out_text, size_t size);

// ---- peers, on the worker's thread: peer.c ----
// State of a dialled peer, for fail-fast; why (may be NULL) is shown with BACKOFF. Creates the
// record.
int peer_set_state(struct worker *worker, uint64_t peer, enum peer_state state, const char *why);
// The peer has turned out to be this host: its channels go over local links.
void peer_localise(struct worker *worker, uint64_t peer);
// How many channels the peer has here. Without any its links are closed, and its record is freed
// with the last of them.
uint32_t peer_retire(struct worker *worker, uint64_t peer);
// The registry has changed: tell subscribers.
void link_services_changed(struct worker *worker);

// ---- out of service: stop.c ----
// why is a CHANNEL_STOPPED bit. New calls and those that wait end UNAVAILABLE(ADMIN).
void channel_stop(struct channel *channel, unsigned why);
// For people, of a channel that is stopped; static.
const char *channel_stopped_why(const struct channel *channel);
void channel_resume(struct channel *channel, unsigned why);
// No new calls for LINK_DRAIN_NS from now on; asked again before, for longer. Whoever asks may die
// without a word: then the channel or link goes on as it was.
void channel_drain(struct channel *channel);
void link_drain(struct link *link);
// All channels, those to come too.
void link_stop_channels(struct worker *worker, bool stop);
// NULL: not of this worker.
struct channel *channel_find(struct worker *worker, uint64_t app, uint32_t handle);
// Calls that have been given to a path and are not over.
uint32_t channel_inflight(const struct channel *channel);
uint32_t link_inflight(const struct link *link);

// ---- inside the link layer ----
// The link is dead or must die: everything on it ends, it is freed. Safe inside up-calls.
void link_fail(struct link *link, enum phx_reason reason, int error);
extern const struct conn_up link_up_ops;
struct peer_links *peer_get(struct link_table *table, uint64_t peer);
// A link of the peer has ended.
void peer_link_ended(struct link_table *table, uint64_t peer);
// With nothing in flight the first calls of a batch leave while the rest is still being made, so
// that both hosts work at the same time. Measured: 32 in flight over TCP, a fifth more calls.
#define LINK_FIRST_FRAMES 16u
static inline void link_sent(struct link *link)
{
	if (link->inflight++ == 0)
		link->lane[PHX_LANE_SMALL]->flush_frames = LINK_FIRST_FRAMES;
}
static inline struct link_table *link_table(struct worker *worker)
{
	return worker->link_layer;
}
// Send a control frame or a small message; queues it when the lane is full. Dead links drop it.
void link_send(struct link *link, const struct phx_frame *frame, const struct iovec *iov, int n);
// The small lane has room: what waits for it goes. The link has ended: it does not.
void backlog_send(struct link *link);
void backlog_drop(struct link *link);

// link_client.c, client_reply.c
int client_frame(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason);
void *client_sink(struct link *link, const struct phx_frame *f);
int client_landed(struct link *link, const struct phx_frame *f, enum phx_reason *reason);
void client_lost(struct link *link, enum phx_reason reason);

// May a call of the binding go over the path now?
static inline bool path_usable(const struct path *path, uint16_t binding)
{
	return path->state == PATH_OPEN && path->bindings[binding].state == SERVICE_UP &&
	       path->sequence + path->admitted < path->limit &&
	       path->bytes_sent < path->bytes_limit && !path->link->small_blocked &&
	       !path->link->down && !path->link->draining;
}

// Why the peer cannot be reached: a text, never NULL.
const char *channel_unreachable(const struct channel *channel);
int path_create(struct channel *channel, struct link *link);
void path_destroy(struct path *path);
void path_subscribe(struct path *path, uint32_t binding);
void channel_kick(struct channel *channel);
// Paths over all links to the channel's peer. -ENOMEM: some may be missing.
int channel_open_paths(struct channel *channel);
void channel_close_paths(struct channel *channel);
void channel_reconsider(struct channel *channel);
void call_unsent(struct path *path, struct call *call);

// link_server.c and its parts (server.h)
int server_frame(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason);
void *server_sink(struct link *link, const struct phx_frame *f);
int server_landed(struct link *link, const struct phx_frame *f, enum phx_reason *reason);
void server_lost(struct link *link, enum phx_reason reason);
// The small lane has room again: replies that wait.
void server_writable(struct link *link);
void rchannel_subscriptions(struct rchannel *rc, bool all);
void rchannel_expire(struct link_table *table);

// incoming.c: reception of announced messages and of protobuf, both ends
// Begin with a frame that announces: room is asked for. 1: it is there; 0: `room` is called later
// (offset 0: refused); -E2BIG, -ENOMEM, -EPROTO. `room` is also called with 0 when the grant makes
// no progress.
int incoming_announce(struct incoming *in, struct session *session, const struct phx_frame *f,
	const struct iovec *iov, int n, struct call_work *work, bool is_reply, uint64_t deadline_ns,
	void (*room)(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason));
// GRANT is being sent: chunks must come now.
void incoming_granted(struct incoming *in, struct session *session);
// Begin with a frame that holds the whole message in protobuf. 0, -ENOMEM, -EPROTO.
int incoming_protobuf(struct incoming *in, struct session *session, const struct phx_frame *f,
	const struct iovec *iov, int n, struct call_work *work, bool is_reply,
	uint64_t deadline_ns);
// Where the payload of a chunk goes; NULL: it does not belong there.
void *incoming_sink(
	struct incoming *in, struct link *link, struct session *session, const struct phx_frame *f);
// Room for the whole has been found: its block, and memory of our own where a policy judges it
// first. -ENOMEM.
int incoming_room(struct incoming *in, struct session *session, uint32_t block);
bool incoming_judged(const struct incoming *in, const struct session *session);
// Where it lies.
uint8_t *incoming_base(const struct incoming *in, struct session *session);
// A chunk landed; true when the message is complete.
bool incoming_landed(struct incoming *in, struct session *session, const struct phx_frame *f);
// One step of checking or decoding the complete message. 1 = a canonical image of in->total bytes
// and its metadata stand in in->block; 0 = call again; -EINPROGRESS = waits for room, the work is
// added again then; -EPROTO, -EILSEQ, -E2BIG, -ENOMEM.
int incoming_step(struct incoming *in, struct session *session, const struct phx_schema *schema,
	uint32_t type);
// Give room, wait, check and metadata up. Legal at any time.
void incoming_drop(struct incoming *in, struct session *session);

// outgoing.c: messages on their way out
// A whole message in one frame on the small lane. 0, 1, -EAGAIN, -EPIPE as transport send.
int outgoing_send_whole(struct link *link, const struct phx_frame *f, const struct iovec *iov,
	int n, struct outgoing *out);
void outgoing_start(struct link *link, struct outgoing *out);
void outgoing_stop(struct outgoing *out);
// Hand over the next chunk of the link. 1, or 0: none now.
unsigned outgoing_pump(struct link *link);
// iovecs of [position, position + len) of a message; *out_len how much they cover.
int message_iov(const struct message *message, const struct phx_source *source, uint64_t position,
	uint64_t len, struct iovec *iov, int max, uint64_t *out_len);
uint64_t message_size(const struct message *message);

// body.c: the gathered body of a received frame
// The part [off, off + len), or NULL when it is not contiguous.
const void *body_part(const struct iovec *iov, int n, size_t off, size_t len);
// iovecs of what lies behind `skip` bytes; their count.
int body_payload(const struct iovec *iov, int n, size_t skip, struct iovec *out, int max);
// Memory of the worker for the body of one frame until this step ends. NULL: there is none.
void *body_scratch(struct session *session, uint32_t len);
void body_scratch_put(struct session *session, void *scratch);
// Check that contiguous bytes are a canonical image; one frame at most. 1, -EPROTO, -EILSEQ,
// -E2BIG.
int body_validate(const struct phx_schema *schema, uint32_t type, const void *base, uint32_t len);

// codec.c: the protobuf form, for peers whose schema differs
// Decoding: take a copy of the input that lies `skip` bytes behind the start of a frame's body
// (else the input is in->block); 0, -ENOMEM, -EPROTO.
int decoding_copy(
	struct incoming *in, struct session *session, const struct iovec *iov, int n, size_t skip);
// One step of measuring: 1 = *out_size is known, 2 = was known, 0 = call again, or an error.
int decoding_size(struct incoming *in, struct session *session, const struct phx_schema *schema,
	uint32_t type, uint64_t *out_size);
// The block for the image and its metadata; 0: there is none. 0, or -ENOMEM now and in the next
// step.
int decoding_room(struct incoming *in, struct session *session, uint32_t offset);
// One step of writing it. 1: in->block (or its landing) is the image.
int decoding_fill(struct incoming *in, struct session *session);
void decoding_drop(struct incoming *in, struct session *session);
// One step of encoding into message->encoded. 1, 0 = call again, -EPROTO, -EILSEQ, -E2BIG, -ENOMEM.
int encoding_step(struct session *session, struct call_work *work, const struct phx_schema *schema,
	uint32_t type, struct message *message);

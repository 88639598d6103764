// SPDX-License-Identifier: BSD-3-Clause
// libphoenix: managed remote procedure calls. One include for clients and servers.
//
// Threads: a context, channel, message and server may be used from any thread. A queue may be
// used by any thread, one at a time inside the library (a lock of its own; uncontended when one
// thread owns the queue, which is the fast way). Callbacks run on the thread that polls; handlers
// of a server too, unless its options say otherwise.
// Nothing here may be used in a child after fork: calls return -EPERM.
//
// Functions that can fail return 0 or a negative errno value; outputs are untouched on failure:
//   -EINVAL bad argument; -ENOMEM no memory or heap quota used up; -EAGAIN back-pressure: poll
//   the queue and try again; -EPERM used after fork; -ENOTCONN the dataplane is gone or
//   has detached this application; -ETIMEDOUT; -ENOTSUP.
// A dataplane that leaves a request of this library unanswered for ten seconds counts as gone.
// While it stands still, calls end all the same, within two seconds behind their deadline: with
// DEADLINE_EXCEEDED of origin LIBRARY, executed: maybe. Their memory is used again when it goes on.
// When the dataplane goes away (a crash, a restart, an upgrade), calls in flight end with
// UNAVAILABLE, reason DATAPLANE_GONE, and the library looks for the next dataplane by itself: same
// handles, channels opened and services registered again. Until then functions that need it return
// -ENOTCONN, except that calls with wait_for_ready wait. Received messages stay readable until they
// are released; messages being built go with the next call. Requests of before are cancelled:
// phx_reply() returns -ENOTCONN for them. phx_poll(), phx_wait(), phx_server_run() go on.
// Option structs start with their size, set by the *_INIT initialisers; a zero field means
// the default.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <phoenix/message.h>
#include <phoenix/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct phx_context;
struct phx_queue;
struct phx_channel;
struct phx_server;
struct phx_call;
struct phx_request;

#define PHX_NO_TIMEOUT UINT64_MAX

// The library's version, "0.1.0". Static.
PHX_API const char *phx_version(void);

// ---- status ----

// How a call or a set-up step ended. text is NUL-terminated, for people; code and reason are
// for programs. A function that takes one fills it, success included; where the library itself
// failed, origin is "library" and the errno value tells the code.
struct phx_status {
	uint32_t code;	  // enum phx_code
	uint8_t origin;	  // enum phx_origin
	uint8_t executed; // enum phx_executed
	uint16_t reason;  // enum phx_reason
	char text[1024];
};

// ---- attaching ----

struct phx_attach_options {
	size_t size;
	const char *rundir;  // run directory of the dataplane; default $PHOENIX_RUNDIR, then
			     // $XDG_RUNTIME_DIR/phoenix/default where a dataplane is, then
			     // /run/phoenix/default
	const char *name;    // what operators see beside the measured identity; default: program
	uint64_t timeout_ns; // to wait for a dataplane that has rules; default 10 s
	uint64_t send_quota; // most bytes of messages being built or sent; default 1 GiB
	uint64_t recv_quota; // most bytes of received messages held; default 256 MiB
	uint32_t sub_slots;  // of the default queue: powers of two, 64..4096; default 1024
	uint32_t ret_slots;  // calls in flight plus received messages held; default 1024
	uint32_t comp_slots; // completion ring, up to 32768; default 4096
	bool stay_detached;  // when the dataplane goes away, do not look for it again
};
#define PHX_ATTACH_OPTIONS_INIT                                                                    \
	{                                                                                          \
		sizeof(struct phx_attach_options), 0, 0, 0, 0, 0, 0, 0, 0, false                   \
	}

// Attach this process to the local dataplane. options may be NULL. Waits (without spinning) until
// the dataplane answers, options->timeout_ns at most. *out_status may be NULL; it says why on
// failure. -ETIMEDOUT, -EACCES (a rule refuses), -EPROTO (versions do not meet), -ENOMEM.
PHX_API int phx_attach(const struct phx_attach_options *options, struct phx_context **out_context,
	struct phx_status *out_status);

// Is there no session, so that what needs one returns -ENOTCONN (or -EPERM in a child)? Then
// *out_status, which may be NULL, says why: UNAVAILABLE and the reason for which the dataplane
// detached this application or went away. Any thread. The library looks for another dataplane
// after DATAPLANE_GONE, DP_RESTART and SLOW_CONSUMER (unless stay_detached); with another reason
// the end is final: phx_poll() and phx_wait() return -ENOTCONN, and all there is to do is to
// detach.
PHX_API bool phx_context_ended(const struct phx_context *context, struct phx_status *out_status);

// End all calls (their callbacks do not run any more), give memory back and free the context with
// its queues, channels and servers. NULL is legal. No other thread may use them meanwhile.
PHX_API void phx_detach(struct phx_context *context);

// ---- queues ----

struct phx_queue_options {
	size_t size;
	uint32_t sub_slots;
	uint32_t ret_slots;
	uint32_t comp_slots;
};
#define PHX_QUEUE_OPTIONS_INIT                                                                     \
	{                                                                                          \
		sizeof(struct phx_queue_options), 0, 0, 0                                          \
	}

// The queue that attaching made. Owned by the context.
PHX_API struct phx_queue *phx_queue_default(struct phx_context *context);

// A further queue: one per thread is the fast way. Freed by phx_detach().
PHX_API int phx_queue_create(struct phx_context *context, const struct phx_queue_options *options,
	struct phx_queue **out_queue);

// Handle up to `max` completions (0 = 32): run reply callbacks and request handlers. Returns how
// many were handled, 0 when there was nothing, or a negative errno value. Never blocks.
PHX_API int phx_poll(struct phx_queue *queue, unsigned max);

// Wait until phx_poll() would find something: spins or yields briefly (adapting to the gap between
// arrivals), then sleeps. 1 = something is there, 0 = timeout, negative errno value.
PHX_API int phx_wait(struct phx_queue *queue, uint64_t timeout_ns);

// For event loops: a descriptor that polls readable when the queue has work, after
// phx_fd_arm(). Owned by the queue. Negative errno value on failure.
PHX_API int phx_fd(struct phx_queue *queue);

// Arm the descriptor: call phx_poll() until 0, then this, then epoll. Returns 1 when work came
// meanwhile (not armed: poll again), 0 when armed, negative errno value.
PHX_API int phx_fd_arm(struct phx_queue *queue);

// ---- services (generated code defines them) ----

struct phx_service {
	const char *name; // "helloworld.Greeter"
	const struct phx_file *file;
	uint32_t index; // in the file's table
	uint32_t method_count;
	const char *const *method_names;
	const struct phx_type *const *inputs;  // per method
	const struct phx_type *const *outputs; // per method
};

// ---- clients ----

struct phx_channel_options {
	size_t size;
	uint64_t timeout_ns; // of phx_channel_connect_start(); default 10 s
};
#define PHX_CHANNEL_OPTIONS_INIT                                                                   \
	{                                                                                          \
		sizeof(struct phx_channel_options), 0                                              \
	}

// Open a channel to `target`: "local:" or "local:GROUP" (services of this host),
// "tcp://HOST:PORT" or "tcp://HOST:PORT/GROUP", "cluster:NAME" or "cluster:NAME/GROUP" (endpoints
// that the operator gave one name). Returns when the dataplane of this host accepted the target,
// which asks nobody else: resolving and connecting go on behind it (fail-fast and wait-for-ready
// are per call; phx_channel_connect_start() tells). -EINVAL: bad target, no such cluster.
PHX_API int phx_channel_open(struct phx_context *context, const char *target,
	const struct phx_channel_options *options, struct phx_channel **out_channel,
	struct phx_status *out_status);

// Close: calls in flight end with CANCELLED first. NULL is legal.
PHX_API void phx_channel_close(struct phx_channel *channel);

struct phx_call_options {
	size_t size;
	uint64_t timeout_ns; // deadline from now; 0 = none
	bool wait_for_ready; // wait for dataplane, connection and service instead of failing
	const struct phx_metadata *metadata; // sent with the request; copied
};
#define PHX_CALL_OPTIONS_INIT                                                                      \
	{                                                                                          \
		sizeof(struct phx_call_options), 0, false, 0                                       \
	}

// Runs once per started call, on the thread that polls the call's queue. reply is NULL unless
// status->code is PHX_OK; it belongs to the callee, who releases it with phx_message_release().
// Both pointers to status and the call handle die with the return.
typedef void (*phx_reply_fn)(void *arg, struct phx_message *reply, const struct phx_status *status);

// Ask to hear, once, on `queue`, when the channel has a connection: fn runs with PHX_OK and no
// reply, at once if there is one already. Name resolution, refused connections and back-off are
// waited through until the channel's timeout, then DEADLINE_EXCEEDED with the last reason as text.
// phx_call_cancel() and phx_channel_close() end it with CANCELLED, the end of the session with
// UNAVAILABLE, an operator who closes the channel too. Never blocks; a connection may be lost again
// afterwards. -EAGAIN: no room, poll `queue`; -ENOTCONN; -ENOTSUP: the dataplane is too old.
PHX_API int phx_channel_connect_start(struct phx_channel *channel, struct phx_queue *queue,
	phx_reply_fn fn, void *arg, struct phx_call **out_call);

// Start a unary call of method `method` of `service`. On success `request` belongs to the library
// and fn will run exactly once; on failure it stays the caller's and fn does not run. -EAGAIN: no
// room, poll `queue`. out_call may be NULL; the handle is valid until fn has returned.
PHX_API int phx_call_start(struct phx_channel *channel, struct phx_queue *queue,
	const struct phx_service *service, uint32_t method, struct phx_message *request,
	const struct phx_call_options *options, phx_reply_fn fn, void *arg,
	struct phx_call **out_call);

// Ask for the end of a call: its callback runs with CANCELLED unless it was over already. From
// any thread while the handle is valid.
PHX_API void phx_call_cancel(struct phx_call *call);

// Metadata of a received reply; valid until the reply is released. Empty when there is none.
PHX_API struct phx_metadata_view phx_reply_metadata(const struct phx_message *reply);

// Blocking call on the context's default queue: takes `request` in every case. Returns 0 when the
// call ended with PHX_OK (*out_reply is the caller's), else a negative errno value with *out_status
// (may be NULL) telling how: -EREMOTEIO when the status has a code, others as above.
PHX_API int phx_call(struct phx_channel *channel, const struct phx_service *service,
	uint32_t method, struct phx_message *request, const struct phx_call_options *options,
	struct phx_message **out_reply, struct phx_status *out_status);

// ---- servers ----

// Runs per request, on the thread that polls the server's queue unless options say otherwise. The
// handler replies now or later, from any thread, exactly once, by phx_reply() or
// phx_reply_status(). `request` is valid until then.
typedef void (*phx_handler_fn)(void *arg, struct phx_request *request);

// A server delivers requests on `queue` (NULL: the default queue). Its handle may be made by one
// thread, run by another and stopped by a third or by a signal handler.
PHX_API int phx_server_create(
	struct phx_context *context, struct phx_queue *queue, struct phx_server **out_server);

// Where the handlers of a server run.
enum phx_handlers {
	PHX_HANDLERS_INLINE,   // on the thread that polls the queue: the fast way for short ones
	PHX_HANDLERS_POOL,     // on threads of the library, which exist during phx_server_run()
	PHX_HANDLERS_EXECUTOR, // wherever the application's executor runs tasks
};

// One handler with its request: run fn(arg) once, on any thread, before phx_detach(). A task
// whose request was cancelled, or whose server has ended, runs no handler.
struct phx_task {
	void (*fn)(void *arg);
	void *arg;
};

// Takes a task on the thread that polls, without blocking, to run it later (or at once). Not 0:
// no room; the request ends with RESOURCE_EXHAUSTED and the task is not run.
typedef int (*phx_executor_fn)(void *arg, struct phx_task task);

struct phx_server_options {
	size_t size;
	uint32_t handlers;	  // enum phx_handlers
	uint32_t threads;	  // of the pool, up to 1,024; default: one for each CPU
	uint32_t backlog;	  // requests that wait for a thread of the pool, rounded up to a
				  // power of two, up to 65,536; more end with RESOURCE_EXHAUSTED;
				  // default: as many as the queue can deliver
	uint32_t cpu_count;	  // of cpus; 0: the threads run where their maker may
	const uint32_t *cpus;	  // pool thread i runs on cpus[i % cpu_count]; copied
	phx_executor_fn executor; // for PHX_HANDLERS_EXECUTOR
	void *executor_arg;
};
#define PHX_SERVER_OPTIONS_INIT                                                                    \
	{                                                                                          \
		sizeof(struct phx_server_options), 0, 0, 0, 0, 0, 0, 0                             \
	}

// The same with options (NULL: handlers inline). Handlers off the polling thread run beside each
// other; a request that was cancelled, or whose deadline has passed, before its turn runs none.
// Until phx_server_run() the requests for a pool wait. -EINVAL: a field is out of range.
PHX_API int phx_server_create_with(struct phx_context *context, struct phx_queue *queue,
	const struct phx_server_options *options, struct phx_server **out_server);

// Register a service under (group, service); group NULL = "default". handlers has
// service->method_count entries; NULL ones answer UNIMPLEMENTED. May be called on several queues:
// instances of one group share the calls. -EACCES: a rule refuses.
PHX_API int phx_server_add(struct phx_server *server, const char *group,
	const struct phx_service *service, const phx_handler_fn *handlers, void *arg,
	struct phx_status *out_status);

// Handle requests until phx_server_stop(). 0, or a negative errno value. With a pool: makes its
// threads, and ends them before it returns, when the handlers they are in have returned; requests
// that no thread took wait for the next phx_server_run(), or end with phx_server_destroy(). Then
// also -EBUSY: another thread is in it; -EINVAL: a CPU of the options is not to be had; -EAGAIN: no
// threads.
PHX_API int phx_server_run(struct phx_server *server);

// From any thread or a signal handler: make phx_server_run() return.
PHX_API void phx_server_stop(struct phx_server *server);

// Unregister and free. Requests not replied to yet end with UNAVAILABLE. NULL is legal. Nobody is
// in phx_server_run(); tasks that an executor still has may run afterwards, and do nothing.
PHX_API void phx_server_destroy(struct phx_server *server);

// The request's message; valid until the reply.
PHX_API const struct phx_message *phx_request_message(const struct phx_request *request);
// The metadata that came with it; valid until the reply. Empty when there is none.
PHX_API struct phx_metadata_view phx_request_metadata(const struct phx_request *request);
// Time left, PHX_NO_TIMEOUT without a deadline.
PHX_API uint64_t phx_request_remaining_ns(const struct phx_request *request);
// The caller has gone, cancelled, or its deadline passed: a reply will not be read any more.
PHX_API bool phx_request_is_cancelled(const struct phx_request *request);
// The context that the request came to, where messages for its reply are made. Never NULL.
PHX_API struct phx_context *phx_request_context(const struct phx_request *request);

// Reply OK with `reply`, which belongs to the library in every case; metadata may be NULL. Any
// thread. -EAGAIN does not occur: room was reserved. -ENOTCONN: the session is over.
PHX_API int phx_reply(struct phx_request *request, struct phx_message *reply,
	const struct phx_metadata *metadata);

// Reply with a status that is not PHX_OK; text may be NULL, at most 1,023 bytes are kept.
PHX_API int phx_reply_status(struct phx_request *request, uint32_t code, const char *text,
	const struct phx_metadata *metadata);

// ---- metadata ----

// Ordered pairs, at most 64 and 8 KiB. Keys are lower case [0-9a-z_.-]; values of keys ending in
// "-bin" are any bytes, others printable ASCII; "phx-" and "grpc-" are reserved.
struct phx_metadata;
// An empty list, the caller's until phx_metadata_destroy(). Whoever takes metadata copies it.
// -ENOMEM.
PHX_API int phx_metadata_create(struct phx_metadata **out_metadata);
// Free. NULL is legal.
PHX_API void phx_metadata_destroy(struct phx_metadata *metadata);
// Copies. -EINVAL: key or value not allowed; -E2BIG: over the limits.
PHX_API int phx_metadata_append(
	struct phx_metadata *metadata, const char *key, const void *value, size_t len);

// What was received; borrowed from the message or request it came with.
struct phx_metadata_view {
	const void *block;
	size_t len;
};
// Pair number `index`; false when there is none.
PHX_API bool phx_metadata_get(struct phx_metadata_view view, unsigned index,
	struct phx_str *out_key, struct phx_bytes *out_value);
// First value of `key`.
PHX_API bool phx_metadata_find(
	struct phx_metadata_view view, const char *key, struct phx_bytes *out_value);

#ifdef __cplusplus
}
#endif

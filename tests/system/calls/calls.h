// SPDX-License-Identifier: BSD-3-Clause
// The call suite: servers and clients of suite.proto against a running dataplane (or two). Each
// case runs in a process of its own, with public headers and generated code alone; case_*.c hold
// the cases, harness.c what they share, service.c the handlers.
#pragma once

#include <phoenix/phoenix.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "suite.phx.h"

#define MS	 UINT64_C(1000000)
#define S	 UINT64_C(1000000000)
#define PATIENCE (20 * S) // until something that must happen counts as missing
#define HELD_MAX 16384

// The words of the command line.
struct suite {
	const char *program;
	const char *server_dir; // run directories of the two ends' dataplanes
	const char *client_dir;
	const char *target; // "local:" or "tcp://HOST:PORT"
	const char *v2;	    // program with the other version of the proto
};
extern struct suite suite;

struct test_case {
	const char *name;
	void (*run)(void);
};
extern const struct test_case cases_basic[], cases_groups[], cases_time[], cases_load[],
	cases_big[], cases_wait[], cases_death[];

// ---- checks: a failed one ends the case ----

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__);                 \
	} while (0)
__attribute__((noreturn, format(printf, 4, 5))) void check_failed(
	const char *file, int line, const char *condition, const char *format, ...);
// The case cannot run here; counts as skipped with its reason.
__attribute__((noreturn)) void case_skip(const char *why);

uint64_t now_ns(void);
// Poll a condition until it holds; false after `timeout`.
bool until(bool (*holds)(void *arg), void *arg, uint64_t timeout_ns);
#define UNTIL(holds, arg, what) CHECK(until(holds, arg, PATIENCE), "%s", what)
// CPU time of a thread or process so far.
uint64_t cpu_ns(int clock);

// ---- servers ----

struct held {
	struct phx_request *request;
	uint32_t id;
};

// One instance of the service with a thread that runs it.
struct server {
	struct phx_context *context;
	struct phx_server *server;
	struct phoenix_calls_Suite_handlers handlers;
	pthread_t thread;
	uint32_t id;
	int rc;
	pthread_mutex_t lock;
	struct held held[HELD_MAX]; // of Hold, oldest first
	uint32_t held_count;
	uint64_t seen; // requests of any method
};

struct server *server_start(const char *group);
struct server *server_start_as(const char *group, uint32_t id);
void server_stop(struct server *server);
// The handlers, for servers that are made by hand.
void service_init(struct server *server, uint32_t id);
// Wait until `count` requests are held.
void server_wait_held(struct server *server, uint32_t count);
uint32_t server_held(struct server *server);
uint64_t server_seen(struct server *server);
// Take one out by position; the caller replies.
struct held server_take(struct server *server, uint32_t at);
void held_reply(struct held held);
bool held_cancelled(void *held); // for until()

// ---- clients ----

struct phx_context *attach(const char *rundir, const struct phx_attach_options *options);
struct phx_context *client_attach(void);
// "local:GROUP", "tcp://HOST:PORT/GROUP"; group NULL: the target alone.
struct phx_channel *channel_to(struct phx_context *context, const char *group);

// How a call ended.
struct outcome {
	bool done;
	struct phx_status status;
	struct phx_message *reply;
	uint32_t count; // callbacks
	uint64_t at_ns;
};
void on_outcome(void *arg, struct phx_message *reply, const struct phx_status *status);
// Poll and wait until done.
void await(struct phx_queue *queue, const struct outcome *outcome);
// Poll and wait for a time.
void drain(struct phx_queue *queue, uint64_t ns);

struct phx_message *hold_request(struct phx_context *context, uint32_t id);
struct phx_message *nothing(struct phx_context *context);
struct phx_message *big_request(
	struct phx_context *context, uint32_t size, uint32_t reply_size, uint32_t seed);
// The bytes of a big message: they depend on seed and position.
void big_fill(void *bytes, uint32_t size, uint32_t seed);
uint64_t big_sum(const void *bytes, uint32_t size);

// Start Hold or Who and expect that it starts.
struct phx_call *start(struct phx_channel *channel, struct phx_queue *queue, uint32_t method,
	struct phx_message *request, const struct phx_call_options *options,
	struct outcome *outcome);
// A blocking call of Who: the server's id; everything must be well.
uint32_t who(struct phx_context *context, struct phx_channel *channel);
void check_status(const struct phx_status *status, uint32_t code, uint32_t origin,
	uint32_t executed, uint32_t reason);

// SPDX-License-Identifier: BSD-3-Clause
// Calls without end from several threads: blocking ones that fail fast, blocking ones that wait for
// readiness, and a queue with many in flight. SIGUSR1 says that the dataplane was killed; SIGTERM
// ends the load, and then every call must be accounted for.
#include "tests/system/restart/restart.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "restart.phx.h"

#define BLOCKING    4
#define OUTSTANDING 32
#define KILLS_MAX   64
#define TIMEOUT_NS  UINT64_C(30000000000)

enum outcome { NOT_STARTED, STARTED, OK, NOT_EXECUTED, MAYBE_EXECUTED };

static struct phx_context *context;
static struct phx_channel *channel;
static _Atomic uint64_t next_number;
static _Atomic uint8_t outcomes[RESTART_CALLS];
static _Atomic bool stop;
static _Atomic uint64_t killed_at; // 0: a good call came since
static _Atomic uint64_t counts[PHX_CODE_COUNT], refused, no_service;
static uint64_t gaps[KILLS_MAX];
static unsigned gap_count;
static sem_t back; // a good call came, by whichever thread

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

// What a caller does between two calls: the load is to leave room for the restart.
static void pace(void)
{
	const struct timespec ts = {0, 200000};

	(void)nanosleep(&ts, NULL);
}

static struct phx_message *numbered_new(uint64_t number, uint32_t len)
{
	static const uint8_t bytes[4000];
	struct phoenix_restart_Numbered *n;
	struct phx_message *m;

	CHECK(phx_message_new(context, &m) == 0, "message");
	n = phoenix_restart_Numbered_new(m);
	CHECK(n != NULL, "root");
	phoenix_restart_Numbered_set_number(n, number);
	CHECK(phoenix_restart_Numbered_set_payload(m, n, (struct phx_bytes){bytes, len}) == 0,
		"payload");
	return m;
}

static void good(uint64_t started_at)
{
	uint64_t at = atomic_load(&killed_at);

	// One that was started after the kill, by whichever thread is first.
	if (at == 0 || started_at <= at ||
		!atomic_compare_exchange_strong(&killed_at, &at, UINT64_MAX))
		return;
	CHECK(gap_count < KILLS_MAX, "too many kills");
	gaps[gap_count++] = now_ns() - at;
	atomic_store(&killed_at, 0);
	(void)sem_post(&back); // cannot overflow: one for each kill
}

// A call has ended: once, and as may be.
static void account(uint64_t number, uint64_t started_at, const struct phx_message *reply,
	const struct phx_status *status)
{
	uint8_t before = STARTED, after;

	if (status->code == PHX_OK) {
		const struct phoenix_restart_Numbered *n = phoenix_restart_Numbered_root(reply);

		CHECK(n != NULL && phoenix_restart_Numbered_number(n) == number,
			"reply of another");
		after = OK;
		good(started_at);
	} else {
		// Until the server is there again the name is unknown to a dataplane that is new.
		bool unknown = status->code == PHX_UNIMPLEMENTED &&
			       status->reason == PHX_REASON_NO_SERVICE;

		CHECK(unknown || status->code == PHX_UNAVAILABLE, "call ended with %s %s: %s",
			phx_code_name(status->code), phx_reason_name(status->reason), status->text);
		atomic_fetch_add(&no_service, unknown);
		after = status->executed == PHX_EXECUTED_NO ? NOT_EXECUTED : MAYBE_EXECUTED;
	}
	CHECK(atomic_compare_exchange_strong(&outcomes[number], &before, after),
		"call %lu ended twice", (unsigned long)number);
	atomic_fetch_add(&counts[status->code], 1);
}

static uint64_t number_take(void)
{
	uint64_t number = atomic_fetch_add(&next_number, 1);

	CHECK(number < RESTART_CALLS, "out of numbers");
	atomic_store(&outcomes[number], STARTED);
	return number;
}

static void *blocking_main(void *arg)
{
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;

	options.wait_for_ready = arg != NULL;
	options.timeout_ns = TIMEOUT_NS;
	while (!atomic_load(&stop)) {
		uint64_t number = number_take(), started_at = now_ns();
		struct phx_message *reply = NULL;
		struct phx_status status;
		int rc = phoenix_restart_Counted_Once(
			channel, numbered_new(number, 8), &options, &reply, &status);

		CHECK(rc == 0 || rc == -EREMOTEIO || (rc == -ENOTCONN && !options.wait_for_ready),
			"phx_call: %s", strerror(-rc));
		atomic_fetch_add(&refused, rc == -ENOTCONN);
		account(number, started_at, reply, &status);
		phx_message_release(reply);
		pace();
	}
	return NULL;
}

struct flight {
	uint64_t number, started_at;
	unsigned *free_count;
};

static void flight_fn(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct flight *f = arg;

	account(f->number, f->started_at, reply, status);
	phx_message_release(reply);
	f->started_at = 0;
	(*f->free_count)++;
}

static void flight_start(struct phx_queue *queue, struct flight *f)
{
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	int rc;

	options.wait_for_ready = true;
	options.timeout_ns = TIMEOUT_NS;
	f->number = number_take();
	f->started_at = now_ns();
	rc = phoenix_restart_Counted_Once_start(
		channel, queue, numbered_new(f->number, 3000), &options, flight_fn, f, NULL);
	CHECK(rc == 0, "phx_call_start: %s", strerror(-rc));
	(*f->free_count)--;
}

static void *queue_main(void *)
{
	unsigned free_count = OUTSTANDING;
	struct flight flights[OUTSTANDING] = {{0}};
	struct phx_queue *queue;

	CHECK(phx_queue_create(context, NULL, &queue) == 0, "queue");
	while (!atomic_load(&stop) || free_count != OUTSTANDING) {
		for (unsigned i = 0; i < OUTSTANDING && !atomic_load(&stop); i++) {
			if (flights[i].started_at != 0)
				continue;
			flights[i].free_count = &free_count;
			flight_start(queue, &flights[i]);
		}
		CHECK(phx_wait(queue, PHX_NO_TIMEOUT) >= 0, "wait");
		CHECK(phx_poll(queue, 0) >= 0, "poll");
		pace();
	}
	return NULL;
}

// What was said about each call against what the server has seen.
static void check_executions(const _Atomic uint8_t *executed)
{
	uint64_t end = atomic_load(&next_number);

	for (uint64_t i = 0; i < end; i++) {
		unsigned times = atomic_load(&executed[i]), said = atomic_load(&outcomes[i]);

		CHECK(said >= OK, "call %lu never ended", (unsigned long)i);
		CHECK(times <= 1, "call %lu was executed %u times", (unsigned long)i, times);
		CHECK(said != OK || times == 1, "call %lu was not executed", (unsigned long)i);
		CHECK(said != NOT_EXECUTED || times == 0,
			"call %lu was executed and said not to be", (unsigned long)i);
	}
}

static int gap_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_result(void)
{
	qsort(gaps, gap_count, sizeof(gaps[0]), gap_compare);
	printf("{\"calls\": %lu, \"ok\": %lu, \"unavailable\": %lu, \"refused\": %lu, "
	       "\"no_service\": %lu, \"outages\": %u, \"first_good_ms\": {\"p50\": %lu, "
	       "\"max\": %lu}}\n",
		(unsigned long)atomic_load(&next_number),
		(unsigned long)atomic_load(&counts[PHX_OK]),
		(unsigned long)atomic_load(&counts[PHX_UNAVAILABLE]),
		(unsigned long)atomic_load(&refused), (unsigned long)atomic_load(&no_service),
		gap_count, (unsigned long)(gap_count ? gaps[gap_count / 2] / 1000000 : 0),
		(unsigned long)(gap_count ? gaps[gap_count - 1] / 1000000 : 0));
}

int restart_client(struct phx_context *ctx, const _Atomic uint8_t *executed)
{
	pthread_t threads[BLOCKING + 1];
	struct phx_status status;
	sigset_t set;
	int rc, sig = 0;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGUSR1);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)sem_init(&back, 0, 0); // cannot fail so
	context = ctx;
	rc = phx_channel_open(context, "local:restart", NULL, &channel, &status);
	CHECK(rc == 0, "%s", status.text);
	for (unsigned i = 0; i < BLOCKING; i++)
		CHECK(pthread_create(&threads[i], NULL, blocking_main, i % 2 ? &set : NULL) == 0,
			"thread");
	CHECK(pthread_create(&threads[BLOCKING], NULL, queue_main, NULL) == 0, "thread");
	puts("ready");
	while (sig != SIGTERM) {
		(void)fflush(stdout);
		CHECK(sigwait(&set, &sig) == 0, "sigwait");
		if (sig != SIGUSR1)
			continue;
		atomic_store(&killed_at, now_ns());
		while (sem_wait(&back) != 0)
			CHECK(errno == EINTR, "sem_wait: %m"); // restart.sh has the deadline
		printf("back %u\n", gap_count);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i <= BLOCKING; i++)
		(void)pthread_join(threads[i], NULL);
	check_executions(executed);
	print_result();
	return 0;
}

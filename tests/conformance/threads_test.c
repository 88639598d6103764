// SPDX-License-Identifier: BSD-3-Clause
// Two workers on threads of their own, which sleep and wake as shipped: every frame is answered,
// in order. The argument names the transport: local-cross, tcp.
#include "lib/base/clock.h"
#include "tests/conformance/bed.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES	   20000
#define IN_FLIGHT  64
#define PAYLOAD_UP 6000

static enum bed_kind kind;

// Sends from its worker, as far as the answers allow, until all are there.
struct pump {
	struct cmd cmd;
	struct end *end;
	uint32_t sent;
	uint8_t body[PAYLOAD_UP];
	_Atomic bool finished;
};

static void pump_run(struct worker *worker, struct cmd *cmd)
{
	struct pump *p = phx_container_of(cmd, struct pump, cmd);
	struct end *e = p->end;

	while (p->sent < FRAMES && p->sent - e->frames < IN_FLIGHT) {
		struct phx_frame f = {.type = PHX_FRAME_HEADERS,
			.cookie = p->sent,
			.payload_len = p->sent % 100 == 0 ? PAYLOAD_UP : p->sent % 200};
		struct iovec iov = {p->body, f.payload_len};

		bed_fill(p->body, f.cookie, f.payload_len);
		if (end_send(e, &f, &iov, f.payload_len != 0, NULL) != 0)
			break;
		p->sent++;
	}
	if (e->frames < FRAMES)
		worker_post(worker, &p->cmd, pump_run);
	else
		atomic_store(&p->finished, true);
}

static void *run_worker(void *worker)
{
	(void)worker_main(worker);
	return NULL;
}

static void workers_on_threads_answer_every_frame(void **state)
{
	struct bed *bed = bed_create(kind, false);
	struct pump *p = calloc(1, sizeof(*p));
	uint64_t deadline = phx_clock_ns() + 60 * PHX_NS_PER_S;
	pthread_t threads[2];

	(void)state;
	p->end = &bed->end[0];
	bed->end[1].echo = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_worker, bed->workers[i]), 0);
	worker_post(bed->workers[0], &p->cmd, pump_run);
	while (!atomic_load(&p->finished) && phx_clock_ns() < deadline)
		(void)sched_yield();
	for (int i = 0; i < 2; i++)
		worker_stop(bed->workers[i]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(atomic_load(&p->finished));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bed->end[i].frames, FRAMES);
		assert_int_equal(bed->end[i].mistakes, 0);
		assert_int_equal(bed->end[i].nested, 0);
		assert_int_equal(bed->end[i].closed, 0);
	}
	bed_destroy(bed);
	free(p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_on_threads_answer_every_frame),
	};

	kind = argc > 1 && strcmp(argv[1], "tcp") == 0 ? BED_TCP : BED_LOCAL_CROSS;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

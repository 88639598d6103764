// SPDX-License-Identifier: BSD-3-Clause
// Questions to workers: the commands run when the test says so, on this thread.
#include "dataplane/control/gather.h"

#include "lib/base/clock.h"
#include "lib/ctl/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 2

struct row {
	unsigned worker;
	uint32_t number;
};

static uint32_t rows_of[WORKERS]; // what workers have to say
static unsigned collected;	  // collect() ran
static const char *told;	  // the answer given: code or text of numbers
static char told_text[64];

static void collect(struct gather_part *part)
{
	uint32_t count = rows_of[part->worker->index];

	collected++;
	for (uint32_t i = 0; i < count; i++) {
		struct row *row = gather_add(part);

		if (row == NULL)
			continue;
		assert_int_equal(row->number, 0);
		*row = (struct row){part->worker->index, i};
	}
}

// Every row is there once, in order.
static void answer(struct gather *g)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++) {
			const struct row *row = gather_row(&g->part[i], k);

			assert_int_equal(row->worker, g->part[i].worker->index);
			assert_int_equal(row->number, k);
			count++;
		}
	}
	(void)snprintf(told_text, sizeof(told_text), "%u parts, %u rows", g->part_count, count);
	told = told_text;
	phx_ctl_call_reply(g->call, json_object());
}

static const struct gather_ops ops = {sizeof(struct row), collect, answer};
static uint32_t whom; // a worker or all

static void ask_workers(void *arg, struct phx_ctl_call *call)
{
	gather_start(arg, call, &ops, whom, 0);
}

struct rig {
	struct ctl_loop loop;
	struct worker *workers[WORKERS];
	struct api api;
	struct phx_ctl_server *server;
	struct phx_ctl_client *client;
	char dir[64], path[96];
	int code; // of the answer, -1 = none yet
};

static int setup(void **state)
{
	static const struct phx_ctl_binding bindings[] = {
		{"engine.list", ask_workers}, {NULL, NULL}};
	struct phx_ctl_server_options options = {.mode = 0600, .bindings = bindings};
	struct rig *r = calloc(1, sizeof(*r));
	char why[128];

	assert_non_null(r);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/phx-gather.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof(r->path), "%s/s", r->dir);
	assert_int_equal(ctl_loop_init(&r->loop), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(worker_create(i, i, false, NULL, &r->workers[i]), 0);
	phx_list_init(&r->api.gathers);
	r->api.config = (struct api_config){
		.loop = &r->loop, .workers = r->workers, .worker_count = WORKERS};
	options.path = r->path;
	options.arg = &r->api;
	assert_int_equal(phx_ctl_server_create(&options, &r->server, why, sizeof(why)), 0);
	assert_int_equal(phx_ctl_client_open(r->path, &r->client), 0);
	memset(rows_of, 0, sizeof(rows_of));
	collected = 0;
	told = NULL;
	whom = GATHER_ALL;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	char lock[128];

	phx_ctl_client_destroy(r->client);
	phx_ctl_server_destroy(r->server);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_destroy(r->workers[i]);
	ctl_loop_fini(&r->loop);
	(void)snprintf(lock, sizeof(lock), "%s.lock", r->path);
	(void)unlink(lock);
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

static void done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct rig *r = arg;

	(void)result;
	r->code = e != NULL ? e->code : 0;
}

static void ask(struct rig *r)
{
	r->code = -1;
	assert_int_equal(
		phx_ctl_client_send(r->client, "engine.list", NULL, PHX_NS_PER_S * 10, done, r), 0);
}

static void serve(struct rig *r)
{
	assert_int_equal(phx_ctl_client_process(r->client), 0);
	(void)phx_ctl_server_process(r->server);
	assert_int_equal(ctl_loop_once(&r->loop, PHX_NS_PER_MS), 0);
}

// Until the workers have the question.
static void wait_asked(struct rig *r)
{
	uint64_t end = phx_clock_ns() + 10 * PHX_NS_PER_S;

	while (phx_list_empty(&r->api.gathers) && phx_clock_ns() < end)
		serve(r);
	assert_false(phx_list_empty(&r->api.gathers));
}

static void run_worker(struct rig *r, unsigned i)
{
	(void)cmdq_run(&r->workers[i]->inbox, r->workers[i], UINT32_MAX);
}

static void run_all(struct rig *r)
{
	uint64_t end = phx_clock_ns() + 10 * PHX_NS_PER_S;

	while (r->code == -1 && phx_clock_ns() < end) {
		for (unsigned i = 0; i < WORKERS; i++)
			run_worker(r, i);
		serve(r);
	}
	assert_int_not_equal(r->code, -1);
}

static void gather_waits_for_every_worker(void **state)
{
	struct rig *r = *state;

	rows_of[0] = 3;
	rows_of[1] = 4;
	ask(r);
	wait_asked(r);
	run_worker(r, 1);
	serve(r);
	assert_int_equal(collected, 1);
	assert_null(told);
	run_all(r);
	assert_int_equal(r->code, 0);
	assert_string_equal(told, "2 parts, 7 rows");
	assert_true(phx_list_empty(&r->api.gathers));
}

static void gather_of_more_rows_than_room_asks_again(void **state)
{
	struct rig *r = *state;

	rows_of[0] = 1000;
	rows_of[1] = 1;
	ask(r);
	run_all(r);
	assert_string_equal(told, "2 parts, 1001 rows");
	assert_int_equal(collected, 3);
}

static void gather_of_rows_that_come_meanwhile_takes_them(void **state)
{
	struct rig *r = *state;

	rows_of[0] = 100;
	ask(r);
	wait_asked(r);
	run_worker(r, 0);
	run_worker(r, 1);
	rows_of[0] = 110; // fits what is made for 100
	run_all(r);
	assert_string_equal(told, "2 parts, 110 rows");
	assert_int_equal(collected, 3);
}

static void gather_of_one_worker_asks_no_other(void **state)
{
	struct rig *r = *state;

	rows_of[0] = rows_of[1] = 5;
	whom = 1;
	ask(r);
	run_all(r);
	assert_string_equal(told, "1 parts, 5 rows");
	assert_int_equal(collected, 1);
}

static void drop_all_answers_what_is_open(void **state)
{
	struct rig *r = *state;

	ask(r);
	wait_asked(r);
	// As after the workers have stopped: whatever they had is done.
	run_worker(r, 0);
	run_worker(r, 1);
	gather_drop_all(&r->api.gathers);
	ctl_loop_fini(&r->loop); // forgets what they posted back
	assert_int_equal(ctl_loop_init(&r->loop), 0);
	assert_true(phx_list_empty(&r->api.gathers));
	run_all(r);
	assert_int_equal(r->code, PHX_UNAVAILABLE);
	assert_null(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(gather_waits_for_every_worker),
		T(gather_of_more_rows_than_room_asks_again),
		T(gather_of_rows_that_come_meanwhile_takes_them),
		T(gather_of_one_worker_asks_no_other),
		T(drop_all_answers_what_is_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

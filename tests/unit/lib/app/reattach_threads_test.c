// SPDX-License-Identifier: BSD-3-Clause
// The dataplane is replaced again and again while threads call.
#include "tests/unit/lib/app/reattach.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define CALLERS	 4
#define RESTARTS 10

struct caller {
	struct session *s;
	pthread_t thread;
	bool wait_for_ready;
	_Atomic bool stop;
	_Atomic uint64_t good, unavailable;
};

static void *caller_main(void *arg)
{
	struct caller *c = arg;
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;

	options.wait_for_ready = c->wait_for_ready;
	while (!atomic_load(&c->stop)) {
		struct phx_message *reply = NULL;
		struct phx_status status;
		int rc = phx_call(c->s->channel, &note_service, 0, note_new(c->s->ctx, 1, 0),
			&options, &reply, &status);

		if (rc == 0) {
			phx_message_release(reply);
			atomic_fetch_add(&c->good, 1);
		} else {
			assert_int_equal(PHX_UNAVAILABLE, status.code);
			assert_int_equal(PHX_REASON_DATAPLANE_GONE, status.reason);
			atomic_fetch_add(&c->unavailable, 1);
			(void)sched_yield();
		}
	}
	return NULL;
}

static unsigned entries_of(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static unsigned mapped_regions(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned count = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		count += strstr(line, "/memfd:") != NULL;
	fclose(f);
	return count;
}

static uint64_t good_calls(struct caller *callers)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < CALLERS; i++)
		sum += atomic_load(&callers[i].good);
	return sum;
}

static void restarts_under_threads_lose_nothing(void **)
{
	struct session s = session_open_again(NULL);
	struct caller callers[CALLERS];
	struct fake_echo echo = {.dp = s.dp};
	unsigned fds = 0, maps = 0;

	memset(callers, 0, sizeof(callers));
	fake_echo_start(&echo);
	for (unsigned i = 0; i < CALLERS; i++) {
		callers[i].s = &s;
		callers[i].wait_for_ready = i % 2 == 0;
		assert_int_equal(
			0, pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]));
	}
	for (unsigned i = 0; i < RESTARTS; i++) {
		uint64_t before = good_calls(callers);
		struct fake_dp *old;

		fake_until(good_calls(callers) > before + 100);
		fake_echo_stop(&echo);
		old = dataplane_dies(&s);
		fake_dp_start(s.dp);
		fake_until(atomic_load(&s.dp->binds) != 0);
		fake_dp_destroy(old);
		echo.dp = s.dp;
		fake_echo_start(&echo);
		before = good_calls(callers);
		fake_until(good_calls(callers) > before + 100);
		if (i == 0) {
			fds = entries_of("/proc/self/fd");
			maps = mapped_regions();
		}
	}
	fake_until(entries_of("/proc/self/fd") <= fds);
	fake_until(mapped_regions() <= maps);
	for (unsigned i = 0; i < CALLERS; i++)
		atomic_store(&callers[i].stop, true);
	for (unsigned i = 0; i < CALLERS; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_true(atomic_load(&callers[i].good) != 0);
	}
	fake_echo_stop(&echo);
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restarts_under_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

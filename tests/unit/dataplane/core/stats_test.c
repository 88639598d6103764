// SPDX-License-Identifier: BSD-3-Clause
// Tests of the statistics table of a worker.
#include "dataplane/core/stats.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY 8

static struct stats *stats;

static int setup(void **state)
{
	(void)state;
	return stats_create(CAPACITY, &stats);
}

static int teardown(void **state)
{
	(void)state;
	stats_destroy(stats);
	return 0;
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static uint32_t index_of(const struct stats_series *s)
{
	return (uint32_t)(s - stats->series);
}

static void resolve_same_key_gives_same_series(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "a.S", "M");

	(void)state;
	assert_ptr_equal(stats_resolve(stats, 1, STATS_CLIENT, "a.S", "M"), s);
	assert_string_equal(s->service, "a.S");
	assert_string_equal(s->method, "M");
	assert_int_equal(s->app, 1);
	assert_true(stats_readable(stats, index_of(s)));
}

static void resolve_each_part_of_the_key_makes_a_series(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "a.S", "M");

	(void)state;
	assert_ptr_not_equal(stats_resolve(stats, 2, STATS_CLIENT, "a.S", "M"), s);
	assert_ptr_not_equal(stats_resolve(stats, 1, STATS_SERVER, "a.S", "M"), s);
	assert_ptr_not_equal(stats_resolve(stats, 1, STATS_CLIENT, "a.T", "M"), s);
	assert_ptr_not_equal(stats_resolve(stats, 1, STATS_CLIENT, "a.S", "N"), s);
}

static void resolve_full_table_counts_in_overflow(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < CAPACITY; i++) {
		(void)snprintf(name, sizeof(name), "M%d", i);
		assert_ptr_not_equal(
			stats_resolve(stats, 1, STATS_CLIENT, "S", name), stats_overflow(stats));
	}
	assert_int_equal(get(&stats->refused), 0);
	assert_ptr_equal(stats_resolve(stats, 1, STATS_CLIENT, "S", "more"), stats_overflow(stats));
	assert_int_equal(get(&stats->refused), 1);
	// Those that are there are still found.
	assert_string_equal(stats_resolve(stats, 1, STATS_CLIENT, "S", "M3")->method, "M3");
}

static void end_counts_status_bytes_and_latency(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "S", "M");

	(void)state;
	stats_end(s, PHX_OK, 64, 8, 1000);
	stats_end(s, PHX_OK, 36, 2, 3000);
	stats_end(s, PHX_UNAVAILABLE, 64, 0, 500000);
	assert_int_equal(get(&s->code[PHX_OK].calls), 2);
	assert_int_equal(get(&s->code[PHX_OK].tx_bytes), 100);
	assert_int_equal(get(&s->code[PHX_OK].rx_bytes), 10);
	assert_int_equal(get(&s->code[PHX_UNAVAILABLE].calls), 1);
	assert_int_equal(get(&s->code[PHX_UNAVAILABLE].tx_bytes), 64);
	assert_int_equal(phx_hist_count(&s->latency), 3);
	assert_int_equal(phx_hist_max(&s->latency), 500000);
}

static void ended_application_stays_readable_and_is_not_found_again(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "S", "M");

	(void)state;
	stats_end(s, PHX_OK, 1, 1, 1);
	stats_app_ended(stats, 1);
	stats_reclaim(stats); // there is room enough
	assert_true(stats_readable(stats, index_of(s)));
	assert_int_equal(get(&s->code[PHX_OK].calls), 1);
	assert_ptr_not_equal(stats_resolve(stats, 1, STATS_CLIENT, "S", "M"), s);
}

static void reclaim_frees_the_oldest_ends_and_keeps_their_numbers(void **state)
{
	struct stats_series *first = NULL, *s;

	(void)state;
	for (uint64_t app = 1; app <= CAPACITY; app++) {
		s = stats_resolve(stats, app, STATS_CLIENT, "S", "M");
		stats_end(s, PHX_OK, 10, 20, 100 * app);
		if (app == 2)
			first = s;
	}
	stats_app_ended(stats, 2);
	stats_app_ended(stats, 7);
	stats_app_ended(stats, 1);
	stats_reclaim(stats);
	// Three quarters of 8 are 6: two go, those that ended first.
	assert_false(stats_readable(stats, index_of(first)));
	assert_int_equal(get(&stats_past(stats)->code[PHX_OK].calls), 2);
	assert_int_equal(get(&stats_past(stats)->code[PHX_OK].tx_bytes), 20);
	assert_int_equal(get(&stats_past(stats)->code[PHX_OK].rx_bytes), 40);
	assert_int_equal(phx_hist_max(&stats_past(stats)->latency), 700);
	// Its place is taken with counters of zero.
	s = stats_resolve(stats, 9, STATS_SERVER, "T", "N");
	assert_ptr_equal(s, first);
	assert_true(stats_readable(stats, index_of(s)));
	assert_int_equal(get(&s->code[PHX_OK].calls), 0);
	assert_int_equal(phx_hist_count(&s->latency), 0);
	assert_string_equal(s->service, "T");
}

static void sample_due_first_call_then_one_in_1024(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "S", "M");
	unsigned samples = 0;

	(void)state;
	for (int i = 0; i < 2 * STATS_SAMPLE_CALLS + 1; i++) {
		if (stats_sample_due(stats)) {
			samples++;
			(void)stats_sample_start(stats, s);
		}
	}
	assert_int_equal(samples, 3);
}

// The newest sample, which stands where its number says.
static bool read_sample(uint64_t number, struct stats_sample_view *v)
{
	return stats_sample_read(stats, (uint32_t)(number % STATS_SAMPLES), v);
}

static void sample_is_shown_when_its_last_stage_is_stamped(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "S", "M");
	uint64_t n = stats_sample_start(stats, s);
	struct stats_sample_view v;

	(void)state;
	stats_sample_stamp(stats, n, STATS_SENT);
	stats_sample_stamp(stats, n, STATS_REPLY);
	assert_false(read_sample(n, &v));
	stats_sample_end(stats, n, PHX_OK);
	assert_true(read_sample(n, &v));
	assert_ptr_equal(v.series, s);
	assert_int_equal(v.code, PHX_OK);
	for (int i = 1; i < STATS_STAGES; i++)
		assert_true(v.at[i] >= v.at[i - 1] && v.at[i - 1] != 0);
}

static void sample_that_was_replaced_is_not_stamped_any_more(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "S", "M");
	uint64_t old = stats_sample_start(stats, s), n = old;
	struct stats_sample_view v;

	(void)state;
	for (int i = 0; i < STATS_SAMPLES; i++)
		n = stats_sample_start(stats, s);
	assert_int_equal(n % STATS_SAMPLES, old % STATS_SAMPLES);
	stats_sample_end(stats, old, PHX_OK);
	assert_false(read_sample(n, &v));
	stats_sample_end(stats, n, PHX_ABORTED);
	assert_true(read_sample(n, &v));
	assert_int_equal(v.number, n);
	assert_int_equal(v.code, PHX_ABORTED);
}

static void sample_of_a_series_given_away_is_hidden(void **state)
{
	struct stats_series *s = stats_resolve(stats, 1, STATS_CLIENT, "S", "M");
	uint64_t n = stats_sample_start(stats, s);
	struct stats_sample_view v;

	(void)state;
	stats_sample_end(stats, n, PHX_OK);
	for (uint64_t app = 2; app <= CAPACITY; app++)
		(void)stats_resolve(stats, app, STATS_CLIENT, "S", "M");
	stats_app_ended(stats, 1);
	stats_reclaim(stats);
	assert_false(read_sample(n, &v));
	assert_ptr_equal(stats_resolve(stats, 99, STATS_CLIENT, "S", "M"), s);
	assert_false(read_sample(n, &v));
}

// ---- a worker that counts, ends and takes series while control reads and frees ----

#define ROUNDS 3000

static _Atomic bool writer_done;

static void *writer(void *arg)
{
	(void)arg;
	for (uint64_t app = 1; app <= ROUNDS; app++) {
		struct stats_series *s = stats_resolve(stats, app, STATS_CLIENT, "S", "M");
		uint64_t n = stats_sample_start(stats, s);

		for (int i = 0; i < 10; i++)
			stats_end(s, PHX_OK, app, 0, 1);
		stats_sample_stamp(stats, n, STATS_SENT);
		stats_sample_end(stats, n, PHX_OK);
		if (s != stats_overflow(stats))
			stats_app_ended(stats, app);
	}
	atomic_store_explicit(&writer_done, true, memory_order_release);
	return NULL;
}

static void check_series(uint32_t i)
{
	const struct stats_series *s = &stats->series[i];
	uint64_t calls = get(&s->code[PHX_OK].calls), bytes = get(&s->code[PHX_OK].tx_bytes);

	// Bytes follow calls by at most one call, and all are of one application.
	assert_true(calls <= 10);
	assert_true(bytes % s->app == 0 && bytes / s->app + 1 >= calls && bytes / s->app <= 10);
	assert_string_equal(s->method, "M");
}

static void control_reads_and_frees_while_a_worker_counts(void **state)
{
	struct stats_sample_view v;
	pthread_t thread;
	uint64_t calls = 0;
	bool done = false;

	(void)state;
	atomic_store_explicit(&writer_done, false, memory_order_relaxed);
	assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
	while (!done) {
		done = atomic_load_explicit(&writer_done, memory_order_acquire);
		for (uint32_t i = 0; i < CAPACITY; i++) {
			if (stats_readable(stats, i))
				check_series(i);
		}
		for (uint32_t i = 0; i < STATS_SAMPLES; i++) {
			if (stats_sample_read(stats, i, &v) && v.series != stats_overflow(stats))
				assert_int_equal(v.app, v.series->app);
		}
		stats_reclaim(stats);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (uint32_t i = 0; i < CAPACITY + 2; i++) {
		if (stats_readable(stats, i))
			calls += get(&stats->series[i].code[PHX_OK].calls);
	}
	assert_int_equal(calls, ROUNDS * 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(resolve_same_key_gives_same_series),
		T(resolve_each_part_of_the_key_makes_a_series),
		T(resolve_full_table_counts_in_overflow),
		T(end_counts_status_bytes_and_latency),
		T(ended_application_stays_readable_and_is_not_found_again),
		T(reclaim_frees_the_oldest_ends_and_keeps_their_numbers),
		T(sample_due_first_call_then_one_in_1024),
		T(sample_is_shown_when_its_last_stage_is_stamped),
		T(sample_that_was_replaced_is_not_stamped_any_more),
		T(sample_of_a_series_given_away_is_hidden),
		T(control_reads_and_frees_while_a_worker_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

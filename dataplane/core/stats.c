// SPDX-License-Identifier: BSD-3-Clause
// Taking, ending and freeing of series, and the samples. See stats.h; counting is inline there.
#include "dataplane/core/stats.h"

#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int stats_create(uint32_t capacity, struct stats **out_stats)
{
	struct stats *stats = calloc(1, sizeof(*stats));

	if (stats == NULL)
		return -ENOMEM;
	stats->capacity = capacity;
	stats->countdown = 1; // the first call is a sample
	stats->state = calloc(capacity + 2, sizeof(*stats->state));
	stats->keys = calloc(capacity + 2, sizeof(*stats->keys));
	// Zeroes of the system: a series costs memory once it counts.
	stats->series = calloc(capacity + 2, sizeof(*stats->series));
	if (stats->state == NULL || stats->keys == NULL || stats->series == NULL) {
		stats_destroy(stats);
		return -ENOMEM;
	}
	atomic_init(&stats->state[capacity], STATS_LIVE);
	atomic_init(&stats->state[capacity + 1], STATS_ENDED);
	*out_stats = stats;
	return 0;
}

void stats_destroy(struct stats *stats)
{
	if (stats == NULL)
		return;
	free((void *)stats->state);
	free(stats->keys);
	free(stats->series);
	free(stats);
}

static uint32_t state_of(const struct stats *stats, uint32_t index)
{
	// Acquire: pairs with the release of whoever passed the series on (set_state).
	return atomic_load_explicit(&stats->state[index], memory_order_acquire);
}

static void set_state(struct stats *stats, uint32_t index, enum stats_state state)
{
	atomic_store_explicit(&stats->state[index], state, memory_order_release);
}

bool stats_readable(const struct stats *stats, uint32_t index)
{
	return state_of(stats, index) != STATS_FREE;
}

static uint64_t key_hash(enum stats_side side, const char *service, const char *method)
{
	static const uint8_t key[16] = {0}; // full keys are compared, so nothing hangs on it
	char text[2 * (PHX_LIMIT_NAME_BYTES + 1) + 2];
	int len = snprintf(text, sizeof(text), "%d%s\n%s", side, service, method);

	return phx_siphash128(key, text, (size_t)phx_min(len, (int)sizeof(text) - 1)).lo;
}

// Counters of the last owner go; phx_hist_init() writes with atomic_init, which is for memory that
// nobody reads, and so is this.
static void series_take(struct stats *stats, uint32_t index, uint64_t app, enum stats_side side,
	const char *service, const char *method)
{
	struct stats_series *s = &stats->series[index];

	s->app = app;
	s->side = (uint8_t)side;
	(void)snprintf(
		s->service, sizeof(s->service), "%s", service); // names are that long at most
	(void)snprintf(s->method, sizeof(s->method), "%s", method);
	for (unsigned i = 0; i < PHX_CODE_COUNT; i++) {
		atomic_init(&s->code[i].calls, 0);
		atomic_init(&s->code[i].tx_bytes, 0);
		atomic_init(&s->code[i].rx_bytes, 0);
	}
	if (phx_hist_count(&s->latency) != 0)
		phx_hist_init(&s->latency);
	set_state(stats, index, STATS_LIVE);
}

struct stats_series *stats_resolve(struct stats *stats, uint64_t app, enum stats_side side,
	const char *service, const char *method)
{
	uint64_t hash = key_hash(side, service, method);
	uint32_t free_index = UINT32_MAX;

	for (uint32_t i = 0; i < stats->capacity; i++) {
		const struct stats_series *s = &stats->series[i];

		if (stats->keys[i].app == app && stats->keys[i].hash == hash && s->side == side &&
			strcmp(s->service, service) == 0 && strcmp(s->method, method) == 0)
			return &stats->series[i];
		if (free_index == UINT32_MAX && state_of(stats, i) == STATS_FREE)
			free_index = i;
	}
	if (free_index == UINT32_MAX) {
		stats_count(&stats->refused, 1);
		return stats_overflow(stats);
	}
	stats->keys[free_index].app = app;
	stats->keys[free_index].hash = hash;
	series_take(stats, free_index, app, side, service, method);
	return &stats->series[free_index];
}

void stats_app_ended(struct stats *stats, uint64_t app)
{
	for (uint32_t i = 0; i < stats->capacity; i++) {
		if (stats->keys[i].app != app || state_of(stats, i) != STATS_LIVE)
			continue;
		stats->keys[i].app = UINT64_MAX; // no application has it
		stats->series[i].ended = ++stats->ends;
		set_state(stats, i, STATS_ENDED);
	}
}

static void series_fold(struct stats_series *past, const struct stats_series *s)
{
	for (unsigned i = 0; i < PHX_CODE_COUNT; i++) {
		const struct stats_code *from = &s->code[i];
		struct stats_code *to = &past->code[i];

		stats_count(&to->calls, atomic_load_explicit(&from->calls, memory_order_relaxed));
		stats_count(
			&to->tx_bytes, atomic_load_explicit(&from->tx_bytes, memory_order_relaxed));
		stats_count(
			&to->rx_bytes, atomic_load_explicit(&from->rx_bytes, memory_order_relaxed));
	}
	phx_hist_merge(&past->latency, &s->latency);
}

void stats_reclaim(struct stats *stats)
{
	for (;;) {
		uint32_t taken = 0, oldest = UINT32_MAX;

		for (uint32_t i = 0; i < stats->capacity; i++) {
			uint32_t state = state_of(stats, i);

			taken += state != STATS_FREE;
			if (state == STATS_ENDED &&
				(oldest == UINT32_MAX ||
					stats->series[i].ended < stats->series[oldest].ended))
				oldest = i;
		}
		if (oldest == UINT32_MAX || taken <= stats->capacity / 4 * 3)
			return;
		series_fold(stats_past(stats), &stats->series[oldest]);
		set_state(stats, oldest, STATS_FREE);
	}
}

// ---- samples ----

static void put(_Atomic uint64_t *word, uint64_t value)
{
	// Release: whoever sees the value sees the number that was stored before it.
	atomic_store_explicit(word, value, memory_order_release);
}

uint64_t stats_sample_start(struct stats *stats, const struct stats_series *series)
{
	uint64_t number = ++stats->samples_taken;
	struct stats_sample *s = &stats->sample[number % STATS_SAMPLES];

	stats->countdown = STATS_SAMPLE_CALLS;
	atomic_store_explicit(&s->number, 0, memory_order_relaxed);
	put(&s->app, series->app);
	atomic_store_explicit(&s->series, (uint32_t)(series - stats->series), memory_order_release);
	for (unsigned i = 1; i < STATS_STAGES; i++)
		put(&s->at[i], 0);
	put(&s->at[0], phx_clock_ns());
	put(&s->number, number);
	return number;
}

void stats_sample_stamp(struct stats *stats, uint64_t number, enum stats_stage stage)
{
	struct stats_sample *s = &stats->sample[number % STATS_SAMPLES];

	if (atomic_load_explicit(&s->number, memory_order_relaxed) == number)
		put(&s->at[stage], phx_clock_ns());
}

void stats_sample_end(struct stats *stats, uint64_t number, unsigned code)
{
	struct stats_sample *s = &stats->sample[number % STATS_SAMPLES];

	if (atomic_load_explicit(&s->number, memory_order_relaxed) != number)
		return;
	atomic_store_explicit(&s->code, code, memory_order_release);
	put(&s->at[STATS_STAGES - 1], phx_clock_ns());
}

bool stats_sample_read(
	const struct stats *stats, uint32_t index, struct stats_sample_view *out_view)
{
	const struct stats_sample *s = &stats->sample[index];
	struct stats_sample_view v = {
		.number = atomic_load_explicit(&s->number, memory_order_acquire),
	};
	uint32_t series;

	if (v.number == 0)
		return false;
	// The last stage first: the others were stamped before it.
	for (unsigned i = STATS_STAGES; i-- > 0;)
		v.at[i] = atomic_load_explicit(&s->at[i], memory_order_acquire);
	v.code = atomic_load_explicit(&s->code, memory_order_acquire);
	v.app = atomic_load_explicit(&s->app, memory_order_acquire);
	series = atomic_load_explicit(&s->series, memory_order_acquire);
	// Acquire above: a newer word would show the number that was cleared before it.
	if (v.at[STATS_STAGES - 1] == 0 ||
		atomic_load_explicit(&s->number, memory_order_relaxed) != v.number)
		return false;
	v.series = &stats->series[series];
	// Its application ended and control gave the series away: the names are others'.
	if (!stats_readable(stats, series) || v.series->app != v.app)
		return false;
	*out_view = v;
	return true;
}

// SPDX-License-Identifier: BSD-3-Clause
// What every load generator of this folder shares: clock, histogram, CPU time of processes,
// options and the line of results. Works from C and C++; each object has one owner thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define METER_PIDS_MAX	  16
#define METER_TARGETS_MAX 8
#define METER_SUB_BITS	  7 // 128 steps per power of two: a quantile is at most 0.8 % off
#define METER_BUCKETS	  ((65 - METER_SUB_BITS) << METER_SUB_BITS)
#define METER_CODES	  17

// Options of one run; zero means off where nothing else is said.
struct meter_options {
	const char *name;   // printed with the results
	const char *role;   // "server", "client", ...
	const char *rundir; // of a dataplane, or NULL
	const char *targets[METER_TARGETS_MAX];
	unsigned target_count;
	unsigned outstanding; // calls in flight of each thread; default 1, open loop 256
	unsigned threads;     // default 1
	uint64_t calls;	      // end after so many
	double seconds;	      // measured time; default 2
	double warm_s;	      // before it; default 0.3
	double idle_s;	      // make a few calls, then only watch CPU time for so long
	uint32_t size;	      // bytes of a request; default 64
	uint32_t reply;	      // bytes of a reply; default 8
	double rate;	      // calls per second, open loop
	double gap_us;	      // rest after each call; a server: before each reply
	int pin;	      // CPU, or -1
	bool spin;	      // poll where a program may also block
	bool json;
	pid_t pids[METER_PIDS_MAX]; // further processes whose CPU time counts
	unsigned pid_count;
};

// Parse `PROG ROLE TARGET... [option...]`. 0, or -EINVAL after a message that says what is wrong.
int meter_options_parse(struct meter_options *options, int argc, char **argv);
// The options, for usage texts.
void meter_options_print(FILE *out);

// Monotonic nanoseconds.
uint64_t meter_now_ns(void);
// Restrict the calling thread (and what it creates) to one CPU; -1 leaves it alone. 0 or -errno.
int meter_pin(int cpu);
// Sleep; signals end it early.
void meter_sleep_us(double us);

struct meter_hist {
	uint64_t count;
	uint64_t max_ns;
	double sum_ns;
	uint64_t bucket[METER_BUCKETS];
};
void meter_hist_add(struct meter_hist *hist, uint64_t ns);
void meter_hist_merge(struct meter_hist *dst, const struct meter_hist *src);
// Middle of the bucket that holds quantile q in [0, 1], in microseconds; 0 when empty.
double meter_hist_quantile_us(const struct meter_hist *hist, double q);

// CPU seconds so far.
struct meter_cpu {
	double own;   // this process
	double total; // this process and those of options->pids
	double busy;  // the whole machine
	uint64_t at_ns;
};
void meter_cpu_read(const struct meter_options *options, struct meter_cpu *out);

struct meter_result {
	struct meter_cpu begin;
	struct meter_cpu end;
	uint64_t calls;		      // completed in the window, whenever they began
	uint64_t errors[METER_CODES]; // by status code; [0] stays 0
	struct meter_hist hist;	      // of those that began in it
};
// One line of JSON, or a few of text, as options->json says.
void meter_result_print(
	const struct meter_options *options, const struct meter_result *result, FILE *out);

// The window of a single-threaded closed loop: warm-up, measurement, end.
struct meter {
	const struct meter_options *options;
	struct meter_result *result; // owned
	uint64_t warm_until_ns;
	uint64_t begin_ns; // 0 during the warm-up
	uint64_t end_ns;
};
// 0 or -ENOMEM. destroy frees the result.
int meter_init(struct meter *meter, const struct meter_options *options);
void meter_fini(struct meter *meter);
// The load begins now.
void meter_start(struct meter *meter);
// A call that began at begin_ns is complete at now_ns. False: the run is over, print it.
bool meter_done(struct meter *meter, uint64_t begin_ns, uint64_t now_ns);
// Watch idle processes for options->idle_s and print their CPU time in percent of a core.
void meter_idle(const struct meter_options *options, FILE *out);

#ifdef __cplusplus
}
#endif

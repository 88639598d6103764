// SPDX-License-Identifier: BSD-3-Clause
// Clock, CPU time and the measured window of the load generators.
#include "tests/bench/meter.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

uint64_t meter_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); // cannot fail for this clock
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

int meter_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : -errno;
}

void meter_sleep_us(double us)
{
	struct timespec ts;

	if (us <= 0)
		return;
	ts.tv_sec = (time_t)(us / 1e6);
	ts.tv_nsec = (long)((us - (double)ts.tv_sec * 1e6) * 1e3);
	(void)nanosleep(&ts, NULL);
}

static double process_cpu(pid_t pid)
{
	clockid_t clock;
	struct timespec ts;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0)
		return 0;
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

// user, nice, system, irq and softirq of /proc/stat; idle, iowait and steal are not work.
static double machine_cpu(void)
{
	unsigned long long v[7] = {0};
	FILE *f = fopen("/proc/stat", "r");
	int n;

	if (f == NULL)
		return 0;
	n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
		&v[5], &v[6]);
	(void)fclose(f); // read only
	if (n != 7)
		return 0;
	return (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / (double)sysconf(_SC_CLK_TCK);
}

void meter_cpu_read(const struct meter_options *options, struct meter_cpu *out)
{
	out->own = process_cpu(0);
	out->total = out->own;
	for (unsigned i = 0; i < options->pid_count; i++)
		out->total += process_cpu(options->pids[i]);
	out->busy = machine_cpu();
	out->at_ns = meter_now_ns();
}

int meter_init(struct meter *meter, const struct meter_options *options)
{
	struct meter_result *result = (struct meter_result *)calloc(1, sizeof(*result));

	if (result == NULL)
		return -ENOMEM;
	meter->options = options;
	meter->result = result;
	return 0;
}

void meter_fini(struct meter *meter)
{
	free(meter->result);
	meter->result = NULL;
}

void meter_start(struct meter *meter)
{
	meter->warm_until_ns = meter_now_ns() + (uint64_t)(meter->options->warm_s * 1e9);
	meter->begin_ns = 0;
}

bool meter_done(struct meter *meter, uint64_t begin_ns, uint64_t now_ns)
{
	const struct meter_options *o = meter->options;
	struct meter_result *r = meter->result;

	if (meter->begin_ns == 0) {
		if (now_ns >= meter->warm_until_ns) {
			meter_cpu_read(o, &r->begin);
			meter->begin_ns = r->begin.at_ns;
			meter->end_ns = meter->begin_ns + (uint64_t)(o->seconds * 1e9);
		}
		meter_sleep_us(o->gap_us);
		return true;
	}
	if (begin_ns >= meter->begin_ns)
		meter_hist_add(&r->hist, now_ns - begin_ns);
	r->calls++;
	if (now_ns >= meter->end_ns || (o->calls != 0 && r->calls >= o->calls)) {
		meter_cpu_read(o, &r->end);
		return false;
	}
	meter_sleep_us(o->gap_us);
	return true;
}

void meter_idle(const struct meter_options *options, FILE *out)
{
	struct meter_cpu begin;
	struct meter_cpu end;
	double s;

	meter_sleep_us(500e3); // let the last wake-ups pass
	meter_cpu_read(options, &begin);
	meter_sleep_us(options->idle_s * 1e6);
	meter_cpu_read(options, &end);
	s = (double)(end.at_ns - begin.at_ns) / 1e9;
	(void)fprintf(out,
		"{\"name\": \"%s\", \"seconds\": %.3f, \"idle_percent\": %.4f, "
		"\"own_idle_percent\": %.4f}\n",
		options->name, s, (end.total - begin.total) / s * 100,
		(end.own - begin.own) / s * 100);
}

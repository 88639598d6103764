// SPDX-License-Identifier: BSD-3-Clause
// Preloaded into a program: the wall clock jumps a day ahead, two days back and so on, at each
// look. Works with clocks.sh. The monotonic clock is left alone.
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define DAY    86400

EXPORT int clock_gettime(clockid_t clock, struct timespec *out)
{
	static _Atomic unsigned looks;
	int rc = (int)syscall(SYS_clock_gettime, clock, out);

	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		out->tv_sec += atomic_fetch_add(&looks, 1) % 2 == 0 ? DAY : -DAY;
	return rc;
}

EXPORT time_t time(time_t *out)
{
	struct timespec ts = {0, 0};

	(void)clock_gettime(CLOCK_REALTIME, &ts); // cannot fail for this clock
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

// SPDX-License-Identifier: BSD-3-Clause
// The two kernel objects behind a bell: eventfd towards the dataplane, futex towards the
// application. Works with bell.h.
#include "lib/shm/bell.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int phx_bell_ring_eventfd(int fd)
{
	const uint64_t one = 1;
	int saved = errno;
	int ret = 0;

	while (write(fd, &one, sizeof(one)) < 0) {
		ret = -errno;
		if (ret != -EINTR)
			break;
		ret = 0;
	}
	errno = saved;
	return ret;
}

void phx_bell_ring_futex(const struct phx_bell_waker *w, struct phx_shm_u32 *word)
{
	int saved = errno;

	phx_bell_mark(w, word);
	// Not PRIVATE: the waiter is another process. Fails only for unmapped memory.
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	errno = saved;
}

int phx_bell_wait_futex(const struct phx_shm_u32 *word, uint32_t seen, uint64_t timeout_ns)
{
	struct timespec ts, *timeout = NULL;
	int saved = errno;
	int ret = 0;

	if (timeout_ns != UINT64_MAX) {
		ts.tv_sec = (time_t)(timeout_ns / PHX_NS_PER_S);
		ts.tv_nsec = (long)(timeout_ns % PHX_NS_PER_S);
		timeout = &ts;
	}
	if (syscall(SYS_futex, word, FUTEX_WAIT, seen, timeout, NULL, 0) < 0 && errno != EAGAIN)
		ret = -errno;
	errno = saved;
	return ret;
}

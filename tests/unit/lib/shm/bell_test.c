// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/shm/bell: who rings when, the two kernel objects, and that no wake-up is lost
// between threads that sleep all the time (reliability.md; tests/model has the proof).
#include "lib/shm/bell.h"

#include "lib/base/clock.h"
#include "tests/unit/lib/shm/ring_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct bell {
	_Alignas(64) uint32_t epoch;
	struct phx_bell_sleeper sleeper;
	struct phx_bell_waker waker;
};

static void bell_init(struct bell *b)
{
	memset(b, 0, sizeof(*b));
	phx_bell_sleeper_init(&b->sleeper, rig_word(&b->epoch));
	phx_bell_waker_init(&b->waker, rig_word(&b->epoch));
}

static void should_ring_awake_sleeper_is_left_alone(void **state)
{
	struct bell b;

	(void)state;
	bell_init(&b);
	for (int i = 0; i < 3; i++) {
		assert_false(phx_bell_should_ring(&b.waker));
		phx_bell_arm(&b.sleeper);
		phx_bell_disarm(&b.sleeper);
	}
	assert_false(phx_bell_should_ring(&b.waker));
}

static void should_ring_rings_once_for_each_epoch(void **state)
{
	struct bell b;

	(void)state;
	bell_init(&b);
	for (int i = 0; i < 5; i++) {
		phx_bell_arm(&b.sleeper);
		assert_true(phx_bell_should_ring(&b.waker));
		assert_false(phx_bell_should_ring(&b.waker));
		phx_bell_disarm(&b.sleeper);
		assert_false(phx_bell_should_ring(&b.waker));
	}
}

static void should_ring_each_waker_rings_for_itself(void **state)
{
	struct phx_bell_waker other;
	struct bell b;

	(void)state;
	bell_init(&b);
	phx_bell_waker_init(&other, rig_word(&b.epoch));
	phx_bell_arm(&b.sleeper);
	assert_true(phx_bell_should_ring(&b.waker));
	assert_true(phx_bell_should_ring(&other));
	assert_false(phx_bell_should_ring(&b.waker));
	assert_false(phx_bell_should_ring(&other));
}

static void arm_and_disarm_repeated_change_nothing(void **state)
{
	struct bell b;

	(void)state;
	bell_init(&b);
	phx_bell_disarm(&b.sleeper);
	assert_int_equal(rig_peek(&b.epoch), 0);
	phx_bell_arm(&b.sleeper);
	phx_bell_arm(&b.sleeper);
	assert_int_equal(rig_peek(&b.epoch), 1);
	phx_bell_disarm(&b.sleeper);
	phx_bell_disarm(&b.sleeper);
	assert_int_equal(rig_peek(&b.epoch), 2);
}

static void epoch_passes_the_end_of_32_bits(void **state)
{
	struct bell b;

	(void)state;
	bell_init(&b);
	b.sleeper.epoch = UINT32_MAX - 1;
	for (int i = 0; i < 4; i++) {
		phx_bell_arm(&b.sleeper);
		assert_true(phx_bell_should_ring(&b.waker));
		phx_bell_disarm(&b.sleeper);
	}
	assert_int_equal(rig_peek(&b.epoch), 6);
}

static void scribbled_epoch_costs_one_bell_a_publish(void **state)
{
	unsigned bells = 0;
	struct bell b;

	(void)state;
	bell_init(&b);
	for (uint32_t i = 0; i < 100; i++) {
		rig_poke(&b.epoch, i * 2654435761u);
		bells += phx_bell_should_ring(&b.waker);
		bells += phx_bell_should_ring(&b.waker);
	}
	assert_true(bells <= 100);
}

static void publish_bell_shows_the_index_before_it_looks(void **state)
{
	static struct rig r;

	(void)state;
	assert_int_equal(rig_init(&r, 4, 0), 0);
	phx_bell_arm(&r.sleeper);
	rig_put(&r, 1, 1);
	assert_true(phx_ring_prod_publish_bell(&r.prod, &r.waker));
	assert_int_equal(rig_peek(&r.prod_word), 1);
	rig_put(&r, 1, 1);
	assert_false(phx_ring_prod_publish_bell(&r.prod, &r.waker));
	assert_int_equal(rig_peek(&r.prod_word), 2);
}

static void eventfd_counts_and_keeps_errno(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t n = UINT64_MAX - 1;

	(void)state;
	errno = ENOTTY;
	assert_int_equal(phx_bell_ring_eventfd(fd), 0);
	assert_int_equal(phx_bell_ring_eventfd(fd), 0);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 2);
	n = UINT64_MAX - 1;
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(phx_bell_ring_eventfd(fd), -EAGAIN); // full, and we do not wait
	(void)close(fd);
	assert_int_equal(phx_bell_ring_eventfd(fd), -EBADF);
	assert_int_equal(errno, ENOTTY);
}

static void futex_wait_changed_word_returns_at_once(void **state)
{
	uint32_t word = 5;

	(void)state;
	errno = ENOTTY;
	assert_int_equal(phx_bell_wait_futex(rig_word(&word), 4, UINT64_MAX), 0);
	assert_int_equal(phx_bell_wait_futex(rig_word(&word), 5, PHX_NS_PER_MS), -ETIMEDOUT);
	assert_int_equal(phx_bell_wait_futex(NULL, 5, PHX_NS_PER_MS), -EFAULT);
	assert_int_equal(errno, ENOTTY);
}

// One sleeper with nothing but a read-only mapping, as an application has it.
static void *wait_readonly(void *arg)
{
	return (void *)(intptr_t)phx_bell_wait_futex(arg, 0, 10 * PHX_NS_PER_S);
}

static void futex_readonly_mapping_is_woken(void **state)
{
	int fd = memfd_create("bell", MFD_CLOEXEC);
	void *rw, *ro, *result;
	uint64_t deadline = phx_clock_ns() + 10 * PHX_NS_PER_S;
	pthread_t thread;
	struct bell b;

	(void)state;
	bell_init(&b);
	assert_int_equal(ftruncate(fd, 4096), 0);
	rw = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ro = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	assert_true(rw != MAP_FAILED && ro != MAP_FAILED);
	phx_bell_arm(&b.sleeper);
	assert_int_equal(pthread_create(&thread, NULL, wait_readonly, ro), 0);
	assert_true(phx_bell_should_ring(&b.waker));
	phx_bell_ring_futex(&b.waker, rw); // before the thread waits or while it does
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal((intptr_t)result, 0);
	assert_true(phx_clock_ns() < deadline);
	(void)munmap(rw, 4096);
	(void)munmap(ro, 4096);
}

// A bell for an entry that the recheck found comes while nobody waits; the next entry rings no
// second one, so the first has to be remembered.
static void futex_bell_before_the_wait_is_remembered(void **state)
{
	static struct rig r;
	uint32_t seen;

	(void)state;
	assert_int_equal(rig_init(&r, 4, 0), 0);
	seen = phx_bell_seen(rig_word(&r.bell_word));
	phx_bell_arm(&r.sleeper);
	assert_int_equal(phx_ring_cons_recheck(&r.cons), 0);
	rig_put(&r, 1, 1);
	assert_true(phx_ring_prod_publish_bell(&r.prod, &r.waker));
	phx_bell_ring_futex(&r.waker, rig_word(&r.bell_word));
	rig_put(&r, 2, 1);
	assert_false(phx_ring_prod_publish_bell(&r.prod, &r.waker));
	assert_int_equal(phx_bell_wait_futex(rig_word(&r.bell_word), seen, UINT64_MAX), 0);
	phx_bell_disarm(&r.sleeper);
	seen = phx_bell_seen(rig_word(&r.bell_word));
	phx_bell_arm(&r.sleeper);
	assert_int_equal(
		phx_bell_wait_futex(rig_word(&r.bell_word), seen, PHX_NS_PER_MS), -ETIMEDOUT);
}

// Two sides that do nothing but answer each other asleep: each message is published to a peer
// that is about to sleep, sleeps or wakes up.
struct side {
	struct rig *in, *out; // in: we consume; out: we produce
	int fd_in, fd_out;    // eventfds; -1: futex
	uint64_t rounds;
	bool begins;
	unsigned lost;
};

static void side_sleep(struct side *s, int epoll, uint32_t seen)
{
	struct epoll_event event;
	int rc;

	if (s->fd_in >= 0)
		rc = epoll_wait(epoll, &event, 1, 10000) > 0 ? 0 : -ETIMEDOUT;
	else
		rc = phx_bell_wait_futex(rig_word(&s->in->bell_word), seen, 10 * PHX_NS_PER_S);
	if (rc == -ETIMEDOUT)
		s->lost++;
}

static void side_send(struct side *s, uint64_t value)
{
	(void)phx_ring_prod_room(&s->out->prod, 1);
	rig_put(s->out, value, 1);
	if (!phx_ring_prod_publish_bell(&s->out->prod, &s->out->waker))
		return;
	if (s->fd_out >= 0)
		(void)phx_bell_ring_eventfd(s->fd_out);
	else
		phx_bell_ring_futex(&s->out->waker, rig_word(&s->out->bell_word));
}

static void *side_run(void *arg)
{
	struct side *s = arg;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (s->fd_in >= 0)
		(void)epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd_in, &event);
	if (s->begins)
		side_send(s, 0);
	for (uint64_t i = 0; i < s->rounds && s->lost == 0; i++) {
		while (phx_ring_cons_avail(&s->in->cons) == 0 && s->lost == 0) {
			uint32_t seen = phx_bell_seen(rig_word(&s->in->bell_word));

			phx_bell_arm(&s->in->sleeper);
			if (phx_ring_cons_recheck(&s->in->cons) == 0)
				side_sleep(s, epoll, seen);
			phx_bell_disarm(&s->in->sleeper);
		}
		if (s->lost != 0 || !rig_take(s->in, i, 1))
			s->lost++;
		phx_ring_cons_publish(&s->in->cons);
		if (!s->begins || i + 1 < s->rounds)
			side_send(s, s->begins ? i + 1 : i);
	}
	(void)close(epoll);
	return NULL;
}

static void ping_pong(bool with_eventfd)
{
	static struct rig there, back;
	uint64_t rounds = getenv("PHX_TEST_SLOW") != NULL ? 2000 : 20000;
	int fd[2] = {-1, -1};
	struct side a = {.in = &back, .out = &there, .rounds = rounds, .begins = true};
	struct side b = {.in = &there, .out = &back, .rounds = rounds};
	pthread_t thread;

	assert_int_equal(rig_init(&there, 2, 0), 0);
	assert_int_equal(rig_init(&back, 2, 0), 0);
	for (int i = 0; with_eventfd && i < 2; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	a.fd_in = b.fd_out = fd[0];
	b.fd_in = a.fd_out = fd[1];
	assert_int_equal(pthread_create(&thread, NULL, side_run, &b), 0);
	(void)side_run(&a);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(a.lost, 0);
	assert_int_equal(b.lost, 0);
	for (int i = 0; with_eventfd && i < 2; i++)
		(void)close(fd[i]);
}

static void sleepers_on_a_futex_miss_no_bell(void **state)
{
	(void)state;
	ping_pong(false);
}

static void sleepers_on_an_eventfd_miss_no_bell(void **state)
{
	(void)state;
	ping_pong(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(should_ring_awake_sleeper_is_left_alone),
		cmocka_unit_test(should_ring_rings_once_for_each_epoch),
		cmocka_unit_test(should_ring_each_waker_rings_for_itself),
		cmocka_unit_test(arm_and_disarm_repeated_change_nothing),
		cmocka_unit_test(epoch_passes_the_end_of_32_bits),
		cmocka_unit_test(scribbled_epoch_costs_one_bell_a_publish),
		cmocka_unit_test(publish_bell_shows_the_index_before_it_looks),
		cmocka_unit_test(eventfd_counts_and_keeps_errno),
		cmocka_unit_test(futex_wait_changed_word_returns_at_once),
		cmocka_unit_test(futex_readonly_mapping_is_woken),
		cmocka_unit_test(futex_bell_before_the_wait_is_remembered),
		cmocka_unit_test(sleepers_on_a_futex_miss_no_bell),
		cmocka_unit_test(sleepers_on_an_eventfd_miss_no_bell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

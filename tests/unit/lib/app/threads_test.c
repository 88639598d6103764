// SPDX-License-Identifier: BSD-3-Clause
// One channel in many threads: a queue for each of them, and one queue for all of them.
#include "tests/unit/lib/app/app_test.h"

#define THREADS 4
#define CALLS	3000
#define WINDOW	16

// A worker that answers calls of all queues with what they brought.
struct answerer {
	struct fake_dp *dp;
	pthread_t thread;
	_Atomic bool stop;
};

static void *answer_main(void *arg)
{
	struct answerer *a = arg;

	while (!atomic_load(&a->stop)) {
		unsigned work = 0;

		for (unsigned i = 0; i < atomic_load(&a->dp->queue_count); i++) {
			uint8_t inl[256];

			while (!fake_ret_none(a->dp, i))
				(void)fake_ret(a->dp, i);
			for (; !fake_sub_none(a->dp, i); work++) {
				struct phx_sub_entry e = fake_sub(a->dp, i, inl);

				fake_reply(a->dp, i, &e, inl, e.msg_len);
			}
		}
		if (work == 0)
			(void)sched_yield();
	}
	return NULL;
}

struct user {
	struct session *s;
	struct phx_queue *queue;
	pthread_t thread;
	unsigned index;
	_Atomic uint64_t started, sum, want;
	_Atomic unsigned in_flight, bad;
};

static void on_note(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct user *u = arg;

	if (status->code == PHX_OK)
		atomic_fetch_add(&u->sum,
			((const struct note *)phx_message_root(reply, &note_type))->number);
	else
		atomic_fetch_add(&u->bad, 1);
	phx_message_release(reply);
	atomic_fetch_sub(&u->in_flight, 1);
}

static void start_one(struct user *u)
{
	const struct phx_service *service =
		atomic_load(&u->started) % 2 == 0 ? &note_service : &other_service;
	uint64_t number = (uint64_t)u->index << 32 | atomic_load(&u->started);
	struct phx_message *m = note_new(u->s->ctx, number, 0);

	atomic_fetch_add(&u->in_flight, 1);
	if (phx_call_start(u->s->channel, u->queue, service, 0, m, NULL, on_note, u, NULL) != 0) {
		phx_message_release(m);
		atomic_fetch_sub(&u->in_flight, 1);
		return;
	}
	atomic_fetch_add(&u->want, number);
	atomic_fetch_add(&u->started, 1);
}

static void *user_main(void *arg)
{
	struct user *u = arg;
	uint64_t until = phx_clock_ns() + FAKE_PATIENCE_NS;

	while (atomic_load(&u->started) < CALLS || atomic_load(&u->in_flight) != 0) {
		assert_true(phx_clock_ns() < until);
		while (atomic_load(&u->started) < CALLS && atomic_load(&u->in_flight) < WINDOW)
			start_one(u);
		// Somebody else may take ours from a shared queue, so no sleep is long.
		if (phx_poll(u->queue, 0) == 0)
			assert_true(phx_wait(u->queue, PHX_NS_PER_MS) >= 0);
	}
	return NULL;
}

static void run_users(struct session *s, bool queue_each)
{
	struct answerer answerer = {.dp = s->dp};
	struct user users[THREADS];

	memset(users, 0, sizeof(users));
	for (unsigned i = 0; i < THREADS; i++) {
		users[i].s = s;
		users[i].index = i + 1;
		users[i].queue = s->queue;
		if (queue_each && i > 0)
			assert_int_equal(0, phx_queue_create(s->ctx, NULL, &users[i].queue));
	}
	assert_int_equal(0, pthread_create(&answerer.thread, NULL, answer_main, &answerer));
	// All of them at once, so they bind at once as well.
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(0, pthread_create(&users[i].thread, NULL, user_main, &users[i]));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(users[i].thread, NULL);
	atomic_store(&answerer.stop, true);
	pthread_join(answerer.thread, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(0, atomic_load(&users[i].bad));
		assert_int_equal(CALLS, atomic_load(&users[i].started));
		assert_true(atomic_load(&users[i].want) == atomic_load(&users[i].sum));
	}
	assert_int_equal(2, atomic_load(&s->dp->binds)); // two services, each once
}

static void channel_of_many_threads_with_a_queue_each(void **)
{
	struct session s = session_open(NULL);

	run_users(&s, true);
	session_close(&s);
}

static void channel_and_queue_of_many_threads(void **)
{
	struct session s = session_open(NULL);

	run_users(&s, false);
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channel_of_many_threads_with_a_queue_each),
		cmocka_unit_test(channel_and_queue_of_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// What a program says that dies of a fatal signal: a child dies in each way, the parent reads it.
#include "lib/base/crash.h"

#include "lib/base/compiler.h"
#include "lib/base/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char said[65536];
static _Atomic int sink;
static _Atomic uintptr_t nowhere = 16;

// Run fn in a child that reports; its wait status. What it said is in `said`.
static int die_of(void (*fn)(void))
{
	const struct rlimit none = {0, 0};
	int fds[2], status = 0;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)dup2(fds[1], STDERR_FILENO);
		(void)close(fds[0]);
		(void)close(fds[1]);
		(void)setrlimit(RLIMIT_CORE, &none);
		phx_log_set_program("victim");
		phx_crash_install();
		fn();
		_exit(0);
	}
	(void)close(fds[1]);
	while ((n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_said(const char *word)
{
	if (strstr(said, word) == NULL)
		fail_msg("'%s' is not in:\n%s", word, said);
}

// ---- ways to die ----

PHX_NOINLINE static void crash_inner(int *p)
{
	*p = 1;
	sink += 1; // no tail call
}

PHX_NOINLINE static void crash_outer(void)
{
	crash_inner((int *)nowhere);
	sink += 1;
}

PHX_NOINLINE static int crash_deep(int n)
{
	char page[4096];

	memset(page, n, sizeof(page));
	sink += page[sink & 4095];
	return n == 1 << 30 ? 0 : crash_deep(n + 1) + page[sink & 4095];
}

static void crash_overflow(void)
{
	sink = crash_deep(0);
}

static void *crash_thread(void *arg)
{
	(void)prctl(PR_SET_NAME, "some-worker");
	phx_crash_thread();
	sink = crash_deep(0);
	return arg;
}

static void crash_in_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, crash_thread, NULL) == 0)
		(void)pthread_join(thread, NULL);
}

static void crash_abort(void)
{
	abort();
}

static void crash_sent(void)
{
	(void)kill(getpid(), SIGFPE);
	(void)pause();
}

// ---- tests ----

static void fault_names_signal_address_and_functions(void **)
{
	int status = die_of(crash_outer);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_said(" victim err crash: SIGSEGV at address 0x10, thread ");
	assert_said("crash: #0 crash_inner");
	assert_said("crash: #1 crash_outer");
	assert_said(" main");
	// One line each, with the time in front like all lines of the log; behind them an emulator
	// says that its program died.
	for (const char *l = said; *l != '\0'; l = strchr(l, '\n') + 1) {
		if (getenv("PHX_TEST_EMULATED") != NULL && strncmp(l, "qemu: ", 6) == 0)
			break;
		assert_int_equal(strncmp(l, "20", 2), 0);
		assert_ptr_equal(strstr(l, "Z victim err crash: "), l + 23);
		assert_non_null(strchr(l, '\n'));
	}
}

static void time_of_the_report_is_now(void **)
{
	char today[16], tomorrow[16];
	time_t now = time(NULL);

	(void)die_of(crash_abort);
	(void)strftime(today, sizeof(today), "%Y-%m-%dT", gmtime(&now));
	now += 60; // over midnight
	(void)strftime(tomorrow, sizeof(tomorrow), "%Y-%m-%dT", gmtime(&now));
	assert_true(strncmp(said, today, 11) == 0 || strncmp(said, tomorrow, 11) == 0);
}

static void abort_and_sent_signals_are_told_and_kill(void **)
{
	int status = die_of(crash_abort);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_said("crash: SIGABRT ");
	assert_said(" crash_abort");
	status = die_of(crash_sent);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE);
	assert_said("crash: SIGFPE sent by pid ");
	assert_said(" crash_sent");
}

static void stack_that_runs_over_is_told(void **)
{
	int status = die_of(crash_overflow);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_said("#5 crash_deep");
	status = die_of(crash_in_thread);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_said(", thread some-worker (");
	assert_said("#5 crash_deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_names_signal_address_and_functions),
		cmocka_unit_test(time_of_the_report_is_now),
		cmocka_unit_test(abort_and_sent_signals_are_told_and_kill),
		cmocka_unit_test(stack_that_runs_over_is_told),
	};

	if (PHX_SANITIZED) {
		(void)puts("skipped: the sanitizer reports");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

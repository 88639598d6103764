// SPDX-License-Identifier: BSD-3-Clause
// The handler of fatal signals, see crash.h. Everything below on_fatal() is async-signal safe.
#include "lib/base/crash.h"

#include "lib/base/compiler.h"
#include "lib/base/crash_symbols.h"
#include "lib/base/log.h"

#include <execinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES  (64 * 1024)
#define FRAMES_MAX   64
#define LINE_MAX_    512
#define TOO_LONG_S   5 // for the whole report
#define NAME_BYTES   16
#define HANDLER_SKIP 2 // on_fatal() and the trampoline of the kernel

static const struct fatal {
	int signal;
	const char *name;
} fatals[] = {
	{SIGSEGV, "SIGSEGV"},
	{SIGBUS, "SIGBUS"},
	{SIGILL, "SIGILL"},
	{SIGFPE, "SIGFPE"},
	{SIGABRT, "SIGABRT"},
};

static _Atomic bool dying;
static bool installed; // before there are threads

// ---- lines without stdio ----

struct line {
	char text[LINE_MAX_];
	size_t len;
};

static void put(struct line *l, const char *text)
{
	while (*text != '\0' && l->len < sizeof(l->text) - 1)
		l->text[l->len++] = *text++;
}

static void put_number(struct line *l, uint64_t v, unsigned base, unsigned digits)
{
	char text[24];
	size_t at = sizeof(text) - 1;

	text[at] = '\0';
	do {
		text[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v != 0 || sizeof(text) - 1 - at < digits);
	put(l, text + at);
}

// Days since 1970 to a date (H. Hinnant, "chrono-compatible low-level date algorithms").
static void put_date(struct line *l, uint64_t days)
{
	uint64_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	uint64_t month = mp < 10 ? mp + 3 : mp - 9;

	put_number(l, yoe + era * 400 + (month <= 2), 10, 4);
	put(l, "-");
	put_number(l, month, 10, 2);
	put(l, "-");
	put_number(l, doy - (153 * mp + 2) / 5 + 1, 10, 2);
}

// As lines of the log begin.
static void begin(struct line *l)
{
	struct timespec now = {0};
	uint64_t s;

	l->len = 0;
	(void)clock_gettime(CLOCK_REALTIME, &now); // cannot fail for this clock
	s = (uint64_t)now.tv_sec;
	put_date(l, s / 86400);
	put(l, "T");
	put_number(l, s / 3600 % 24, 10, 2);
	put(l, ":");
	put_number(l, s / 60 % 60, 10, 2);
	put(l, ":");
	put_number(l, s % 60, 10, 2);
	put(l, ".");
	put_number(l, (uint64_t)now.tv_nsec / 1000000, 10, 3);
	put(l, "Z ");
	put(l, phx_log_program());
	put(l, " err crash: ");
}

static void end(struct line *l)
{
	l->text[l->len++] = '\n'; // put() leaves room for it
	if (write(STDERR_FILENO, l->text, l->len) < 0)
		l->len = 0; // nobody could be told
}

// ---- the report ----

static void report_signal(struct line *l, int signal, const siginfo_t *info)
{
	char thread[NAME_BYTES + 1] = "";
	const char *name = "signal";

	for (size_t i = 0; i < PHX_ARRAY_LEN(fatals); i++)
		name = fatals[i].signal == signal ? fatals[i].name : name;
	(void)prctl(PR_GET_NAME, thread); // cannot fail
	begin(l);
	put(l, name);
	if (info->si_code > 0) { // of the kernel
		put(l, " at address 0x");
		put_number(l, (uintptr_t)info->si_addr, 16, 1);
	} else {
		put(l, " sent by pid ");
		put_number(l, (uint64_t)info->si_pid, 10, 1);
	}
	put(l, ", thread ");
	put(l, thread);
	put(l, " (");
	put_number(l, (uint64_t)gettid(), 10, 1);
	put(l, "), phoenix " PHX_VERSION ", build id ");
	put(l, phx_crash_build_id()[0] != '\0' ? phx_crash_build_id() : "unknown");
	end(l);
}

static void report_frame(struct line *l, unsigned index, void *frame)
{
	// A return address stands behind its call, which may be the last instruction of a function.
	uintptr_t address = (uintptr_t)frame, call = index == 0 ? address : address - 1, offset;
	size_t in;
	const char *name = phx_crash_symbol(call, &in);

	begin(l);
	put(l, "#");
	put_number(l, index, 10, 1);
	put(l, " ");
	if (!phx_crash_is_ours(address, &offset)) {
		if (write(STDERR_FILENO, l->text, l->len) >= 0) // else the rest is lost too
			backtrace_symbols_fd(&frame, 1, STDERR_FILENO);
		return;
	}
	if (name != NULL) {
		put(l, name);
		put(l, "+0x");
		put_number(l, in + (index == 0 ? 0 : 1), 16, 1);
		put(l, " ");
	}
	put(l, "[0x");
	put_number(l, offset, 16, 1);
	put(l, "]");
	end(l);
}

static void on_fatal(int signal, siginfo_t *info, void *context)
{
	void *frames[FRAMES_MAX];
	struct line l;
	int n;

	(void)context;
	// Another thread that dies meanwhile waits for the end.
	while (atomic_exchange_explicit(&dying, true, memory_order_relaxed))
		(void)pause(); // until the process ends
	(void)alarm(TOO_LONG_S);
	report_signal(&l, signal, info);
	n = backtrace(frames, FRAMES_MAX);
	for (int i = HANDLER_SKIP; i < n; i++)
		report_frame(&l, (unsigned)(i - HANDLER_SKIP), frames[i]);
	// The default action now (SA_RESETHAND); it is taken when this returns.
	(void)raise(signal);
}

// ---- the start ----

void phx_crash_thread(void)
{
	stack_t stack = {.ss_size = STACK_BYTES};

	if (!installed)
		return;
	stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack.ss_sp != MAP_FAILED)
		(void)sigaltstack(&stack, NULL); // it goes without
}

void phx_crash_install(void)
{
	struct sigaction action = {
		.sa_sigaction = on_fatal,
		.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND),
	};
	void *warm[4];

	if (PHX_SANITIZED)
		return;
	installed = true;
	phx_crash_symbols_load();
	(void)backtrace(warm, PHX_ARRAY_LEN(warm)); // loads the unwinder, which allocates
	phx_crash_thread();
	(void)sigemptyset(&action.sa_mask); // these cannot fail with valid arguments
	for (size_t i = 0; i < PHX_ARRAY_LEN(fatals); i++)
		(void)sigaction(fatals[i].signal, &action, NULL);
}

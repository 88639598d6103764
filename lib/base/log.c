// SPDX-License-Identifier: BSD-3-Clause
// Log lines to stderr: one write a line, control characters escaped, rate limited per
// call site. Works with the macros of log.h.
#include "lib/base/log.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_TEXT_MAX	1024
#define LOG_LINES_PER_S 10
#define LOG_ESCAPED_MAX (LOG_TEXT_MAX * 4 + 256)

static const char *const level_names[] = {"err", "warn", "info", "debug"};

static _Atomic int current_level = PHX_LOG_INFO;
static const char *_Atomic program = "phoenix";

// Written by one thread, read by all: names before their count.
static struct {
	const char *name;
	_Atomic int level;
} own[PHX_LOG_COMPONENTS_MAX];
static _Atomic size_t own_count;

// Ends of the section; absent in a program that never logs.
extern const char *const __start_phx_log_component[] __attribute__((weak, visibility("hidden")));
extern const char *const __stop_phx_log_component[] __attribute__((weak, visibility("hidden")));

void phx_log_set_level(enum phx_log_level level)
{
	size_t count = atomic_load_explicit(&own_count, memory_order_relaxed);

	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
	for (size_t i = 0; i < count; i++)
		atomic_store_explicit(&own[i].level, (int)level, memory_order_relaxed);
}

static size_t site_count(void)
{
	return ((uintptr_t)__stop_phx_log_component - (uintptr_t)__start_phx_log_component) /
	       sizeof(__start_phx_log_component[0]);
}

size_t phx_log_components(const char **out_names, size_t max)
{
	size_t sites = site_count(), count = 0;

	for (size_t s = 0; s < sites; s++) {
		const char *name = __start_phx_log_component[s];
		bool there = false;

		for (size_t i = 0; i < count && !there; i++)
			there = strcmp(out_names[i], name) == 0;
		if (!there && count < max)
			out_names[count++] = name;
	}
	return count;
}

static const char *find_component(const char *component)
{
	size_t sites = site_count();

	for (size_t s = 0; s < sites; s++)
		if (strcmp(__start_phx_log_component[s], component) == 0)
			return __start_phx_log_component[s];
	return NULL;
}

int phx_log_set_component_level(const char *component, enum phx_log_level level)
{
	const char *name = find_component(component);
	size_t count = atomic_load_explicit(&own_count, memory_order_relaxed), i = 0;

	if (name == NULL)
		return -ENOENT;
	while (i < count && strcmp(own[i].name, name) != 0)
		i++;
	if (i == PHX_LOG_COMPONENTS_MAX)
		return -ENOENT; // phx_log_components() does not name it either
	atomic_store_explicit(&own[i].level, (int)level, memory_order_relaxed);
	if (i == count) {
		own[i].name = name;
		// pairs with the load in phx_log_component_level
		atomic_store_explicit(&own_count, count + 1, memory_order_release);
	}
	return 0;
}

enum phx_log_level phx_log_component_level(const char *component)
{
	// pairs with the store in phx_log_set_component_level
	size_t count = atomic_load_explicit(&own_count, memory_order_acquire);

	for (size_t i = 0; i < count; i++)
		if (strcmp(own[i].name, component) == 0)
			return (enum phx_log_level)atomic_load_explicit(
				&own[i].level, memory_order_relaxed);
	return phx_log_level();
}

bool phx_log_passes(enum phx_log_level level, const char *component)
{
	// Most programs give no component a level of its own.
	if (atomic_load_explicit(&own_count, memory_order_relaxed) == 0)
		return level <= phx_log_level();
	return level <= phx_log_component_level(component);
}

const char *phx_log_level_name(enum phx_log_level level)
{
	return level_names[level];
}

enum phx_log_level phx_log_level(void)
{
	return (enum phx_log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

int phx_log_level_parse(const char *name, enum phx_log_level *out_level)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*out_level = (enum phx_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void phx_log_set_program(const char *name)
{
	atomic_store_explicit(&program, name, memory_order_relaxed);
}

const char *phx_log_program(void)
{
	return atomic_load_explicit(&program, memory_order_relaxed);
}

// Append text with C0 controls, DEL and backslash as \xNN; returns the new length.
static size_t append_escaped(char *line, size_t len, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (len + 5 > LOG_ESCAPED_MAX)
			break;
		if (*p < 0x20 || *p == 0x7f || *p == '\\') {
			line[len++] = '\\';
			line[len++] = 'x';
			line[len++] = hex[*p >> 4];
			line[len++] = hex[*p & 15];
		} else {
			line[len++] = (char)*p;
		}
	}
	return len;
}

void phx_log_write(enum phx_log_level level, const char *component, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX];
	char line[LOG_ESCAPED_MAX];
	int saved_errno = errno; // a log line must not change what the caller sees
	struct timespec now;
	struct tm tm;
	size_t len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		(void)snprintf(text, sizeof(text), "(unprintable)");
	if ((unsigned)level >= PHX_ARRAY_LEN(level_names))
		level = PHX_LOG_ERR;

	(void)clock_gettime(CLOCK_REALTIME, &now); // cannot fail for this clock
	(void)gmtime_r(&now.tv_sec, &tm);	   // fails in year 2^31 only
	len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(line + len, 128, ".%03ldZ %.48s %s %.48s: ", now.tv_nsec / 1000000,
		atomic_load_explicit(&program, memory_order_relaxed), level_names[level],
		component);
	len += (size_t)phx_min(n < 0 ? 0 : n, 127);
	len = append_escaped(line, len, text);
	line[len++] = '\n';
	// One write keeps lines of several threads whole; a full or closed stderr loses
	// the line, which nobody could be told.
	if (write(STDERR_FILENO, line, len) < 0)
		errno = saved_errno;
	errno = saved_errno;
}

bool phx_log_site_pass(struct phx_log_site *site, uint32_t *out_dropped)
{
	uint64_t now_s = phx_clock_ns() / PHX_NS_PER_S + 1; // 0 is "never used"
	uint64_t window = atomic_load_explicit(&site->window_s, memory_order_relaxed);

	if (window != now_s && atomic_compare_exchange_strong_explicit(&site->window_s, &window,
				       now_s, memory_order_relaxed, memory_order_relaxed))
		atomic_store_explicit(&site->lines, 0, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&site->lines, 1, memory_order_relaxed) >= LOG_LINES_PER_S) {
		(void)atomic_fetch_add_explicit(&site->dropped, 1, memory_order_relaxed);
		return false;
	}
	*out_dropped = atomic_exchange_explicit(&site->dropped, 0, memory_order_relaxed);
	return true;
}

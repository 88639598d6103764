// SPDX-License-Identifier: BSD-3-Clause
// Levelled log lines to stderr or a sink, rate-limited per call site.
// Programs log; lib/ itself logs at debug only. Never called per message.
#pragma once

#include "lib/base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phx_log_level {
	PHX_LOG_ERR,   // the operator must act
	PHX_LOG_WARN,  // we continue degraded
	PHX_LOG_INFO,  // state change
	PHX_LOG_DEBUG, // per object, never per message
};

#define PHX_LOG_COMPONENTS_MAX 64

// Level of everything from now on (default info), of components with a level of their own too.
// One thread at a time; seen by all.
void phx_log_set_level(enum phx_log_level level);
enum phx_log_level phx_log_level(void);

// "err", "warn", "info", "debug" -> level. 0 or -EINVAL. And back; static.
int phx_log_level_parse(const char *name, enum phx_log_level *out_level);
const char *phx_log_level_name(enum phx_log_level level);

// Names of the components that can log in this program, each once, in no order; static.
// Returns how many, at most max.
size_t phx_log_components(const char **out_names, size_t max);

// Level of one component from now on. 0; -ENOENT: this program has none of that name. Same
// thread as phx_log_set_level().
int phx_log_set_component_level(const char *component, enum phx_log_level level);
enum phx_log_level phx_log_component_level(const char *component); // any thread

// Would a line be written? Any thread.
bool phx_log_passes(enum phx_log_level level, const char *component);

// Name printed in each line, e.g. "dataplane". Kept by reference; call once at start.
void phx_log_set_program(const char *name);
const char *phx_log_program(void); // any thread, async-signal safe

// Write one line: "2026-11-22T13:00:00.000Z dataplane err session: text". Control
// characters of the text are escaped. Any thread. Prefer the macros below.
void phx_log_write(enum phx_log_level level, const char *component, const char *fmt, ...)
	PHX_PRINTF(3, 4);

// State of one rate-limited call site: at most 10 lines a second, then counted and
// reported with the next line that gets through.
struct phx_log_site {
	_Atomic uint64_t window_s;
	_Atomic uint32_t lines;
	_Atomic uint32_t dropped;
};
bool phx_log_site_pass(struct phx_log_site *site, uint32_t *out_dropped);

// The components of a program are what stands in this section.
#define PHX_LOG_COMPONENT __attribute__((section("phx_log_component"), used))

#define phx_log_at(level, component, ...)                                                          \
	do {                                                                                       \
		static const char *const component_ PHX_LOG_COMPONENT = (component);               \
		if (phx_log_passes(level, component_)) {                                           \
			static struct phx_log_site site_;                                          \
			uint32_t dropped_ = 0;                                                     \
			if (phx_log_site_pass(&site_, &dropped_)) {                                \
				if (dropped_ != 0)                                                 \
					phx_log_write(level, component,                            \
						"%u similar lines suppressed", dropped_);          \
				phx_log_write(level, component, __VA_ARGS__);                      \
			}                                                                          \
		}                                                                                  \
	} while (0)
#define phx_log_err(component, ...)   phx_log_at(PHX_LOG_ERR, component, __VA_ARGS__)
#define phx_log_warn(component, ...)  phx_log_at(PHX_LOG_WARN, component, __VA_ARGS__)
#define phx_log_info(component, ...)  phx_log_at(PHX_LOG_INFO, component, __VA_ARGS__)
#define phx_log_debug(component, ...) phx_log_at(PHX_LOG_DEBUG, component, __VA_ARGS__)

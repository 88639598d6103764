// SPDX-License-Identifier: BSD-3-Clause
// Levelled log lines to stderr or a sink, rate-limited per call site.
// Programs log; lib/ itself logs at debug only. Never called per message.
#pragma once

#include "lib/base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum phx_log_level {
	PHX_LOG_ERR,   // the operator must act
	PHX_LOG_WARN,  // we continue degraded
	PHX_LOG_INFO,  // state change
	PHX_LOG_DEBUG, // per object, never per message
};

// Level of everything from now on (default info). Any thread.
void phx_log_set_level(enum phx_log_level level);
enum phx_log_level phx_log_level(void);

// "err", "warn", "info", "debug" -> level. 0 or -EINVAL.
int phx_log_level_parse(const char *name, enum phx_log_level *out_level);

// Name printed in each line, e.g. "dataplane". Kept by reference; call once at start.
void phx_log_set_program(const char *name);

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

#define phx_log_at(level, component, ...)                                                          \
	do {                                                                                       \
		if ((level) <= phx_log_level()) {                                                  \
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

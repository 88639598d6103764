// SPDX-License-Identifier: BSD-3-Clause
// Compiler attributes and small macros shared by every layer.
// Works with gcc 12 and clang 14; no other header of the project is needed.
#pragma once

#include <assert.h>
#include <stddef.h>

#define PHX_CACHE_LINE	      64
#define PHX_CACHE_ALIGNED     __attribute__((aligned(PHX_CACHE_LINE)))
#define PHX_ALWAYS_INLINE     inline __attribute__((always_inline))
#define PHX_NOINLINE	      __attribute__((noinline))
#define PHX_COLD	      __attribute__((cold, noinline))
#define PHX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PHX_WARN_UNUSED	      __attribute__((warn_unused_result))
#define PHX_UNUSED	      __attribute__((unused))

// 1: a sanitizer is built in, which takes fatal signals itself.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PHX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PHX_SANITIZED 1
#endif
#endif
#ifndef PHX_SANITIZED
#define PHX_SANITIZED 0
#endif

#define phx_likely(x)	__builtin_expect(!!(x), 1)
#define phx_unlikely(x) __builtin_expect(!!(x), 0)

#define PHX_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define phx_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define phx_min(a, b)                                                                              \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define phx_max(a, b)                                                                              \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

// Lock annotations, checked by clang's thread-safety analysis.
#if defined(__clang__)
#define PHX_CAPABILITY(x) __attribute__((capability(x)))
#define PHX_GUARDED_BY(x) __attribute__((guarded_by(x)))
#define PHX_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define PHX_ACQUIRE(...)  __attribute__((acquire_capability(__VA_ARGS__)))
#define PHX_RELEASE(...)  __attribute__((release_capability(__VA_ARGS__)))
#else
#define PHX_CAPABILITY(x)
#define PHX_GUARDED_BY(x)
#define PHX_REQUIRES(...)
#define PHX_ACQUIRE(...)
#define PHX_RELEASE(...)
#endif

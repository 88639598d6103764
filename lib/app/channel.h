// SPDX-License-Identifier: BSD-3-Clause
// A channel and its bindings: which number a service has on it. Looking up takes no lock:
// bindings are only added, by release stores, and live as long as the channel.
#pragma once

#include "lib/app/context.h"

#define PHX_NO_HANDLE UINT32_MAX // not open, not bound, in this session

struct phx_binding {
	const struct phx_service *service; // [const]
	_Atomic uint32_t index;
	struct phx_binding *_Atomic next;
};

struct phx_channel {
	struct phx_context *context; // [const]
	_Atomic uint32_t handle;
	char *target;				// [const]
	uint64_t timeout_ns;			// [const]
	struct phx_list link;			// in the context's list
	const struct phx_binding *_Atomic last; // hit last
	struct phx_binding *_Atomic bindings;	// all
};

// What a call names.
struct phx_channel_ids {
	uint32_t channel;
	uint16_t binding;
};

// Open the channel and bind the service where that has not been done in this session. 0 or as
// phx_session_request().
int phx_channel_bind(struct phx_channel *ch, const struct phx_service *service,
	struct phx_channel_ids *out_ids, struct phx_status *out_status);
int phx_channel_bind_locked(struct phx_context *ctx, struct phx_channel *ch,
	const struct phx_service *service, struct phx_channel_ids *out_ids,
	struct phx_status *out_status) PHX_REQUIRES(ctx->control);

// Open the channel where that has not been done in this session. As phx_channel_bind().
int phx_channel_reopen(struct phx_channel *ch);

// A new session: nothing is open or bound in it; then open and bind everything again. 0, or the
// first error; what a call needs later is asked for again by phx_channel_bind().
void phx_channels_void(struct phx_context *ctx) PHX_REQUIRES(ctx->control);
int phx_channels_replay(struct phx_context *ctx, struct phx_session *s) PHX_REQUIRES(ctx->control);

static inline bool phx_channel_ids_of(
	const struct phx_channel *ch, const struct phx_binding *b, struct phx_channel_ids *out_ids)
{
	uint32_t handle = atomic_load_explicit(&ch->handle, memory_order_acquire);
	uint32_t index = atomic_load_explicit(&b->index, memory_order_acquire);

	out_ids->channel = handle;
	out_ids->binding = (uint16_t)index;
	return handle != PHX_NO_HANDLE && index != PHX_NO_HANDLE;
}

// Of a service that was bound before; false: not yet. They hold for the session whose epoch
// (struct phx_context) was loaded before and is still that of the queue when they are used.
// Acquire, pairs with phx_channel_bind().
static inline bool phx_channel_binding(
	struct phx_channel *ch, const struct phx_service *service, struct phx_channel_ids *out_ids)
{
	const struct phx_binding *b = atomic_load_explicit(&ch->last, memory_order_acquire);

	if (phx_likely(b != NULL && b->service == service))
		return phx_channel_ids_of(ch, b, out_ids);
	b = atomic_load_explicit(&ch->bindings, memory_order_acquire);
	for (; b != NULL; b = atomic_load_explicit(&b->next, memory_order_acquire)) {
		if (b->service == service) {
			atomic_store_explicit(&ch->last, b, memory_order_release);
			return phx_channel_ids_of(ch, b, out_ids);
		}
	}
	return false;
}

// Free the channels of a context that ends.
void phx_channels_free(struct phx_context *ctx);

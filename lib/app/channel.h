// SPDX-License-Identifier: BSD-3-Clause
// A channel and its bindings: which number a service has on it. Looking up takes no lock:
// bindings are only added, by release stores, and live as long as the channel.
#pragma once

#include "lib/app/context.h"

struct phx_binding {
	const struct phx_service *service;
	uint16_t index;
	struct phx_binding *_Atomic next;
};

struct phx_channel {
	struct phx_context *context;		// [const]
	uint32_t handle;			// [const]
	struct phx_list link;			// in the context's list
	const struct phx_binding *_Atomic last; // hit last
	struct phx_binding *_Atomic bindings;	// all
};

// The binding of a service, asking the dataplane at first use. 0 or as phx_context_request().
int phx_channel_bind(struct phx_channel *ch, const struct phx_service *service,
	uint16_t *out_binding, struct phx_status *out_status);

// Number of a service that was bound before; false: not yet. Acquire, pairs with
// phx_channel_bind().
static inline bool phx_channel_binding(
	struct phx_channel *ch, const struct phx_service *service, uint16_t *out_binding)
{
	const struct phx_binding *b = atomic_load_explicit(&ch->last, memory_order_acquire);

	if (phx_likely(b != NULL && b->service == service)) {
		*out_binding = b->index;
		return true;
	}
	b = atomic_load_explicit(&ch->bindings, memory_order_acquire);
	for (; b != NULL; b = atomic_load_explicit(&b->next, memory_order_acquire)) {
		if (b->service == service) {
			atomic_store_explicit(&ch->last, b, memory_order_release);
			*out_binding = b->index;
			return true;
		}
	}
	return false;
}

// Free the channels of a context that ends.
void phx_channels_free(struct phx_context *ctx);

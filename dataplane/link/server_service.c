// SPDX-License-Identifier: BSD-3-Clause
// The server end: services that peers asked for, and telling them when one comes or goes. Worker
// thread.
#include "dataplane/link/server.h"

#include <stdlib.h>

// Instances on this worker; hashes that all of them take (one, when they agree).
static uint32_t entry_local(const struct worker *worker, const struct service_entry *e,
	struct phx_hash128 *out_hash, bool *out_same)
{
	uint32_t count = 0;

	*out_same = true;
	for (uint32_t i = 0; i < e->instance_count; i++) {
		const struct service_instance *in = &e->instances[i];

		if (in->worker != worker->index)
			continue;
		if (count++ == 0)
			*out_hash = in->hash;
		else if (in->hash.lo != out_hash->lo || in->hash.hi != out_hash->hi)
			*out_same = false;
	}
	return count;
}

static void subscription_tell(struct rchannel *rc, struct subscription *s, bool force)
{
	struct worker *worker = rc->link->worker;
	const struct service_set *set =
		atomic_load_explicit(worker->services, memory_order_acquire);
	struct phx_frame f = {
		.type = PHX_FRAME_SERVICE_DOWN,
		.epoch = rc->epoch,
		.service = s->binding,
		.channel = rc->id,
	};
	struct phx_hash128 hash = {0, 0};
	uint8_t bytes[16];
	struct iovec iov = {bytes, sizeof(bytes)};
	uint8_t state = SERVICE_UNKNOWN;
	bool same = true;

	// A binding stays with its group once it has one, also when a second appears.
	if (s->service < 0)
		s->service = service_find(set, s->group, s->name);
	if (s->service == -EEXIST) {
		f.code = PHX_FAILED_PRECONDITION;
		state = SERVICE_AMBIGUOUS;
	} else if (s->service < 0) {
		f.code = PHX_NOT_FOUND;
	} else if (entry_local(worker, &set->entries[s->service], &hash, &same) == 0) {
		f.code = PHX_UNAVAILABLE;
		state = SERVICE_DOWN;
	} else {
		f.type = PHX_FRAME_SERVICE_UP;
		f.arg = (uint64_t)s->service;
		f.payload_len = same ? sizeof(bytes) : 0;
		phx_le64_store(bytes, hash.lo);
		phx_le64_store(bytes + 8, hash.hi);
		state = SERVICE_UP;
	}
	if (!same)
		hash.lo = 0;
	if (!force && s->told == state && s->told_hash == hash.lo)
		return;
	s->told = state;
	s->told_hash = hash.lo;
	link_send(rc->link, &f, &iov, f.payload_len != 0);
}

void rchannel_subscriptions(struct rchannel *rc, bool all)
{
	struct phx_list *n;

	phx_list_for_each (n, &rc->subscriptions) {
		subscription_tell(rc, phx_list_entry(n, struct subscription, node), all);
	}
}

static bool names_split(const uint8_t *p, uint32_t len, struct subscription *s)
{
	const uint8_t *nul = p != NULL ? memchr(p, 0, len) : NULL;
	size_t group_len, name_len;

	if (nul == NULL)
		return false;
	group_len = (size_t)(nul - p);
	name_len = len - group_len - 1;
	if (group_len > PHX_LIMIT_NAME_BYTES || name_len == 0 || name_len > PHX_LIMIT_NAME_BYTES ||
		memchr(nul + 1, 0, name_len) != NULL)
		return false;
	memcpy(s->group, p, group_len);
	memcpy(s->name, nul + 1, name_len);
	return true;
}

int server_subscribe(struct rchannel *rc, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	uint8_t flat[2 * PHX_LIMIT_NAME_BYTES + 2];
	struct subscription *s;
	struct phx_list *k;
	uint32_t at = 0, count = 0;

	phx_list_for_each (k, &rc->subscriptions) {
		count += phx_list_entry(k, struct subscription, node)->binding != f->service;
	}
	s = f->payload_len <= sizeof(flat) && count < PHX_LIMIT_SERVICES_MAX ? calloc(1, sizeof(*s))
									     : NULL;
	if (s == NULL) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	for (int i = 0; i < n && at + iov[i].iov_len <= sizeof(flat); i++) {
		memcpy(flat + at, iov[i].iov_base, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	if (!names_split(flat, at, s)) {
		free(s);
		*reason = PHX_REASON_W_LENGTH;
		return -EPROTO;
	}
	s->binding = f->service;
	s->service = -ENOENT;
	phx_list_add_tail(&rc->subscriptions, &s->node);
	subscription_tell(rc, s, true);
	return 0;
}

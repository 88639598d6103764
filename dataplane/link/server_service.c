// SPDX-License-Identifier: BSD-3-Clause
// The server end: services that peers asked for, and telling them when one comes or goes. Worker
// thread.
#include "dataplane/link/server.h"

#include <stdlib.h>

#define GROUPS_BYTES 512

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

static void subscription_tell(struct rchannel *rc, uint32_t id, bool force)
{
	struct subscription *s = rc->subscriptions[id];
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
	uint8_t bytes[GROUPS_BYTES];
	struct iovec iov = {bytes, 0};
	uint8_t state = SERVICE_UNKNOWN;
	bool same = false;

	// A binding stays with its group once it has one, also when a second appears.
	if (s->service < 0)
		s->service = service_find(set, s->group, s->name);
	if (s->service == -EEXIST) {
		f.code = PHX_FAILED_PRECONDITION;
		state = SERVICE_AMBIGUOUS;
	} else if (s->service < 0) {
		f.code = PHX_NOT_FOUND;
	} else if (entry_local(worker, &set->entries[s->service], &hash, &same) == 0) {
		bool elsewhere = set->entries[s->service].instance_count != 0;

		f.code = elsewhere ? PHX_ABORTED : PHX_UNAVAILABLE;
		same = false;
		state = elsewhere ? SERVICE_ELSEWHERE : SERVICE_DOWN;
	} else {
		f.type = PHX_FRAME_SERVICE_UP;
		f.arg = id;
		iov.iov_len = same ? 16 : 0;
		phx_le64_store(bytes, hash.lo);
		phx_le64_store(bytes + 8, hash.hi);
		state = SERVICE_UP;
	}
	if (!force && s->told == state && s->image == same &&
		(!same || (s->hash.lo == hash.lo && s->hash.hi == hash.hi)))
		return;
	if (state == SERVICE_AMBIGUOUS)
		iov.iov_len = service_groups(set, s->name, (char *)bytes, sizeof(bytes));
	s->told = state;
	s->image = same;
	s->hash = hash;
	f.payload_len = (uint32_t)iov.iov_len;
	link_send(rc->link, &f, &iov, f.payload_len != 0);
}

void rchannel_tell(struct rchannel *rc, uint32_t id)
{
	subscription_tell(rc, id, true);
}

void rchannel_subscriptions(struct rchannel *rc, bool all)
{
	for (uint32_t i = 0; i < rc->subscription_count && !rc->link->down; i++)
		subscription_tell(rc, i, all);
}

void rchannel_unsubscribe(struct rchannel *rc)
{
	for (uint32_t i = 0; i < rc->subscription_count; i++) {
		uint32_t bytes = rc->subscriptions[i]->size;

		rc->table->subscription_bytes -= bytes;
		if (rc->link != NULL)
			rc->link->subscription_bytes -= bytes;
		free(rc->subscriptions[i]);
	}
	free(rc->subscriptions);
	rc->subscriptions = NULL;
	rc->subscription_count = 0;
}

// "group NUL name NUL", then the ids of the client's methods. -EPROTO, -ENOMEM.
static int subscription_parse(const char *p, size_t len, struct subscription **out)
{
	const char *nul = memchr(p, 0, len), *end;
	size_t group_len, name_len, left, size;
	struct subscription *s;
	char *text;

	if (nul == NULL)
		return -EPROTO;
	group_len = (size_t)(nul - p);
	end = memchr(nul + 1, 0, len - group_len - 1);
	if (end == NULL)
		return -EPROTO;
	name_len = (size_t)(end - nul) - 1;
	left = len - (size_t)(end + 1 - p);
	if (group_len > PHX_LIMIT_NAME_BYTES || name_len == 0 || name_len > PHX_LIMIT_NAME_BYTES ||
		left % 8 != 0)
		return -EPROTO;
	size = sizeof(*s) + left + group_len + name_len + 2; // len is that of a frame
	s = calloc(1, size);
	if (s == NULL)
		return -ENOMEM;
	s->size = (uint32_t)size;
	s->method_count = (uint32_t)(left / 8);
	for (uint32_t i = 0; i < s->method_count; i++)
		s->methods[i] = phx_le64_load(end + 1 + 8 * (size_t)i);
	text = (char *)&s->methods[s->method_count];
	memcpy(text, p, group_len + name_len + 2);
	s->group = text;
	s->name = text + group_len + 1;
	*out = s;
	return 0;
}

static int subscription_create(
	const struct phx_frame *f, const struct iovec *iov, int n, struct subscription **out)
{
	char *flat = malloc(f->payload_len + 1u);
	struct subscription *s;
	size_t at = 0;
	int rc = -ENOMEM;

	for (int i = 0; flat != NULL && i < n && at + iov[i].iov_len <= f->payload_len; i++) {
		memcpy(flat + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	if (flat != NULL)
		rc = subscription_parse(flat, at, &s);
	free(flat);
	if (rc != 0)
		return rc;
	s->binding = f->service;
	s->service = -ENOENT;
	s->order = service_order(s->methods, s->method_count);
	*out = s;
	return 0;
}

// One subscription per binding: a second one, and too many, are the peer's error, -EPROTO. -ENOMEM.
static int subscription_add(struct rchannel *rc, struct subscription *s)
{
	uint32_t n = rc->subscription_count;
	struct subscription **t;

	for (uint32_t i = 0; i < n; i++) {
		if (rc->subscriptions[i]->binding == s->binding)
			return -EPROTO;
	}
	if (n >= PHX_LIMIT_SERVICES_MAX)
		return -EPROTO;
	if ((n & (n - 1)) == 0) {
		t = realloc(rc->subscriptions, (n == 0 ? 1 : 2 * n) * sizeof(*t));
		if (t == NULL)
			return -ENOMEM;
		rc->subscriptions = t;
	}
	rc->subscriptions[n] = s;
	rc->subscription_count = n + 1;
	rc->table->subscription_bytes += s->size;
	rc->link->subscription_bytes += s->size;
	return 0;
}

// All applications of a host share its link, so only the channel that asks for too much suffers.
// What comes from this host is counted for its application there.
static bool subscriptions_full(const struct rchannel *rc)
{
	return (!rc->link->local && rc->link->subscription_bytes > LINK_SUBSCRIPTIONS_MAX / 16) ||
	       rc->table->subscription_bytes > LINK_SUBSCRIPTIONS_MAX;
}

int server_subscribe(struct rchannel *rc, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	struct subscription *s;
	int error;

	if (subscriptions_full(rc)) {
		server_refuse(rc->link, f, 0, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY,
			"too many subscriptions at the peer");
		return 0;
	}
	error = subscription_create(f, iov, n, &s);
	*reason = PHX_REASON_W_LENGTH;
	if (error == 0) {
		*reason = PHX_REASON_W_STATE;
		// Channels begin at different instances, so that few calls of many clients spread.
		s->round = link_table(rc->link->worker)->round++;
		error = subscription_add(rc, s);
		if (error != 0)
			free(s);
	}
	if (error == -ENOMEM) { // not the peer's fault: only this channel suffers
		server_refuse(rc->link, f, 0, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY,
			"the peer has no memory for a channel");
		return 0;
	}
	if (error == 0)
		subscription_tell(rc, rc->subscription_count - 1, true);
	return error;
}

// Divides only where a channel begins, and after instances have gone.
static uint32_t round_wrap(uint32_t round, uint32_t count)
{
	return phx_likely(round == count) ? 0 : round % count;
}

const struct service_instance *subscription_pick(
	struct subscription *s, const struct worker *worker, const struct phx_frame *f)
{
	const struct service_set *set =
		atomic_load_explicit(worker->services, memory_order_acquire);
	bool image = (f->flags & PHX_FRAME_F_PROTOBUF) == 0;
	const struct service_entry *e;

	if (s->service < 0)
		return NULL;
	e = &set->entries[s->service];
	for (uint32_t i = 0; i < e->instance_count; i++) {
		const struct service_instance *in;

		if (s->round >= e->instance_count)
			s->round = round_wrap(s->round, e->instance_count);
		in = &e->instances[s->round++];
		if (in->worker != worker->index)
			continue;
		// An image is of the schema that the client was told about, and of no other.
		if (!image || (s->image && in->hash.lo == s->hash.lo && in->hash.hi == s->hash.hi))
			return in;
	}
	return NULL;
}

int subscription_method(
	const struct subscription *s, const struct service_instance *in, uint16_t method)
{
	if (method >= s->method_count)
		return -ENOENT;
	if (phx_likely(in->order == s->order))
		return method;
	return service_method_find(in->schema, in->service, s->methods[method]);
}

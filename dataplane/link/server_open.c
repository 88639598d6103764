// SPDX-License-Identifier: BSD-3-Clause
// The server end: channels that peers open, kept as orphans for a while when their link is lost, so
// that a new link can tell what was accepted. Worker thread.
#include "dataplane/link/server.h"

#include "lib/base/hash.h"

#include <stdlib.h>

void server_refuse(struct link *link, const struct phx_frame *to, uint64_t sequence,
	enum phx_code code, enum phx_reason reason, const char *text)
{
	const struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	const struct phx_frame f = {
		.type = sequence == 0 ? PHX_FRAME_REFUSED : PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = (uint16_t)reason,
		.epoch = to->epoch,
		.cookie = to->cookie,
		.channel = to->channel,
		.sequence = sequence,
		.text_len = (uint16_t)iov.iov_len,
	};

	link_send(link, &f, &iov, iov.iov_len != 0);
}

static struct phx_list *orphan_bucket(struct link_table *table, uint64_t id)
{
	return &table->orphan_bucket[phx_mix64(id ^ table->seed) % LINK_ORPHAN_BUCKETS];
}

static struct rchannel *orphan_take(struct link *link, const struct phx_frame *f)
{
	struct link_table *table = link_table(link->worker);
	struct phx_list *head = orphan_bucket(table, f->channel), *n;

	phx_list_for_each (n, head) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, bucket);

		if (rc->id == f->channel && rc->epoch < f->epoch &&
			memcmp(rc->uuid, link->peer_uuid, sizeof(rc->uuid)) == 0) {
			timer_stop(&link->worker->timers, &rc->expiry);
			phx_list_del(n);
			phx_list_del(&rc->node);
			table->orphan_count--;
			return rc;
		}
	}
	return NULL;
}

// The client may notice the end of a link before we do and open the channel on another one: what
// the old link still holds of it ends now.
static struct rchannel *elsewhere_take(struct link *link, const struct phx_frame *f)
{
	struct phx_list *n;

	phx_list_for_each (n, &link_table(link->worker)->links) {
		struct link *old = phx_list_entry(n, struct link, node);
		struct rchannel *rc;

		if (old == link || old->client || old->down || old->local ||
			memcmp(old->peer_uuid, link->peer_uuid, sizeof(old->peer_uuid)) != 0)
			continue;
		rc = rchannel_find(old, f->channel);
		if (rc == NULL || rc->epoch >= f->epoch)
			continue;
		rchannel_end(rc, PHX_REASON_LINK_LOST);
		rchannel_unsubscribe(rc);
		phx_list_del(&rc->node);
		phx_list_del(&rc->bucket);
		old->rchannel_count--;
		return rc;
	}
	return NULL;
}

static struct rchannel *rchannel_create(struct link *link, const struct phx_frame *f)
{
	struct rchannel *rc = calloc(1, sizeof(*rc));

	if (rc == NULL)
		return NULL;
	rc->table = link_table(link->worker);
	rc->table->rchannel_count++;
	rc->id = f->channel;
	memcpy(rc->uuid, link->peer_uuid, sizeof(rc->uuid));
	timer_init(&rc->expiry);
	phx_list_init(&rc->node);
	phx_list_init(&rc->bucket);
	for (int i = 0; i < RCHANNEL_BUCKETS; i++)
		phx_list_init(&rc->calls_bucket[i]);
	return rc;
}

int server_open(struct link *link, const struct phx_frame *f, enum phx_reason *reason)
{
	struct phx_frame opened = {
		.type = PHX_FRAME_OPENED,
		.epoch = f->epoch,
		.channel = f->channel,
	};
	struct rchannel *rc;

	if (rchannel_find(link, f->channel) != NULL || f->epoch == 0) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	if (link->rchannel_count >= LINK_CHANNELS_MAX / 2 ||
		link_table(link->worker)->rchannel_count >= LINK_CHANNELS_MAX) {
		server_refuse(link, f, 0, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY,
			"too many channels at the peer");
		return 0;
	}
	rc = orphan_take(link, f);
	if (rc == NULL)
		rc = elsewhere_take(link, f);
	if (rc == NULL) {
		rc = rchannel_create(link, f);
		if (rc == NULL) {
			server_refuse(link, f, 0, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY,
				"the peer has no memory for a channel");
			return 0;
		}
		if (f->epoch > 1)
			opened.code = PHX_NOT_FOUND; // history unknown
	}
	rc->link = link;
	rc->epoch = f->epoch;
	rc->completed = rc->accepted - rc->calls;
	rc->bytes = rc->bytes_done = 0;
	link->rchannel_count++;
	phx_list_add_tail(&link->rchannels, &rc->node);
	phx_list_add_tail(rchannel_bucket(link, rc->id), &rc->bucket);
	opened.sequence = rc->accepted;
	opened.limit = (uint32_t)(rc->completed + LINK_WINDOW_CALLS - rc->accepted);
	opened.arg = LINK_WINDOW_BYTES;
	rc->limit_told = rc->completed + LINK_WINDOW_CALLS;
	rc->bytes_told = LINK_WINDOW_BYTES;
	link_send(link, &opened, NULL, 0);
	return 0;
}

void rchannel_end(struct rchannel *rc, enum phx_reason reason)
{
	for (int i = 0; i < RCHANNEL_BUCKETS; i++) {
		struct phx_list *n, *tmp;

		phx_list_for_each_safe (n, tmp, &rc->calls_bucket[i]) {
			request_end(phx_list_entry(n, struct rcall, bucket), reason);
		}
	}
}

void rchannel_free(struct rchannel *rc)
{
	struct phx_list *n, *tmp;

	for (int i = 0; i < RCHANNEL_BUCKETS; i++) {
		phx_list_for_each_safe (n, tmp, &rc->calls_bucket[i]) {
			struct rcall *r = phx_list_entry(n, struct rcall, bucket);

			phx_list_del(n);
			r->rchannel = NULL; // its reply finds nobody
		}
	}
	rchannel_unsubscribe(rc);
	phx_list_del(&rc->node);
	phx_list_del(&rc->bucket);
	rc->table->rchannel_count--;
	free(rc);
}

// ---- loss ----

static void orphan_free(struct rchannel *rc)
{
	timer_stop(&rc->table->worker->timers, &rc->expiry);
	rc->table->orphan_count--;
	rchannel_free(rc);
}

static void orphan_expired(struct worker *worker, struct timer *timer)
{
	(void)worker;
	orphan_free(phx_container_of(timer, struct rchannel, expiry));
}

// The oldest histories go first when there are too many: what is not known any more may have been
// executed.
static void orphan_add(struct link_table *table, struct rchannel *rc)
{
	if (table->orphan_count >= LINK_ORPHANS_MAX)
		orphan_free(phx_list_entry(phx_list_first(&table->orphans), struct rchannel, node));
	phx_list_add_tail(&table->orphans, &rc->node);
	phx_list_add_tail(orphan_bucket(table, rc->id), &rc->bucket);
	table->orphan_count++;
	timer_start(&table->worker->timers, &rc->expiry, table->worker->now_ns + LINK_ORPHAN_NS,
		orphan_expired);
}

void rchannel_expire(struct link_table *table)
{
	struct phx_list *n;

	while ((n = phx_list_first(&table->orphans)) != NULL)
		orphan_free(phx_list_entry(n, struct rchannel, node));
}

void server_lost(struct link *link, enum phx_reason reason)
{
	struct link_table *table = link_table(link->worker);
	struct phx_list *n;

	while ((n = phx_list_pop(&link->replies)) != NULL) {
		struct rcall *r = phx_list_entry(n, struct rcall, node);

		rcall_detach(r);
		rcall_released(r);
	}
	while ((n = phx_list_first(&link->rchannels)) != NULL) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, node);

		phx_list_del(n);
		phx_list_del(&rc->bucket);
		rc->link = NULL;
		rchannel_end(rc, reason);
		rchannel_unsubscribe(rc);
		orphan_add(table, rc);
	}
}

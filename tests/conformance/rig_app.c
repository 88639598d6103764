// SPDX-License-Identifier: BSD-3-Clause
// The applications of the rig, played by hand: see rig.h.
#include "tests/conformance/rig_priv.h"

#include "lib/schema/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

// Fixed parts, as t_table() lays them out: checked in rig_app_init().
#define REQ_NAME   0
#define REQ_AMOUNT 8
#define REQ_BODY   16
#define REQ_SIZE   24
#define REQ_ROOM   64 // a client's own type may have more fields
#define REP_TEXT   0
#define REP_BODY   8
#define REP_SIZE   16
#define RIG_OBJECT (RIG_HEAP_AT + (size_t)RIG_HEAP)

// Zero, as the kernel gives it: tests look for bytes that must not be there.
static uint8_t *object_map(void)
{
	void *p = mmap(NULL, RIG_OBJECT, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

void rig_app_init(struct rig_app *app, struct rig *rig)
{
	app->rig = rig;
	app->app = object_map();
	app->dp = object_map();
	app->heap_next = RIG_HEAP_AT;
	app->queue_slots = RIG_SLOTS;
	uint8_t *a = app->app + RIG_QUEUE_AT, *d = app->dp + RIG_QUEUE_AT;

	assert_int_equal(phx_ring_prod_init(&app->sub, a + PHX_Q_SLOTS, RIG_SLOTS,
				 (struct phx_shm_u32 *)(a + PHX_QA_SUB_PROD),
				 (struct phx_shm_u32 *)(d + PHX_QD_SUB_CONS), 0),
		0);
	assert_int_equal(phx_ring_prod_init(&app->ret, a + PHX_Q_SLOTS + RIG_SLOTS * PHX_SLOT_SIZE,
				 RIG_SLOTS, (struct phx_shm_u32 *)(a + PHX_QA_RET_PROD),
				 (struct phx_shm_u32 *)(d + PHX_QD_RET_CONS), 0),
		0);
	assert_int_equal(phx_ring_cons_init(&app->comp, d + PHX_Q_SLOTS, 2 * RIG_SLOTS,
				 (struct phx_shm_u32 *)(d + PHX_QD_COMP_PROD),
				 (struct phx_shm_u32 *)(a + PHX_QA_COMP_CONS), 0),
		0);
}

void rig_app_fini(struct rig_app *app)
{
	(void)munmap(app->app, RIG_OBJECT);
	(void)munmap(app->dp, RIG_OBJECT);
}

// ---- the send heap: a bump allocator that starts over ----

static uint32_t heap_get(struct rig_app *app, uint32_t size)
{
	uint32_t at;

	size = (uint32_t)phx_align_up(size, 64);
	if (app->heap_next + size > RIG_HEAP_AT + RIG_HEAP)
		app->heap_next = RIG_HEAP_AT; // what was there first has been sent long ago
	at = app->heap_next;
	app->heap_next += size;
	return at;
}

static void refer(uint8_t *base, uint32_t ref, uint32_t target, uint32_t len)
{
	phx_le32_store(base + ref, len != 0 ? target - ref : 0);
	phx_le32_store(base + ref + 4, len);
}

static void entry_put(
	struct rig_app *app, const struct phx_sub_entry *e, const void *inl, uint32_t inl_len)
{
	uint8_t slots[4][PHX_SLOT_SIZE] = {{0}};
	unsigned n = 1;

	memcpy(slots[0], e, sizeof(*e));
	if (inl_len > sizeof(e->inl))
		n += (unsigned)((inl_len - sizeof(e->inl) + PHX_SLOT_SIZE - 1) / PHX_SLOT_SIZE);
	slots[0][offsetof(struct phx_sub_entry, slots)] = (uint8_t)n;
	if (inl_len != 0)
		memcpy((uint8_t *)slots + offsetof(struct phx_sub_entry, inl), inl, inl_len);
	assert_true(phx_ring_prod_room(&app->sub, n) >= (int)n);
	for (unsigned i = 0; i < n; i++)
		memcpy(phx_ring_prod_slot(&app->sub, i), slots[i], PHX_SLOT_SIZE);
	phx_ring_prod_advance(&app->sub, n);
	phx_ring_prod_publish_release(&app->sub);
}

static void ret_put(struct rig_app *app, const struct phx_ret_entry *e)
{
	assert_true(phx_ring_prod_room(&app->ret, 1) >= 1);
	memcpy(phx_ring_prod_slot(&app->ret, 0), e, sizeof(*e));
	phx_ring_prod_advance(&app->ret, 1);
	phx_ring_prod_publish_release(&app->ret);
}

// ---- the client ----

static uint32_t slot_take(struct rig *rig)
{
	struct rig_app *app = &rig->client;

	for (uint32_t i = 0; i < RIG_CALLS; i++) {
		uint32_t slot = rig->next_slot++ % RIG_CALLS;

		if (app->calls[slot].completions == 0 && app->calls[slot].done)
			continue;
		if (app->session->queues[0]->calls[slot].state == CALL_FREE)
			return slot;
	}
	fail_msg("no free call slot");
	return 0;
}

static void message_build(struct rig_app *app, struct rig_call *call)
{
	uint32_t name_len = (uint32_t)strlen(call->name);

	call->at = heap_get(app, REQ_ROOM);
	call->name_at = heap_get(app, name_len);
	call->body_at = heap_get(app, call->body);
	memset(app->app + call->at, 0, REQ_ROOM);
	memcpy(app->app + call->name_at, call->name, name_len);
	memset(app->app + call->body_at, 'b', call->body);
	refer(app->app, call->at + REQ_NAME, call->name_at, name_len);
	refer(app->app, call->at + REQ_BODY, call->body_at, call->body);
	phx_le64_store(app->app + call->at + REQ_AMOUNT, call->amount);
}

uint32_t rig_submit(struct rig *rig, struct rig_call *call)
{
	struct rig_app *app = &rig->client;
	uint32_t slot = slot_take(rig), inl_len = 0;
	uint8_t inl[PHX_SUB_INLINE_MAX] = {0};
	struct phx_sub_entry e = {
		.kind = PHX_SUB_CALL,
		.call = slot,
		.handle = UINT64_C(1000) + slot,
		.timeout_ns = call->timeout_ns != 0 ? call->timeout_ns : PHX_TIMEOUT_NONE,
		.flags = call->wait ? PHX_SUB_WAIT_FOR_READY : 0,
	};
	size_t meta_len = 0;

	app->calls[slot] = (struct rig_done){0};
	app->sub_position[slot] = app->sub.next;
	if (call->inlined) {
		uint32_t len = (uint32_t)strlen(call->name);

		memcpy(inl + REQ_SIZE, call->name, len);
		refer(inl, REQ_NAME, REQ_SIZE, len);
		phx_le64_store(inl + REQ_AMOUNT, call->amount);
		inl_len = REQ_SIZE + (uint32_t)phx_align_up(len, 8);
		e.flags |= PHX_SUB_INLINE;
		e.msg_len = inl_len;
	} else {
		if (!call->again)
			message_build(app, call);
		e.msg_off = call->at;
	}
	if (call->meta_key != NULL) {
		e.meta_off = heap_get(app, 256);
		assert_int_equal(
			phx_metadata_add(app->app + e.meta_off, 256, &meta_len, call->meta_key,
				strlen(call->meta_key), call->meta_value, strlen(call->meta_value)),
			0);
		e.meta_len = (uint16_t)meta_len;
	}
	entry_put(app, &e, inl, inl_len);
	return slot;
}

struct rig_done *rig_done(struct rig *rig, uint32_t slot)
{
	return &rig->client.calls[slot];
}

struct rig_done *rig_echo(struct rig *rig, const char *name, uint64_t amount)
{
	struct rig_call call = {.name = name, .amount = amount};
	uint32_t slot = rig_submit(rig, &call);

	rig_settle(rig);
	return rig_done(rig, slot);
}

void rig_cancel(struct rig *rig, uint32_t slot)
{
	const struct phx_ret_entry e = {
		.kind = PHX_RET_CANCEL,
		.count = 1,
		.call = slot,
		.position = rig->client.sub_position[slot],
		.handle = {UINT64_C(1000) + slot},
	};

	ret_put(&rig->client, &e);
}

// ---- what comes back ----

struct comp {
	struct phx_comp_entry e;
	const uint8_t *bytes; // message, metadata, text
	uint64_t inl[4 * PHX_SLOT_SIZE / 8];
};

static bool comp_take(struct rig_app *app, struct comp *c)
{
	int avail = phx_ring_cons_avail(&app->comp);

	assert_true(avail >= 0);
	if (avail == 0)
		return false;
	phx_shm_copy_slot(c->inl, phx_ring_cons_slot(&app->comp, 0));
	memcpy(&c->e, c->inl, sizeof(c->e));
	for (unsigned i = 1; i < c->e.slots; i++)
		phx_shm_copy_slot(
			&c->inl[i * PHX_SLOT_SIZE / 8], phx_ring_cons_slot(&app->comp, i));
	phx_ring_cons_advance(&app->comp, c->e.slots);
	phx_ring_cons_publish(&app->comp);
	c->bytes = (const uint8_t *)c->inl + offsetof(struct phx_comp_entry, inl);
	if ((c->e.flags & PHX_COMP_INLINE) == 0)
		c->bytes = app->dp + c->e.msg_off;
	return true;
}

static void lent_return(struct rig_app *app, uint64_t lent)
{
	const struct phx_ret_entry e = {.kind = PHX_RET_RETURN, .count = 1, .handle = {lent}};

	if (lent != 0)
		ret_put(app, &e);
}

// A string of a received message, which is checked to be canonical in passing.
static uint32_t text_load(const uint8_t *msg, uint32_t msg_len, uint32_t ref, char *out, size_t max)
{
	uint32_t off = phx_le32_load(msg + ref), len = phx_le32_load(msg + ref + 4);

	out[0] = '\0';
	if (len == 0)
		return 0;
	assert_true(ref + off + len <= msg_len);
	assert_true(len < max);
	memcpy(out, msg + ref + off, len);
	out[len] = '\0';
	return ref + off;
}

static void call_done(struct rig_app *app, const struct comp *c)
{
	struct rig_done *d = &app->calls[c->e.call];
	uint32_t text_at = (uint32_t)phx_align_up(c->e.msg_len, 8) + c->e.meta_len;

	assert_int_equal(c->e.handle, UINT64_C(1000) + c->e.call);
	d->done = true;
	d->completions++;
	d->code = c->e.code;
	d->origin = c->e.origin;
	d->executed = c->e.executed;
	d->reason = c->e.reason;
	memcpy(d->text, c->bytes + text_at, phx_min(c->e.text_len, (uint16_t)255));
	if ((c->e.flags & PHX_COMP_HAS_MESSAGE) != 0) {
		(void)text_load(c->bytes, c->e.msg_len, REP_TEXT, d->reply, sizeof(d->reply));
		d->reply_body = phx_le32_load(c->bytes + REP_BODY + 4);
	}
}

static void request_note(struct rig_app *app, const struct comp *c)
{
	struct rig_request *r = &app->requests[app->request_count++ % RIG_CALLS];
	struct phx_metadata_pair pair;
	uint32_t body;

	*r = (struct rig_request){.handle = c->e.handle};
	if (phx_metadata_lookup(
		    c->bytes + phx_align_up(c->e.msg_len, 8), c->e.meta_len, "who", 3, &pair) &&
		pair.value_len < sizeof(r->meta))
		memcpy(r->meta, pair.value, pair.value_len);
	(void)text_load(c->bytes, c->e.msg_len, REQ_NAME, r->name, sizeof(r->name));
	r->amount = phx_le64_load(c->bytes + REQ_AMOUNT);
	r->body_len = phx_le32_load(c->bytes + REQ_BODY + 4);
	app->evil += strcmp(r->name, "evil") == 0;
	if (r->body_len == 0)
		return;
	body = REQ_BODY + phx_le32_load(c->bytes + REQ_BODY);
	assert_int_equal(phx_align_up(body + r->body_len, 8), c->e.msg_len); // canonical
	r->body_first = c->bytes[body];
	app->evil += r->body_first == 'e';
	r->body_last = c->bytes[body + r->body_len - 1];
}

void rig_answer(struct rig *rig, uint32_t i, const char *text, unsigned code)
{
	struct rig_app *app = &rig->server;
	struct phx_sub_entry e = {
		.kind = PHX_SUB_REPLY,
		.handle = app->requests[i % RIG_CALLS].handle,
		.channel = code,
		.timeout_ns = 0,
	};
	uint32_t len = (uint32_t)strlen(text), at, text_at, body_at;

	app->answered++;
	if (code != 0) {
		e.flags = PHX_SUB_NO_MESSAGE;
		entry_put(app, &e, NULL, 0);
		return;
	}
	at = heap_get(app, REP_SIZE);
	text_at = heap_get(app, len);
	body_at = heap_get(app, app->answer_body);
	memcpy(app->app + text_at, text, len);
	memset(app->app + body_at, 'r', app->answer_body);
	refer(app->app, at + REP_TEXT, text_at, len);
	refer(app->app, at + REP_BODY, body_at, app->answer_body);
	e.msg_off = at;
	entry_put(app, &e, NULL, 0);
}

bool rig_can_read(const struct rig_app *app, char byte)
{
	const uint8_t *p = app->dp + RIG_HEAP_AT, *end = p + RIG_HEAP;
	unsigned run = 0;

	for (; p != end && run < 64; p++)
		run = *p == (uint8_t)byte ? run + 1 : 0;
	return run == 64;
}

unsigned rig_app_run(struct rig_app *app)
{
	struct comp c;
	unsigned work = 0;

	if (app->closed)
		return 0;
	while (comp_take(app, &c)) {
		work++;
		switch ((enum phx_comp_kind)c.e.kind) {
		case PHX_COMP_CALL:
			call_done(app, &c);
			break;
		case PHX_COMP_REQUEST:
			request_note(app, &c);
			if (!app->quiet)
				rig_answer(app->rig, app->request_count - 1,
					app->answer != NULL
						? app->answer
						: app->requests[(app->request_count - 1) %
								RIG_CALLS]
							  .name,
					0);
			break;
		case PHX_COMP_RELEASED:
			app->released++;
			break;
		case PHX_COMP_CANCELLED:
			app->cancelled++;
			break;
		case PHX_COMP_REGION:
		case PHX_COMP_SERVICE:
			break;
		}
		lent_return(app, c.e.lent);
	}
	return work;
}

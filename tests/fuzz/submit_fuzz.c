// SPDX-License-Identifier: BSD-3-Clause
// A hostile application against its session: the input is a script of stores, well-formed and
// ill-formed entries, events of the network and polls. Nothing outside the memory of the session
// may be touched, each accepted call completes once, an application that keeps its own index honest
// is never overrun, and nothing is left at the end. Built a second time as submit_fresh_fuzz with
// PHX_SHM_FRESH: a load of shared memory may return something else each time.
#include "lib/base/bits.h"
#include "tests/unit/dataplane/frontend/bed.h"
#include "tests/unit/lib/schema/build.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HANDLES 64

struct run {
	struct bed *bed;
	const uint8_t *p;
	size_t left;
	bool honest; // its completion index was never forged
	uint64_t lent[HANDLES];
	uint64_t requests[HANDLES];
	unsigned lent_count, request_count;
};

static uint64_t take(struct run *r, size_t n)
{
	uint64_t v = 0;

	n = phx_min(n, r->left);
	memcpy(&v, r->p, n);
	r->p += n;
	r->left -= n;
	return v;
}

#ifdef PHX_SHM_FRESH
static struct run fresh;

uint64_t phx_shm_fresh_hook(const void *p, unsigned size)
{
	uint64_t value = 0;
	unsigned how = (unsigned)take(&fresh, 1);

	memcpy(&value, p, size);
	if (how < 200)
		return value;
	return how < 230 ? value + (uint64_t)(int64_t)(int8_t)take(&fresh, 1) : take(&fresh, size);
}
#endif

// Mostly what an honest application would write.
static uint64_t near(struct run *r, uint64_t honest, size_t size)
{
	unsigned how = (unsigned)take(r, 1);

	if (how < 224)
		return honest;
	return how < 240 ? honest + (uint64_t)(int64_t)(int8_t)take(r, 1) : take(r, size);
}

static struct phx_sub_entry call_entry(struct run *r)
{
	uint8_t shape = (uint8_t)take(r, 1);

	return (struct phx_sub_entry){
		.kind = shape & 8 ? PHX_SUB_CONNECT : PHX_SUB_CALL,
		.flags = (uint16_t)near(r, shape & (PHX_SUB_FLAGS_CALL), 2),
		.call = (uint32_t)near(r, take(r, 1) % BED_CALL_SLOTS, 4),
		.handle = take(r, 2),
		.channel = (uint32_t)near(r, 0, 4),
		.binding = (uint16_t)near(r, shape >> 4 & 1, 2),
		.method = (uint16_t)near(r, 0, 2),
		.timeout_ns = near(r, shape & 0x40 ? PHX_TIMEOUT_NONE : take(r, 4), 8),
		.msg_off = (uint32_t)near(r, take(r, 2) & 0xbff8, 4),
		.msg_len = (uint32_t)near(r, shape & PHX_SUB_INLINE ? 8 : 0, 4),
		.meta_off = (uint32_t)near(r, take(r, 2) & 0xbff8, 4),
		.meta_len = (uint16_t)(shape & 0x80 ? near(r, take(r, 1), 2) : 0),
	};
}

static struct phx_sub_entry reply_entry(struct run *r)
{
	uint64_t handle =
		r->request_count > 0 ? r->requests[take(r, 1) % r->request_count] : take(r, 8);
	uint8_t shape = (uint8_t)take(r, 1);
	uint32_t code = shape & 0x40 ? take(r, 1) % PHX_CODE_COUNT : 0;

	return (struct phx_sub_entry){
		.kind = PHX_SUB_REPLY,
		.flags = (uint16_t)near(
			r, code != 0 ? PHX_SUB_NO_MESSAGE : shape & PHX_SUB_INLINE, 2),
		.handle = near(r, handle, 8),
		.channel = (uint32_t)near(r, code, 4),
		.msg_off = (uint32_t)near(r, take(r, 2) & 0xbff8, 4),
		.msg_len = (uint32_t)near(r, shape & PHX_SUB_INLINE ? 8 : 0, 4),
		.meta_off = (uint32_t)near(r, take(r, 2) & 0xbff8, 4),
		.meta_len = (uint16_t)(shape & 0x80 ? near(r, take(r, 1), 2) : 0),
		.text_len = (uint16_t)(shape & 0x20 ? near(r, take(r, 1), 2) : 0),
	};
}

static void submit(struct run *r, struct phx_sub_entry e)
{
	uint8_t inl[PHX_SUB_INLINE_MAX] = {0};
	uint32_t len = (e.flags & PHX_SUB_INLINE) != 0 ? phx_min(e.msg_len, sizeof(inl)) : 0;

	for (uint32_t i = 0; i + 8 <= len && r->left > 0 && i < 32; i += 8)
		phx_le64_store(inl + i, near(r, 0, 8));
	bed_sub(r->bed, e, inl, len);
}

static void ret(struct run *r, uint8_t kind)
{
	struct phx_ret_entry e = {
		.kind = (uint8_t)near(r, kind, 1),
		.count = (uint8_t)near(r, 1, 1),
		.queue = (uint16_t)near(r, 0, 2),
		.call = (uint32_t)near(r, take(r, 1) % BED_CALL_SLOTS, 4),
		.position = (uint32_t)near(r, r->bed->sub_prod - take(r, 1) % 8, 4),
		.reserved = (uint32_t)near(r, 0, 4),
	};
	unsigned at;

	e.handle[0] = near(r, take(r, 2), 8);
	if (kind == PHX_RET_RETURN && r->lent_count > 0) {
		at = take(r, 1) % r->lent_count;
		e.handle[0] = near(r, r->lent[at], 8);
		r->lent[at] = r->lent[--r->lent_count];
	}
	bed_ret(r->bed, &e);
}

// What the dataplane wrote must make sense, whoever reads it.
static void check_entry(const struct run *r, const struct phx_comp_entry *e)
{
	uint64_t size = phx_align_up(e->msg_len, 8) + e->meta_len + e->text_len;

	if (e->kind < PHX_COMP_CALL || e->kind > PHX_COMP_SERVICE || e->slots == 0 ||
		e->slots > PHX_LIMIT_INLINE_SLOTS || e->code >= PHX_CODE_COUNT ||
		e->reason >= PHX_REASON_COUNT || e->executed > PHX_EXECUTED_YES)
		abort();
	if (e->lent != 0 && !phx_range_ok(e->msg_off, size, BED_DP_HEAP))
		abort();
	if (e->lent == 0 && size > 8 + (e->slots - 1u) * PHX_SLOT_SIZE)
		abort();
	(void)r;
}

static void consume(struct run *r)
{
	struct phx_comp_entry e;

	if (!r->honest)
		return;
	while (bed_comp(r->bed, &e)) {
		check_entry(r, &e);
		if (e.lent != 0 && r->lent_count < HANDLES)
			r->lent[r->lent_count++] = e.lent;
		if (e.kind == PHX_COMP_REQUEST && r->request_count < HANDLES)
			r->requests[r->request_count++] = e.handle;
	}
}

static void raw_store(struct run *r)
{
	uint8_t where = (uint8_t)take(r, 1);
	uint32_t off = (uint32_t)take(r, 2);

	if (where & 1) // the queue: indices and both rings
		off = BED_APP_QUEUE + off % (BED_APP_SIZE - BED_APP_QUEUE);
	else
		off = off % BED_APP_REGION + (where & 2 ? BED_APP_SECOND : 0);
	off &= ~7u;
	r->honest = r->honest && off / 64 != (BED_APP_QUEUE + PHX_QA_COMP_CONS) / 64;
	phx_le64_store(r->bed->app + off, take(r, 8));
}

static void raw_index(struct run *r)
{
	static const uint32_t words[] = {
		PHX_QA_SUB_PROD, PHX_QA_RET_PROD, PHX_QA_COMP_CONS, PHX_QA_SLEEP};
	uint32_t word = BED_APP_QUEUE + words[take(r, 1) % 4];
	uint32_t delta = (uint32_t)(int32_t)(int16_t)take(r, 2);

	r->honest = r->honest && word != BED_APP_QUEUE + PHX_QA_COMP_CONS;
	bed_word_set(r->bed->app, word, bed_word(r->bed->app, word) + delta);
}

static void raw_bytes(struct run *r)
{
	uint32_t off = (uint32_t)(take(r, 2) % (BED_APP_REGION - 256));
	size_t n = phx_min((size_t)take(r, 1), r->left);

	memcpy(r->bed->app + off, r->p, n);
	r->p += n;
	r->left -= n;
}

// A message of more elements than one step of packing visits.
static uint32_t long_message(struct run *r)
{
	const struct phx_message *all = phx_schema_message(r->bed->session->schemas[0], T_ALL);
	uint32_t at = phx_message_field_named(all, "nothings")->offset;

	memset(r->bed->app, 0, all->size);
	phx_le32_store(r->bed->app + at, all->size - at);
	phx_le32_store(r->bed->app + at + 4, 1500 + (uint32_t)take(r, 1));
	return 0;
}

// A valid message of any shape in the heap, and a call or a reply with it.
static void random_message(struct run *r)
{
	struct t_arena arena = {.base = r->bed->app, .size = BED_APP_REGION, .used = 64};
	uint64_t seed = take(r, 2);
	uint8_t shape = (uint8_t)take(r, 1);
	struct phx_sub_entry e = {
		.kind = PHX_SUB_CALL,
		.call = (uint32_t)(take(r, 1) % BED_CALL_SLOTS),
		.timeout_ns = PHX_TIMEOUT_NONE,
	};

	if ((shape & 4) != 0 && r->request_count > 0) {
		e.kind = PHX_SUB_REPLY;
		e.call = 0;
		e.timeout_ns = 0;
		e.handle = r->requests[--r->request_count];
	}
	if (shape & 2)
		e.msg_off = long_message(r);
	else
		e.msg_off = t_random_message(&arena, r->bed->session->schemas[0],
			e.kind == PHX_SUB_CALL ? T_ALL : T_BYTES, &seed, 3, shape & 1 ? 6000 : 0);
	bed_sub(r->bed, e, NULL, 0);
}

static void network(struct run *r, uint8_t what)
{
	static const uint8_t image[4096];
	struct bed *bed = r->bed;
	struct rcall *rc;

	switch (what % 8) {
	case 0:
	case 1:
		(void)bed_link_answer(bed, (enum phx_code)(take(r, 1) % PHX_CODE_COUNT),
			what & 8 ? image : NULL, (uint32_t)(take(r, 2) % sizeof(image)));
		break;
	case 2:
	case 3:
		(void)bed_link_request(bed, image, (uint32_t)(take(r, 2) % sizeof(image)));
		break;
	case 4:
		bed->link.admit = (enum bed_admit)(take(r, 1) % 3);
		bed->link.pin = (what & 8) != 0;
		bed->link.hold_replies = (what & 16) != 0;
		break;
	case 5:
		bed_link_unpin(bed);
		break;
	case 6:
		bed_link_replies(bed);
		bed_link_admit(bed);
		break;
	case 7:
		if (bed->session->rcall_size == 0)
			break;
		rc = bed->session->rcalls[take(r, 1) % bed->session->rcall_size];
		rc->output = what & 8 ? T_ALL : T_BYTES; // long replies need a type with lists
		if (rc->state != RCALL_FREE && what & 16)
			rcall_cancel(rc, PHX_REASON_CANCELLED);
		break;
	}
}

static void step(struct run *r)
{
	struct bed *bed = r->bed;
	uint8_t op = (uint8_t)take(r, 1);

	switch (op % 16) {
	case 0:
	case 1:
		bed_round(bed, bed->worker.now_ns + 1000);
		break;
	case 2:
		bed_round(bed, bed->worker.now_ns + (UINT64_C(1) << op / 4 % 40));
		break;
	case 3:
	case 4:
		submit(r, call_entry(r));
		break;
	case 5:
		submit(r, reply_entry(r));
		break;
	case 6:
		ret(r, PHX_RET_RETURN);
		break;
	case 7:
		ret(r, PHX_RET_CANCEL);
		break;
	case 8:
		consume(r);
		break;
	case 9:
		raw_store(r);
		break;
	case 10:
		raw_index(r);
		break;
	case 11:
		raw_bytes(r);
		break;
	case 12:
		random_message(r);
		break;
	default:
		network(r, op >> 4 | (op & 1) << 4);
		break;
	}
	if (r->honest && bed_comp_count(bed) > BED_COMP_SLOTS)
		abort();
	if (bed->queue->inflight > BED_COMP_SLOTS || bed->session->recv_used > BED_DP_HEAP)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.p = data, .left = size, .honest = true};

	if (size > 4096)
		return 0;
#ifdef PHX_SHM_FRESH
	fresh = (struct run){.p = data + size / 2, .left = size - size / 2};
	r.left = size / 2;
#endif
	r.bed = bed_create(true);
	while (r.left > 0)
		step(&r);
	bed_round(r.bed, r.bed->worker.now_ns + 1000);
	if (!bed_destroy(r.bed))
		abort();
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// The session, its memory and the application's side of it. Works with bed.h.
#include "tests/unit/dataplane/frontend/bed.h"

#include "dataplane/core/chain.h"
#include "tests/unit/lib/schema/build.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define BED_POISON
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BED_POISON
#endif
#endif
#ifdef BED_POISON
#include <sanitizer/asan_interface.h>
#endif

struct bed *bed_link_owner; // for bed_link.c

// ---- the worker that is not there ----

int worker_source_add(struct worker *worker, struct source *source)
{
	source->worker = worker;
	phx_list_init(&source->dirty_node);
	return 0;
}

void worker_source_del(struct worker *worker, struct source *source)
{
	(void)worker;
	phx_list_del(&source->dirty_node);
	source->worker = NULL;
}

void worker_source_wake(struct worker *worker, struct source *source)
{
	(void)worker;
	(void)source;
}

static void on_failed(void *ctl, enum phx_reason reason, const char *text)
{
	struct bed *bed = ctl;

	if (bed->failed != PHX_REASON_NONE)
		abort(); // told twice
	bed->failed = reason;
	bed->failed_text = text;
}

static void on_want_region(void *ctl, uint64_t size)
{
	((struct bed *)ctl)->wanted = size;
}

// ---- memory ----

// Memory of one object with nothing to be touched between the parts.
static uint8_t *object_get(size_t size, uint32_t hole, uint32_t hole_end)
{
	uint8_t *p = aligned_alloc(4096, phx_align_up(size, 4096));

	if (p == NULL)
		abort();
	memset(p, 0, phx_align_up(size, 4096));
#ifdef BED_POISON
	__asan_poison_memory_region(p + hole, hole_end - hole);
	__asan_poison_memory_region(p + size, phx_align_up(size, 4096) - size);
#else
	(void)hole;
	(void)hole_end;
#endif
	return p;
}

static void object_put(uint8_t *p, size_t size)
{
#ifdef BED_POISON
	__asan_unpoison_memory_region(p, phx_align_up(size, 4096));
#else
	(void)size;
#endif
	free(p);
}

static void must(int rc)
{
	if (rc != 0)
		abort();
}

static void queue_make(struct bed *bed)
{
	const struct session_queue_config config = {
		.sub_slots = BED_SLOTS,
		.ret_slots = BED_SLOTS,
		.comp_slots = BED_COMP_SLOTS,
		.call_slots = BED_CALL_SLOTS,
		.app_offset = BED_APP_QUEUE,
		.dp_offset = BED_DP_QUEUE,
	};

	must(session_queue_add(bed->session, &config));
	bed->queue = bed->session->queues[0];
}

struct bed *bed_create(bool serving)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	struct session_config config = {
		.id = 1,
		.chain_slot = CHAIN_SLOT_NONE,
		.doorbell_fd = -1,
		.recv_quota = BED_DP_HEAP,
		.max_message = BED_MAX_MESSAGE,
		.snapshot_quota = BED_SNAPSHOTS,
		.ctl = bed,
		.failed = on_failed,
		.want_region = on_want_region,
	};
	uint32_t handle;

	if (bed == NULL)
		abort();
	bed_link_owner = bed;
	phx_list_init(&bed->link.pending);
	phx_list_init(&bed->link.sent);
	phx_list_init(&bed->link.replies);
	phx_list_init(&bed->link.pinned);
	phx_list_init(&bed->worker.dirty);
	bed->worker.now_ns = PHX_NS_PER_S;
	timer_wheel_init(&bed->worker.timers, bed->worker.now_ns);
	must(stats_create(8, &bed->worker.calls));
	must(memory_pool_init(&bed->worker.memory, 2 * BED_SNAPSHOTS));
	bed->app = config.app_base = object_get(BED_APP_SIZE, BED_APP_REGION, BED_APP_SECOND);
	bed->dp = config.dp_base = object_get(BED_DP_SIZE, BED_DP_HEAP, BED_DP_QUEUE);
	must(session_create(&config, &bed->session));
	must(session_start(bed->session, &bed->worker));
	queue_make(bed);
	must(session_send_region_add(bed->session, 0, BED_APP_REGION));
	must(session_send_region_add(bed->session, BED_APP_SECOND, BED_APP_REGION));
	must(session_recv_region_add(bed->session, 0, BED_DP_HEAP));
	must(session_schema_add(bed->session, t_all_schema(), &handle));
	must(session_channel_open(bed->session, "", 0, &handle));
	must(session_bind(bed->session, 0, 0, 0, &handle));
	must(session_bind(bed->session, 0, 0, 1, &handle));
	if (serving)
		must(session_register(bed->session, 0, 0, 0, &handle));
	return bed;
}

bool bed_destroy(struct bed *bed)
{
	struct session *session = bed->session;
	bool clean;

	session_close(session, PHX_REASON_APP_EXIT);
	bed->link.hold_replies = false;
	bed_link_replies(bed);
	bed_link_unpin(bed);
	clean = session_is_quiet(session) && bed->link.paths == 0 &&
		atomic_load(&session->account.bytes) == 0 && session->rcall_count == 0 &&
		atomic_load(&session->stats.calls) == atomic_load(&session->stats.completions) &&
		bed->worker.timers.armed == 0;
	session_destroy(session);
	memory_pool_fini(&bed->worker.memory);
	stats_destroy(bed->worker.calls);
	object_put(bed->app, BED_APP_SIZE);
	object_put(bed->dp, BED_DP_SIZE);
	bed_link_owner = NULL;
	free(bed);
	return clean;
}

void bed_round(struct bed *bed, uint64_t now_ns)
{
	struct source *source = &bed->session->source;

	bed->worker.now_ns = now_ns;
	(void)source->ops->poll(source, &bed->worker);
	(void)timer_run(&bed->worker.timers, &bed->worker, now_ns, UINT32_MAX);
	if (source->dirty) {
		source->dirty = false;
		phx_list_del(&source->dirty_node);
		source->ops->flush(source, &bed->worker);
	}
}

// ---- the application ----

uint32_t bed_word(const uint8_t *object, uint32_t offset)
{
	return __atomic_load_n((const uint32_t *)(object + offset), __ATOMIC_ACQUIRE);
}

void bed_word_set(uint8_t *object, uint32_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(object + offset), value, __ATOMIC_RELEASE);
}

struct phx_sub_entry *bed_sub_slot(struct bed *bed, uint32_t i)
{
	uint32_t at = (bed->sub_prod + i) % BED_SLOTS * PHX_SLOT_SIZE;

	return (struct phx_sub_entry *)(bed->app + BED_APP_QUEUE + PHX_Q_SLOTS + at);
}

void bed_sub_publish(struct bed *bed, uint32_t slots)
{
	bed->sub_prod += slots;
	bed_word_set(bed->app, BED_APP_QUEUE + PHX_QA_SUB_PROD, bed->sub_prod);
}

void bed_sub(struct bed *bed, struct phx_sub_entry e, const void *inl, uint32_t inl_len)
{
	uint8_t flat[4 * PHX_SLOT_SIZE] = {0};

	e.slots = 1;
	if (inl_len > sizeof(e.inl))
		e.slots += (uint8_t)((inl_len - sizeof(e.inl) + PHX_SLOT_SIZE - 1) / PHX_SLOT_SIZE);
	memcpy(flat, &e, sizeof(e));
	if (inl_len != 0)
		memcpy(flat + offsetof(struct phx_sub_entry, inl), inl, inl_len);
	for (uint32_t i = 0; i < e.slots; i++)
		memcpy(bed_sub_slot(bed, i), flat + i * PHX_SLOT_SIZE, PHX_SLOT_SIZE);
	bed_sub_publish(bed, e.slots);
}

void bed_ret(struct bed *bed, const struct phx_ret_entry *e)
{
	uint32_t at = bed->ret_prod++ % BED_SLOTS * PHX_SLOT_SIZE;

	memcpy(bed->app + BED_APP_RET + at, e, sizeof(*e));
	bed_word_set(bed->app, BED_APP_QUEUE + PHX_QA_RET_PROD, bed->ret_prod);
}

uint32_t bed_comp_count(const struct bed *bed)
{
	return bed_word(bed->dp, BED_DP_QUEUE + PHX_QD_COMP_PROD) - bed->comp_cons;
}

bool bed_comp(struct bed *bed, struct phx_comp_entry *out)
{
	uint32_t at = bed->comp_cons % BED_COMP_SLOTS * PHX_SLOT_SIZE;

	if (bed_comp_count(bed) == 0)
		return false;
	memcpy(out, bed->dp + BED_DP_QUEUE + PHX_Q_SLOTS + at, sizeof(*out));
	bed->comp_cons += out->slots;
	bed_word_set(bed->app, BED_APP_QUEUE + PHX_QA_COMP_CONS, bed->comp_cons);
	return true;
}

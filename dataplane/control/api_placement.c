// SPDX-License-Identifier: BSD-3-Clause
// The noun placement: which worker runs which session, moving one, and evening out the load. A
// session's load is the time its worker spends polling it. Works with frontend/attach_move.c.
#include "dataplane/control/api.h"

#include "dataplane/frontend/attach_place.h"
#include "dataplane/frontend/session.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_MS  1000
#define WINDOW_MS 500

// ---- what is where ----

static uint64_t busy_of(const struct attach_info *info)
{
	return info->session == NULL
		       ? 0
		       : atomic_load_explicit(&info->session->source.busy_ns, memory_order_relaxed);
}

struct list {
	const struct api *api;
	json_t *rows;
};

static void add_row(void *arg, const struct attach_info *info)
{
	struct list *list = arg;
	const struct worker *worker = list->api->config.workers[info->worker];

	if (info->session == NULL)
		return;
	(void)json_array_append_new(list->rows,
		json_pack("{s:o, s:o, s:i, s:i, s:b, s:s, s:b, s:I}", "app",
			api_id_json("app", info->id), "name",
			api_text(info->name[0] != '\0' ? info->name : info->claim), "worker",
			(int)info->worker, "lcore", (int)worker->lcore, "pinned", worker->pinned,
			"placement", place_mode_name(info->placement), "fixed", info->fixed,
			"busy_ns_total", (json_int_t)busy_of(info)));
}

void api_placement_list(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct list list = {api, json_array()};

	attach_server_each(api->config.attach, add_row, &list);
	api_rows(api, call, list.rows);
}

// ---- moving one ----

struct order {
	struct api *api;
	struct phx_ctl_call *call;
	uint64_t app;
	unsigned from, to;
};

// Why a move of the application from a worker to another has not been made.
static void move_error(const struct api *api, uint64_t app, unsigned from, unsigned to, int rc,
	struct phx_ctl_error *e)
{
	char id[API_ID_BYTES];

	(void)api_id(id, "app", app);
	switch (rc) {
	case -ERANGE:
		(void)phx_ctl_error_set(e, PHX_INVALID_ARGUMENT,
			"there is no worker %u: they are 0 to %u", to,
			api->config.worker_count - 1);
		break;
	case -EBUSY:
		(void)phx_ctl_error_set(e, PHX_FAILED_PRECONDITION,
			"%s has calls under way that did not end in time; it stays on worker %u",
			id, from);
		phx_ctl_error_add(e, "hint", json_string("try again, or with a larger limit_ms"));
		break;
	case -EAGAIN:
		(void)phx_ctl_error_set(
			e, PHX_UNAVAILABLE, "%s is attaching or changing, try again", id);
		break;
	case -ENOENT:
	case -ESHUTDOWN:
		(void)phx_ctl_error_set(e, PHX_NOT_FOUND, "%s has gone", id);
		break;
	default:
		(void)phx_ctl_error_set(e, PHX_RESOURCE_EXHAUSTED, "no memory to move %s", id);
		break;
	}
}

static void order_fail(struct order *order, int rc)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	move_error(order->api, order->app, order->from, order->to, rc, &e);
	phx_ctl_call_fail(order->call, &e);
	phx_ctl_error_fini(&e);
}

static void order_answer(struct order *order, int rc, uint64_t pause_ns)
{
	if (rc == 0 || rc == -EALREADY)
		phx_ctl_call_reply(order->call,
			json_pack("{s:o, s:i, s:i, s:b, s:I}", "app",
				api_id_json("app", order->app), "from", (int)order->from, "to",
				(int)order->to, "changed", rc == 0, "pause_us",
				(json_int_t)(pause_ns / PHX_NS_PER_US)));
	else
		order_fail(order, rc);
	free(order);
}

static void ordered(void *arg, int rc, uint64_t pause_ns)
{
	order_answer(arg, rc, pause_ns);
}

struct where {
	uint64_t app;
	unsigned worker;
};

static void find_worker(void *arg, const struct attach_info *info)
{
	struct where *where = arg;

	if (info->id == where->app)
		where->worker = info->worker;
}

// Links that the session's channels will need are dialled before anything waits for them.
static int move(struct api *api, uint64_t app, unsigned from, unsigned to, uint64_t limit_ns,
	attach_moved_fn fn, void *arg)
{
	if (to < api->config.worker_count)
		host_want_like(api->config.host, from, to);
	return attach_server_move(api->config.attach, app, to, limit_ns, fn, arg);
}

void api_placement_set(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct order *order;
	struct where where = {0};
	int rc;

	if (!api_app_find(api, call, &where.app))
		return;
	order = calloc(1, sizeof(*order));
	if (order == NULL) {
		phx_ctl_call_reply(call, NULL);
		return;
	}
	attach_server_each(api->config.attach, find_worker, &where);
	*order = (struct order){
		api, call, where.app, where.worker, (unsigned)phx_ctl_call_int(call, "worker", 0)};
	rc = move(api, where.app, order->from, order->to,
		(uint64_t)phx_ctl_call_int(call, "limit_ms", LIMIT_MS) * PHX_NS_PER_MS, ordered,
		order);
	if (rc != 0)
		order_answer(order, rc, 0);
}

// ---- rebalance: watch for a while, plan, then move one after the other ----

struct load {
	uint64_t app;
	unsigned worker, to;
	uint64_t before_ns, load_ns;
	bool fixed;	// stays: a rule names its worker
	bool dedicated; // stays, and has the worker for itself
};

struct rebalance {
	struct phx_list node; // of api->rebalances
	struct api *api;
	struct phx_ctl_call *call;
	struct timer timer;
	uint64_t began_ns;
	bool dry_run;
	struct load *loads;
	size_t count, room, next;
	bool changed;			      // a move was made
	uint64_t spread_before, spread_after; // most loaded less least loaded worker
	json_t *moves;
};

static void rebalance_free(struct rebalance *r)
{
	ctl_timer_stop(r->api->config.loop, &r->timer);
	phx_list_del(&r->node);
	json_decref(r->moves);
	free(r->loads);
	free(r);
}

static void load_begin(void *arg, const struct attach_info *info)
{
	struct rebalance *r = arg;

	if (info->session == NULL || r->count == r->room)
		return;
	r->loads[r->count++] = (struct load){
		.app = info->id,
		.worker = info->worker,
		.to = info->worker,
		.before_ns = busy_of(info),
		.fixed = info->fixed,
		.dedicated = info->placement == RULES_DEDICATED,
	};
}

static void load_end(void *arg, const struct attach_info *info)
{
	struct rebalance *r = arg;

	for (size_t i = 0; i < r->count; i++) {
		if (r->loads[i].app == info->id && busy_of(info) > r->loads[i].before_ns)
			r->loads[i].load_ns = busy_of(info) - r->loads[i].before_ns;
	}
}

static void sums(const struct rebalance *r, uint64_t sum[PHX_LIMIT_WORKERS_MAX])
{
	memset(sum, 0, PHX_LIMIT_WORKERS_MAX * sizeof(*sum));
	for (size_t i = 0; i < r->count; i++)
		sum[r->loads[i].to] += r->loads[i].load_ns;
}

static bool is_dedicated(const struct rebalance *r, unsigned worker)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->loads[i].dedicated && r->loads[i].worker == worker)
			return true;
	}
	return false;
}

// Of the workers that nobody has for himself.
static uint64_t extremes(const struct rebalance *r, unsigned *out_most, unsigned *out_least)
{
	uint64_t sum[PHX_LIMIT_WORKERS_MAX];
	bool any = false;

	sums(r, sum);
	*out_most = *out_least = 0;
	for (unsigned w = 0; w < r->api->config.worker_count; w++) {
		if (is_dedicated(r, w))
			continue;
		if (!any || sum[w] > sum[*out_most])
			*out_most = w;
		if (!any || sum[w] < sum[*out_least])
			*out_least = w;
		any = true;
	}
	return sum[*out_most] - sum[*out_least];
}

// Who came to a worker before somebody else got it for himself leaves it.
static void plan_leave(struct rebalance *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct load *l = &r->loads[i];
		unsigned most, least;

		(void)extremes(r, &most, &least);
		if (!l->fixed && !l->dedicated && is_dedicated(r, l->worker))
			l->to = least; // the same one when there is no other
	}
}

// Greedy: from the most to the least loaded worker goes the session that narrows the gap most, as
// long as one narrows it by a tenth.
static void plan(struct rebalance *r)
{
	unsigned most, least;
	uint64_t gap = extremes(r, &most, &least);

	r->spread_before = gap;
	plan_leave(r);
	gap = extremes(r, &most, &least);
	for (size_t moves = 0; moves < r->count; moves++) {
		struct load *best = NULL;
		uint64_t best_gap = gap - gap / 10;

		for (size_t i = 0; i < r->count; i++) {
			struct load *l = &r->loads[i];
			uint64_t twice = 2 * l->load_ns, left;

			if (l->to != most || l->load_ns == 0 || l->fixed || l->dedicated)
				continue;
			left = twice > gap ? twice - gap : gap - twice;
			if (left < best_gap) {
				best_gap = left;
				best = l;
			}
		}
		if (best == NULL)
			break;
		best->to = least;
		gap = extremes(r, &most, &least);
	}
	r->spread_after = gap;
}

static void rebalance_answer(struct rebalance *r)
{
	phx_ctl_call_reply(
		r->call, json_pack("{s:O, s:b, s:I, s:I}", "moves", r->moves, "changed", r->changed,
				 "spread_before_us", (json_int_t)(r->spread_before / PHX_NS_PER_US),
				 "spread_after_us", (json_int_t)(r->spread_after / PHX_NS_PER_US)));
	rebalance_free(r);
}

static void next_move(struct rebalance *r);

// What became of a planned move: rc of it, or a plan is all that was wanted.
static void note_move(struct rebalance *r, const struct load *l, int rc, uint64_t pause_ns)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	bool moved = rc == 0 && !r->dry_run;
	json_t *row = json_pack("{s:o, s:i, s:i, s:I, s:b, s:I}", "app", api_id_json("app", l->app),
		"from", (int)l->worker, "to", (int)l->to, "load_us",
		(json_int_t)(l->load_ns / PHX_NS_PER_US), "moved", moved, "pause_us",
		(json_int_t)(pause_ns / PHX_NS_PER_US));

	if (rc != 0) {
		move_error(r->api, l->app, l->worker, l->to, rc, &e);
		(void)json_object_set_new(row, "error", json_string(e.text));
		phx_ctl_error_fini(&e);
	}
	r->changed |= moved;
	(void)json_array_append_new(r->moves, row); // a row lost without memory
}

static void rebalanced(void *arg, int rc, uint64_t pause_ns)
{
	struct rebalance *r = arg;

	note_move(r, &r->loads[r->next++], rc, pause_ns);
	next_move(r);
}

static void next_move(struct rebalance *r)
{
	for (; r->next < r->count; r->next++) {
		struct load *l = &r->loads[r->next];
		int rc = 0;

		if (l->to == l->worker)
			continue;
		if (!r->dry_run) {
			rc = move(r->api, l->app, l->worker, l->to, LIMIT_MS * PHX_NS_PER_MS,
				rebalanced, r);
			if (rc == 0)
				return;
		}
		note_move(r, l, rc, 0);
	}
	rebalance_answer(r);
}

static void window_over(struct worker *worker, struct timer *timer)
{
	struct rebalance *r = phx_container_of(timer, struct rebalance, timer);

	(void)worker;
	attach_server_each(r->api->config.attach, load_end, r);
	plan(r);
	next_move(r);
}

void api_placement_rebalance(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct rebalance *r = calloc(1, sizeof(*r));

	if (r != NULL) {
		r->loads = calloc(PHX_LIMIT_APPS_MAX, sizeof(*r->loads));
		r->moves = json_array();
	}
	if (r == NULL || r->loads == NULL || r->moves == NULL) {
		if (r != NULL) {
			free(r->loads);
			json_decref(r->moves);
		}
		free(r);
		phx_ctl_call_reply(call, NULL);
		return;
	}
	r->api = api;
	r->call = call;
	r->room = PHX_LIMIT_APPS_MAX;
	r->dry_run = phx_ctl_call_bool(call, "dry_run");
	timer_init(&r->timer);
	phx_list_add_tail(&api->rebalances, &r->node);
	attach_server_each(api->config.attach, load_begin, r);
	ctl_timer_start(api->config.loop, &r->timer,
		phx_clock_ns() +
			(uint64_t)phx_ctl_call_int(call, "window_ms", WINDOW_MS) * PHX_NS_PER_MS,
		window_over);
}

void api_placement_drop(struct api *api)
{
	struct phx_list *n, *tmp;

	phx_list_for_each_safe (n, tmp, &api->rebalances) {
		struct rebalance *r = phx_list_entry(n, struct rebalance, node);

		phx_ctl_call_reply(r->call, NULL); // nobody reads it any more
		rebalance_free(r);
	}
}

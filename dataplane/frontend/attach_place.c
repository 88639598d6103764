// SPDX-License-Identifier: BSD-3-Clause
// See attach_place.h. Works with attach_session.c; what moves later is attach_move.c.
#include "dataplane/frontend/attach_place.h"

#include "dataplane/frontend/attach_app.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <string.h>

#define SAMPLE_NS (100 * PHX_NS_PER_MS) // a load is measured over no less

const char *place_mode_name(enum rules_placement mode)
{
	switch (mode) {
	case RULES_SHARED:
		return "shared";
	case RULES_SPREAD:
		return "spread";
	case RULES_PACKED:
		return "packed";
	case RULES_DEDICATED:
		return "dedicated";
	}
	return "?";
}

// ---- the choice ----

static bool is_emptier(const struct place_load *a, const struct place_load *b)
{
	if (a->sessions != b->sessions)
		return a->sessions < b->sessions;
	return a->busy_percent < b->busy_percent;
}

static bool is_farther(const struct place_load *a, const struct place_load *b)
{
	return a->of_name != b->of_name ? a->of_name < b->of_name : is_emptier(a, b);
}

// Of the workers that nobody has for himself; 0 when rules have dedicated each by its number.
static unsigned pick(const struct place_load *loads, unsigned count,
	bool (*better)(const struct place_load *a, const struct place_load *b))
{
	unsigned best = count;

	for (unsigned i = 0; i < count; i++) {
		if (!loads[i].dedicated && (best == count || better(&loads[i], &loads[best])))
			best = i;
	}
	return best == count ? 0 : best;
}

static unsigned pick_packed(const struct place_load *loads, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!loads[i].dedicated && loads[i].busy_percent < PLACE_PACKED_PERCENT)
			return i;
	}
	return pick(loads, count, is_emptier);
}

static unsigned shared_count(const struct place_load *loads, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		n += !loads[i].dedicated;
	return n;
}

unsigned place_choose(const struct rules_attach *rule, const struct place_load *loads,
	unsigned count, bool *out_met)
{
	bool dedicated = rule != NULL && rule->placement == RULES_DEDICATED;
	bool fixed = rule != NULL && rule->worker >= 0;

	*out_met = !fixed || (unsigned)rule->worker < count;
	if (fixed && *out_met)
		return (unsigned)rule->worker;
	if (dedicated && shared_count(loads, count) < 2)
		*out_met = false;
	if (rule != NULL && rule->placement == RULES_SPREAD)
		return pick(loads, count, is_farther);
	if (rule != NULL && rule->placement == RULES_PACKED)
		return pick_packed(loads, count);
	return pick(loads, count, is_emptier);
}

// ---- what it looks at ----

static unsigned busy_percent(struct attach_server *server, unsigned worker, uint64_t now_ns)
{
	struct attach_busy *b = &server->busy[worker];
	uint64_t busy = atomic_load_explicit(
		&server->config.workers[worker]->stats.busy_ns, memory_order_relaxed);

	if (now_ns - b->at_ns >= SAMPLE_NS) {
		b->percent = (unsigned)phx_min(
			(busy - b->busy_ns) * 100 / (now_ns - b->at_ns), UINT64_C(100));
		b->at_ns = now_ns;
		b->busy_ns = busy;
	}
	return b->percent;
}

static void loads_collect(const struct attach_app *app, struct place_load *loads)
{
	struct attach_server *server = app->server;
	uint64_t now_ns = phx_clock_ns();
	struct phx_list *n;

	for (unsigned i = 0; i < server->config.worker_count; i++)
		loads[i] = (struct place_load){.busy_percent = busy_percent(server, i, now_ns)};
	phx_list_for_each (n, &server->apps) {
		const struct attach_app *other = phx_list_entry(n, struct attach_app, node);
		struct place_load *l;

		if (other == app || other->worker == NULL || other->state == ATTACH_CLOSING)
			continue;
		l = &loads[other->worker->index];
		l->sessions++;
		l->of_name += strcmp(other->name, app->name) == 0;
		l->dedicated |= other->placement == RULES_DEDICATED;
	}
}

void attach_place(struct attach_app *app, const struct rules_attach *rule)
{
	const struct attach_config *config = &app->server->config;
	struct place_load loads[PHX_LIMIT_WORKERS_MAX];
	unsigned worker;
	bool met;

	loads_collect(app, loads);
	worker = place_choose(rule, loads, config->worker_count, &met);
	app->worker = config->workers[worker];
	app->fixed = met && rule != NULL && rule->worker >= 0;
	app->placement = rule != NULL ? rule->placement : RULES_SHARED;
	if (met)
		return;
	if (app->placement == RULES_DEDICATED)
		app->placement = RULES_SHARED;
	phx_log_warn("attach", "app-%llu: rule %s cannot be followed with %u workers: on worker %u",
		(unsigned long long)app->id, app->rule, config->worker_count, worker);
}

// SPDX-License-Identifier: BSD-3-Clause
// Which policies a call has seen, across changes of its session's chain, and the end of calls.
// Works with chain.c. Worker thread.
#include "dataplane/policyhost/host.h"

#include <string.h>

static void leave(const struct worker *worker, struct policy *p)
{
	_Atomic uint64_t *calls = &p->live[worker->index].calls;

	// Pairs with the acquire load of policy_is_live(): after this the policy may be freed.
	atomic_store_explicit(
		calls, atomic_load_explicit(calls, memory_order_relaxed) - 1, memory_order_release);
}

static void slot_end(struct worker *worker, struct host_worker *hw, const struct policy_slot *slot,
	const struct phx_policy_end *end)
{
	const struct policy *p = slot->policy;
	struct run_context context = {.worker = hw, .policy = p};
	const struct phx_policy_burst b = {
		.ops = &policy_ops,
		.self = p->instance->self,
		.config = p->config,
		.now_ns = worker->now_ns,
		.worker = worker->index,
		.point = UINT32_MAX,
		.host = &context,
	};

	if (p->type->call_end != NULL)
		p->type->call_end(&b, slot->state, end);
	count_add(&p->instance->counts[worker->index].ended, 1);
}

static struct host_worker *slot_worker(const struct policy_slot *slot, const struct worker *worker)
{
	return &slot->policy->instance->host->workers[worker->index];
}

void chain_call_end(struct worker *worker, struct call_policy *cp, const struct chain_end *end)
{
	const struct phx_policy_end e = {
		.service = end->service,
		.method = end->method,
		.duration_ns = worker->now_ns - end->start_ns,
		.code = end->status->code,
		.origin = end->status->origin,
		.executed = end->status->executed,
		.reason = end->status->reason,
	};
	unsigned entered = cp->entered;

	assert(cp->hold == NULL);
	while (entered != 0) {
		unsigned i = (unsigned)__builtin_ctz(entered);
		struct policy_slot *slot = &cp->slot[i];

		entered &= entered - 1;
		if ((cp->owed >> i & 1) != 0)
			slot_end(worker, slot_worker(slot, worker), slot, &e);
		leave(worker, slot->policy);
	}
	chain_call_start(cp); // a second end does nothing
}

// A policy that is attached no more, and whose slot is needed.
static PHX_COLD void slot_evict(struct worker *worker, const struct chain_item *item,
	const struct policy_slot *slot, bool owed)
{
	const struct phx_policy_end e = {
		.service = item->service,
		.method = item->method,
		.code = PHX_UNKNOWN, // the call goes on
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_MAYBE,
		.reason = PHX_REASON_DETACHED,
	};

	if (owed)
		slot_end(worker, slot_worker(slot, worker), slot, &e);
	leave(worker, slot->policy);
}

static void bits_move(
	const struct call_policy *from, unsigned i, struct call_policy *to, unsigned k)
{
	uint16_t bit = (uint16_t)(1u << k);

	to->slot[k] = from->slot[i];
	to->entered |= bit;
	to->passed[0] |= (from->passed[0] >> i & 1) != 0 ? bit : 0;
	to->passed[1] |= (from->passed[1] >> i & 1) != 0 ? bit : 0;
	to->owed |= (from->owed >> i & 1) != 0 ? bit : 0;
	to->again |= (from->again >> i & 1) != 0 ? bit : 0;
}

// The call stays with the configuration that it has passed, unless the policy wants to see it
// again.
static void slot_renew(struct worker *worker, struct call_policy *cp, unsigned k,
	struct policy *now, unsigned phase)
{
	struct policy *old = cp->slot[k].policy;
	uint16_t bit = (uint16_t)(1u << k);
	bool passed = (cp->passed[phase] & bit) != 0;

	if (old == now || (passed && now->type->recheck_on_change == 0))
		return;
	// Not passed at this point: it runs here for the first time, or was held; by the rules of
	// now.
	if (!passed && now->type->recheck_on_change == 0 && (cp->owed & bit) != 0)
		return; // except that its reply belongs to what has seen its request
	if (passed)
		cp->again |= bit;
	cp->passed[phase] &= (uint16_t)~bit;
	cp->slot[k].policy = now;
	count_add(&now->live[worker->index].calls, 1);
	leave(worker, old);
}

static int slot_find(
	const struct call_policy *cp, unsigned candidates, const struct instance *instance)
{
	for (; candidates != 0; candidates &= candidates - 1) {
		int i = __builtin_ctz(candidates);

		if (cp->slot[i].policy->instance == instance)
			return i;
	}
	return -1;
}

// The chain is not the one that the call's slots stand for: put them in its order. Policies that
// are attached no more go behind, until the call ends.
static PHX_COLD void slots_reorder(struct worker *worker, const struct chain_item *item,
	const struct chain *chain, unsigned phase)
{
	struct call_policy *cp = item->policy, old = *cp;
	unsigned left = old.entered, free_slot = chain->count;

	cp->entered = cp->passed[0] = cp->passed[1] = cp->owed = cp->again = 0;
	for (unsigned k = 0; k < chain->count; k++) {
		int i = slot_find(&old, left, chain->policies[k]->instance);

		if (i < 0)
			continue;
		left &= ~(1u << i);
		bits_move(&old, (unsigned)i, cp, k);
		slot_renew(worker, cp, k, chain->policies[k], phase);
	}
	for (; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);

		if (free_slot < PHX_LIMIT_CHAIN_MAX)
			bits_move(&old, i, cp, free_slot++);
		else
			slot_evict(worker, item, &old.slot[i], (old.owed >> i & 1) != 0);
	}
}

void slots_rebase(struct worker *worker, const struct chain_item *item, const struct chain *chain,
	unsigned phase)
{
	if (phx_unlikely(item->policy->entered != 0))
		slots_reorder(worker, item, chain, phase);
	item->policy->chain_id = chain->head.id;
}

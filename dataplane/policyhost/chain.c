// SPDX-License-Identifier: BSD-3-Clause
// Running chains over bursts. Hot: nothing here allocates, locks or reads a clock. Works with
// chain_slot.c (which policies a call has seen) and hold.c.
#include "dataplane/policyhost/host.h"

#include <rte_cycles.h>
#include <stdio.h>
#include <string.h>

#define SAMPLE_BURSTS 64 // one burst of a policy in so many is timed

struct run {
	struct host_worker *worker;
	const struct chain *chain;
	struct chain_item *items;
	unsigned n;
	enum policy_point point;
	unsigned phase; // 0 = request, 1 = reply
	struct run_message contexts[PHX_LIMIT_BURST];
	struct phx_policy_message messages[PHX_LIMIT_BURST];
	struct phx_policy_message *live[PHX_LIMIT_BURST]; // that a policy is shown
};

static_assert((int)POINT_REQUEST_OUT == (int)PHX_POLICY_REQUEST_OUT &&
		      (int)POINT_REQUEST_IN == (int)PHX_POLICY_REQUEST_IN &&
		      (int)POINT_REPLY_OUT == (int)PHX_POLICY_REPLY_OUT &&
		      (int)POINT_REPLY_IN == (int)PHX_POLICY_REPLY_IN,
	"points of the SDK");
static_assert(sizeof(struct phx_policy_message) == 64, "policy ABI");
static_assert(PHX_LIMIT_CHAIN_MAX <= 16, "masks of struct call_policy");
static_assert(sizeof(((struct policy_slot *)0)->state) == PHX_POLICY_STATE_SIZE, "policy ABI");

// ---- verdicts ----

static PHX_COLD void deny(struct run *run, unsigned i, const struct policy *p, unsigned code,
	enum phx_reason reason, const char *why)
{
	struct chain_item *item = &run->items[i];
	char *text = run->worker->text[i];
	size_t name_len = strlen(p->instance->name), why_len = why != NULL ? strlen(why) : 0;

	name_len = phx_min(name_len, (size_t)DENY_TEXT - 2);
	why_len = phx_min(why_len, (size_t)DENY_TEXT - 2 - name_len);
	memcpy(text, p->instance->name, name_len);
	if (why_len != 0) {
		memcpy(text + name_len, ": ", 2);
		memcpy(text + name_len + 2, why, why_len);
		why_len += 2;
	}
	item->verdict = CHAIN_DENY;
	item->status = (struct call_status){
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_POLICY,
		.executed = run->phase == 0 ? PHX_EXECUTED_NO : PHX_EXECUTED_YES,
		.reason = (uint8_t)reason,
		.text = text,
		.text_len = (uint16_t)(name_len + why_len),
	};
}

static struct policy_count *count_of(const struct run *run, const struct policy *p)
{
	return &p->instance->counts[run->worker->worker->index];
}

static void pass(struct run *run, unsigned i, unsigned slot)
{
	struct call_policy *cp = run->items[i].policy;

	cp->passed[run->phase] |= (uint16_t)(1u << slot);
	if (run->phase == 0)
		cp->owed |= (uint16_t)(1u << slot);
}

// The policy cannot judge this message, or has judged it in a way that is not allowed.
static PHX_COLD void judge_failed(
	struct run *run, unsigned i, unsigned slot, const struct policy *p)
{
	count_add(&count_of(run, p)->failed, 1);
	if (p->type->on_failure == PHX_POLICY_OPEN)
		pass(run, i, slot);
	else
		deny(run, i, p, PHX_FAILED_PRECONDITION, PHX_REASON_SCHEMA,
			"the message cannot be judged");
}

// A field stands elsewhere in the application's schema than where it is served: what it sends there
// cannot be told from what it hides.
static PHX_COLD void deny_differing(
	struct run *run, unsigned i, unsigned slot, const struct policy *p)
{
	const struct bound_field *fields = run->contexts[i].type->fields[slot];
	char why[DENY_TEXT];
	uint32_t f = 0;

	while (f + 1 < p->type->field_count && !fields[f].differs)
		f++;
	(void)snprintf(
		why, sizeof(why), "field %s is not what it is in the server's schema", p->paths[f]);
	count_add(&count_of(run, p)->failed, 1);
	deny(run, i, p, PHX_FAILED_PRECONDITION, PHX_REASON_SCHEMA, why);
}

// Until the schema of the serving side has come (design.md 12.12).
static PHX_COLD void hold_for_schema(struct run *run, unsigned i, const struct policy *p)
{
	struct chain_item *item = &run->items[i];
	uint64_t key = (uint64_t)(uintptr_t)item->trust;

	if (hold_put(run->worker, p->instance, item, run->point, key, item->trust->until_ns) != 0) {
		count_add(&count_of(run, p)->hold_refused, 1);
		deny(run, i, p, PHX_RESOURCE_EXHAUSTED, PHX_REASON_HOLD_CAP,
			"no room to hold the call");
		return;
	}
	item->policy->hold->unseen = true;
	item->verdict = CHAIN_HOLD;
	count_add(&count_of(run, p)->held, 1);
}

static PHX_COLD void hold(
	struct run *run, unsigned i, const struct policy *p, const struct phx_policy_message *m)
{
	struct chain_item *item = &run->items[i];

	if (hold_put(run->worker, p->instance, item, run->point, m->key, m->not_before_ns) == 0) {
		item->verdict = CHAIN_HOLD;
		count_add(&count_of(run, p)->held, 1);
		return;
	}
	count_add(&count_of(run, p)->hold_refused, 1);
	deny(run, i, p, PHX_RESOURCE_EXHAUSTED, PHX_REASON_HOLD_CAP, "no room to hold the call");
}

// Anything but a plain ALLOW.
static PHX_COLD void verdict_apply(
	struct run *run, unsigned i, unsigned slot, const struct policy *p)
{
	struct phx_policy_message *m = &run->messages[i];
	bool judge = (p->type->judges >> run->point & 1) != 0;
	uint8_t verdict = m->verdict;

	m->verdict = PHX_POLICY_ALLOW;
	if (m->mark != 0 && m->mark_class < 8 && m->mark_weight <= UINT16_MAX) {
		run->items[i].policy->mark_class = m->mark_class;
		run->items[i].policy->mark_weight = (uint16_t)m->mark_weight;
	}
	m->mark = 0;
	if (run->contexts[i].failed || (verdict != PHX_POLICY_ALLOW && !judge)) {
		run->contexts[i].failed = false;
		judge_failed(run, i, slot, p);
	} else if (verdict == PHX_POLICY_ALLOW) {
		pass(run, i, slot);
	} else if (verdict == PHX_POLICY_DENY && m->code != PHX_OK && m->code < PHX_CODE_COUNT) {
		count_add(&count_of(run, p)->denied, 1);
		deny(run, i, p, m->code, PHX_REASON_DENIED, m->text);
	} else if (verdict == PHX_POLICY_HOLD) {
		hold(run, i, p, m);
	} else {
		judge_failed(run, i, slot, p);
	}
}

// ---- bursts ----

static void burst(struct run *run, const struct policy *p, unsigned slot, unsigned n)
{
	struct run_context context = {
		.chain = run->chain,
		.worker = run->worker,
		.policy = p,
		.index = slot,
		.point = run->point,
	};
	const struct phx_policy_burst b = {
		.ops = &policy_ops,
		.self = p->instance->self,
		.config = p->config,
		.now_ns = run->worker->worker->now_ns,
		.worker = run->worker->worker->index,
		.point = run->point,
		.host = &context,
	};
	struct policy_count *count = count_of(run, p);
	unsigned plain = 0;
	uint64_t start;

	if (phx_likely(count->bursts++ % SAMPLE_BURSTS != 0)) {
		p->type->burst(&b, run->live, n);
	} else {
		start = rte_get_tsc_cycles();
		p->type->burst(&b, run->live, n);
		count_add(&count->cycles, (rte_get_tsc_cycles() - start) * SAMPLE_BURSTS);
	}
	for (unsigned k = 0; k < n; k++) {
		unsigned i = (unsigned)(run->live[k] - run->messages);

		if (phx_likely((run->messages[i].verdict | run->messages[i].mark |
				       (unsigned)run->contexts[i].failed) == 0)) {
			pass(run, i, slot);
			plain++;
		} else {
			verdict_apply(run, i, slot, p);
			plain += run->items[i].verdict == CHAIN_PASS;
		}
	}
	count_add(&count->messages[run->point], n);
	count_add(&count->allowed, plain);
}

static uint32_t message_flags(
	const struct run *run, const struct call_policy *cp, unsigned slot, const struct policy *p)
{
	uint32_t flags = 0;

	if (phx_unlikely(cp->hold != NULL) && hold_is_of(cp->hold, p->instance))
		flags |= PHX_POLICY_M_REASKED;
	if (phx_unlikely(cp->again >> slot & 1))
		flags |= PHX_POLICY_M_CHANGED;
	if (run->phase == 1 && (cp->owed >> slot & 1) != 0)
		flags |= PHX_POLICY_M_REQUEST;
	return flags;
}

// Can this policy not judge messages of this type at all?
static bool is_unbound(const struct run *run, unsigned i, unsigned slot, const struct policy *p)
{
	const struct chain_type *type = run->contexts[i].type;

	if (phx_likely(p->type->field_count == 0))
		return false;
	return type == NULL ||
	       ((type->failed[run->point] | type->differs[run->point]) >> slot & 1) != 0;
}

static PHX_COLD void slot_unbound(
	struct run *run, unsigned i, unsigned slot, const struct policy *p)
{
	const struct chain_type *type = run->contexts[i].type;

	if (run->contexts[i].waits)
		hold_for_schema(run, i, p);
	else if (type != NULL && (type->differs[run->point] >> slot & 1) != 0)
		deny_differing(run, i, slot, p);
	else
		judge_failed(run, i, slot, p);
}

// A call that an older configuration of the policy has passed stays with that one.
static PHX_COLD void slot_run_older(struct run *run, unsigned slot, unsigned i)
{
	struct phx_policy_message *first = run->live[0];

	run->live[0] = &run->messages[i];
	burst(run, run->items[i].policy->slot[slot].policy, slot, 1);
	run->live[0] = first;
}

// The policy of one slot sees all calls that go on and have not passed it here.
static void slot_run(struct run *run, unsigned slot)
{
	struct policy *p = run->chain->policies[slot];
	bool runs = (p->type->points >> run->point & 1) != 0;
	unsigned n = 0, entered = 0;

	for (unsigned i = 0; i < run->n; i++) {
		struct call_policy *cp = run->items[i].policy;
		struct policy_slot *s = &cp->slot[slot];

		if (run->items[i].verdict != CHAIN_PASS || (cp->passed[run->phase] >> slot & 1))
			continue;
		if (phx_likely((cp->entered >> slot & 1) == 0)) {
			*s = (struct policy_slot){.policy = p};
			cp->entered |= (uint16_t)(1u << slot);
			entered++;
		}
		if (!runs) {
			pass(run, i, slot);
			continue;
		}
		run->messages[i].state = s->state;
		run->messages[i].flags = message_flags(run, cp, slot, p);
		if (phx_unlikely(is_unbound(run, i, slot, p)))
			slot_unbound(run, i, slot, p);
		else if (phx_likely(s->policy == p))
			run->live[n++] = &run->messages[i];
		else
			slot_run_older(run, slot, i);
	}
	if (entered != 0)
		count_add(&p->live[run->worker->worker->index].calls, entered);
	if (n != 0)
		burst(run, p, slot, n);
}

void chain_run(struct worker *worker, const struct chain *chain, enum policy_point point,
	struct chain_item *items, unsigned n)
{
	struct run run;
	unsigned i;

	run.worker = chain_worker(chain, worker);
	run.chain = chain;
	run.items = items;
	run.n = n;
	run.point = point;
	run.phase = point == POINT_REPLY_OUT || point == POINT_REPLY_IN;
	for (i = 0; i < n; i++) {
		struct chain_item *item = &items[i];

		item->verdict = CHAIN_PASS;
		if (phx_unlikely(item->policy->chain_id != chain->head.id))
			slots_rebase(worker, item, chain, run.phase);
		run.contexts[i] = (struct run_message){.item = item};
		if (chain->head.fields == 0)
			run.contexts[i].type = NULL;
		else if (item->trust == NULL)
			run.contexts[i].type = fields_find(chain, item->schema, item->type);
		else
			run.contexts[i].type =
				trust_find(chain, item, worker->now_ns, &run.contexts[i].waits);
		run.messages[i] = (struct phx_policy_message){.host = &run.contexts[i]};
	}
	for (i = 0; i < chain->count; i++)
		slot_run(&run, i);
}

const struct phx_inspect *chain_inspect(const struct chain *chain, const struct phx_schema *schema)
{
	if (chain->head.fields == 0)
		return NULL;
	for (uint32_t i = 0; i < chain->schema_count; i++) {
		if (chain->schemas[i].schema == schema)
			return chain->schemas[i].inspect;
	}
	return NULL;
}

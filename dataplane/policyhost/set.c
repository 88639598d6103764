// SPDX-License-Identifier: BSD-3-Clause
// Building and publishing sets of chains, and freeing what nobody uses any more. Control thread.
// Works with host.c and fields.c.
#include "dataplane/policyhost/host.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdlib.h>
#include <string.h>

// ---- policies ----

void policy_unref(struct policy *p)
{
	if (--p->refs == 0)
		phx_list_add_tail(&p->instance->host->unwanted, &p->node);
}

void instance_free(struct instance *in)
{
	if (in->type->fini != NULL)
		in->type->fini(in->self);
	free(in->counts);
	free(in);
}

void policy_free(struct policy *p)
{
	struct instance *in = p->instance;

	phx_list_del(&p->node);
	if (p->configured && p->type->unconfigure != NULL)
		p->type->unconfigure(in->self, p->config);
	params_free(p);
	free(p->live);
	free(p);
	if (--in->policies == 0)
		instance_free(in);
}

static bool policy_is_live(const struct policy *p)
{
	uint64_t sum = 0;

	// Nobody enters any more, so the sum only falls. Pairs with the release store of leave().
	for (unsigned i = 0; i < p->instance->host->config.worker_count; i++)
		sum += atomic_load_explicit(&p->live[i].calls, memory_order_acquire);
	return sum != 0;
}

// ---- chains ----

static void chain_free(struct chain *chain)
{
	for (uint32_t i = 0; i < chain->schema_count; i++)
		fields_free(&chain->schemas[i]);
	for (uint32_t i = 0; i < chain->bound_count; i++)
		types_free(chain->bounds[i].types, chain->bounds[i].type_count);
	free(chain->bounds);
	for (uint32_t i = 0; i < chain->count; i++)
		policy_unref(chain->policies[i]);
	free(chain->schemas);
	free(chain);
}

static void chain_unref(struct chain *chain)
{
	if (chain != NULL && --chain->refs == 0)
		chain_free(chain);
}

// The policies that apply to a session, in order. Their number, or -ENOSPC.
static int chain_members(const struct chain_host *host, const struct host_session *session,
	struct policy *out[PHX_LIMIT_CHAIN_MAX])
{
	struct phx_list *n;
	int count = 0;

	if (session->gone)
		return 0;
	phx_list_for_each (n, &host->order) {
		const struct instance *in = phx_list_entry(n, struct instance, node);

		if (in->app != 0 && in->app != session->identity.app)
			continue;
		if (count == PHX_LIMIT_CHAIN_MAX)
			return -ENOSPC;
		out[count++] = in->current;
	}
	return count;
}

static void chain_add(struct chain *chain, struct policy *p)
{
	chain->policies[chain->count++] = p;
	p->refs++;
	chain->head.points |= p->type->points;
	chain->head.judges |= p->type->judges;
	chain->head.fields |= p->type->field_count != 0;
}

static int chain_bind(struct chain *chain, const struct host_session *session)
{
	int rc = 0;

	chain->schemas = calloc(session->schema_count + 1, sizeof(*chain->schemas));
	chain->bounds = calloc(session->trust_count + 1, sizeof(*chain->bounds));
	if (chain->schemas == NULL || chain->bounds == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < session->schema_count && rc == 0; i++) {
		chain->schema_count = i + 1; // half a binding is freed too
		rc = fields_bind(chain, session->schemas[i], &chain->schemas[i]);
	}
	chain->trust_changes = session->trust_changes;
	for (uint32_t i = 0; i < session->trust_count && rc == 0; i++) {
		chain->bound_count = i + 1;
		if (session->trusts[i].trusted == NULL)
			continue; // and nobody asks for it
		rc = trust_bind(chain, &session->trusts[i], &chain->bounds[i]);
	}
	return rc;
}

static int chain_build(struct chain_host *host, const struct host_session *session,
	struct policy *const *members, unsigned count, struct chain **out)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	int rc = 0;

	if (chain == NULL)
		return -ENOMEM;
	chain->head.id = ++host->next_chain;
	chain->host = host;
	chain->session = session;
	chain->refs = 1;
	for (unsigned i = 0; i < count; i++)
		chain_add(chain, members[i]);
	if (chain->head.fields != 0)
		rc = chain_bind(chain, session);
	if (rc != 0) {
		chain_free(chain);
		return rc;
	}
	*out = chain;
	return 0;
}

// The chain of a session in a new set: the old one when nothing has changed.
static int chain_make(struct chain_host *host, const struct host_session *session,
	struct chain *old, struct chain **out)
{
	struct policy *members[PHX_LIMIT_CHAIN_MAX];
	int count = chain_members(host, session, members);

	if (count < 0)
		return count;
	*out = NULL;
	if (count == 0)
		return 0;
	if (old != NULL && old->session == session && old->count == (uint32_t)count &&
		(!old->head.fields || (old->schema_count == session->schema_count &&
					      old->trust_changes == session->trust_changes)) &&
		memcmp(old->policies, members, (size_t)count * sizeof(members[0])) == 0) {
		old->refs++;
		*out = old;
		return 0;
	}
	return chain_build(host, session, members, (unsigned)count, out);
}

// ---- sets ----

void set_free(struct chain_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		chain_unref((struct chain *)(uintptr_t)set->chains[i]); // ours to free
	free(set);
}

static int set_build(struct chain_host *host, struct chain_set **out)
{
	const struct chain_set *old = host_set(host);
	struct chain_set *set =
		calloc(1, sizeof(*set) + host->session_size * sizeof(struct chain *));

	if (set == NULL)
		return -ENOMEM;
	set->generation = old->generation + 1;
	for (uint32_t i = 0; i < host->session_size; i++) {
		struct chain *chain = NULL, *before = NULL;
		int rc = 0;

		if (i < old->count)
			before = (struct chain *)(uintptr_t)old->chains[i];
		if (host->sessions[i] != NULL)
			rc = chain_make(host, host->sessions[i], before, &chain);
		if (rc != 0) {
			set_free(set);
			return rc;
		}
		set->chains[i] = chain;
		set->count = i + 1;
	}
	*out = set;
	return 0;
}

// Runs on a worker; the flag may be raised again from here on.
static void changed_here(struct worker *worker, struct cmd *cmd)
{
	struct host_worker *w = phx_container_of(cmd, struct host_worker, changed);

	(void)worker;
	atomic_store_explicit(&w->posted, false, memory_order_release);
	hold_kick_all(w);
}

static void workers_tell(struct chain_host *host)
{
	for (unsigned i = 0; i < host->config.worker_count; i++) {
		struct host_worker *w = &host->workers[i];

		if (!atomic_exchange_explicit(&w->posted, true, memory_order_acq_rel))
			worker_post(w->worker, &w->changed, changed_here);
	}
}

int set_publish(struct chain_host *host, struct host_session *left)
{
	struct retired *retired = calloc(1, sizeof(*retired));
	struct chain_set *set;
	int rc;

	if (retired == NULL)
		return -ENOMEM;
	rc = set_build(host, &set);
	if (rc != 0) {
		free(retired);
		return rc;
	}
	retired->set = (struct chain_set *)(uintptr_t)host_set(host);
	retired->session = left;
	// Pairs with the acquire load of chain_current().
	atomic_store_explicit(&host->current, set, memory_order_release);
	retired->token = host->config.qsbr != NULL ? rte_rcu_qsbr_start(host->config.qsbr) : 0;
	phx_list_add_tail(&host->retired, &retired->node);
	workers_tell(host); // held calls may go now
	if (host->config.changed != NULL)
		host->config.changed(host->config.changed_arg);
	return 0;
}

// ---- freeing ----

static bool retired_is_used(const struct chain_host *host, const struct retired *r)
{
	return host->config.qsbr != NULL &&
	       rte_rcu_qsbr_check(host->config.qsbr, r->token, false) == 0;
}

void session_free(struct chain_host *host, struct host_session *session)
{
	if (session == NULL)
		return;
	trusts_free(host, session);
	for (uint32_t i = 0; session->labels != NULL && i < session->identity.label_count; i++) {
		free((char *)(uintptr_t)session->labels[i].key); // ours
		free((char *)(uintptr_t)session->labels[i].value);
	}
	free(session->labels);
	free(session->name);
	free(session);
}

unsigned policyhost_reclaim(struct chain_host *host)
{
	struct phx_list *n, *tmp;
	unsigned waiting = 0;

	while ((n = phx_list_first(&host->retired)) != NULL) {
		struct retired *r = phx_list_entry(n, struct retired, node);

		if (retired_is_used(host, r))
			break;
		phx_list_del(n);
		set_free(r->set);
		session_free(host, r->session);
		free(r);
	}
	phx_list_for_each (n, &host->retired) {
		waiting++;
	}
	phx_list_for_each_safe (n, tmp, &host->unwanted) {
		struct policy *p = phx_list_entry(n, struct policy, node);

		if (policy_is_live(p))
			waiting++;
		else
			policy_free(p);
	}
	return waiting;
}

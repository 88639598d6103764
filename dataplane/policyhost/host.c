// SPDX-License-Identifier: BSD-3-Clause
// The host's table of types, attached policies and sessions; every change ends in set_publish() or
// leaves no trace. Control thread. See policyhost.h.
#include "dataplane/policyhost/host.h"

#include "lib/base/bits.h"
#include "lib/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- life ----

static int workers_init(struct chain_host *host)
{
	unsigned n = host->config.worker_count;

	host->workers = aligned_alloc(64, phx_align_up(n * sizeof(*host->workers), 64));
	if (host->workers == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct host_worker *w = &host->workers[i];

		w->worker = host->config.workers[i];
		w->host = host;
		w->changes = 0;
		atomic_init(&w->posted, false);
		for (unsigned k = 0; k < HOLD_BUCKETS; k++)
			phx_list_init(&w->holds[k]);
		if (phx_random_bytes(&w->random, sizeof(w->random)) != 0)
			w->random = i;
	}
	return 0;
}

int policyhost_create(const struct policyhost_config *config, struct chain_host **out_host)
{
	struct chain_host *host = calloc(1, sizeof(*host));
	struct chain_set *empty = calloc(1, sizeof(*empty));
	int rc = -ENOMEM;

	if (host == NULL || empty == NULL) {
		free(host);
		free(empty);
		return rc;
	}
	host->config = *config;
	phx_list_init(&host->order);
	phx_list_init(&host->retired);
	phx_list_init(&host->unwanted);
	phx_list_init(&host->trusted);
	atomic_init(&host->current, empty);
	rc = workers_init(host);
	for (unsigned i = 0; i < builtin_type_count && rc == 0; i++)
		rc = policyhost_type_add(host, builtin_types[i]);
	if (rc != 0) {
		policyhost_destroy(host);
		return rc;
	}
	for (unsigned i = 0; i < config->worker_count; i++)
		config->workers[i]->chains = &host->current;
	*out_host = host;
	return 0;
}

static void instance_drop(struct instance *in)
{
	phx_list_del(&in->node);
	policy_unref(in->current);
}

void policyhost_destroy(struct chain_host *host)
{
	struct phx_list *n, *tmp;

	if (host == NULL)
		return;
	host->config.qsbr = NULL; // nobody looks any more
	phx_list_for_each_safe (n, tmp, &host->order) {
		instance_drop(phx_list_entry(n, struct instance, node));
	}
	for (unsigned i = 0; host->workers != NULL && i < host->config.worker_count; i++)
		host->workers[i].worker->chains = NULL;
	set_free((struct chain_set *)(uintptr_t)host_set(host)); // ours
	(void)policyhost_reclaim(host);
	// Calls that never ended, because their workers stopped in the middle.
	phx_list_for_each_safe (n, tmp, &host->unwanted) {
		policy_free(phx_list_entry(n, struct policy, node));
	}
	for (uint32_t i = 0; i < host->session_size; i++)
		session_free(host, host->sessions[i]);
	free(host->sessions);
	free(host->types);
	free(host->workers);
	free(host);
}

uint64_t policyhost_trusts_refused(const struct chain_host *host)
{
	return host->trusts_refused;
}

uint64_t policyhost_generation(const struct chain_host *host)
{
	return host_set(host)->generation;
}

// ---- types ----

static bool type_is_sound(const struct phx_policy *t)
{
	return t->name != NULL && t->name[0] != '\0' && t->burst != NULL &&
	       (t->points >> PHX_POLICY_POINT_COUNT) == 0 && (t->judges & ~t->points) == 0 &&
	       t->param_count <= PHX_POLICY_PARAMS_MAX && t->field_count <= PHX_POLICY_FIELDS_MAX &&
	       t->metadata_count <= PHX_POLICY_FIELDS_MAX &&
	       t->counter_count <= PHX_POLICY_COUNTERS_MAX &&
	       t->state_size <= PHX_POLICY_STATE_SIZE && t->on_failure <= PHX_POLICY_CLOSED;
}

static const struct phx_policy *type_find(const struct chain_host *host, const char *name)
{
	for (uint32_t i = 0; i < host->type_count; i++) {
		if (strcmp(host->types[i]->name, name) == 0)
			return host->types[i];
	}
	return NULL;
}

int policyhost_type_add(struct chain_host *host, const struct phx_policy *type)
{
	const struct phx_policy **t;

	if (type->hello.magic != PHX_POLICY_MAGIC || type->hello.min > PHX_POLICY_ABI_MAX ||
		type->hello.max < PHX_POLICY_ABI_MIN || type->hello.size < sizeof(*type))
		return -EPROTO;
	if (!type_is_sound(type))
		return -EINVAL;
	if (type_find(host, type->name) != NULL)
		return -EEXIST;
	t = realloc(host->types, (host->type_count + 1) * sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	host->types = t;
	host->types[host->type_count++] = type;
	return 0;
}

// ---- attached policies ----

static struct instance *instance_find(const struct chain_host *host, const char *name)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->order) {
		struct instance *in = phx_list_entry(n, struct instance, node);

		if (strcmp(in->name, name) == 0)
			return in;
	}
	return NULL;
}

static void *aligned_zero(size_t n, size_t size)
{
	void *p = aligned_alloc(64, phx_align_up(n * size, 64));

	if (p != NULL)
		memset(p, 0, n * size);
	return p;
}

// A configuration of an instance, with one reference; the instance counts it.
static int policy_make(struct instance *in, const struct policyhost_param *params, uint32_t count,
	struct policyhost_error *error, struct policy **out)
{
	struct policy *p = calloc(1, sizeof(*p));
	int rc = -ENOMEM;

	if (p == NULL)
		return -ENOMEM;
	phx_list_init(&p->node);
	p->instance = in;
	p->type = in->type;
	p->refs = 1;
	in->policies++;
	p->live = aligned_zero(in->host->config.worker_count, sizeof(*p->live));
	if (p->live != NULL)
		rc = params_parse(p, params, count, error);
	if (rc == 0 && in->type->configure != NULL) {
		rc = in->type->configure(in->self, p->args, &p->config);
		if (rc != 0 && error->text[0] == '\0')
			(void)snprintf(error->text, sizeof(error->text),
				"the policy refuses the parameters: %s", strerrorname_np(-rc));
	}
	p->configured = rc == 0;
	if (rc != 0) {
		in->policies++; // not the last one: the instance stays its maker's
		policy_free(p);
		in->policies--;
		return rc;
	}
	*out = p;
	return 0;
}

static int instance_make(struct chain_host *host, const struct phx_policy *type,
	const struct policyhost_attach *attach, struct policyhost_error *error,
	struct instance **out)
{
	const struct phx_policy_host for_init = {
		.ops = &policy_ops, .worker_count = host->config.worker_count};
	struct instance *in = calloc(1, sizeof(*in));
	int rc = 0;

	if (in == NULL)
		return -ENOMEM;
	in->host = host;
	in->type = type;
	in->app = attach->app;
	phx_list_init(&in->node);
	(void)strncpy(in->name, attach->name, sizeof(in->name) - 1); // its length was checked
	in->counts = aligned_zero(host->config.worker_count, sizeof(*in->counts));
	if (in->counts == NULL)
		rc = -ENOMEM;
	else if (type->init != NULL)
		rc = type->init(&for_init, &in->self);
	if (rc != 0) {
		free(in->counts);
		free(in);
		return rc;
	}
	rc = policy_make(in, attach->params, attach->param_count, error, &in->current);
	if (rc != 0) {
		instance_free(in);
		return rc;
	}
	*out = in;
	return 0;
}

static void order_insert(struct chain_host *host, struct instance *in, uint32_t position)
{
	struct phx_list *at = host->order.next;

	while (position-- != 0 && at != &host->order)
		at = at->next;
	phx_list_add_tail(at, &in->node); // in front of `at`
}

static uint32_t order_position(const struct chain_host *host, const struct instance *in)
{
	struct phx_list *n;
	uint32_t i = 0;

	phx_list_for_each (n, &host->order) {
		if (n == &in->node)
			break;
		i++;
	}
	return i;
}

int policyhost_attach(struct chain_host *host, const struct policyhost_attach *attach,
	struct policyhost_error *error)
{
	const struct phx_policy *type = type_find(host, attach->type);
	size_t len = strlen(attach->name);
	struct instance *in;
	int rc;

	error->text[0] = '\0';
	(void)policyhost_reclaim(host);
	if (type == NULL)
		return -ENOENT;
	if (len == 0 || len > PHX_LIMIT_NAME_BYTES) {
		(void)snprintf(
			error->text, sizeof(error->text), "name: its length is out of range");
		return -EINVAL;
	}
	if (instance_find(host, attach->name) != NULL)
		return -EEXIST;
	rc = instance_make(host, type, attach, error, &in);
	if (rc != 0)
		return rc;
	order_insert(host, in, attach->position);
	rc = set_publish(host, NULL);
	if (rc != 0) {
		instance_drop(in);
		(void)policyhost_reclaim(host);
	}
	return rc;
}

int policyhost_detach(struct chain_host *host, const char *name)
{
	struct instance *in = instance_find(host, name);
	uint32_t position;
	int rc;

	(void)policyhost_reclaim(host);
	if (in == NULL)
		return -ENOENT;
	position = order_position(host, in);
	phx_list_del(&in->node);
	rc = set_publish(host, NULL);
	if (rc != 0)
		order_insert(host, in, position);
	else
		instance_drop(in);
	return rc;
}

int policyhost_reconfigure(struct chain_host *host, const char *name,
	const struct policyhost_param *params, uint32_t param_count, struct policyhost_error *error)
{
	struct instance *in = instance_find(host, name);
	struct policy *old, *now;
	int rc;

	error->text[0] = '\0';
	(void)policyhost_reclaim(host);
	if (in == NULL)
		return -ENOENT;
	rc = policy_make(in, params, param_count, error, &now);
	if (rc != 0)
		return rc;
	old = in->current;
	in->current = now;
	rc = set_publish(host, NULL);
	if (rc != 0)
		in->current = old;
	policy_unref(rc != 0 ? now : old);
	return rc;
}

int policyhost_move(struct chain_host *host, const char *name, uint32_t position)
{
	struct instance *in = instance_find(host, name);
	uint32_t before;
	int rc;

	(void)policyhost_reclaim(host);
	if (in == NULL)
		return -ENOENT;
	before = order_position(host, in);
	phx_list_del(&in->node);
	order_insert(host, in, position);
	rc = set_publish(host, NULL);
	if (rc != 0) {
		phx_list_del(&in->node);
		order_insert(host, in, before);
	}
	return rc;
}

// ---- statistics ----

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count_sum(struct policyhost_stats *s, const struct policy_count *c)
{
	for (unsigned i = 0; i < PHX_POLICY_POINT_COUNT; i++)
		s->messages[i] += load(&c->messages[i]);
	s->allowed += load(&c->allowed);
	s->denied += load(&c->denied);
	s->held += load(&c->held);
	s->failed += load(&c->failed);
	s->hold_refused += load(&c->hold_refused);
	s->ended += load(&c->ended);
	s->cycles += load(&c->cycles);
	for (unsigned i = 0; i < PHX_POLICY_COUNTERS_MAX; i++)
		s->counters[i] += load(&c->counters[i]);
}

static void live_sum(const struct chain_host *host, const struct policy *p, uint64_t *sum)
{
	for (unsigned i = 0; i < host->config.worker_count; i++)
		*sum += load(&p->live[i].calls);
}

int policyhost_stats(
	const struct chain_host *host, const char *name, struct policyhost_stats *out_stats)
{
	const struct instance *in = instance_find(host, name);
	struct phx_list *n;

	if (in == NULL)
		return -ENOENT;
	*out_stats = (struct policyhost_stats){0};
	for (unsigned i = 0; i < host->config.worker_count; i++)
		count_sum(out_stats, &in->counts[i]);
	live_sum(host, in->current, &out_stats->live);
	phx_list_for_each (n, &host->unwanted) {
		const struct policy *p = phx_list_entry(n, struct policy, node);

		if (p->instance == in)
			live_sum(host, p, &out_stats->live);
	}
	return 0;
}

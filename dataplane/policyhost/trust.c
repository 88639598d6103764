// SPDX-License-Identifier: BSD-3-Clause
// Schemas of serving sides: the table that came from there is checked and kept, the fields of
// policies are bound in it, and from there, by number and type, in the application's own schema.
// Works with fields.c and link/schema_fetch.c. Control thread, except where it says so.
#include "dataplane/policyhost/host.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- binding ----

// The service has the same hash at both ends, so every field must lie where it lies there. Images
// are read by the far side's schema: a table made to have its hash must gain nothing.
static bool is_same_place(const struct phx_path *a, const struct phx_path *b)
{
	for (uint32_t i = 0; i < a->step_count; i++) {
		const struct phx_path_step *x = &a->steps[i], *y = &b->steps[i];

		if (x->offset != y->offset || x->bit_word != y->bit_word || x->bit != y->bit ||
			x->size != y->size)
			return false;
	}
	return a->root_size == b->root_size;
}

static bool is_same_path(const struct bound_field *a, const struct bound_field *b)
{
	if (a->bound != b->bound || a->differs != b->differs)
		return false;
	if (!a->bound)
		return true;
	if (a->path.step_count != b->path.step_count)
		return false;
	for (uint32_t i = 0; i < a->path.step_count; i++) {
		if (a->path.steps[i].number != b->path.steps[i].number)
			return false;
	}
	return true;
}

// A message type of the application and what it is at the serving side.
struct counterpart {
	const struct session_trust *trust;
	uint32_t message;
	int trusted; // message index there; negative: it has no such method
	bool same;   // the service has the same hash
};

// False: the policy needs a field that the trusted schema does not have.
static bool field_follow(
	const struct policy *p, uint32_t i, const struct counterpart *c, struct bound_field *out)
{
	struct bound_field there;
	bool ok;
	int rc;

	*out = (struct bound_field){.bound = false};
	if (c->trusted < 0)
		return p->paths[i] == NULL ||
		       (p->type->fields[i].flags & PHX_POLICY_FIELD_OPTIONAL) != 0;
	ok = field_bind(p, i, c->trust->trusted->schema, (uint32_t)c->trusted, &there);
	if (!there.bound)
		return ok;
	rc = phx_path_rebind(&there.path, c->trust->schema, c->message, &out->path);
	out->bound = rc == 0;
	// A number that the application's type lacks is absent in everything that it sends.
	out->differs =
		rc == -EPROTO || (c->same && (rc != 0 || !is_same_place(&there.path, &out->path)));
	return true;
}

static int policy_follow(const struct chain *chain, uint32_t k, const struct counterpart *c,
	struct phx_inspect *inspect, struct chain_type *type)
{
	const struct policy *p = chain->policies[k];
	bool again = type->fields[k] != NULL; // another method with the same type

	if (!again)
		type->fields[k] = calloc(p->type->field_count, sizeof(*type->fields[k]));
	if (type->fields[k] == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->type->field_count; i++) {
		uint32_t points = field_points(p->type, &p->type->fields[i]);
		struct bound_field *f = &type->fields[k][i], now;
		bool ok = field_follow(p, i, c, &now);

		if (again && !is_same_path(f, &now))
			now.differs = true; // one type here, two at the serving side
		*f = now;
		if (now.bound)
			phx_inspect_add(inspect, &now.path);
		for (unsigned point = 0; point < PHX_POLICY_POINT_COUNT; point++) {
			if ((points >> point & 1) == 0)
				continue;
			type->failed[point] |= (uint16_t)(!ok ? 1u << k : 0);
			type->differs[point] |= (uint16_t)(now.differs ? 1u << k : 0);
		}
	}
	return 0;
}

static int type_follow(const struct chain *chain, const struct counterpart *c,
	struct phx_inspect *inspect, struct chain_bound *out)
{
	struct chain_type **type = &out->types[c->message];
	int rc = 0;

	if (*type == NULL)
		*type = calloc(1, sizeof(**type));
	if (*type == NULL)
		return -ENOMEM;
	for (uint32_t k = 0; k < chain->count && rc == 0; k++) {
		if (chain->policies[k]->type->field_count != 0)
			rc = policy_follow(chain, k, c, inspect, *type);
	}
	return rc;
}

static struct phx_inspect *inspect_of(const struct chain *chain, const struct phx_schema *schema)
{
	for (uint32_t i = 0; i < chain->schema_count; i++) {
		if (chain->schemas[i].schema == schema)
			return chain->schemas[i].inspect;
	}
	return NULL;
}

int trust_bind(struct chain *chain, const struct session_trust *t, struct chain_bound *out)
{
	const struct phx_schema *far = t->trusted->schema;
	struct phx_hash128 a = phx_schema_service_hash(t->schema, t->service);
	struct phx_hash128 b = phx_schema_service_hash(far, t->trusted_service);
	struct phx_inspect *inspect = inspect_of(chain, t->schema);
	int rc = 0;

	out->type_count = phx_schema_message_count(t->schema);
	out->types = calloc(out->type_count + 1, sizeof(struct chain_type *));
	if (out->types == NULL || inspect == NULL)
		return -ENOMEM;
	for (uint32_t m = 0; m < phx_schema_method_count(t->schema, t->service) && rc == 0; m++) {
		const struct phx_method *here = phx_schema_method(t->schema, t->service, m);
		int n = phx_schema_method_find(far, t->trusted_service, here->name);
		const struct phx_method *there =
			n < 0 ? NULL : phx_schema_method(far, t->trusted_service, (uint32_t)n);
		struct counterpart c = {.trust = t,
			.message = here->input,
			.trusted = there != NULL ? (int)there->input : -ENOENT,
			.same = a.lo == b.lo && a.hi == b.hi};

		rc = type_follow(chain, &c, inspect, out);
		c.message = here->output;
		c.trusted = there != NULL ? (int)there->output : -ENOENT;
		if (rc == 0)
			rc = type_follow(chain, &c, inspect, out);
	}
	return rc;
}

// ---- what is trusted ----

static uint64_t trusted_size(const struct trusted *t)
{
	size_t size;

	(void)phx_schema_table(t->schema, &size);
	return size;
}

static void trusted_put(struct chain_host *host, struct trusted *t)
{
	if (--t->refs != 0)
		return;
	host->trusted_bytes -= trusted_size(t);
	phx_list_del(&t->node);
	phx_schema_free(t->schema);
	free(t);
}

static struct trusted *trusted_find(const struct chain_host *host, const void *table, size_t size)
{
	const struct phx_list *n;

	phx_list_for_each (n, &host->trusted) {
		struct trusted *t = phx_list_entry(n, struct trusted, node);
		size_t have;
		const void *bytes = phx_schema_table(t->schema, &have);

		if (have == size && memcmp(bytes, table, size) == 0)
			return t;
	}
	return NULL;
}

static int trusted_get(
	struct chain_host *host, const void *table, size_t size, struct trusted **out)
{
	struct trusted *t = trusted_find(host, table, size);
	int rc;

	if (t == NULL) {
		if (host->trusted_bytes + size > TRUSTED_BYTES_MAX)
			return -ENOSPC;
		t = calloc(1, sizeof(*t));
		if (t == NULL)
			return -ENOMEM;
		rc = phx_schema_bind(table, size, &t->schema, NULL);
		if (rc != 0) {
			free(t);
			return rc;
		}
		host->trusted_bytes += size;
		phx_list_add_tail(&host->trusted, &t->node);
	}
	t->refs++;
	*out = t;
	return 0;
}

void trusts_free(struct chain_host *host, struct host_session *s)
{
	for (uint32_t i = 0; i < s->trust_count; i++) {
		if (s->trusts[i].trusted != NULL)
			trusted_put(host, s->trusts[i].trusted);
	}
	free(s->trusts);
}

// ---- requests of workers ----

static int trust_find_session(const struct host_session *s, const struct session_trust *t)
{
	for (uint32_t i = 0; i < s->trust_count; i++) {
		const struct session_trust *have = &s->trusts[i];

		if (have->schema == t->schema && have->service == t->service &&
			have->trusted == t->trusted)
			return (int)i;
	}
	return -ENOENT;
}

// An entry that nobody uses.
static int trust_place(struct host_session *s, uint32_t *out_index)
{
	uint32_t i = 0;

	if (s->trusts == NULL)
		s->trusts = calloc(SESSION_TRUSTS_MAX, sizeof(*s->trusts));
	if (s->trusts == NULL)
		return -ENOMEM;
	while (i < s->trust_count && s->trusts[i].trusted != NULL)
		i++;
	if (i == SESSION_TRUSTS_MAX)
		return -ENOSPC;
	s->trust_count = phx_max(s->trust_count, i + 1);
	*out_index = i;
	return 0;
}

// Chains that were built with it keep what is bound until the next set: nobody reads it there.
static void trust_drop(struct chain_host *host, struct host_session *s, uint32_t index)
{
	struct session_trust *t = &s->trusts[index];

	assert(index < s->trust_count && t->refs != 0);
	if (--t->refs != 0)
		return;
	s->trusted_bytes -= trusted_size(t->trusted);
	trusted_put(host, t->trusted);
	t->trusted = NULL;
}

// Takes the reference of t, also when it fails.
static int trust_add(struct chain_host *host, struct host_session *s, const struct session_trust *t,
	uint32_t *out_index)
{
	uint64_t size = trusted_size(t->trusted);
	int at = trust_find_session(s, t), rc;

	if (at >= 0) {
		trusted_put(host, t->trusted);
		s->trusts[at].refs++;
		*out_index = (uint32_t)at;
		return 0;
	}
	if (s->trusted_bytes + size > SESSION_TRUSTED_BYTES_MAX)
		rc = -ENOSPC;
	else
		rc = trust_place(s, out_index);
	if (rc != 0) {
		trusted_put(host, t->trusted);
		return rc;
	}
	s->trusts[*out_index] = *t;
	s->trusts[*out_index].refs = 1;
	s->trusted_bytes += size;
	s->trust_changes++;
	rc = set_publish(host, NULL);
	if (rc != 0)
		trust_drop(host, s, *out_index);
	return rc;
}

static int trust_request(struct chain_trust_request *r)
{
	// Only control changes it, and it outlives the request.
	struct host_session *s = (struct host_session *)(uintptr_t)r->session;
	struct session_trust t = {.schema = r->schema, .service = r->service};
	int rc = trusted_get(r->host, r->table, r->size, &t.trusted);
	int service;

	if (rc != 0)
		return rc;
	service = phx_schema_service_find(
		t.trusted->schema, phx_schema_service_name(r->schema, r->service));
	if (service < 0) {
		trusted_put(r->host, t.trusted);
		return -EPROTO;
	}
	t.trusted_service = (uint32_t)service;
	return trust_add(r->host, s, &t, &r->bound);
}

static void answer_here(struct worker *worker, struct cmd *cmd)
{
	struct chain_trust_request *r = phx_container_of(cmd, struct chain_trust_request, cmd);

	(void)worker;
	r->done(r);
}

static void request_here(struct worker *worker, struct cmd *cmd)
{
	struct chain_trust_request *r = phx_container_of(cmd, struct chain_trust_request, cmd);

	(void)worker;
	(void)policyhost_reclaim(r->host);
	// First: one binding shall not need room for two tables. Only control changes the session.
	if (r->replaces != TRUST_NOTHING)
		trust_drop(r->host, (struct host_session *)(uintptr_t)r->session, r->replaces);
	r->rc = r->table != NULL ? trust_request(r) : 0;
	r->host->trusts_refused += r->rc == -ENOSPC;
	worker_post(r->worker, &r->cmd, answer_here);
}

// ---- worker ----

void chain_trust_bind(const struct chain *chain, struct chain_trust_request *r)
{
	const struct policyhost_config *config = &chain->host->config;

	r->session = chain->session;
	r->host = chain->host;
	config->post(config->post_arg, &r->cmd, request_here);
}

void chain_trust_release(struct chain_trust_request *r)
{
	const struct policyhost_config *config = &r->host->config;

	r->replaces = r->bound;
	r->table = NULL;
	config->post(config->post_arg, &r->cmd, request_here);
}

void chain_trust_changed(const struct chain *chain, const struct worker *worker)
{
	if (chain != NULL) // else nothing of the session is held
		hold_kick_all(chain_worker(chain, worker));
}

const struct chain_type *trust_find(
	const struct chain *chain, const struct chain_item *item, uint64_t now_ns, bool *out_waits)
{
	struct chain_trust *t = item->trust;

	if (phx_likely(t->state == TRUST_BOUND))
		return t->bound < chain->bound_count ? chain->bounds[t->bound].types[item->type]
						     : NULL;
	if (t->state == TRUST_ASKED && now_ns >= t->until_ns) { // no answer
		t->state = TRUST_NONE;
		t->until_ns = now_ns + TRUST_AGAIN_NS;
	}
	if (t->state == TRUST_NONE && now_ns >= t->until_ns)
		t->state = TRUST_UNKNOWN;
	if (t->state == TRUST_UNKNOWN)
		t->ask(t);
	*out_waits = t->state == TRUST_ASKED;
	return NULL;
}

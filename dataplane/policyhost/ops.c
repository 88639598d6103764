// SPDX-License-Identifier: BSD-3-Clause
// The operations that policies are given, see lib/policy/policy.h. Worker thread, inside a burst.
#include "dataplane/policyhost/host.h"

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/schema/metadata.h"
#include "lib/schema/table.h"

#include <errno.h>
#include <string.h>

static struct run_context *context_of(const struct phx_policy_burst *burst)
{
	return burst->host;
}

static struct run_message *message_of(const struct phx_policy_message *m)
{
	return (struct run_message *)(uintptr_t)m->host; // ours, const to the policy
}

// The bound path of a field, in *out_path. 0, -EINVAL, -ENOENT.
static int field_path(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
	uint32_t field, const struct phx_path **out_path)
{
	const struct run_context *c = context_of(burst);
	const struct run_message *rm = message_of(m);
	const struct bound_field *bound;

	if (field >= c->policy->type->field_count)
		return -EINVAL;
	if (rm->type == NULL || rm->type->fields[c->index] == NULL)
		return -ENOENT;
	bound = &rm->type->fields[c->index][field];
	// A reply that is a bare status has no message.
	if (!bound->bound || rm->item->message->image.total_len < bound->path.root_size)
		return -ENOENT;
	*out_path = &bound->path;
	return 0;
}

static void number_fill(const struct phx_path_value *v, struct phx_policy_value *out)
{
	uint32_t low = (uint32_t)v->bits;
	float f;

	switch ((enum phx_kind)v->kind) {
	case PHX_KIND_DOUBLE:
		out->kind = PHX_POLICY_VALUE_DOUBLE;
		memcpy(&out->number.d, &v->bits, sizeof(out->number.d));
		break;
	case PHX_KIND_FLOAT:
		out->kind = PHX_POLICY_VALUE_DOUBLE;
		memcpy(&f, &low, sizeof(f));
		out->number.d = (double)f;
		break;
	case PHX_KIND_UINT64:
	case PHX_KIND_UINT32:
	case PHX_KIND_FIXED64:
	case PHX_KIND_FIXED32:
		out->kind = PHX_POLICY_VALUE_UINT;
		out->number.u = v->bits;
		break;
	case PHX_KIND_BOOL:
		out->kind = PHX_POLICY_VALUE_BOOL;
		out->number.u = v->bits != 0;
		break;
	case PHX_KIND_STRING:
	case PHX_KIND_BYTES:
	case PHX_KIND_MESSAGE:
	case PHX_KIND_GROUP_UNUSED:
	case PHX_KIND_INT64:
	case PHX_KIND_INT32:
	case PHX_KIND_ENUM:
	case PHX_KIND_SFIXED32:
	case PHX_KIND_SFIXED64:
	case PHX_KIND_SINT32:
	case PHX_KIND_SINT64:
		out->kind = PHX_POLICY_VALUE_INT;
		out->number.i = (int64_t)v->bits;
		break;
	}
}

static void value_fill(struct host_worker *w, const struct phx_image *image,
	const struct phx_path_value *v, struct phx_policy_value *out)
{
	*out = (struct phx_policy_value){.len = v->len};
	if (v->kind != PHX_KIND_STRING && v->kind != PHX_KIND_BYTES) {
		number_fill(v, out);
		return;
	}
	out->kind = v->kind == PHX_KIND_STRING ? PHX_POLICY_VALUE_STRING : PHX_POLICY_VALUE_BYTES;
	out->data = v->data;
	out->have = v->len;
	if (phx_likely(v->data != NULL))
		return;
	out->data = w->value; // it spans blocks of the snapshot
	out->have = phx_min(v->len, (uint32_t)VALUE_BYTES);
	if (phx_image_read(image, v->pos, w->value, out->have) != 0)
		out->have = 0;
}

// Errors after which the policy cannot have judged.
static int field_result(struct run_message *rm, int rc)
{
	if (rc == -ENODATA || rc == -E2BIG)
		rm->failed = true;
	return rc;
}

static int op_field_get(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
	uint32_t field, struct phx_policy_value *out)
{
	struct run_message *rm = message_of(m);
	const struct phx_image *image = &rm->item->message->image;
	const struct phx_path *path;
	struct phx_path_value v;
	int rc = field_path(burst, m, field, &path);

	if (rc != 0)
		return rc;
	rc = phx_path_get(path, image, &v);
	if (rc == 0)
		return -ENOENT;
	if (rc < 0)
		return field_result(rm, rc);
	value_fill(context_of(burst)->worker, image, &v, out);
	return 0;
}

struct each {
	struct host_worker *worker;
	const struct phx_image *image;
	phx_policy_value_fn fn;
	void *arg;
};

static int each_value(void *arg, const struct phx_path_value *v)
{
	const struct each *each = arg;
	struct phx_policy_value value;

	value_fill(each->worker, each->image, v, &value);
	return each->fn(each->arg, &value);
}

static int op_field_each(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
	uint32_t field, phx_policy_value_fn fn, void *arg)
{
	struct run_message *rm = message_of(m);
	struct each each = {
		.worker = context_of(burst)->worker,
		.image = &rm->item->message->image,
		.fn = fn,
		.arg = arg,
	};
	const struct phx_path *path;
	int rc = field_path(burst, m, field, &path);

	if (rc != 0)
		return rc;
	return field_result(
		rm, phx_path_each(path, each.image, PHX_LIMIT_WORK_ELEMENTS, each_value, &each));
}

// May the policy rewrite here, and where?
static int set_path(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
	uint32_t field, const struct phx_path **out_path)
{
	if ((context_of(burst)->policy->type->judges >> burst->point & 1) == 0)
		return -EPERM;
	return field_path(burst, m, field, out_path);
}

static int number_bits(unsigned kind, const struct phx_policy_value *value, uint64_t *out_bits)
{
	struct phx_policy_value like = {0};
	const struct phx_path_value zero = {.kind = (uint8_t)kind};
	float f;
	uint32_t low;

	if (kind == PHX_KIND_STRING || kind == PHX_KIND_BYTES || kind == PHX_KIND_MESSAGE)
		return -EINVAL;
	number_fill(&zero, &like);
	if (like.kind != value->kind)
		return -EINVAL;
	*out_bits = kind == PHX_KIND_BOOL ? (value->number.b ? 1 : 0) : value->number.u;
	if (kind == PHX_KIND_FLOAT) {
		f = (float)value->number.d;
		memcpy(&low, &f, sizeof(low));
		*out_bits = low;
	}
	return 0;
}

// What was encoded before no longer stands for the image.
static int rewritten(struct run_message *rm, int rc)
{
	if (rc == 0)
		rm->item->message->rewritten = true;
	return rc;
}

static int op_field_set_number(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t field, const struct phx_policy_value *value)
{
	struct run_message *rm = message_of(m);
	const struct phx_path *path;
	uint64_t bits = 0;
	int rc = set_path(burst, m, field, &path);

	if (rc == 0)
		rc = number_bits(path->steps[path->step_count - 1].kind, value, &bits);
	if (rc != 0)
		return rc;
	return rewritten(rm, phx_image_set_scalar(&rm->item->message->image, path, bits,
				     &session_account(rm->item->session)->pool));
}

static int op_field_set_bytes(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t field, const void *data, uint32_t len)
{
	struct run_message *rm = message_of(m);
	const struct phx_path *path;
	int rc = set_path(burst, m, field, &path);

	if (rc != 0)
		return rc;
	return rewritten(rm, phx_image_set_string(&rm->item->message->image, path, data, len,
				     &session_account(rm->item->session)->pool));
}

static int op_metadata_get(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
	uint32_t key, struct phx_policy_value *out)
{
	const struct policy *p = context_of(burst)->policy;
	const struct message *message = message_of(m)->item->message;
	struct phx_metadata_pair pair;
	const char *name;
	size_t len;

	if (key >= p->type->metadata_count)
		return -EINVAL;
	name = p->metadata[key];
	if (name == NULL || message->meta_len == 0)
		return -ENOENT;
	len = strlen(name);
	if (!phx_metadata_lookup(message->extra, message->meta_len, name, len, &pair))
		return -ENOENT;
	*out = (struct phx_policy_value){
		.kind = len > 4 && memcmp(name + len - 4, "-bin", 4) == 0 ? PHX_POLICY_VALUE_BYTES
									  : PHX_POLICY_VALUE_STRING,
		.len = pair.value_len,
		.data = pair.value,
		.have = pair.value_len,
	};
	return 0;
}

static const struct phx_policy_identity *op_identity(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	(void)m;
	return &context_of(burst)->chain->session->identity;
}

static const char *op_service(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	(void)burst;
	return message_of(m)->item->service;
}

static const char *op_method(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	(void)burst;
	return message_of(m)->item->method;
}

static uint64_t op_deadline(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	(void)burst;
	return message_of(m)->item->deadline_ns;
}

static uint32_t op_waiting(const struct phx_policy_burst *burst, uint64_t key)
{
	const struct run_context *c = context_of(burst);

	return hold_waiting(c->worker, c->policy->instance, key);
}

static uint64_t op_clock(const struct phx_policy_burst *burst)
{
	(void)burst;
	return phx_clock_ns();
}

static uint64_t op_random(const struct phx_policy_burst *burst)
{
	struct host_worker *w = context_of(burst)->worker;

	w->random += UINT64_C(0x9e3779b97f4a7c15); // splitmix64 (Steele, Lea, Flood 2014)
	return phx_mix64(w->random);
}

static void op_count(const struct phx_policy_burst *burst, uint32_t counter, uint64_t n)
{
	const struct run_context *c = context_of(burst);

	if (counter < c->policy->type->counter_count)
		count_add(&c->policy->instance->counts[burst->worker].counters[counter], n);
}

const struct phx_policy_ops policy_ops = {
	.hello = {PHX_POLICY_MAGIC, PHX_POLICY_ABI_MIN, PHX_POLICY_ABI_MAX,
		sizeof(struct phx_policy_ops)},
	.field_get = op_field_get,
	.field_each = op_field_each,
	.field_set_number = op_field_set_number,
	.field_set_bytes = op_field_set_bytes,
	.metadata_get = op_metadata_get,
	.identity = op_identity,
	.service = op_service,
	.method = op_method,
	.deadline = op_deadline,
	.waiting = op_waiting,
	.clock = op_clock,
	.random = op_random,
	.count = op_count,
};

// SPDX-License-Identifier: BSD-3-Clause
// Schema hashes. A message's own digest covers its name and fields; types refer to each
// other by name. What it reaches is covered by hashing strongly connected components bottom
// up (Tarjan, 1972, without recursion), so mutual recursion is legal and the work linear.
#include "lib/base/bits.h"
#include "lib/base/limits.h"
#include "lib/schema/schema_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t key[16] = "phoenix schema 1";

// A running digest: each record is hashed together with the digest before it.
static void chain(struct phx_hash128 *digest, const void *record, size_t len)
{
	uint8_t buf[16 + 1024];

	assert(len <= sizeof(buf) - 16);
	phx_le64_store(buf, digest->lo);
	phx_le64_store(buf + 8, digest->hi);
	memcpy(buf + 16, record, len);
	*digest = phx_siphash128(key, buf, 16 + len);
}

static void chain_hash(struct phx_hash128 *digest, struct phx_hash128 h)
{
	uint8_t buf[16];

	phx_le64_store(buf, h.lo);
	phx_le64_store(buf + 8, h.hi);
	chain(digest, buf, sizeof(buf));
}

// Append {u16 length, bytes}.
static size_t put_name(uint8_t *to, const char *name)
{
	size_t len = strlen(name);

	phx_le16_store(to, (uint16_t)len);
	memcpy(to + 2, name, len);
	return len + 2;
}

static struct phx_hash128 own_digest(const struct phx_schema *schema, const struct phx_message *m)
{
	struct phx_hash128 digest = {PHX_TABLE_LAYOUT, 'm'};
	uint8_t record[16 + 2 * (PHX_LIMIT_NAME_BYTES + 2)];
	size_t len;

	len = put_name(record, m->name);
	phx_le16_store(record + len, m->field_count);
	phx_le16_store(record + len + 2, m->oneof_count);
	phx_le16_store(record + len + 4, m->presence_words);
	phx_le16_store(record + len + 6, m->map_entry);
	chain(&digest, record, len + 8);
	for (uint32_t i = 0; i < m->field_count; i++) {
		const struct phx_field *f = &m->fields[i];

		phx_le32_store(record, f->number);
		record[4] = f->kind;
		record[5] = f->flags;
		phx_le16_store(record + 6, f->bit);
		len = 8 + put_name(record + 8, f->name);
		if (f->kind == PHX_KIND_MESSAGE)
			len += put_name(record + len, schema->messages[f->message].name);
		chain(&digest, record, len);
	}
	return digest;
}

#define UNSEEN UINT32_MAX

struct walk {
	struct phx_schema *schema;
	struct phx_hash128 *own; // digests of the messages alone
	uint32_t *order;	 // number in visiting order, UNSEEN before
	uint32_t *low;
	uint32_t *next;	     // next field to look at
	uint32_t *component; // messages whose component is not complete
	uint32_t *path;	     // messages being visited
	uint8_t *open;	     // is in component[]
	uint32_t visited, components, depth;
};

static int compare_own(const void *a, const void *b, void *arg)
{
	const struct phx_hash128 *own = arg;
	const struct phx_hash128 *x = &own[*(const uint32_t *)a], *y = &own[*(const uint32_t *)b];

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->hi == y->hi ? 0 : x->hi < y->hi ? -1 : 1;
}

// members[count] is a complete component; everything it reaches outside has its hash.
static void close_component(struct walk *w, uint32_t *members, uint32_t count)
{
	struct phx_hash128 digest = {PHX_TABLE_LAYOUT, 'c'};

	qsort_r(members, count, sizeof(*members), compare_own, w->own);
	for (uint32_t i = 0; i < count; i++) {
		const struct phx_message *m = &w->schema->messages[members[i]];

		chain_hash(&digest, w->own[members[i]]);
		for (uint32_t k = 0; k < m->field_count; k++)
			if (m->fields[k].kind == PHX_KIND_MESSAGE && !w->open[m->fields[k].message])
				chain_hash(&digest, w->schema->messages[m->fields[k].message].hash);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct phx_hash128 h = w->own[members[i]];

		chain_hash(&h, digest);
		w->schema->messages[members[i]].hash = h;
	}
	for (uint32_t i = 0; i < count; i++)
		w->open[members[i]] = 0;
}

static void enter(struct walk *w, uint32_t message)
{
	w->order[message] = w->low[message] = w->visited++;
	w->component[w->components++] = message;
	w->open[message] = 1;
	w->path[w->depth++] = message;
}

static void leave(struct walk *w, uint32_t message)
{
	uint32_t first = w->components;

	w->depth--;
	if (w->depth != 0) {
		uint32_t parent = w->path[w->depth - 1];

		w->low[parent] = phx_min(w->low[parent], w->low[message]);
	}
	if (w->low[message] != w->order[message])
		return;
	while (w->component[--first] != message)
		;
	close_component(w, &w->component[first], w->components - first);
	w->components = first;
}

static void visit(struct walk *w, uint32_t root)
{
	enter(w, root);
	while (w->depth != 0) {
		uint32_t message = w->path[w->depth - 1], child;
		const struct phx_message *m = &w->schema->messages[message];

		if (w->next[message] == m->field_count) {
			leave(w, message);
			continue;
		}
		if (m->fields[w->next[message]].kind != PHX_KIND_MESSAGE) {
			w->next[message]++;
			continue;
		}
		child = m->fields[w->next[message]++].message;
		if (w->order[child] == UNSEEN)
			enter(w, child);
		else if (w->open[child])
			w->low[message] = phx_min(w->low[message], w->order[child]);
	}
}

static void hash_service(const struct phx_schema *schema, struct phx_schema_service *service)
{
	struct phx_hash128 digest = {PHX_TABLE_LAYOUT, 's'};
	uint8_t record[8 + PHX_LIMIT_NAME_BYTES + 2];
	size_t len;

	chain(&digest, record, put_name(record, service->name));
	for (uint32_t i = 0; i < service->method_count; i++) {
		uint32_t index = schema->method_names[service->first_method + i];
		const struct phx_method *method = &schema->methods[index];

		len = put_name(record, method->name);
		phx_le32_store(record + len, method->flags);
		chain(&digest, record, len + 4);
		chain_hash(&digest, schema->messages[method->input].hash);
		chain_hash(&digest, schema->messages[method->output].hash);
	}
	service->hash = digest;
}

int phx_schema_hash(struct phx_schema *schema)
{
	size_t n = (size_t)schema->message_count + 1;
	struct walk w = {.schema = schema};
	uint32_t *words;

	words = calloc(n, 5 * sizeof(uint32_t) + sizeof(struct phx_hash128) + 1);
	if (words == NULL)
		return -ENOMEM;
	w.own = (struct phx_hash128 *)words;
	w.order = (uint32_t *)(w.own + n);
	w.low = w.order + n;
	w.next = w.low + n;
	w.component = w.next + n;
	w.path = w.component + n;
	w.open = (uint8_t *)(w.path + n);
	for (uint32_t i = 0; i < schema->message_count; i++) {
		w.own[i] = own_digest(schema, &schema->messages[i]);
		w.order[i] = UNSEEN;
	}
	for (uint32_t i = 0; i < schema->message_count; i++)
		if (w.order[i] == UNSEEN)
			visit(&w, i);
	for (uint32_t i = 0; i < schema->service_count; i++)
		hash_service(schema, &schema->services[i]);
	free(words);
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// From a frame to handlers and back: batches, method look-up, roles, validation and the
// answers of calls. Works with server_conn.c.
#include "lib/ctl/message.h"
#include "lib/ctl/server_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATE_WORDS 1024 // looked at
#define CANDIDATES	8    // told

bool phx_ctl_server_bound(void *server, const struct phx_ctl_method *m)
{
	const struct phx_ctl_server *s = server;

	if (strncmp(m->name, "rpc.", 4) == 0)
		return true;
	for (const struct phx_ctl_binding *b = s->options.bindings; b->method != NULL; b++)
		if (strcmp(b->method, m->name) == 0)
			return true;
	return false;
}

static phx_ctl_handler_fn find_handler(const struct phx_ctl_server *s, const char *name)
{
	for (const struct phx_ctl_binding *b = s->options.bindings; b->method != NULL; b++)
		if (strcmp(b->method, name) == 0)
			return b->handler;
	return NULL;
}

static void call_destroy(struct phx_ctl_call *c)
{
	phx_list_del(&c->in_server);
	json_decref(c->id);
	json_decref(c->params);
	json_decref(c->response);
	free(c);
}

void phx_ctl_slot_destroy(struct slot *slot)
{
	phx_list_del(&slot->in_conn);
	phx_ctl_streams_answered(slot->conn, slot);
	for (unsigned i = 0; i < slot->count; i++) {
		if (slot->calls[i] == NULL)
			continue;
		if (slot->calls[i]->answered)
			call_destroy(slot->calls[i]);
		else
			slot->calls[i]->slot = NULL; // its handler still holds it
	}
	json_decref(slot->answers);
	free(slot->calls);
	free(slot);
}

// The call is answered: hand the response over, or drop it when nobody waits.
static void call_finish(struct phx_ctl_call *c, json_t *take_response, int error_code)
{
	struct slot *slot = c->slot;

	c->answered = true;
	if (c->server != NULL) {
		c->server->stats.errors_total += error_code != 0;
		if (c->server->options.answered != NULL)
			c->server->options.answered(c->server->options.arg, c, error_code);
	}
	if (slot == NULL) {
		json_decref(take_response);
		call_destroy(c);
		return;
	}
	c->response = take_response;
	slot->open--;
	if (slot->open == 0)
		phx_ctl_server_kick(slot->conn->server); // it writes, watches and closes
}

void phx_ctl_call_fail(struct phx_ctl_call *c, const struct phx_ctl_error *e)
{
	call_finish(c, c->id != NULL ? phx_ctl_response_error(c->id, e) : NULL, e->code);
}

void phx_ctl_call_fail_code(struct phx_ctl_call *c, int code, const char *fmt, ...)
{
	struct phx_ctl_error e = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e.text, sizeof(e.text), fmt, ap); // cut when longer
	va_end(ap);
	phx_ctl_call_fail(c, &e);
}

void phx_ctl_call_reply(struct phx_ctl_call *c, json_t *take_result)
{
	if (take_result == NULL) {
		phx_ctl_call_fail_code(c, PHX_INTERNAL, "out of memory");
		return;
	}
	if (c->id == NULL) {
		json_decref(take_result);
		call_finish(c, NULL, 0);
		return;
	}
	call_finish(c, phx_ctl_response_result(c->id, take_result), 0);
}

void phx_ctl_call_rows(
	struct phx_ctl_call *c, const char *key, json_t *take_rows, uint64_t generation)
{
	json_t *filter = json_object_get(c->params, "filter");
	json_t *rows = take_rows;
	char text[24];

	if (filter != NULL) {
		rows = phx_ctl_filter_rows(take_rows, filter);
		json_decref(take_rows);
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)generation);
	phx_ctl_call_reply(c, json_pack("{s:o, s:s, s:n}", key, rows, "generation", text, "next"));
}

// Names that begin with word, else the one that is nearest to it. New reference, maybe empty.
static json_t *candidates(const char *word, json_t *names)
{
	json_t *found = json_array(), *name;
	const char *words[CANDIDATE_WORDS];
	const char *nearest;
	size_t i, count = 0;

	json_array_foreach(names, i, name)
	{
		const char *text = json_string_value(name);

		if (text == NULL || count == PHX_ARRAY_LEN(words))
			continue;
		words[count++] = text;
		if (strncmp(text, word, strlen(word)) == 0 && json_array_size(found) < CANDIDATES)
			(void)json_array_append(found, name);
	}
	nearest = json_array_size(found) == 0 ? phx_ctl_nearest(word, words, count) : NULL;
	if (nearest != NULL)
		(void)json_array_append_new(found, json_string(nearest));
	return found;
}

void phx_ctl_call_not_found(struct phx_ctl_call *c, const char *kind, const char *field,
	const char *value, json_t *names, const char *hint)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *text = json_string(value), *near = candidates(value, names);

	(void)phx_ctl_error_set(&e, PHX_NOT_FOUND, "no %s named '%s'", kind, value);
	phx_ctl_error_field(&e, field, text);
	if (json_array_size(near) != 0)
		phx_ctl_error_add(&e, "candidates", json_incref(near));
	if (hint != NULL)
		phx_ctl_error_add(&e, "hint", json_string(hint));
	phx_ctl_call_fail(c, &e);
	phx_ctl_error_fini(&e);
	json_decref(near);
	json_decref(text);
}

const struct phx_ctl_method *phx_ctl_call_method(const struct phx_ctl_call *c)
{
	return c->method;
}

json_t *phx_ctl_call_params(const struct phx_ctl_call *c)
{
	return c->params;
}

const struct phx_ctl_peer *phx_ctl_call_peer(const struct phx_ctl_call *c)
{
	return &c->peer;
}

const char *phx_ctl_call_string(const struct phx_ctl_call *c, const char *name, const char *missing)
{
	const char *value = json_string_value(json_object_get(c->params, name));

	return value != NULL ? value : missing;
}

int64_t phx_ctl_call_int(const struct phx_ctl_call *c, const char *name, int64_t missing)
{
	json_t *value = json_object_get(c->params, name);

	return value != NULL ? json_integer_value(value) : missing;
}

bool phx_ctl_call_bool(const struct phx_ctl_call *c, const char *name)
{
	return json_is_true(json_object_get(c->params, name));
}

// The methods every server has; true when c was one of them (and is answered).
static bool call_builtin(struct phx_ctl_call *c)
{
	const char *name = c->method->name;

	if (strcmp(name, "rpc.methods") == 0)
		phx_ctl_call_reply(c, phx_ctl_methods_json(phx_ctl_server_bound, c->server,
					      phx_ctl_call_string(c, "prefix", NULL)));
	else if (strcmp(name, "rpc.discover") == 0)
		phx_ctl_call_reply(c, phx_ctl_discover_json(phx_ctl_server_bound, c->server));
	else if (strcmp(name, "rpc.limits") == 0)
		phx_ctl_call_reply(c, phx_ctl_limits_json());
	else
		return false;
	return true;
}

static int check_method(struct phx_ctl_server *s, const struct phx_ctl_request *r,
	const struct phx_ctl_method **out_method, struct phx_ctl_error *e)
{
	const struct phx_ctl_method *m = phx_ctl_method_find(r->method);
	const char *words[128];
	size_t count = 0;

	if (m != NULL && phx_ctl_server_bound(s, m)) {
		*out_method = m;
		return 0;
	}
	for (size_t i = 0; i < phx_ctl_method_count() && count < PHX_ARRAY_LEN(words); i++)
		if (phx_ctl_server_bound(s, phx_ctl_method_at(i)))
			words[count++] = phx_ctl_method_at(i)->name;

	const char *nearest = phx_ctl_nearest(r->method, words, count);
	int rc = phx_ctl_error_set(
		e, PHX_CTL_METHOD_NOT_FOUND, "no method named '%.64s'", r->method);

	if (nearest != NULL)
		phx_ctl_error_add(e, "candidates", json_pack("[s]", nearest));
	phx_ctl_error_add(e, "hint", json_string("phoenix-cli rpc methods"));
	return rc;
}

static int check_role(
	const struct phx_ctl_method *m, const struct phx_ctl_peer *peer, struct phx_ctl_error *e)
{
	if (peer->role >= m->role)
		return 0;
	int rc = phx_ctl_error_set(e, PHX_PERMISSION_DENIED, "%s needs role %s, uid %u has %s",
		m->name, phx_ctl_role_name(m->role), (unsigned)peer->uid,
		phx_ctl_role_name(peer->role));
	phx_ctl_error_add(e, "hint",
		json_string(m->role == PHX_CTL_ADM ? "root and group phoenix-admin may"
						   : "root, groups phoenix-admin and "
						     "phoenix-operator may"));
	return rc;
}

// Start one element of a frame. The answer may be there on return.
static void call_start(struct slot *slot, unsigned index, json_t *message)
{
	struct phx_ctl_server *s = slot->conn->server;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct phx_ctl_request r;
	struct phx_ctl_call *c = slot->calls[index];
	int rc = phx_ctl_request_check(message, &r, &e);

	s->stats.requests_total++;
	c->id = r.id;
	c->params = r.params;
	if (rc != 0) {
		if (c->id == NULL) // an invalid request is answered even without id
			c->id = json_null();
	} else {
		rc = check_method(s, &r, &c->method, &e);
	}
	if (rc == 0)
		rc = check_role(c->method, &c->peer, &e);
	if (rc == 0)
		rc = phx_ctl_method_validate(c->method, c->params, &e);
	if (rc != 0) {
		phx_ctl_call_fail(c, &e);
		phx_ctl_error_fini(&e);
		return;
	}
	if (!call_builtin(c))
		find_handler(s, c->method->name)(s->options.arg, c);
}

static struct slot *slot_create(struct conn *conn, unsigned count, bool batch)
{
	struct slot *slot = calloc(1, sizeof(*slot));

	if (slot == NULL)
		return NULL;
	phx_list_init(&slot->in_conn);
	slot->conn = conn;
	slot->batch = batch;
	slot->calls = calloc(count, sizeof(struct phx_ctl_call *));
	if (slot->calls == NULL)
		goto destroy;
	slot->count = count;
	for (unsigned i = 0; i < count; i++) {
		struct phx_ctl_call *c = calloc(1, sizeof(*c));

		if (c == NULL)
			goto destroy;
		phx_list_add_tail(&conn->server->calls, &c->in_server);
		c->server = conn->server;
		c->slot = slot;
		c->peer = conn->peer;
		c->answered = true; // so far nobody else holds it
		slot->calls[i] = c;
	}
	return slot;

destroy:
	phx_ctl_slot_destroy(slot);
	return NULL;
}

static void dispatch_elements(struct conn *conn, json_t *message)
{
	bool batch = json_is_array(message);
	unsigned count = batch ? (unsigned)json_array_size(message) : 1;
	struct slot *slot = slot_create(conn, count, batch);

	if (slot == NULL) {
		conn->dead = true;
		return;
	}
	phx_list_add_tail(&conn->slots, &slot->in_conn);
	conn->pending++;
	slot->open = count + 1; // the extra one keeps the slot while we walk it
	for (unsigned i = 0; i < count; i++)
		slot->calls[i]->answered = false;
	for (unsigned i = 0; i < count; i++)
		call_start(slot, i, batch ? json_array_get(message, i) : message);
	slot->open--;
}

void phx_ctl_dispatch_error(struct conn *conn, const struct phx_ctl_error *e)
{
	struct slot *slot = slot_create(conn, 1, false);

	conn->server->stats.errors_total++;
	if (slot == NULL) {
		conn->dead = true;
		return;
	}
	slot->calls[0]->response = phx_ctl_response_error(NULL, e);
	phx_list_add_tail(&conn->slots, &slot->in_conn);
	conn->pending++;
}

void phx_ctl_dispatch(struct conn *conn, const char *text, size_t len)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *message = NULL;
	int rc = phx_ctl_message_parse(text, len, &message, &e);

	if (rc == 0 && json_is_array(message)) {
		if (json_array_size(message) == 0) {
			rc = phx_ctl_error_set(&e, PHX_CTL_INVALID_REQUEST, "the batch is empty");
		} else if (json_array_size(message) > PHX_LIMIT_JSON_PENDING) {
			rc = phx_ctl_error_set(&e, PHX_CTL_INVALID_REQUEST,
				"a batch has at most %d requests", PHX_LIMIT_JSON_PENDING);
		}
	}
	if (rc == 0) {
		dispatch_elements(conn, message);
	} else {
		conn->server->stats.requests_total++;
		phx_ctl_dispatch_error(conn, &e);
	}
	phx_ctl_error_fini(&e);
	json_decref(message);
}

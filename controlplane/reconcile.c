// SPDX-License-Identifier: BSD-3-Clause
// The conversation with the dataplane behind reconcile.h.
#include "controlplane/reconcile.h"

#include "controlplane/aside.h"
#include "controlplane/dial.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_NS (50 * PHX_NS_PER_MS)
#define BACKOFF_MAX_NS (2 * PHX_NS_PER_S)
#define TIMEOUT_NS     (2 * PHX_NS_PER_S)

struct reconcile {
	struct loop *loop;
	const char *path;
	struct state *state;
	struct events *events;
	struct follow *follow;
	struct phx_ctl_client *client; // NULL: down
	struct asides asides;
	struct loop_source source;
	struct loop_source timer; // dial again, or ask again
	uint64_t backoff_ns;
	bool busy;	 // a rules.get or rules.push is under way
	uint64_t pushed; // generation in the push that is under way
	bool synced, resynced;
	bool push_failed; // error is why the dataplane does not take what is pushed
	uint64_t generation;
	uint64_t pushes_total;
	char instance[64];
	char error[PHX_CTL_ERROR_TEXT];
};

static void ask(struct reconcile *r);
static void push(struct reconcile *r);

static void retry_later(struct reconcile *r)
{
	loop_set_timer(&r->timer, r->backoff_ns);
	r->backoff_ns = r->backoff_ns * 2 < BACKOFF_MAX_NS ? r->backoff_ns * 2 : BACKOFF_MAX_NS;
}

static void note_error(struct reconcile *r, const char *text)
{
	if (strcmp(r->error, text) != 0)
		phx_log_warn("reconcile", "dataplane is not in step: %s", text);
	(void)snprintf(r->error, sizeof(r->error), "%s", text);
	r->push_failed = false;
	r->synced = false;
}

static void note_synced(struct reconcile *r, uint64_t generation)
{
	if (!r->synced)
		phx_log_info("reconcile", "dataplane has generation %llu",
			(unsigned long long)generation);
	r->generation = generation;
	r->synced = true;
	r->resynced = true;
	r->error[0] = '\0';
	r->push_failed = false;
	r->backoff_ns = BACKOFF_MIN_NS;
}

// Stays the reason until a push succeeds or the dataplane cannot be reached any more, also when
// the connection is lost over it.
static void note_push_error(struct reconcile *r, const char *why)
{
	char text[PHX_CTL_ERROR_TEXT];

	(void)snprintf(text, sizeof(text), "the push of generation %llu failed: %.200s",
		(unsigned long long)r->pushed, why);
	note_error(r, text);
	r->push_failed = true;
}

static void push_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct reconcile *r = arg;

	r->busy = false;
	if (result == NULL) {
		note_push_error(r, e->text);
		retry_later(r);
		return;
	}
	r->pushes_total++;
	events_add(r->events, "rules.pushed", "dataplane",
		json_pack("{s:o}", "generation",
			json_sprintf("%llu", (unsigned long long)r->pushed)));
	if (r->pushed != r->state->generation)
		push(r); // changed meanwhile
	else
		note_synced(r, r->pushed);
}

static void push(struct reconcile *r)
{
	json_t *params = json_pack("{s:O}", "document", r->state->document->json);

	r->busy = true;
	r->pushed = r->state->generation;
	if (params == NULL || phx_ctl_client_send(r->client, "rules.push", params, TIMEOUT_NS,
				      push_done, r) != 0) {
		r->busy = false;
		note_push_error(r, "it cannot be sent");
		retry_later(r);
	}
	json_decref(params);
}

// Our journal was lost or restored: intent still wins, above what the dataplane has.
static int overtake(struct reconcile *r, uint64_t generation)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	int rc = state_raise(r->state, generation, &e);

	if (rc == 0)
		phx_log_warn("reconcile",
			"dataplane was at generation %llu, ahead of the journal; intent is pushed "
			"as %llu",
			(unsigned long long)generation, (unsigned long long)r->state->generation);
	else
		note_error(r, e.text);
	phx_ctl_error_fini(&e);
	return rc;
}

static void compare(struct reconcile *r, json_t *rules)
{
	const char *text = json_string_value(json_object_get(rules, "generation"));
	const char *digest = json_string_value(json_object_get(rules, "digest"));
	const char *instance = json_string_value(json_object_get(rules, "instance"));
	uint64_t generation = text != NULL ? strtoull(text, NULL, 10) : 0;

	(void)snprintf(r->instance, sizeof(r->instance), "%s", instance != NULL ? instance : "");
	r->generation = generation;
	if (text != NULL && generation == r->state->generation && digest != NULL &&
		strcmp(digest, r->state->document->digest) == 0) {
		note_synced(r, generation);
		return;
	}
	if (text != NULL && generation >= r->state->generation && overtake(r, generation) != 0) {
		retry_later(r);
		return;
	}
	push(r);
}

static void ask_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct reconcile *r = arg;

	r->busy = false;
	if (result != NULL) {
		compare(r, result);
		return;
	}
	note_error(r, e->text);
	retry_later(r);
}

static void ask(struct reconcile *r)
{
	r->busy = true;
	if (phx_ctl_client_send(r->client, "rules.get", NULL, TIMEOUT_NS, ask_done, r) != 0) {
		r->busy = false;
		retry_later(r);
	}
}

static void hang_up(struct reconcile *r)
{
	struct phx_ctl_client *client = r->client;

	loop_del(r->loop, &r->source);
	r->client = NULL;
	r->instance[0] = '\0';
	phx_ctl_client_destroy(client); // ends what is under way
	r->busy = false;
	r->synced = false;
}

static void client_ready(void *arg)
{
	struct reconcile *r = arg;
	bool synced = r->synced; // before the loss ends what is under way
	int rc = phx_ctl_client_process(r->client);

	if (rc == 0)
		return;
	hang_up(r);
	phx_log_warn("reconcile", "dataplane is gone: %s", strerror(-rc));
	events_add(r->events, "dataplane.down", "dataplane",
		json_pack("{s:s}", "text", strerror(-rc)));
	if (!r->push_failed)
		(void)snprintf(r->error, sizeof(r->error), "the dataplane is down");
	// One that never came in step is not dialled more often for that.
	if (synced)
		r->backoff_ns = BACKOFF_MIN_NS;
	retry_later(r);
}

static void dial(struct reconcile *r)
{
	int rc = dial_dataplane(r->path, &r->client);

	if (rc == 0) {
		r->source.fd = phx_ctl_client_fd(r->client);
		rc = loop_add(r->loop, &r->source);
		if (rc != 0) {
			phx_ctl_client_destroy(r->client);
			r->client = NULL;
		}
	}
	if (rc != 0) {
		char text[PHX_CTL_ERROR_TEXT];

		(void)snprintf(text, sizeof(text), "%s: %s", r->path, strerror(-rc));
		note_error(r, text);
		retry_later(r);
		return;
	}
	phx_log_info("reconcile", "dataplane is there");
	events_add(r->events, "dataplane.up", "dataplane", NULL);
	follow_now(r->follow);
	ask(r);
}

static void timer_fired(void *arg)
{
	struct reconcile *r = arg;

	loop_set_timer(&r->timer, 0);
	if (r->client == NULL)
		dial(r);
	else if (!r->busy && !r->synced)
		ask(r);
}

int reconcile_create(const struct reconcile_config *config, struct reconcile **out_reconcile)
{
	struct reconcile *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return -ENOMEM;
	r->loop = config->loop;
	r->path = config->path;
	r->state = config->state;
	r->events = config->events;
	r->follow = config->follow;
	r->backoff_ns = BACKOFF_MIN_NS;
	asides_init(&r->asides, r->loop, r->path);
	r->source = (struct loop_source){.fd = -1, .fn = client_ready, .arg = r};
	r->timer = (struct loop_source){.fd = -1, .fn = timer_fired, .arg = r};
	rc = loop_add_timer(r->loop, &r->timer);
	if (rc != 0) {
		free(r);
		return rc;
	}
	loop_set_timer(&r->timer, 1);
	*out_reconcile = r;
	return 0;
}

void reconcile_destroy(struct reconcile *r)
{
	if (r == NULL)
		return;
	asides_fini(&r->asides);
	if (r->client != NULL)
		hang_up(r);
	loop_del_timer(r->loop, &r->timer);
	free(r);
}

void reconcile_push(struct reconcile *r)
{
	r->synced = false;
	if (r->client != NULL && !r->busy)
		push(r);
}

int reconcile_request(struct reconcile *r, const char *method, json_t *params, uint64_t timeout_ns,
	phx_ctl_done_fn done, void *arg)
{
	if (r->client == NULL)
		return -ENOTCONN;
	return phx_ctl_client_send(r->client, method, params, timeout_ns, done, arg);
}

int reconcile_request_aside(struct reconcile *r, const char *method, json_t *params,
	uint64_t timeout_ns, phx_ctl_done_fn done, void *arg)
{
	if (r->client == NULL)
		return -ENOTCONN;
	return asides_request(&r->asides, method, params, timeout_ns, done, arg);
}

void reconcile_status(const struct reconcile *r, struct reconcile_status *out_status)
{
	*out_status = (struct reconcile_status){
		.up = r->client != NULL,
		.synced = r->synced,
		.resynced = r->resynced,
		.push_failed = r->push_failed,
		.generation = r->generation,
		.pushes_total = r->pushes_total,
		.instance = r->instance,
		.error = r->error,
	};
}

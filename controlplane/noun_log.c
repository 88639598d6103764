// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun log: of this daemon, and what the dataplane says beside it.
#include "controlplane/control.h"

#include "lib/base/clock.h"
#include "lib/ctl/log_levels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 2000
#define SELF	   "controlplane"
#define OTHER	   "dataplane"

struct question {
	struct control *control;
	struct phx_ctl_call *call;
	const char *daemon; // the one that is meant; "": both
	json_t *rows;	    // ours, then the dataplane's too
	bool changed, set;
};

static void question_free(struct question *q)
{
	json_decref(q->rows);
	free(q);
}

// Names of the components of rows, each once.
static void add_names(json_t *names, json_t *rows)
{
	json_t *row, *name;
	size_t i, k;

	json_array_foreach(rows, i, row)
	{
		json_t *component = json_object_get(row, "component");
		bool there = false;

		json_array_foreach(names, k, name)
		{
			there |= json_equal(name, component);
		}
		if (!there)
			(void)json_array_append(names, component); // best effort
	}
}

// No component matches: say which there are. others: rows of the dataplane, or NULL.
static void fail_missing(struct question *q, json_t *others)
{
	json_t *names = json_array();

	if (strcmp(q->daemon, OTHER) != 0) {
		json_t *own = phx_ctl_log_rows(SELF, NULL);

		add_names(names, own);
		json_decref(own);
	}
	add_names(names, others);
	phx_ctl_call_not_found(q->call, "component", "component",
		phx_ctl_call_string(q->call, "component", ""), names, "phoenix-cli log get");
	json_decref(names);
	question_free(q);
}

// The dataplane has not answered what only it may have.
static void fail_down(struct question *q, int rc)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	const char *glob = phx_ctl_call_string(q->call, "component", NULL);

	if (rc != -ENOTCONN)
		(void)phx_ctl_error_set(&e, PHX_INTERNAL, "out of memory");
	else if (strcmp(q->daemon, OTHER) == 0 || glob == NULL)
		(void)phx_ctl_error_set(&e, PHX_UNAVAILABLE, "the dataplane is down");
	else
		(void)phx_ctl_error_set(&e, PHX_UNAVAILABLE,
			"the control plane has no component '%s', and the dataplane is down", glob);
	if (rc == -ENOTCONN)
		phx_ctl_error_add(&e, "hint", json_string("phoenix-cli system status"));
	phx_ctl_call_fail(q->call, &e);
	phx_ctl_error_fini(&e);
	question_free(q);
}

static void names_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	(void)e; // without an answer there are only our own names
	fail_missing(arg, json_object_get(result, "levels"));
}

// Answer with all rows there are; takes the question.
static void answer(struct question *q)
{
	const char *glob = phx_ctl_call_string(q->call, "component", NULL);

	if (json_array_size(q->rows) == 0 && glob != NULL) {
		if (strcmp(q->daemon, SELF) == 0 ||
			reconcile_request(q->control->reconcile, "log.get", NULL,
				TIMEOUT_MS * PHX_NS_PER_MS, names_done, q) != 0)
			fail_missing(q, NULL);
		return;
	}
	if (q->set)
		phx_ctl_call_reply(
			q->call, json_pack("{s:b, s:O}", "changed", q->changed, "levels", q->rows));
	else
		phx_ctl_call_reply(q->call, json_pack("{s:O}", "levels", q->rows));
	question_free(q);
}

static void dataplane_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct question *q = arg;

	if (e != NULL) {
		phx_ctl_call_fail(q->call, e);
		question_free(q);
		return;
	}
	(void)json_array_extend(q->rows, json_object_get(result, "levels")); // best effort
	q->changed |= json_is_true(json_object_get(result, "changed"));
	answer(q);
}

// Ours is done; the dataplane's part follows where it is meant and there.
static void ask_dataplane(struct question *q)
{
	int64_t timeout_ms = phx_ctl_call_int(q->call, "timeout_ms", TIMEOUT_MS);
	int rc;

	if (strcmp(q->daemon, SELF) == 0) {
		answer(q);
		return;
	}
	rc = reconcile_request(q->control->reconcile, phx_ctl_call_method(q->call)->name,
		phx_ctl_call_params(q->call), (uint64_t)timeout_ms * PHX_NS_PER_MS, dataplane_done,
		q);
	if (rc == 0)
		return;
	// A dataplane that is down has no levels; who asks for what only it may have is told.
	if (rc == -ENOTCONN && json_array_size(q->rows) != 0)
		answer(q);
	else
		fail_down(q, rc);
}

static struct question *question_create(
	struct control *control, struct phx_ctl_call *call, bool set)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
	else
		*q = (struct question){
			.control = control,
			.call = call,
			.daemon = phx_ctl_call_string(call, "daemon", ""),
			.rows = json_array(),
			.set = set,
		};
	return q;
}

void noun_log_get(void *arg, struct phx_ctl_call *call)
{
	struct question *q = question_create(arg, call, false);

	if (q == NULL)
		return;
	if (strcmp(q->daemon, OTHER) != 0) {
		json_decref(q->rows);
		q->rows = phx_ctl_log_rows(SELF, phx_ctl_call_string(call, "component", NULL));
	}
	ask_dataplane(q);
}

void noun_log_set(void *arg, struct phx_ctl_call *call)
{
	const char *glob = phx_ctl_call_string(call, "component", "*");
	enum phx_log_level level = PHX_LOG_INFO;
	struct question *q = question_create(arg, call, true);

	if (q == NULL)
		return;
	(void)phx_log_level_parse(phx_ctl_call_string(call, "level", "info"), &level); // checked
	if (strcmp(q->daemon, OTHER) != 0) {
		(void)phx_ctl_log_set(glob, level, &q->changed);
		json_decref(q->rows);
		q->rows = phx_ctl_log_rows(SELF, glob);
	}
	ask_dataplane(q);
}

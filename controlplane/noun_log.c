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
	struct phx_ctl_call *call;
	json_t *rows; // ours
	bool changed, set;
};

static json_t *component_names(const char *daemon)
{
	json_t *rows = phx_ctl_log_rows(daemon, NULL), *names = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		(void)json_array_append(names, json_object_get(row, "component")); // best effort
	}
	json_decref(rows);
	return names;
}

// Answer with all rows there are; takes the question.
static void answer(struct question *q)
{
	const char *glob = phx_ctl_call_string(q->call, "component", NULL);

	if (json_array_size(q->rows) == 0 && glob != NULL) {
		json_t *names = component_names(SELF);

		phx_ctl_call_not_found(
			q->call, "component", "component", glob, names, "phoenix-cli log get");
		json_decref(names);
		json_decref(q->rows);
	} else if (q->set) {
		phx_ctl_call_reply(
			q->call, json_pack("{s:b, s:o}", "changed", q->changed, "levels", q->rows));
	} else {
		phx_ctl_call_reply(q->call, json_pack("{s:o}", "levels", q->rows));
	}
	free(q);
}

static void dataplane_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct question *q = arg;

	if (e != NULL) {
		phx_ctl_call_fail(q->call, e);
		json_decref(q->rows);
		free(q);
		return;
	}
	(void)json_array_extend(q->rows, json_object_get(result, "levels")); // best effort
	q->changed |= json_is_true(json_object_get(result, "changed"));
	answer(q);
}

// Ours is done; the dataplane's part follows where it is meant and there.
static void ask_dataplane(struct control *c, struct question *q, const char *daemon)
{
	int64_t timeout_ms = phx_ctl_call_int(q->call, "timeout_ms", TIMEOUT_MS);
	int rc = 0;

	if (strcmp(daemon, SELF) != 0)
		rc = reconcile_request(c->reconcile, phx_ctl_call_method(q->call)->name,
			phx_ctl_call_params(q->call), (uint64_t)timeout_ms * PHX_NS_PER_MS,
			dataplane_done, q);
	// A dataplane that is down has no levels; who asks for it alone is told.
	if (strcmp(daemon, SELF) == 0 || (rc == -ENOTCONN && strcmp(daemon, OTHER) != 0)) {
		answer(q);
	} else if (rc != 0) {
		phx_ctl_call_fail_code(q->call, rc == -ENOTCONN ? PHX_UNAVAILABLE : PHX_INTERNAL,
			rc == -ENOTCONN ? "the dataplane is down" : "out of memory");
		json_decref(q->rows);
		free(q);
	}
}

static struct question *question_create(struct phx_ctl_call *call, bool set)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
	else
		*q = (struct question){.call = call, .rows = json_array(), .set = set};
	return q;
}

void noun_log_get(void *arg, struct phx_ctl_call *call)
{
	const char *daemon = phx_ctl_call_string(call, "daemon", "");
	struct question *q = question_create(call, false);

	if (q == NULL)
		return;
	if (strcmp(daemon, OTHER) != 0) {
		json_decref(q->rows);
		q->rows = phx_ctl_log_rows(SELF, phx_ctl_call_string(call, "component", NULL));
	}
	ask_dataplane(arg, q, daemon);
}

void noun_log_set(void *arg, struct phx_ctl_call *call)
{
	const char *daemon = phx_ctl_call_string(call, "daemon", "");
	const char *glob = phx_ctl_call_string(call, "component", "*");
	enum phx_log_level level = PHX_LOG_INFO;
	struct question *q = question_create(call, true);

	if (q == NULL)
		return;
	(void)phx_log_level_parse(phx_ctl_call_string(call, "level", "info"), &level); // checked
	if (strcmp(daemon, OTHER) != 0) {
		(void)phx_ctl_log_set(glob, level, &q->changed);
		json_decref(q->rows);
		q->rows = phx_ctl_log_rows(SELF, glob);
	}
	ask_dataplane(arg, q, daemon);
}

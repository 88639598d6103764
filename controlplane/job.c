// SPDX-License-Identifier: BSD-3-Clause
// Life of jobs, for job.h. Works with dataplane/control/api_flow.c at the other end.
#include "controlplane/job.h"

#include "controlplane/control.h"

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_KEPT	64
#define JOBS_RUNNING	64
#define WAITERS_MAX	32
#define STEP_NS		(20 * PHX_NS_PER_MS)
#define STEP_TIMEOUT_NS (2 * PHX_NS_PER_S)

enum job_state { JOB_RUNNING, JOB_DONE, JOB_FAILED };

struct job {
	struct phx_list node;
	struct jobs *jobs;
	char name[24];
	char object[PHX_CTL_NAME_BYTES + 1];
	const char *kind; // its method
	struct job_plan plan;
	enum job_state state;
	bool closing;  // the last step is under way
	bool asked;    // an answer of the dataplane is awaited
	bool answered; // a step has found the object
	uint64_t deadline_ns;
	struct loop_source timer;
	json_int_t inflight, cut;
	json_t *started_at, *ended_at;
	struct phx_ctl_error error;		   // code 0: none
	struct phx_ctl_call *waiters[WAITERS_MAX]; // NULL: free
};

static void step(struct job *j);

void jobs_init(struct jobs *jobs, struct loop *loop, struct control *control)
{
	*jobs = (struct jobs){.loop = loop, .control = control, .next_id = 1};
	phx_list_init(&jobs->all);
}

// As in the error of a call, less what concerns the request.
static void add_error(json_t *row, const struct phx_ctl_error *e)
{
	static const char *const members[] = {"hint", "candidates"};

	(void)json_object_set_new(row, "error", json_string(e->text));
	(void)json_object_set_new(row, "code", json_integer(e->code));
	(void)json_object_set_new(row, "status", json_string(phx_ctl_code_name(e->code)));
	for (size_t i = 0; i < PHX_ARRAY_LEN(members); i++) {
		json_t *value = json_object_get(e->data, members[i]);

		if (value != NULL)
			(void)json_object_set(row, members[i], value);
	}
}

static json_t *job_json(const struct job *j)
{
	static const char *const states[] = {"running", "done", "failed"};
	json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:O}", "job", j->name, "kind",
		j->kind, "object", j->object, "state", states[j->state], "inflight", j->inflight,
		"cut", j->cut, "started_at", j->started_at);

	if (j->ended_at != NULL)
		(void)json_object_set(row, "ended_at", j->ended_at);
	if (j->error.code != 0)
		add_error(row, &j->error);
	return row;
}

static void job_free(struct job *j)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(j->waiters); i++)
		if (j->waiters[i] != NULL)
			phx_ctl_call_reply(j->waiters[i], job_json(j));
	if (j->state == JOB_RUNNING) {
		loop_del_timer(j->jobs->loop, &j->timer);
		j->jobs->running--;
	} else {
		j->jobs->over--;
	}
	phx_list_del(&j->node);
	json_decref(j->plan.params);
	json_decref(j->started_at);
	json_decref(j->ended_at);
	phx_ctl_error_fini(&j->error);
	free(j);
}

void jobs_fini(struct jobs *jobs)
{
	struct phx_list *n, *tmp;

	phx_list_for_each_safe (n, tmp, &jobs->all) {
		job_free(phx_list_entry(n, struct job, node));
	}
}

// Keep the last ones that are over.
static void forget_old(struct jobs *jobs)
{
	struct phx_list *n, *tmp;

	phx_list_for_each_safe (n, tmp, &jobs->all) {
		struct job *j = phx_list_entry(n, struct job, node);

		if (jobs->over <= JOBS_KEPT)
			return;
		if (j->state != JOB_RUNNING)
			job_free(j);
	}
}

// error NULL: well.
static void end(struct job *j, const struct phx_ctl_error *error)
{
	struct jobs *jobs = j->jobs;
	bool stop = j->plan.stop && error == NULL;

	j->state = error == NULL ? JOB_DONE : JOB_FAILED;
	if (error != NULL) {
		(void)phx_ctl_error_set(&j->error, error->code, "%s", error->text);
		j->error.data = json_incref(error->data);
	}
	j->ended_at = phx_ctl_wall_time(0);
	loop_del_timer(jobs->loop, &j->timer);
	jobs->running--;
	jobs->over++;
	events_add(&jobs->control->events, error == NULL ? "job.done" : "job.failed", j->name,
		job_json(j));
	for (size_t i = 0; i < PHX_ARRAY_LEN(j->waiters); i++) {
		if (j->waiters[i] != NULL)
			phx_ctl_call_reply(j->waiters[i], job_json(j));
		j->waiters[i] = NULL;
	}
	forget_old(jobs);
	if (stop)
		control_stop(jobs->control);
}

static void end_code(struct job *j, int code, const char *text, const char *hint)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)phx_ctl_error_set(&e, code, "%s", text);
	if (hint != NULL)
		phx_ctl_error_add(&e, "hint", json_string(hint));
	end(j, &e);
	phx_ctl_error_fini(&e);
}

static void stepped(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct job *j = arg;
	bool late = phx_clock_ns() >= j->deadline_ns;

	j->asked = false;
	if (j->state != JOB_RUNNING)
		return;
	// What was there and has gone by itself is what was wanted.
	if (result == NULL && e->code == PHX_NOT_FOUND && j->answered && j->plan.close) {
		end(j, NULL);
		return;
	}
	// A dataplane that is told to end may not have the time to say so.
	if (result == NULL && !(j->closing && j->plan.stop && e->code == PHX_UNAVAILABLE)) {
		end(j, e);
		return;
	}
	j->answered = true;
	if (j->closing) {
		end(j, NULL);
		return;
	}
	j->inflight = json_integer_value(json_object_get(result, "inflight"));
	if (j->inflight != 0 && !late) {
		loop_set_timer(&j->timer, STEP_NS);
		return;
	}
	if (j->plan.close) {
		j->cut = j->inflight;
		j->closing = true;
		step(j);
	} else if (j->inflight != 0) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%lld calls are still under way",
			(long long)j->inflight);
		end_code(j, PHX_DEADLINE_EXCEEDED, text,
			"the host stays drained: wait again, or phoenix-cli system drain resume "
			"yes");
	} else {
		end(j, NULL);
	}
}

static void step(struct job *j)
{
	int rc;

	(void)json_object_set_new(
		j->plan.params, "act", json_string(j->closing ? "close" : "drain"));
	rc = reconcile_request(j->jobs->control->reconcile, j->plan.method, j->plan.params,
		STEP_TIMEOUT_NS, stepped, j);
	if (rc == 0)
		j->asked = true;
	else if (rc == -ENOTCONN && j->plan.stop)
		end(j, NULL); // nothing to end there
	else if (rc == -ENOTCONN)
		end_code(j, PHX_UNAVAILABLE, "the dataplane is down", "phoenix-cli system status");
	else
		end_code(j, PHX_INTERNAL, "out of memory", NULL);
}

static void timer_fired(void *arg)
{
	struct job *j = arg;

	loop_set_timer(&j->timer, 0);
	if (!j->asked)
		step(j);
}

static struct job *job_create(struct jobs *jobs, struct phx_ctl_call *call, struct job_plan plan)
{
	struct job *j = jobs->running < JOBS_RUNNING ? calloc(1, sizeof(*j)) : NULL;

	if (j == NULL)
		return NULL;
	j->timer = (struct loop_source){.fd = -1, .fn = timer_fired, .arg = j};
	if (loop_add_timer(jobs->loop, &j->timer) != 0) {
		free(j);
		return NULL;
	}
	j->jobs = jobs;
	j->plan = plan;
	j->kind = phx_ctl_call_method(call)->name;
	(void)snprintf(j->name, sizeof(j->name), "job-%llu", (unsigned long long)jobs->next_id++);
	(void)snprintf(j->object, sizeof(j->object), "%s", plan.object); // cut when long
	j->started_at = phx_ctl_wall_time(0);
	j->closing = !plan.drain;
	j->deadline_ns =
		phx_clock_ns() +
		(uint64_t)phx_ctl_call_int(call, "timeout_ms", PHX_CTL_JOB_MS) * PHX_NS_PER_MS;
	phx_list_add_tail(&jobs->all, &j->node);
	jobs->running++;
	return j;
}

void jobs_start(struct jobs *jobs, struct phx_ctl_call *call, const struct job_plan *plan)
{
	struct job *j = job_create(jobs, call, *plan);

	if (j == NULL) {
		json_decref(plan->params);
		phx_ctl_call_fail_code(
			call, PHX_RESOURCE_EXHAUSTED, "no memory, or too many jobs run");
		return;
	}
	if (phx_ctl_call_bool(call, "wait"))
		j->waiters[0] = call;
	else
		phx_ctl_call_reply(
			call, json_pack("{s:s, s:s}", "job", j->name, "state", "running"));
	loop_set_timer(&j->timer, 1); // the answer is on its way first
}

void jobs_list(struct jobs *jobs, struct phx_ctl_call *call, uint64_t generation)
{
	json_t *rows = json_array();
	struct phx_list *n;

	phx_list_for_each (n, &jobs->all) {
		(void)json_array_append_new(rows, job_json(phx_list_entry(n, struct job, node)));
	}
	phx_ctl_call_rows(call, "jobs", rows, generation);
}

// NULL: answered.
static struct job *job_of(struct jobs *jobs, struct phx_ctl_call *call)
{
	const char *name = phx_ctl_call_string(call, "job", "");
	json_t *names = json_array();
	struct phx_list *n;

	phx_list_for_each (n, &jobs->all) {
		struct job *j = phx_list_entry(n, struct job, node);

		if (strcmp(j->name, name) == 0) {
			json_decref(names);
			return j;
		}
		(void)json_array_append_new(names, json_string(j->name));
	}
	phx_ctl_call_not_found(call, "job", "job", name, names, "phoenix-cli job list");
	json_decref(names);
	return NULL;
}

void jobs_get(struct jobs *jobs, struct phx_ctl_call *call)
{
	struct job *j = job_of(jobs, call);

	if (j != NULL)
		phx_ctl_call_reply(call, job_json(j));
}

void jobs_wait(struct jobs *jobs, struct phx_ctl_call *call)
{
	struct job *j = job_of(jobs, call);

	if (j == NULL)
		return;
	for (size_t i = 0; j->state == JOB_RUNNING && i < PHX_ARRAY_LEN(j->waiters); i++) {
		if (j->waiters[i] == NULL) {
			j->waiters[i] = call;
			return;
		}
	}
	phx_ctl_call_reply(call, job_json(j)); // over, or too many wait already
}

// SPDX-License-Identifier: BSD-3-Clause
// Callbacks of what phx_poll() took, on the polling thread. Works with queue_poll.c.
#include "lib/app/burst.h"

#include "lib/app/runner.h"

#include <stdio.h>

PHX_COLD static void event_end_text(struct phx_context *ctx, struct phx_status *status)
{
	phx_lock_take(&ctx->end_lock);
	(void)snprintf(status->text, sizeof(status->text), "%s", ctx->end.text);
	phx_lock_give(&ctx->end_lock);
}

void phx_event_run_call(struct phx_event *ev)
{
	struct phx_call *call = ev->call;
	struct phx_message *reply = NULL;
	struct phx_status status;

	if (call->request != NULL) {
		phx_message_recycle(call->request);
		call->request = NULL;
	}
	status.code = ev->code;
	status.origin = ev->origin;
	status.executed = ev->executed;
	status.reason = ev->reason;
	status.text[0] = '\0';
	if (ev->text_len != 0)
		(void)snprintf(
			status.text, sizeof(status.text), "%.*s", (int)ev->text_len, ev->text);
	if (phx_unlikely(ev->ended))
		event_end_text(call->queue->context, &status);
	if (ev->code == PHX_OK && ev->message != NULL && ev->message->root != NULL)
		reply = ev->message;
	else if (ev->code == PHX_OK && call->output != NULL)
		phx_status_fill(&status, PHX_INTERNAL, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_YES,
			PHX_REASON_SCHEMA, "reply without a message of the method's type");
	if (reply == NULL)
		phx_message_release(ev->message);
	if (phx_likely(call->fn != NULL))
		call->fn(call->arg, reply, &status);
	else
		phx_message_release(reply);
}

// Requests for one runner, from event `i` on; the event behind them.
static unsigned burst_give(struct phx_burst *b, unsigned i)
{
	struct phx_runner *runner = b->events[i].runner;
	unsigned given = 0;

	for (; i < b->count && b->events[i].runner == runner; i++) {
		if (phx_likely(phx_runner_give(runner, b->events[i].request)))
			given++;
		else
			phx_request_refuse(b->events[i].request);
	}
	phx_runner_given(runner, given);
	return i;
}

void phx_burst_run(struct phx_queue *q, struct phx_burst *b)
{
	const struct phx_queue *outer = phx_queue_polled;

	phx_queue_polled = q;
	for (unsigned i = 0; i < b->count;) {
		if (b->events[i].runner != NULL) {
			i = burst_give(b, i);
			continue;
		}
		if (b->events[i].call != NULL)
			phx_event_run_call(&b->events[i]);
		else if (b->events[i].request != NULL)
			phx_request_dispatch(b->events[i].request);
		i++;
	}
	phx_queue_polled = outer;
}

void phx_burst_end(struct phx_queue *q, struct phx_burst *b)
{
	for (unsigned i = 0; i < b->count; i++) {
		if (b->events[i].call != NULL)
			phx_call_recycle(q, b->events[i].call);
		if (phx_unlikely(b->events[i].runner != NULL))
			phx_runner_put(b->events[i].runner);
	}
}

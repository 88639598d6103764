// SPDX-License-Identifier: BSD-3-Clause
// The end of an application (reliability.md 5.7): CLOSING, session closed on its worker, quiet,
// all workers past a quiescent point, then memory and descriptors back. One owner, the
// control thread; every step may be repeated.
#include "dataplane/frontend/attach_app.h"

#include "dataplane/core/chain.h"
#include "dataplane/core/event.h"
#include "dataplane/core/registry.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <rte_rcu_qsbr.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POLL_NS PHX_NS_PER_MS

uint64_t attach_wall_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts); // cannot fail for this clock
	return (uint64_t)ts.tv_sec * PHX_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void remember(const struct attach_app *app, enum phx_reason reason, const char *text)
{
	struct attach_server *server = app->server;
	struct attach_history *h = &server->history[server->history_count++ % ATTACH_HISTORY];

	*h = (struct attach_history){
		.id = app->id,
		.uid = app->identity.uid,
		.pid = app->identity.pid,
		.reason = reason,
		.time_ns = attach_wall_ns(),
	};
	(void)snprintf(h->name, sizeof(h->name), "%s", app->name);
	(void)snprintf(h->claim, sizeof(h->claim), "%s", app->claim); // cut off when long
	(void)snprintf(h->text, sizeof(h->text), "%s", text);
	server->stats.disconnects[reason]++;
	if (app->rule[0] != '\0') { // what no rule let in is no application
		char id[EVENT_ID_BYTES];

		EVENT_TELL("app.detached", event_id(id, "app", app->id), {"name", app->name},
			{"claimed_name", app->claim}, {"reason", phx_reason_name(reason)},
			{"text", text});
	}
	if (reason == PHX_REASON_APP_EXIT || reason == PHX_REASON_DETACHED ||
		reason == PHX_REASON_DP_RESTART ||
		atomic_load_explicit(&app->failed, memory_order_relaxed)) // logged by the session
		phx_log_debug("attach", "app-%llu: %s: %s", (unsigned long long)app->id,
			phx_reason_name(reason), text);
	else
		phx_log_warn("attach", "app-%llu: uid %u pid %d disconnected, %s: %s",
			(unsigned long long)app->id, app->identity.uid, app->identity.pid,
			phx_reason_name(reason), text);
}

void attach_server_check_stopped(struct attach_server *server)
{
	if (server->stopping && server->stopped != NULL && phx_list_empty(&server->apps)) {
		void (*stopped)(void *arg) = server->stopped;

		server->stopped = NULL;
		stopped(server->stopped_arg);
	}
}

static void app_free(struct worker *worker, struct timer *timer)
{
	struct attach_app *app = phx_container_of(timer, struct attach_app, timer);
	struct attach_server *server = app->server;
	uint32_t i;

	(void)worker;
	if (server->config.chains != NULL && app->session != NULL)
		chain_session_remove(server->config.chains, session_chain_slot(app->session));
	session_destroy(app->session);
	if (app->worker != NULL)
		stats_reclaim(app->worker->calls);
	for (i = 0; i < app->queue_count; i++) {
		if (app->queues[i].notify_fd >= 0)
			close(app->queues[i].notify_fd);
	}
	attach_object_fini(&app->objects[0]);
	attach_object_fini(&app->objects[1]);
	if (app->doorbell >= 0)
		close(app->doorbell);
	if (app->job.notify)
		close((int)app->job.handle);
	phx_schema_free(app->job.owned_schema);
	free(app->upload);
	attach_budget_give(&server->budget, app->schema_bytes);
	phx_list_del(&app->node);
	server->app_count--;
	free(app);
	attach_server_check_stopped(server);
}

static void app_poll(struct worker *worker, struct timer *timer);

static void poll_again(struct attach_app *app)
{
	ctl_timer_start(app->server->config.loop, &app->timer, phx_clock_ns() + POLL_NS, app_poll);
}

// Back on control: everything the worker posted for this application came before.
static void app_passed(struct worker *worker, struct cmd *cmd)
{
	struct attach_app *app = phx_container_of(cmd, struct attach_app, close_cmd);

	(void)worker;
	app->close_passed = true;
	app->close_token = rte_rcu_qsbr_start(app->server->config.qsbr);
	poll_again(app);
}

static void app_pass(struct worker *worker, struct cmd *cmd)
{
	struct attach_app *app = phx_container_of(cmd, struct attach_app, close_cmd);

	(void)worker;
	ctl_post(app->server->config.loop, cmd, app_passed);
}

static void app_poll(struct worker *worker, struct timer *timer)
{
	struct attach_app *app = phx_container_of(timer, struct attach_app, timer);

	if (!session_is_quiet(app->session))
		poll_again(app);
	else if (!app->close_passed)
		worker_post(app->worker, &app->close_cmd, app_pass);
	else if (rte_rcu_qsbr_check(app->server->config.qsbr, app->close_token, false) != 1)
		poll_again(app);
	else
		app_free(worker, timer);
}

static void app_closed(struct worker *worker, struct cmd *cmd)
{
	struct attach_app *app = phx_container_of(cmd, struct attach_app, close_cmd);

	app_poll(worker, &app->timer);
}

static void app_close_session(struct worker *worker, struct cmd *cmd)
{
	struct attach_app *app = phx_container_of(cmd, struct attach_app, close_cmd);

	(void)worker;
	session_close(app->session, app->reason);
	ctl_post(app->server->config.loop, cmd, app_closed);
}

void attach_close_continue(struct attach_app *app)
{
	if (app->started)
		worker_post(app->worker, &app->close_cmd, app_close_session);
	else // not from here: callers may still look at it
		ctl_timer_start(app->server->config.loop, &app->timer, 0, app_free);
}

void attach_close(struct attach_app *app, enum phx_reason reason, const char *text)
{
	struct attach_server *server = app->server;

	if (app->ending)
		return;
	app->ending = true; // sending may find the socket broken and come here again
	remember(app, reason, text != NULL ? text : "");
	if (reason != PHX_REASON_APP_EXIT && app->packet_count < ATTACH_SEND_QUEUE)
		attach_refuse(app, 0, PHX_UNAVAILABLE, reason, text);
	if (app->state != ATTACH_READY)
		server->pending_count--;
	app->state = ATTACH_CLOSING;
	app->reason = reason;
	ctl_del(server->config.loop, &app->socket);
	ctl_del(server->config.loop, &app->process);
	ctl_timer_stop(server->config.loop, &app->timer);
	ctl_timer_stop(server->config.loop, &app->retry);
	close(app->socket.fd);
	app->socket.fd = -1;
	identity_fini(&app->identity);
	app->process.fd = -1;
	attach_packets_drop(app);
	if (app->registered)
		registry_remove(server->config.registry, app->session, UINT32_MAX);
	if (!app->busy)
		attach_close_continue(app);
}

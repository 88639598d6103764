// SPDX-License-Identifier: BSD-3-Clause
// Moves an application's session to another worker on an operator's order. While it moves the
// application is not read, like during a job; no worker serves its services, and peers wait for
// them. Control thread. Works with session_move.c.
#include "dataplane/frontend/attach_app.h"

#include "dataplane/core/registry.h"
#include "dataplane/frontend/session_move.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdlib.h>

struct attach_move {
	struct session_move move;
	struct cmd cmd;
	struct attach_app *app;
	attach_moved_fn fn;
	void *arg;
};

static void services_at(struct attach_app *app, unsigned worker)
{
	if (app->registered)
		registry_move(app->server->config.registry, app->session, worker);
}

static void moved(struct worker *worker, struct cmd *cmd)
{
	struct attach_move *m = phx_container_of(cmd, struct attach_move, cmd);
	struct attach_app *app = m->app;
	int rc = m->move.rc;

	(void)worker;
	if (rc == 0)
		app->worker = m->move.to;
	services_at(app, app->worker->index);
	if (rc == 0)
		phx_log_info("attach", "app-%llu: moved from worker %u to %u, calls waited %llu us",
			(unsigned long long)app->id, m->move.from->index, m->move.to->index,
			(unsigned long long)(m->move.pause_ns / 1000));
	m->fn(m->arg, rc, m->move.pause_ns);
	app->moving = false;
	if (app->want_deferred)
		attach_session_want(app);
	attach_set_busy(app, false);
	free(m);
}

// On a worker.
static void move_done(struct session_move *move)
{
	struct attach_move *m = phx_container_of(move, struct attach_move, move);

	ctl_post(m->app->server->config.loop, &m->cmd, moved);
}

static void start_here(struct worker *worker, struct cmd *cmd)
{
	struct attach_move *m = phx_container_of(cmd, struct attach_move, cmd);

	(void)worker;
	session_move_start(&m->move);
}

static struct attach_app *app_find(struct attach_server *server, uint64_t id)
{
	struct phx_list *n;

	phx_list_for_each (n, &server->apps) {
		struct attach_app *app = phx_list_entry(n, struct attach_app, node);

		if (app->id == id)
			return app;
	}
	return NULL;
}

int attach_server_move(struct attach_server *server, uint64_t id, unsigned worker,
	uint64_t limit_ns, attach_moved_fn fn, void *arg)
{
	struct attach_app *app = app_find(server, id);
	struct attach_move *m;

	if (app == NULL)
		return -ENOENT;
	if (worker >= server->config.worker_count)
		return -ERANGE;
	if (app->state != ATTACH_READY || app->busy)
		return -EAGAIN;
	if (app->worker->index == worker)
		return -EALREADY;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->app = app;
	m->fn = fn;
	m->arg = arg;
	m->move = (struct session_move){
		.session = app->session,
		.from = app->worker,
		.to = server->config.workers[worker],
		.limit_ns = limit_ns,
		.done = move_done,
	};
	app->moving = true;
	attach_set_busy(app, true);
	services_at(app, REGISTRY_NOWHERE);
	worker_post(app->worker, &m->cmd, start_here);
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// Accepts connections of app.sock within limits, lists and ends applications. Each of them is
// attach_conn.c's.
#include "dataplane/frontend/attach_app.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_EVENT 16

// Out of descriptors: a pending connection would wake us for ever, so give the reserve up for a
// moment and drop it.
static void drop_one(struct attach_server *server)
{
	int fd;

	server->stats.out_of_files++;
	phx_log_warn("attach", "out of file descriptors, a connection was dropped");
	if (server->reserve_fd >= 0)
		close(server->reserve_fd);
	fd = accept4(server->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

// Connections that have not said hello make room for new ones, the oldest first.
static void drop_oldest_pending(struct attach_server *server)
{
	struct phx_list *node;

	phx_list_for_each (node, &server->apps) {
		struct attach_app *app = phx_list_entry(node, struct attach_app, node);

		if (app->state == ATTACH_HELLO || app->state == ATTACH_MAPPING) {
			server->stats.over_limit++;
			attach_close(app, PHX_REASON_HELLO_TIMEOUT, "too many connections");
			return;
		}
	}
}

static void admit(struct attach_server *server, int fd)
{
	int rc = -ENOSPC;

	if (server->pending_count >= ATTACH_PENDING_MAX)
		drop_oldest_pending(server);
	if (server->app_count < PHX_LIMIT_APPS_MAX + ATTACH_PENDING_MAX &&
		server->app_count - server->pending_count < PHX_LIMIT_APPS_MAX)
		rc = attach_app_accept(server, fd);
	if (rc == 0) {
		server->stats.accepted++;
		return;
	}
	close(fd);
	server->stats.over_limit += rc == -ENOSPC;
	if (rc == -EMFILE || rc == -ENFILE)
		server->stats.out_of_files++;
	if (rc != -ECONNRESET)
		phx_log_warn("attach", "connection refused: %s", strerrorname_np(-rc));
}

static void listener_event(struct ctl_source *source, uint32_t events)
{
	struct attach_server *server = phx_container_of(source, struct attach_server, listener);
	int i;

	(void)events;
	for (i = 0; i < ACCEPTS_PER_EVENT; i++) {
		int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(server, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			drop_one(server);
		return; // EAGAIN, or a connection that is gone already
	}
}

int attach_server_start(
	const struct attach_config *config, int listen_fd, struct attach_server **out)
{
	struct attach_server *server = calloc(1, sizeof(*server));
	int rc = -ENOMEM;

	if (server == NULL)
		return -ENOMEM;
	server->config = *config;
	if (server->config.max_message == 0)
		server->config.max_message = PHX_LIMIT_MESSAGE_BYTES_DEFAULT;
	server->budget.limit = config->app_memory;
	server->listener = (struct ctl_source){listen_fd, listener_event};
	phx_list_init(&server->apps);
	server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	server->packet = malloc(PHX_ATTACH_PACKET_MAX);
	if (server->packet != NULL)
		rc = ctl_add(config->loop, &server->listener, EPOLLIN);
	if (rc != 0) {
		server->listener.fd = -1; // stays the caller's
		attach_server_destroy(server);
		return rc;
	}
	*out = server;
	return 0;
}

static void close_listener(struct attach_server *server)
{
	if (server->listener.fd < 0)
		return;
	ctl_del(server->config.loop, &server->listener);
	close(server->listener.fd);
	server->listener.fd = -1;
}

void attach_server_stop(struct attach_server *server, void (*stopped)(void *arg), void *arg)
{
	struct phx_list *node;

	close_listener(server);
	phx_list_for_each (node, &server->apps) {
		attach_close(phx_list_entry(node, struct attach_app, node), PHX_REASON_DP_RESTART,
			"the dataplane stops");
	}
	server->stopped = stopped;
	server->stopped_arg = arg;
	server->stopping = true;
	attach_server_check_stopped(server);
}

void attach_server_drain(struct attach_server *server, bool drain)
{
	server->draining = drain;
}

void attach_server_destroy(struct attach_server *server)
{
	if (server == NULL)
		return;
	close_listener(server);
	if (server->reserve_fd >= 0)
		close(server->reserve_fd);
	free(server->packet);
	free(server);
}

void attach_server_each(struct attach_server *server, attach_info_fn fn, void *arg)
{
	static const char *const states[] = {"hello", "mapping", "ready", "closing"};
	struct phx_list *node;

	phx_list_for_each (node, &server->apps) {
		const struct attach_app *app = phx_list_entry(node, struct attach_app, node);
		const struct attach_info info = {
			.id = app->id,
			.identity = &app->identity,
			.name = app->name,
			.claim = app->claim,
			.library = app->library,
			.state = states[app->state],
			.rule = app->rule,
			.worker = app->worker != NULL ? app->worker->index : 0,
			.placement = app->placement,
			.fixed = app->fixed,
			.since_ns = app->since_ns,
			.send_bytes = app->objects[0].heap_bytes,
			.recv_bytes = app->objects[1].heap_bytes,
			.send_quota = app->objects[0].heap_quota,
			.recv_quota = app->objects[1].heap_quota,
			.queue_bytes = app->objects[0].bytes - app->objects[0].heap_bytes +
				       app->objects[1].bytes - app->objects[1].heap_bytes,
			.schema_bytes = app->schema_bytes,
			.send_regions = app->objects[0].region_count,
			.recv_regions = app->objects[1].region_count,
			.queues = app->queue_count,
			.schemas = app->schema_count,
			.session = app->state == ATTACH_READY ? app->session : NULL,
		};

		fn(arg, &info);
	}
}

int attach_server_disconnect(
	struct attach_server *server, uint64_t id, enum phx_reason reason, const char *text)
{
	struct phx_list *node;

	phx_list_for_each (node, &server->apps) {
		struct attach_app *app = phx_list_entry(node, struct attach_app, node);

		if (app->id == id && app->state != ATTACH_CLOSING) {
			attach_close(app, reason, text);
			return 0;
		}
	}
	return -ENOENT;
}

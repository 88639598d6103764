// SPDX-License-Identifier: BSD-3-Clause
// The listener, its clients' roles, and the clock; server_conn.c and server_call.c do
// the rest.
#include "lib/ctl/server.h"

#include "lib/base/clock.h"
#include "lib/ctl/message.h"
#include "lib/ctl/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS	      32
#define ACCEPT_ROUND  64
#define GROUPS_MAX    1024
#define REFUSAL_BYTES 256

// Group by name; (gid_t)-1 when there is none.
static gid_t group_id(const char *name)
{
	struct group *g = name != NULL ? getgrnam(name) : NULL;

	return g != NULL ? g->gr_gid : (gid_t)-1;
}

static int spare_open(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void set_defaults(struct phx_ctl_server_options *o)
{
	o->handshake_ns = o->handshake_ns != 0 ? o->handshake_ns : 5 * PHX_NS_PER_S;
	o->request_ns = o->request_ns != 0 ? o->request_ns : 5 * PHX_NS_PER_S;
	o->stall_ns = o->stall_ns != 0 ? o->stall_ns : 10 * PHX_NS_PER_S;
	o->clients_max = o->clients_max != 0 ? o->clients_max : PHX_LIMIT_JSON_CLIENTS;
	o->clients_uid_max =
		o->clients_uid_max != 0 ? o->clients_uid_max : PHX_LIMIT_JSON_CLIENTS_UID;
}

static int watch(struct phx_ctl_server *s, int fd, void *mark)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = mark};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

static int check_bindings(const struct phx_ctl_binding *b, char *why, size_t why_size)
{
	for (; b->method != NULL; b++) {
		if (phx_ctl_method_find(b->method) != NULL)
			continue;
		(void)snprintf(why, why_size, "%s: not in the method table", b->method);
		return -EINVAL;
	}
	return 0;
}

int phx_ctl_server_create(const struct phx_ctl_server_options *options,
	struct phx_ctl_server **out_server, char *why, size_t why_size)
{
	struct phx_ctl_server *s = calloc(1, sizeof(*s));
	int rc = check_bindings(options->bindings, why, why_size);

	if (s == NULL || rc != 0) {
		free(s);
		return rc != 0 ? rc : -ENOMEM;
	}
	s->options = *options;
	set_defaults(&s->options);
	s->admin_gid = group_id(options->admin_group);
	s->operator_gid = group_id(options->operator_group);
	phx_list_init(&s->conns);
	phx_list_init(&s->calls);
	rc = phx_ctl_socket_listen(
		options->path, options->mode, s->operator_gid, &s->socket, why, why_size);
	if (rc != 0)
		goto free_server;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	s->spare_fd = spare_open();
	if (s->epoll_fd < 0 || s->timer_fd < 0 || s->spare_fd < 0)
		rc = -errno;
	if (rc == 0)
		rc = watch(s, s->socket.fd, &s->socket);
	if (rc == 0)
		rc = watch(s, s->timer_fd, &s->timer_fd);
	if (rc != 0) {
		(void)snprintf(why, why_size, "%s: %s", options->path, strerror(-rc));
		goto close_fds;
	}
	*out_server = s;
	return 0;

close_fds:
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	phx_ctl_socket_close(&s->socket);
free_server:
	free(s);
	return rc;
}

void phx_ctl_server_destroy(struct phx_ctl_server *s)
{
	struct phx_list *n, *tmp;

	if (s == NULL)
		return;
	phx_list_for_each_safe (n, tmp, &s->conns) {
		phx_ctl_conn_close(phx_list_entry(n, struct conn, in_server));
	}
	phx_list_for_each_safe (n, tmp, &s->calls) {
		struct phx_ctl_call *c = phx_list_entry(n, struct phx_ctl_call, in_server);

		c->server = NULL;
		phx_list_del(n);
	}
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	close(s->timer_fd);
	close(s->epoll_fd);
	phx_ctl_socket_close(&s->socket);
	free(s);
}

int phx_ctl_server_fd(const struct phx_ctl_server *s)
{
	return s->epoll_fd;
}

void phx_ctl_server_stats(const struct phx_ctl_server *s, struct phx_ctl_server_stats *out_stats)
{
	*out_stats = s->stats;
	out_stats->clients = s->conn_count;
}

static bool in_group(const gid_t *groups, size_t count, gid_t primary, gid_t gid)
{
	if (gid == (gid_t)-1)
		return false;
	for (size_t i = 0; i < count; i++)
		if (groups[i] == gid)
			return true;
	return primary == gid;
}

static int peer_identify(const struct phx_ctl_server *s, int fd, struct phx_ctl_peer *out)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);
	struct ucred cred;
	socklen_t cred_size = sizeof(cred);
	size_t count = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_size) != 0)
		return -errno;
	// Without the list (more groups than fit) only the primary group counts.
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
		count = size / sizeof(gid_t);
	out->uid = cred.uid;
	out->gid = cred.gid;
	out->pid = cred.pid;
	out->group_count = (uint32_t)phx_min(count, (size_t)PHX_CTL_PEER_GROUPS);
	memcpy(out->groups, groups, out->group_count * sizeof(groups[0]));
	out->role = PHX_CTL_RO;
	if (cred.uid == 0 || cred.uid == geteuid() ||
		in_group(groups, count, cred.gid, s->admin_gid))
		out->role = PHX_CTL_ADM;
	else if (in_group(groups, count, cred.gid, s->operator_gid))
		out->role = PHX_CTL_OP;
	else if (s->options.own_uid_only)
		return -EACCES;
	return 0;
}

static unsigned count_uid(struct phx_ctl_server *s, uid_t uid)
{
	unsigned count = 0;
	struct phx_list *n;

	phx_list_for_each (n, &s->conns) {
		count += phx_list_entry(n, struct conn, in_server)->peer.uid == uid;
	}
	return count;
}

// Say why and hang up. The text fits into any socket buffer.
static void refuse_fd(struct phx_ctl_server *s, int fd, int code, const char *text)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	char line[REFUSAL_BYTES];
	json_t *response;
	size_t len;

	s->stats.refused_total++;
	(void)phx_ctl_error_set(&e, code, "%s", text);
	response = phx_ctl_response_error(NULL, &e);
	len = json_dumpb(response, line, sizeof(line) - 1, JSON_COMPACT);
	if (len > 0 && len < sizeof(line)) {
		line[len] = '\n';
		(void)send(fd, line, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT); // best effort
	}
	json_decref(response);
	phx_ctl_error_fini(&e);
	close(fd);
}

// Out of descriptors a client could be neither served nor refused, and the listener would
// stay readable for ever: give the spare one up for it.
static int accept_with_spare(struct phx_ctl_server *s)
{
	close(s->spare_fd);
	s->spare_fd = -1;
	return accept4(s->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static unsigned accept_clients(struct phx_ctl_server *s)
{
	unsigned count = 0;

	while (count < ACCEPT_ROUND) {
		struct phx_ctl_peer peer;
		int fd = accept4(s->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			fd = accept_with_spare(s);
		if (fd < 0)
			break;
		count++;
		if (s->spare_fd < 0) {
			refuse_fd(s, fd, PHX_RESOURCE_EXHAUSTED, "out of descriptors");
			s->spare_fd = spare_open();
			continue;
		}
		if (peer_identify(s, fd, &peer) != 0)
			refuse_fd(s, fd, PHX_PERMISSION_DENIED, "this socket is not for you");
		else if (s->conn_count >= s->options.clients_max)
			refuse_fd(s, fd, PHX_RESOURCE_EXHAUSTED, "too many clients");
		else if (count_uid(s, peer.uid) >= s->options.clients_uid_max)
			refuse_fd(s, fd, PHX_RESOURCE_EXHAUSTED, "too many clients of this uid");
		else if (phx_ctl_conn_open(s, fd, &peer) == 0)
			s->stats.accepted_total++;
		else
			s->stats.refused_total++;
	}
	return count;
}

static void set_timer(struct phx_ctl_server *s, uint64_t at_ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(at_ns / PHX_NS_PER_S),
			.tv_nsec = (long)(at_ns % PHX_NS_PER_S)},
	};

	(void)timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &when, NULL); // arguments are valid
}

void phx_ctl_server_kick(struct phx_ctl_server *s)
{
	s->kicked = true;
	set_timer(s, 1);
}

void phx_ctl_server_wake(struct phx_ctl_server *s)
{
	phx_ctl_server_kick(s);
}

// One round over all clients: start requests, write answers, deadlines, closing.
static void sweep(struct phx_ctl_server *s)
{
	uint64_t now_ns = phx_clock_ns();
	uint64_t next = 0;
	struct phx_list *n, *tmp;

	s->kicked = false;
	set_timer(s, 0);
	phx_list_for_each_safe (n, tmp, &s->conns) {
		struct conn *c = phx_list_entry(n, struct conn, in_server);
		uint64_t at;

		phx_ctl_conn_output(c);
		phx_ctl_conn_frames(c);
		at = phx_ctl_conn_timeout(c, now_ns);
		phx_ctl_conn_settle(c);
		if (phx_ctl_conn_done(c)) {
			phx_ctl_conn_close(c);
			continue;
		}
		if (phx_ctl_conn_more(c))
			at = 1;
		if (at != 0 && (next == 0 || at < next))
			next = at;
	}
	if (next != 0 && !s->kicked)
		set_timer(s, next);
}

unsigned phx_ctl_server_process(struct phx_ctl_server *s)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(s->epoll_fd, events, EVENTS, 0);
	uint64_t ticks;

	for (int i = 0; i < count; i++) {
		void *mark = events[i].data.ptr;

		if (mark == &s->socket) {
			(void)accept_clients(s);
		} else if (mark == &s->timer_fd) {
			// Only the wake-up matters, and it may have been taken already.
			if (read(s->timer_fd, &ticks, sizeof(ticks)) < 0)
				continue;
		} else {
			struct conn *c = mark;

			c->hung_up |= (events[i].events & (EPOLLHUP | EPOLLERR)) != 0;
			phx_ctl_conn_input(c);
		}
	}
	sweep(s);
	return count > 0 ? (unsigned)count : 0;
}

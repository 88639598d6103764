// SPDX-License-Identifier: BSD-3-Clause
// Listeners and accepted connections: admission, hello, and the joining of two lanes to a link.
// See host.h.
#include "dataplane/link/host_priv.h"

#include "dataplane/core/event.h"
#include "lib/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPT_BURST	16
#define LISTEN_BACKLOG	128
#define LISTEN_RETRY_NS UINT64_C(1000000000)
#define ACCEPT_REST_NS	UINT64_C(100000000) // without descriptors accepting pauses for so long

// ---- accepted connections ----

static void inbound_free(struct inbound *in)
{
	exchange_stop(&in->x);
	ctl_timer_stop(in->host->config.loop, &in->timer);
	phx_list_del(&in->node);
	in->host->inbound_count--;
	free(in);
}

static void inbound_timeout(struct worker *worker, struct timer *timer)
{
	struct inbound *in = phx_container_of(timer, struct inbound, timer);
	char from[HOST_ADDRESS_TEXT];

	(void)worker;
	host_address_text((const struct sockaddr *)&in->from, from);
	phx_log_info("listener", "%s: %s: %s", in->listener, from,
		in->answered ? "the other lane of the link did not come" : "no hello came in time");
	inbound_free(in);
}

static struct inbound *other_lane(const struct inbound *in)
{
	struct phx_list *n;

	phx_list_for_each (n, &in->host->inbound) {
		struct inbound *o = phx_list_entry(n, struct inbound, node);

		if (o != in && o->answered && o->x.peer.token == in->x.peer.token &&
			o->x.peer.lane != in->x.peer.lane &&
			memcmp(o->x.peer.uuid, in->x.peer.uuid, sizeof(o->x.peer.uuid)) == 0)
			return o;
	}
	return NULL;
}

static struct host_link *link_of(const struct inbound *in)
{
	struct host_link *hl = host_link_create(in->host);
	char from[HOST_ADDRESS_TEXT];

	if (hl == NULL)
		return NULL;
	hl->worker = in->x.peer.wish % in->host->config.worker_count;
	hl->remote = in->x.peer.worker;
	host_address_text((const struct sockaddr *)&in->from, from);
	(void)snprintf(hl->name, sizeof(hl->name), "%s (%.*s)", from, 24, in->peer_name);
	memcpy(hl->listener, in->listener, sizeof(hl->listener));
	hl->from = in->from;
	return hl;
}

static void join(struct inbound *in, struct inbound *other)
{
	struct inbound *small = in->x.peer.lane == PHX_LANE_SMALL ? in : other;
	struct inbound *bulk = small == in ? other : in;
	const struct phx_wire_hello hello = small->x.peer;
	bool crc = (small->x.own.features & PHX_WIRE_FEATURE_CRC) != 0;
	struct host_link *hl = link_of(small);
	int fds[PHX_LANE_COUNT], rc;

	if (hl == NULL) {
		phx_log_warn("listener", "%s: no room for another link (at most %d)", in->listener,
			PHX_LIMIT_LINKS_MAX);
	} else {
		fds[PHX_LANE_SMALL] = exchange_take_fd(&small->x);
		fds[PHX_LANE_BULK] = exchange_take_fd(&bulk->x);
		phx_log_info("link", "link-%llu from %s, host %s, worker %u to %u",
			(unsigned long long)hl->id, hl->name, hello.name, hl->worker, hl->remote);
		rc = host_link_hand_over(hl, fds, &hello, crc);
		if (rc != 0)
			phx_log_warn("listener", "%s: link: %s", in->listener, strerror(-rc));
	}
	inbound_free(small);
	inbound_free(bulk);
}

static void greeted(struct exchange *x, int rc)
{
	struct inbound *in = phx_container_of(x, struct inbound, x);
	struct host *host = in->host;
	struct phx_wire_hello own;
	struct inbound *other;
	char from[HOST_ADDRESS_TEXT];

	host_address_text((const struct sockaddr *)&in->from, from);
	if (rc != 0) {
		phx_log_info("listener", "%s: %s: %s (%s)", in->listener, from, x->text,
			phx_reason_name(x->reason));
		inbound_free(in);
		return;
	}
	own = host_hello(host, x->peer.wish % host->config.worker_count);
	own.lane = x->peer.lane;
	own.token = x->peer.token;
	if (!host_address_is_loopback((const struct sockaddr *)&in->from))
		own.features |= PHX_WIRE_FEATURE_CRC;
	if (exchange_answer(x, &own) != 0) {
		inbound_free(in);
		return;
	}
	in->answered = true;
	other = other_lane(in);
	if (other != NULL)
		join(in, other);
}

static void refuse(struct listener *l, int fd, enum phx_code code, const char *text)
{
	struct exchange x;

	exchange_init(&x, l->host->config.loop);
	x.source.fd = fd;
	exchange_refuse(&x, code, PHX_REASON_W_AUTH, text);
	(void)close(fd); // refused
	l->refused++;
}

// The oldest connection that has said no hello makes room, else the oldest without its other lane.
static void make_room(struct host *host)
{
	struct inbound *oldest = NULL;
	struct phx_list *n;

	phx_list_for_each (n, &host->inbound) {
		struct inbound *in = phx_list_entry(n, struct inbound, node);

		if (oldest == NULL || (oldest->answered && !in->answered))
			oldest = in;
	}
	if (oldest == NULL)
		return;
	phx_log_warn("listener", "%s: too many connections without a link (%d), one was dropped",
		oldest->listener, HOST_INBOUND_MAX);
	inbound_free(oldest);
}

static void accepted(struct listener *l, int take_fd, const struct sockaddr_storage *from)
{
	struct host *host = l->host;
	const char *peer = host->config.admits(
		host->config.admits_arg, l->name, (const struct sockaddr *)from);
	char text[HOST_ADDRESS_TEXT];
	struct inbound *in;

	host_address_text((const struct sockaddr *)from, text);
	if (peer == NULL) {
		phx_log_warn("listener", "%s: %s is no admitted peer", l->name, text);
		refuse(l, take_fd, PHX_PERMISSION_DENIED, "not an admitted peer of this listener");
		return;
	}
	if (host->inbound_count >= HOST_INBOUND_MAX)
		make_room(host);
	in = calloc(1, sizeof(*in));
	if (in == NULL) {
		refuse(l, take_fd, PHX_RESOURCE_EXHAUSTED, "no memory for a connection");
		return;
	}
	in->host = host;
	in->from = *from;
	(void)snprintf(in->listener, sizeof(in->listener), "%s", l->name);
	(void)snprintf(in->peer_name, sizeof(in->peer_name), "%s", peer);
	exchange_init(&in->x, host->config.loop);
	timer_init(&in->timer);
	phx_list_add_tail(&host->inbound, &in->node);
	host->inbound_count++;
	l->accepted++;
	ctl_timer_start(host->config.loop, &in->timer, host->config.loop->now_ns + HOST_HELLO_NS,
		inbound_timeout);
	if (exchange_accept(&in->x, take_fd, HOST_HELLO_NS, greeted) != 0)
		inbound_free(in);
}

// ---- listeners ----

static void accept_again(struct worker *worker, struct timer *timer)
{
	struct listener *l = phx_container_of(timer, struct listener, retry);

	(void)worker;
	if (l->source.fd >= 0)
		(void)ctl_mod(l->host->config.loop, &l->source, EPOLLIN);
}

static void listener_event(struct ctl_source *source, uint32_t events)
{
	struct listener *l = phx_container_of(source, struct listener, source);
	struct ctl_loop *loop = l->host->config.loop;

	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd = accept4(
			source->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted(l, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			phx_log_warn("listener", "%s: accept: %s", l->name, strerror(errno));
			(void)ctl_mod(loop, source, 0);
			ctl_timer_start(
				loop, &l->retry, loop->now_ns + ACCEPT_REST_NS, accept_again);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static int listen_on(const struct sockaddr_storage *address, int *out_fd)
{
	socklen_t len = address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6);
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, rc;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
		bind(fd, (const struct sockaddr *)address, len) == 0 &&
		listen(fd, LISTEN_BACKLOG) == 0) {
		*out_fd = fd;
		return 0;
	}
	rc = -errno;
	(void)close(fd); // not listening
	return rc;
}

static void listener_try(struct listener *l);

static void listener_retry(struct worker *worker, struct timer *timer)
{
	(void)worker;
	listener_try(phx_container_of(timer, struct listener, retry));
}

static void listener_try(struct listener *l)
{
	struct ctl_loop *loop = l->host->config.loop;
	char address[HOST_ADDRESS_TEXT], text[HOST_ERROR_TEXT];
	int fd = -1, rc = listen_on(&l->address, &fd);

	host_address_text((const struct sockaddr *)&l->address, address);
	if (rc == 0) {
		l->source = (struct ctl_source){.fd = fd, .fn = listener_event};
		rc = ctl_add(loop, &l->source, EPOLLIN);
		if (rc != 0)
			(void)close(fd); // not used
	}
	if (rc == 0) {
		phx_log_info("listener", "%s: listening on %s", l->name, address);
		l->error[0] = '\0';
		EVENT_TELL("listener.up", l->name, {"address", address});
		return;
	}
	l->source.fd = -1;
	(void)snprintf(text, sizeof(text), "%s: %s", address, strerror(-rc));
	if (strcmp(text, l->error) != 0) {
		phx_log_err("listener", "%s: cannot listen on %s; trying again every second",
			l->name, text);
		EVENT_TELL(
			"listener.error", l->name, {"address", address}, {"text", strerror(-rc)});
	}
	memcpy(l->error, text, sizeof(l->error));
	ctl_timer_start(loop, &l->retry, loop->now_ns + LISTEN_RETRY_NS, listener_retry);
}

static void listener_free(struct listener *l)
{
	ctl_timer_stop(l->host->config.loop, &l->retry);
	if (l->source.fd >= 0) {
		ctl_del(l->host->config.loop, &l->source);
		(void)close(l->source.fd); // nobody is accepted any more
		phx_log_info("listener", "%s: closed", l->name);
		EVENT_TELL("listener.down", l->name, {NULL, NULL});
	}
	phx_list_del(&l->node);
	free(l);
}

static struct listener *listener_find(const struct host *host, const char *name)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->listeners) {
		struct listener *l = phx_list_entry(n, struct listener, node);

		if (strcmp(l->name, name) == 0)
			return l;
	}
	return NULL;
}

// A listener of that name with another address is closed first: the new one may need its port.
static int listener_set(struct host *host, const struct host_listener_config *c)
{
	struct listener *l = listener_find(host, c->name);

	if (l != NULL && memcmp(&l->address, &c->address, sizeof(l->address)) == 0) {
		l->keep = true;
		return 0;
	}
	if (l != NULL)
		listener_free(l);
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->host = host;
	l->keep = true;
	l->address = c->address;
	l->source.fd = -1;
	(void)snprintf(l->name, sizeof(l->name), "%s", c->name);
	timer_init(&l->retry);
	phx_list_add_tail(&host->listeners, &l->node);
	return 0;
}

// Close what the new rules would not have let in.
static void links_admit(struct host *host)
{
	const struct host_config *c = &host->config;
	struct phx_list *n, *tmp;

	phx_list_for_each_safe (n, tmp, &host->links) {
		struct host_link *hl = phx_list_entry(n, struct host_link, node);

		if (hl->peer != NULL || hl->state == HOST_LINK_CLOSING)
			continue;
		if (listener_find(host, hl->listener) != NULL &&
			c->admits(c->admits_arg, hl->listener,
				(const struct sockaddr *)&hl->from) != NULL)
			continue;
		phx_log_info("link", "link-%llu from %s: no longer admitted",
			(unsigned long long)hl->id, hl->name);
		host_link_close(hl);
	}
	phx_list_for_each_safe (n, tmp, &host->inbound) {
		struct inbound *in = phx_list_entry(n, struct inbound, node);

		if (listener_find(host, in->listener) == NULL ||
			c->admits(c->admits_arg, in->listener,
				(const struct sockaddr *)&in->from) == NULL)
			inbound_free(in);
	}
}

int host_set_listeners(
	struct host *host, const struct host_listener_config *listeners, unsigned count)
{
	struct phx_list *n, *tmp;
	int rc = 0;

	phx_list_for_each (n, &host->listeners) {
		phx_list_entry(n, struct listener, node)->keep = false;
	}
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = listener_set(host, &listeners[i]);
	phx_list_for_each_safe (n, tmp, &host->listeners) {
		struct listener *l = phx_list_entry(n, struct listener, node);

		if (!l->keep)
			listener_free(l);
	}
	phx_list_for_each (n, &host->listeners) {
		struct listener *l = phx_list_entry(n, struct listener, node);

		if (l->source.fd < 0)
			listener_try(l);
	}
	links_admit(host);
	return rc;
}

void inbound_stop(struct host *host)
{
	struct phx_list *n;

	while ((n = phx_list_first(&host->inbound)) != NULL)
		inbound_free(phx_list_entry(n, struct inbound, node));
	while ((n = phx_list_first(&host->listeners)) != NULL)
		listener_free(phx_list_entry(n, struct listener, node));
}

void host_listeners_each(const struct host *host, host_listener_fn fn, void *arg)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->listeners) {
		const struct listener *l = phx_list_entry(n, struct listener, node);
		struct host_listener_info info = {
			.name = l->name,
			.listening = l->source.fd >= 0,
			.error = l->error,
			.accepted_total = l->accepted,
			.refused_total = l->refused,
		};

		host_address_text((const struct sockaddr *)&l->address, info.address);
		fn(arg, &info);
	}
}

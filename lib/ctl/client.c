// SPDX-License-Identifier: BSD-3-Clause
// The client behind client.h. Works with frame.c and message.c.
#include "lib/ctl/client.h"

#include "lib/base/clock.h"
#include "lib/base/list.h"
#include "lib/ctl/frame.h"
#include "lib/ctl/message.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES 65536u

struct request {
	struct phx_list in_client;
	json_int_t id;
	uint64_t deadline_ns;
	phx_ctl_done_fn done;
	void *arg;
};

struct phx_ctl_client {
	int fd;
	int epoll_fd; // fd and timer_fd
	int timer_fd;
	int error;  // 0, or -errno once lost
	int ending; // why requests are being ended here; 0: by an answer
	bool watches_output;
	char *in;
	size_t in_len, in_size;
	struct phx_ctl_frame frame;
	char *out;
	size_t out_pos, out_len, out_size;
	struct phx_list requests; // in order of sending
	json_int_t next_id;
	phx_ctl_notify_fn notify; // NULL: nobody listens
	void *notify_arg;
};

static int watch(int epoll_fd, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

int phx_ctl_client_open(const char *path, struct phx_ctl_client **out_client)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct phx_ctl_client *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (c == NULL)
		return -ENOMEM;
	if (strlen(path) >= sizeof(address.sun_path)) {
		free(c);
		return -ENAMETOOLONG;
	}
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	phx_list_init(&c->requests);
	phx_ctl_frame_init(&c->frame, PHX_CTL_FRAME_RESPONSE);
	c->next_id = 1;
	c->epoll_fd = -1;
	c->timer_fd = -1;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		rc = -errno;
		goto destroy;
	}
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (c->epoll_fd < 0 || c->timer_fd < 0) {
		rc = -errno;
		goto destroy;
	}
	rc = watch(c->epoll_fd, c->fd);
	if (rc == 0)
		rc = watch(c->epoll_fd, c->timer_fd);
	if (rc == 0) {
		*out_client = c;
		return 0;
	}
destroy:
	phx_ctl_client_destroy(c);
	return rc;
}

static void request_finish(struct request *r, json_t *result, const struct phx_ctl_error *e)
{
	phx_list_del(&r->in_client);
	r->done(r->arg, result, e);
	free(r);
}

static void fail_all(struct phx_ctl_client *c, int ending, int code, const char *text)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	c->ending = ending;
	(void)phx_ctl_error_set(&e, code, "%s", text);
	while (!phx_list_empty(&c->requests))
		request_finish(
			phx_list_entry(phx_list_first(&c->requests), struct request, in_client),
			NULL, &e);
	phx_ctl_error_fini(&e);
}

void phx_ctl_client_destroy(struct phx_ctl_client *c)
{
	if (c == NULL)
		return;
	fail_all(c, -ECONNRESET, PHX_UNAVAILABLE, "the connection was closed");
	if (c->fd >= 0)
		close(c->fd);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	if (c->timer_fd >= 0)
		close(c->timer_fd);
	free(c->in);
	free(c->out);
	free(c);
}

int phx_ctl_client_fd(const struct phx_ctl_client *c)
{
	return c->epoll_fd;
}

void phx_ctl_client_on_notify(struct phx_ctl_client *c, phx_ctl_notify_fn notify, void *arg)
{
	c->notify = notify;
	c->notify_arg = arg;
}

int phx_ctl_client_peer_uid(const struct phx_ctl_client *c, uint32_t *out_uid)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
		return -errno;
	*out_uid = cred.uid;
	return 0;
}

static void set_timer(struct phx_ctl_client *c)
{
	uint64_t at = 0;
	struct phx_list *n;

	phx_list_for_each (n, &c->requests) {
		uint64_t d = phx_list_entry(n, struct request, in_client)->deadline_ns;

		if (at == 0 || d < at)
			at = d;
	}
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(at / PHX_NS_PER_S),
			.tv_nsec = (long)(at % PHX_NS_PER_S)},
	};
	(void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &when, NULL); // valid arguments
}

static void lose(struct phx_ctl_client *c, int error)
{
	c->error = error;
	fail_all(c, error, error == -EPROTO ? PHX_CTL_INTERNAL : PHX_UNAVAILABLE,
		error == -EPROTO ? "the answer is not JSON-RPC" : "the connection was lost");
}

static int write_out(struct phx_ctl_client *c)
{
	struct epoll_event ev = {.data.fd = c->fd};
	bool want;

	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0)
			break;
		c->out_pos += (size_t)n;
	}
	want = c->out_pos < c->out_len;
	if (!want)
		c->out_pos = c->out_len = 0;
	if (want == c->watches_output)
		return 0;
	ev.events = EPOLLIN | (want ? EPOLLOUT : 0);
	c->watches_output = want;
	return epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) == 0 ? 0 : -errno;
}

static int queue_text(struct phx_ctl_client *c, json_t *message)
{
	size_t len = json_dumpb(message, NULL, 0, JSON_COMPACT);
	char *out;

	if (len == 0)
		return -ENOMEM;
	if (c->out_len + len + 1 > c->out_size) {
		out = realloc(c->out, c->out_len + len + 1);
		if (out == NULL)
			return -ENOMEM;
		c->out = out;
		c->out_size = c->out_len + len + 1;
	}
	// Again: it needs memory of its own, and stops in the middle without.
	if (json_dumpb(message, c->out + c->out_len, len, JSON_COMPACT) != len)
		return -ENOMEM;
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	return 0;
}

int phx_ctl_client_send(struct phx_ctl_client *c, const char *method, json_t *params,
	uint64_t timeout_ns, phx_ctl_done_fn done, void *arg)
{
	struct request *r = calloc(1, sizeof(*r));
	json_t *message;
	int rc;

	if (r == NULL)
		return -ENOMEM;
	message = phx_ctl_request_json(c->next_id, method, params);
	rc = c->error != 0 ? -ENOTCONN : queue_text(c, message);
	json_decref(message);
	if (rc != 0) {
		free(r);
		return rc;
	}
	r->id = c->next_id++;
	r->deadline_ns = phx_clock_ns() + timeout_ns;
	r->done = done;
	r->arg = arg;
	phx_list_add_tail(&c->requests, &r->in_client);
	set_timer(c);
	// A failure shows up in the next _process, which also answers the request.
	(void)write_out(c);
	return 0;
}

static struct request *find_request(struct phx_ctl_client *c, json_t *id)
{
	struct phx_list *n;

	phx_list_for_each (n, &c->requests) {
		struct request *r = phx_list_entry(n, struct request, in_client);

		if (json_is_integer(id) && json_integer_value(id) == r->id)
			return r;
	}
	return NULL;
}

// One answer. An error without id (the server hangs up on us) ends the oldest request.
static int handle_message(struct phx_ctl_client *c, json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *id = json_object_get(message, "id");
	json_t *result = json_object_get(message, "result");
	json_t *error = json_object_get(message, "error");
	struct request *r = find_request(c, id);

	if (method != NULL && id == NULL && result == NULL && error == NULL) {
		if (c->notify != NULL)
			c->notify(c->notify_arg, method, json_object_get(message, "params"));
		return 0;
	}
	if ((result == NULL) == (error == NULL))
		return -EPROTO;
	if (r == NULL && json_is_null(id) && error != NULL && !phx_list_empty(&c->requests))
		r = phx_list_entry(phx_list_first(&c->requests), struct request, in_client);
	if (r == NULL)
		return 0; // its request timed out
	if (error == NULL) {
		request_finish(r, result, NULL);
		return 0;
	}
	phx_ctl_error_from_json(&e, error);
	request_finish(r, NULL, &e);
	phx_ctl_error_fini(&e);
	return 0;
}

static int handle_frames(struct phx_ctl_client *c)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	for (;;) {
		int rc = phx_ctl_frame_scan(&c->frame, c->in, c->in_len);
		json_t *message = NULL;
		size_t end = c->frame.pos;

		if (rc == -EAGAIN)
			return 0;
		if (rc == 0)
			rc = phx_ctl_message_parse(
				c->in + c->frame.begin, end - c->frame.begin, &message, &e);
		if (rc == 0)
			rc = handle_message(c, message);
		json_decref(message);
		phx_ctl_error_fini(&e);
		if (rc != 0)
			return -EPROTO;
		memmove(c->in, c->in + end, c->in_len - end);
		c->in_len -= end;
		phx_ctl_frame_init(&c->frame, PHX_CTL_FRAME_RESPONSE);
	}
}

// Read everything there is. 0 or -errno; what came before the end is handled first.
static int read_in(struct phx_ctl_client *c)
{
	for (;;) {
		if (c->in_size - c->in_len < READ_BYTES) {
			char *in = realloc(c->in, c->in_size * 2 + READ_BYTES);

			if (in == NULL)
				return -ENOMEM;
			c->in = in;
			c->in_size = c->in_size * 2 + READ_BYTES;
		}
		ssize_t n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		c->in_len += (size_t)n;

		int rc = handle_frames(c);
		if (rc != 0)
			return rc;
	}
}

static void expire(struct phx_ctl_client *c)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	uint64_t now_ns = phx_clock_ns();
	struct phx_list late;
	struct phx_list *n, *tmp;

	phx_list_init(&late);
	phx_list_for_each_safe (n, tmp, &c->requests) {
		if (phx_list_entry(n, struct request, in_client)->deadline_ns > now_ns)
			continue;
		phx_list_del(n);
		phx_list_add_tail(&late, n);
	}
	c->ending = -ETIMEDOUT;
	(void)phx_ctl_error_set(&e, PHX_DEADLINE_EXCEEDED, "no answer in time");
	while (!phx_list_empty(&late))
		request_finish(
			phx_list_entry(phx_list_first(&late), struct request, in_client), NULL, &e);
	c->ending = 0;
	phx_ctl_error_fini(&e);
}

int phx_ctl_client_process(struct phx_ctl_client *c)
{
	uint64_t ticks;
	int rc;

	if (c->error != 0)
		return c->error;
	while (read(c->timer_fd, &ticks, sizeof(ticks)) > 0)
		continue;
	rc = write_out(c);
	// Answers that came before the end of the connection still count.
	int read_rc = read_in(c);
	if (rc == 0)
		rc = read_rc;
	if (rc != 0) {
		lose(c, rc);
		return rc;
	}
	expire(c);
	set_timer(c);
	return 0;
}

struct blocking_call {
	struct phx_ctl_client *client;
	bool over;
	int ending;
	json_t *result;
	struct phx_ctl_error *e;
};

static void blocking_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct blocking_call *call = arg;

	call->over = true;
	call->ending = call->client->ending;
	call->result = json_incref(result);
	if (e != NULL) {
		(void)phx_ctl_error_set(call->e, e->code, "%s", e->text);
		call->e->data = json_incref(e->data);
	}
}

int phx_ctl_client_call(struct phx_ctl_client *c, const char *method, json_t *params,
	uint64_t timeout_ns, const sigset_t *sigmask, json_t **out_result, struct phx_ctl_error *e)
{
	struct blocking_call call = {.client = c, .e = e};
	int rc = phx_ctl_client_send(c, method, params, timeout_ns, blocking_done, &call);

	if (rc != 0) {
		(void)phx_ctl_error_set(e, PHX_UNAVAILABLE, "cannot send the request");
		return rc == -ENOTCONN ? -ECONNRESET : rc;
	}
	while (!call.over) {
		struct pollfd p = {.fd = c->epoll_fd, .events = POLLIN};

		if (ppoll(&p, 1, NULL, sigmask) < 0 && errno == EINTR)
			lose(c, -EINTR);
		else
			(void)phx_ctl_client_process(c); // a loss ends the call
	}
	if (call.result != NULL) {
		*out_result = call.result;
		return 0;
	}
	if (call.ending == 0)
		return -EREMOTEIO;
	if (call.ending == -ETIMEDOUT || call.ending == -EPROTO || call.ending == -EINTR)
		return call.ending;
	return -ECONNRESET;
}

int phx_ctl_client_wait(struct phx_ctl_client *c, const sigset_t *sigmask)
{
	struct pollfd p = {.fd = c->epoll_fd, .events = POLLIN};

	if (ppoll(&p, 1, NULL, sigmask) < 0)
		return -errno;
	return phx_ctl_client_process(c);
}

// SPDX-License-Identifier: BSD-3-Clause
// Ping-pong and pipelining over one TCP connection with no framing: the floor under any call on
// a socket. The client tells the server both sizes first.
//   rawtcp server HOST:PORT [--spin]      rawtcp client HOST:PORT [--spin] [option...]
#include "tests/bench/meter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE (1u << 20)

struct hello {
	uint32_t request;
	uint32_t reply;
};

static char in_buffer[BUFFER_SIZE];

static int parse_address(const char *text, struct sockaddr_in *out)
{
	char host[64];
	unsigned port;

	if (sscanf(text, "%63[^:]:%u", host, &port) != 2 || port > 65535)
		return -EINVAL;
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return inet_pton(AF_INET, host, &out->sin_addr) == 1 ? 0 : -EINVAL;
}

static ssize_t receive(int fd, void *p, size_t len, bool spin)
{
	ssize_t r;

	do
		r = recv(fd, p, len, spin ? MSG_DONTWAIT : 0);
	while (r < 0 && (errno == EAGAIN || errno == EINTR));
	return r;
}

// All of it, or -errno.
static int send_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t r = send(fd, p, len, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		p += r;
		len -= (size_t)r;
	}
	return 0;
}

// One connection: as many reply bytes as whole requests came.
static void serve(int fd, bool spin)
{
	struct hello h;
	uint64_t have = 0;
	char *out;

	if (recv(fd, &h, sizeof(h), MSG_WAITALL) != sizeof(h) || h.request == 0 ||
		h.reply > BUFFER_SIZE)
		return;
	out = calloc(1, BUFFER_SIZE + (size_t)h.reply);
	while (out != NULL) {
		ssize_t r = receive(fd, in_buffer, sizeof(in_buffer), spin);
		uint64_t whole;

		if (r <= 0)
			break;
		have += (uint64_t)r;
		whole = have / h.request;
		have -= whole * h.request;
		if (whole * h.reply > BUFFER_SIZE || send_all(fd, out, whole * h.reply) != 0)
			break;
	}
	free(out);
}

static int server(const struct meter_options *o, const struct sockaddr_in *addr)
{
	int on = 1;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	if (l < 0 || setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		bind(l, (const void *)addr, sizeof(*addr)) != 0 || listen(l, 8) != 0)
		return -errno;
	for (;;) {
		int fd = accept(l, NULL, NULL);

		if (fd < 0)
			return -errno;
		if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0)
			serve(fd, o->spin);
		(void)close(fd);
	}
}

struct stream {
	int fd;
	char *out;	 // `outstanding` requests
	uint64_t *began; // ring of `outstanding` start times
	uint64_t sent;
	uint64_t done;
	uint64_t have; // bytes of replies not counted yet
};

static int run(struct stream *s, const struct meter_options *o, struct meter *m)
{
	meter_start(m);
	for (;;) {
		uint64_t room = o->outstanding - (s->sent - s->done);
		uint64_t now = meter_now_ns();
		ssize_t r;
		int rc;

		for (uint64_t i = 0; i < room; i++)
			s->began[s->sent++ % o->outstanding] = now;
		rc = send_all(s->fd, s->out, room * o->size);
		if (rc != 0)
			return rc;
		r = receive(s->fd, in_buffer, sizeof(in_buffer), o->spin);
		if (r <= 0)
			return r < 0 ? -errno : -ECONNRESET;
		s->have += (uint64_t)r;
		now = meter_now_ns();
		for (; s->have >= o->reply; s->have -= o->reply) {
			if (!meter_done(m, s->began[s->done++ % o->outstanding], now))
				return 0;
		}
	}
}

static int client(const struct meter_options *o, const struct sockaddr_in *addr)
{
	struct hello h = {.request = o->size, .reply = o->reply};
	struct stream s = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
	struct meter m = {0};
	int on = 1;
	int rc;

	if (s.fd < 0 || connect(s.fd, (const void *)addr, sizeof(*addr)) != 0 ||
		setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return -errno;
	s.out = calloc(o->outstanding, o->size);
	s.began = calloc(o->outstanding, sizeof(*s.began));
	rc = s.out == NULL || s.began == NULL ? -ENOMEM : meter_init(&m, o);
	if (rc == 0)
		rc = send_all(s.fd, (const char *)&h, sizeof(h));
	if (rc == 0)
		rc = run(&s, o, &m);
	if (rc == 0)
		meter_result_print(o, m.result, stdout);
	meter_fini(&m);
	free(s.began);
	free(s.out);
	(void)close(s.fd);
	return rc;
}

int main(int argc, char **argv)
{
	struct meter_options o;
	struct sockaddr_in addr;
	bool is_client;
	int rc;

	if (meter_options_parse(&o, argc, argv) != 0 || parse_address(o.targets[0], &addr) != 0 ||
		o.size == 0 || o.reply == 0) {
		(void)fputs("usage: rawtcp server|client HOST:PORT [option...]\n", stderr);
		meter_options_print(stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN); // cannot fail for this signal
	is_client = strcmp(o.role, "client") == 0;
	rc = meter_pin(o.pin);
	if (rc == 0)
		rc = is_client ? client(&o, &addr) : server(&o, &addr);
	if (rc != 0)
		(void)fprintf(stderr, "rawtcp: %s\n", strerror(-rc));
	return rc == 0 ? 0 : 1;
}

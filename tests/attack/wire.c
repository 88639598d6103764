// SPDX-License-Identifier: BSD-3-Clause
// Connections, frames and the listener's dataplane, see wire.h.
#include "tests/attack/wire.h"

#include "dataplane/core/registry.h"
#include "lib/base/bits.h"
#include "lib/base/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in listener = {.sin_family = AF_INET};
static char document_path[64];
static long log_at;

// A port that was free a moment ago.
static void choose_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(listener);

	listener.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener.sin_port = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&listener, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&listener, &len), 0);
	(void)close(fd);
}

int wire_setup(void **state)
{
	const char *options[] = {"--standalone", document_path, "--log-level", "info", NULL};
	FILE *f;
	int fd;

	(void)state;
	choose_port();
	(void)snprintf(document_path, sizeof(document_path), "/tmp/phx-attack-doc.XXXXXX");
	fd = mkstemp(document_path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	(void)fprintf(f,
		"{\"version\":1,\"attach\":[{\"name\":\"all\",\"action\":\"allow\"}],"
		"\"register\":[{\"name\":\"all\",\"action\":\"allow\"}],"
		"\"listeners\":[{\"name\":\"attacked\",\"transport\":\"tcp\","
		"\"address\":\"127.0.0.1:%u\"}]}\n",
		ntohs(listener.sin_port));
	assert_int_equal(fclose(f), 0);
	log_at = 0;
	bed.may_grow = true;
	bed_start(options);
	return 0;
}

int wire_teardown(void **state)
{
	(void)state;
	bed_stop();
	(void)unlink(document_path);
	return 0;
}

int wire_connect(void)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	int one = 1, fd;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		if (connect(fd, (struct sockaddr *)&listener, sizeof(listener)) == 0)
			break;
		(void)close(fd);
		assert_true(phx_clock_ns() < deadline);
		bed_pause();
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int wire_send(int fd, const void *bytes, size_t len, size_t piece)
{
	for (size_t at = 0; at < len;) {
		size_t n = piece == 0 || piece > len - at ? len - at : piece;
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		ssize_t sent;

		assert_int_equal(poll(&p, 1, (int)(BED_DEADLINE_NS / PHX_NS_PER_MS)), 1);
		sent = send(fd, (const uint8_t *)bytes + at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN)
			return -errno;
		at += sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

int wire_frame(int fd, const struct phx_frame *f, const void *body)
{
	static uint8_t bytes[PHX_FRAME_HEADER + PHX_FRAME_BODY_MAX];
	uint32_t len = phx_frame_body_len(f);

	phx_frame_encode(f, bytes);
	if (len != 0)
		memcpy(bytes + PHX_FRAME_HEADER, body, len);
	return wire_send(fd, bytes, PHX_FRAME_HEADER + len, 0);
}

// All of len bytes. False: closed before.
static bool read_all(int fd, uint8_t *out, size_t len)
{
	for (size_t at = 0; at < len;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		assert_int_equal(poll(&p, 1, (int)(BED_DEADLINE_NS / PHX_NS_PER_MS)), 1);
		n = recv(fd, out + at, len - at, 0);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

int wire_read(int fd, struct phx_frame *f, uint8_t *body)
{
	uint8_t header[PHX_FRAME_HEADER];
	enum phx_reason reason;

	if (!read_all(fd, header, sizeof(header)))
		return 0;
	assert_int_equal(phx_frame_decode(header, f, &reason), 0);
	return read_all(fd, body, phx_frame_body_len(f));
}

bool wire_expect(int fd, unsigned type, struct phx_frame *f, uint8_t *body)
{
	while (wire_read(fd, f, body))
		if (f->type == type)
			return true;
	return false;
}

void wire_expect_closed(int fd)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	char bytes[4096];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		assert_true(phx_clock_ns() < deadline); // it stays open
		if (poll(&p, 1, 100) > 0 && recv(fd, bytes, sizeof(bytes), 0) <= 0)
			return;
	}
}

size_t wire_hello(uint8_t *out, uint64_t token, uint8_t lane)
{
	const struct phx_wire_hello hello = {
		.min = PHX_WIRE_MIN,
		.max = PHX_WIRE_MAX,
		.uuid = "an attacker's id",
		.token = token,
		.lane = lane,
		.lanes = PHX_LANE_COUNT,
		.workers = 1,
		.name = "attacker",
	};
	const struct phx_frame f = {.type = PHX_FRAME_HELLO, .payload_len = PHX_WIRE_HELLO_BYTES};

	phx_frame_encode(&f, out);
	phx_wire_hello_encode(&hello, out + PHX_FRAME_HEADER);
	return PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES;
}

void wire_open(struct wire *wire)
{
	static uint64_t tokens = 1;
	uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];
	static uint8_t body[PHX_FRAME_BODY_MAX];
	struct phx_frame f;

	wire->token = phx_mix64(tokens++);
	for (uint8_t i = 0; i < PHX_LANE_COUNT; i++) {
		wire->lane[i] = wire_connect();
		assert_int_equal(
			wire_send(wire->lane[i], bytes, wire_hello(bytes, wire->token, i), 0), 0);
		assert_true(wire_expect(wire->lane[i], PHX_FRAME_HELLO, &f, body));
	}
}

void wire_close(struct wire *wire)
{
	for (int i = 0; i < PHX_LANE_COUNT; i++)
		(void)close(wire->lane[i]);
}

void wire_channel(struct wire *wire, uint64_t id)
{
	static const char service[] = "bystander\0attack.Bystander";
	static const char method[] = "Say";
	uint8_t body[sizeof(service) + 8];
	static uint8_t answer[PHX_FRAME_BODY_MAX];
	struct phx_frame f = {.type = PHX_FRAME_OPEN, .epoch = 1, .channel = id};

	assert_int_equal(wire_frame(wire->lane[0], &f, NULL), 0);
	assert_true(wire_expect(wire->lane[0], PHX_FRAME_OPENED, &f, answer));
	memcpy(body, service, sizeof(service));
	phx_le64_store(body + sizeof(service), service_method_id(method));
	f = (struct phx_frame){.type = PHX_FRAME_SUBSCRIBE,
		.epoch = 1,
		.channel = id,
		.payload_len = sizeof(body)};
	assert_int_equal(wire_frame(wire->lane[0], &f, body), 0);
	assert_true(wire_expect(wire->lane[0], PHX_FRAME_SERVICE_UP, &f, answer));
}

// A call site of the log says at most ten things a second, of which some are not ours.
#define WINDOW_NS (PHX_NS_PER_S + 50 * PHX_NS_PER_MS)
static void keep_pace(void)
{
	static uint64_t window;
	static unsigned said;

	if (said == 0 ||
		phx_clock_ns() > window + WINDOW_NS) { // lines of a past second do not count
		window = phx_clock_ns();
		said = 0;
	}
	if (++said < 4)
		return;
	while (phx_clock_ns() < window + WINDOW_NS)
		bed_pause();
	said = 0;
}

void wire_expect_logged(const char *word)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	char line[512];

	do {
		FILE *f = fopen(bed.log, "re");

		assert_non_null(f);
		(void)fseek(f, log_at, SEEK_SET);
		while (fgets(line, sizeof(line), f) != NULL) {
			if (strstr(line, word) == NULL)
				continue;
			log_at = ftell(f);
			(void)fclose(f);
			keep_pace();
			return;
		}
		(void)fclose(f);
		bed_pause();
	} while (phx_clock_ns() < deadline);
	bed_show_log();
	fail_msg("the dataplane said nothing of %s", word);
}

// SPDX-License-Identifier: BSD-3-Clause
// The floor model: builds the shared memory, starts the parties, runs the client.
//   floor run dps=1,app=hybrid,dp=hybrid,pin=0-1-0,copy=1 [option...]
// dps 0, 1 or 2 dataplanes; app and dp: spin, yield, hybrid or block; pin: CPUs of client,
// dataplanes and server, x = anywhere.
#include "tests/bench/peers/floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int parse_wait(const char *text, enum floor_wait *out)
{
	static const char *const names[] = {"spin", "yield", "hybrid", "block"};

	for (unsigned i = 0; i < PHX_ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum floor_wait)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_pins(const char *text, int *pins)
{
	int n = 0;

	while (*text != '\0' && n < FLOOR_PARTIES) {
		char *end = (char *)text + 1;

		pins[n] = *text == 'x' ? FLOOR_PIN_NONE : (int)strtol(text, &end, 10);
		if (end == text || (*end != '-' && *end != '\0'))
			return -EINVAL;
		n++;
		text = *end == '-' ? end + 1 : end;
	}
	return *text == '\0' ? 0 : -EINVAL;
}

static int parse_pair(struct floor *f, const char *key, const char *value)
{
	if (strcmp(key, "dps") == 0 && strlen(value) == 1 && value[0] >= '0' && value[0] <= '2') {
		f->dataplanes = value[0] - '0';
		return 0;
	}
	if (strcmp(key, "copy") == 0) {
		f->copy = strcmp(value, "1") == 0;
		return 0;
	}
	if (strcmp(key, "app") == 0)
		return parse_wait(value, &f->app_wait);
	if (strcmp(key, "dp") == 0)
		return parse_wait(value, &f->dp_wait);
	if (strcmp(key, "pin") == 0)
		return parse_pins(value, f->pins);
	return -EINVAL;
}

static int parse_model(struct floor *f, const char *text)
{
	char copy[256];
	char *rest = copy;
	char *part;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	while ((part = strsep(&rest, ",")) != NULL) {
		char *value = part;
		const char *key = strsep(&value, "=");

		if (value == NULL || parse_pair(f, key, value) != 0) {
			(void)fprintf(stderr, "floor: bad model near %s\n", part);
			return -EINVAL;
		}
	}
	return 0;
}

static void *map_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int map_all(struct floor *f)
{
	size_t heap = ((size_t)f->options.size + 4096) * (f->options.outstanding + 1);

	f->shared = map_shared(sizeof(*f->shared));
	f->client_heap = map_shared(heap);
	f->server_heap = f->dataplanes > 0 && f->copy ? map_shared(heap) : f->client_heap;
	if (f->shared == NULL || f->client_heap == NULL || f->server_heap == NULL)
		return -ENOMEM;
	for (int i = 0; i < FLOOR_PARTIES; i++) {
		f->shared->bell[i].fd = eventfd(0, 0);
		if (f->shared->bell[i].fd < 0)
			return -errno;
	}
	return 0;
}

// Two ends of one loopback connection.
static int tcp_pair(int out[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t len = sizeof(addr);
	int on = 1;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (l < 0 || bind(l, (void *)&addr, sizeof(addr)) != 0 || listen(l, 1) != 0 ||
		getsockname(l, (void *)&addr, &len) != 0)
		return -errno;
	out[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (out[0] < 0 || connect(out[0], (void *)&addr, sizeof(addr)) != 0)
		return -errno;
	out[1] = accept(l, NULL, NULL);
	if (out[1] < 0)
		return -errno;
	(void)close(l);
	for (int i = 0; i < 2; i++) {
		if (setsockopt(out[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
			return -errno;
	}
	return 0;
}

static void party_main(struct floor *f, enum floor_party who, const int sock[2])
{
	struct floor_ring *ring = f->shared->ring;

	if (who == FLOOR_SERVER && f->dataplanes == 0)
		floor_server(f, &ring[FLOOR_C_TO_A], &ring[FLOOR_A_TO_C], FLOOR_CLIENT);
	else if (who == FLOOR_SERVER)
		floor_server(f, &ring[FLOOR_B_TO_S], &ring[FLOOR_S_TO_B],
			f->dataplanes == 1 ? FLOOR_DP_A : FLOOR_DP_B);
	else if (f->dataplanes == 1)
		floor_dataplane(f);
	else
		floor_dataplane_tcp(f, (int)who, sock[who == FLOOR_DP_A ? 0 : 1]);
}

// A child that dies with us; its pid is added to those whose CPU time counts.
static int start_party(struct floor *f, enum floor_party who, int cpu, const int sock[2])
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && meter_pin(cpu) == 0)
			party_main(f, who, sock);
		_exit(1);
	}
	f->options.pids[f->options.pid_count++] = pid;
	return 0;
}

static int start_all(struct floor *f)
{
	int sock[2] = {-1, -1};
	int next = 1;
	int rc = 0;

	if (f->dataplanes == 2)
		rc = tcp_pair(sock);
	if (rc == 0 && f->dataplanes >= 1)
		rc = start_party(f, FLOOR_DP_A, f->pins[next++], sock);
	if (rc == 0 && f->dataplanes == 2)
		rc = start_party(f, FLOOR_DP_B, f->pins[next++], sock);
	if (rc == 0)
		rc = start_party(f, FLOOR_SERVER, f->pins[next], sock);
	for (int i = 0; i < 2; i++) {
		if (sock[i] >= 0)
			(void)close(sock[i]); // the children have them
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct floor f = {.dataplanes = 1,
		.copy = true,
		.app_wait = FLOOR_HYBRID,
		.dp_wait = FLOOR_HYBRID,
		.pins = {-1, -1, -1, -1}};
	int rc;

	if (meter_options_parse(&f.options, argc, argv) != 0 ||
		parse_model(&f, f.options.targets[0]) != 0) {
		(void)fputs("usage: floor run MODEL [option...]\n", stderr);
		meter_options_print(stderr);
		return 2;
	}
	if (f.options.outstanding > FLOOR_SLOTS / 2 ||
		(f.dataplanes == 2 && f.options.size > FLOOR_INLINE)) {
		(void)fputs("floor: at most 512 outstanding, and 64 bytes over TCP\n", stderr);
		return 2;
	}
	f.options.pid_count = 0;
	rc = map_all(&f);
	if (rc == 0)
		rc = start_all(&f);
	if (rc == 0)
		rc = meter_pin(f.pins[0]);
	if (rc == 0)
		rc = floor_client(&f, f.dataplanes == 0 ? FLOOR_SERVER : FLOOR_DP_A);
	if (rc != 0)
		(void)fprintf(stderr, "floor: %s\n", strerror(-rc));
	for (unsigned i = 0; i < f.options.pid_count; i++) {
		(void)kill(f.options.pids[i], SIGKILL); // they never end by themselves
		(void)waitpid(f.options.pids[i], NULL, 0);
	}
	return rc == 0 ? 0 : 1;
}

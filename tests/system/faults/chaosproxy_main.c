// SPDX-License-Identifier: BSD-3-Clause
// The chaos proxy: chaosproxy PORT|ADDRESS:PORT TARGET_ADDRESS:PORT, numeric. Says "ready" and
// then takes orders, one a line of standard input, each answered by "ok" or "error ...":
//   split BYTES      each write carries so many bytes at most       0: as it comes
//   delay MS         everything arrives so much later
//   rate BYTES       a second, in each direction of a connection    0: as it comes
//   stall DIRECTION  nothing is read any more; DIRECTION: up (to the target), down, both, none
//   lose DIRECTION   what is sent vanishes, and both ends stay open
//   reset DIRECTION BYTES    when so many more have passed, once; the bytes before still arrive
//   close DIRECTION BYTES    the same with an orderly end
//   corrupt DIRECTION BYTES  flips a bit of the next one
//   fired            "ok" when the last of those three has happened, else "error waiting"
//   refuse on|off    new connections are reset
//   drop             resets all connections now
//   clear            everything passes again
#include "tests/system/faults/chaosproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAIRS_MAX 128

struct proxy {
	struct chaos chaos;
	LIST_HEAD(, pair) pairs;
	unsigned count;
	int listener;
	struct sockaddr_in target;
	char line[256];
	size_t line_len;
	bool over; // no more orders
};

static bool parse_address(const char *text, struct sockaddr_in *out)
{
	const char *colon = strrchr(text, ':');
	char host[64] = "127.0.0.1";

	if (colon != NULL && (size_t)(colon - text) < sizeof(host)) {
		memcpy(host, text, (size_t)(colon - text));
		host[colon - text] = '\0';
	}
	*out = (struct sockaddr_in){.sin_family = AF_INET};
	out->sin_port = htons((uint16_t)strtoul(colon != NULL ? colon + 1 : text, NULL, 10));
	return inet_pton(AF_INET, host, &out->sin_addr) == 1 && out->sin_port != 0;
}

static void drop_all(struct proxy *x)
{
	while (!LIST_EMPTY(&x->pairs)) {
		struct pair *p = LIST_FIRST(&x->pairs);

		LIST_REMOVE(p, link);
		x->count--;
		pair_destroy(p, true);
	}
}

static bool parse_direction(const char *word, unsigned *out)
{
	static const char *const words[] = {"none", "up", "down", "both"};

	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(word, words[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool order_trigger(struct chaos *c, const char *verb, unsigned direction, uint64_t bytes)
{
	c->trigger = strcmp(verb, "reset") == 0	    ? TRIGGER_RESET
		     : strcmp(verb, "close") == 0   ? TRIGGER_CLOSE
		     : strcmp(verb, "corrupt") == 0 ? TRIGGER_CORRUPT
						    : TRIGGER_NONE;
	c->trigger_direction = direction;
	c->trigger_left = bytes;
	return c->trigger != TRIGGER_NONE;
}

static bool order(struct proxy *x, const char *line)
{
	struct chaos *c = &x->chaos;
	char verb[16] = "", word[16] = "";
	unsigned long long n = 0;
	unsigned direction = 0;

	(void)sscanf(line, "%15s %15s %llu", verb, word, &n); // what is missing stays empty
	if (strcmp(verb, "clear") == 0)
		*c = (struct chaos){.split = 0};
	else if (strcmp(verb, "drop") == 0)
		drop_all(x);
	else if (strcmp(verb, "fired") == 0)
		return c->trigger == TRIGGER_NONE;
	else if (strcmp(verb, "refuse") == 0)
		c->refuse = strcmp(word, "on") == 0;
	else if (strcmp(verb, "split") == 0)
		c->split = (uint32_t)strtoul(word, NULL, 10);
	else if (strcmp(verb, "rate") == 0)
		c->rate = (uint32_t)strtoul(word, NULL, 10);
	else if (strcmp(verb, "delay") == 0)
		c->delay_ns = strtoul(word, NULL, 10) * UINT64_C(1000000);
	else if (!parse_direction(word, &direction))
		return false;
	else if (strcmp(verb, "stall") == 0)
		c->stalled = direction;
	else if (strcmp(verb, "lose") == 0)
		c->lost = direction;
	else
		return order_trigger(c, verb, direction, n);
	return true;
}

static void take_orders(struct proxy *x)
{
	ssize_t n = read(0, x->line + x->line_len, sizeof(x->line) - 1 - x->line_len);
	char *end;

	if (n <= 0) {
		x->over = true;
		return;
	}
	x->line_len += (size_t)n;
	x->line[x->line_len] = '\0';
	while ((end = strchr(x->line, '\n')) != NULL) {
		*end = '\0';
		if (order(x, x->line))
			(void)puts("ok");
		else
			(void)printf(
				"error %s\n", strcmp(x->line, "fired") == 0 ? "waiting" : x->line);
		(void)fflush(stdout);
		x->line_len -= (size_t)(end + 1 - x->line);
		memmove(x->line, end + 1, x->line_len + 1);
	}
}

static void greet(struct proxy *x)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int client = accept4(x->listener, NULL, NULL, SOCK_CLOEXEC);
	struct pair *p;
	int target;

	if (client < 0)
		return;
	target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	// The target is near: it answers at once or is not there.
	if (target < 0 || x->chaos.refuse || x->count == PAIRS_MAX ||
		connect(target, (const struct sockaddr *)&x->target, sizeof(x->target)) != 0) {
		(void)setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		(void)close(client);
		if (target >= 0)
			(void)close(target); // not connected
		return;
	}
	p = pair_create(client, target);
	if (p == NULL)
		return;
	LIST_INSERT_HEAD(&x->pairs, p, link);
	x->count++;
}

static void round_once(struct proxy *x)
{
	struct pollfd fds[2 + 2 * PAIRS_MAX] = {
		{.fd = 0, .events = POLLIN}, {.fd = x->listener, .events = POLLIN}};
	uint64_t now = chaos_now_ns(), due = UINT64_MAX;
	struct pair *p, *next;
	nfds_t n = 2;

	LIST_FOREACH(p, &x->pairs, link)
	{
		uint64_t at = pair_due_ns(p, now);

		for (unsigned end = 0; end < 2; end++) {
			short events = pair_events(p, &x->chaos, end);

			// Without a wish poll() would report the hang-up for ever.
			fds[n++] = (struct pollfd){
				.fd = events != 0 ? p->fd[end] : -1, .events = events};
		}
		due = at < due ? at : due;
	}
	if (poll(fds, n, due == UINT64_MAX ? 1000 : (int)((due - now) / 1000000 + 1)) < 0)
		return;
	now = chaos_now_ns();
	n = 2;
	for (p = LIST_FIRST(&x->pairs); p != NULL; p = next, n += 2) {
		const short revents[2] = {fds[n].revents, fds[n + 1].revents};
		bool reset;

		next = LIST_NEXT(p, link);
		if (pair_move(p, &x->chaos, revents, now, &reset))
			continue;
		LIST_REMOVE(p, link);
		x->count--;
		pair_destroy(p, reset);
	}
	if (fds[1].revents != 0)
		greet(x);
	if (fds[0].revents != 0)
		take_orders(x); // last: it may drop what was polled
}

int main(int argc, char **argv)
{
	struct proxy x = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_in own;
	const int one = 1;

	if (argc != 3 || !parse_address(argv[1], &own) || !parse_address(argv[2], &x.target)) {
		(void)fprintf(stderr, "usage: chaosproxy [ADDRESS:]PORT ADDRESS:PORT\n");
		return 2;
	}
	LIST_INIT(&x.pairs);
	(void)signal(SIGPIPE, SIG_IGN); // valid signal
	(void)setsockopt(x.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (x.listener < 0 || bind(x.listener, (const struct sockaddr *)&own, sizeof(own)) != 0 ||
		listen(x.listener, 64) != 0) {
		(void)fprintf(stderr, "chaosproxy: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	(void)puts("ready");
	(void)fflush(stdout);
	while (!x.over)
		round_once(&x);
	drop_all(&x);
	(void)close(x.listener);
	return 0;
}

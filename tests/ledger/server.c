// SPDX-License-Identifier: BSD-3-Clause
// A server that writes each execution into the book before anything else, and keeps some calls for
// a while. It attaches again when its session is over.
#include "tests/ledger/ledger.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.phx.h"

#define HELD_MAX 4096

struct held {
	struct phx_request *request;
	uint64_t until_ns;
};

struct serving {
	struct book *book;
	struct phx_context *context;
	struct held held[HELD_MAX];
	uint32_t held_count;
	uint32_t faults;
	uint8_t *bytes;
	uint32_t size;
};

// What a reply function returns means that the session is over; phx_poll() says so too.
static void answer(struct serving *s, struct phx_request *request)
{
	const struct phoenix_ledger_Entry *in =
		phoenix_ledger_Entry_root(phx_request_message(request));
	uint32_t size = phoenix_ledger_Entry_reply_size(in);
	uint64_t id = phoenix_ledger_Entry_id(in);
	struct phoenix_ledger_Entry *out = NULL;
	struct phx_message *m = NULL;

	if (size > s->size) {
		uint8_t *p = realloc(s->bytes, size);

		if (p != NULL) {
			s->bytes = p;
			s->size = size;
		}
	}
	if (size <= s->size && phx_message_new(s->context, &m) == 0)
		out = phoenix_ledger_Entry_new(m);
	if (out != NULL) {
		ledger_fill(s->bytes, size, id + 1);
		phoenix_ledger_Entry_set_id(out, id);
		if (phoenix_ledger_Entry_set_payload(m, out, (struct phx_bytes){s->bytes, size}) ==
			0) {
			(void)phx_reply(request, m, NULL);
			return;
		}
	}
	phx_message_release(m);
	(void)phx_reply_status(request, PHX_RESOURCE_EXHAUSTED, "no memory for a reply", NULL);
}

static void on_do(void *arg, struct phx_request *request, const struct phoenix_ledger_Entry *in)
{
	struct serving *s = arg;
	struct phx_bytes payload = phoenix_ledger_Entry_payload(in);
	uint64_t id = phoenix_ledger_Entry_id(in);
	uint32_t hold_us = phoenix_ledger_Entry_hold_us(in);

	if (!book_execute(s->book, id)) {
		(void)fprintf(stderr, "ledger: FAULT: executed %llu, which is no call\n",
			(unsigned long long)id);
		s->faults++;
	}
	if (!ledger_matches(payload.data, payload.len, id)) {
		(void)fprintf(stderr, "ledger: FAULT: request %llu has other bytes\n",
			(unsigned long long)id);
		s->faults++;
	}
	if (hold_us == 0 || s->held_count == HELD_MAX) {
		answer(s, request);
		return;
	}
	s->held[s->held_count++] = (struct held){request, book_now_ns() + (uint64_t)hold_us * 1000};
}

static void answer_held(struct serving *s, uint64_t now)
{
	for (uint32_t i = 0; i < s->held_count;) {
		struct held h = s->held[i];

		if (h.until_ns > now) {
			i++;
			continue;
		}
		s->held[i] = s->held[--s->held_count];
		answer(s, h.request);
	}
}

// Until the session is over.
static void serve(struct serving *s, struct phx_queue *queue)
{
	int rc = 0;

	while (rc >= 0 && !ledger_stopped) {
		rc = phx_poll(queue, 0);
		answer_held(s, book_now_ns());
		if (rc == 0)
			rc = phx_wait(queue, s->held_count > 0 ? MS : 100 * MS);
	}
	s->held_count = 0; // the requests die with the context, or are answered by its end
}

static int session(struct serving *s, const struct ledger_options *options)
{
	const struct phoenix_ledger_Ledger_handlers handlers = {.arg = s, .Do = on_do};
	struct phx_server *server = NULL;
	struct phx_status status = {.text = ""};
	int rc = phx_server_create(s->context, NULL, &server);

	if (rc == 0)
		rc = phoenix_ledger_Ledger_register(server, options->target, &handlers, &status);
	if (rc == 0) {
		(void)puts("ready");
		(void)fflush(stdout);
		serve(s, phx_queue_default(s->context));
	} else {
		(void)fprintf(stderr, "ledger: register: %s: %s\n", strerror(-rc), status.text);
	}
	phx_server_destroy(server);
	// The dataplane may die between attaching and registering: that is no failure of ours.
	return phx_context_ended(s->context, NULL) ? 0 : rc;
}

int ledger_server(const struct ledger_options *options)
{
	struct serving *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (s == NULL)
		return 1;
	s->book = book_open(options->book);
	while (s->book != NULL && rc == 0 && !ledger_stopped) {
		s->context = ledger_attach(options, s->book, UINT64_MAX);
		if (s->context == NULL)
			break;
		rc = session(s, options);
		phx_detach(s->context);
	}
	if (s->book == NULL || rc != 0)
		rc = 1;
	else if (s->faults > 0)
		rc = 3;
	free(s->bytes);
	free(s);
	return rc;
}

// SPDX-License-Identifier: BSD-3-Clause
// A client that starts calls in open or closed loop and writes into the book how each ended. When
// its session is over it waits for the end of all calls, then attaches again. A call that is not
// over long after its deadline is a fault.
#include "tests/ledger/ledger.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.phx.h"

#define GRACE (3 * S) // from the deadline of a call until it counts as hanging

struct slot {
	struct caller *caller;
	struct phx_call *call;
	uint32_t id; // 0: free
	uint32_t reply_size;
};

struct caller {
	const struct ledger_options *options;
	struct book *book;
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_queue *queue;
	struct slot *slots;
	uint8_t *bytes;
	uint64_t random;
	uint64_t started, refused;
	uint64_t begin_ns, end_ns;
	uint64_t pause_ns; // no new calls before: what fails at once would fill the book
	uint32_t number;
	uint32_t outstanding;
	uint32_t faults;
	bool full; // the queue has no room
};

__attribute__((format(printf, 2, 3))) static void fault(struct caller *c, const char *format, ...)
{
	va_list args;

	if (c->faults++ >= 10)
		return;
	va_start(args, format);
	(void)fputs("ledger: FAULT: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
}

static uint32_t random_below(struct caller *c, uint32_t n)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return n == 0 ? 0 : (uint32_t)((c->random >> 16) % n);
}

// Most are small; each magnitude up to `size` occurs half as often as the one below.
static uint32_t random_size(struct caller *c)
{
	uint32_t top = 32, pick = random_below(c, UINT32_MAX);

	while (top < c->options->size && (pick & 3) == 0) {
		top *= 8;
		pick >>= 2;
	}
	return random_below(c, (top < c->options->size ? top : c->options->size) + 1);
}

static void on_end(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct slot *slot = arg;
	struct caller *c = slot->caller;
	struct book_row *row = &c->book->rows[slot->id];

	row->end_ns = book_now_ns();
	row->code = (uint8_t)status->code;
	row->origin = status->origin;
	row->executed = status->executed;
	row->reason = status->reason;
	if (status->code == PHX_OK) {
		const struct phoenix_ledger_Entry *out = phoenix_ledger_Entry_root(reply);
		struct phx_bytes b = phoenix_ledger_Entry_payload(out);

		row->bad_content = phoenix_ledger_Entry_id(out) != slot->id ||
				   b.len != slot->reply_size ||
				   !ledger_matches(b.data, b.len, slot->id + UINT64_C(1));
		atomic_fetch_add(&c->book->ok, 1);
	} else if (!c->options->strict && status->code == PHX_UNAVAILABLE) {
		c->pause_ns = row->end_ns + 2 * MS;
	} else if (c->options->strict && row->cancelled == 0) {
		fault(c, "call %u: %s", slot->id, status->text);
	}
	phx_message_release(reply);
	if (atomic_fetch_add(&row->completions, 1) != 0)
		fault(c, "call %u ended twice", slot->id);
	atomic_store(&row->state, BOOK_ENDED);
	atomic_fetch_add(&c->book->ended, 1);
	slot->id = 0;
	slot->call = NULL;
	c->outstanding--;
}

static struct phx_message *request_new(struct caller *c, const struct slot *slot, uint32_t size)
{
	struct phoenix_ledger_Entry *root;
	struct phx_message *m;

	if (phx_message_new(c->context, &m) != 0)
		return NULL;
	root = phoenix_ledger_Entry_new(m);
	if (root != NULL) {
		ledger_fill(c->bytes, size, slot->id);
		phoenix_ledger_Entry_set_id(root, slot->id);
		phoenix_ledger_Entry_set_reply_size(root, slot->reply_size);
		if (random_below(c, 4) == 0)
			phoenix_ledger_Entry_set_hold_us(
				root, random_below(c, c->options->hold_us + 1));
		if (phoenix_ledger_Entry_set_payload(m, root, (struct phx_bytes){c->bytes, size}) ==
			0)
			return m;
	}
	phx_message_release(m);
	return NULL;
}

// False: no room now.
static bool call_start(struct caller *c, struct slot *slot)
{
	const uint64_t timeout_ns = c->options->timeout_ms * MS;
	const struct phx_call_options o = {.size = sizeof(o),
		.timeout_ns = timeout_ns,
		.wait_for_ready = c->options->wait_for_ready};
	uint32_t size = random_size(c);
	struct phx_message *m;
	struct book_row *row;
	int rc = -ENOMEM;

	slot->caller = c;
	slot->reply_size = random_size(c);
	slot->id = book_take(c->book, c->number, book_now_ns() + timeout_ns);
	if (slot->id == 0) {
		c->end_ns = 0; // the book is full: no more calls
		return false;
	}
	row = &c->book->rows[slot->id];
	m = request_new(c, slot, size);
	if (m != NULL) {
		// Before the start: it must not be forgotten when we die right behind it.
		atomic_store(&row->state, BOOK_OPEN);
		rc = phx_call_start(c->channel, c->queue, &phoenix_ledger_Ledger_service,
			phoenix_ledger_Ledger_method_Do, m, &o, on_end, slot, &slot->call);
		if (rc != 0)
			phx_message_release(m);
	}
	if (rc != 0) {
		atomic_store(&row->state, BOOK_REFUSED);
		slot->id = 0;
		c->refused++;
		if (rc != -EAGAIN && rc != -ENOMEM && rc != -ENOTCONN)
			fault(c, "a call cannot start: %s", strerror(-rc));
		return false;
	}
	c->outstanding++;
	c->started++;
	if (c->options->cancel != 0 && random_below(c, c->options->cancel) == 0) {
		row->cancelled = 1;
		phx_call_cancel(slot->call);
	}
	return true;
}

static uint64_t due(const struct caller *c, uint64_t now)
{
	if (c->options->rate == 0)
		return UINT64_MAX;
	return (now - c->begin_ns) / 1000 * c->options->rate / 1000000;
}

static void start_due(struct caller *c, uint64_t now)
{
	c->full = false;
	for (uint32_t i = 0; i < c->options->inflight && !c->full && now < c->end_ns; i++) {
		if (c->started >= due(c, now) || now < c->pause_ns)
			return;
		if (c->slots[i].id == 0)
			c->full = !call_start(c, &c->slots[i]);
	}
}

static void look_for_hangs(struct caller *c, uint64_t now)
{
	for (uint32_t i = 0; i < c->options->inflight; i++) {
		const struct slot *slot = &c->slots[i];

		if (slot->id == 0 || now < c->book->rows[slot->id].deadline_ns + GRACE)
			continue;
		fault(c, "call %u hangs: %llu ms behind its deadline", slot->id,
			(unsigned long long)((now - c->book->rows[slot->id].deadline_ns) / MS));
		c->outstanding = 0;
		c->end_ns = 0;
		return;
	}
}

// Until time is up and nothing is outstanding, or the session is over.
static void session(struct caller *c)
{
	uint64_t looked = book_now_ns();

	for (;;) {
		uint64_t now = book_now_ns();
		int rc;

		if (ledger_stopped)
			c->end_ns = 0;
		start_due(c, now);
		if (now >= c->end_ns && c->outstanding == 0)
			return;
		rc = phx_poll(c->queue, 0);
		if (rc == 0)
			rc = phx_wait(c->queue, c->options->rate == 0 && !c->full
							? 100 * MS
							: S / (c->options->rate + 200));
		if (rc < 0) {
			// Every call has ended by then.
			if (c->outstanding > 0)
				fault(c, "session over (%s) with %u calls open", strerror(-rc),
					c->outstanding);
			return;
		}
		now = book_now_ns();
		if (now - looked > 200 * MS) {
			// Twice: a process that was stopped must first see what came meanwhile.
			if (now - looked < S)
				look_for_hangs(c, now);
			looked = now;
		}
	}
}

static void run(struct caller *c)
{
	struct phx_status status;
	int rc;

	while (c->faults == 0 && book_now_ns() < c->end_ns) {
		c->context = ledger_attach(c->options, c->book, c->end_ns);
		if (c->context == NULL)
			return;
		c->queue = phx_queue_default(c->context);
		rc = phx_channel_open(c->context, c->options->target, NULL, &c->channel, &status);
		if (rc == 0)
			session(c);
		else if (!phx_context_ended(c->context, NULL))
			fault(c, "channel: %s: %s", strerror(-rc), status.text);
		if (rc == 0)
			phx_channel_close(c->channel);
		phx_detach(c->context);
	}
}

int ledger_client(const struct ledger_options *options)
{
	struct caller c = {
		.options = options, .random = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1};

	c.book = book_open(options->book);
	c.slots = calloc(options->inflight, sizeof(*c.slots));
	c.bytes = malloc(options->size + 1);
	if (c.book != NULL && c.slots != NULL && c.bytes != NULL) {
		c.number = book_client_begin(c.book);
		c.begin_ns = book_now_ns();
		c.end_ns = c.begin_ns + (uint64_t)(options->seconds * 1e9);
		run(&c);
		if (c.number < BOOK_CLIENTS)
			atomic_store(&c.book->client[c.number].state, BOOK_CLIENT_DONE);
		(void)printf("%llu calls, %llu not accepted\n", (unsigned long long)c.started,
			(unsigned long long)c.refused);
	}
	free(c.bytes);
	free(c.slots);
	return c.book == NULL || c.number == BOOK_CLIENTS ? 1 : c.faults > 0 ? 3 : 0;
}

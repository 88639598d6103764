// SPDX-License-Identifier: BSD-3-Clause
// Judges a book: what must hold for every call, whatever happened around it.
//   an accepted call ended exactly once, unless its client was killed
//   OK: executed exactly once, and the reply was its own
//   executed: no, or not accepted at all: never executed
//   executed: yes: executed
//   no call was executed twice, and none ended long behind its deadline
#include "tests/ledger/ledger.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define LATE (3 * S)

struct verdict {
	struct book *book;
	uint64_t accepted, ended, executed, refused, abandoned, faults;
	uint64_t codes[PHX_CODE_COUNT];
	uint64_t no, maybe, yes;			    // of those that are not OK
	uint64_t endings[PHX_CODE_COUNT][PHX_REASON_COUNT]; // of those too
	uint64_t slowest_ns;				    // of OK
	uint32_t killed;
};

static void fault(struct verdict *v, uint32_t id, const char *what)
{
	const struct book_row *row = &v->book->rows[id];

	if (v->faults++ >= 20)
		return;
	(void)fprintf(stderr,
		"ledger: FAULT: call %u of client %u %s (state %u, ended %u times with code %u "
		"origin %u executed %u reason %u, executed %u times, %" PRIu64 " ms)\n",
		id, row->client, what, row->state, row->completions, row->code, row->origin,
		row->executed, row->reason, row->executions,
		row->end_ns > row->begin_ns ? (row->end_ns - row->begin_ns) / MS : 0);
}

static void check_ended(struct verdict *v, uint32_t id, const struct book_row *row)
{
	uint32_t executions = atomic_load(&row->executions);

	v->ended++;
	v->codes[row->code < PHX_CODE_COUNT ? row->code : PHX_UNKNOWN]++;
	if (atomic_load(&row->completions) != 1)
		fault(v, id, "ended more than once");
	if (row->end_ns > row->deadline_ns + LATE)
		fault(v, id, "ended long behind its deadline");
	if (row->code == PHX_OK) {
		if (executions != 1)
			fault(v, id, "is OK and was not executed once");
		if (row->bad_content)
			fault(v, id, "is OK and has another's reply");
		if (row->end_ns - row->begin_ns > v->slowest_ns)
			v->slowest_ns = row->end_ns - row->begin_ns;
		return;
	}
	if (row->code < PHX_CODE_COUNT && row->reason < PHX_REASON_COUNT)
		v->endings[row->code][row->reason]++;
	v->no += row->executed == PHX_EXECUTED_NO;
	v->maybe += row->executed == PHX_EXECUTED_MAYBE;
	v->yes += row->executed == PHX_EXECUTED_YES;
	if (row->executed == PHX_EXECUTED_NO && executions != 0)
		fault(v, id, "was not executed, says its status, and was");
	if (row->executed == PHX_EXECUTED_YES && executions == 0)
		fault(v, id, "was executed, says its status, and was not");
}

static void check_row(struct verdict *v, uint32_t id)
{
	const struct book_row *row = &v->book->rows[id];
	uint32_t state = atomic_load(&row->state);
	bool gone = row->client >= BOOK_CLIENTS ||
		    atomic_load(&v->book->client[row->client].state) != BOOK_CLIENT_DONE;

	if (atomic_load(&row->executions) > 1)
		fault(v, id, "was executed twice");
	v->executed += atomic_load(&row->executions) > 0;
	switch (state) {
	case BOOK_ENDED:
		v->accepted++;
		check_ended(v, id, row);
		break;
	case BOOK_OPEN:
		v->accepted++;
		v->abandoned++;
		if (!gone)
			fault(v, id, "never ended");
		break;
	case BOOK_REFUSED:
		v->refused++;
		// fall through
	default:
		if (atomic_load(&row->executions) != 0)
			fault(v, id, "was not accepted and was executed");
	}
}

// How calls ended that are not OK: {"UNAVAILABLE LINK_DOWN": 3, ...}
static void print_endings(const struct verdict *v)
{
	const char *separator = "";

	(void)printf("{\"endings\": {");
	for (uint32_t c = PHX_OK + 1; c < PHX_CODE_COUNT; c++) {
		for (uint32_t r = 0; r < PHX_REASON_COUNT; r++) {
			if (v->endings[c][r] == 0)
				continue;
			(void)printf("%s\"%s %s\": %" PRIu64, separator, phx_code_name(c),
				phx_reason_name(r), v->endings[c][r]);
			separator = ", ";
		}
	}
	(void)printf("}, ");
}

int ledger_check(const struct ledger_options *options)
{
	static struct verdict v;
	uint32_t count;

	v.book = book_open(options->book);
	if (v.book == NULL)
		return 1;
	count = atomic_load(&v.book->next);
	for (uint32_t id = 1; id < count && id < BOOK_ROWS; id++)
		check_row(&v, id);
	for (uint32_t i = 0; i < BOOK_CLIENTS; i++)
		v.killed += atomic_load(&v.book->client[i].state) == BOOK_CLIENT_RUNS;
	if (v.killed != options->killed) {
		(void)fprintf(stderr, "ledger: FAULT: %u clients did not finish, %u were killed\n",
			v.killed, options->killed);
		v.faults++;
	}
	if (v.codes[PHX_OK] < options->at_least) {
		(void)fprintf(stderr,
			"ledger: FAULT: %" PRIu64 " calls are OK, %" PRIu64 " wanted\n",
			v.codes[PHX_OK], options->at_least);
		v.faults++;
	}
	print_endings(&v);
	(void)printf("\"accepted\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"ended\": %" PRIu64
		     ", \"executed\": %" PRIu64 ", \"not_accepted\": %" PRIu64
		     ", \"abandoned\": %" PRIu64 ", \"no\": %" PRIu64 ", \"maybe\": %" PRIu64
		     ", \"yes\": %" PRIu64 ", \"sessions\": %" PRIu64 ", \"slowest_ms\": %" PRIu64
		     ", \"faults\": %" PRIu64 "}\n",
		v.accepted, v.codes[PHX_OK], v.ended, v.executed, v.refused, v.abandoned, v.no,
		v.maybe, v.yes, atomic_load(&v.book->sessions), v.slowest_ns / MS, v.faults);
	return v.faults > 0 ? 3 : 0;
}

int ledger_wait(const struct ledger_options *options)
{
	struct book *book = book_open(options->book);
	uint64_t end = book_now_ns() + (uint64_t)(options->seconds * 1e9);
	struct timespec pause = {0, 500000};
	uint64_t target;

	if (book == NULL)
		return 1;
	target = atomic_load(&book->ok) + options->at_least;
	while (atomic_load(&book->ok) < target) {
		if (book_now_ns() > end) {
			(void)fprintf(stderr, "ledger: %" PRIu64 " calls short\n",
				target - atomic_load(&book->ok));
			return 3;
		}
		(void)nanosleep(&pause, NULL); // between two looks; the deadline is above
	}
	return 0;
}

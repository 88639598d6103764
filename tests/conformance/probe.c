// SPDX-License-Identifier: BSD-3-Clause
// Policies for the tests alone: `probe` inspects, rewrites, holds, denies and marks as its
// parameters say; `watch` looks on. Written against the SDK alone.
#include "lib/policy/policy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	P_FIELD,
	P_AMOUNT,
	P_REPLY,
	P_META,
	P_DENY,
	P_HOLD,
	P_HOLD_NS,
	P_REWRITE,
	P_SET_AMOUNT,
	P_META_DENY,
	P_REPLY_DENY,
	P_REPLY_HOLD,
	P_REPLY_REWRITE,
	P_COUNT,
};

enum { F_FIELD, F_AMOUNT, F_REPLY };
enum { C_ENDS, C_STATE_OK, C_STATE_BAD, C_CHANGED, C_REASKED, C_ENDS_OK };

#define TEXT(name, def)                                                                            \
	{                                                                                          \
		name, PHX_POLICY_STRING, NULL, 0, 64, def, "of the test"                           \
	}
static const struct phx_policy_param params[P_COUNT] = {
	[P_FIELD] = TEXT("field", "name"),
	[P_AMOUNT] = TEXT("amount", "amount"),
	[P_REPLY] = TEXT("reply", "text"),
	[P_META] = TEXT("meta", ""),
	[P_DENY] = TEXT("deny", ""),
	[P_HOLD] = TEXT("hold", ""),
	[P_HOLD_NS] = {"hold_ns", PHX_POLICY_UINT, "ns", 0, 1000000000, "0", "of the test"},
	[P_REWRITE] = TEXT("rewrite", ""),
	[P_SET_AMOUNT] = {"set_amount", PHX_POLICY_INT, NULL, (uint64_t)-5, 1000, "-1",
		"of the test"},
	[P_META_DENY] = TEXT("meta_deny", ""),
	[P_REPLY_DENY] = TEXT("reply_deny", ""),
	[P_REPLY_HOLD] = TEXT("reply_hold", ""),
	[P_REPLY_REWRITE] = TEXT("reply_rewrite", ""),
};

static const struct phx_policy_field fields[] = {
	[F_FIELD] = {NULL, "$field", PHX_POLICY_REQUESTS, 0},
	[F_AMOUNT] = {"t.Req", "$amount", PHX_POLICY_REQUESTS, 0},
	[F_REPLY] = {NULL, "$reply", PHX_POLICY_REPLIES, 0},
};

static const char *const metadata[] = {"$meta"};

static const char *const counters[] = {
	[C_ENDS] = "ends",
	[C_STATE_OK] = "state_ok",
	[C_STATE_BAD] = "state_bad",
	[C_CHANGED] = "changed",
	[C_REASKED] = "reasked",
	[C_ENDS_OK] = "ends_ok",
};

struct probe_config {
	char text[P_COUNT][65];
	uint64_t hold_ns;
	int64_t set_amount;
};

// A call's state.
struct probe_state {
	uint64_t amount;   // of the request, plus 1
	uint64_t first_ns; // when it was held first
};
_Static_assert(sizeof(struct probe_state) == PHX_POLICY_STATE_SIZE, "state");

static int probe_configure(void *self, const union phx_policy_arg *args, void **out)
{
	struct probe_config *c = calloc(1, sizeof(*c));

	(void)self;
	if (c == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < P_COUNT; i++) {
		if (params[i].type == PHX_POLICY_STRING)
			memcpy(c->text[i], args[i].s,
				strlen(args[i].s) + 1); // up to 64 by the table
	}
	c->hold_ns = args[P_HOLD_NS].u;
	c->set_amount = args[P_SET_AMOUNT].i;
	if (strcmp(c->text[P_DENY], "refuse me") == 0) {
		free(c);
		return -EDOM;
	}
	*out = c;
	return 0;
}

static void probe_unconfigure(void *self, void *config)
{
	(void)self;
	free(config);
}

static bool is(const struct phx_policy_value *v, const char *text)
{
	return text[0] != '\0' && v->have == v->len && v->len == strlen(text) &&
	       memcmp(v->data, text, v->len) == 0;
}

// A body is judged by its first byte.
static bool starts(const struct phx_policy_value *v, const char *text)
{
	return text[0] != '\0' && v->have != 0 && v->kind == PHX_POLICY_VALUE_BYTES &&
	       memcmp(v->data, text, 1) == 0;
}

static void probe_request(const struct phx_policy_burst *b, const struct probe_config *c,
	struct phx_policy_message *m)
{
	struct phx_policy_value v, amount = {0}, meta;
	struct probe_state *s = m->state;

	if ((m->flags & PHX_POLICY_M_CHANGED) != 0)
		phx_policy_count(b, C_CHANGED, 1);
	if ((m->flags & PHX_POLICY_M_REASKED) != 0)
		phx_policy_count(b, C_REASKED, 1);
	if (phx_policy_field_get(b, m, F_AMOUNT, &amount) == 0)
		s->amount = amount.number.u + 1;
	if (phx_policy_metadata_get(b, m, 0, &meta) == 0 && is(&meta, c->text[P_META_DENY])) {
		phx_policy_deny(m, PHX_UNAUTHENTICATED, "metadata");
		return;
	}
	if (phx_policy_field_get(b, m, F_FIELD, &v) != 0)
		return;
	if (is(&v, c->text[P_DENY]) || starts(&v, c->text[P_DENY])) {
		phx_policy_deny(m, PHX_PERMISSION_DENIED, "forbidden value");
		return;
	}
	if (is(&v, c->text[P_HOLD])) {
		if (s->first_ns == 0)
			s->first_ns = b->now_ns;
		if (b->now_ns < s->first_ns + c->hold_ns ||
			((m->flags & PHX_POLICY_M_REASKED) == 0 &&
				phx_policy_waiting(b, amount.number.u) != 0)) {
			phx_policy_hold(m, amount.number.u, s->first_ns + c->hold_ns);
			return;
		}
	}
	if (c->text[P_REWRITE][0] != '\0')
		(void)phx_policy_field_set_bytes(
			b, m, F_FIELD, c->text[P_REWRITE], (uint32_t)strlen(c->text[P_REWRITE]));
	if (c->set_amount >= 0) {
		amount.kind = PHX_POLICY_VALUE_UINT;
		amount.number.u = (uint64_t)c->set_amount;
		(void)phx_policy_field_set_number(b, m, F_AMOUNT, &amount);
	}
}

extern _Atomic unsigned probe_ends;
_Atomic unsigned probe_ends;

static void state_check(const struct phx_policy_burst *b, const struct probe_state *s)
{
	phx_policy_count(b, s->amount != 0 ? C_STATE_OK : C_STATE_BAD, 1);
}

static void probe_reply(const struct phx_policy_burst *b, const struct probe_config *c,
	struct phx_policy_message *m)
{
	struct phx_policy_value v;
	struct probe_state *s = m->state;

	if ((m->flags & PHX_POLICY_M_REQUEST) != 0)
		state_check(b, s);
	if (phx_policy_field_get(b, m, F_REPLY, &v) != 0)
		return;
	if (is(&v, c->text[P_REPLY_DENY]) || starts(&v, c->text[P_REPLY_DENY])) {
		phx_policy_deny(m, PHX_PERMISSION_DENIED, "forbidden reply");
		return;
	}
	if (is(&v, c->text[P_REPLY_HOLD]) && (m->flags & PHX_POLICY_M_REASKED) == 0) {
		phx_policy_hold(m, 0, b->now_ns + c->hold_ns);
		return;
	}
	if (c->text[P_REPLY_REWRITE][0] != '\0')
		(void)phx_policy_field_set_bytes(b, m, F_REPLY, c->text[P_REPLY_REWRITE],
			(uint32_t)strlen(c->text[P_REPLY_REWRITE]));
}

static void probe_burst(
	const struct phx_policy_burst *b, struct phx_policy_message *const *messages, unsigned n)
{
	const struct probe_config *c = b->config;

	for (unsigned i = 0; i < n; i++) {
		if ((PHX_POLICY_AT(b->point) & PHX_POLICY_REQUESTS) != 0)
			probe_request(b, c, messages[i]);
		else
			probe_reply(b, c, messages[i]);
	}
}

static void probe_end(
	const struct phx_policy_burst *b, const void *state, const struct phx_policy_end *end)
{
	phx_policy_count(b, C_ENDS, 1);
	atomic_fetch_add(&probe_ends, 1);
	phx_policy_count(b, C_ENDS_OK, end->code == PHX_OK);
	state_check(b, state);
}

#define PROBE                                                                                      \
	.hello = PHX_POLICY_HELLO, .version = "1", .help = "for tests", .params = params,          \
	.fields = fields, .metadata = metadata, .counters = counters, .param_count = P_COUNT,      \
	.field_count = sizeof(fields) / sizeof(fields[0]), .metadata_count = 1,                    \
	.counter_count = sizeof(counters) / sizeof(counters[0]),                                   \
	.points = PHX_POLICY_REQUESTS | PHX_POLICY_REPLIES,                                        \
	.judges = PHX_POLICY_REQUESTS | PHX_POLICY_REPLIES, .on_failure = PHX_POLICY_CLOSED,       \
	.state_size = sizeof(struct probe_state), .configure = probe_configure,                    \
	.unconfigure = probe_unconfigure, .burst = probe_burst, .call_end = probe_end

extern const struct phx_policy probe_policy;
const struct phx_policy probe_policy = {.name = "probe", PROBE};
extern const struct phx_policy probe_again_policy;
const struct phx_policy probe_again_policy = {.name = "probe-again", .recheck_on_change = 1, PROBE};

// ---- watch ----

static void watch_burst(
	const struct phx_policy_burst *b, struct phx_policy_message *const *messages, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct probe_state *s = messages[i]->state;

		if ((PHX_POLICY_AT(b->point) & PHX_POLICY_REQUESTS) != 0) {
			s->amount = 1;
			phx_policy_mark(messages[i], 3, 7);
		} else if ((messages[i]->flags & PHX_POLICY_M_REQUEST) != 0) {
			state_check(b, s);
		}
	}
}

extern const struct phx_policy watch_policy;
const struct phx_policy watch_policy = {
	.hello = PHX_POLICY_HELLO,
	.name = "watch",
	.version = "1",
	.help = "for tests",
	.counters = counters,
	.counter_count = sizeof(counters) / sizeof(counters[0]),
	.points = PHX_POLICY_REQUESTS | PHX_POLICY_REPLIES,
	.on_failure = PHX_POLICY_OPEN,
	.state_size = sizeof(struct probe_state),
	.burst = watch_burst,
	.call_end = probe_end,
};

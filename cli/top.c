// SPDX-License-Identifier: BSD-3-Clause
// Samples of top.h, printed one after another; the full screen is top_screen.c.
#include "cli/top.h"

#include "cli/top_sample.h"
#include "cli/value_number.h"
#include "lib/base/clock.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_MIN_NS (100 * PHX_NS_PER_MS)
#define COUNT_MAX	1000000000

static atomic_bool interrupted; // set by the handler

static void on_signal(int)
{
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

bool top_interrupted(void)
{
	return atomic_load_explicit(&interrupted, memory_order_relaxed);
}

static void sample_fini(struct top_sample *s)
{
	for (size_t i = 0; i < TOP_VIEW_COUNT; i++)
		json_decref(s->answers[i]);
	*s = (struct top_sample){0};
}

int top_take(struct top *t)
{
	json_t *params = json_pack("{s:I}", "timeout_ms", session_forward_ms(&t->cli->session));
	int code = CLI_DONE;

	sample_fini(&t->before);
	t->before = t->now;
	t->now = (struct top_sample){.at_ns = phx_clock_ns()};
	for (size_t i = 0; i < TOP_VIEW_COUNT && code == CLI_DONE; i++) {
		phx_ctl_error_fini(&t->error);
		code = session_call(&t->cli->session, top_views[i].method, params,
			&t->now.answers[i], &t->error);
		if (code == CLI_STATUS + PHX_UNIMPLEMENTED)
			code = CLI_DONE;
	}
	json_decref(params);
	return code;
}

json_t *top_view_rows(const struct top *t, enum top_view_id view)
{
	return top_rows(&top_views[view], t->before.answers[view], t->now.answers[view],
		t->now.at_ns - t->before.at_ns);
}

static void print_sample(const struct top *t)
{
	const struct report *r = &t->cli->report;
	json_t *document = json_pack("{s:I}", "interval_ms",
		(json_int_t)((t->now.at_ns - t->before.at_ns) / PHX_NS_PER_MS));

	for (size_t i = 0; i < TOP_VIEW_COUNT; i++) {
		const struct phx_ctl_method *shape = &top_views[i].shape;
		json_t *rows = top_view_rows(t, (enum top_view_id)i);

		if (t->now.answers[i] != NULL && r->json) {
			(void)json_object_set(document, shape->list_key, rows);
		} else if (t->now.answers[i] != NULL) {
			json_t *table = json_pack("{s:O}", shape->list_key, rows);

			print_result(r->out, shape, NULL, table);
			(void)fputc('\n', r->out);
			json_decref(table);
		}
		json_decref(rows);
	}
	if (r->json)
		report_result(r, NULL, true, NULL, document);
	(void)fflush(r->out); // checked at the end
	json_decref(document);
}

static int run_plain(struct top *t)
{
	int code = top_take(t);

	for (uint64_t n = 0; code == CLI_DONE && (t->count == 0 || n < t->count); n++) {
		struct timespec pause = {.tv_sec = (time_t)(t->interval_ns / PHX_NS_PER_S),
			.tv_nsec = (long)(t->interval_ns % PHX_NS_PER_S)};

		if (ppoll(NULL, 0, &pause, &t->wait_mask) < 0 && top_interrupted())
			return CLI_INTERRUPTED;
		code = top_take(t);
		if (code == CLI_DONE)
			print_sample(t);
		if (ferror(t->cli->report.out))
			return CLI_LOCAL;
	}
	return code;
}

static int usage(struct cli *cli, const char *text, const char *word)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)phx_ctl_error_set(&e, PHX_INVALID_ARGUMENT, "top: %s%s", text, word);
	phx_ctl_error_add(&e, "hint", json_string("phoenix-cli top [-n COUNT] [-d SECONDS]"));
	return command_fail(cli, &e, CLI_USAGE);
}

static int read_words(struct top *t, const struct words *w)
{
	char why[64], text[64];
	int64_t value;

	for (size_t i = 0; i < w->count; i += 2) {
		bool count = strcmp(w->items[i], "-n") == 0;
		const char *word = i + 1 < w->count ? w->items[i + 1] : NULL;

		if (!count && strcmp(w->items[i], "-d") != 0)
			return usage(t->cli, "no such option: ", w->items[i]);
		if (word == NULL)
			return usage(t->cli, "this option needs a value: ", w->items[i]);
		// A number alone is seconds, fractions too.
		(void)snprintf(text, sizeof(text), "%s%s", word,
			!count && word[strspn(word, "0123456789.")] == '\0' ? "s" : "");
		if (value_number(text, count ? NULL : "ns", &value, why, sizeof(why)) != 0 ||
			value < (count ? 1 : (int64_t)INTERVAL_MIN_NS) ||
			value > (count ? COUNT_MAX : (int64_t)(3600 * PHX_NS_PER_S)))
			return usage(t->cli,
				count ? "-n: a number from 1, not " : "-d: 0.1 to 3600, not ",
				word);
		if (count)
			t->count = (uint64_t)value;
		else
			t->interval_ns = (uint64_t)value;
	}
	return CLI_DONE;
}

static int run(struct top *t)
{
	bool screen = t->count == 0 && !t->cli->report.json && isatty(STDIN_FILENO) &&
		      isatty(STDOUT_FILENO);
	static const int signals[] = {SIGINT, SIGTERM};
	struct sigaction handler = {.sa_handler = on_signal}, before[PHX_ARRAY_LEN(signals)];
	sigset_t block, mask;
	int code;

	atomic_store_explicit(&interrupted, false, memory_order_relaxed);
	(void)sigemptyset(&block); // none of these can fail with valid arguments
	for (size_t i = 0; i < PHX_ARRAY_LEN(signals); i++)
		(void)sigaddset(&block, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &block, &mask);
	t->wait_mask = mask;
	for (size_t i = 0; i < PHX_ARRAY_LEN(signals); i++) {
		(void)sigdelset(&t->wait_mask, signals[i]);
		(void)sigaction(signals[i], &handler, &before[i]);
	}
	code = screen ? top_screen(t) : run_plain(t);
	for (size_t i = 0; i < PHX_ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return code;
}

int top_run(struct cli *cli, const struct words *w)
{
	struct top t = {.cli = cli, .interval_ns = PHX_NS_PER_S, .error = PHX_CTL_ERROR_INIT};
	int code = read_words(&t, w);

	if (code != CLI_DONE)
		return code;
	code = run(&t);
	if (code != CLI_DONE && code != CLI_INTERRUPTED && t.error.code != 0)
		report_error(&cli->report, &t.error);
	phx_ctl_error_fini(&t.error);
	sample_fini(&t.before);
	sample_fini(&t.now);
	return code;
}

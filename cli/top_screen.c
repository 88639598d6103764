// SPDX-License-Identifier: BSD-3-Clause
// The full screen of top: plain ANSI codes on the other screen of the terminal, which is left
// as it was.
#include "cli/human.h"
#include "cli/top_sample.h"
#include "lib/base/clock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER "\x1b[?1049h\x1b[?25l"
#define LEAVE "\x1b[?25h\x1b[?1049l"

static const char *const titles[TOP_VIEW_COUNT] = {
	[TOP_LCORES] = "[l]cores",
	[TOP_ENGINES] = "[e]ngines",
	[TOP_APPS] = "[a]pps",
	[TOP_METHODS] = "[m]ethods",
};

static char *render(const struct top *t, enum top_view_id view, int code)
{
	char *text = NULL, now[16] = "";
	size_t size;
	FILE *out = open_memstream(&text, &size);
	time_t wall = time(NULL);
	struct tm tm;
	json_t *rows, *table;

	if (out == NULL)
		return NULL;
	if (localtime_r(&wall, &tm) != NULL)
		(void)strftime(now, sizeof(now), "%H:%M:%S", &tm);
	(void)fprintf(out, "%s  every %.1f s ", now, (double)t->interval_ns / (double)PHX_NS_PER_S);
	for (size_t i = 0; i < TOP_VIEW_COUNT; i++)
		(void)fprintf(out, i == view ? " \x1b[7m%s\x1b[0m" : " %s", titles[i]);
	(void)fputs("  [q]uit\n\n", out);
	if (code != CLI_DONE) {
		human_text(out, t->error.text);
		(void)fputc('\n', out);
	} else if (t->now.answers[view] == NULL) {
		(void)fprintf(out, "%s is not served here\n", top_views[view].method);
	} else {
		rows = top_view_rows(t, view);
		table = json_pack("{s:o}", top_views[view].shape.list_key, rows);
		print_result(out, &top_views[view].shape, NULL, table);
		json_decref(table);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

// Bytes of the line that fit into columns; escapes take none.
static size_t fitting(const char *line, size_t len, size_t columns)
{
	size_t i = 0, column = 0;

	while (i < len) {
		bool escape = line[i] == '\x1b';

		if (escape) {
			while (i < len && line[i] != 'm')
				i++;
			i++;
			continue;
		}
		if (((unsigned char)line[i] & 0xc0) != 0x80 && column++ == columns)
			break;
		i++;
	}
	return phx_min(i, len);
}

static void draw(const struct top *t, enum top_view_id view, int code)
{
	FILE *out = t->cli->report.out;
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	char *text = render(t, view, code);
	const char *line = text;

	if (text == NULL)
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	(void)fputs("\x1b[H", out);
	for (unsigned row = 0; *line != '\0' && row + 1 < size.ws_row; row++) {
		size_t len = strcspn(line, "\n");

		(void)fwrite(line, 1, fitting(line, len, size.ws_col), out);
		(void)fputs("\x1b[K\n", out);
		line += len + (line[len] == '\n');
	}
	(void)fputs("\x1b[J", out);
	(void)fflush(out); // checked at the end
	free(text);
}

// Take what was typed. False: q, or the terminal is gone.
static bool read_keys(enum top_view_id *view)
{
	char keys[16];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	for (ssize_t i = 0; i < n; i++) {
		if (keys[i] == 'q' || keys[i] == 'Q')
			return false;
		if (keys[i] == '\t')
			*view = (enum top_view_id)((*view + 1) % TOP_VIEW_COUNT);
		for (size_t v = 0; v < TOP_VIEW_COUNT; v++)
			if (keys[i] == top_views[v].key)
				*view = (enum top_view_id)v;
	}
	return n > 0;
}

// Until the next sample is due: redraw at keys. False: the end.
static bool wait_keys(struct top *t, enum top_view_id *view, int code, uint64_t until_ns)
{
	for (;;) {
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
		uint64_t now_ns = phx_clock_ns();
		uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
		struct timespec left = {.tv_sec = (time_t)(left_ns / PHX_NS_PER_S),
			.tv_nsec = (long)(left_ns % PHX_NS_PER_S)};
		int n = ppoll(&input, 1, &left, &t->wait_mask);

		if (top_interrupted())
			return false;
		if (n == 0)
			return true;
		if (n > 0) {
			if (!read_keys(view))
				return false;
			draw(t, *view, code);
		}
	}
}

int top_screen(struct top *t)
{
	FILE *out = t->cli->report.out;
	enum top_view_id view = TOP_LCORES;
	struct termios before, raw;
	int code = top_take(t);

	if (code != CLI_DONE)
		return code;
	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return CLI_LOCAL;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;		// stopping would leave the terminal so
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw); // as it was is fine, too
	(void)fputs(ENTER, out);
	do {
		draw(t, view, code);
		if (!wait_keys(t, &view, code, t->now.at_ns + t->interval_ns))
			break;
		code = top_take(t); // a dataplane that is down may come back
	} while (code != CLI_INTERRUPTED);
	(void)fputs(LEAVE, out);
	(void)fflush(out); // checked at the end
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	return top_interrupted() || code == CLI_INTERRUPTED ? CLI_INTERRUPTED : CLI_DONE;
}

// SPDX-License-Identifier: BSD-3-Clause
// The history of the shell: libedit's list in memory, a file with one line each. Lines are
// appended as they are entered, so that shells at the same time lose none of each other's.
#include "cli/shell.h"

#include "lib/base/compiler.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_LINES 1000
#define PATH_BYTES    512
#define LINE_BYTES    4096 // longer ones are not kept

static void complain(const char *path, int error)
{
	(void)fprintf(stderr, "warning: history is not kept: %s: %s\n", path, strerror(error));
}

// Words that say that the line holds what must not lie around.
static bool is_secret(const char *line)
{
	static const char *const words[] = {
		"payload", "secret", "passwd", "password", "token", "credential", "private"};

	for (size_t i = 0; i < PHX_ARRAY_LEN(words); i++)
		for (const char *s = line; *s != '\0'; s++)
			if (strncasecmp(s, words[i], strlen(words[i])) == 0)
				return true;
	return false;
}

// $XDG_STATE_HOME or ~/.local/state. 0, or -ENOENT without a home.
static int state_home(char *out, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n = -1;

	if (state != NULL && state[0] == '/')
		n = snprintf(out, size, "%s", state);
	else if (home != NULL && home[0] == '/')
		n = snprintf(out, size, "%s/.local/state", home);
	return n > 0 && (size_t)n < size ? 0 : -ENOENT;
}

// Make the folders above path, for the user alone.
static void make_folders(const char *path)
{
	char folder[PATH_BYTES];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		(void)mkdir(folder, 0700); // there already, or opening the file fails
	}
}

// The file, open and private. FILE for reading and appending, NULL with errno set.
static FILE *open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	FILE *file;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		((st.st_mode & 077) != 0 && fchmod(fd, 0600) != 0)) {
		close(fd);
		errno = EPERM;
		return NULL;
	}
	file = fdopen(fd, "a+");
	if (file == NULL)
		close(fd);
	return file;
}

static void enter(struct shell *sh, const char *line)
{
	HistEvent event;

	(void)history(sh->history, &event, H_ENTER, line);
}

// The file has twice the lines that are kept: write those that are, and put it in its place.
static void shorten(struct shell *sh)
{
	char path[PATH_BYTES + 8];
	HistEvent event;
	FILE *out;
	int fd, rc;

	(void)snprintf(path, sizeof(path), "%s.XXXXXX", sh->history_path);
	fd = mkstemp(path); // 0600
	out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (out == NULL) {
		if (fd >= 0)
			close(fd);
		return; // tried again next time
	}
	for (rc = history(sh->history, &event, H_LAST); rc != -1;
		rc = history(sh->history, &event, H_PREV))
		(void)fprintf(out, "%s\n", event.str);
	rc = ferror(out);
	if (fclose(out) != 0 || rc != 0 || rename(path, sh->history_path) != 0)
		(void)unlink(path);
}

void shell_history_load(struct shell *sh)
{
	char home[PATH_BYTES / 2], path[PATH_BYTES];
	HistEvent event;
	char *line = NULL;
	size_t size = 0, count = 0;
	ssize_t len;
	FILE *file;

	(void)history(sh->history, &event, H_SETSIZE, HISTORY_LINES);
	(void)history(sh->history, &event, H_SETUNIQUE, 1);
	if (state_home(home, sizeof(home)) != 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/phoenix/history", home);
	make_folders(path);
	file = open_file(path);
	if (file == NULL) {
		complain(path, errno);
		return;
	}
	rewind(file);
	while ((len = getline(&line, &size, file)) > 0) {
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > 0 && (size_t)len == strlen(line)) {
			enter(sh, line);
			count++;
		}
	}
	free(line);
	(void)fclose(file); // nothing was written
	sh->history_path = strdup(path);
	if (sh->history_path != NULL && count > (size_t)HISTORY_LINES * 2)
		shorten(sh);
}

void shell_history_add(struct shell *sh, const char *line)
{
	size_t len = strlen(line);
	const char *before = shell_history_line(sh, 0);
	char text[LINE_BYTES];
	FILE *file;

	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	if (len == 0 || len >= sizeof(text) || isspace((unsigned char)line[0]) || is_secret(line))
		return;
	(void)snprintf(text, sizeof(text), "%.*s", (int)len, line);
	if (before != NULL && strcmp(before, text) == 0)
		return;
	enter(sh, text);
	file = sh->history_path != NULL ? open_file(sh->history_path) : NULL;
	if (file == NULL)
		return; // told when the shell started
	(void)fprintf(file, "%s\n", text);
	if (fclose(file) != 0) {
		complain(sh->history_path, errno);
		free(sh->history_path);
		sh->history_path = NULL;
	}
}

const char *shell_history_line(struct shell *sh, int n)
{
	HistEvent event;
	int rc = history(sh->history, &event, H_FIRST); // the newest

	while (rc != -1 && n > 0 && event.num != n)
		rc = history(sh->history, &event, H_NEXT);
	return rc != -1 ? event.str : NULL;
}

void shell_history_print(struct shell *sh, FILE *out)
{
	HistEvent event;

	for (int rc = history(sh->history, &event, H_LAST); rc != -1;
		rc = history(sh->history, &event, H_PREV))
		(void)fprintf(out, "%5d  %s\n", event.num, event.str);
}

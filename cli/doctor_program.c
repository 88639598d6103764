// SPDX-License-Identifier: BSD-3-Clause
// Whether phoenix-dataplane can be started here: doctor asks the program itself.
#include "cli/doctor_checks.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM	   "phoenix-dataplane"
#define PATH_BYTES 512
#define RUN_MS	   20000
#define TEXT_BYTES 256

extern char **environ;

// Where this program stands in its folder: beside it, in ../sbin, or in a build tree.
static bool find_beside(char *out, size_t size)
{
	static const char *const places[] = {"", "../sbin/", "../dataplane/"};
	char self[PATH_BYTES];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (len <= 0)
		return false;
	self[len] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < PHX_ARRAY_LEN(places); i++) {
		int n = snprintf(
			out, size, "%.*s/%s" PROGRAM, (int)(slash - self), self, places[i]);

		if (n > 0 && (size_t)n < size && access(out, X_OK) == 0)
			return true;
	}
	return false;
}

static bool find_in_path(char *out, size_t size)
{
	const char *path = getenv("PATH");

	while (path != NULL && *path != '\0') {
		int len = (int)strcspn(path, ":");
		int n = snprintf(out, size, "%.*s/" PROGRAM, len, path);

		if (len > 0 && n > 0 && (size_t)n < size && access(out, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

// Start with stdout and stderr in output. 0 or -errno.
static int start(char *const argv[], int output, pid_t *out_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int rc;

	(void)sigemptyset(&none); // the shell has blocked SIGINT
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
	rc = posix_spawn(out_pid, argv[0], &actions, &attributes, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return -rc;
}

// Wait for the end of a child, and end it when it takes too long. Its exit status, or -errno.
static int wait_child(pid_t pid)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int status = 0;

	if (end.fd < 0 || poll(&end, 1, RUN_MS) == 0)
		(void)kill(pid, SIGKILL); // it is ours until it is waited for
	if (end.fd >= 0)
		close(end.fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ETIMEDOUT;
}

// Run the program; *out_text is the last line of what it said. Its exit status or -errno.
static int run(char *const argv[], char *out_text, size_t size)
{
	char line[TEXT_BYTES];
	FILE *output = tmpfile();
	pid_t pid;
	int rc;

	out_text[0] = '\0';
	if (output == NULL)
		return -errno;
	rc = start(argv, fileno(output), &pid);
	if (rc == 0)
		rc = wait_child(pid);
	rewind(output);
	while (fgets(line, sizeof(line), output) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0')
			(void)snprintf(out_text, size, "%s", line);
	}
	(void)fclose(output); // was only read
	return rc;
}

static void check_version(struct doctor *d, char *path)
{
	char *const argv[] = {path, (char *)"--version", NULL};
	char text[TEXT_BYTES];
	int rc = run(argv, text, sizeof(text));
	bool runs = rc == 0, equal = runs && strcmp(text, PROGRAM " " PHX_VERSION) == 0;

	if (text[0] == '\0')
		(void)snprintf(text, sizeof(text), "says nothing%s%s", rc < 0 ? ": " : "",
			rc < 0 ? strerror(-rc) : "");
	doctor_add(d, "dataplane_program",
		!runs	? DOCTOR_FAIL
		: equal ? DOCTOR_OK
			: DOCTOR_WARN,
		text, PROGRAM " " PHX_VERSION, equal ? "" : "install the programs of one version");
}

// EAL starts and stops in a run directory of its own.
static void check_eal(struct doctor *d, char *path)
{
	char dir[] = "/tmp/phoenix-doctor.XXXXXX", text[TEXT_BYTES] = "";
	char *const argv[] = {path, (char *)"--check", (char *)"--rundir", dir, NULL};
	int rc;

	if (mkdtemp(dir) == NULL) {
		doctor_add(d, "eal", DOCTOR_WARN, strerror(errno), "a directory in /tmp",
			"make room in /tmp");
		return;
	}
	rc = run(argv, text, sizeof(text));
	(void)rmdir(dir); // the dataplane leaves nothing in it
	doctor_add(d, "eal", rc == 0 ? DOCTOR_OK : DOCTOR_FAIL,
		rc == 0		  ? "starts"
		: text[0] != '\0' ? text
				  : "does not start",
		"DPDK's environment starts with the defaults",
		rc == 0 ? "" : "see what it says: " PROGRAM " --check --rundir DIR");
}

void doctor_program(struct doctor *d, bool runs)
{
	char path[PATH_BYTES];

	if (!find_beside(path, sizeof(path)) && !find_in_path(path, sizeof(path))) {
		doctor_add(d, "dataplane_program", runs ? DOCTOR_WARN : DOCTOR_FAIL, "not found",
			PROGRAM " beside this program or in PATH", "install it, or set PATH");
		return;
	}
	check_version(d, path);
	if (!runs)
		check_eal(d, path);
}

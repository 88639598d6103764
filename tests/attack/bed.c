// SPDX-License-Identifier: BSD-3-Clause
// Starts, watches and ends the programs under attack. Works with bed.h.
#include "tests/attack/bed.h"

#include "lib/ctl/client.h"
#include <dirent.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct bed bed;
void (*bed_cleanup)(void);
static const char *program_dataplane, *program_bystander;

unsigned bed_rounds(unsigned full)
{
	return getenv("PHX_TEST_SLOW") != NULL ? full / 10 + 1 : full;
}

void bed_pause(void)
{
	const struct timespec ts = {0, 1000000};

	(void)nanosleep(&ts, NULL);
}

static bool alive(pid_t pid)
{
	return pid > 0 && waitpid(pid, NULL, WNOHANG) == 0;
}

static bool can_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool ok;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ok = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
	(void)close(fd);
	return ok;
}

static void start_dataplane(const char *const *options)
{
	const char *argv[16] = {program_dataplane, "--rundir", bed.rundir};
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	int n = 3;

	while (options != NULL && *options != NULL && n < 15)
		argv[n++] = *options++;
	bed.dataplane = fork();
	if (bed.dataplane == 0) {
		int log = open(bed.log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(log, STDERR_FILENO);
		(void)execv(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	while (!can_connect(bed.app_socket)) {
		assert_true(alive(bed.dataplane));
		assert_true(phx_clock_ns() < deadline);
		bed_pause();
	}
}

// A line of the bystander.
static void hear(char *line, size_t size)
{
	struct pollfd p = {.fd = bed.bystander_out, .events = POLLIN};
	size_t len = 0;

	while (len + 1 < size && (len == 0 || line[len - 1] != '\n')) {
		assert_int_equal(poll(&p, 1, (int)(BED_DEADLINE_NS / PHX_NS_PER_MS)), 1);
		assert_int_equal(read(bed.bystander_out, line + len, 1), 1);
		len++;
	}
	line[len] = '\0';
}

static void start_bystander(void)
{
	int in[2], out[2];
	char line[64];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	bed.bystander = fork();
	if (bed.bystander == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(in[0], STDIN_FILENO);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)execl(program_bystander, program_bystander, bed.rundir, NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	bed.bystander_in = in[1];
	bed.bystander_out = out[0];
	hear(line, sizeof(line));
	assert_string_equal(line, "ready\n");
}

void bed_start(const char *const *options)
{
	(void)snprintf(bed.rundir, sizeof(bed.rundir), "/tmp/phx-attack.XXXXXX");
	assert_non_null(mkdtemp(bed.rundir));
	(void)snprintf(bed.log, sizeof(bed.log), "%s.log", bed.rundir);
	(void)snprintf(bed.app_socket, sizeof(bed.app_socket), "%s/app.sock", bed.rundir);
	start_dataplane(options);
	start_bystander();
	bed.quiet = bed_gauges();
}

void bed_show_log(void)
{
	char line[512];
	FILE *f = fopen(bed.log, "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		print_message("dataplane: %s", line);
	if (f != NULL)
		(void)fclose(f);
}

static int exit_status(pid_t pid)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (phx_clock_ns() > deadline) {
			(void)kill(pid, SIGKILL);
			(void)waitpid(pid, NULL, 0);
			return -1;
		}
		bed_pause();
	}
}

// The dataplane's own books once everybody has gone: nobody is attached, nothing is charged, no
// block of its pools is out.
static bool books_are_empty(json_t *mem)
{
	json_t *pool;
	size_t i;

	if (json_integer_value(json_object_get(mem, "app_bytes")) != 0 ||
		json_array_size(json_object_get(mem, "apps")) != 0)
		return false;
	json_array_foreach(json_object_get(mem, "pools"), i,
		pool) if (json_integer_value(json_object_get(pool, "used")) != 0) return false;
	return i > 0;
}

static void assert_books_are_empty(void)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	struct phx_ctl_client *client;
	struct phx_ctl_error e = {0};
	char path[96], *text;
	json_t *mem;
	bool empty;

	(void)snprintf(path, sizeof(path), "%s/dataplane.sock", bed.rundir);
	assert_int_equal(phx_ctl_client_open(path, &client), 0);
	for (;;) {
		assert_int_equal(phx_ctl_client_call(
					 client, "mem.get", NULL, BED_DEADLINE_NS, NULL, &mem, &e),
			0);
		empty = books_are_empty(mem);
		if (empty || phx_clock_ns() > deadline)
			break;
		json_decref(mem);
		bed_pause();
	}
	text = json_dumps(mem, JSON_COMPACT);
	if (!empty)
		print_message("left behind: %s\n", text);
	free(text);
	json_decref(mem);
	phx_ctl_client_destroy(client);
	assert_true(empty);
}

void bed_stop(void)
{
	unsigned calls = 0, failed = 1;
	int status;
	char line[64], command[200];

	(void)close(bed.bystander_in);
	hear(line, sizeof(line));
	(void)sscanf(line, "%u %u", &calls, &failed);
	print_message("bystander: calls, failed, longest us: %s", line);
	assert_int_equal(exit_status(bed.bystander), 0);
	(void)close(bed.bystander_out);
	assert_int_equal(failed, 0);
	assert_true(calls > 1);
	assert_books_are_empty();
	assert_int_equal(kill(bed.dataplane, SIGTERM), 0);
	status = exit_status(bed.dataplane);
	if (status != 0)
		bed_show_log();
	assert_int_equal(status, 0);
	(void)snprintf(command, sizeof(command), "rm -rf %s %s", bed.rundir, bed.log);
	assert_int_equal(system(command), 0);
	bed.dataplane = bed.bystander = 0;
}

int bed_setup(void **state)
{
	static const char *const options[] = {"--standalone", "default", NULL};

	(void)state;
	bed_start(options);
	return 0;
}

int bed_teardown(void **state)
{
	(void)state;
	bed_stop();
	return 0;
}

// ---- gauges ----

static unsigned count_fds(void)
{
	char path[64];
	unsigned n = 0;
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)bed.dataplane);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

struct bed_gauges bed_gauges(void)
{
	struct bed_gauges g = {.fds = count_fds()};
	unsigned long long begin, end;
	char path[64], line[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)bed.dataplane);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strstr(line, "/memfd:phoenix") == NULL ||
			sscanf(line, "%llx-%llx", &begin, &end) != 2)
			continue;
		g.objects++;
		g.bytes += end - begin;
	}
	(void)fclose(f);
	return g;
}

uint64_t bed_resident(void)
{
	unsigned long long kib = 0;
	char path[64], line[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)bed.dataplane);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %llu kB", &kib) == 1)
			break;
	(void)fclose(f);
	return kib * 1024;
}

void bed_assert_quiet(void)
{
	uint64_t deadline = phx_clock_ns() + BED_DEADLINE_NS;
	struct bed_gauges g, seen = bed.quiet;
	uint64_t since = 0;

	do {
		g = bed_gauges();
		if (g.fds == bed.quiet.fds && g.objects == bed.quiet.objects &&
			g.bytes == bed.quiet.bytes)
			return;
		// A region has one descriptor and one mapping, and stays.
		if (memcmp(&g, &seen, sizeof(g)) != 0) {
			seen = g;
			since = phx_clock_ns();
		}
		if (bed.may_grow && g.objects > bed.quiet.objects &&
			g.fds - bed.quiet.fds == g.objects - bed.quiet.objects &&
			phx_clock_ns() - since > PHX_NS_PER_S) {
			bed.quiet = g;
			return;
		}
		bed_pause();
	} while (phx_clock_ns() < deadline);
	bed_show_log();
	fail_msg("left behind: %d descriptors, %d mappings, %lld bytes",
		(int)(g.fds - bed.quiet.fds), (int)(g.objects - bed.quiet.objects),
		(long long)(g.bytes - bed.quiet.bytes));
}

int bed_after(void **state)
{
	(void)state;
	if (bed_cleanup != NULL)
		bed_cleanup();
	if (!alive(bed.dataplane))
		bed_show_log();
	assert_true(alive(bed.dataplane));
	assert_true(alive(bed.bystander));
	bed_assert_quiet();
	return 0;
}

int bed_main(int argc, char **argv, const char *group, const struct CMUnitTest *tests, size_t count)
{
	return bed_main_with(argc, argv, group, tests, count, bed_setup, bed_teardown);
}

int bed_main_with(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
	size_t count, CMFixtureFunction setup, CMFixtureFunction teardown)
{
	if (argc < 3) {
		(void)fprintf(stderr, "usage: %s DATAPLANE BYSTANDER [TEST]\n", argv[0]);
		return 2;
	}
	if (argc > 3)
		cmocka_set_test_filter(argv[3]);
	program_dataplane = argv[1];
	program_bystander = argv[2];
	(void)signal(SIGPIPE, SIG_IGN);
	return _cmocka_run_group_tests(group, tests, count, setup, teardown);
}

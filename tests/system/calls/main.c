// SPDX-License-Identifier: BSD-3-Clause
// The program of the call suite: runs each case in a child of its own and counts.
//   calls TARGET SERVER_RUNDIR CLIENT_RUNDIR V2_PROGRAM [CASE...]
#include "tests/system/calls/calls.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE_SECONDS 90

struct suite suite;

static const struct test_case *const groups[] = {
	cases_basic,
	cases_groups,
	cases_time,
	cases_load,
	cases_big,
	cases_wait,
	cases_death,
};

static bool wanted(const char *name, char **names)
{
	if (*names == NULL)
		return true;
	for (; *names != NULL; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

// 0, 1 or 77.
static int case_run(const struct test_case *c)
{
	uint64_t begin = now_ns();
	int status = 0, rc;
	pid_t pid;

	(void)printf("%s\n", c->name);
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); // or it outlives a killed suite
		(void)alarm(CASE_SECONDS);
		c->run();
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	rc = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	if (rc != 0 && rc != 77)
		(void)printf("FAILED %s (status %#x)\n", c->name, (unsigned)status);
	else
		(void)printf("%s %s %llu ms\n", rc == 0 ? "ok" : "skip", c->name,
			(unsigned long long)((now_ns() - begin) / MS));
	(void)fflush(stdout);
	return rc;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0, skipped = 0;

	if (argc < 5) {
		(void)fprintf(stderr,
			"usage: calls TARGET SERVER_RUNDIR CLIENT_RUNDIR V2_PROGRAM [CASE...]\n");
		return 2;
	}
	suite = (struct suite){
		.program = argv[0],
		.target = argv[1],
		.server_dir = argv[2],
		.client_dir = argv[3],
		.v2 = argv[4],
	};
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		for (const struct test_case *c = groups[g]; c->name != NULL; c++) {
			int rc;

			if (!wanted(c->name, argv + 5))
				continue;
			rc = case_run(c);
			passed += rc == 0;
			skipped += rc == 77;
			failed += rc != 0 && rc != 77;
		}
	}
	(void)printf("calls: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed != 0 || passed == 0;
}

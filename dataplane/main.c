// SPDX-License-Identifier: BSD-3-Clause
// phoenix-dataplane: parses, locks the run directory, starts EAL and the daemon, and maps what
// goes wrong to an exit code. Works with options.c, rundir.c and daemon.c.
#include "dataplane/daemon.h"
#include "dataplane/options.h"
#include "dataplane/rundir.h"

#include "lib/base/crash.h"
#include "lib/base/log.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DESCRIPTORS_MIN 64 // before the first application comes

static int usage_error(const char *error)
{
	(void)fprintf(stderr, "phoenix-dataplane: %s (see --help)\n", error);
	return DAEMON_EXIT_USAGE;
}

// The descriptors 0 to 2 exist, so that no socket gets their numbers; signals are taken by the
// daemon's descriptor, in all threads.
static void prepare_process(void)
{
	sigset_t set;

	(void)sigemptyset(&set); // these cannot fail with valid arguments
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
#ifndef __SANITIZE_ADDRESS__		 // the leak check traces its own process
	(void)prctl(PR_SET_DUMPABLE, 0); // no ptrace, no core with applications' data
#endif
	phx_log_set_program("dataplane");
	phx_crash_install();
}

// Each application takes about ten descriptors, so all that may be had are asked for; EAL aborts
// the process where it finds none.
static int take_descriptors(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	(void)getrlimit(RLIMIT_NOFILE, &limit); // cannot fail
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); // up to the hard limit: cannot fail
	if (limit.rlim_cur >= DESCRIPTORS_MIN)
		return DAEMON_EXIT_OK;
	phx_log_err("main",
		"%llu open files are allowed, %d are needed: raise the hard limit (ulimit -Hn)",
		(unsigned long long)limit.rlim_cur, DESCRIPTORS_MIN);
	return DAEMON_EXIT_RESOURCES;
}

static int rundir_foreign(const char *path)
{
	struct stat st = {0};

	(void)stat(path, &st); // it was there a moment ago
	phx_log_err("main",
		"%s: run directory: of uid %u with mode %03o, must be of uid %u and writable by it "
		"alone (0755)",
		path, (unsigned)st.st_uid, (unsigned)st.st_mode & 0777, (unsigned)geteuid());
	return DAEMON_EXIT_USAGE;
}

static int rundir_failed(const char *path, int rc)
{
	if (rc == -EPERM)
		return rundir_foreign(path);
	if (rc == -EEXIST) {
		phx_log_err("main", "%s: another dataplane runs there", path);
		return DAEMON_EXIT_EXISTS;
	}
	phx_log_err("main", "%s: run directory, or dataplane.lock in it: %s", path,
		strerrorname_np(-rc));
	return rc == -ENOSPC || rc == -EMFILE || rc == -ENOMEM ? DAEMON_EXIT_RESOURCES
							       : DAEMON_EXIT_USAGE;
}

// EAL keeps its few run-time files below the run directory, and leaves the directories behind.
static void remove_eal_directory(bool private)
{
	char path[256];
	char *slash;

	(void)snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir()); // cut: not removed
	(void)rmdir(path);						     // only when empty
	slash = strrchr(path, '/');
	if (private && slash != NULL) {
		*slash = '\0';
		(void)rmdir(path);
	}
}

static int run(const struct options *options, const struct rundir *dir, char *program)
{
	struct options_eal eal;
	int rc = options_eal_build(options, program, &eal);

	if (rc != 0)
		return usage_error("EAL arguments are too many or no CPU is allowed");
	if (!options->eal_given)
		(void)setenv("RUNTIME_DIRECTORY", dir->path, 1); // without memory EAL uses another
	rc = rte_eal_init(eal.argc, eal.argv);
	if (rc < 0) {
		int error = rte_errno;

		phx_log_err("main", "EAL does not start: %s", rte_strerror(error));
		remove_eal_directory(!options->eal_given);
		return error == ENOMEM ? DAEMON_EXIT_RESOURCES : DAEMON_EXIT_USAGE;
	}
	rc = options->check ? DAEMON_EXIT_OK : daemon_run(options, dir);
	if (rte_eal_cleanup() != 0)
		phx_log_warn("main", "EAL clean-up failed");
	remove_eal_directory(!options->eal_given);
	return rc;
}

static int run_in_rundir(const struct options *options, char *program)
{
	struct rundir dir;
	int rc = rundir_open(options->rundir, &dir);

	if (rc != 0)
		return rundir_failed(options->rundir, rc);
	rc = run(options, &dir, program);
	rundir_close(&dir);
	return rc;
}

int main(int argc, char **argv)
{
	struct options options;
	char error[512];
	int rc;

	prepare_process();
	if (options_parse(argc, argv, geteuid(), &options, error, sizeof(error)) != 0)
		return usage_error(error);
	if (options.help || options.version) {
		(void)fputs(options.help ? options_usage() : "phoenix-dataplane " PHX_VERSION "\n",
			stdout); // as far as stdout takes it
		return DAEMON_EXIT_OK;
	}
	phx_log_set_level(options.log_level);
	rc = take_descriptors();
	if (rc == DAEMON_EXIT_OK)
		rc = run_in_rundir(&options, argv[0]);
	options_fini(&options);
	return rc;
}

// SPDX-License-Identifier: BSD-3-Clause
// phoenix-controlplane: owns the intent, serves control.sock, keeps the dataplane in step.
#include "controlplane/control.h"
#include "controlplane/options.h"

#include "lib/base/clock.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WHY_BYTES 512

enum exit_code {
	EXIT_RUNTIME = 1,
	EXIT_USAGE = 2,
	EXIT_INSTANCE = 3,
	EXIT_RESOURCES = 4,
};

struct program {
	struct loop *loop;
	struct phx_ctl_server *server;
	struct loop_source source;
	struct follow *follow;
	struct control control;
	char rundir[PHX_CTL_RUNDIR_BYTES];
	char dataplane[PHX_CTL_RUNDIR_BYTES + 16];
	char config[PATH_MAX];
};

static void server_ready(void *arg)
{
	(void)phx_ctl_server_process(arg); // the loop comes back while there is work
}

static int fail(const char *what, const char *why, int rc)
{
	phx_log_err("main", "%s: %s", what, why[0] != '\0' ? why : strerror(-rc));
	switch (rc) {
	case -EBUSY:
	case -EEXIST:
	case -EPERM:
		return EXIT_INSTANCE;
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
	case -ENOSPC:
	case -EROFS:
		return EXIT_RESOURCES;
	case -EINVAL:
	case -ENAMETOOLONG:
	case -EPROTO:
		return EXIT_USAGE;
	default:
		return EXIT_RUNTIME;
	}
}

static int start_server(struct program *p, char *why, size_t why_size)
{
	char path[PHX_CTL_RUNDIR_BYTES + 16];
	struct phx_ctl_server_options options = {
		.path = path,
		.mode = 0660,
		.admin_group = "phoenix-admin",
		.operator_group = "phoenix-operator",
		.bindings = control_bindings,
		.arg = &p->control,
		.answered = control_audit,
	};
	int rc;

	(void)snprintf(path, sizeof(path), "%s/control.sock", p->rundir);
	rc = events_init(&p->control.events);
	if (rc == 0)
		rc = phx_ctl_server_create(&options, &p->server, why, why_size);
	if (rc != 0)
		return rc;
	p->control.events.server = p->server;
	p->source = (struct loop_source){
		.fd = phx_ctl_server_fd(p->server), .fn = server_ready, .arg = p->server};
	return loop_add(p->loop, &p->source);
}

// The absolute name of the file that config.save writes.
static int config_path(struct program *p, const char *given, const char *dir)
{
	const char *from = given != NULL ? given : dir;
	char here[PATH_MAX] = "";
	int n;

	if (from[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return -errno;
	n = snprintf(p->config, sizeof(p->config), "%s%s%s%s", here, here[0] != '\0' ? "/" : "",
		from, given != NULL ? "" : "/config.json");
	p->control.config_path = p->config;
	return n < (int)sizeof(p->config) ? 0 : -ENAMETOOLONG;
}

static int open_state(struct program *p, const struct options *o, char *why, size_t why_size)
{
	const char *dir = o->statedir != NULL ? o->statedir : p->rundir;
	struct store *store;
	int rc = config_path(p, o->config, dir);

	p->control.statedir = dir;
	if (rc == 0)
		rc = store_file_open(dir, &store, why, why_size);

	return rc != 0 ? rc : state_open(&p->control.state, store, o->config, why, why_size);
}

static int start_reconcile(struct program *p)
{
	struct reconcile_config config = {
		.loop = p->loop,
		.path = p->dataplane,
		.state = &p->control.state,
		.events = &p->control.events,
	};
	int rc = follow_create(p->loop, p->dataplane, &p->control.events, &p->follow);

	p->control.loop = p->loop;
	jobs_init(&p->control.jobs, p->loop, &p->control);
	phx_list_init(&p->control.traces);
	config.follow = p->follow;
	if (rc == 0)
		rc = reconcile_create(&config, &p->control.reconcile);
	if (rc != 0)
		follow_destroy(p->follow);
	return rc;
}

// The socket comes first: its lock keeps a second instance away from the journal.
static int run(struct program *p, const struct options *o)
{
	char why[WHY_BYTES] = "";
	int rc, code = 0;

	rc = phx_ctl_rundir_make(
		o->rundir, o->instance, p->rundir, sizeof(p->rundir), why, sizeof(why));
	if (rc != 0)
		return fail("run directory", why, rc == -EEXIST ? -EINVAL : rc);
	(void)snprintf(p->dataplane, sizeof(p->dataplane), "%s/dataplane.sock", p->rundir);
	rc = loop_create(&p->loop);
	if (rc != 0)
		return fail("event loop", why, rc);
	rc = start_server(p, why, sizeof(why));
	if (rc != 0) {
		code = fail("control socket", why, rc);
		goto destroy_loop;
	}
	rc = open_state(p, o, why, sizeof(why));
	if (rc != 0) {
		code = fail("state", why, rc == -EEXIST ? -EIO : rc);
		goto destroy_server;
	}
	rc = start_reconcile(p);
	if (rc != 0) {
		code = fail("reconcile", why, rc);
		goto close_state;
	}
	p->control.started_ns = phx_clock_ns();
	phx_log_info("main", "ready in %s, generation %llu", p->rundir,
		(unsigned long long)p->control.state.generation);
	rc = loop_run(p->loop);
	if (rc != 0)
		code = fail("event loop", why, rc);
	else
		phx_log_info("main", "stopping");

	reconcile_destroy(p->control.reconcile);
	follow_destroy(p->follow);
	jobs_fini(&p->control.jobs);
	noun_trace_drop(&p->control);
	(void)phx_ctl_server_process(p->server); // what has been answered leaves
close_state:
	state_close(&p->control.state);
destroy_server:
	phx_ctl_server_destroy(p->server);
destroy_loop:
	events_fini(&p->control.events);
	loop_destroy(p->loop);
	return code;
}

int main(int argc, char **argv)
{
	struct program program = {0};
	struct options options;
	int code;

	phx_log_set_program("controlplane");
	phx_crash_install();
	switch (options_parse(argc, argv, &options)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_USAGE:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	phx_log_set_level(options.log_level);
	code = run(&program, &options);
	options_fini(&options);
	return code;
}

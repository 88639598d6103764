// SPDX-License-Identifier: BSD-3-Clause
// Builds the dataplane from its parts, runs the control thread's loop, and takes it down in
// reverse order. Works with main.c, workers.c and frontend/attach_server.c.
#include "dataplane/daemon.h"

#include "dataplane/control/api.h"
#include "dataplane/control/listeners.h"
#include "dataplane/control/loop.h"
#include "dataplane/control/rules_file.h"
#include "dataplane/core/registry.h"
#include "dataplane/frontend/attach_server.h"
#include "dataplane/link/link.h"
#include "dataplane/local_links.h"
#include "dataplane/policies.h"
#include "dataplane/workers.h"
#include "lib/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define APP_SOCKET "app.sock"
#define API_SOCKET "dataplane.sock"

// Tells a worker that services have changed; at most one is on its way.
struct notice {
	struct cmd cmd;
	_Atomic bool posted;
};

struct daemon {
	const struct options *options;
	const struct rundir *dir;
	struct ctl_loop loop;
	struct workers workers;
	struct notice notices[PHX_LIMIT_WORKERS_MAX];
	const struct phx_ctl_document *document; // in force, NULL = none; the api's
	struct phx_ctl_document *standalone;	 // until the api has it
	struct api *api;
	struct api_events events;
	char instance[PHX_CTL_UUID_BYTES];
	struct rules *rules;
	struct registry *registry;
	struct policies policies;
	struct host *host;
	struct attach_server *attach;
	struct ctl_source signals;
	uint8_t uuid[16]; // of this instance
	char api_path[OPTIONS_RUNDIR_MAX + 16];
	bool stopping;
};

static void stopped(void *arg)
{
	struct daemon *d = arg;

	ctl_stop(&d->loop);
}

static void shut_down(void *arg)
{
	struct daemon *d = arg;

	if (d->stopping)
		return;
	d->stopping = true;
	host_stop(d->host);
	attach_server_stop(d->attach, stopped, d);
}

static void signal_event(struct ctl_source *source, uint32_t events)
{
	struct daemon *d = phx_container_of(source, struct daemon, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
		info.ssi_signo == SIGHUP || d->stopping)
		return;
	phx_log_info("daemon", "signal %u, stopping", info.ssi_signo);
	shut_down(d);
}

static int watch_signals(struct daemon *d)
{
	sigset_t set;

	(void)sigemptyset(&set); // these cannot fail with valid arguments
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	d->signals =
		(struct ctl_source){signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), signal_event};
	if (d->signals.fd < 0)
		return -errno;
	return ctl_add(&d->loop, &d->signals, EPOLLIN);
}

static const char *admits(void *arg, const char *listener, const struct sockaddr *from)
{
	const struct daemon *d = arg;

	return d->document != NULL ? listeners_admit(d->document, listener, from) : NULL;
}

static int start_host(struct daemon *d)
{
	struct host_config config = {
		.loop = &d->loop,
		.workers = d->workers.worker,
		.worker_count = d->workers.count,
		.admits = admits,
		.admits_arg = d,
	};
	int rc;

	memcpy(config.uuid, d->uuid, sizeof(config.uuid));
	rc = host_create(&config, &d->host);
	if (rc == 0 && d->document != NULL)
		rc = listeners_apply(d->host, d->document);
	if (rc == 0 && d->document != NULL)
		rc = clusters_apply(d->host, d->document);
	return rc;
}

// A channel to a target that is not local.
static void open_remote(
	void *arg, struct attach_job *job, const char *target, unsigned worker, uint64_t timeout_ns)
{
	struct daemon *d = arg;
	const char *group = "", *text = NULL;
	uint64_t peer = 0;
	int rc = host_open(d->host, target, worker, &peer, &group, &text);

	(void)timeout_ns; // resolving and connecting go on behind the channel
	attach_channel_opened(job, rc, peer, group,
		rc == -EINVAL	? PHX_INVALID_ARGUMENT
		: rc == -ENOENT ? PHX_NOT_FOUND
				: PHX_RESOURCE_EXHAUSTED,
		rc == -EINVAL || rc == -ENOENT ? PHX_REASON_INVALID : PHX_REASON_NO_MEMORY, text);
}

static int start_attach(struct daemon *d)
{
	struct attach_config config = {
		.loop = &d->loop,
		.rules = d->rules,
		.registry = d->registry,
		.chains = d->policies.host,
		.qsbr = d->workers.qsbr,
		.workers = d->workers.worker,
		.worker_count = d->workers.count,
		.app_memory = d->options->app_memory,
		.max_message = d->options->max_message,
		.open_remote = open_remote,
		.open_remote_arg = d,
	};
	int fd, rc;

	memcpy(config.uuid, d->uuid, sizeof(config.uuid));
	rc = rundir_listen(d->dir, APP_SOCKET, SOCK_SEQPACKET, 0666, &fd);
	if (rc != 0)
		return rc;
	rc = attach_server_start(&config, fd, &d->attach);
	if (rc != 0)
		close(fd);
	return rc;
}

static enum daemon_exit exit_code(int rc)
{
	switch (rc) {
	case 0:
		return DAEMON_EXIT_OK;
	case -EINVAL:
	case -ENOENT:
	case -EACCES:
		return DAEMON_EXIT_USAGE;
	case -EBUSY: // another program, or what is no socket, stands where ours would be
	case -EEXIST:
	case -ENOTSOCK:
		return DAEMON_EXIT_EXISTS;
	case -ENOMEM:
	case -ENOSPC:
	case -EMFILE:
	case -ENFILE:
		return DAEMON_EXIT_RESOURCES;
	default:
		return DAEMON_EXIT_RUNTIME;
	}
}

// Without --standalone there are no rules until a control plane pushes some.
static int load_rules(struct daemon *d)
{
	struct rules_set *set;
	int rc;

	if (d->options->standalone == NULL)
		return 0;
	rc = rules_file_load(d->options->standalone, geteuid(), &d->standalone);
	if (rc == 0)
		rc = rules_set_from_document(d->standalone, &set);
	if (rc != 0)
		return rc;
	rules_take_set(d->rules, set);
	d->document = d->standalone;
	return 0;
}

// The control plane has pushed another document.
static void document_changed(void *arg, const struct phx_ctl_document *document)
{
	struct daemon *d = arg;

	d->document = document;
	if (listeners_apply(d->host, document) != 0)
		phx_log_err("daemon", "out of memory, listeners stay as they were");
	if (clusters_apply(d->host, document) != 0)
		phx_log_err("daemon", "out of memory, clusters stay as they were");
}

static int start_api(struct daemon *d)
{
	struct api_config config = {
		.loop = &d->loop,
		.path = d->api_path,
		.workers = d->workers.worker,
		.worker_count = d->workers.count,
		.rules = d->rules,
		.registry = d->registry,
		.attach = d->attach,
		.host = d->host,
		.events = &d->events,
		.standalone = d->options->standalone != NULL,
		.document_changed = document_changed,
		.shutdown = shut_down,
		.document_arg = d,
	};
	struct phx_ctl_document *document = d->standalone;

	memcpy(config.uuid, d->uuid, sizeof(config.uuid));
	(void)snprintf(d->api_path, sizeof(d->api_path), "%s/" API_SOCKET, d->dir->path); // fits
	d->standalone = NULL;
	return api_create(&config, document, &d->api);
}

// Runs on a worker; the flag may be raised again from here on.
static void services_changed_here(struct worker *worker, struct cmd *cmd)
{
	struct notice *notice = phx_container_of(cmd, struct notice, cmd);

	atomic_store_explicit(&notice->posted, false, memory_order_release);
	link_services_changed(worker);
}

// A notice that is on its way tells of this change too: the set is read when it arrives.
static void services_changed(void *arg)
{
	struct daemon *d = arg;
	unsigned i;

	api_events_services(&d->events, registry_set(d->registry));
	for (i = 0; i < d->workers.count; i++) {
		if (!atomic_exchange_explicit(&d->notices[i].posted, true, memory_order_acq_rel))
			worker_post(
				d->workers.worker[i], &d->notices[i].cmd, services_changed_here);
	}
}

static int start(struct daemon *d, const char **step)
{
	unsigned i;
	int rc;

	*step = "identity";
	if (getrandom(d->uuid, sizeof(d->uuid), 0) != (ssize_t)sizeof(d->uuid))
		return -EIO;
	phx_ctl_uuid_text(d->uuid, d->instance);
	rc = api_events_init(&d->events, &d->loop, d->instance);
	if (rc != 0)
		return rc;
	*step = "workers";
	rc = workers_init(&d->workers, d->options->workers, d->options->eal_given);
	if (rc != 0)
		return rc;
	*step = "registry";
	rc = registry_create(d->workers.qsbr, &d->registry);
	if (rc == 0)
		rc = rules_create(&d->rules);
	if (rc != 0)
		return rc;
	for (i = 0; i < d->workers.count; i++)
		d->workers.worker[i]->services = registry_slot(d->registry);
	*step = "rules";
	rc = load_rules(d);
	if (rc != 0)
		return rc;
	*step = "policies";
	rc = policies_start(&d->policies, &d->loop, &d->workers, d->options);
	if (rc != 0)
		return rc;
	*step = "local links";
	rc = local_links_open(&d->workers);
	if (rc != 0)
		return rc;
	registry_on_change(d->registry, services_changed, d);
	*step = "signals";
	rc = watch_signals(d);
	if (rc != 0)
		return rc;
	*step = "lcores";
	rc = workers_start(&d->workers);
	if (rc != 0)
		return rc;
	*step = "links";
	rc = start_host(d);
	if (rc != 0)
		return rc;
	*step = APP_SOCKET;
	rc = start_attach(d);
	if (rc != 0)
		return rc;
	*step = API_SOCKET;
	return start_api(d);
}

static void stop(struct daemon *d)
{
	if (d->attach != NULL)
		rundir_unlink(d->dir, APP_SOCKET);
	host_stop(d->host);
	workers_stop(&d->workers);
	api_events_fini(&d->events);
	api_destroy(d->api);
	d->document = NULL;
	attach_server_destroy(d->attach);
	local_links_close(&d->workers);
	host_destroy(d->host);
	if (d->signals.fd >= 0) {
		ctl_del(&d->loop, &d->signals);
		close(d->signals.fd);
	}
	rules_destroy(d->rules);
	phx_ctl_document_destroy(d->standalone);
	if (d->registry != NULL)
		registry_destroy(d->registry);
	policies_stop(&d->policies);
	workers_fini(&d->workers);
	ctl_loop_fini(&d->loop);
}

enum daemon_exit daemon_run(const struct options *options, const struct rundir *dir)
{
	struct daemon d = {.options = options, .dir = dir, .signals.fd = -1};
	const char *step = "control loop";
	int rc = ctl_loop_init(&d.loop);

	if (rc != 0) {
		phx_log_err("daemon", "%s: %s", step, strerrorname_np(-rc));
		return exit_code(rc);
	}
	rc = start(&d, &step);
	if (rc != 0) {
		phx_log_err("daemon", "cannot start %s: %s", step, strerrorname_np(-rc));
	} else {
		phx_log_info("daemon", "serving %s, workers: %u", dir->path, d.workers.count);
		rc = ctl_loop_run(&d.loop);
		if (rc != 0)
			phx_log_err("daemon", "control loop: %s", strerrorname_np(-rc));
	}
	stop(&d);
	return exit_code(rc);
}

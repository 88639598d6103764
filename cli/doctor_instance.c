// SPDX-License-Identifier: BSD-3-Clause
// What doctor finds in the run directory, and what the daemons that run there say.
#include "cli/doctor_checks.h"

#include "lib/base/clock.h"
#include "lib/ctl/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_BYTES 320
#define ASK_NS	   (2 * PHX_NS_PER_S)

static void check_rundir(struct doctor *d)
{
	static const char needed[] = "a directory of the daemons' user that others cannot change";
	char found[TEXT_BYTES], fix[TEXT_BYTES];
	struct stat st;

	if (stat(d->rundir, &st) != 0) {
		(void)snprintf(found, sizeof(found), "%s: %s", d->rundir, strerror(errno));
		doctor_add(d, "rundir", DOCTOR_WARN, found, needed, "the daemons make it");
		return;
	}
	(void)snprintf(found, sizeof(found), "%s: owner %u, mode %04o", d->rundir,
		(unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	(void)snprintf(fix, sizeof(fix), "chmod 0755 %s", d->rundir);
	if (!S_ISDIR(st.st_mode))
		doctor_add(d, "rundir", DOCTOR_FAIL, found, needed, "choose another --rundir");
	else if ((st.st_mode & 022) != 0)
		doctor_add(d, "rundir", DOCTOR_FAIL, found, needed, fix);
	else if ((st.st_mode & 0111) != 0111)
		doctor_add(d, "rundir", DOCTOR_WARN, found, needed, fix);
	else
		doctor_add(d, "rundir", DOCTOR_OK, found, needed, "");
}

// Connect and hang up. 0 with the pid of who listens, or -errno.
static int who_listens(const char *path, int type, pid_t *out_pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred cred;
	socklen_t size = sizeof(cred);
	size_t len = strlen(path);
	int fd = len < sizeof(address.sun_path)
			 ? socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
			 : -1;
	int rc = 0;

	if (fd < 0)
		return len < sizeof(address.sun_path) ? -errno : -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
		rc = -errno;
	else
		*out_pid = cred.pid;
	close(fd);
	return rc;
}

static const char *program_name(pid_t pid, char *out, size_t size)
{
	char path[64], name[32] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (f != NULL) {
		if (fgets(name, sizeof(name), f) == NULL)
			name[0] = '\0';
		(void)fclose(f); // was only read
	}
	name[strcspn(name, "\n")] = '\0';
	(void)snprintf(out, size, "%s, pid %d", name[0] != '\0' ? name : "a process", (int)pid);
	return out;
}

// False when nobody listens there.
static bool check_socket(struct doctor *d, const char *name, int type, const char *program)
{
	char path[sizeof(d->rundir) + 32], found[TEXT_BYTES], needed[TEXT_BYTES], fix[TEXT_BYTES];
	pid_t pid = 0;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/%s", d->rundir, name);
	(void)snprintf(needed, sizeof(needed), "%s listens", program);
	(void)snprintf(fix, sizeof(fix), "start it: %s --rundir %s", program, d->rundir);
	rc = who_listens(path, type, &pid);
	switch (rc) {
	case 0:
		(void)program_name(pid, found, sizeof(found));
		doctor_add(d, name, DOCTOR_OK, found, needed, "");
		return true;
	case -ENOENT:
		doctor_add(d, name, DOCTOR_WARN, "not there: it does not run", needed, fix);
		return false;
	case -EACCES:
		doctor_add(d, name, DOCTOR_WARN, "no permission to connect", needed,
			"ask as its owner or a member of its group");
		return true;
	case -EAGAIN:
		doctor_add(d, name, DOCTOR_FAIL, "its queue is full: it does not accept", needed,
			"see its log; start it anew");
		return true;
	default:
		(void)snprintf(found, sizeof(found), "%s: a daemon has died", strerror(-rc));
		doctor_add(d, name, DOCTOR_FAIL, found, needed, fix);
		return false;
	}
}

// Ask the control plane, without retries. New reference, NULL with the reason in e.
static json_t *ask(struct phx_ctl_client *client, const char *method, struct phx_ctl_error *e)
{
	json_t *result = NULL;

	if (phx_ctl_client_call(client, method, NULL, ASK_NS, NULL, &result, e) != 0)
		return NULL;
	return result;
}

static void check_status(struct doctor *d, json_t *status)
{
	static const char needed[] = "the dataplane has the rules in force";
	json_t *warning = json_array_get(json_object_get(status, "warnings"), 0);
	const char *generation = json_string_value(json_object_get(status, "generation"));
	const char *text = json_string_value(json_object_get(warning, "text"));
	const char *hint = json_string_value(json_object_get(warning, "hint"));
	char found[TEXT_BYTES];

	if (warning == NULL) {
		(void)snprintf(found, sizeof(found), "in step, generation %s",
			generation != NULL ? generation : "?");
		doctor_add(d, "in_step", DOCTOR_OK, found, needed, "");
		return;
	}
	// Without a dataplane calls do not flow, and its socket has said so.
	doctor_add(d, "in_step",
		json_is_true(json_object_get(json_object_get(status, "dataplane"), "up"))
			? DOCTOR_FAIL
			: DOCTOR_WARN,
		text != NULL ? text : "out of step", needed, hint != NULL ? hint : "");
}

static void check_version(struct doctor *d, const char *id, const char *version)
{
	char found[TEXT_BYTES];
	bool equal = version != NULL && strcmp(version, PHX_VERSION) == 0;

	(void)snprintf(found, sizeof(found), "%s", version != NULL ? version : "unknown");
	doctor_add(d, id, equal ? DOCTOR_OK : DOCTOR_WARN, found,
		"the version of this program, " PHX_VERSION,
		equal ? "" : "install the programs of one version, start them anew");
}

// What the daemons themselves found: rows as ours.
static void add_reported(struct doctor *d, json_t *report)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(report, "checks"), i, row)
	{
		if (json_is_object(row))
			(void)json_array_append(d->checks, row); // best effort
	}
}

static void check_control(struct doctor *d)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct phx_ctl_client *client = NULL;
	const char *path = d->cli->session.path;
	json_t *status = NULL, *version = NULL, *report = NULL;
	int rc = phx_ctl_client_open(path, &client);

	if (rc == 0)
		status = ask(client, "system.status", &e);
	if (rc == 0 && status == NULL)
		doctor_add(d, "control_plane", DOCTOR_FAIL, e.text, "an answer within 2 s",
			"see its log; start it anew");
	if (status != NULL) {
		doctor_add(d, "control_plane", DOCTOR_OK, "answers", "an answer within 2 s", "");
		check_status(d, status);
		version = ask(client, "system.version", &e);
		check_version(d, "version_controlplane",
			json_string_value(json_object_get(version, "version")));
		report = ask(client, "system.doctor", &e);
		add_reported(d, report);
	}
	json_decref(report);
	json_decref(version);
	json_decref(status);
	phx_ctl_client_destroy(client);
	phx_ctl_error_fini(&e);
}

void doctor_instance(struct doctor *d)
{
	const char *path = d->cli->session.path, *slash = strrchr(path, '/');
	bool dataplane, control;

	(void)snprintf(d->rundir, sizeof(d->rundir), "%.*s",
		slash != NULL ? (int)phx_max((int)(slash - path), 1) : 1,
		slash != NULL ? path : ".");
	check_rundir(d);
	dataplane = check_socket(d, "app.sock", SOCK_SEQPACKET, "phoenix-dataplane");
	(void)check_socket(d, "dataplane.sock", SOCK_STREAM, "phoenix-dataplane");
	control = check_socket(d, "control.sock", SOCK_STREAM, "phoenix-controlplane");
	if (control)
		check_control(d);
	doctor_program(d, dataplane);
}

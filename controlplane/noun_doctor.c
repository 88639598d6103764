// SPDX-License-Identifier: BSD-3-Clause
// system.doctor: what this daemon knows about itself, and the dataplane's part beside it.
#include "controlplane/control.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TIMEOUT_MS 1000
#define ROOM_BYTES (UINT64_C(16) << 20)
#define TEXT_BYTES 512

struct question {
	struct phx_ctl_call *call;
	json_t *checks;
};

static void add(json_t *checks, const char *id, const char *level, const char *found,
	const char *needed, const char *fix)
{
	(void)json_array_append_new(checks, // best effort
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "level", level, "found", found,
			"needed", needed, "fix", fix));
}

static void check_statedir(const char *dir, json_t *checks)
{
	static const char needed[] = "a writable directory with 16 MiB of room";
	char found[TEXT_BYTES];
	struct statvfs fs;

	if (access(dir, W_OK) != 0 || statvfs(dir, &fs) != 0) {
		(void)snprintf(found, sizeof(found), "%s: %s", dir, strerror(errno));
		add(checks, "statedir", "fail", found, needed,
			"make it writable for the user of phoenix-controlplane");
		return;
	}
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	bool read_only = (fs.f_flag & ST_RDONLY) != 0;

	(void)snprintf(found, sizeof(found), "%s: %s, %llu MiB free", dir,
		read_only ? "read only" : "writable", (unsigned long long)room >> 20);
	add(checks, "statedir",
		read_only	    ? "fail"
		: room < ROOM_BYTES ? "warn"
				    : "ok",
		found, needed,
		read_only	    ? "mount it for writing, or set --statedir"
		: room < ROOM_BYTES ? "make room, or set --statedir"
				    : "");
}

static void answer(struct question *q)
{
	phx_ctl_call_reply(
		q->call, json_pack("{s:s, s:o}", "version", PHX_VERSION, "checks", q->checks));
	free(q);
}

static void dataplane_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct question *q = arg;
	const char *version = json_string_value(json_object_get(result, "version"));
	bool equal = version != NULL && strcmp(version, PHX_VERSION) == 0;

	if (e != NULL) {
		add(q->checks, "dataplane_answers", "fail", e->text, "an answer within 1 s",
			"see its log; start it anew");
	} else {
		add(q->checks, "version_dataplane", equal ? "ok" : "warn",
			version != NULL ? version : "unknown",
			"that of the control plane, " PHX_VERSION,
			equal ? "" : "install the programs of one version, start them anew");
		(void)json_array_extend(q->checks, json_object_get(result, "checks"));
	}
	answer(q);
}

void noun_system_doctor(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
		return;
	}
	*q = (struct question){call, json_array()};
	check_statedir(c->statedir, q->checks);
	if (reconcile_request(c->reconcile, "system.doctor", NULL, TIMEOUT_MS * PHX_NS_PER_MS,
		    dataplane_done, q) != 0)
		answer(q); // that it is down is told by system.status
}

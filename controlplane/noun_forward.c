// SPDX-License-Identifier: BSD-3-Clause
// Methods that the dataplane answers: passed on, answered when it has answered.
#include "controlplane/aside.h"
#include "controlplane/control.h"

#include "lib/base/clock.h"

#include <errno.h>

#define TIMEOUT_MS 2000

static void forward_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct phx_ctl_call *call = arg;

	if (result != NULL)
		phx_ctl_call_reply(call, json_incref(result));
	else
		phx_ctl_call_fail(call, e);
}

static void fail(struct phx_ctl_call *call, int rc)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	if (rc == -EBUSY) {
		(void)phx_ctl_error_set(&e, PHX_RESOURCE_EXHAUSTED,
			"%d requests that take their time are under way", ASIDES_MAX);
		phx_ctl_error_add(&e, "hint", json_string("try again when one is over"));
	} else if (rc == -ENOMEM) {
		(void)phx_ctl_error_set(&e, PHX_INTERNAL, "out of memory");
	} else {
		(void)phx_ctl_error_set(&e, PHX_UNAVAILABLE, "the dataplane is down");
		phx_ctl_error_add(&e, "hint", json_string("phoenix-cli system status"));
	}
	phx_ctl_call_fail(call, &e);
	phx_ctl_error_fini(&e);
}

void control_request(struct control *c, struct phx_ctl_call *call, const char *method,
	json_t *params, phx_ctl_done_fn done)
{
	int64_t timeout_ms = phx_ctl_call_int(call, "timeout_ms", TIMEOUT_MS);
	int rc = reconcile_request(
		c->reconcile, method, params, (uint64_t)timeout_ms * PHX_NS_PER_MS, done, call);

	if (rc != 0)
		fail(call, rc);
}

void noun_forward(void *arg, struct phx_ctl_call *call)
{
	control_request(arg, call, phx_ctl_call_method(call)->name, phx_ctl_call_params(call),
		forward_done);
}

void noun_forward_aside(void *arg, struct phx_ctl_call *call)
{
	const struct phx_ctl_method *m = phx_ctl_call_method(call);
	json_t *params = phx_ctl_call_params(call);
	struct control *c = arg;
	int64_t timeout_ms = phx_ctl_call_int(
		call, "timeout_ms", TIMEOUT_MS + phx_ctl_method_lasts_ms(m, params));
	int rc = reconcile_request_aside(c->reconcile, m->name, params,
		(uint64_t)timeout_ms * PHX_NS_PER_MS, forward_done, call);

	if (rc != 0)
		fail(call, rc);
}

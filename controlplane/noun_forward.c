// SPDX-License-Identifier: BSD-3-Clause
// Methods that the dataplane answers: passed on, answered when it has answered.
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

void control_request(struct control *c, struct phx_ctl_call *call, const char *method,
	json_t *params, phx_ctl_done_fn done)
{
	int64_t timeout_ms = phx_ctl_call_int(call, "timeout_ms", TIMEOUT_MS);
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	int rc = reconcile_request(
		c->reconcile, method, params, (uint64_t)timeout_ms * PHX_NS_PER_MS, done, call);

	if (rc == 0)
		return;
	if (rc == -ENOTCONN) {
		(void)phx_ctl_error_set(&e, PHX_UNAVAILABLE, "the dataplane is down");
		phx_ctl_error_add(&e, "hint", json_string("phoenix-cli system status"));
	} else {
		(void)phx_ctl_error_set(&e, PHX_INTERNAL, "out of memory");
	}
	phx_ctl_call_fail(call, &e);
	phx_ctl_error_fini(&e);
}

void noun_forward(void *arg, struct phx_ctl_call *call)
{
	control_request(arg, call, phx_ctl_call_method(call)->name, phx_ctl_call_params(call),
		forward_done);
}

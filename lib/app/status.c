// SPDX-License-Identifier: BSD-3-Clause
// Statuses the library makes itself, and what a refusal of the dataplane means as one.
#include "lib/app/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void phx_status_fill(struct phx_status *out, uint32_t code, uint32_t origin, uint32_t executed,
	uint32_t reason, const char *fmt, ...)
{
	va_list args;

	if (out == NULL)
		return;
	out->code = code;
	out->origin = (uint8_t)origin;
	out->executed = (uint8_t)executed;
	out->reason = (uint16_t)reason;
	va_start(args, fmt);
	(void)vsnprintf(out->text, sizeof(out->text), fmt, args); // cut off when too long
	va_end(args);
}

void phx_session_end_status(const struct phx_session *s, struct phx_status *out)
{
	phx_status_fill(out, s->end.code, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO, s->end.reason, "%s",
		s->end.text);
}

void phx_context_end_status(const struct phx_context *ctx, struct phx_status *out)
{
	if (phx_context_forked(ctx)) {
		phx_status_fill(out, PHX_FAILED_PRECONDITION, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			PHX_REASON_FORKED, "not usable in a child after fork");
	} else if (phx_context_gone(ctx)) {
		struct phx_lock *lock = (struct phx_lock *)(uintptr_t)&ctx->end_lock;

		phx_lock_take(lock);
		phx_status_fill(out, ctx->end.code, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			ctx->end.reason, "%s", ctx->end.text);
		phx_lock_give(lock);
	}
}

static uint32_t errno_code(int rc)
{
	switch (rc) {
	case -EINVAL:
		return PHX_INVALID_ARGUMENT;
	case -ENOMEM:
	case -EAGAIN:
		return PHX_RESOURCE_EXHAUSTED;
	case -EACCES:
		return PHX_PERMISSION_DENIED;
	case -ETIMEDOUT:
		return PHX_DEADLINE_EXCEEDED;
	case -ENOTSUP:
		return PHX_UNIMPLEMENTED;
	case -ENOTCONN:
		return PHX_UNAVAILABLE;
	default:
		return PHX_INTERNAL;
	}
}

static uint32_t errno_reason(int rc)
{
	switch (rc) {
	case -EINVAL:
		return PHX_REASON_INVALID;
	case -ENOMEM:
	case -EAGAIN:
		return PHX_REASON_NO_MEMORY;
	case -ETIMEDOUT:
		return PHX_REASON_DEADLINE;
	case -ENOTCONN:
		return PHX_REASON_DATAPLANE_GONE;
	default:
		return PHX_REASON_INTERNAL;
	}
}

void phx_status_begin(struct phx_status *out)
{
	phx_status_fill(out, PHX_OK, PHX_ORIGIN_APP, PHX_EXECUTED_NO, PHX_REASON_NONE, "%s", "");
}

int phx_status_end(struct phx_status *out, int rc)
{
	if (rc != 0 && out != NULL && out->code == PHX_OK)
		phx_status_fill(out, errno_code(rc), PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			errno_reason(rc), "%s", strerror(-rc));
	return rc;
}

bool phx_context_ended(const struct phx_context *ctx, struct phx_status *out_status)
{
	phx_status_begin(out_status);
	if (ctx == NULL || phx_context_check(ctx) == 0)
		return false;
	phx_context_end_status(ctx, out_status);
	return true;
}

int phx_context_refusal_errno(uint32_t code)
{
	switch (code) {
	case PHX_PERMISSION_DENIED:
	case PHX_UNAUTHENTICATED:
		return -EACCES;
	case PHX_RESOURCE_EXHAUSTED:
		return -ENOMEM;
	case PHX_INVALID_ARGUMENT:
	case PHX_NOT_FOUND:
	case PHX_OUT_OF_RANGE:
		return -EINVAL;
	case PHX_UNIMPLEMENTED:
		return -ENOTSUP;
	case PHX_DEADLINE_EXCEEDED:
		return -ETIMEDOUT;
	case PHX_ALREADY_EXISTS:
		return -EEXIST;
	default:
		return -EREMOTEIO;
	}
}

void phx_context_refusal_status(const struct phx_attach_refused *r, struct phx_status *out)
{
	const char *text = (const char *)(r + 1);

	phx_status_fill(out, r->code < PHX_CODE_COUNT ? r->code : (uint32_t)PHX_UNKNOWN,
		PHX_ORIGIN_LOCAL_DATAPLANE, PHX_EXECUTED_NO,
		r->reason < PHX_REASON_COUNT ? r->reason : (uint32_t)PHX_REASON_INTERNAL, "%.*s",
		(int)r->text_len, text);
}

// SPDX-License-Identifier: BSD-3-Clause
// The serving side of a session: requests into the application, its replies out. Worker thread.
#pragma once

#include "dataplane/frontend/session.h"

// A REPLY entry (checked flags and lengths) with its inline bytes.
void serve_reply(struct session_queue *q, const struct phx_sub_entry *e, const void *inl);
// rcall->message holds the packed reply (or a bare status): chain it, send it.
void serve_packed(struct rcall *rcall);
// Something came free: deliver requests that wait for room on this queue.
void serve_waiting(struct session_queue *q);
// Deliver when there is room for it now. Request in rcall->message or rcall->block.
bool serve_deliver(struct rcall *rcall);
// The request passed the chain: deliver or wait.
void serve_ready(struct rcall *rcall);
// It goes on in rcall->message, rewritten or after a hold: deliver or wait.
void serve_private(struct rcall *rcall);
// The request does not reach the application: answer with this status.
void serve_refuse(struct rcall *rcall, const struct call_status *status);
// The reply becomes a bare status, its text copied.
void serve_set_status(struct rcall *rcall, const struct call_status *status);
// Session ends: every server call is answered UNAVAILABLE(APP_GONE) and forgotten.
void serve_close(struct session *session);

// SPDX-License-Identifier: BSD-3-Clause
// The canonical form of the intent document; part of document.c.
#pragma once

#include "lib/ctl/document.h"

// Validate json (borrowed) and make its canonical copy (new reference). 0, -EINVAL with e
// set, -ENOMEM.
int phx_ctl_canonical_make(
	json_t *json, const char *prefix, json_t **out_canonical, struct phx_ctl_error *e);

// SipHash of the canonical document without its generation. 0 or -ENOMEM.
int phx_ctl_canonical_digest(json_t *canonical, char out_digest[PHX_CTL_DIGEST_BYTES]);

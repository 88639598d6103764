// SPDX-License-Identifier: BSD-3-Clause
// The intent document of the control plane as rules of this dataplane, and `--standalone`, which
// takes it from a file instead. Control thread.
#pragma once

#include "dataplane/frontend/rules.h"
#include "lib/ctl/document.h"

// Rules of a document, in its order. -ENOMEM. The set is the caller's (rules_take_set()).
int rules_set_from_document(const struct phx_ctl_document *document, struct rules_set **out_set);

// Read a document: "default" (uid and root attach and register) or a file. 0; -EINVAL, -E2BIG
// (content), -ENOMEM or what opening and reading returned, with the reason logged. The document
// is the caller's, ended by phx_ctl_document_destroy().
int rules_file_load(const char *name, uint32_t uid, struct phx_ctl_document **out_document);

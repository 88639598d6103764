// SPDX-License-Identifier: BSD-3-Clause
// The noun rules: what the control plane compares and pushes. Works with controlplane/reconcile.c
// at the other end, and rules_file.c.
#include "dataplane/control/api.h"

#include "dataplane/control/rules_file.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static json_t *uuid_json(const uint8_t uuid[16])
{
	char text[PHX_CTL_UUID_BYTES];

	phx_ctl_uuid_text(uuid, text);
	return json_string(text);
}

static json_t *generation_json(const struct phx_ctl_document *d)
{
	return json_sprintf("%llu", (unsigned long long)d->generation);
}

void api_rules_get(void *arg, struct phx_ctl_call *call)
{
	const struct api *api = arg;
	const struct phx_ctl_document *d = api->document;
	json_t *result = json_pack("{s:o}", "instance", uuid_json(api->config.uuid));

	(void)json_object_set_new(
		result, "generation", d != NULL ? generation_json(d) : json_null());
	(void)json_object_set_new(
		result, "digest", d != NULL ? json_string(d->digest) : json_null());
	if (phx_ctl_call_bool(call, "document"))
		(void)json_object_set(result, "document", d != NULL ? d->json : json_null());
	phx_ctl_call_reply(call, result);
}

static void push_reply(const struct api *api, struct phx_ctl_call *call, bool changed)
{
	const struct phx_ctl_document *d = api->document;

	phx_ctl_call_reply(call, json_pack("{s:b, s:o, s:s}", "changed", changed, "generation",
					 generation_json(d), "digest", d->digest));
}

// Put the document in force, all of it or nothing. -ENOMEM: it stays the caller's.
static int put_in_force(struct api *api, struct phx_ctl_document *document)
{
	struct phx_ctl_document *old = api->document;
	struct rules_set *set;
	int rc = rules_set_from_document(document, &set);

	if (rc != 0)
		return rc;
	rules_take_set(api->config.rules, set);
	api->document = document;
	if (api->config.document_changed != NULL)
		api->config.document_changed(api->config.document_arg, document);
	phx_ctl_document_destroy(old);
	phx_log_info(
		"rules", "generation %llu is in force", (unsigned long long)document->generation);
	return 0;
}

// Why this document must not replace the one in force; 0: it may.
static int push_check(
	const struct api *api, const struct phx_ctl_document *d, struct phx_ctl_error *e)
{
	const struct phx_ctl_document *now = api->document;

	if (api->config.standalone)
		return phx_ctl_error_set(e, PHX_FAILED_PRECONDITION,
			"the dataplane was started with --standalone and has its rules from there");
	if (d->generation == 0)
		return phx_ctl_error_set(e, PHX_INVALID_ARGUMENT,
			"document.generation: a pushed document has one above 0");
	if (now == NULL || d->generation > now->generation)
		return 0;
	(void)phx_ctl_error_set(e, PHX_ABORTED, "generation %llu %s, %llu is in force",
		(unsigned long long)d->generation,
		d->generation == now->generation ? "with another content" : "is older",
		(unsigned long long)now->generation);
	phx_ctl_error_add(e, "generation", generation_json(now));
	return -EINVAL;
}

void api_rules_push(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct phx_ctl_document *d = NULL;
	int rc = phx_ctl_document_parse(
		json_object_get(phx_ctl_call_params(call), "document"), "document.", &d, &e);

	if (rc == 0 && !api->config.standalone && api->document != NULL &&
		d->generation == api->document->generation &&
		strcmp(d->digest, api->document->digest) == 0) {
		phx_ctl_document_destroy(d);
		push_reply(api, call, false);
		return;
	}
	if (rc == 0)
		rc = push_check(api, d, &e);
	if (rc == 0) {
		rc = put_in_force(api, d);
		if (rc != 0)
			(void)phx_ctl_error_set(&e, PHX_INTERNAL, "out of memory");
	}
	if (rc == 0) {
		push_reply(api, call, true);
		return;
	}
	phx_ctl_call_fail(call, &e);
	phx_ctl_error_fini(&e);
	phx_ctl_document_destroy(d);
}

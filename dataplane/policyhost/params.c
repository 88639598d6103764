// SPDX-License-Identifier: BSD-3-Clause
// What an operator wrote becomes arguments of a configuration, checked against the type's table.
// Control thread. Works with host.c.
#include "dataplane/policyhost/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct policyhost_error *error, const char *name, const char *what)
{
	(void)snprintf(error->text, sizeof(error->text), "parameter %s: %s", name, what);
	return -EINVAL;
}

static int number_parse(const struct phx_policy_param *p, const char *text,
	union phx_policy_arg *out, struct policyhost_error *error)
{
	bool is_signed = p->type == PHX_POLICY_INT;
	char *end = NULL;

	errno = 0;
	if (is_signed)
		out->i = strtoll(text, &end, 10);
	else
		out->u = strtoull(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || strchr(" \t+", text[0]) != NULL ||
		(!is_signed && text[0] == '-'))
		return refuse(error, p->name, "not a decimal number");
	if (is_signed ? out->i < (int64_t)p->min || out->i > (int64_t)p->max
		      : out->u < p->min || out->u > p->max) {
		(void)snprintf(error->text, sizeof(error->text),
			is_signed ? "parameter %s: %s is not within %lld to %lld %s"
				  : "parameter %s: %s is not within %llu to %llu %s",
			p->name, text, (unsigned long long)p->min, (unsigned long long)p->max,
			p->unit != NULL ? p->unit : "");
		return -EINVAL;
	}
	return 0;
}

static int arg_parse(
	struct policy *policy, uint32_t i, const char *text, struct policyhost_error *error)
{
	const struct phx_policy_param *p = &policy->type->params[i];
	union phx_policy_arg *out = &policy->args[i];

	switch ((enum phx_policy_type)p->type) {
	case PHX_POLICY_BOOL:
		out->b = strcmp(text, "true") == 0;
		if (!out->b && strcmp(text, "false") != 0)
			return refuse(error, p->name, "neither true nor false");
		return 0;
	case PHX_POLICY_UINT:
	case PHX_POLICY_INT:
		return number_parse(p, text, out, error);
	case PHX_POLICY_STRING:
		if (strlen(text) < p->min || strlen(text) > p->max)
			return refuse(error, p->name, "its length is out of range");
		policy->text[i] = strdup(text);
		out->s = policy->text[i];
		return policy->text[i] != NULL ? 0 : -ENOMEM;
	}
	return -EINVAL;
}

static int param_find(const struct phx_policy *type, const char *name)
{
	for (uint32_t i = 0; i < type->param_count; i++) {
		if (strcmp(type->params[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

// A declared name, or the value of the parameter that it points to; NULL = empty.
static const char *name_resolve(const struct policy *policy, const char *name)
{
	int i;

	if (name[0] != '$')
		return name;
	i = param_find(policy->type, name + 1);
	if (i < 0 || policy->type->params[i].type != PHX_POLICY_STRING)
		return NULL;
	return policy->args[i].s[0] != '\0' ? policy->args[i].s : NULL;
}

// Arrays of n pointers; calloc(0) may be NULL without being a failure.
static void *array_make(uint32_t n, size_t size)
{
	return calloc(n == 0 ? 1 : n, size);
}

static int args_parse(struct policy *policy, const struct policyhost_param *params, uint32_t count,
	struct policyhost_error *error)
{
	const struct phx_policy *type = policy->type;
	const char *given[PHX_POLICY_PARAMS_MAX] = {0};
	int rc = 0;

	for (uint32_t i = 0; i < count; i++) {
		int at = param_find(type, params[i].name);

		if (at < 0)
			return refuse(error, params[i].name, "the policy has no such parameter");
		if (given[at] != NULL)
			return refuse(error, params[i].name, "given twice");
		given[at] = params[i].value;
	}
	for (uint32_t i = 0; i < type->param_count && rc == 0; i++) {
		const char *text = given[i] != NULL ? given[i] : type->params[i].def;

		if (text == NULL)
			return refuse(error, type->params[i].name, "must be given");
		rc = arg_parse(policy, i, text, error);
	}
	return rc;
}

int params_parse(struct policy *policy, const struct policyhost_param *params, uint32_t count,
	struct policyhost_error *error)
{
	const struct phx_policy *type = policy->type;
	int rc;

	policy->args = array_make(type->param_count, sizeof(*policy->args));
	policy->text = array_make(type->param_count, sizeof(*policy->text));
	policy->paths = array_make(type->field_count, sizeof(*policy->paths));
	policy->metadata = array_make(type->metadata_count, sizeof(*policy->metadata));
	if (policy->args == NULL || policy->text == NULL || policy->paths == NULL ||
		policy->metadata == NULL)
		return -ENOMEM;
	rc = args_parse(policy, params, count, error);
	for (uint32_t i = 0; i < type->field_count && rc == 0; i++)
		policy->paths[i] = name_resolve(policy, type->fields[i].path);
	for (uint32_t i = 0; i < type->metadata_count && rc == 0; i++)
		policy->metadata[i] = name_resolve(policy, type->metadata[i]);
	return rc;
}

void params_free(struct policy *policy)
{
	for (uint32_t i = 0; policy->text != NULL && i < policy->type->param_count; i++)
		free(policy->text[i]);
	free(policy->args);
	free(policy->text);
	free(policy->paths);
	free(policy->metadata);
}

// SPDX-License-Identifier: BSD-3-Clause
// The method table as JSON: rpc.methods, rpc.limits, and rpc.discover, an OpenRPC 1.2.6
// document (spec.open-rpc.org) with x-role, x-state and x-changes.
#include "lib/base/limits.h"
#include "lib/ctl/method.h"

#include <string.h>

static json_t *string_list(const char *values)
{
	json_t *list = json_array();

	for (const char *v = values; v != NULL; v = strchr(v, '|')) {
		v += *v == '|';
		(void)json_array_append_new(list, json_stringn(v, strcspn(v, "|")));
	}
	return list;
}

static json_t *schema_json(const struct phx_ctl_param *p);

static json_t *object_schema(const struct phx_ctl_param *fields)
{
	json_t *properties = json_object();
	json_t *required = json_array();

	for (const struct phx_ctl_param *p = fields; p->name != NULL; p++) {
		(void)json_object_set_new(properties, p->name, schema_json(p));
		if (p->required)
			(void)json_array_append_new(required, json_string(p->name));
	}
	return json_pack("{s:s, s:b, s:o, s:o}", "type", "object", "additionalProperties", 0,
		"properties", properties, "required", required);
}

static json_t *range_schema(const char *type, const struct phx_ctl_param *p)
{
	json_t *schema = json_pack("{s:s, s:I, s:I}", "type", type, "minimum", (json_int_t)p->min,
		"maximum", (json_int_t)p->max);

	if (p->unit != NULL)
		(void)json_object_set_new(schema, "x-unit", json_string(p->unit));
	return schema;
}

static json_t *bare_schema(const struct phx_ctl_param *p)
{
	switch (p->type) {
	case PHX_CTL_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case PHX_CTL_INT:
		return range_schema("integer", p);
	case PHX_CTL_NUMBER:
		return range_schema("number", p);
	case PHX_CTL_TEXT:
		return json_pack("{s:s, s:I, s:I}", "type", "string", "minLength",
			(json_int_t)p->min, "maxLength", (json_int_t)p->max);
	case PHX_CTL_ENUM:
		return json_pack("{s:s, s:o}", "type", "string", "enum", string_list(p->values));
	case PHX_CTL_DOCUMENT:
		return json_pack("{s:s}", "type", "object");
	case PHX_CTL_MAP:
		return json_pack("{s:s, s:I, s:{s:s}}", "type", "object", "maxProperties",
			(json_int_t)p->max, "additionalProperties", "type", "string");
	case PHX_CTL_OBJECT:
		return p->fields != NULL ? object_schema(p->fields)
					 : json_pack("{s:s}", "type", "object");
	case PHX_CTL_ARRAY:
		return json_pack("{s:s, s:I, s:o}", "type", "array", "maxItems", (json_int_t)p->max,
			"items", schema_json(&p->fields[0]));
	case PHX_CTL_GENERATION:
	case PHX_CTL_NAME:
	case PHX_CTL_GLOB:
	case PHX_CTL_ADDRESS:
	case PHX_CTL_NETWORK:
	case PHX_CTL_PATH:
		break;
	}
	return json_pack("{s:s, s:s}", "type", "string", "x-form", phx_ctl_type_name(p->type));
}

static json_t *schema_json(const struct phx_ctl_param *p)
{
	json_t *schema = bare_schema(p);

	if (p->help != NULL)
		(void)json_object_set_new(schema, "description", json_string(p->help));
	return schema;
}

static void params_append(json_t *list, const struct phx_ctl_param *p)
{
	for (; p->name != NULL; p++)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:b, s:o}", "name", p->name, "required", p->required,
				      "schema", schema_json(p)));
}

static const char *state_name(const struct phx_ctl_method *m)
{
	return (m->flags & PHX_CTL_STARTUP) != 0 ? "any" : "running";
}

static json_t *method_json(const struct phx_ctl_method *m)
{
	bool changes = (m->flags & (PHX_CTL_MUTATES | PHX_CTL_ACTION)) != 0;
	json_t *params = json_array();

	params_append(params, m->params);
	params_append(params, phx_ctl_method_common(m));
	return json_pack("{s:s, s:s, s:s, s:o, s:{s:s, s:s, s:{s:s}}, s:s, s:s, s:b, s:s}", "name",
		m->name, "summary", m->summary, "paramStructure", "by-name", "params", params,
		"result", "name", "result", "description", m->result, "schema", "type", "object",
		"x-role", phx_ctl_role_name(m->role), "x-state", state_name(m), "x-changes",
		changes, "x-example", m->example);
}

json_t *phx_ctl_methods_json(phx_ctl_bound_fn bound, void *arg, const char *prefix)
{
	json_t *methods = json_array();

	for (size_t i = 0; i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);

		if (!bound(arg, m) ||
			(prefix != NULL && strncmp(m->name, prefix, strlen(prefix)) != 0))
			continue;
		(void)json_array_append_new(methods,
			json_pack("{s:s, s:s, s:s, s:s}", "name", m->name, "summary", m->summary,
				"role", phx_ctl_role_name(m->role), "state", state_name(m)));
	}
	return json_pack("{s:o}", "methods", methods);
}

json_t *phx_ctl_discover_json(phx_ctl_bound_fn bound, void *arg)
{
	json_t *methods = json_array();

	for (size_t i = 0; i < phx_ctl_method_count(); i++)
		if (bound(arg, phx_ctl_method_at(i)))
			(void)json_array_append_new(methods, method_json(phx_ctl_method_at(i)));
	return json_pack("{s:s, s:{s:s, s:s}, s:o}", "openrpc", "1.2.6", "info", "title",
		"Phoenix control API", "version", PHX_VERSION, "methods", methods);
}

json_t *phx_ctl_limits_json(void)
{
	json_t *rows = json_array();
	size_t count;
	const struct phx_limit *limits = phx_limits(&count);

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(
			rows, json_pack("{s:s, s:I, s:s, s:s}", "name", limits[i].name, "value",
				      (json_int_t)limits[i].value, "unit", limits[i].unit, "text",
				      limits[i].text));
	return json_pack("{s:o}", "limits", rows);
}

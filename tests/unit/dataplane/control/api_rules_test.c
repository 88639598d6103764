// SPDX-License-Identifier: BSD-3-Clause
// rules.get and rules.push over a real socket, client and server in one loop.
#include "dataplane/control/api.h"

#include "lib/base/clock.h"
#include "lib/ctl/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	struct ctl_loop loop;
	struct api *api;
	struct phx_ctl_client *client;
	char dir[64], path[96];
	struct api_config config;
	uint64_t told; // generation that the hook was told last
	// the answer
	bool answered;
	json_t *result;
	struct phx_ctl_error error;
};

static void document_changed(void *arg, const struct phx_ctl_document *document)
{
	struct rig *r = arg;

	r->told = document->generation;
}

static void serve(struct rig *r, struct phx_ctl_document *take_document)
{
	assert_int_equal(api_create(&r->config, take_document, &r->api), 0);
	assert_int_equal(phx_ctl_client_open(r->path, &r->client), 0);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/phx-api.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->path, sizeof(r->path), "%s/dataplane.sock", r->dir);
	assert_int_equal(ctl_loop_init(&r->loop), 0);
	r->config = (struct api_config){
		.loop = &r->loop,
		.path = r->path,
		.uuid = {0x12, 0x34, [15] = 0xef},
		.document_changed = document_changed,
		.document_arg = r,
	};
	assert_int_equal(rules_create(&r->config.rules), 0);
	assert_int_equal(registry_create(NULL, &r->config.registry), 0);
	*state = r;
	return 0;
}

static void forget(struct rig *r)
{
	json_decref(r->result);
	r->result = NULL;
	phx_ctl_error_fini(&r->error);
	r->answered = false;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	char lock[128];

	forget(r);
	phx_ctl_client_destroy(r->client);
	api_destroy(r->api);
	rules_destroy(r->config.rules);
	registry_destroy(r->config.registry);
	ctl_loop_fini(&r->loop);
	(void)snprintf(lock, sizeof(lock), "%s.lock", r->path);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

static void done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct rig *r = arg;

	r->answered = true;
	r->result = json_incref(result);
	if (e != NULL) {
		(void)phx_ctl_error_set(&r->error, e->code, "%s", e->text);
		r->error.data = json_incref(e->data);
	}
}

// Ask and wait for the answer; r->result or r->error has it.
static void ask(struct rig *r, const char *method, json_t *take_params)
{
	uint64_t end = phx_clock_ns() + 10 * PHX_NS_PER_S;

	forget(r);
	assert_int_equal(
		phx_ctl_client_send(r->client, method, take_params, PHX_NS_PER_S * 10, done, r), 0);
	json_decref(take_params);
	while (!r->answered && phx_clock_ns() < end) {
		assert_int_equal(phx_ctl_client_process(r->client), 0);
		assert_int_equal(ctl_loop_once(&r->loop, PHX_NS_PER_MS), 0);
	}
	assert_true(r->answered);
}

static json_t *document(const char *generation, const char *rule)
{
	return json_pack("{s:{s:i, s:s, s:[{s:s, s:s}]}}", "document", "version", 1, "generation",
		generation, "attach", "name", rule, "action", "allow");
}

static const char *text_of(struct rig *r, const char *key)
{
	const char *text = json_string_value(json_object_get(r->result, key));

	assert_non_null(text);
	return text;
}

static void get_without_rules_answers_null(void **state)
{
	struct rig *r = *state;

	serve(r, NULL);
	ask(r, "rules.get", NULL);
	assert_string_equal(text_of(r, "instance"), "12340000-0000-0000-0000-0000000000ef");
	assert_true(json_is_null(json_object_get(r->result, "generation")));
	assert_true(json_is_null(json_object_get(r->result, "digest")));
}

static void push_first_document_takes_effect(void **state)
{
	struct rig *r = *state;
	const struct identity somebody = {.uid = 1, .gid = 1, .pidfd = -1};

	serve(r, NULL);
	assert_int_equal(rules_attach_decide(r->config.rules, &somebody, NULL), RULES_VERDICT_NONE);
	ask(r, "rules.push", document("7", "everybody"));
	assert_true(json_is_true(json_object_get(r->result, "changed")));
	assert_string_equal(text_of(r, "generation"), "7");
	assert_int_equal(r->told, 7);
	assert_int_equal(
		rules_attach_decide(r->config.rules, &somebody, NULL), RULES_VERDICT_ALLOW);
	ask(r, "rules.get", json_pack("{s:b}", "document", 1));
	assert_string_equal(text_of(r, "generation"), "7");
	assert_string_equal(text_of(r, "digest"), r->api->document->digest);
	assert_string_equal(
		json_string_value(json_object_get(
			json_array_get(
				json_object_get(json_object_get(r->result, "document"), "attach"),
				0),
			"name")),
		"everybody");
}

static void push_again_changes_nothing(void **state)
{
	struct rig *r = *state;

	serve(r, NULL);
	ask(r, "rules.push", document("7", "a"));
	r->told = 0;
	ask(r, "rules.push", document("7", "a"));
	assert_true(json_is_false(json_object_get(r->result, "changed")));
	assert_int_equal(r->told, 0);
}

static void push_older_generation_is_refused(void **state)
{
	struct rig *r = *state;

	serve(r, NULL);
	ask(r, "rules.push", document("7", "a"));
	ask(r, "rules.push", document("6", "b"));
	assert_null(r->result);
	assert_int_equal(r->error.code, PHX_ABORTED);
	assert_string_equal(json_string_value(json_object_get(r->error.data, "generation")), "7");
	assert_string_equal(rules_current(r->config.rules)->attach[0].name, "a");
}

static void push_other_content_of_same_generation_is_refused(void **state)
{
	struct rig *r = *state;

	serve(r, NULL);
	ask(r, "rules.push", document("7", "a"));
	ask(r, "rules.push", document("7", "b"));
	assert_int_equal(r->error.code, PHX_ABORTED);
	assert_string_equal(rules_current(r->config.rules)->attach[0].name, "a");
}

static void push_wrong_document_changes_nothing(void **state)
{
	struct rig *r = *state;

	serve(r, NULL);
	ask(r, "rules.push", document("7", "a"));
	ask(r, "rules.push",
		json_pack("{s:{s:i, s:s, s:[{s:s, s:s}]}}", "document", "version", 1, "generation",
			"8", "attach", "name", "b", "action", "perhaps"));
	assert_null(r->result);
	assert_non_null(strstr(
		json_string_value(json_object_get(r->error.data, "field")), "document.attach"));
	assert_string_equal(rules_current(r->config.rules)->attach[0].name, "a");
	assert_int_equal(r->told, 7);
}

static void push_without_generation_is_refused(void **state)
{
	struct rig *r = *state;

	serve(r, NULL);
	ask(r, "rules.push", json_pack("{s:{s:i}}", "document", "version", 1));
	assert_int_equal(r->error.code, PHX_INVALID_ARGUMENT);
	assert_null(rules_current(r->config.rules));
}

static void push_to_a_standalone_dataplane_is_refused(void **state)
{
	struct rig *r = *state;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *json = phx_ctl_document_self_default(5);
	struct phx_ctl_document *d;

	assert_int_equal(phx_ctl_document_parse(json, "", &d, &e), 0);
	json_decref(json);
	r->config.standalone = true;
	serve(r, d);
	ask(r, "rules.push", document("7", "a"));
	assert_int_equal(r->error.code, PHX_FAILED_PRECONDITION);
	ask(r, "rules.get", NULL);
	assert_string_equal(text_of(r, "generation"), "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(get_without_rules_answers_null),
		T(push_first_document_takes_effect),
		T(push_again_changes_nothing),
		T(push_older_generation_is_refused),
		T(push_other_content_of_same_generation_is_refused),
		T(push_wrong_document_changes_nothing),
		T(push_without_generation_is_refused),
		T(push_to_a_standalone_dataplane_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

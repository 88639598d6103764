// SPDX-License-Identifier: BSD-3-Clause
#include "lib/ctl/document.h"

#include "lib/base/compiler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FULL                                                                                       \
	"{\"peers\":[{\"network\":\"10.0.0.0/24\",\"name\":\"rack2\"},"                            \
	"{\"name\":\"rack1\",\"network\":\"::1\"}],"                                               \
	"\"version\":1,\"generation\":\"18446744073709551615\","                                   \
	"\"attach\":[{\"worker\":3,\"labels\":{\"z\":\"1\",\"a\":\"2\"},"                          \
	"\"placement\":\"packed\",\"app\":\"web\",\"uid\":1000,"                                   \
	"\"action\":\"allow\",\"name\":\"web\"},{\"name\":\"rest\",\"action\":\"deny\"}],"         \
	"\"register\":[{\"name\":\"pay\",\"action\":\"owner\",\"service\":\"pay.*\"},"             \
	"{\"name\":\"all\",\"action\":\"allow\",\"group\":\"blue\",\"gid\":5}],"                   \
	"\"listeners\":[{\"name\":\"b\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:2\","        \
	"\"peers\":[]},{\"name\":\"a\",\"transport\":\"tcp\",\"address\":\"0.0.0.0:1\","           \
	"\"peers\":[\"rack2\",\"rack1\"]}]}"

#define CANONICAL                                                                                  \
	"{\"version\":1,\"generation\":\"18446744073709551615\","                                  \
	"\"attach\":[{\"name\":\"web\",\"action\":\"allow\",\"uid\":1000,\"app\":\"web\","         \
	"\"placement\":\"packed\",\"worker\":3,"                                                   \
	"\"labels\":{\"a\":\"2\",\"z\":\"1\"}},{\"name\":\"rest\",\"action\":\"deny\"}],"          \
	"\"register\":[{\"name\":\"pay\",\"action\":\"owner\",\"service\":\"pay.*\"},"             \
	"{\"name\":\"all\",\"action\":\"allow\",\"group\":\"blue\",\"gid\":5}],"                   \
	"\"listeners\":[{\"name\":\"a\",\"transport\":\"tcp\",\"address\":\"0.0.0.0:1\","          \
	"\"peers\":[\"rack1\",\"rack2\"]},"                                                        \
	"{\"name\":\"b\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:2\"}],"                     \
	"\"peers\":[{\"name\":\"rack1\",\"network\":\"::1\"},"                                     \
	"{\"name\":\"rack2\",\"network\":\"10.0.0.0/24\"}]}\n"

static struct phx_ctl_document *parse(const char *text)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct phx_ctl_document *d = NULL;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(json);
	assert_int_equal(phx_ctl_document_parse(json, "", &d, &e), 0);
	json_decref(json);
	return d;
}

static void expect_refused(const char *text, const char *field)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct phx_ctl_document *d = NULL;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(json);
	assert_int_equal(phx_ctl_document_parse(json, "document.", &d, &e), -EINVAL);
	assert_null(d);
	assert_string_equal(json_string_value(json_object_get(e.data, "field")), field);
	phx_ctl_error_fini(&e);
	json_decref(json);
}

static void text_is_canonical_and_round_trips(void **state)
{
	struct phx_ctl_document *d = parse(FULL);
	char *text = phx_ctl_document_text(d);
	struct phx_ctl_document *again = parse(text);
	char *text_again = phx_ctl_document_text(again);

	(void)state;
	assert_string_equal(text, CANONICAL);
	assert_string_equal(text_again, CANONICAL);
	assert_string_equal(d->digest, again->digest);
	free(text);
	free(text_again);
	phx_ctl_document_destroy(d);
	phx_ctl_document_destroy(again);
}

static void parse_fills_the_structures(void **state)
{
	struct phx_ctl_document *d = parse(FULL);

	(void)state;
	assert_true(d->generation == UINT64_MAX);
	assert_int_equal(d->attach_count, 2);
	assert_string_equal(d->attach[0].app, "web");
	assert_int_equal(d->attach[0].uid, 1000);
	assert_int_equal(d->attach[0].gid, PHX_CTL_ID_ANY);
	assert_int_equal(d->attach[0].label_count, 2);
	assert_string_equal(d->attach[0].labels[0].key, "a");
	assert_string_equal(d->attach[0].labels[0].value, "2");
	assert_int_equal(d->attach[0].placement, PHX_CTL_PACKED);
	assert_int_equal(d->attach[0].worker, 3);
	assert_null(d->attach[1].app);
	assert_int_equal(d->attach[1].placement, PHX_CTL_SHARED);
	assert_int_equal(d->attach[1].worker, -1);
	assert_int_equal(d->register_count, 2);
	assert_int_equal(d->registers[0].action, PHX_CTL_OWNER);
	assert_string_equal(d->registers[0].group, "*");
	assert_int_equal(d->listener_count, 2);
	assert_string_equal(d->listeners[0].name, "a");
	assert_int_equal(d->listeners[0].peer_count, 2);
	assert_string_equal(d->listeners[0].peers[1]->name, "rack2");
	assert_int_equal(d->peer_count, 2);
	phx_ctl_document_destroy(d);
}

static void parse_bad_documents_are_refused_with_the_field(void **state)
{
	(void)state;
	expect_refused("{\"generation\":\"1\"}", "document.version");
	expect_refused("{\"version\":2,\"generation\":\"1\"}", "document.version");
	expect_refused("{\"version\":1,\"generation\":1}", "document.generation");
	expect_refused("{\"version\":1,\"generation\":\"1\",\"attch\":[]}", "document.attch");
	expect_refused("{\"version\":1,\"generation\":\"1\",\"attach\":[{\"name\":\"a\"}]}",
		"document.attach[0].action");
	expect_refused("{\"version\":1,\"generation\":\"1\",\"attach\":[{\"name\":\"a\","
		       "\"action\":\"owner\"}]}",
		"document.attach[0].action");
	expect_refused("{\"version\":1,\"attach\":[{\"name\":\"a\",\"action\":\"allow\","
		       "\"placement\":\"anywhere\"}]}",
		"document.attach[0].placement");
	expect_refused("{\"version\":1,\"attach\":[{\"name\":\"a\",\"action\":\"allow\","
		       "\"worker\":64}]}",
		"document.attach[0].worker");
	expect_refused(
		"{\"version\":1,\"generation\":\"1\",\"attach\":["
		"{\"name\":\"a\",\"action\":\"allow\"},{\"name\":\"a\",\"action\":\"deny\"}]}",
		"document.attach[1].name");
	expect_refused("{\"version\":1,\"generation\":\"1\",\"listeners\":[{\"name\":\"a\","
		       "\"transport\":\"tcp\",\"address\":\"127.0.0.1:1\",\"peers\":[\"x\"]}]}",
		"document.listeners.a.peers");
	expect_refused("{\"version\":1,\"generation\":\"1\",\"listeners\":[{\"name\":\"a\","
		       "\"transport\":\"tcp\",\"address\":\"127.0.0.1:1\"},{\"name\":\"b\","
		       "\"transport\":\"tcp\",\"address\":\"127.0.0.1:1\"}]}",
		"document.listeners.b.address");
}

static void clusters_are_sorted_with_their_endpoints(void **state)
{
	struct phx_ctl_document *d = parse(
		"{\"version\":1,\"clusters\":["
		"{\"endpoints\":[{\"weight\":3,\"address\":\"10.0.0.2:1\"},"
		"{\"address\":\"10.0.0.1:1\"}],\"balancing\":\"least_request\",\"name\":\"b\"},"
		"{\"name\":\"a\"}]}");
	char *text = phx_ctl_document_text(d);

	(void)state;
	assert_string_equal(text,
		"{\"version\":1,\"clusters\":[{\"name\":\"a\"},"
		"{\"name\":\"b\",\"balancing\":\"least_request\",\"endpoints\":["
		"{\"address\":\"10.0.0.1:1\"},{\"address\":\"10.0.0.2:1\",\"weight\":3}]}]}\n");
	assert_int_equal(d->cluster_count, 2);
	assert_false(d->clusters[0].least_request);
	assert_int_equal(d->clusters[0].endpoint_count, 0);
	assert_true(d->clusters[1].least_request);
	assert_int_equal(d->clusters[1].endpoints[0].weight, 1);
	assert_int_equal(d->clusters[1].endpoints[1].weight, 3);
	free(text);
	phx_ctl_document_destroy(d);
	expect_refused("{\"version\":1,\"clusters\":[{\"name\":\"a\",\"endpoints\":["
		       "{\"address\":\"::1:5\"}]}]}",
		"document.clusters[0].endpoints[0].address");
	expect_refused("{\"version\":1,\"clusters\":[{\"name\":\"a\",\"endpoints\":["
		       "{\"address\":\"10.0.0.1:1\"},{\"address\":\"10.0.0.1:1\"}]}]}",
		"document.clusters.a.endpoints");
}

static void digest_ignores_the_generation_only(void **state)
{
	struct phx_ctl_document *a = parse("{\"version\":1,\"generation\":\"1\"}");
	struct phx_ctl_document *b = parse("{\"version\":1,\"generation\":\"2\",\"attach\":[]}");
	struct phx_ctl_document *c = parse("{\"version\":1,\"generation\":\"1\",\"attach\":["
					   "{\"name\":\"a\",\"action\":\"allow\"}]}");
	struct phx_ctl_document *without = parse("{\"version\":1}");

	(void)state;
	assert_string_equal(a->digest, b->digest);
	assert_string_not_equal(a->digest, c->digest);
	assert_string_equal(a->digest, without->digest);
	assert_int_equal(without->generation, 0);
	phx_ctl_document_destroy(a);
	phx_ctl_document_destroy(b);
	phx_ctl_document_destroy(c);
	phx_ctl_document_destroy(without);
}

static void find_first_match_decides_and_none_denies(void **state)
{
	struct phx_ctl_document *d = parse(FULL);

	(void)state;
	assert_string_equal(phx_ctl_attach_find(d, 1000, 7)->name, "web");
	assert_string_equal(phx_ctl_attach_find(d, 1001, 7)->name, "rest");
	assert_string_equal(phx_ctl_register_find(d, "pay.Cards", "x", 1, 1)->name, "pay");
	assert_string_equal(phx_ctl_register_find(d, "hello", "blue", 1, 5)->name, "all");
	assert_null(phx_ctl_register_find(d, "hello", "blue", 1, 6));
	assert_null(phx_ctl_register_find(d, "hello", "red", 1, 5));
	phx_ctl_document_destroy(d);
}

static bool admits(const struct phx_ctl_listener_entry *l, const char *address)
{
	struct sockaddr_storage ss;

	assert_int_equal(phx_ctl_address_parse(address, &ss), 0);
	return phx_ctl_listener_admits(l, (struct sockaddr *)&ss);
}

static void listener_without_peers_admits_loopback_only(void **state)
{
	struct phx_ctl_document *d = parse(FULL);

	(void)state;
	assert_true(admits(&d->listeners[1], "127.3.2.1:9"));
	assert_true(admits(&d->listeners[1], "[::1]:9"));
	assert_true(admits(&d->listeners[1], "[::ffff:127.0.0.1]:9"));
	assert_false(admits(&d->listeners[1], "10.0.0.1:9"));
	assert_true(admits(&d->listeners[0], "10.0.0.1:9"));
	assert_false(admits(&d->listeners[0], "127.0.0.1:9"));
	phx_ctl_document_destroy(d);
}

static void defaults_are_valid_documents(void **state)
{
	json_t *defaults[] = {phx_ctl_document_open_default(), phx_ctl_document_self_default(1000)};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(defaults); i++) {
		struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
		struct phx_ctl_document *d;

		assert_int_equal(phx_ctl_document_parse(defaults[i], "", &d, &e), 0);
		assert_int_equal(d->listener_count, 0);
		assert_int_equal(phx_ctl_attach_find(d, 1000, 1)->action, PHX_CTL_ALLOW);
		if (i == 0)
			assert_int_equal(
				phx_ctl_register_find(d, "s", "g", 7, 7)->action, PHX_CTL_OWNER);
		else
			assert_null(phx_ctl_attach_find(d, 1001, 1));
		phx_ctl_document_destroy(d);
		json_decref(defaults[i]);
	}
}

// `count` attach rules with `labels` labels each, whose keys begin with `name` bytes.
static json_t *document_of_rules(size_t count, size_t labels, size_t name)
{
	json_t *rules = json_array(), *map = json_object();
	char text[256];

	assert_true(name < sizeof(text));
	memset(text, 'x', name);
	for (size_t i = 0; i < labels; i++) {
		(void)snprintf(text + name, sizeof(text) - name, "%zu", i);
		assert_int_equal(json_object_set_new(map, text, json_string("y")), 0);
	}
	for (size_t i = 0; i < count; i++)
		assert_int_equal(
			json_array_append_new(
				rules, json_pack("{s:o, s:s, s:O}", "name", json_sprintf("r%zu", i),
					       "action", "allow", "labels", map)),
			0);
	json_decref(map);
	return json_pack("{s:i, s:o}", "version", 1, "attach", rules);
}

static void expect_exhausted(json_t *json, const char *limit)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	assert_int_equal(phx_ctl_document_fits(json, &e), -EINVAL);
	assert_int_equal(e.code, PHX_RESOURCE_EXHAUSTED);
	assert_string_equal(json_string_value(json_object_get(e.data, "limit")), limit);
	assert_non_null(json_object_get(e.data, "hint"));
	phx_ctl_error_fini(&e);
	json_decref(json);
}

static void documents_that_no_request_could_carry_do_not_fit(void **state)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *json = document_of_rules(512, 16, 32);

	(void)state;
	assert_int_equal(phx_ctl_document_fits(json, &e), 0);
	json_decref(json);
	// Each rule: itself, three members, their values, and two for each label.
	expect_exhausted(document_of_rules(1024, 30, 2), "JSON_VALUES");
	expect_exhausted(document_of_rules(1024, 16, 64), "JSON_IN_BYTES");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_canonical_and_round_trips),
		cmocka_unit_test(parse_fills_the_structures),
		cmocka_unit_test(parse_bad_documents_are_refused_with_the_field),
		cmocka_unit_test(clusters_are_sorted_with_their_endpoints),
		cmocka_unit_test(digest_ignores_the_generation_only),
		cmocka_unit_test(find_first_match_decides_and_none_denies),
		cmocka_unit_test(listener_without_peers_admits_loopback_only),
		cmocka_unit_test(defaults_are_valid_documents),
		cmocka_unit_test(documents_that_no_request_could_carry_do_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

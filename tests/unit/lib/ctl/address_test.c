// SPDX-License-Identifier: BSD-3-Clause
#include "lib/ctl/address.h"

#include "lib/base/compiler.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void address_parse_good_texts_are_accepted(void **state)
{
	struct sockaddr_storage ss;
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	(void)state;
	assert_int_equal(phx_ctl_address_parse("127.0.0.1:5000", &ss), 0);
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(ntohs(in->sin_port), 5000);
	assert_int_equal(phx_ctl_address_parse("[::1]:65535", &ss), 0);
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
	assert_int_equal(ntohs(in6->sin6_port), 65535);
}

static void address_parse_bad_texts_are_refused(void **state)
{
	static const char *const rows[] = {"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
		"127.0.0.1:65536", "127.0.0.1:080", "127.0.0.1:+1", "127.0.0.1:1x", "localhost:80",
		"::1:80", "[::1]", "[::1:80", "::1]:80", "[127.0.0.1]:80", "]:80", "[]:80",
		"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:80", "1.2.3.4 :5"};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++)
		assert_int_equal(phx_ctl_address_parse(rows[i], NULL), -EINVAL);
}

static void network_parse_good_texts_are_accepted(void **state)
{
	static const char *const rows[] = {"0.0.0.0/0", "10.0.0.0/8", "10.1.2.3", "10.1.2.2/31",
		"::/0", "2001:db8::/32", "::1"};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++)
		assert_int_equal(phx_ctl_network_parse(rows[i], NULL), 0);
}

static void network_parse_bad_texts_are_refused(void **state)
{
	static const char *const rows[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8",
		"10.1.2.3/31", "::/129", "2001:db8::1/32", "10.0.0.0/08", "10.0.0.0/8/8", "host"};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++)
		assert_int_equal(phx_ctl_network_parse(rows[i], NULL), -EINVAL);
}

static bool has(const char *network, const char *address)
{
	struct phx_ctl_network n;
	struct sockaddr_storage ss;

	assert_int_equal(phx_ctl_network_parse(network, &n), 0);
	assert_int_equal(phx_ctl_address_parse(address, &ss), 0);
	return phx_ctl_network_has(&n, (struct sockaddr *)&ss);
}

static void network_has_compares_the_prefix_only(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.0.1:1"));
	assert_false(has("10.0.0.0/8", "11.0.0.1:1"));
	assert_true(has("10.0.0.128/25", "10.0.0.200:1"));
	assert_false(has("10.0.0.128/25", "10.0.0.127:1"));
	assert_true(has("0.0.0.0/0", "1.2.3.4:1"));
	assert_true(has("2001:db8::/33", "[2001:db8:7fff::1]:1"));
	assert_false(has("2001:db8::/33", "[2001:db8:8000::1]:1"));
}

static void network_has_mapped_address_counts_as_ipv4(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "[::ffff:10.1.2.3]:1"));
	assert_false(has("10.0.0.0/8", "[::10.1.2.3]:1"));
	assert_false(has("::/0", "10.1.2.3:1"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_parse_good_texts_are_accepted),
		cmocka_unit_test(address_parse_bad_texts_are_refused),
		cmocka_unit_test(network_parse_good_texts_are_accepted),
		cmocka_unit_test(network_parse_bad_texts_are_refused),
		cmocka_unit_test(network_has_compares_the_prefix_only),
		cmocka_unit_test(network_has_mapped_address_counts_as_ipv4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

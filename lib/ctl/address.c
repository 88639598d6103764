// SPDX-License-Identifier: BSD-3-Clause
// Numeric addresses and prefixes; see address.h.
#include "lib/ctl/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

// Decimal without sign, blanks or leading zeros, in [0, max]. 0 or -EINVAL.
static int decimal_parse(const char *s, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (s[0] == '\0' || (s[0] == '0' && s[1] != '\0'))
		return -EINVAL;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -EINVAL;
	}
	*out = v;
	return 0;
}

int phx_ctl_address_parse(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	unsigned port;

	if (colon == NULL || decimal_parse(colon + 1, 65535, &port) != 0 || port == 0)
		return -EINVAL;

	bool six = text[0] == '[' && colon > text && colon[-1] == ']';
	const char *begin = text + six;
	size_t len = (size_t)(colon - begin) - six;

	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, begin, len);
	host[len] = '\0';
	if (six) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
	}
	if (inet_pton(six ? AF_INET6 : AF_INET, host,
		    six ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) != 1)
		return -EINVAL;
	if (out != NULL)
		*out = ss;
	return 0;
}

// The first bits of a and b agree.
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

int phx_ctl_network_parse(const char *text, struct phx_ctl_network *out)
{
	struct phx_ctl_network n = {0};
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	uint8_t clean[16] = {0};

	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	n.family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(n.family, host, n.bytes) != 1)
		return -EINVAL;

	unsigned width = n.family == AF_INET ? 32 : 128;

	n.prefix = width;
	if (slash != NULL && decimal_parse(slash + 1, width, &n.prefix) != 0)
		return -EINVAL;
	memcpy(clean, n.bytes, n.prefix / 8);
	if (n.prefix % 8 != 0)
		clean[n.prefix / 8] = (uint8_t)(n.bytes[n.prefix / 8] & (0xff00 >> (n.prefix % 8)));
	if (memcmp(clean, n.bytes, width / 8) != 0)
		return -EINVAL;
	if (out != NULL)
		*out = n;
	return 0;
}

bool phx_ctl_network_has(const struct phx_ctl_network *n, const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;

		return n->family == AF_INET &&
		       bits_equal(n->bytes, (const uint8_t *)&in->sin_addr, n->prefix);
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
		const uint8_t *bytes = in6->sin6_addr.s6_addr;

		if (n->family == AF_INET)
			return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			       bits_equal(n->bytes, bytes + 12, n->prefix);
		return bits_equal(n->bytes, bytes, n->prefix);
	}
	return false;
}

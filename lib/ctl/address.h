// SPDX-License-Identifier: BSD-3-Clause
// Numeric addresses as operators write them. No name resolution: intent must mean the
// same after a restart. Pure functions; any thread.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

// "192.0.2.1:5000" or "[2001:db8::1]:5000", port 1..65535. 0, or -EINVAL. out may be
// NULL (check only).
int phx_ctl_address_parse(const char *text, struct sockaddr_storage *out);

struct phx_ctl_network {
	int family;	   // AF_INET or AF_INET6
	uint8_t bytes[16]; // network order; bits beyond the prefix are zero
	unsigned prefix;   // bits
};

// "192.0.2.0/24", "2001:db8::/32", or one address. Bits beyond the prefix must be zero.
// 0, or -EINVAL. out may be NULL (check only).
int phx_ctl_network_parse(const char *text, struct phx_ctl_network *out);

// Does the network hold the address? IPv4-mapped IPv6 addresses count as IPv4.
bool phx_ctl_network_has(const struct phx_ctl_network *n, const struct sockaddr *address);

// SPDX-License-Identifier: BSD-3-Clause
// Who is at the other end of app.sock, measured by the dataplane at attach and never claimed
// by the application. Control thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_TEXT 256

struct identity {
	uint32_t uid; // of who connected (SO_PEERCRED)
	uint32_t gid;
	int32_t pid;		    // for display; 0 = in a PID namespace that we cannot see
	int pidfd;		    // readable when the process is dead; -1 = unknown
	char exe[IDENTITY_TEXT];    // "" = unknown, which no rule may allow by
	char cgroup[IDENTITY_TEXT]; // of the unified hierarchy; "" = unknown
};

// Measure the peer of a connected socket. 0; -ECONNRESET: it is gone; -EMFILE and other negative
// errno values: its credentials cannot be read. Ended by identity_fini().
int identity_measure(int fd, struct identity *out);

// Close the pidfd. Legal when it is -1.
void identity_fini(struct identity *identity);

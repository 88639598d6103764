// SPDX-License-Identifier: BSD-3-Clause
// What client and server of restart.sh share: how often each numbered call was executed, in a file
// that both map.
#pragma once

#include <phoenix/phoenix.h>

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define RESTART_CALLS (1u << 22)

#define CHECK(cond, ...)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                 \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

// The counters in `path`, which is made when it is not there.
_Atomic uint8_t *restart_ledger(const char *path);

int restart_server(struct phx_context *context, _Atomic uint8_t *executed);
int restart_client(struct phx_context *context, const _Atomic uint8_t *executed);

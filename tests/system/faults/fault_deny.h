// SPDX-License-Identifier: BSD-3-Clause
// What deny_shim.c, preloaded into a program, and the test that started it share: a file, mapped by
// both, named by PHX_DENY_FILE. The layout is known to deny.py and faults_kill.sh too.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

// DENY_STOP: SIGSTOP, and the call goes on when somebody lets the process. DENY_ORPHAN: as KILL,
// but a child stays that has all its descriptors. Calls that move data (send, recv) never fail; for
// the others they count.
enum deny_action { DENY_FAIL = 0, DENY_KILL = 1, DENY_STOP = 2, DENY_ORPHAN = 3 };

#define DENY_LOG 65536

struct deny {
	_Atomic uint32_t armed;
	_Atomic uint32_t action; // of the call number `at`, from 1
	_Atomic uint32_t at;	 // 0: only count
	_Atomic uint32_t calls;	 // counted since it was armed
	_Atomic uint32_t fired;
	_Atomic uint32_t span;	// so many calls in a row fail; 0 = 1
	char function[32];	// only calls of this one count; empty: all
	char hit[32];		// the one that failed
	char log[DENY_LOG][16]; // function of each call counted
};

// SPDX-License-Identifier: BSD-3-Clause
// Messages between threads of the dataplane: many producers, one consumer, intrusive, with a bell
// that costs a system call only when the consumer sleeps. Commands of one producer stay in order.
// Not for messages of the data path on one core; those are plain calls.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;

// Embed this in what is sent. fn runs on the consumer's thread; for the control thread's inbox
// the worker argument is NULL.
struct cmd {
	struct cmd *_Atomic next;
	void (*fn)(struct worker *worker, struct cmd *cmd);
};

struct cmdq {
	_Atomic(struct cmd *) head; // [any] last pushed first
	_Atomic uint32_t asleep;    // [consumer>any] consumer sleeps on fd
	int fd;			    // eventfd, written only when asleep
};

int cmdq_init(struct cmdq *q);
void cmdq_fini(struct cmdq *q);
// Any thread.
void cmdq_push(struct cmdq *q, struct cmd *cmd);
// Consumer: run up to `max` commands in order of arrival per producer; returns how many.
unsigned cmdq_run(struct cmdq *q, struct worker *worker, unsigned max);
// Consumer: arm, then recheck before sleeping on fd; disarm when awake.
void cmdq_arm(struct cmdq *q);
bool cmdq_recheck(const struct cmdq *q);
void cmdq_disarm(struct cmdq *q);

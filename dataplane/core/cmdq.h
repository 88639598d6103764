// SPDX-License-Identifier: BSD-3-Clause
// Messages between threads of the dataplane: many producers, one consumer, intrusive, with a bell
// that costs a system call only when the consumer sleeps. Commands of one producer stay in order.
// Producers exchange the head (a stack); the consumer takes the whole stack and turns it round.
// A producer that stops anywhere in cmdq_push() delays only its own command.
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
	_Atomic uint32_t asleep; // [any] 1: the consumer sleeps on fd; the first pusher clears it
	int fd;			 // [const] eventfd, written only when asleep, never read
	struct cmd *pending;	 // [consumer] taken, oldest first
};

// 0 or -errno of eventfd().
int cmdq_init(struct cmdq *q);
// Close; commands still inside are forgotten, they belong to who posted them. Legal after a
// failed init and on a queue of zeroes with fd -1.
void cmdq_fini(struct cmdq *q);
// Any thread; cmd->fn is set. cmd is the queue's until fn runs, which may push it again or
// free it.
void cmdq_push(struct cmdq *q, struct cmd *cmd);
// Consumer: run up to `max` commands in order of arrival per producer; returns how many.
unsigned cmdq_run(struct cmdq *q, struct worker *worker, unsigned max);
// Consumer: arm, then recheck (true: there is work) before sleeping on fd; disarm when awake.
// fd stays readable once written: watch it edge-triggered.
void cmdq_arm(struct cmdq *q);
bool cmdq_recheck(const struct cmdq *q);
void cmdq_disarm(struct cmdq *q);

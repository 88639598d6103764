// SPDX-License-Identifier: BSD-3-Clause
// Intrusive doubly linked list. Single owner; no locking. A node that is not on a
// list is linked to itself, so removing it twice is harmless.
#pragma once

#include "lib/base/compiler.h"

#include <stdbool.h>

struct phx_list {
	struct phx_list *next;
	struct phx_list *prev;
};

static inline void phx_list_init(struct phx_list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool phx_list_empty(const struct phx_list *l)
{
	return l->next == l;
}

static inline void phx_list_add_tail(struct phx_list *head, struct phx_list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

static inline void phx_list_add_head(struct phx_list *head, struct phx_list *n)
{
	phx_list_add_tail(head->next, n);
}

static inline void phx_list_del(struct phx_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	phx_list_init(n);
}

// First node or NULL.
static inline struct phx_list *phx_list_first(struct phx_list *head)
{
	return phx_list_empty(head) ? NULL : head->next;
}

// Remove and return the first node, or NULL.
static inline struct phx_list *phx_list_pop(struct phx_list *head)
{
	struct phx_list *n = phx_list_first(head);

	if (n != NULL)
		phx_list_del(n);
	return n;
}

#define phx_list_entry(node, type, member) phx_container_of(node, type, member)

#define phx_list_for_each(node, head) for (node = (head)->next; node != (head); node = node->next)

// Safe against removal of the current node.
#define phx_list_for_each_safe(node, tmp, head)                                                    \
	for (node = (head)->next, tmp = node->next; node != (head); node = tmp, tmp = node->next)

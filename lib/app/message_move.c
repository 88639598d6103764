// SPDX-License-Identifier: BSD-3-Clause
// Moves a message that was begun in an earlier session into the current one. Works with
// message_build.c and message_flat.c.
#include "lib/app/message.h"
#include "lib/app/message_flat.h"

// All of it stands in the first block: references are relative, so the bytes are the message.
static int move_block(const struct phx_message *m, struct phx_message *to)
{
	uint8_t *copy = phx_message_reserve(to, m->cur_used);

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, m->cur, m->cur_used);
	to->root = copy + (m->root - m->cur);
	return 0;
}

// References may lead from block to block: walk them by the schema.
static int move_walk(const struct phx_message *m, struct phx_message *to)
{
	const struct phx_space *space = &m->session->send;
	struct phx_flat_region regions[PHX_SPACE_REGIONS_MAX];
	struct phx_flat_source source = {.table = m->type->file->table,
		.table_size = m->type->file->size,
		.type = m->type->index,
		.base = space->range.base,
		.regions = regions,
		.region_count = atomic_load_explicit(&space->count, memory_order_acquire),
		.root = (uint64_t)(m->root - space->range.base)};
	struct phx_flat *flat;
	uint8_t *copy;
	int rc;

	for (uint32_t i = 0; i < source.region_count; i++)
		regions[i] =
			(struct phx_flat_region){space->regions[i].off, space->regions[i].size};
	rc = phx_flat_create(&source, &flat);
	if (rc)
		return rc;
	copy = phx_message_reserve(to, phx_flat_size(flat));
	if (copy != NULL) {
		phx_flat_read(flat, copy);
		to->root = copy;
	} else {
		rc = -ENOMEM;
	}
	phx_flat_destroy(flat);
	return rc;
}

int phx_message_move(const struct phx_message *m, struct phx_message **out_message)
{
	struct phx_message *to;
	int rc = phx_message_new(m->context, &to);

	if (rc)
		return rc;
	rc = m->more_count == 0 ? move_block(m, to) : move_walk(m, to);
	if (rc) {
		phx_message_release(to);
		return rc;
	}
	to->type = m->type;
	*out_message = to;
	return 0;
}

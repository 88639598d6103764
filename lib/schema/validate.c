// SPDX-License-Identifier: BSD-3-Clause
// The canonical check: walks the image in the one legal order and compares each reference
// with the running cursor. Works with schema.c; guards are those of image.c.
#include "lib/schema/validate.h"

#include "lib/schema/image_priv.h"
#include "lib/schema/schema_priv.h"
#include "lib/schema/utf8.h"

#include <errno.h>

enum { CHECK_NONE, CHECK_TEXT, CHECK_BOOL };
enum { STATE_START, STATE_RUN };
enum { STEP_PENDING = 0, STEP_DONE = 1, STEP_PUSHED = 2 };

// Leaves up to this size are checked in one step, whatever work is left.
#define CHECK_AT_ONCE 1024

static PHX_COLD int bad(struct phx_validate *v, const char *text)
{
	v->error = text;
	return -EPROTO;
}

static PHX_COLD int too_many(struct phx_validate *v)
{
	v->error = "too many elements";
	return -E2BIG;
}

static PHX_COLD int not_text(struct phx_validate *v)
{
	v->error = "utf-8";
	return -EILSEQ;
}

static PHX_ALWAYS_INLINE int push(
	struct phx_validate *v, uint32_t message, uint32_t ref, bool leaves, uint32_t count)
{
	struct phx_validate_frame *f = &v->frames[v->depth];

	if (phx_unlikely(v->depth >= PHX_LIMIT_NESTING_MAX + leaves))
		return bad(v, "nesting");
	v->depth++;
	f->pos = v->cursor;
	f->count = count;
	f->i = 0;
	f->message = (uint16_t)message;
	f->ref = (uint16_t)ref;
	f->leaves = leaves;
	f->entered = false;
	return STEP_DONE;
}

// Go on with the part that is being read. STEP_DONE, STEP_PENDING or an error.
static int check_some(struct phx_validate *v, struct phx_work *work)
{
	const uint8_t *piece = v->base + v->part_pos;
	uint8_t all = 0;
	uint32_t n;

	if (work->bytes <= 0)
		return STEP_PENDING;
	n = (uint32_t)phx_min((uint64_t)v->part_left, (uint64_t)work->bytes);
	work->bytes -= n;
	v->part_pos += n;
	v->part_left -= n;
	if (v->part_check == CHECK_TEXT) {
		if (!phx_utf8_feed(&v->text, piece, n) || (v->part_left == 0 && v->text != 0))
			return not_text(v);
	} else {
		for (uint32_t i = 0; i < n; i++)
			all |= piece[i];
		if (all > 1)
			return bad(v, "bool not 0/1");
	}
	return v->part_left == 0 ? STEP_DONE : STEP_PENDING;
}

// The part of size bytes at the cursor; the cursor is stepped over it.
static PHX_ALWAYS_INLINE int check_part(
	struct phx_validate *v, struct phx_work *work, uint64_t size, unsigned check)
{
	const uint8_t *part = v->base + v->cursor;
	uint64_t padded = phx_align_up(size, 8);

	if (phx_unlikely(padded > v->size - v->cursor))
		return bad(v, "reference outside");
	if (size % 8 != 0 && phx_le64_load(part + padded - 8) >> (size % 8 * 8) != 0)
		return bad(v, "padding not zero");
	v->part_pos = v->cursor;
	v->cursor += (uint32_t)padded;
	if (check == CHECK_NONE)
		return STEP_DONE;
	if (phx_likely(check == CHECK_TEXT && size <= CHECK_AT_ONCE)) {
		work->bytes -= (int64_t)size;
		return phx_text_padded_ok(part, (uint32_t)size) ? STEP_DONE : not_text(v);
	}
	v->part_left = (uint32_t)size;
	v->part_check = (uint8_t)check;
	v->text = 0;
	return check_some(v, work);
}

static PHX_ALWAYS_INLINE int check_ref(struct phx_validate *v, struct phx_work *work,
	const struct phx_ref *r, uint32_t parent, uint32_t index, bool leaf, uint32_t pos)
{
	uint64_t value = phx_le64_load(v->base + pos);
	uint32_t count = (uint32_t)(value >> 32);
	unsigned shape = leaf ? PHX_SHAPE_LEAF : r->shape;
	uint64_t size = leaf ? count : (uint64_t)count * r->size;
	int rc;

	if (value == 0)
		return STEP_DONE;
	// One compare: a cursor behind the size cannot be reached by a legal offset.
	if (phx_unlikely((uint32_t)value != v->cursor - pos || count == 0))
		return bad(v, "reference not canonical");
	work->elements--;
	if (shape == PHX_SHAPE_LEAF || shape == PHX_SHAPE_SCALAR_LIST) {
		if (phx_unlikely(!leaf && v->elements++ >= v->max_elements))
			return too_many(v);
		return check_part(v, work, size,
			r->text	     ? CHECK_TEXT
			: r->boolean ? CHECK_BOOL
				     : CHECK_NONE);
	}
	if (shape == PHX_SHAPE_MESSAGE && count != 1)
		return bad(v, "reference to more than one message");
	if (count > v->max_elements - v->elements)
		return too_many(v);
	v->elements += count;
	if (shape == PHX_SHAPE_LEAF_LIST)
		rc = push(v, parent, index, true, count);
	else
		rc = push(v, r->message, 0, false, count);
	if (rc != STEP_DONE)
		return rc;
	rc = check_part(v, work, size, CHECK_NONE);
	return rc == STEP_DONE ? STEP_PUSHED : rc;
}

// Masks and guards of one fixed part.
static int enter(
	struct phx_validate *v, struct phx_work *work, const struct phx_message *m, uint32_t pos)
{
	struct phx_image flat;
	const char *error;

	work->elements -= 1 + (m->ref_count + m->guard_count) / 16;
	if (m->legal_mask != NULL) {
		const uint8_t *words = v->base + pos; // in a frame they stand anywhere

		for (uint32_t i = 0; i < m->size / 8; i++)
			if (phx_unlikely((phx_le64_load(words + 8 * (size_t)i) &
						 ~m->legal_mask[i]) != 0))
				return bad(v,
					"padding not zero, bool not 0/1 or unknown presence bit");
	}
	if (m->guard_count != 0) {
		flat = (struct phx_image){.block0 = (uint8_t *)v->base, .block_count = 1};
		error = phx_image_check_guards(&flat, m, pos);
		if (error != NULL)
			return bad(v, error);
	}
	return 0;
}

static PHX_ALWAYS_INLINE int walk_messages(
	struct phx_validate *v, struct phx_work *work, struct phx_validate_frame *f)
{
	const struct phx_message *m = phx_schema_at(v->schema, f->message);
	int rc;

	for (; f->i < f->count; f->i++, f->entered = false) {
		uint32_t pos = f->pos + f->i * m->size;

		if (!f->entered) {
			if (work->elements <= 0)
				return STEP_PENDING;
			rc = enter(v, work, m, pos);
			if (rc != 0)
				return rc;
			f->entered = true;
			f->ref = 0;
		}
		while (f->ref < m->ref_count) {
			const struct phx_ref *r = &m->refs[f->ref];

			if (phx_unlikely(work->elements <= 0 || work->bytes <= 0))
				return STEP_PENDING;
			rc = check_ref(v, work, r, f->message, f->ref++, false, pos + r->offset);
			if (rc != STEP_DONE)
				return rc;
		}
	}
	return STEP_DONE;
}

static int walk_leaves(struct phx_validate *v, struct phx_work *work, struct phx_validate_frame *f)
{
	const struct phx_ref *r = &phx_schema_at(v->schema, f->message)->refs[f->ref];
	int rc;

	while (f->i < f->count) {
		if (work->elements <= 0 || work->bytes <= 0)
			return STEP_PENDING;
		work->elements--;
		rc = check_ref(v, work, r, 0, 0, true, f->pos + f->i++ * 8);
		if (rc != STEP_DONE)
			return rc;
	}
	return STEP_DONE;
}

static int begin(struct phx_validate *v, uint32_t message)
{
	uint32_t size = phx_schema_at(v->schema, message)->size;

	v->state = STATE_RUN;
	v->depth = 0;
	if (v->size % 8 != 0 || v->size > PHX_LIMIT_MESSAGE_BYTES_MAX || v->size < size)
		return bad(v, "size");
	if (v->elements++ >= v->max_elements)
		return too_many(v);
	(void)push(v, message, 0, false, 1); // depth 0 cannot fail
	v->cursor = size;
	return STEP_DONE;
}

int phx_validate_run(struct phx_validate *v, struct phx_work *work)
{
	int rc = STEP_DONE;

	if (work->bytes <= 0 || work->elements <= 0)
		return 0;
	if (v->state == STATE_START)
		rc = begin(v, v->frames[0].message);
	else if (v->part_left != 0)
		rc = check_some(v, work);
	if (rc != STEP_DONE)
		return rc;
	while (v->depth != 0) {
		struct phx_validate_frame *f = &v->frames[v->depth - 1];

		rc = phx_unlikely(f->leaves) ? walk_leaves(v, work, f) : walk_messages(v, work, f);
		if (rc == STEP_DONE)
			v->depth--;
		else if (rc != STEP_PUSHED)
			return rc;
	}
	return v->cursor == v->size ? 1 : bad(v, "bytes behind the message");
}

void phx_validate_start(struct phx_validate *v, const struct phx_schema *schema, uint32_t message,
	const void *base, uint32_t size, const struct phx_validate_limits *lim)
{
	// Not the frames: only those that are used get touched.
	v->error = NULL;
	v->schema = schema;
	v->base = base;
	v->size = size;
	v->cursor = 0;
	v->elements = 0;
	v->max_elements = lim->max_elements;
	v->part_left = 0;
	v->text = 0;
	v->state = STATE_START;
	v->depth = 0;
	v->frames[0].message = (uint16_t)message;
}

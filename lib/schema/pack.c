// SPDX-License-Identifier: BSD-3-Clause
// The packer: walks a message depth first with an explicit stack of open lists and copies
// each part behind the one before. References are rewritten in the private skeleton, after
// which the source's word is never looked at again. Works with image.c and schema.c.
#include "lib/schema/pack.h"

#include "lib/schema/image_priv.h"
#include "lib/schema/schema_priv.h"
#include "lib/schema/source.h"
#include "lib/schema/utf8.h"

#include <errno.h>

enum { CHECK_NONE, CHECK_WORDS, CHECK_TEXT, CHECK_BOOL };
enum { STEP_PENDING = 0, STEP_DONE = 1, STEP_PUSHED = 2 };

// Leaves up to this size are copied in one step, whatever work is left.
#define COPY_AT_ONCE 1024

static PHX_COLD int bad(struct phx_pack *p, const char *text)
{
	p->error = text;
	return -EPROTO;
}

static PHX_COLD int too_big(struct phx_pack *p, const char *text)
{
	p->error = text;
	return -E2BIG;
}

static PHX_COLD int no_room(struct phx_pack *p, int rc)
{
	p->error = rc == -E2BIG ? "too many blocks" : "out of blocks";
	return rc;
}

static PHX_ALWAYS_INLINE struct phx_pack_frame *frame_at(struct phx_pack *p, uint32_t i)
{
	if (phx_likely(i < PHX_PACK_EMBEDDED))
		return &p->frames[i];
	i -= PHX_PACK_EMBEDDED;
	return &p->chunks[i / PHX_PACK_CHUNK_FRAMES][i % PHX_PACK_CHUNK_FRAMES];
}

static PHX_COLD int add_chunk(struct phx_pack *p)
{
	p->chunks[p->chunk_count] = p->pool->get(p->pool, PHX_BLOCK_SMALL);
	if (p->chunks[p->chunk_count] == NULL)
		return no_room(p, -ENOMEM);
	p->chunk_count++;
	return 0;
}

// Open a list whose parts will be appended next.
static PHX_ALWAYS_INLINE int push(struct phx_pack *p, uint32_t message, uint32_t ref, bool leaves,
	uint32_t src, uint32_t count)
{
	struct phx_pack_frame *f;

	// A list of leaves is no message: it may stand one level deeper.
	if (phx_unlikely(p->depth >= PHX_LIMIT_NESTING_MAX + leaves))
		return bad(p, "nesting");
	if (phx_unlikely(p->depth >= PHX_PACK_EMBEDDED + p->chunk_count * PHX_PACK_CHUNK_FRAMES) &&
		add_chunk(p) != 0)
		return -ENOMEM;
	f = frame_at(p, p->depth++);
	f->pos = (uint32_t)p->out->total_len;
	f->skel = p->out->skeleton_len;
	f->src = src;
	f->count = count;
	f->i = 0;
	f->message = (uint16_t)message;
	f->ref = (uint16_t)ref;
	f->leaves = leaves;
	f->entered = false;
	return 0;
}

// Address of source offset off and, in *size, how much of it is contiguous (at most *size).
static PHX_ALWAYS_INLINE const uint8_t *source_at(
	const struct phx_pack *p, uint32_t off, uint32_t *size)
{
	uint32_t skel;

	if (phx_likely(p->from == NULL))
		return p->source->base + off;
	if (p->copy_fill)
		return p->fill->base + off;
	(void)phx_image_locate(p->from, off, &skel); // the caller knows that it is no hole
	if (p->from->block_count > 1)
		*size = phx_min(*size, PHX_BLOCK_LARGE - skel % PHX_BLOCK_LARGE);
	return phx_image_at(p->from, skel);
}

static int check_piece(struct phx_pack *p, const uint8_t *piece, uint32_t size)
{
	uint8_t all = 0;

	if (p->copy_check == CHECK_TEXT && !phx_utf8_feed(&p->text, piece, size))
		return bad(p, "utf-8");
	if (p->copy_check == CHECK_BOOL) {
		for (uint32_t i = 0; i < size; i++)
			all |= piece[i];
		if (all > 1)
			return bad(p, "bool not 0/1");
	}
	return 0;
}

// Copy as much of the current part as work allows. STEP_DONE, STEP_PENDING or an error.
static int copy_some(struct phx_pack *p, struct phx_work *work)
{
	struct phx_image *out = p->out;
	const uint8_t *src;
	uint8_t *dst;
	uint32_t n;
	int rc;

	while (p->copy_left != 0) {
		if (work->bytes <= 0)
			return STEP_PENDING;
		if (phx_image_room(out) == 0) {
			rc = phx_image_grow(out, p->copy_left, p->pool);
			if (rc != 0)
				return no_room(p, rc);
		}
		// Whole words except at the end, so that no word straddles two blocks.
		n = phx_min(p->copy_left, phx_image_room(out));
		if (n > work->bytes)
			n = (uint32_t)phx_min((uint64_t)n, phx_align_up((uint64_t)work->bytes, 8));
		src = source_at(p, p->copy_src, &n);
		dst = phx_image_at(out, out->skeleton_len);
		if (p->from != NULL && !p->copy_fill)
			memcpy(dst, src, n);
		else if (p->copy_check == CHECK_WORDS)
			phx_source_copy_words(dst, src, n);
		else
			phx_source_copy(dst, src, n);
		rc = check_piece(p, dst, n);
		if (rc != 0)
			return rc;
		p->copy_src += n;
		p->copy_left -= n;
		work->bytes -= n;
		for (; n % 8 != 0; n++)
			dst[n] = 0;
		out->skeleton_len += n;
	}
	return p->text == 0 ? STEP_DONE : bad(p, "utf-8");
}

// Append the part [src, src + size) of the source. STEP_DONE, STEP_PENDING or an error.
static int append(
	struct phx_pack *p, struct phx_work *work, uint32_t src, uint64_t size, unsigned check)
{
	uint64_t padded = phx_align_up(size, 8);
	struct phx_image *out = p->out;
	int rc;

	if (padded > p->max_bytes - out->total_len)
		return too_big(p, "message too large");
	out->total_len += padded;
	p->copy_src = src;
	p->copy_left = (uint32_t)size;
	p->copy_check = (uint8_t)check;
	p->text = 0;
	if ((out->small || out->block_count == 0) && padded > phx_image_room(out)) {
		rc = phx_image_grow(out, (uint32_t)padded, p->pool);
		if (rc != 0)
			return no_room(p, rc);
	}
	return copy_some(p, work);
}

// Leaves that are small and fit behind the skeleton, in one go.
static PHX_ALWAYS_INLINE int append_small(
	struct phx_pack *p, struct phx_work *work, uint32_t src, uint32_t size, bool text)
{
	struct phx_image *out = p->out;
	uint8_t *dst = phx_image_at(out, out->skeleton_len);
	uint32_t padded = (uint32_t)phx_align_up(size, 8);

	phx_le64_store(dst + padded - 8, 0); // the copy covers all but the padding
	phx_source_copy(dst, p->source->base + src, size);
	if (text && !phx_text_padded_ok(dst, size))
		return bad(p, "utf-8");
	out->skeleton_len += padded;
	out->total_len += padded;
	work->bytes -= padded;
	return STEP_DONE;
}

static int add_hole(struct phx_pack *p, uint32_t src, uint32_t size, bool text)
{
	struct phx_image *out = p->out;
	uint64_t padded = phx_align_up(size, 8);

	if (padded > p->max_bytes - out->total_len)
		return too_big(p, "message too large");
	if (out->holes == NULL) {
		out->holes = p->pool->get(p->pool, PHX_BLOCK_SMALL);
		if (out->holes == NULL)
			return no_room(p, -ENOMEM);
	}
	out->holes[out->hole_count++] = (struct phx_image_hole){
		.pos = (uint32_t)out->total_len,
		.src_off = src,
		.len = size,
		.check_utf8 = text,
	};
	out->total_len += padded;
	return STEP_DONE;
}

static bool inspected(const struct phx_pack *p, const struct phx_ref *r)
{
	return p->inspect != NULL && r->index < p->inspect->count &&
	       (p->inspect->bits[r->index / 64] >> (r->index % 64) & 1) != 0;
}

// A leaf or a list of scalars that is not small.
static PHX_NOINLINE int append_leaf(struct phx_pack *p, struct phx_work *work,
	const struct phx_ref *r, uint32_t src, uint64_t size)
{
	uint32_t hole;

	p->copy_fill = false;
	if (p->from != NULL) {
		if (!phx_image_locate(p->from, src, &hole)) {
			p->copy_fill = p->fill != NULL && inspected(p, r);
			src = p->from->holes[hole].src_off;
			if (!p->copy_fill)
				return add_hole(p, src, (uint32_t)size, r->text);
		}
	} else if (size > p->leaf_copy_bytes && !r->boolean &&
		   p->out->hole_count < PHX_LIMIT_GATHER_MAX && !inspected(p, r)) {
		return add_hole(p, src, (uint32_t)size, r->text);
	}
	return append(p, work, src, size,
		r->text	     ? CHECK_TEXT
		: r->boolean ? CHECK_BOOL
			     : CHECK_NONE);
}

static PHX_ALWAYS_INLINE bool in_source(struct phx_pack *p, uint64_t off, uint64_t size)
{
	if (phx_unlikely(p->from != NULL))
		return phx_range_ok(off, size, p->from->total_len);
	return phx_source_has(p->source, off, size, &p->region);
}

// Take over the reference in the private word at word, which stood at source offset src and
// stands at position pos. leaf: an element of a list of leaves. index: of r in its message.
static PHX_ALWAYS_INLINE int take_ref(struct phx_pack *p, struct phx_work *work,
	const struct phx_ref *r, uint32_t parent, uint32_t index, bool leaf, uint8_t *word,
	uint32_t src, uint32_t pos)
{
	uint64_t value = phx_le64_load(word);
	uint32_t count = (uint32_t)(value >> 32);
	int32_t rel = (int32_t)(uint32_t)value;
	uint64_t target = (uint64_t)((int64_t)src + rel);
	unsigned shape = leaf ? PHX_SHAPE_LEAF : r->shape;
	uint64_t size = leaf ? count : (uint64_t)count * r->size;
	int rc;

	if (value == 0)
		return STEP_DONE;
	if (phx_unlikely(count == 0)) {
		if (shape == PHX_SHAPE_MESSAGE)
			return bad(p, "reference to no message");
		phx_le64_store(word, 0);
		return STEP_DONE;
	}
	if (phx_unlikely(rel == 0 || rel % 8 != 0))
		return bad(p, "reference misaligned");
	if (phx_unlikely(!in_source(p, target, size)))
		return bad(p, "reference outside");
	phx_le64_store(word, (p->out->total_len - pos) | (uint64_t)count << 32);
	work->elements--;
	if (shape == PHX_SHAPE_LEAF || shape == PHX_SHAPE_SCALAR_LIST) {
		if (phx_unlikely(!leaf && p->elements++ >= p->max_elements))
			return too_big(p, "too many elements");
		if (phx_likely(size <= COPY_AT_ONCE && size <= p->leaf_copy_bytes && !r->boolean &&
			       p->from == NULL && phx_align_up(size, 8) <= phx_image_room(p->out) &&
			       phx_align_up(size, 8) <= p->max_bytes - p->out->total_len))
			return append_small(p, work, (uint32_t)target, (uint32_t)size, r->text);
		return append_leaf(p, work, r, (uint32_t)target, size);
	}
	if (shape == PHX_SHAPE_MESSAGE && count != 1)
		return bad(p, "reference to more than one message");
	if (count > p->max_elements - p->elements)
		return too_big(p, "too many elements");
	p->elements += count;
	p->copy_fill = false;
	if (shape == PHX_SHAPE_LEAF_LIST)
		rc = push(p, parent, index, true, (uint32_t)target, count);
	else
		rc = push(p, r->message, 0, false, (uint32_t)target, count);
	if (rc != 0)
		return rc;
	rc = append(p, work, (uint32_t)target, size, CHECK_WORDS);
	return rc == STEP_DONE ? STEP_PUSHED : rc;
}

// Masks and guards of one fixed part at skeleton offset off.
static int enter(
	struct phx_pack *p, struct phx_work *work, const struct phx_message *m, uint32_t off)
{
	const char *error;

	work->elements -= 1 + (m->ref_count + m->guard_count) / 16;
	if (m->legal_mask != NULL) {
		for (uint32_t i = 0; i < m->size / 8; i++) {
			uint64_t *word = (uint64_t *)phx_image_at(p->out, off + i * 8);
			uint64_t value = *word & m->value_mask[i];

			if (phx_unlikely((value & ~m->legal_mask[i]) != 0))
				return bad(p, "bool not 0/1 or unknown presence bit");
			*word = value;
		}
	}
	if (m->guard_count != 0) {
		error = phx_image_check_guards(p->out, m, off);
		if (error != NULL)
			return bad(p, error);
	}
	return 0;
}

// Go on with the open list of messages f. STEP_DONE: list finished.
static PHX_ALWAYS_INLINE int walk_messages(
	struct phx_pack *p, struct phx_work *work, struct phx_pack_frame *f)
{
	const struct phx_message *m = phx_schema_at(p->schema, f->message);
	int rc;

	for (; f->i < f->count; f->i++, f->entered = false) {
		uint32_t part = f->i * m->size;

		if (!f->entered) {
			if (work->elements <= 0)
				return STEP_PENDING;
			rc = enter(p, work, m, f->skel + part);
			if (rc != 0)
				return rc;
			f->entered = true;
			f->ref = 0;
		}
		while (f->ref < m->ref_count) {
			const struct phx_ref *r = &m->refs[f->ref];
			uint32_t off = part + r->offset;

			if (phx_unlikely(work->elements <= 0 || work->bytes <= 0))
				return STEP_PENDING;
			rc = take_ref(p, work, r, f->message, f->ref++, false,
				phx_image_at(p->out, f->skel + off), f->src + off, f->pos + off);
			if (rc != STEP_DONE)
				return rc;
		}
	}
	return STEP_DONE;
}

static int walk_leaves(struct phx_pack *p, struct phx_work *work, struct phx_pack_frame *f)
{
	const struct phx_ref *r = &phx_schema_at(p->schema, f->message)->refs[f->ref];
	int rc;

	while (f->i < f->count) {
		uint32_t off = f->i * 8;

		if (work->elements <= 0 || work->bytes <= 0)
			return STEP_PENDING;
		work->elements--;
		f->i++;
		rc = take_ref(p, work, r, 0, 0, true, phx_image_at(p->out, f->skel + off),
			f->src + off, f->pos + off);
		if (rc != STEP_DONE)
			return rc;
	}
	return STEP_DONE;
}

static int walk(struct phx_pack *p, struct phx_work *work)
{
	int rc;

	if (p->copy_left != 0) {
		rc = copy_some(p, work);
		if (rc != STEP_DONE)
			return rc;
	}
	while (p->depth != 0) {
		struct phx_pack_frame *f = frame_at(p, p->depth - 1u);

		rc = phx_unlikely(f->leaves) ? walk_leaves(p, work, f) : walk_messages(p, work, f);
		if (rc == STEP_DONE)
			p->depth--;
		else if (rc != STEP_PUSHED)
			return rc;
	}
	return STEP_DONE;
}

static int begin(struct phx_pack *p, struct phx_work *work)
{
	struct phx_pack_frame *root = &p->frames[0];
	uint32_t size = phx_schema_at(p->schema, root->message)->size;
	int rc;

	p->state = PHX_PACK_RUN;
	p->depth = 0;
	if (p->error != NULL)
		return -EPROTO;
	if (root->src % 8 != 0)
		return bad(p, "message misaligned");
	if (!in_source(p, root->src, size))
		return bad(p, "message outside");
	if (p->elements++ >= p->max_elements)
		return too_big(p, "too many elements");
	rc = push(p, root->message, 0, false, root->src, 1);
	return rc != 0 ? rc : append(p, work, root->src, size, CHECK_WORDS);
}

int phx_pack_run(struct phx_pack *p, struct phx_work *work)
{
	int rc;

	if (work->bytes <= 0 || work->elements <= 0)
		return 0;
	if (p->state == PHX_PACK_START) {
		rc = begin(p, work);
		if (rc == STEP_DONE)
			rc = walk(p, work);
	} else {
		rc = walk(p, work);
	}
	if (rc == STEP_PENDING || rc == STEP_PUSHED)
		return 0;
	if (phx_unlikely(p->chunk_count != 0))
		phx_pack_release_chunks(p);
	p->state = PHX_PACK_END;
	if (phx_unlikely(rc < 0))
		phx_image_release(p->out, p->pool);
	return rc;
}

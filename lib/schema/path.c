// SPDX-License-Identifier: BSD-3-Clause
// Field paths: compile, bind by number, read, rewrite. A path is walked without recursion:
// an index per list step. Works with image.c; the images it walks are checked ones.
#include "lib/schema/path.h"

#include "lib/schema/image_priv.h"
#include "lib/schema/schema_priv.h"
#include "lib/schema/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void set_step(const struct phx_schema *schema, const struct phx_message *m,
	const struct phx_field *f, struct phx_path *path)
{
	struct phx_path_step *s = &path->steps[path->step_count++];
	bool message = f->kind == PHX_KIND_MESSAGE;

	*s = (struct phx_path_step){
		.number = f->number,
		.offset = f->offset,
		.index = f->index,
		.size = message ? phx_schema_at(schema, f->message)->size : f->width,
		.bit = f->bit,
		.kind = f->kind,
		.flags = f->flags,
		.shape = f->shape,
		.width = f->width,
	};
	if ((f->flags & PHX_FIELD_PRESENCE) != 0)
		s->bit_word = (uint32_t)f->bit / 32 * 4;
	if ((f->flags & PHX_FIELD_ONEOF) != 0)
		s->bit_word = ((uint32_t)m->presence_words + f->bit) * 4;
	if ((f->flags & PHX_FIELD_REPEATED) != 0)
		path->repeated = true;
}

int phx_path_compile(
	const struct phx_schema *schema, uint32_t message, const char *text, struct phx_path *out)
{
	const struct phx_message *m = phx_schema_at(schema, message);
	struct phx_path path = {.root_size = m->size};
	const struct phx_field *f = NULL;
	char name[PHX_LIMIT_NAME_BYTES + 1];
	size_t len;

	for (;; text += len + 1) {
		len = strcspn(text, ".");
		if (len == 0 || len > PHX_LIMIT_NAME_BYTES || path.step_count == PHX_PATH_STEPS)
			return -EINVAL;
		if (f != NULL) {
			if (f->kind != PHX_KIND_MESSAGE)
				return -ENOTDIR;
			m = phx_schema_at(schema, f->message);
		}
		memcpy(name, text, len);
		name[len] = '\0';
		f = phx_message_field_named(m, name);
		if (f == NULL)
			return -ENOENT;
		set_step(schema, m, f, &path);
		if (text[len] == '\0')
			break;
	}
	*out = path;
	return 0;
}

int phx_path_rebind(const struct phx_path *path, const struct phx_schema *other, uint32_t message,
	struct phx_path *out)
{
	// How protobuf encodes a list does not change its type.
	const uint8_t flags = (uint8_t)~PHX_FIELD_PACKED;
	const struct phx_message *m = phx_schema_at(other, message);
	struct phx_path bound = {.root_size = m->size};

	for (uint32_t i = 0; i < path->step_count; i++) {
		const struct phx_path_step *s = &path->steps[i];
		const struct phx_field *f = phx_message_field(m, s->number);

		if (f == NULL)
			return -ENOENT;
		if (f->kind != s->kind || (f->flags & flags) != (s->flags & flags))
			return -EPROTO;
		set_step(other, m, f, &bound);
		m = phx_schema_at(other, f->message);
	}
	*out = bound;
	return 0;
}

int phx_path_compatible(
	const struct phx_path *path, const struct phx_schema *other, uint32_t message)
{
	struct phx_path bound;

	return phx_path_rebind(path, other, message, &bound);
}

struct phx_inspect *phx_inspect_create(const struct phx_schema *schema)
{
	uint32_t count = phx_schema_field_count(schema);
	struct phx_inspect *inspect;

	inspect = calloc(1, sizeof(*inspect) + (count / 64 + 1) * sizeof(uint64_t));
	if (inspect != NULL)
		inspect->count = count;
	return inspect;
}

void phx_inspect_free(struct phx_inspect *inspect)
{
	free(inspect);
}

void phx_inspect_add(struct phx_inspect *inspect, const struct phx_path *path)
{
	uint32_t index = path->steps[path->step_count - 1].index;

	if (index < inspect->count)
		inspect->bits[index / 64] |= UINT64_C(1) << (index % 64);
}

// The skeleton offset of a position that is known not to be in a hole. Fixed parts and
// lists of references never are.
static PHX_ALWAYS_INLINE uint32_t skel_of(const struct phx_image *image, uint64_t pos)
{
	uint32_t off = (uint32_t)pos;

	if (image->hole_count != 0)
		(void)phx_image_locate(image, pos, &off);
	return off;
}

// Is the field of step s in the fixed part at position part selected by its bit or case?
static bool selected(const struct phx_image *image, const struct phx_path_step *s, uint64_t part)
{
	uint32_t word;

	if ((s->flags & (PHX_FIELD_PRESENCE | PHX_FIELD_ONEOF)) == 0)
		return true;
	word = phx_image_get32(image, skel_of(image, part + s->bit_word));
	return (s->flags & PHX_FIELD_ONEOF) != 0 ? word == s->number : word >> (s->bit % 32) & 1;
}

// The reference at position pos: where it points and how many elements.
static uint32_t follow(const struct phx_image *image, uint64_t pos, uint64_t *out_target)
{
	uint64_t value = phx_image_get64(image, skel_of(image, pos));

	*out_target = pos + (uint32_t)value;
	return (uint32_t)(value >> 32);
}

static uint64_t load_scalar(
	const struct phx_image *image, unsigned kind, unsigned width, uint32_t off)
{
	const uint8_t *p = phx_image_at(image, off);

	switch (width) {
	case 1:
		return *p;
	case 8:
		return phx_le64_load(p);
	}
	switch (kind) {
	case PHX_KIND_INT32:
	case PHX_KIND_SINT32:
	case PHX_KIND_SFIXED32:
	case PHX_KIND_ENUM:
		return (uint64_t)(int64_t)(int32_t)phx_le32_load(p);
	}
	return phx_le32_load(p);
}

// The value at position pos: a scalar, or the reference of a leaf or message.
static int load_value(const struct phx_image *image, const struct phx_path_step *s, uint64_t pos,
	struct phx_path_value *out)
{
	uint32_t off;

	*out = (struct phx_path_value){.kind = s->kind};
	if (s->kind == PHX_KIND_MESSAGE)
		return 0;
	if (s->kind != PHX_KIND_STRING && s->kind != PHX_KIND_BYTES) {
		// A list of scalars may be a hole.
		if (!phx_image_locate(image, pos & ~UINT64_C(7), &off))
			return -ENODATA;
		out->bits = load_scalar(image, s->kind, s->width, off + (uint32_t)(pos & 7));
		return 0;
	}
	out->len = follow(image, pos, &out->pos);
	if (out->len == 0) {
		out->data = "";
		return 0;
	}
	if (!phx_image_locate(image, out->pos, &off))
		return -ENODATA;
	if (image->block_count <= 1 || off % PHX_BLOCK_LARGE + out->len <= PHX_BLOCK_LARGE)
		out->data = phx_image_at(image, off);
	return 0;
}

// One open step: the list (or single part) whose elements are visited.
struct level {
	uint64_t pos; // of element 0
	uint32_t count;
	uint32_t i;
};

// Open step s of the fixed part at part: its elements, 0 when absent.
static void open_step(const struct phx_image *image, const struct phx_path_step *s, uint64_t part,
	struct level *l)
{
	*l = (struct level){.pos = part + s->offset, .count = 1};
	if (!selected(image, s, part))
		l->count = 0;
	else if ((s->flags & PHX_FIELD_REPEATED) != 0 || s->kind == PHX_KIND_MESSAGE)
		l->count = follow(image, part + s->offset, &l->pos);
}

int phx_path_each(const struct phx_path *path, const struct phx_image *image, uint32_t budget,
	phx_path_fn fn, void *arg)
{
	struct level levels[PHX_PATH_STEPS];
	struct phx_path_value value;
	uint32_t depth = 1;
	int rc;

	open_step(image, &path->steps[0], 0, &levels[0]);
	while (depth != 0) {
		const struct phx_path_step *s = &path->steps[depth - 1];
		struct level *l = &levels[depth - 1];
		uint64_t pos;

		if (l->i == l->count) {
			depth--;
			continue;
		}
		if (budget-- == 0)
			return -E2BIG;
		pos = l->pos + (uint64_t)l->i++ * s->size;
		if (depth != path->step_count) {
			open_step(image, s + 1, pos, &levels[depth]);
			depth++;
			continue;
		}
		rc = load_value(image, s, pos, &value);
		if (rc == 0)
			rc = fn(arg, &value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int take_first(void *arg, const struct phx_path_value *value)
{
	*(struct phx_path_value *)arg = *value;
	return 1;
}

int phx_path_get(
	const struct phx_path *path, const struct phx_image *image, struct phx_path_value *out)
{
	return phx_path_each(path, image, PHX_LIMIT_WORK_ELEMENTS, take_first, out);
}

// Position of the fixed part that holds the last field of a path without lists.
static int find_place(
	const struct phx_image *image, const struct phx_path *path, uint64_t *out_part)
{
	const struct phx_path_step *last = &path->steps[path->step_count - 1];
	uint64_t part = 0;

	if (path->repeated)
		return -ENOTSUP;
	for (const struct phx_path_step *s = path->steps; s != last; s++)
		if (!selected(image, s, part) || follow(image, part + s->offset, &part) == 0)
			return -ENOENT;
	if ((last->flags & PHX_FIELD_ONEOF) != 0 && !selected(image, last, part))
		return -ENOENT;
	*out_part = part;
	return 0;
}

static void set_present(struct phx_image *image, const struct phx_path_step *s, uint64_t part)
{
	uint8_t *word;

	if ((s->flags & PHX_FIELD_PRESENCE) == 0)
		return;
	word = phx_image_at(image, skel_of(image, part + s->bit_word));
	phx_le32_store(word, phx_le32_load(word) | UINT32_C(1) << (s->bit % 32));
}

// Do bits stand for a value of this kind?
static bool scalar_fits(unsigned kind, unsigned width, uint64_t bits)
{
	switch (kind) {
	case PHX_KIND_STRING:
	case PHX_KIND_BYTES:
	case PHX_KIND_MESSAGE:
		return false;
	case PHX_KIND_BOOL:
		return bits <= 1;
	case PHX_KIND_INT32:
	case PHX_KIND_SINT32:
	case PHX_KIND_SFIXED32:
	case PHX_KIND_ENUM:
		return bits == (uint64_t)(int64_t)(int32_t)(uint32_t)bits;
	}
	return width == 8 || bits <= UINT32_MAX;
}

int phx_image_set_scalar(struct phx_image *image, const struct phx_path *path, uint64_t bits,
	struct phx_block_pool *pool)
{
	const struct phx_path_step *s = &path->steps[path->step_count - 1];
	uint64_t part;
	uint8_t *p;
	int rc;

	rc = find_place(image, path, &part);
	if (rc != 0)
		return rc;
	if (!scalar_fits(s->kind, s->width, bits))
		return -EINVAL;
	rc = phx_image_own(image, pool);
	if (rc != 0)
		return rc;
	p = phx_image_at(image, skel_of(image, part + s->offset));
	if (s->width == 8)
		phx_le64_store(p, bits);
	else if (s->width == 4)
		phx_le32_store(p, (uint32_t)bits);
	else
		*p = (uint8_t)bits;
	set_present(image, s, part);
	return 0;
}

// Append zero-padded bytes to the image. On failure the image is as before.
static int append(
	struct phx_image *image, const void *data, uint32_t len, struct phx_block_pool *pool)
{
	uint32_t old = image->skeleton_len, done = 0, n;
	uint64_t padded = phx_align_up(len, 8);
	int rc;

	if (padded > PHX_LIMIT_MESSAGE_BYTES_MAX - image->total_len)
		return -E2BIG;
	while (done < len) {
		n = phx_min(len - done, phx_image_room(image));
		if (n == 0) {
			rc = phx_image_grow(image, len - done, pool);
			if (rc != 0) {
				image->skeleton_len = old;
				return rc;
			}
			continue;
		}
		memcpy(phx_image_at(image, image->skeleton_len), (const uint8_t *)data + done, n);
		done += n;
		image->skeleton_len += n;
	}
	for (; image->skeleton_len % 8 != 0; image->skeleton_len++)
		*phx_image_at(image, image->skeleton_len) = 0;
	image->total_len += padded;
	return 0;
}

int phx_image_set_string(struct phx_image *image, const struct phx_path *path, const void *data,
	uint32_t len, struct phx_block_pool *pool)
{
	const struct phx_path_step *s = &path->steps[path->step_count - 1];
	uint64_t part, pos, value = 0;
	int rc;

	rc = find_place(image, path, &part);
	if (rc != 0)
		return rc;
	if (s->kind != PHX_KIND_STRING && s->kind != PHX_KIND_BYTES)
		return -EINVAL;
	if (s->kind == PHX_KIND_STRING && !phx_utf8_ok(data, len))
		return -EILSEQ;
	rc = phx_image_own(image, pool);
	if (rc != 0)
		return rc;
	pos = image->total_len;
	rc = append(image, data, len, pool);
	if (rc != 0)
		return rc;
	if (len != 0)
		value = (pos - (part + s->offset)) | (uint64_t)len << 32;
	phx_le64_store(phx_image_at(image, skel_of(image, part + s->offset)), value);
	set_present(image, s, part);
	image->dirty = true;
	return 0;
}

int phx_image_canonicalise(const struct phx_image *image, const struct phx_schema *schema,
	uint32_t message, struct phx_block_pool *pool, struct phx_image *out)
{
	static const struct phx_pack_limits limits = {
		.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
		.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX,
		.leaf_copy_bytes = UINT32_MAX,
	};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_pack pack;
	int rc;

	phx_pack_start_image(&pack, schema, message, image, pool, &limits, out);
	rc = phx_pack_run(&pack, &work);
	return rc == 1 ? 0 : rc;
}

// SPDX-License-Identifier: BSD-3-Clause
// The string-aware brace counter behind frame.h.
#include "lib/ctl/frame.h"

#include <errno.h>

void phx_ctl_frame_init(struct phx_ctl_frame *f, struct phx_ctl_frame_limits limits)
{
	*f = (struct phx_ctl_frame){.limits = limits};
}

static bool frame_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool frame_value_ok(struct phx_ctl_frame *f)
{
	return ++f->values <= f->limits.values;
}

static void frame_string(struct phx_ctl_frame *f, char c)
{
	if (f->escaped)
		f->escaped = false;
	else if (c == '\\')
		f->escaped = true;
	else if (c == '"')
		f->in_string = false;
}

// One byte outside of a string. 0: the text is complete; -EAGAIN: go on; -E2BIG.
static int frame_byte(struct phx_ctl_frame *f, char c)
{
	bool scalar = false;

	switch (c) {
	case '{':
	case '[':
		if (!frame_value_ok(f) || ++f->depth > f->limits.depth)
			return -E2BIG;
		break;
	case '}':
	case ']':
		f->depth--;
		break;
	case '"':
		if (!frame_value_ok(f))
			return -E2BIG;
		f->in_string = true;
		break;
	case ',':
	case ':':
		break;
	default:
		scalar = !frame_space(c);
		if (scalar && !f->in_scalar && !frame_value_ok(f))
			return -E2BIG;
		break;
	}
	f->in_scalar = scalar;
	return f->depth == 0 ? 0 : -EAGAIN;
}

int phx_ctl_frame_scan(struct phx_ctl_frame *f, const char *buf, size_t len)
{
	while (!f->started) {
		if (f->pos == len)
			return -EAGAIN;
		if (!frame_space(buf[f->pos])) {
			if (buf[f->pos] != '{' && buf[f->pos] != '[')
				return -EPROTO;
			f->started = true;
			f->begin = f->pos;
			break;
		}
		f->pos++;
	}
	while (f->pos < len) {
		char c = buf[f->pos];

		if (f->pos - f->begin == f->limits.bytes)
			return -EMSGSIZE;
		f->pos++;
		if (f->in_string) {
			frame_string(f, c);
			continue;
		}
		int rc = frame_byte(f, c);
		if (rc != -EAGAIN)
			return rc;
	}
	return -EAGAIN;
}

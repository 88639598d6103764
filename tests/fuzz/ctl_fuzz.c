// SPDX-License-Identifier: BSD-3-Clause
// What stands on a control socket: framing in pieces finds the same texts as framing of the whole,
// limits hold before the parser sees anything, requests and their parameters are checked or refused
// with an error that prints, and documents print canonically. Input: 4 bytes of settings, a stream.
#include "lib/ctl/document.h"
#include "lib/ctl/frame.h"
#include "lib/ctl/message.h"
#include "lib/ctl/method.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(struct phx_ctl_error *e)
{
	json_t *json = phx_ctl_error_json(e);
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

	if (text == NULL)
		abort();
	free(text);
	json_decref(json);
	phx_ctl_error_fini(e);
	memset(e, 0, sizeof(*e));
}

static uint32_t depth_of(json_t *json)
{
	uint32_t deepest = 0;
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(json)) {
		json_object_foreach(json, key, value) deepest =
			deepest > depth_of(value) ? deepest : depth_of(value);
		return deepest + 1;
	}
	if (!json_is_array(json))
		return 0;
	json_array_foreach(json, i, value) deepest =
		deepest > depth_of(value) ? deepest : depth_of(value);
	return deepest + 1;
}

static void check_document(json_t *json)
{
	struct phx_ctl_error e = {0};
	struct phx_ctl_document *d, *again;
	char *text, *second;
	json_t *copy;

	if (phx_ctl_document_parse(json, "", &d, &e) != 0) {
		check_error(&e);
		return;
	}
	text = phx_ctl_document_text(d);
	copy = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (copy == NULL || phx_ctl_document_parse(copy, "", &again, &e) != 0)
		abort();
	second = phx_ctl_document_text(again);
	if (strcmp(text, second) != 0)
		abort();
	free(text);
	free(second);
	json_decref(copy);
	phx_ctl_document_destroy(again);
	phx_ctl_document_destroy(d);
}

static void check_request(json_t *message, unsigned pick)
{
	struct phx_ctl_request request = {0};
	struct phx_ctl_error e = {0};
	const struct phx_ctl_method *m;

	if (phx_ctl_request_check(message, &request, &e) != 0) {
		check_error(&e);
	} else {
		m = phx_ctl_method_find(request.method);
		if (m == NULL)
			m = phx_ctl_method_at(pick % phx_ctl_method_count());
		if (phx_ctl_method_validate(m, request.params, &e) != 0)
			check_error(&e);
	}
	phx_ctl_request_fini(&request);
	if (!json_is_object(message))
		return;
	m = phx_ctl_method_at(pick % phx_ctl_method_count());
	if (phx_ctl_method_validate(m, message, &e) != 0)
		check_error(&e);
	check_document(message);
}

static void check_text(const char *text, size_t len, unsigned pick)
{
	struct phx_ctl_error e = {0};
	json_t *message;

	if (phx_ctl_message_parse(text, len, &message, &e) != 0) {
		check_error(&e);
		return;
	}
	if (depth_of(message) > PHX_LIMIT_JSON_DEPTH)
		abort();
	check_request(message, pick);
	json_decref(message);
}

// Frame the stream in pieces of `piece` bytes; each text is checked against framing it alone.
static void frame_all(const char *buf, size_t len, size_t piece, unsigned pick)
{
	struct phx_ctl_frame f, whole;
	size_t have = 0, at = 0;
	int rc;

	phx_ctl_frame_init(&f, PHX_CTL_FRAME_REQUEST);
	while (at < len) {
		have = have + piece > len - at ? len - at : have + piece;
		rc = phx_ctl_frame_scan(&f, buf + at, have);
		if (rc == -EAGAIN && have < len - at)
			continue;
		if (rc != 0)
			return;
		phx_ctl_frame_init(&whole, PHX_CTL_FRAME_REQUEST);
		if (phx_ctl_frame_scan(&whole, buf + at, len - at) != 0 || whole.pos != f.pos ||
			whole.begin != f.begin || f.pos > have || f.begin >= f.pos)
			abort();
		check_text(buf + at + f.begin, f.pos - f.begin, pick);
		at += f.pos;
		have = 0;
		phx_ctl_frame_init(&f, PHX_CTL_FRAME_REQUEST);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size < 4)
		return 0;
	copy = malloc(size);
	memcpy(copy, data + 4, size - 4);
	frame_all(copy, size - 4, 1 + data[0], data[1]);
	free(copy);
	return 0;
}

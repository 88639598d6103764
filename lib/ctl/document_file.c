// SPDX-License-Identifier: BSD-3-Clause
// Documents in files and requests: read within the limits of a request, and what fits into them.
// Works with frame.c and message.c.
#include "lib/ctl/document.h"
#include "lib/ctl/frame.h"
#include "lib/ctl/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Of a request that carries a document: its method, id and other parameters.
#define AROUND_BYTES  4096
#define AROUND_VALUES 64

// The whole file, at most as long as a request. 0 or -errno.
static int read_file(const char *path, char **out_text, size_t *out_len)
{
	size_t size = PHX_LIMIT_JSON_IN_BYTES + 1, len = 0;
	char *text = malloc(size);
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
	ssize_t n = 1;

	if (text == NULL)
		rc = -ENOMEM;
	while (rc == 0 && n > 0 && len < size) {
		n = read(fd, text + len, size - len);
		if (n < 0 && errno != EINTR)
			rc = -errno;
		len += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	if (rc == 0 && len == size)
		rc = -E2BIG;
	if (fd >= 0)
		close(fd);
	if (rc != 0) {
		free(text);
		return rc;
	}
	*out_text = text;
	*out_len = len;
	return 0;
}

// Count depth and values before parsing, as for requests. A file is one text and nothing else.
static int parse(const char *text, size_t len, json_t **out_json, struct phx_ctl_error *e)
{
	struct phx_ctl_frame frame;
	size_t rest;

	phx_ctl_frame_init(&frame, PHX_CTL_FRAME_REQUEST);
	if (phx_ctl_frame_scan(&frame, text, len) != 0)
		return phx_ctl_error_set(e, PHX_CTL_PARSE, "not one JSON object within the limits");
	for (rest = frame.pos; rest < len; rest++) {
		if (strchr(" \t\r\n", text[rest]) == NULL || text[rest] == '\0')
			return phx_ctl_error_set(e, PHX_CTL_PARSE, "text behind the document");
	}
	// From the beginning, so that lines are counted as an editor counts them.
	return phx_ctl_message_parse(text, frame.pos, out_json, e);
}

int phx_ctl_document_read(const char *path, json_t **out_json, struct phx_ctl_error *e)
{
	char *text = NULL;
	size_t len = 0;
	int rc = read_file(path, &text, &len);

	if (rc != 0) {
		(void)phx_ctl_error_set(e,
			rc == -ENOENT	? PHX_NOT_FOUND
			: rc == -ENOMEM ? PHX_INTERNAL
					: PHX_FAILED_PRECONDITION,
			"%s", rc == -E2BIG ? "larger than a request may be" : strerror(-rc));
		return rc;
	}
	rc = parse(text, len, out_json, e);
	free(text);
	return rc;
}

int phx_ctl_document_fits(json_t *json, struct phx_ctl_error *e)
{
	struct phx_ctl_frame_limits limits = PHX_CTL_FRAME_REQUEST;
	size_t len = json_dumpb(json, NULL, 0, JSON_INDENT(2));
	char *text = len != 0 ? malloc(len) : NULL;
	struct phx_ctl_frame frame;

	if (text == NULL || json_dumpb(json, text, len, JSON_INDENT(2)) != len) {
		free(text);
		(void)phx_ctl_error_set(e, PHX_INTERNAL, "out of memory");
		return -ENOMEM;
	}
	limits.bytes -= AROUND_BYTES;
	limits.values -= AROUND_VALUES;
	phx_ctl_frame_init(&frame, limits); // counts as whoever reads it will
	int rc = phx_ctl_frame_scan(&frame, text, len);

	free(text);
	if (rc == 0)
		return 0;
	if (len > limits.bytes)
		(void)phx_ctl_error_set(e, PHX_RESOURCE_EXHAUSTED,
			"the whole document would have %zu bytes, of %zu at most", len,
			limits.bytes);
	else
		(void)phx_ctl_error_set(e, PHX_RESOURCE_EXHAUSTED,
			"the whole document would have more than %u values", limits.values);
	phx_ctl_error_add(
		e, "limit", json_string(len > limits.bytes ? "JSON_IN_BYTES" : "JSON_VALUES"));
	phx_ctl_error_add(e, "hint",
		json_string("remove what is not needed, or write fewer rules with wider patterns"));
	return -EINVAL;
}

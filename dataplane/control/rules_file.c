// SPDX-License-Identifier: BSD-3-Clause
// Converts documents to rules and reads them from files; works with lib/ctl/document and
// frontend/rules.
#include "dataplane/control/rules_file.h"

#include "lib/base/log.h"
#include "lib/ctl/frame.h"
#include "lib/ctl/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// strdup of text or NULL; *ok turns false when out of memory.
static char *copy(const char *text, bool *ok)
{
	char *s;

	if (text == NULL)
		return NULL;
	s = strdup(text);
	if (s == NULL)
		*ok = false;
	return s;
}

static enum rules_action action_of(enum phx_ctl_action_kind action)
{
	switch (action) {
	case PHX_CTL_ALLOW:
		return RULES_ALLOW;
	case PHX_CTL_OWNER:
		return RULES_OWNER;
	case PHX_CTL_DENY:
		break;
	}
	return RULES_DENY;
}

static void copy_attach(const struct phx_ctl_attach_rule *from, struct rules_attach *to, bool *ok)
{
	size_t i;

	to->name = copy(from->name, ok);
	to->action = action_of(from->action);
	to->uid = from->uid;
	to->gid = from->gid;
	to->app = copy(from->app, ok);
	to->labels = calloc(from->label_count + 1, sizeof(*to->labels));
	if (to->labels == NULL) {
		*ok = false;
		return;
	}
	to->label_count = from->label_count;
	for (i = 0; i < from->label_count; i++) {
		to->labels[i].key = copy(from->labels[i].key, ok);
		to->labels[i].value = copy(from->labels[i].value, ok);
	}
}

int rules_set_from_document(const struct phx_ctl_document *document, struct rules_set **out_set)
{
	struct rules_set *set = rules_set_create(document->attach_count, document->register_count);
	bool ok = set != NULL;
	size_t i;

	if (set == NULL)
		return -ENOMEM;
	set->generation = document->generation;
	for (i = 0; i < document->attach_count; i++)
		copy_attach(&document->attach[i], &set->attach[i], &ok);
	for (i = 0; i < document->register_count; i++) {
		const struct phx_ctl_register_rule *from = &document->registers[i];

		set->registers[i] = (struct rules_register){
			.name = copy(from->name, &ok),
			.action = action_of(from->action),
			.service = copy(from->service, &ok),
			.group = copy(from->group, &ok),
			.uid = from->uid,
			.gid = from->gid,
		};
	}
	if (!ok) {
		rules_set_destroy(set);
		return -ENOMEM;
	}
	*out_set = set;
	return 0;
}

// The whole file, at most as long as a request. 0 or -errno.
static int read_file(const char *name, char **out_text, size_t *out_len)
{
	size_t size = PHX_LIMIT_JSON_IN_BYTES + 1, len = 0;
	char *text = malloc(size);
	int fd = open(name, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -errno : 0;
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
	return phx_ctl_message_parse(text + frame.begin, frame.pos - frame.begin, out_json, e);
}

int rules_file_load(const char *name, uint32_t uid, struct phx_ctl_document **out_document)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *json = NULL;
	char *text = NULL;
	size_t len;
	int rc;

	if (strcmp(name, "default") == 0) {
		json = phx_ctl_document_self_default(uid);
		rc = json == NULL ? -ENOMEM : 0;
	} else {
		rc = read_file(name, &text, &len);
		if (rc == 0)
			rc = parse(text, len, &json, &e);
	}
	if (rc == 0)
		rc = phx_ctl_document_parse(json, "", out_document, &e);
	if (rc != 0)
		phx_log_err("rules", "%s: %s", name, e.code != 0 ? e.text : strerrorname_np(-rc));
	json_decref(json);
	free(text);
	phx_ctl_error_fini(&e);
	return rc;
}

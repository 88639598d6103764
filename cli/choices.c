// SPDX-License-Identifier: BSD-3-Clause
// The list behind choices.h.
#include "cli/choices.h"

#include <stdlib.h>
#include <string.h>

void choices_fini(struct choices *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->items[i].word);
	free(c->items);
	*c = CHOICES_INIT;
}

void choices_add(struct choices *c, const char *word, const char *hint, const char *help)
{
	struct choice *items;
	char *copy;

	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].word, word) == 0)
			return;
	if (c->count == CHOICES_MAX)
		return;
	items = realloc(c->items, (c->count + 1) * sizeof(*items));
	if (items == NULL)
		return;
	c->items = items;
	copy = strdup(word);
	if (copy != NULL)
		items[c->count++] = (struct choice){copy, hint, help};
}

size_t choices_common(const struct choices *c)
{
	size_t len = c->count > 0 ? strlen(c->items[0].word) : 0;

	for (size_t i = 1; i < c->count; i++) {
		size_t same = 0;

		while (same < len && c->items[i].word[same] == c->items[0].word[same])
			same++;
		len = same;
	}
	return len;
}

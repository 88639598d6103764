// SPDX-License-Identifier: BSD-3-Clause
// Connections that live for one request, for aside.h. Works with dial.c.
#include "controlplane/aside.h"

#include "controlplane/dial.h"

#include <errno.h>
#include <stdlib.h>

struct aside {
	struct phx_list node;
	struct asides *asides;
	struct phx_ctl_client *client;
	struct loop_source source;
	phx_ctl_done_fn done;
	void *arg;
	bool over;
};

void asides_init(struct asides *a, struct loop *loop, const char *path)
{
	*a = (struct asides){.loop = loop, .path = path};
	phx_list_init(&a->all);
}

static void aside_free(struct aside *one)
{
	loop_del(one->asides->loop, &one->source);
	phx_list_del(&one->node);
	one->asides->count--;
	phx_ctl_client_destroy(one->client); // answers what is under way
	free(one);
}

void asides_fini(struct asides *a)
{
	struct phx_list *n;

	while ((n = phx_list_first(&a->all)) != NULL)
		aside_free(phx_list_entry(n, struct aside, node));
}

static void answered(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct aside *one = arg;

	one->over = true;
	one->done(one->arg, result, e);
}

static void client_ready(void *arg)
{
	struct aside *one = arg;

	if (phx_ctl_client_process(one->client) != 0 || one->over)
		aside_free(one);
}

int asides_request(struct asides *a, const char *method, json_t *params, uint64_t timeout_ns,
	phx_ctl_done_fn done, void *arg)
{
	struct aside *one = a->count < ASIDES_MAX ? calloc(1, sizeof(*one)) : NULL;
	int rc;

	if (one == NULL)
		return a->count < ASIDES_MAX ? -ENOMEM : -EBUSY;
	*one = (struct aside){.asides = a, .done = done, .arg = arg};
	rc = dial_dataplane(a->path, &one->client);
	if (rc != 0)
		goto free_one;
	one->source = (struct loop_source){
		.fd = phx_ctl_client_fd(one->client), .fn = client_ready, .arg = one};
	rc = loop_add(a->loop, &one->source);
	if (rc != 0)
		goto destroy_client;
	rc = phx_ctl_client_send(one->client, method, params, timeout_ns, answered, one);
	if (rc != 0)
		goto del_source;
	phx_list_add_tail(&a->all, &one->node);
	a->count++;
	return 0;
del_source:
	loop_del(a->loop, &one->source);
destroy_client:
	phx_ctl_client_destroy(one->client);
free_one:
	free(one);
	return rc;
}

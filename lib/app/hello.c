// SPDX-License-Identifier: BSD-3-Clause
// The hello on app.sock: versions, regions, the first queue. Part of phx_attach().
#include "lib/app/attach.h"
#include "lib/app/queue.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <stdio.h>

enum hello_fd {
	HELLO_FD_APP_QUEUE,
	HELLO_FD_DP_QUEUE,
	HELLO_FD_SEND_HEAP,
	HELLO_FD_RECV_HEAP,
	HELLO_FD_DOORBELL,
	HELLO_FD_COUNT,
};

static void hello_fill(struct phx_attach_hello_req *req, const struct phx_attach_options *options)
{
	const char *name = options->name != NULL ? options->name : program_invocation_short_name;

	*req = (struct phx_attach_hello_req){
		.hello = {.magic = PHX_ATTACH_MAGIC, .min = PHX_ATTACH_MIN, .max = PHX_ATTACH_MAX},
		.queue = {.sub_slots = options->sub_slots,
			.ret_slots = options->ret_slots,
			.comp_slots = options->comp_slots},
		.send_quota = options->send_quota,
		.recv_quota = options->recv_quota,
	};
	(void)snprintf(req->name, sizeof(req->name), "%s", name); // a claim, cut off when long
	(void)snprintf(req->library, sizeof(req->library), "%s", PHX_VERSION);
}

// Turn a refusal of the hello into a status. -EAGAIN: worth another try.
static int hello_refused(const struct phx_attach_refused *r, struct phx_status *status)
{
	phx_context_refusal_status(r, status);
	if (r->reason == PHX_REASON_HELLO_VERSION) {
		phx_status_fill(status, PHX_FAILED_PRECONDITION, PHX_ORIGIN_LOCAL_DATAPLANE,
			PHX_EXECUTED_NO, PHX_REASON_HELLO_VERSION,
			"attach versions do not meet: library %d..%d, dataplane %d..%d",
			PHX_ATTACH_MIN, PHX_ATTACH_MAX, r->min, r->max);
		return -EPROTO;
	}
	if (r->code == PHX_UNAVAILABLE)
		return -EAGAIN;
	return phx_context_refusal_errno(r->code);
}

static int hello_nonsense(struct phx_status *status, const char *text)
{
	phx_status_fill(status, PHX_INTERNAL, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
		PHX_REASON_INTERNAL, "bad answer of the dataplane: %s", text);
	return -EPROTO;
}

static const char *hello_check(const struct phx_attach_hello_rep *rep)
{
	if (rep->hello.magic != PHX_ATTACH_MAGIC || rep->hello.min != rep->hello.max ||
		rep->hello.min < PHX_ATTACH_MIN || rep->hello.max > PHX_ATTACH_MAX)
		return "version that was not offered";
	if (rep->queue.index != 0)
		return "first queue is not queue 0";
	if (rep->send_heap.object != 0 || rep->recv_heap.object != 1 ||
		rep->send_heap.kind != PHX_REGION_HEAP || rep->recv_heap.kind != PHX_REGION_HEAP)
		return "heap region of the wrong kind";
	return phx_queue_check(&rep->queue);
}

static int hello_map(struct phx_session *s, const struct phx_attach_hello_rep *rep,
	const struct phx_attach_answer *answer, struct phx_status *status)
{
	const struct {
		struct phx_space *space;
		enum hello_fd fd;
		uint32_t off, size;
	} maps[] = {
		{&s->send, HELLO_FD_APP_QUEUE, rep->queue.app_offset, rep->queue.app_size},
		{&s->recv, HELLO_FD_DP_QUEUE, rep->queue.dp_offset, rep->queue.dp_size},
		{&s->send, HELLO_FD_SEND_HEAP, rep->send_heap.offset, rep->send_heap.size},
		{&s->recv, HELLO_FD_RECV_HEAP, rep->recv_heap.offset, rep->recv_heap.size},
	};
	int rc;

	rc = phx_space_init(&s->send, rep->send_quota, true);
	if (rc == 0)
		rc = phx_space_init(&s->recv, rep->recv_quota, false);
	if (rc == -EINVAL)
		return hello_nonsense(status, "address space of a size that cannot be");
	if (rc) {
		phx_status_fill(status, PHX_RESOURCE_EXHAUSTED, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			PHX_REASON_NO_MEMORY, "no address space for the session");
		return rc;
	}
	for (size_t i = 0; i < PHX_ARRAY_LEN(maps); i++) {
		const char *text;

		rc = phx_space_map(
			maps[i].space, answer->fds[maps[i].fd], maps[i].off, maps[i].size, &text);
		if (rc == -ENOMEM)
			return rc;
		if (rc)
			return hello_nonsense(status, text);
	}
	return 0;
}

static int hello_heap(struct phx_session *s, const struct phx_attach_hello_rep *rep)
{
	int rc;

	phx_lock_take(&s->heap_lock);
	rc = phx_heap_create(&s->heap);
	if (rc == 0)
		rc = phx_heap_add_region(s->heap, rep->send_heap.offset, rep->send_heap.size);
	phx_lock_give(&s->heap_lock);
	return rc;
}

// Tell the dataplane which regions are mapped: the queue is the first region of both objects.
static int hello_mapped(
	struct phx_session *s, const struct phx_attach_hello_rep *rep, struct phx_status *status)
{
	const struct {
		uint32_t object, index;
	} regions[] = {{0, 0}, {1, 0}, {0, rep->send_heap.index}, {1, rep->recv_heap.index}};

	for (size_t i = 0; i < PHX_ARRAY_LEN(regions); i++) {
		int rc = phx_session_mapped(s, regions[i].object, regions[i].index, status);

		if (rc)
			return rc;
	}
	return 0;
}

static int hello_accept(struct phx_session *s, struct phx_attach_answer *answer,
	struct phx_attach_queue *out_queue, struct phx_status *status)
{
	const struct phx_attach_hello_rep rep =
		*(const struct phx_attach_hello_rep *)(const void *)answer->h;
	const char *text = hello_check(&rep);
	int rc;

	if (text != NULL)
		return hello_nonsense(status, text);
	rc = hello_map(s, &rep, answer, status);
	if (rc)
		return rc;
	s->doorbell = answer->fds[HELLO_FD_DOORBELL];
	answer->fds[HELLO_FD_DOORBELL] = -1;
	s->app_id = rep.app_id;
	s->max_message = rep.max_message;
	s->features = rep.hello.features;
	rc = hello_heap(s, &rep);
	if (rc) {
		phx_status_fill(status, PHX_RESOURCE_EXHAUSTED, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			PHX_REASON_NO_MEMORY, "no memory for the session");
		return rc;
	}
	*out_queue = rep.queue;
	return hello_mapped(s, &rep, status);
}

int phx_hello(struct phx_session *s, const struct phx_attach_options *options, uint64_t deadline_ns,
	struct phx_attach_queue *out_queue, struct phx_status *status)
{
	struct phx_attach_hello_req req;
	struct phx_attach_request request = {
		.h = &req.h,
		.size = sizeof(req),
		.type = PHX_ATTACH_HELLO,
		.answer_size = sizeof(struct phx_attach_hello_rep),
		.answer_fds = HELLO_FD_COUNT,
	};
	struct phx_attach_answer answer;
	int rc;

	hello_fill(&req, options);
	rc = phx_attach_client_request(&s->client, &request, deadline_ns, &answer);
	if (rc == -EREMOTEIO)
		return hello_refused(phx_attach_refused_of(answer.h), status);
	if (rc == -EPROTO)
		return hello_nonsense(status, "packet of the wrong size or without descriptors");
	if (rc) {
		phx_status_fill(status, PHX_UNAVAILABLE, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
			PHX_REASON_DATAPLANE_GONE, "the dataplane does not answer the hello");
		return rc;
	}
	rc = hello_accept(s, &answer, out_queue, status);
	phx_attach_answer_fini(&answer);
	return rc;
}

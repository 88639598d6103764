// SPDX-License-Identifier: BSD-3-Clause
// The dataplane's side of the rig: see rig.h.
#include "tests/conformance/rig.h"

#include "tests/conformance/rig_priv.h"
#include "tests/unit/lib/schema/build.h"

#include <rte_rcu_qsbr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static const struct t_message the_messages[] = {
	[RIG_REQ] = {"t.Req", 0,
		{
			{"name", 1, PHX_KIND_STRING, 0, 0, 0},
			{"amount", 2, PHX_KIND_UINT64, 0, 0, 0},
			{"body", 3, PHX_KIND_BYTES, 0, 0, 0},
		}},
	[RIG_REP] = {"t.Rep", 0,
		{
			{"text", 1, PHX_KIND_STRING, 0, 0, 0},
			{"body", 2, PHX_KIND_BYTES, 0, 0, 0},
		}},
	{NULL},
};
const struct t_message *const rig_messages = the_messages;
static const struct t_service services[] = {
	{"t.Svc", {{"Echo", RIG_REQ, RIG_REP, 0}}},
	{NULL},
};

static struct phx_schema *schema_make(const struct t_message *messages)
{
	struct phx_schema *schema = NULL;
	size_t size;
	uint8_t *table = t_table(messages, services, &size);

	assert_int_equal(phx_schema_bind(table, size, &schema, NULL), 0);
	free(table);
	return schema;
}

static void app_failed(void *ctl, enum phx_reason reason, const char *text)
{
	struct rig_app *app = ctl;

	(void)reason;
	app->failed = text;
}

static void app_wants_region(void *ctl, uint64_t size)
{
	(void)ctl; // it has what it gets
	(void)size;
}

static void app_start(struct rig *rig, struct rig_app *app, uint64_t id)
{
	const struct chain_label label = {"tier", "test"};
	const struct chain_session who = {.app = id,
		.uid = 1000,
		.gid = 1000,
		.name = "rig",
		.labels = &label,
		.label_count = 1};
	struct session_config config = {
		.id = id,
		.recv_quota = RIG_HEAP,
		.max_message = RIG_HEAP,
		.snapshot_quota = RIG_HEAP,
		.ctl = app,
		.failed = app_failed,
		.want_region = app_wants_region,
	};
	const struct session_queue_config queue = {
		.sub_slots = RIG_SLOTS,
		.ret_slots = RIG_SLOTS,
		.comp_slots = 2 * RIG_SLOTS,
		.call_slots = RIG_CALLS,
		.app_offset = RIG_QUEUE_AT,
		.dp_offset = RIG_QUEUE_AT,
	};

	rig_app_init(app, rig);
	config.app_base = app->app;
	config.dp_base = app->dp;
	config.doorbell_fd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(chain_session_add(rig->host, &who, &config.chain_slot), 0);
	assert_int_equal(session_create(&config, &app->session), 0);
	assert_int_equal(session_start(app->session, rig->worker), 0);
	assert_int_equal(session_queue_add(app->session, &queue), 0);
	assert_int_equal(session_send_region_add(app->session, RIG_HEAP_AT, RIG_HEAP), 0);
	assert_int_equal(session_recv_region_add(app->session, RIG_HEAP_AT, RIG_HEAP), 0);
}

static void app_schema(struct rig *rig, struct rig_app *app, const struct t_message *messages)
{
	struct phx_schema *schema = schema_make(messages);
	uint32_t handle;

	assert_int_equal(session_schema_add(app->session, schema, &handle), 0);
	assert_int_equal(handle, 0);
	assert_int_equal(
		chain_session_schema(rig->host, app->session->config.chain_slot, schema), 0);
}

void rig_connect(struct rig *rig)
{
	struct link_config config = {.id = 1, .local = true, .trace = true, .peer_name = "local"};
	struct conn *ends[2];

	assert_int_equal(local_conn_pair(PHX_LANE_SMALL, ends), 0);
	for (int i = 0; i < 2; i++) {
		config.client = i == 0;
		config.lane[0] = config.lane[1] = ends[i];
		assert_int_equal(link_open(rig->worker, &config, &rig->links[i]), 0);
	}
}

static void serve(struct rig *rig)
{
	struct session *s = rig->server.session;
	struct service_instance instance = {.session = s, .worker = 0};
	uint32_t handle, channel, binding;

	assert_int_equal(session_register(s, 0, 0, 0, &instance.handle), 0);
	instance.schema = s->schemas[0];
	instance.hash = phx_schema_service_hash(s->schemas[0], 0);
	assert_int_equal(registry_add(rig->registry, "g", "t.Svc", 1000, &instance), 0);
	s = rig->client.session;
	assert_int_equal(session_channel_open(s, "g", 0, &channel), 0);
	assert_int_equal(session_bind(s, channel, 0, 0, &binding), 0);
	(void)handle;
	assert_int_equal(channel | binding, 0);
}

// Workers to control.
static void rig_post(void *arg, struct cmd *cmd, void (*fn)(struct worker *worker, struct cmd *cmd))
{
	struct rig *rig = arg;

	cmd->fn = fn;
	cmdq_push(&rig->control, cmd);
}

struct rig *rig_create_as(const struct t_message *client, const struct t_message *server)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	size_t size = phx_align_up(rte_rcu_qsbr_get_memsize(1), 64);
	struct policyhost_config config;

	assert_non_null(rig);
	rig->qsbr = aligned_alloc(64, size);
	assert_int_equal(rte_rcu_qsbr_init(rig->qsbr, 1), 0);
	assert_int_equal(worker_create(0, 0, false, rig->qsbr, &rig->worker), 0);
	rig->now = rig->worker->now_ns;
	assert_int_equal(registry_create(NULL, &rig->registry), 0);
	rig->worker->services = registry_slot(rig->registry);
	config = (struct policyhost_config){.qsbr = rig->qsbr,
		.workers = &rig->worker,
		.worker_count = 1,
		.post = rig_post,
		.post_arg = rig};
	assert_int_equal(cmdq_init(&rig->control), 0);
	assert_int_equal(policyhost_create(&config, &rig->host), 0);
	assert_int_equal(policyhost_type_add(rig->host, &probe_policy), 0);
	assert_int_equal(policyhost_type_add(rig->host, &probe_again_policy), 0);
	assert_int_equal(policyhost_type_add(rig->host, &watch_policy), 0);
	assert_int_equal(link_table_create(rig->worker), 0);
	rig_connect(rig);
	app_start(rig, &rig->client, 1);
	app_start(rig, &rig->server, 2);
	app_schema(rig, &rig->client, client);
	app_schema(rig, &rig->server, server);
	serve(rig);
	rig_settle(rig);
	return rig;
}

struct rig *rig_create(void)
{
	return rig_create_as(rig_messages, rig_messages);
}

void rig_close(struct rig_app *app)
{
	struct rig *rig = app->rig;

	if (app->closed++ != 0)
		return;
	if (app == &rig->server)
		registry_remove(rig->registry, app->session, UINT32_MAX);
	session_close(app->session, PHX_REASON_APP_EXIT);
	rig_settle(rig);
}

void rig_lose_link(struct rig *rig)
{
	link_close(rig->links[0], PHX_REASON_W_RESET);
	rig_settle(rig);
}

void rig_lose_server_end(struct rig *rig)
{
	link_close(rig->links[1], PHX_REASON_W_RESET);
}

static void app_end(struct rig *rig, struct rig_app *app)
{
	rig_close(app);
	assert_true(session_is_quiet(app->session));
	// Every snapshot, held or kept message has been given back.
	assert_int_equal(atomic_load(&app->session->account.bytes), 0);
	assert_int_equal(atomic_load(&app->session->account.landing_bytes), 0);
	chain_session_remove(rig->host, app->session->config.chain_slot);
	close(app->session->config.doorbell_fd);
	session_destroy(app->session);
	rig_app_fini(app);
}

void rig_destroy(struct rig *rig)
{
	rig_close(&rig->client);
	rig_close(&rig->server);
	app_end(rig, &rig->client);
	app_end(rig, &rig->server);
	assert_int_equal(policyhost_reclaim(rig->host), 0);
	link_table_destroy(rig->worker);
	while (cmdq_run(&rig->worker->inbox, rig->worker, UINT32_MAX) != 0)
		;
	assert_int_equal(atomic_load(&rig->worker->memory.small_used), 0);
	assert_int_equal(atomic_load(&rig->worker->memory.large_used), 0);
	policyhost_destroy(rig->host);
	registry_destroy(rig->registry);
	worker_destroy(rig->worker);
	cmdq_fini(&rig->control);
	free(rig->qsbr);
	free(rig);
}

// ---- time ----

static unsigned flush(struct worker *worker)
{
	struct phx_list *node;
	unsigned work = 0;

	while ((node = phx_list_pop(&worker->dirty)) != NULL) {
		struct source *source = phx_list_entry(node, struct source, dirty_node);

		source->dirty = false;
		if (source->ops->flush != NULL)
			source->ops->flush(source, worker);
		work++;
	}
	return work;
}

int rig_setup(void **state)
{
	*state = rig_create();
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	assert_null(rig->client.failed);
	assert_null(rig->server.failed);
	rig_destroy(rig);
	return 0;
}

unsigned rig_round(struct rig *rig)
{
	struct worker *worker = rig->worker;
	struct phx_list *node = worker->polled.next;
	unsigned work = 0;

	worker->now_ns = rig->now;
	while (node != &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		worker->cursor = node->next;
		if (source->ops->poll != NULL)
			work += source->ops->poll(source, worker);
		node = worker->cursor;
	}
	worker->cursor = NULL;
	work += flush(worker);
	work += cmdq_run(&worker->inbox, worker, 64);
	work += timer_run(&worker->timers, worker, rig->now, 64);
	work += flush(worker);
	if (cmdq_run(&rig->control, NULL, 64) != 0) {
		rig->now += 2 * TIMER_TICK_NS; // what it does takes its time
		work++;
	}
	work += rig_app_run(&rig->client);
	work += rig_app_run(&rig->server);
	return work;
}

void rig_settle(struct rig *rig)
{
	for (unsigned quiet = 0, rounds = 0; quiet < 4; quiet++) {
		if (rig_round(rig) != 0)
			quiet = 0;
		if (++rounds > 1000000)
			fail_msg("it does not settle");
	}
}

void rig_rounds(struct rig *rig, unsigned rounds)
{
	while (rounds-- > 0) {
		rig->now += TIMER_TICK_NS / 2;
		(void)rig_round(rig);
	}
}

void rig_pass(struct rig *rig, uint64_t ns)
{
	uint64_t end = rig->now + ns;

	while (rig->now < end) {
		rig->now += phx_min(TIMER_TICK_NS, end - rig->now);
		rig_settle(rig);
	}
}

// ---- policies ----

#define PARAMS_MAX 16

struct params {
	char text[512];
	struct policyhost_param list[PARAMS_MAX];
	uint32_t count;
};

static void params_split(struct params *p, const char *text)
{
	char *save = NULL;

	(void)snprintf(p->text, sizeof(p->text), "%s", text);
	p->count = 0;
	for (char *t = strtok_r(p->text, " ", &save); t != NULL; t = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(t, '=');

		assert_non_null(eq);
		*eq = '\0';
		for (char *c = eq + 1; *c != '\0'; c++)
			*c = *c == '_' ? ' ' : *c;
		assert_true(p->count < PARAMS_MAX);
		p->list[p->count++] = (struct policyhost_param){t, eq + 1};
	}
}

int rig_try_attach(struct rig *rig, const char *name, const char *type, const char *params)
{
	struct policyhost_error error;
	struct params p;
	struct policyhost_attach attach = {.name = name, .type = type, .position = POLICYHOST_LAST};
	char only[16];

	// "client", "server": that application alone.
	if (sscanf(name, "%15[a-z]", only) == 1)
		attach.app = strcmp(only, "client") == 0 ? 1 : strcmp(only, "server") == 0 ? 2 : 0;
	params_split(&p, params);
	attach.params = p.list;
	attach.param_count = p.count;
	return policyhost_attach(rig->host, &attach, &error);
}

void rig_attach(struct rig *rig, const char *name, const char *type, const char *params)
{
	struct chain_trust *trust = channel_trust(rig->client.session->channels[0], 0);

	assert_int_equal(rig_try_attach(rig, name, type, params), 0);
	if (!rig->strange && trust->state == TRUST_UNKNOWN)
		trust->ask(trust);
	rig_settle(rig);
}

void rig_reconfigure(struct rig *rig, const char *name, const char *params)
{
	struct policyhost_error error;
	struct params p;

	params_split(&p, params);
	assert_int_equal(policyhost_reconfigure(rig->host, name, p.list, p.count, &error), 0);
}

void rig_detach(struct rig *rig, const char *name)
{
	assert_int_equal(policyhost_detach(rig->host, name), 0);
}

struct policyhost_stats rig_stats(struct rig *rig, const char *name)
{
	struct policyhost_stats stats;

	assert_int_equal(policyhost_stats(rig->host, name, &stats), 0);
	return stats;
}

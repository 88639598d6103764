// SPDX-License-Identifier: BSD-3-Clause
// phx_attach(): the hello, refusals, waiting for rules, answers that cannot be.
#include "tests/unit/lib/app/app_test.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int attach(struct fake_dp *dp, uint64_t timeout_ns, struct phx_context **out_ctx,
	struct phx_status *out_status)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;

	options.rundir = dp->rundir;
	options.timeout_ns = timeout_ns;
	options.name = "tester";
	options.sub_slots = 128;
	options.ret_slots = 256;
	options.comp_slots = 512;
	options.send_quota = 1 << 26;
	return phx_attach(&options, out_ctx, out_status);
}

static void attach_valid_maps_everything(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct phx_context *ctx = NULL;

	fake_dp_start(dp);
	assert_int_equal(0, attach(dp, FAKE_PATIENCE_NS, &ctx, NULL));
	assert_int_equal(4, atomic_load(&dp->mapped));
	assert_string_equal("tester", dp->hello.name);
	assert_string_equal(phx_version(), dp->hello.library);
	assert_int_equal(128, dp->hello.queue.sub_slots);
	assert_int_equal(256, dp->hello.queue.ret_slots);
	assert_int_equal(512, dp->hello.queue.comp_slots);
	assert_int_equal(1 << 26, dp->hello.send_quota);
	phx_detach(ctx);
	fake_until(atomic_load(&dp->goodbyes) == 1);
	fake_dp_destroy(dp);
}

static void attach_version_refused_names_both(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct phx_context *ctx = NULL;
	struct phx_status status;

	atomic_store(&dp->refusals, 1);
	dp->refuse_code = PHX_FAILED_PRECONDITION;
	dp->refuse_reason = PHX_REASON_HELLO_VERSION;
	fake_dp_start(dp);
	assert_int_equal(-EPROTO, attach(dp, FAKE_PATIENCE_NS, &ctx, &status));
	assert_null(ctx);
	assert_int_equal(PHX_REASON_HELLO_VERSION, status.reason);
	assert_non_null(strstr(status.text, "library 1..1"));
	assert_non_null(strstr(status.text, "dataplane 7..9"));
	fake_dp_destroy(dp);
}

// A user's own dataplane first, then that of the system; looked for anew at each try.
static void attach_default_looks_for_the_user_then_the_system(void **)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct fake_dp *dp = fake_dp_create();
	char runtime[] = "/tmp/phoenix-test-XXXXXX", phoenix[64], rundir[80];
	struct phx_context *ctx = NULL;
	struct phx_status status;

	unsetenv("PHOENIX_RUNDIR");
	assert_non_null(mkdtemp(runtime));
	assert_int_equal(0, setenv("XDG_RUNTIME_DIR", runtime, 1));
	options.timeout_ns = 1;
	if (access("/run/phoenix/default/app.sock", F_OK) != 0) {
		assert_int_equal(-ETIMEDOUT, phx_attach(&options, &ctx, &status));
		assert_non_null(strstr(status.text, " /run/phoenix/default/app.sock"));
	}
	snprintf(phoenix, sizeof(phoenix), "%s/phoenix", runtime);
	snprintf(rundir, sizeof(rundir), "%s/default", phoenix);
	assert_int_equal(0, mkdir(phoenix, 0755));
	assert_int_equal(0, symlink(dp->rundir, rundir));
	fake_dp_start(dp);
	options.timeout_ns = FAKE_PATIENCE_NS;
	assert_int_equal(0, phx_attach(&options, &ctx, &status));
	phx_detach(ctx);
	unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(0, unlink(rundir));
	assert_int_equal(0, rmdir(phoenix));
	assert_int_equal(0, rmdir(runtime));
	fake_until(atomic_load(&dp->goodbyes) == 1);
	fake_dp_destroy(dp);
}

static void attach_denied_is_eacces(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct phx_context *ctx = NULL;
	struct phx_status status;

	atomic_store(&dp->refusals, 1);
	dp->refuse_code = PHX_PERMISSION_DENIED;
	dp->refuse_reason = PHX_REASON_DENIED;
	fake_dp_start(dp);
	assert_int_equal(-EACCES, attach(dp, FAKE_PATIENCE_NS, &ctx, &status));
	assert_int_equal(PHX_PERMISSION_DENIED, status.code);
	assert_string_equal("refused by the test", status.text);
	fake_dp_destroy(dp);
}

static void attach_without_rules_retries(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct phx_context *ctx = NULL;

	atomic_store(&dp->refusals, 3);
	dp->refuse_code = PHX_UNAVAILABLE;
	dp->refuse_reason = PHX_REASON_NO_RULES;
	fake_dp_start(dp);
	assert_int_equal(0, attach(dp, FAKE_PATIENCE_NS, &ctx, NULL));
	assert_int_equal(4, atomic_load(&dp->hellos));
	phx_detach(ctx);
	fake_dp_destroy(dp);
}

static void attach_no_dataplane_times_out(void **)
{
	struct fake_dp *dp = fake_dp_create(); // not started: no socket
	struct phx_context *ctx = NULL;
	struct phx_status status;

	assert_int_equal(-ETIMEDOUT, attach(dp, 20 * PHX_NS_PER_MS, &ctx, &status));
	assert_int_equal(PHX_UNAVAILABLE, status.code);
	assert_non_null(strstr(status.text, dp->rundir));
	fake_dp_destroy(dp);
}

static void *start_later(void *arg)
{
	(void)poll(NULL, 0, 30); // the library must have tried before; there is no event of that
	fake_dp_start(arg);
	return NULL;
}

static void attach_waits_for_the_socket(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct phx_context *ctx = NULL;
	pthread_t thread;

	assert_int_equal(0, pthread_create(&thread, NULL, start_later, dp));
	assert_int_equal(0, attach(dp, FAKE_PATIENCE_NS, &ctx, NULL));
	pthread_join(thread, NULL);
	phx_detach(ctx);
	fake_dp_destroy(dp);
}

static void spoil_slots(struct phx_attach_hello_rep *rep)
{
	rep->queue.sub_slots = 100;
}
static void spoil_size(struct phx_attach_hello_rep *rep)
{
	rep->queue.app_size = 4096;
}
static void spoil_overlap(struct phx_attach_hello_rep *rep)
{
	rep->send_heap.offset = rep->queue.app_offset;
}
static void spoil_outside(struct phx_attach_hello_rep *rep)
{
	rep->recv_heap.offset = 0xfffff000;
}
static void spoil_version(struct phx_attach_hello_rep *rep)
{
	rep->hello.min = rep->hello.max = 2;
}
static void spoil_space(struct phx_attach_hello_rep *rep)
{
	rep->send_quota = UINT64_MAX;
}
static void spoil_calls(struct phx_attach_hello_rep *rep)
{
	rep->queue.call_slots = UINT32_MAX;
}
static void spoil_heap_size(struct phx_attach_hello_rep *rep)
{
	rep->send_heap.size *= 2;
}

static void attach_bad_answer_is_eproto(void **)
{
	void (*const spoils[])(struct phx_attach_hello_rep *) = {spoil_slots, spoil_size,
		spoil_overlap, spoil_outside, spoil_version, spoil_space, spoil_calls,
		spoil_heap_size};

	for (size_t i = 0; i < PHX_ARRAY_LEN(spoils); i++) {
		struct fake_dp *dp = fake_dp_create();
		struct phx_context *ctx = NULL;
		struct phx_status status = {.text = ""};

		dp->spoil = spoils[i];
		fake_dp_start(dp);
		assert_int_equal(-EPROTO, attach(dp, FAKE_PATIENCE_NS, &ctx, &status));
		assert_null(ctx);
		assert_non_null(strstr(status.text, "bad answer"));
		fake_dp_destroy(dp);
	}
}

static void attach_missing_descriptor_is_eproto(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct phx_context *ctx = NULL;

	dp->spoil_fds = true;
	fake_dp_start(dp);
	assert_int_equal(-EPROTO, attach(dp, FAKE_PATIENCE_NS, &ctx, NULL));
	assert_null(ctx);
	fake_dp_destroy(dp);
}

static void attach_long_path_is_refused(void **)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct phx_context *ctx = NULL;
	char path[300];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	options.rundir = path;
	assert_int_equal(-ENAMETOOLONG, phx_attach(&options, &ctx, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_valid_maps_everything),
		cmocka_unit_test(attach_version_refused_names_both),
		cmocka_unit_test(attach_default_looks_for_the_user_then_the_system),
		cmocka_unit_test(attach_denied_is_eacces),
		cmocka_unit_test(attach_without_rules_retries),
		cmocka_unit_test(attach_no_dataplane_times_out),
		cmocka_unit_test(attach_waits_for_the_socket),
		cmocka_unit_test(attach_bad_answer_is_eproto),
		cmocka_unit_test(attach_missing_descriptor_is_eproto),
		cmocka_unit_test(attach_long_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

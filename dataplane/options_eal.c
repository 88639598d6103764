// SPDX-License-Identifier: BSD-3-Clause
// EAL's command line: the user's arguments, or defaults that need neither root nor hugepages
// and let several instances share a machine. Works with options.c.
#include "dataplane/options.h"

#include "lib/base/hash.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUGE_BYTES_WANTED (256u << 20)

static int add(struct options_eal *out, const char *fmt, ...) PHX_PRINTF(2, 3);
static int add(struct options_eal *out, const char *fmt, ...)
{
	size_t left = sizeof(out->text) - out->used;
	char *at = out->text + out->used;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(at, left, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= left || out->argc == OPTIONS_EAL_MAX)
		return -E2BIG;
	out->used += (size_t)n + 1;
	out->argv[out->argc++] = at;
	return 0;
}

static bool has(const struct options *o, const char *name)
{
	size_t len = strlen(name);
	int i;

	for (i = 0; i < o->eal_count; i++) {
		if (strncmp(o->eal[i], name, len) == 0 &&
			(o->eal[i][len] == '\0' || o->eal[i][len] == '='))
			return true;
	}
	return false;
}

// Are there 2 MiB pages for EAL's memory?
static bool huge_pages_free(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned long pages = 0;
	bool ok;

	if (f == NULL)
		return false;
	ok = fscanf(f, "%lu", &pages) == 1 && pages >= HUGE_BYTES_WANTED >> 21;
	(void)fclose(f); // read only
	return ok;
}

// "(0,1)@(0-3,8)": lcores 0..workers float over all allowed CPUs.
static int add_lcores(struct options_eal *out, unsigned workers)
{
	char cpus[512];
	size_t used = 0;
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return -errno;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		int last = cpu, n;

		if (!CPU_ISSET(cpu, &set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
			last++;
		n = snprintf(cpus + used, sizeof(cpus) - used, "%s%d-%d", used == 0 ? "" : ",", cpu,
			last);
		if (n < 0 || (size_t)n >= sizeof(cpus) - used)
			return -E2BIG;
		used += (size_t)n;
		cpu = last;
	}
	if (used == 0)
		return -EINVAL;
	return add(out, "--lcores=(0-%u)@(%s)", workers, cpus);
}

// Private to this run directory, no files for others to open, no sockets.
static int add_private(const struct options *o, struct options_eal *out)
{
	static const uint8_t key[16] = {0}; // a name, not a secret
	uint64_t hash = phx_siphash128(key, o->rundir, strlen(o->rundir)).lo;
	int rc = 0;

	if (!has(o, "--file-prefix"))
		rc = add(out, "--file-prefix=phoenix-%016llx", (unsigned long long)hash);
	if (rc == 0 && !has(o, "--telemetry") && !has(o, "--no-telemetry"))
		rc = add(out, "--no-telemetry");
	if (rc == 0 && !has(o, "--no-shconf") && !has(o, "--in-memory"))
		rc = add(out, "--no-shconf");
	return rc;
}

int options_eal_build(const struct options *o, char *program, struct options_eal *out)
{
	int i, rc;

	*out = (struct options_eal){.argc = 1};
	out->argv[0] = program;
	if (o->eal_count > OPTIONS_EAL_MAX - 4)
		return -E2BIG;
	for (i = 0; i < o->eal_count; i++)
		out->argv[out->argc++] = o->eal[i];
	rc = add_private(o, out);
	if (rc != 0 || o->eal_given)
		return rc;
	rc = huge_pages_free() ? add(out, "--in-memory") : add(out, "--no-huge");
	if (rc == 0)
		rc = add(out, "-m256");
	if (rc == 0)
		rc = add(out, "--no-pci");
	if (rc == 0 && o->log_level < PHX_LOG_DEBUG)
		rc = add(out, "--log-level=*:warning");
	return rc != 0 ? rc : add_lcores(out, o->workers != 0 ? o->workers : 1);
}

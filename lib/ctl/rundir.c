// SPDX-License-Identifier: BSD-3-Clause
// The choice of the run directory; used by the daemons and the shell.
#include "lib/ctl/rundir.h"

#include "lib/ctl/method.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_RUN "/run"

static int check_instance(const char *instance, char *why, size_t why_size)
{
	static const struct phx_ctl_param name = {.name = "instance", .type = PHX_CTL_NAME};
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *value = json_string(instance);
	int rc = value != NULL ? phx_ctl_param_validate(&name, "instance", value, &e) : -EINVAL;

	if (rc != 0)
		(void)snprintf(why, why_size, "'%s' is no instance name", instance);
	phx_ctl_error_fini(&e);
	json_decref(value);
	return rc;
}

static int put_dir(char *out_dir, size_t size, char *why, size_t why_size, const char *base,
	const char *instance)
{
	int n = instance != NULL ? snprintf(out_dir, size, "%s/phoenix/%s", base, instance)
				 : snprintf(out_dir, size, "%s", base);

	if (n >= 0 && (size_t)n < size && n < PHX_CTL_RUNDIR_BYTES)
		return 0;
	(void)snprintf(why, why_size, "%s: longer than %d bytes", base, PHX_CTL_RUNDIR_BYTES - 1);
	return -ENAMETOOLONG;
}

// The directory given by hand; NULL when there is none.
static const char *given_dir(const char *flag, const char *instance)
{
	const char *env = getenv("PHOENIX_RUNDIR");

	if (flag != NULL)
		return flag;
	return instance == NULL && env != NULL && env[0] != '\0' ? env : NULL;
}

static const char *user_base(void)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	return base != NULL && base[0] == '/' ? base : NULL;
}

static int make_dir(const char *dir, char *why, size_t why_size)
{
	char parent[PHX_CTL_RUNDIR_BYTES];
	const char *slash = strrchr(dir, '/');

	if (slash != NULL && slash != dir) {
		(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - dir), dir);
		(void)mkdir(parent, 0755); // there already, or the next one fails
	}
	if (mkdir(dir, 0755) == 0 || errno == EEXIST)
		return 0;
	(void)snprintf(why, why_size, "%s: %s", dir, strerror(errno));
	return -errno;
}

int phx_ctl_rundir_make(const char *flag, const char *instance, char *out_dir, size_t size,
	char *why, size_t why_size)
{
	const char *given = given_dir(flag, instance);
	const char *base = geteuid() != 0 ? user_base() : NULL;
	const char *name = instance != NULL ? instance : "default";
	int rc = check_instance(name, why, why_size);

	if (rc == 0 && given != NULL)
		rc = put_dir(out_dir, size, why, why_size, given, NULL);
	else if (rc == 0)
		rc = put_dir(out_dir, size, why, why_size, base != NULL ? base : SYSTEM_RUN, name);
	return rc != 0 ? rc : make_dir(out_dir, why, why_size);
}

int phx_ctl_rundir_find(const char *flag, const char *instance, char *out_dir, size_t size,
	char *why, size_t why_size)
{
	const char *given = given_dir(flag, instance);
	const char *name = instance != NULL ? instance : "default";
	int rc = check_instance(name, why, why_size);

	if (rc != 0)
		return rc;
	if (given != NULL)
		return put_dir(out_dir, size, why, why_size, given, NULL);
	if (user_base() != NULL) {
		rc = put_dir(out_dir, size, why, why_size, user_base(), name);
		if (rc != 0 || access(out_dir, F_OK) == 0)
			return rc;
	}
	return put_dir(out_dir, size, why, why_size, SYSTEM_RUN, name);
}

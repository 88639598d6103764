// SPDX-License-Identifier: BSD-3-Clause
// Client or server of restart.sh: `restart server|client RUNDIR LEDGER`. SIGTERM ends it in order.
#include "tests/system/restart/restart.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Atomic uint8_t *restart_ledger(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	CHECK(fd >= 0 && ftruncate(fd, RESTART_CALLS) == 0, "%s: %m", path);
	map = mmap(NULL, RESTART_CALLS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED, "%s: %m", path);
	(void)close(fd); // the mapping stays
	return map;
}

int main(int argc, char **argv)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct phx_context *context;
	struct phx_status status;
	_Atomic uint8_t *executed;
	int rc;

	CHECK(argc == 4, "usage: restart server|client RUNDIR LEDGER");
	executed = restart_ledger(argv[3]);
	options.rundir = argv[2];
	rc = phx_attach(&options, &context, &status);
	CHECK(rc == 0, "%s", status.text);
	if (strcmp(argv[1], "server") == 0)
		rc = restart_server(context, executed);
	else
		rc = restart_client(context, executed);
	phx_detach(context);
	return rc;
}

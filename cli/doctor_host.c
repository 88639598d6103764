// SPDX-License-Identifier: BSD-3-Clause
// What doctor finds on the host. Nothing here needs a daemon or special rights.
#include "cli/doctor_checks.h"

#include "lib/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL // since Linux 6.3
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef SO_PEERPIDFD // since Linux 6.5
#define SO_PEERPIDFD 77
#endif
#define TEXT_BYTES     256
#define HUGE_DIR       "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define MEMLOCK_WANTED (UINT64_C(64) << 20)
#define CLOCK_READS    1000u
#define CLOCK_SLOW_NS  500u // the TSC takes about 25

static void check_cpus(struct doctor *d)
{
	char found[TEXT_BYTES];
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;

	(void)snprintf(
		found, sizeof(found), "%d allowed of %ld", count, sysconf(_SC_NPROCESSORS_ONLN));
	doctor_add(d, "cpus", count >= 2 ? DOCTOR_OK : DOCTOR_WARN, found,
		"2: one for control, one for a worker",
		count >= 2 ? "" : "allow more processors (taskset, cpuset of the container)");
}

static long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long n = -1;

	if (f == NULL)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	(void)fclose(f); // was only read
	return n;
}

static bool huge_mounted(void)
{
	char line[512], type[32];
	bool found = false;
	FILE *f = fopen("/proc/mounts", "re");

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "%*s %*s %31s", type) == 1 && strcmp(type, "hugetlbfs") == 0;
	if (f != NULL)
		(void)fclose(f); // was only read
	return found;
}

static void check_huge_pages(struct doctor *d)
{
	long all = read_number(HUGE_DIR "nr_hugepages"),
	     idle = read_number(HUGE_DIR "free_hugepages");
	char found[TEXT_BYTES] = "the kernel has none";

	if (all >= 0)
		(void)snprintf(found, sizeof(found), "%ld of 2 MiB, %ld free, %smounted", all, idle,
			huge_mounted() ? "" : "not ");
	doctor_add(d, "huge_pages", DOCTOR_OK, found, "none; they make large messages cheaper",
		all > 0 ? "" : "optional: sysctl vm.nr_hugepages=256");
}

static void check_memlock(struct doctor *d)
{
	struct rlimit limit = {0};
	char found[TEXT_BYTES] = "unlimited";
	bool enough;

	(void)getrlimit(RLIMIT_MEMLOCK, &limit); // cannot fail
	enough = geteuid() == 0 || limit.rlim_cur == RLIM_INFINITY ||
		 limit.rlim_cur >= MEMLOCK_WANTED;
	if (limit.rlim_cur != RLIM_INFINITY)
		(void)snprintf(found, sizeof(found), "%llu KiB%s",
			(unsigned long long)limit.rlim_cur >> 10,
			geteuid() == 0 ? ", root is not held to it" : "");
	doctor_add(d, "memlock", enough ? DOCTOR_OK : DOCTOR_WARN, found,
		"65536 KiB, else shared memory may be swapped and RDMA cannot register it",
		enough ? "" : "ulimit -l unlimited, or LimitMEMLOCK=infinity in the service");
}

// A memory object as the dataplane makes them. 0 or the errno of what failed.
static int try_memfd(unsigned flags, int seals)
{
	int fd = memfd_create("phoenix-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	int error = 0;

	if (fd < 0)
		return errno;
	if (ftruncate(fd, 4096) != 0 || fcntl(fd, F_ADD_SEALS, seals) != 0)
		error = errno;
	close(fd);
	return error;
}

static void check_memfd(struct doctor *d)
{
	int error = try_memfd(0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);

	doctor_add(d, "memfd", error == 0 ? DOCTOR_OK : DOCTOR_FAIL,
		error == 0 ? "memory objects with all seals" : strerror(error),
		"memfd_create and seals against shrink, growth and future writes",
		error == 0 ? "" : "Linux 5.1 or later; allow memfd_create in the seccomp profile");
}

static void check_kernel(struct doctor *d)
{
	struct utsname name = {0};
	char found[TEXT_BYTES];
	struct timespec zero = {0};
	bool wait_ok =
		syscall(SYS_epoll_pwait2, -1, NULL, 1, &zero, NULL, 8) == 0 || errno != ENOSYS;
	bool pidfd_ok = syscall(SYS_pidfd_open, getpid(), 0) >= 0;
	int pair[2], pidfd = -1;
	socklen_t size = sizeof(pidfd);
	bool peer_ok = false, noexec_ok = try_memfd(MFD_NOEXEC_SEAL, F_SEAL_GROW) == 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		peer_ok = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0;
		if (peer_ok)
			close(pidfd);
		close(pair[0]);
		close(pair[1]);
	}
	(void)uname(&name); // cannot fail
	(void)snprintf(found, sizeof(found), "%.64s: epoll_pwait2 %s, pidfd_open %s", name.release,
		wait_ok ? "yes" : "no", pidfd_ok ? "yes" : "no");
	doctor_add(d, "kernel", wait_ok && pidfd_ok ? DOCTOR_OK : DOCTOR_FAIL, found,
		"epoll_pwait2 (Linux 5.11), pidfd_open (5.3)",
		wait_ok && pidfd_ok ? "" : "a newer kernel, or a seccomp profile that allows them");
	(void)snprintf(found, sizeof(found), "SO_PEERPIDFD %s, MFD_NOEXEC_SEAL %s",
		peer_ok ? "yes" : "no", noexec_ok ? "yes" : "no");
	doctor_add(d, "kernel_extras", DOCTOR_OK, found,
		"none; where missing: pidfd_open with a second check, no seal against execution",
		peer_ok && noexec_ok ? "" : "optional: Linux 6.5 or later");
}

static void check_rdma(struct doctor *d)
{
	char found[TEXT_BYTES] = "";
	size_t len = 0;
	DIR *dir = opendir("/sys/class/infiniband");
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && len < sizeof(found) - 1)
			len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%s",
				len > 0 ? " " : "", entry->d_name); // may be cut
	if (dir != NULL)
		closedir(dir);
	doctor_add(d, "rdma", DOCTOR_OK, found[0] != '\0' ? found : "no device: TCP will be used",
		"none", "");
}

static void check_clock(struct doctor *d)
{
	char source[32] = "?", found[TEXT_BYTES];
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
	uint64_t start_ns = phx_clock_ns(), each_ns;
	struct timespec wall;
	bool fast, set;

	for (unsigned i = 1; i < CLOCK_READS; i++)
		(void)phx_clock_ns();
	each_ns = (phx_clock_ns() - start_ns) / CLOCK_READS;
	if (f != NULL) {
		(void)fscanf(f, "%31s", source); // stays "?"
		(void)fclose(f);		 // was only read
	}
	(void)clock_gettime(CLOCK_REALTIME, &wall); // cannot fail for this clock
	fast = each_ns <= CLOCK_SLOW_NS;
	set = wall.tv_sec > 1700000000; // the end of 2023: before this program was written
	(void)snprintf(found, sizeof(found), "%s, read in %llu ns, time of day %s", source,
		(unsigned long long)each_ns, set ? "set" : "not set");
	doctor_add(d, "clock", fast && set ? DOCTOR_OK : DOCTOR_WARN, found,
		"a reading within 500 ns; time of day for logs",
		!fast  ? "a clock source that needs no system call: tsc, kvm-clock"
		: !set ? "set the time, run an NTP client"
		       : "");
}

void doctor_host(struct doctor *d)
{
	check_cpus(d);
	check_huge_pages(d);
	check_memlock(d);
	check_memfd(d);
	check_kernel(d);
	check_rdma(d);
	check_clock(d);
}

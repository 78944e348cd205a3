/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.c - what the system says of this process: the process_* metrics
 */
#include "web/collect.h"

#include "base/alloc.h"
#include "base/metric.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

static unsigned count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n > 3 ? n - 3 : 0;       /* ., .. and the folder itself */
}

static double seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

void collect_daemon(struct metric_sink *sink, void *arg)
{
    struct rlimit files = { 0, 0 };
    struct rusage used;
    struct stat tasks;

    getrusage(RUSAGE_SELF, &used);
    getrlimit(RLIMIT_NOFILE, &files);
    metric_emit(sink, M_process_cpu, NULL, seconds(used.ru_utime) + seconds(used.ru_stime));
    metric_emit(sink, M_process_resident, NULL, (double)mem_resident_bytes());
    metric_emit(sink, M_process_start, NULL, (double)*(const int64_t *)arg / 1e9);
    metric_emit(sink, M_process_fds, NULL, count_fds());
    metric_emit(sink, M_process_fds_max, NULL, (double)files.rlim_cur);
    if (stat("/proc/self/task", &tasks) == 0)
        metric_emit(sink, M_process_threads, NULL, (double)tasks.st_nlink - 2);
}

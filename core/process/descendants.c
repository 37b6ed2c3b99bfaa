/* Finds the children of the calling process. It exists because the kernel lists them only where
 * CONFIG_PROC_CHILDREN is set and /proc is mounted, and nothing of a worker may be forgotten where
 * it does not.
 *
 * Without the list each possible pid is asked for: waitid() with WNOWAIT tells whether a pid is a
 * child, and takes nothing. Pids are given out in rising order, so the children of a worker are
 * found soon after the worker's own pid. All four million take about a second. */
#include "core/process/descendants.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#define PID_LIMIT 4194304 /* of Linux on 64 bits */
#define PIDS_PER_LOOK 4096

int64_t mfi_descendants_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_child(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void mfi_descendants_search(int number, pid_t first, int64_t deadline_ms, bool (*any_left)(void *),
                            void *data)
{
    pid_t pid = first > 1 && first < PID_LIMIT ? first : 2;
    for (int looked = 0; looked < PID_LIMIT; looked++) {
        if (looked % PIDS_PER_LOOK == 0 && looked != 0 &&
            (mfi_descendants_now_ms() >= deadline_ms || !any_left(data))) {
            return;
        }
        if (is_child(pid)) { /* a child keeps its pid until it is waited for */
            (void)kill(pid, number);
        }
        pid = pid + 1 < PID_LIMIT ? pid + 1 : 2;
    }
}

void mfi_descendants_signal(int number, pid_t first, int64_t deadline_ms, bool (*any_left)(void *),
                            void *data)
{
    FILE *list = fopen("/proc/thread-self/children", "re");
    int pid = 0;
    if (list == NULL) {
        mfi_descendants_search(number, first, deadline_ms, any_left, data);
        return;
    }
    while (fscanf(list, "%d", &pid) == 1) { /* NOLINT: the kernel's own digits */
        (void)kill(pid, number);
    }
    (void)fclose(list);
}

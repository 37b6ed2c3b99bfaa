/* Tells from /proc whether a process still runs. It exists because a pid in a file may have been
 * given to another process since it was written. */
#include "core/process/alive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define BOOT_ID_LENGTH 36
/* Fields of /proc/<pid>/stat, counted from the first after the command's name. */
#define FIELD_STATE 0
#define FIELD_THREADS 17
#define FIELD_START 19
#define FIELD_COUNT 20
#define START_SLACK_S 1.0 /* seconds by which the two clocks may differ */

static bool read_text(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, to, size - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    to[length > 0 ? length : 0] = '\0';
    return length > 0;
}

/* Cuts the text of a stat file in place. The name may hold blanks and parentheses, so the last
 * closing parenthesis ends it. */
static bool read_stat(int64_t pid, char *text, size_t size, char *ret_fields[FIELD_COUNT])
{
    char path[48];
    (void)mfi_str_format(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    char *rest = read_text(path, text, size) ? strrchr(text, ')') : NULL;
    if (rest == NULL || rest[1] != ' ') {
        return false;
    }
    rest += 2;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        ret_fields[i] = strsep(&rest, " ");
        if (ret_fields[i] == NULL) {
            return false;
        }
    }
    return true;
}

/* The boot id is read for every checked process, and does not change while this process runs. So
 * one thread keeps it for all. */
static bool read_boot_id(char to[BOOT_ID_LENGTH + 1])
{
    enum { UNKNOWN, BEING_KEPT, KEPT };
    static char kept[BOOT_ID_LENGTH + 1];
    static _Atomic(int) state = UNKNOWN; /* the thread that keeps the text releases */
    if (atomic_load_explicit(&state, memory_order_acquire) == KEPT) {
        memcpy(to, kept, sizeof kept);
        return true;
    }
    if (!read_text("/proc/sys/kernel/random/boot_id", to, BOOT_ID_LENGTH + 1) ||
        strlen(to) != BOOT_ID_LENGTH) {
        return false;
    }
    int before = UNKNOWN;
    if (atomic_compare_exchange_strong_explicit(&state, &before, BEING_KEPT, memory_order_relaxed,
                                                memory_order_relaxed)) {
        memcpy(kept, to, sizeof kept);
        atomic_store_explicit(&state, KEPT, memory_order_release);
    }
    return true;
}

static void format_mark(char to[MFI_PROCESS_MARK_MAX], const char *start)
{
    char boot[BOOT_ID_LENGTH + 1];
    to[0] = '\0';
    if (read_boot_id(boot)) {
        (void)mfi_str_format(to, MFI_PROCESS_MARK_MAX, "%s/%s", boot, start);
    }
}

void mfi_process_mark(int64_t pid, char to[MFI_PROCESS_MARK_MAX])
{
    char text[1024];
    char *fields[FIELD_COUNT];
    to[0] = '\0';
    if (read_stat(pid, text, sizeof text, fields)) {
        format_mark(to, fields[FIELD_START]);
    }
}

bool mfi_process_alive(int64_t pid, const char *mark)
{
    char text[1024];
    char now[MFI_PROCESS_MARK_MAX];
    char *fields[FIELD_COUNT];
    if (pid <= 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)) {
        return false;
    }
    if (!read_stat(pid, text, sizeof text, fields)) {
        return true; /* hidden from us, or it is ending just now */
    }
    /* A leader that has ended appears as a zombie while its other threads still run. */
    if (strchr("ZX", fields[FIELD_STATE][0]) != NULL && strcmp(fields[FIELD_THREADS], "1") <= 0) {
        return false;
    }
    if (mark == NULL || mark[0] == '\0') {
        return true;
    }
    format_mark(now, fields[FIELD_START]);
    return now[0] == '\0' || strcmp(now, mark) == 0;
}

bool mfi_process_started_after(int64_t pid, const struct timespec *moment)
{
    char text[1024];
    char *fields[FIELD_COUNT];
    struct timespec boot;
    int64_t ticks = 0;
    long per_second = sysconf(_SC_CLK_TCK);
    if (!read_stat(pid, text, sizeof text, fields) || per_second <= 0 ||
        !mfi_parse_int(fields[FIELD_START], 0, INT64_MAX, &ticks) ||
        clock_gettime(CLOCK_BOOTTIME, &boot) != 0) {
        return false;
    }
    double since_boot = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    double age = since_boot - (double)ticks / (double)per_second;
    double then = (double)moment->tv_sec + (double)moment->tv_nsec / 1e9;
    return (double)mfi_wall_ns() / 1e9 - age > then + START_SLACK_S;
}

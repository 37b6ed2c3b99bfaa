/* Reads from /proc and the cgroups whether a process is stopped. It exists because a stopped
 * process and one that works for long are equally silent, and only the system can tell them apart.
 *
 * proc(5) has the state of a process, cgroups(7) its cgroup's name. In version 2, cgroup.events of
 * the cgroup says `frozen 1`, also when an ancestor was frozen. In version 1, freezer.state says
 * FROZEN, likewise. */
#include "core/process/stopped.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define FILE_MAX 4096 /* of what is read; all of these files are shorter */

/* The text of a small file, cut at FILE_MAX - 1 bytes; "" if it cannot be read. */
static void read_small(const char *path, char to[FILE_MAX])
{
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && size < FILE_MAX - 1) {
        ssize_t got = read(fd, to + size, FILE_MAX - 1 - size);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    to[size] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
}

static bool has_stop_signal(const char *proc, int64_t pid)
{
    char path[PATH_MAX];
    char text[FILE_MAX];
    (void)mfi_str_format(path, sizeof path, "%s/%lld/stat", proc, (long long)pid);
    read_small(path, text);
    const char *name_end = strrchr(text, ')'); /* a name may have any character */
    return name_end != NULL && strncmp(name_end, ") T", 3) == 0;
}

static bool file_says(const char *cgroups, const char *controller, const char *cgroup,
                      const char *file, const char *word)
{
    char path[PATH_MAX];
    char text[FILE_MAX];
    (void)mfi_str_format(path, sizeof path, "%s%s%s/%s", cgroups, controller, cgroup, file);
    read_small(path, text);
    return strstr(text, word) != NULL;
}

/* One line of /proc/PID/cgroup: "0::/a/b" in version 2, "7:freezer:/a/b" in version 1. */
static bool line_is_frozen(const char *cgroups, const char *line)
{
    const char *controllers = strchr(line, ':');
    const char *cgroup = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (cgroup == NULL) {
        return false;
    }
    if (strncmp(line, "0::", 3) == 0) {
        return file_says(cgroups, "", cgroup + 1, "cgroup.events", "frozen 1") ||
               file_says(cgroups, "/unified", cgroup + 1, "cgroup.events", "frozen 1");
    }
    return strncmp(controllers, ":freezer:", 9) == 0 &&
           file_says(cgroups, "/freezer", cgroup + 1, "freezer.state", "FROZEN");
}

static bool is_in_frozen_cgroup(const char *proc, const char *cgroups, int64_t pid)
{
    char path[PATH_MAX];
    char text[FILE_MAX];
    bool frozen = false;
    char *rest = NULL;
    (void)mfi_str_format(path, sizeof path, "%s/%lld/cgroup", proc, (long long)pid);
    read_small(path, text);
    for (const char *line = strtok_r(text, "\n", &rest); line != NULL && !frozen;
         line = strtok_r(NULL, "\n", &rest)) {
        frozen = line_is_frozen(cgroups, line);
    }
    return frozen;
}

bool mfi_process_is_stopped_in(const char *proc, const char *cgroups, int64_t pid)
{
    return pid > 0 && (has_stop_signal(proc, pid) || is_in_frozen_cgroup(proc, cgroups, pid));
}

bool mfi_process_is_stopped(int64_t pid)
{
    return mfi_process_is_stopped_in("/proc", "/sys/fs/cgroup", pid);
}

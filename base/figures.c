/* Reads figures of another process from /proc. It exists because a worker that does not answer
 * cannot tell how it is: the system can.
 *
 * proc(5) describes the files. All of them are opened below one descriptor of the process's folder.
 * That folder stays the folder of the same process: after its end nothing can be opened there, also
 * when another process has got the pid. None of the files waits for the process, so one that hangs
 * is read like any other. */
#include "base/figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

/* Fields of /proc/PID/stat, counted from the first after the command's name. */
enum {
    FIELD_STATE,
    FIELD_PARENT,
    FIELD_USER = 11,
    FIELD_SYSTEM,
    FIELD_CHILDREN_USER,
    FIELD_CHILDREN_SYSTEM,
    FIELD_THREADS = 17,
    FIELD_START = 19,
    FIELD_RESIDENT = 21,
    FIELD_COUNT,
};
#define STAT_MAX 1024   /* of one line; a name has 64 bytes at most */
#define ENTRIES_LOOK 64 /* entries of a folder between two looks at the clock */

static uint64_t per_second(void)
{
    long ticks = sysconf(_SC_CLK_TCK);
    return ticks > 0 ? (uint64_t)ticks : 100;
}

/* ---- /proc/PID/stat ---- */

static bool read_number(const char *text, uint64_t *ret_number)
{
    int64_t number = 0;
    bool is_one = mfi_parse_int(text, 0, INT64_MAX, &number);
    *ret_number = (uint64_t)number;
    return is_one;
}

static bool add_ticks(const char *text, uint64_t *sum_ns)
{
    uint64_t ticks = 0;
    uint64_t each = MFI_NS_PER_S / per_second();
    if (!read_number(text, &ticks) || ticks > (UINT64_MAX - *sum_ns) / each) {
        return false;
    }
    *sum_ns += ticks * each;
    return true;
}

static bool read_fields(char *const fields[FIELD_COUNT], mfi_figures *ret_figures)
{
    uint64_t pages = 0;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    mfi_figures got = {0};
    if (strlen(fields[FIELD_STATE]) != 1 ||
        !mfi_parse_int(fields[FIELD_PARENT], 0, INT32_MAX, &got.parent) ||
        !add_ticks(fields[FIELD_USER], &got.cpu_ns) ||
        !add_ticks(fields[FIELD_SYSTEM], &got.cpu_ns) ||
        !add_ticks(fields[FIELD_CHILDREN_USER], &got.cpu_ns) ||
        !add_ticks(fields[FIELD_CHILDREN_SYSTEM], &got.cpu_ns) ||
        !read_number(fields[FIELD_THREADS], &got.threads) ||
        !read_number(fields[FIELD_START], &got.start_ticks) ||
        !read_number(fields[FIELD_RESIDENT], &pages) || pages > UINT64_MAX / page) {
        return false;
    }
    got.resident_bytes = pages * page;
    got.has_ended = strchr("ZXx", fields[FIELD_STATE][0]) != NULL;
    *ret_figures = got;
    return true;
}

/* The name may hold any character, blanks and parentheses among them. No field after the name can
 * have a parenthesis, so the last one ends the name. */
bool mfi_figures_parse(const char *text, int64_t pid, mfi_figures *ret_figures)
{
    char line[STAT_MAX];
    char start[32];
    char *fields[FIELD_COUNT];
    size_t length = mfi_str_format(start, sizeof start, "%lld (", (long long)pid);
    const char *name_end = strrchr(text, ')');
    if (strncmp(text, start, length) != 0 || name_end == NULL || name_end[1] != ' ' ||
        strlen(name_end + 2) >= sizeof line) {
        return false;
    }
    (void)mfi_str_copy(line, sizeof line, name_end + 2);
    char *rest = line;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        fields[i] = strsep(&rest, " ");
        if (fields[i] == NULL || fields[i][0] == '\0') {
            return false;
        }
    }
    /* Without a field behind it, the last one may be cut. */
    return rest != NULL && read_fields(fields, ret_figures);
}

static bool read_text(int folder, const char *name, char *to, size_t size)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, to, size - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    to[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static bool read_stat(int folder, int64_t pid, mfi_figures *ret_figures)
{
    char text[STAT_MAX];
    return read_text(folder, "stat", text, sizeof text) &&
           mfi_figures_parse(text, pid, ret_figures);
}

/* ---- Folders ---- */

/* Opens a folder below the process's own; NULL if it is hidden or gone. */
static DIR *open_folder(int process, const char *name)
{
    int fd = openat(process, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL && fd >= 0) {
        (void)close(fd);
    }
    return folder;
}

static const struct dirent *next_entry(DIR *folder)
{
    const struct dirent *entry = NULL;
    do {
        entry = readdir(folder);
    } while (entry != NULL && entry->d_name[0] == '.');
    return entry;
}

/* The size of the folder is their number since Linux 6.2, and 0 before. */
static void count_fds(int process, uint64_t deadline_ns, mfi_figures *figures)
{
    struct stat at;
    if (fstatat(process, "fd", &at, 0) == 0 && at.st_size > 0) {
        figures->open_fds = (uint64_t)at.st_size;
        figures->has_fds = true;
        return;
    }
    DIR *folder = open_folder(process, "fd");
    uint64_t count = 0;
    bool late = false;
    while (folder != NULL && !late && next_entry(folder) != NULL) {
        late = ++count % ENTRIES_LOOK == 0 && mfi_monotonic_ns() > deadline_ns;
    }
    if (folder != NULL) {
        (void)closedir(folder);
        figures->open_fds = count;
        figures->has_fds = !late;
    }
}

/* ---- Waits for a processor ---- */

/* The three numbers of a schedstat: time on a processor, time of waiting for one, turns. */
static bool read_wait(int folder, const char *thread, uint64_t *sum_ns, uint64_t *turns)
{
    char name[32];
    char text[96];
    uint64_t numbers[3];
    (void)mfi_str_format(name, sizeof name, "%.16s/schedstat", thread);
    if (!read_text(folder, name, text, sizeof text)) {
        return false;
    }
    char *rest = text;
    text[strcspn(text, "\n")] = '\0';
    for (size_t i = 0; i < 3; i++) {
        const char *field = strsep(&rest, " ");
        if (field == NULL || !read_number(field, &numbers[i])) {
            return false;
        }
    }
    *sum_ns += numbers[1];
    *turns += numbers[2];
    return true;
}

/* A kernel that keeps no such figures shows zeros, or no files. */
static void sum_waits(int process, uint64_t deadline_ns, mfi_figures *figures)
{
    DIR *folder = open_folder(process, "task");
    const struct dirent *entry = NULL;
    uint64_t threads = 0;
    uint64_t turns = 0;
    while (folder != NULL && threads <= MFI_FIGURES_THREADS_MAX &&
           mfi_monotonic_ns() <= deadline_ns && (entry = next_entry(folder)) != NULL) {
        threads++;
        (void)read_wait(dirfd(folder), entry->d_name, &figures->wait_ns, &turns); /* or it ended */
    }
    figures->has_wait =
        folder != NULL && entry == NULL && turns > 0 && threads <= MFI_FIGURES_THREADS_MAX;
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

/* ---- The whole ---- */

static int open_process(const char *proc, int64_t pid)
{
    char path[PATH_MAX];
    if (pid <= 0) {
        return -1;
    }
    (void)mfi_str_format(path, sizeof path, "%s/%lld", proc, (long long)pid);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool mfi_figures_look(int64_t pid, mfi_figures *ret_figures)
{
    int process = open_process("/proc", pid);
    bool is_read = process >= 0 && read_stat(process, pid, ret_figures);
    if (process >= 0) {
        (void)close(process);
    }
    return is_read;
}

bool mfi_figures_read_in(const char *proc, int64_t pid, uint64_t start_ticks, uint64_t deadline_ns,
                         mfi_figures *ret_figures)
{
    mfi_figures got;
    int process = open_process(proc, pid);
    if (process < 0) {
        return false;
    }
    bool is_read =
        read_stat(process, pid, &got) && got.start_ticks == start_ticks && !got.has_ended;
    if (is_read) {
        count_fds(process, deadline_ns, &got);
        sum_waits(process, deadline_ns, &got);
        *ret_figures = got;
    }
    (void)close(process);
    return is_read;
}

bool mfi_figures_read(int64_t pid, uint64_t start_ticks, uint64_t deadline_ns,
                      mfi_figures *ret_figures)
{
    return mfi_figures_read_in("/proc", pid, start_ticks, deadline_ns, ret_figures);
}

double mfi_figures_start_seconds(uint64_t start_ticks)
{
    struct timespec boot = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    double since_boot = (double)boot.tv_sec + (double)boot.tv_nsec / (double)MFI_NS_PER_S;
    double now = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    return now - since_boot + (double)start_ticks / (double)per_second();
}

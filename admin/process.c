/* Reads what the system and the allocator say of this process. It exists so that an operator sees
 * where memory, threads and descriptors went without a debugger. */
#include "admin/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/number.h"
#include "base/str.h"

#define THREADS_SHOWN 200

/* ---- Heap ---- */

static void append_heap(mfi_buf *out)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    struct mallinfo2 heap = mallinfo2();
    mfi_buf_printf(out,
                   ",\"heap\":{\"used_bytes\":%zu,\"free_bytes\":%zu,\"arena_bytes\":%zu,"
                   "\"mapped_bytes\":%zu,\"trimmable_bytes\":%zu}",
                   heap.uordblks, heap.fordblks, heap.arena, heap.hblkhd, heap.keepcost);
#else
    mfi_buf_append_str(out, ",\"heap\":null");
#endif
}

/* ---- Threads ---- */

/* Reads a small file of /proc/self/task. False if the thread has ended. */
static bool read_task(int folder, const char *tid, const char *file, char *to, size_t size)
{
    char path[300];
    (void)mfi_str_format(path, sizeof path, "%s/%s", tid, file);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, to, size - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    to[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* Fields 14 and 15 of stat, in clock ticks; the name, which may hold anything, ends with the last
 * parenthesis. */
static double cpu_seconds(const char *stat)
{
    const char *at = strrchr(stat, ')');
    for (int field = 2; at != NULL && field < 14; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return 0;
    }
    char *end = NULL;
    unsigned long long user = strtoull(at, &end, 10);
    unsigned long long system = strtoull(end, NULL, 10);
    long ticks = sysconf(_SC_CLK_TCK);
    return ticks > 0 ? (double)(user + system) / (double)ticks : 0;
}

static void append_threads(mfi_buf *out)
{
    char name[64];
    char stat[512];
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) {
        mfi_buf_append_str(out, ",\"threads\":null");
        return;
    }
    mfi_buf_append_str(out, ",\"threads\":[");
    for (const struct dirent *entry = NULL; (entry = readdir(tasks)) != NULL;) {
        if (entry->d_name[0] == '.' ||
            !read_task(dirfd(tasks), entry->d_name, "comm", name, sizeof name) ||
            !read_task(dirfd(tasks), entry->d_name, "stat", stat, sizeof stat)) {
            continue;
        }
        name[strcspn(name, "\n")] = '\0';
        if (count++ < THREADS_SHOWN) {
            mfi_buf_printf(out, "%s{\"tid\":%s,\"name\":\"", count > 1 ? "," : "", entry->d_name);
            mfi_str_append_json(out, name, strlen(name));
            mfi_buf_printf(out, "\",\"cpu_seconds\":%s}",
                           mfi_fixed_text(cpu_seconds(stat), 2).text);
        }
    }
    (void)closedir(tasks);
    mfi_buf_printf(out, "],\"thread_count\":%zu", count);
}

/* ---- Descriptors ---- */

static void append_descriptors(mfi_buf *out)
{
    static const char *const begins[] = {"socket:", "pipe:", "anon_inode:", "/"};
    size_t counts[5] = {0}; /* the last: others */
    size_t all = 0;
    struct rlimit limit = {.rlim_cur = 0};
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        mfi_buf_append_str(out, ",\"descriptors\":null");
        return;
    }
    for (const struct dirent *entry = NULL; (entry = readdir(folder)) != NULL;) {
        char link[64];
        ssize_t got = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        if (entry->d_name[0] == '.' || got < 0 ||
            strtol(entry->d_name, NULL, 10) == dirfd(folder)) {
            continue;
        }
        size_t kind = 0;
        link[got] = '\0';
        while (kind < 4 && strncmp(link, begins[kind], strlen(begins[kind])) != 0) {
            kind++;
        }
        counts[kind]++;
        all++;
    }
    (void)closedir(folder);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    mfi_buf_printf(out,
                   ",\"descriptors\":{\"open\":%zu,\"limit\":%llu,\"sockets\":%zu,\"pipes\":%zu,"
                   "\"anonymous\":%zu,\"files\":%zu,\"others\":%zu}",
                   all, (unsigned long long)limit.rlim_cur, counts[0], counts[1], counts[2],
                   counts[3], counts[4]);
}

void mfi_admin_append_process(mfi_buf *out)
{
    mfi_buf_printf(out, ",\"pid\":%d", (int)getpid());
    append_heap(out);
    append_threads(out);
    append_descriptors(out);
}

/* Figures of a process: hostile names in its stat, files of other kinds, a pid that was reused, and
 * what this process changes about itself. */
#include "base/figures.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "mf_test.h"

/* ---- The text of a stat ---- */

#define BEFORE_USER " 7 7 0 -1 4194304 100 0 0 0 "
#define NUMBERS                                                                                    \
    " S 5" BEFORE_USER "11 12 13 14 20 0 6 0 2389103 3133440 395 18446744073709551615 9\n"

/* Each hides a whole other stat in the name, or a part of one. */
static void test_names_hide_nothing(void)
{
    static const char *const names[] = {
        "cat",  "",    ")",        "))",      ") R 1 2", "a) Z 1" BEFORE_USER "9 9 9 9 20 0 9 ",
        "(a)",  "a b", ") ",       ") S",     "\n",      "7 (cat) Z 1",
        "%s%n", "(((", "\xff\xfe", ") Z 5 7", "a\tb)",   "x) R",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[512];
        mfi_figures got = {0};
        (void)snprintf(text, sizeof text, "4711 (%s)%s", names[i], NUMBERS);
        mf_check(mfi_figures_parse(text, 4711, &got));
        mf_check_int(got.parent, 5);
        mf_check_int(got.threads, 6);
        mf_check_int(got.start_ticks, 2389103);
        mf_check_int(got.resident_bytes, 395 * sysconf(_SC_PAGESIZE));
        mf_check_int(got.cpu_ns * (uint64_t)sysconf(_SC_CLK_TCK), 50 * MFI_NS_PER_S);
        mf_check(!got.has_ended && !got.has_fds && !got.has_wait);
    }
}

static void test_other_texts(void)
{
    static const char *const texts[] = {
        "",
        "4711",
        "4711 (a",
        "4711 (a)",
        "4711 (a) ",
        "4712 (a)" NUMBERS,
        "14711 (a)" NUMBERS,
        "4711 [a)" NUMBERS,
        "4711 (a)S 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 7 8\n",
        "4711 (a) S 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 7\n", /* may be cut in the last field */
        "4711 (a) S 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6\n",
        "4711 (a) SS 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 7 8\n",
        "4711 (a) S x" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 7 8\n",
        "4711 (a) S 5" BEFORE_USER "-1 2 3 4 20 0 6 0 5 6 7 8\n",
        "4711 (a) S 5" BEFORE_USER "1  2 3 4 20 0 6 0 5 6 7 8\n",
        "4711 (a) S 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 -7 8\n",
        "4711 (a) S 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 9223372036854775807 8\n",
        "4711 (a) S 5" BEFORE_USER "9223372036854775807 2 3 4 20 0 6 0 5 6 7 8\n",
        "4711 (a) S 5" BEFORE_USER "99999999999999999999 2 3 4 20 0 6 0 5 6 7 8\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        mfi_figures got = {.threads = 77};
        mf_check(!mfi_figures_parse(texts[i], 4711, &got));
        mf_check_int(got.threads, 77); /* untouched */
    }
}

static void test_ended(void)
{
    mfi_figures got = {0};
    mf_check(mfi_figures_parse("7 (a) Z 5" BEFORE_USER "1 2 3 4 20 0 6 0 5 6 7 8\n", 7, &got));
    mf_check(got.has_ended);
}

/* ---- Files of a test ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    mf_check(file != NULL && fputs(text, file) >= 0);
    mf_check(file != NULL && fclose(file) == 0);
}

static void make_folder(const char *folder, const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    mf_check_int(mkdir(path, 0700), 0);
}

static bool read_in(const char *proc, uint64_t start, mfi_figures *ret_figures)
{
    return mfi_figures_read_in(proc, 4711, start, UINT64_MAX, ret_figures);
}

static void test_waits_are_summed(void)
{
    const char *proc = mf_test_temp_dir();
    mfi_figures got = {0};
    make_folder(proc, "4711");
    write_file(proc, "4711/stat", "4711 (a)" NUMBERS);
    mf_check(read_in(proc, 2389103, &got));
    mf_check(!got.has_wait);                 /* no such files */
    mf_check(!read_in(proc, 2389104, &got)); /* the pid was given to another process */
    make_folder(proc, "4711/task");
    make_folder(proc, "4711/task/4711");
    make_folder(proc, "4711/task/4712");
    make_folder(proc, "4711/task/4713"); /* a thread that has ended meanwhile */
    write_file(proc, "4711/task/4711/schedstat", "0 0 0\n");
    write_file(proc, "4711/task/4712/schedstat", "0 0 0\n");
    mf_check(read_in(proc, 2389103, &got));
    mf_check(!got.has_wait); /* a kernel that does not measure */
    write_file(proc, "4711/task/4711/schedstat", "900 30 7\n");
    write_file(proc, "4711/task/4712/schedstat", "800 4 6\n");
    mf_check(read_in(proc, 2389103, &got));
    mf_check(got.has_wait);
    mf_check_int(got.wait_ns, 34);
    write_file(proc, "4711/task/4712/schedstat", "800 x 6\n");
    mf_check(read_in(proc, 2389103, &got));
    mf_check_int(got.wait_ns, 30);
}

static void test_bounds(void)
{
    char name[64];
    const char *proc = mf_test_temp_dir();
    mfi_figures got = {0};
    make_folder(proc, "4715");
    make_folder(proc, "4715/task");
    write_file(proc, "4715/stat", "4715 (a)" NUMBERS);
    for (int i = 1; i <= MFI_FIGURES_THREADS_MAX + 1; i++) {
        mf_check(mfi_figures_read_in(proc, 4715, 2389103, UINT64_MAX, &got));
        mf_check_int(got.has_wait, i > 1);
        (void)snprintf(name, sizeof name, "4715/task/%d", i);
        make_folder(proc, name);
        (void)snprintf(name, sizeof name, "4715/task/%d/schedstat", i);
        write_file(proc, name, "1 1 1\n");
    }
    mf_check(mfi_figures_read_in(proc, 4715, 2389103, UINT64_MAX, &got));
    mf_check(!got.has_wait); /* one thread too many */
}

/* Once the time is over, only what is read by then is known. */
static void test_late(void)
{
    mfi_figures own = {0};
    mfi_figures got = {0};
    mf_check(mfi_figures_look(getpid(), &own));
    mf_check(mfi_figures_read(getpid(), own.start_ticks, 0, &got));
    mf_check(!got.has_wait);
    mf_check_int(got.start_ticks, own.start_ticks);
}

/* ---- This process ---- */

static mfi_figures own_figures(void)
{
    mfi_figures look = {0};
    mfi_figures got = {0};
    mf_check(mfi_figures_look(getpid(), &look));
    mf_check(mfi_figures_read(getpid(), look.start_ticks, UINT64_MAX, &got));
    return got;
}

static void test_memory_and_descriptors(void)
{
    enum { MEMORY = 64 * 1024 * 1024, DESCRIPTORS = 50 };
    int fds[DESCRIPTORS];
    mfi_figures before = own_figures();
    void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    mf_check(memory != MAP_FAILED);
    for (int i = 0; i < DESCRIPTORS; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    mfi_figures after = own_figures();
    mf_check(before.has_fds && after.has_fds);
    mf_check_int(after.open_fds, before.open_fds + DESCRIPTORS);
    mf_check(after.resident_bytes >= MEMORY);
    mf_check_int(after.parent, getppid());
    for (int i = 0; i < DESCRIPTORS; i++) {
        (void)close(fds[i]);
    }
    (void)munmap(memory, MEMORY);
    mf_check_int(own_figures().open_fds, before.open_fds);
}

static void *hold_thread(void *semaphore)
{
    (void)sem_wait(semaphore);
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[5];
    sem_t held;
    uint64_t before = own_figures().threads;
    (void)sem_init(&held, 0, 0);
    for (int i = 0; i < 5; i++) {
        mf_check_int(pthread_create(&threads[i], NULL, hold_thread, &held), 0);
    }
    mf_check_int(own_figures().threads, before + 5);
    for (int i = 0; i < 5; i++) {
        (void)sem_post(&held);
    }
    for (int i = 0; i < 5; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)sem_destroy(&held);
}

static bool has_used_more(void *data)
{
    uint64_t at = mfi_monotonic_ns();
    while (mfi_monotonic_ns() - at < MFI_NS_PER_MS) {
    }
    return own_figures().cpu_ns > *(const uint64_t *)data;
}

static void test_processor_time(void)
{
    uint64_t before = own_figures().cpu_ns;
    mf_check(mf_test_until(has_used_more, &before, MF_TEST_PATIENCE_MS));
    struct timespec used;
    mf_check_int(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    uint64_t most = (uint64_t)used.tv_sec * MFI_NS_PER_S + (uint64_t)used.tv_nsec;
    mf_check(before <= most);
}

/* A child that has ended is not gone before somebody has waited for it. */
static void test_ended_child(void)
{
    mfi_figures seen = {0};
    mfi_figures got = {0};
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    mf_check_int(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    mf_check(mfi_figures_look(pid, &seen));
    mf_check(seen.has_ended);
    mf_check(!mfi_figures_read(pid, seen.start_ticks, UINT64_MAX, &got));
    mf_check_int(waitpid(pid, NULL, 0), pid);
    mf_check(!mfi_figures_look(pid, &seen));
}

static void test_nobody(void)
{
    mfi_figures got;
    mf_check(!mfi_figures_look(0, &got));
    mf_check(!mfi_figures_look(-1, &got));
    mf_check(!mfi_figures_read_in("/nonexistent", 1, 0, UINT64_MAX, &got));
}

static void test_start(void)
{
    mfi_figures got = own_figures();
    double started = mfi_figures_start_seconds(got.start_ticks);
    double now = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    mf_check(started <= now);
    mf_check(started > now - (double)mfi_monotonic_ns() / (double)MFI_NS_PER_S);
}

static const mf_test tests[] = {
    {"figures__names_hide_nothing", test_names_hide_nothing},
    {"figures__other_texts", test_other_texts},
    {"figures__ended", test_ended},
    {"figures__waits_are_summed", test_waits_are_summed},
    {"figures__bounds", test_bounds},
    {"figures__late", test_late},
    {"figures__memory_and_descriptors", test_memory_and_descriptors},
    {"figures__threads", test_threads},
    {"figures__processor_time", test_processor_time},
    {"figures__ended_child", test_ended_child},
    {"figures__nobody", test_nobody},
    {"figures__start", test_start},
};

MF_TEST_MAIN(tests)

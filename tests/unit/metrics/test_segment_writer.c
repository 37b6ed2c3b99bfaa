/* The memory in which a worker's counters outlive the worker, and its reader. */
#include "metrics/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "segment_support.h"

/* ---- Making and attaching ---- */

static void test_make(void)
{
    int fd = mfi_segment_make(0);
    int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    mf_check_int(fcntl(fd, F_GET_SEALS) & wanted, wanted);
    mf_check((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    mf_check_int(lseek(fd, 0, SEEK_END), MFI_SEGMENT_BYTES);
    mf_check(ftruncate(fd, 0) != 0);
    close(fd);
    errno = 0;
    mf_check_int(mfi_segment_make(1), -1);
    mf_check_int(errno, EINVAL);
    mf_check_int(mfi_segment_make(MFI_SEGMENT_BYTES_MOST + 1), -1);
}

static void test_refuses_what_is_no_segment(void)
{
    mfi_segment *segment = NULL;
    int plain = memfd_create("plain", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    mf_check_int(ftruncate(plain, (off_t)MFI_SEGMENT_BYTES), 0);
    mf_check_int(mfi_segment_attach(plain, &segment), MFI_SEGMENT_REFUSED); /* not sealed */
    mf_check(mfi_segment_open(plain) == NULL);
    mf_check_int(fcntl(plain, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    mf_check_int(mfi_segment_attach(plain, &segment), MFI_SEGMENT_REFUSED); /* no magic */
    mf_check(segment == NULL);
    mf_check_int(mfi_segment_attach(-1, &segment), MFI_SEGMENT_REFUSED);
    mf_check_int(mfi_segment_attach(STDIN_FILENO, &segment), MFI_SEGMENT_REFUSED);
    close(plain);
}

/* Two writers would take the same bytes for their blocks. */
static void test_one_worker_attaches(void)
{
    pair at;
    mfi_segment *second = NULL;
    pair_begin(&at, 0);
    mf_check_int(mfi_segment_attach(at.fd, &second), MFI_SEGMENT_REFUSED);
    mf_check(second == NULL);
    mf_check_int(facts_of(&at).worker_version, MFI_SEGMENT_VERSION);
    pair_end(&at);
}

static void test_other_version(void)
{
    pair at = {.fd = mfi_segment_make(MFI_SEGMENT_BYTES_LEAST)};
    static unsigned char before[MFI_SEGMENT_BYTES_LEAST];
    mfi_segment_head *head = scribble_on(&at);
    head->version = MFI_SEGMENT_VERSION + 1;
    memcpy(before, head, sizeof before);
    mf_check_int(mfi_segment_attach(at.fd, &at.segment), MFI_SEGMENT_OTHER_VERSION);
    mf_check(at.segment == NULL);
    mf_check_int(head->worker_version, MFI_SEGMENT_VERSION);
    atomic_store(&head->worker_version, 0);
    mf_check(memcmp(before, head, sizeof before) == 0); /* nothing else was touched */
    munmap(head, MFI_SEGMENT_BYTES_LEAST);
    close(at.fd);
}

/* ---- Counters and histograms ---- */

/* Calls beyond the family's cap are counted in the segment too. */
static void test_folded_series(void)
{
    pair at;
    pair_begin(&at, 0);
    mf_family *capped =
        add_family(at.metrics, MF_METRIC_COUNTER, "capped_total", segment_labels, 3, 1);
    mf_check(mfi_segment_keep(at.segment, capped, &calls_place));
    for (int i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        mf_counter_add(mf_family_counter(capped, (const char *const[]){"w", name, "ok"}), 1);
    }
    totals other = collect(at.reader, MFI_SEGMENT_CALLS, MF_METRIC_OTHER, MFI_SEGMENT_NO_WORD);
    mf_check_int(other.count, 2);
    mf_check_int(other.all, 3);
    pair_end(&at);
}

static void test_keep_comes_first(void)
{
    pair at;
    pair_begin(&at, 0);
    mf_check(!mfi_segment_keep(at.segment, at.calls, &calls_place)); /* kept already */
    mf_family *late = add_family(at.metrics, MF_METRIC_COUNTER, "late_total", segment_labels, 3, 0);
    (void)mf_family_counter(late, (const char *const[]){"w", "foo", "ok"});
    mf_check(!mfi_segment_keep(at.segment, late, &calls_place));
    mf_family *gauge = add_family(at.metrics, MF_METRIC_GAUGE, "gauge", segment_labels, 3, 0);
    mf_check(!mfi_segment_keep(at.segment, gauge, &calls_place));
    mf_family *narrow =
        add_family(at.metrics, MF_METRIC_COUNTER, "narrow_total", segment_labels, 2, 0);
    mf_check(!mfi_segment_keep(at.segment, narrow, &calls_place)); /* it has no such label */
    mf_check(mfi_segment_keep(NULL, late, &calls_place));
    pair_end(&at);
}

/* What finds no room counts on the heap, and the segment says how many series that are. */
static void test_full_segment(void)
{
    pair at;
    enum { SERIES = 900 };
    uint64_t kept = 0;
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", i);
        mf_counter *counter = counter_of(&at, name, "ok");
        mf_counter_add(counter, 1);
        mf_check_int(mf_counter_value(counter), 1);
        mf_histogram *histogram = histogram_of(&at, name, "ok");
        mf_distribution read;
        mf_histogram_record_ns(histogram, 1000000);
        mf_histogram_record_ns(histogram, 1000000);
        mf_histogram_read(histogram, &read);
        mf_check_int(read.count, 2);
    }
    kept = collect(at.reader, MFI_SEGMENT_CALLS, "f0", 0).all;
    mfi_segment_facts facts = facts_of(&at);
    mf_check(kept > 0 && kept < UINT64_C(3) * SERIES);
    /* A histogram may have its series there and its cells not. No series is counted twice. */
    mf_check(facts.lost_series > 0 && facts.lost_series < UINT64_C(2) * SERIES);
    mf_check(kept + 3 * facts.lost_series >= UINT64_C(3) * SERIES);
    mf_check_int(facts.ignored, 0);
    pair_end(&at);
}

/* What MFI_SEGMENT_BYTES says of its size: four threads, and durations over eight octaves. */
static pthread_barrier_t all_count; /* so that no thread takes over the cells of another */

static void *count_all_functions(void *argument)
{
    const pair *at = argument;
    for (int function = 0; function < 32; function++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%d", function);
        for (int octave = 0; octave < 8; octave++) {
            mf_counter_add(counter_of(at, name, "ok"), 1);
            mf_counter_add(counter_of(at, name, "error"), 1);
            mf_histogram_record_ns(histogram_of(at, name, "ok"), UINT64_C(100000) << octave);
            mf_histogram_record_ns(histogram_of(at, name, "error"), UINT64_C(100000) << octave / 2);
        }
    }
    (void)pthread_barrier_wait(&all_count);
    return NULL;
}

static void test_default_size(void)
{
    pair at;
    pthread_t threads[4];
    pair_begin(&at, 0);
    pthread_barrier_init(&all_count, NULL, 4);
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, count_all_functions, &at);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&all_count);
    mf_check_int(facts_of(&at).lost_series, 0);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "f0", 0).all, 4 * 32 * 8 * 4);
    mfi_segment_head *head = scribble_on(&at);
    mf_check(sizeof *head + head->used > MFI_SEGMENT_BYTES / 2); /* half of it were too small */
    munmap(head, MFI_SEGMENT_BYTES_LEAST);
    pair_end(&at);
}

#define THREADS 20 /* more than there are shards with an owner */
#define EACH 2000

static void *count_calls(void *argument)
{
    const pair *at = argument;
    for (int i = 0; i < EACH; i++) {
        mf_counter_add(counter_of(at, "foo", "ok"), 1);
        mf_histogram_record_ns(histogram_of(at, "foo", "ok"), 1000 + (uint64_t)i * 1000);
    }
    return NULL;
}

static void test_threads_lose_nothing(void)
{
    pair at;
    pthread_t threads[THREADS];
    uint64_t all = 0;
    pair_begin(&at, 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count_calls, &at);
    }
    for (int i = 0; i < 50; i++) {
        all += collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    all += collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all;
    mf_check_int(all, 2 * THREADS * EACH);
    mf_check_int(facts_of(&at).ignored, 0);
    pair_end(&at);
}

/* ---- The worker's end, and its children ---- */

static void test_outlives_a_killed_worker(void)
{
    int status = 0;
    int fd = mfi_segment_make(0);
    pid_t worker = fork();
    if (worker == 0) {
        mf_metrics *metrics = make_set();
        mf_family *calls =
            add_family(metrics, MF_METRIC_COUNTER, "calls_total", segment_labels, 3, 0);
        mfi_segment *segment = NULL;
        (void)mfi_segment_attach(fd, &segment);
        (void)mfi_segment_keep(segment, calls, &calls_place);
        mf_counter_add(mf_family_counter(calls, (const char *const[]){"w", "foo", "ok"}), 42);
        mfi_segment_begin(segment, 3, &(mfi_segment_call){.function = "foo", .started_ns = 77});
        mfi_segment_log(segment, "the last words", strlen("the last words"));
        (void)raise(SIGKILL);
    }
    mf_check_int(waitpid(worker, &status, 0), worker);
    mf_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    mfi_segment_reader *reader = mfi_segment_open(fd);
    mfi_segment_running running[2];
    mf_check_int(collect(reader, MFI_SEGMENT_CALLS, "foo", 0).count, 42);
    mf_check_int(mfi_segment_read_running(reader, running, 2), 1);
    mf_check_str(running[0].function, "foo");
    mf_check_int(running[0].started_ns, 77);
    mfi_segment_close(reader);
    close(fd);
}

/* What a forked child counts, notes and logs reaches nobody, and nothing of it faults. */
static void test_forked_child(void)
{
    pair at;
    int status = 0;
    pair_begin(&at, 0);
    mf_counter *counter = counter_of(&at, "foo", "ok");
    mf_counter_add(counter, 1);
    mf_histogram_record_ns(histogram_of(&at, "foo", "ok"), 1000);
    pid_t child = fork();
    if (child == 0) {
        mf_counter_add(counter, 100);
        mf_histogram_record_ns(histogram_of(&at, "foo", "ok"), 1000);
        mf_histogram_record_ns(histogram_of(&at, "bar", "ok"), 1000); /* makes a series */
        mfi_segment_begin(at.segment, 0, &(mfi_segment_call){.function = "f", .started_ns = 1});
        mfi_segment_queue(at.segment, 9, 0);
        mfi_segment_log(at.segment, "of the child", strlen("of the child"));
        _exit(mf_counter_value(counter) == 100 ? 0 : 1);
    }
    mf_check_int(waitpid(child, &status, 0), child);
    mf_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mfi_segment_running running[1];
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all, 2);
    mf_check_int(mfi_segment_read_running(at.reader, running, 1), 0);
    mf_check_int(facts_of(&at).waiting, 0);
    mf_counter_add(counter, 1); /* the worker itself goes on */
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 1);
    pair_end(&at);
}

static const mf_test tests[] = {
    {"segment__is_sealed_and_bounded", test_make},
    {"segment__refuses_what_is_no_segment", test_refuses_what_is_no_segment},
    {"segment__one_worker_attaches", test_one_worker_attaches},
    {"segment__another_version_is_noted_and_nothing_else", test_other_version},
    {"segment__folded_series_count", test_folded_series},
    {"segment__a_family_is_kept_before_it_has_series", test_keep_comes_first},
    {"segment__a_full_segment_falls_back_to_the_heap", test_full_segment},
    {"segment__the_default_has_room_for_four_threads", test_default_size},
    {"segment__threads_lose_nothing", test_threads_lose_nothing},
    {"segment__outlives_a_killed_worker", test_outlives_a_killed_worker},
    {"segment__a_forked_child_reaches_nobody", test_forked_child},
};
MF_TEST_MAIN(tests)

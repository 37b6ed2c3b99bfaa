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

#include "metric_support.h"
#include "metrics/segment_layout.h"

static const char *const statuses[] = {"ok", "error"};
static const char *const labels[] = {"worker", "function", "status"};
static const mfi_segment_place calls_place = {MFI_SEGMENT_CALLS, 1, 2, statuses, 2};
static const mfi_segment_place duration_place = {MFI_SEGMENT_DURATION, 1, 2, statuses, 2};

/* ---- A worker and its parent in one process ---- */

typedef struct pair {
    int fd;
    mfi_segment *segment;
    mfi_segment_reader *reader;
    mf_metrics *metrics;
    mf_family *calls, *duration;
} pair;

static void pair_begin(pair *at, size_t size)
{
    at->fd = mfi_segment_make(size);
    mf_check(at->fd >= 0);
    mf_check_int(mfi_segment_attach(at->fd, &at->segment), MFI_SEGMENT_ATTACHED);
    at->reader = mfi_segment_open(at->fd);
    mf_check(at->reader != NULL);
    at->metrics = make_set();
    at->calls = add_family(at->metrics, MF_METRIC_COUNTER, "calls_total", labels, 3, 0);
    at->duration = add_family(at->metrics, MF_METRIC_HISTOGRAM, "call_seconds", labels, 3, 0);
    mf_check(mfi_segment_keep(at->segment, at->calls, &calls_place));
    mf_check(mfi_segment_keep(at->segment, at->duration, &duration_place));
}

static void pair_end(pair *at)
{
    mf_metrics_destroy(at->metrics);
    mfi_segment_close(at->reader);
    mfi_segment_detach(at->segment);
    close(at->fd);
}

static mf_counter *counter_of(const pair *at, const char *function, const char *status)
{
    return mf_family_counter(at->calls, (const char *const[]){"w", function, status});
}

static mf_histogram *histogram_of(const pair *at, const char *function, const char *status)
{
    return mf_family_histogram(at->duration, (const char *const[]){"w", function, status});
}

/* What the parent has added up of one series, and of all. */
typedef struct totals {
    mfi_segment_family family;
    const char *function;
    unsigned word;
    uint64_t count, sum; /* of that series */
    unsigned visits;     /* of that series */
    uint64_t all;
    unsigned all_visits;
} totals;

static void add_up(const mfi_segment_delta *delta, void *user_data)
{
    totals *to = user_data;
    uint64_t count = delta->is_histogram ? delta->cells->count : delta->count;
    to->all += count;
    to->all_visits++;
    if (delta->family == to->family && delta->word == to->word &&
        strcmp(delta->function, to->function) == 0) {
        to->count += count;
        to->sum += delta->sum;
        to->visits++;
    }
}

static totals collect(mfi_segment_reader *reader, mfi_segment_family family, const char *function,
                      unsigned word)
{
    totals found = {.family = family, .function = function, .word = word};
    mfi_segment_collect(reader, add_up, &found);
    return found;
}

static mfi_segment_facts facts_of(const pair *at)
{
    mfi_segment_facts facts;
    mfi_segment_read(at->reader, &facts);
    return facts;
}

/* The whole segment, writable, as a program that scribbles sees it. */
static mfi_segment_head *scribble_on(const pair *at)
{
    void *head = mmap(NULL, MFI_SEGMENT_BYTES_LEAST, PROT_READ | PROT_WRITE, MAP_SHARED, at->fd, 0);
    mf_check(head != MAP_FAILED);
    return head;
}

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

static void test_differences(void)
{
    pair at;
    pair_begin(&at, 0);
    mf_counter *ok = counter_of(&at, "foo", "ok");
    mf_counter *error = counter_of(&at, "foo", "error");
    mf_histogram *duration = histogram_of(&at, "foo", "error");
    mf_counter_add(ok, 3);
    mf_counter_add(error, 1);
    mf_histogram_record_ns(duration, 1000000);
    mf_histogram_record_ns(duration, 0);
    mf_histogram_record_ns(duration, UINT64_C(1) << 50);
    totals first = collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0);
    mf_check_int(first.count, 3);
    mf_check_int(first.all, 3 + 1 + 3);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all_visits, 0); /* no change */
    mf_counter_add(ok, 4);
    mf_histogram_record_ns(duration, 5000);
    totals second = collect(at.reader, MFI_SEGMENT_DURATION, "foo", 1);
    mf_check_int(second.count, 1);
    mf_check_int(second.sum, 5000);
    mf_check_int(second.all, 4 + 1);
    mf_check_int(mf_counter_value(ok), 7); /* the worker reads its own counters as ever */
    mf_check_int(facts_of(&at).ignored, 0);
    mf_check_int(facts_of(&at).lost_series, 0);
    pair_end(&at);
}

/* A series shows before it counts, so that the parent has it too. A word that is in no table, and a
 * long or malformed name, are bounded. */
static void test_names(void)
{
    pair at;
    char name[300];
    pair_begin(&at, 0);
    (void)collect(at.reader, MFI_SEGMENT_CALLS, "", 0); /* the series beyond the caps */
    (void)counter_of(&at, "foo", "ok");
    totals made = collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0);
    mf_check_int(made.visits, 1);
    mf_check_int(made.all_visits, 1);
    mf_counter_add(counter_of(&at, "bar", "strange"), 1);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "bar", MFI_SEGMENT_NO_WORD).count, 1);
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    mf_counter_add(counter_of(&at, name, "ok"), 1);
    name[MFI_SEGMENT_FUNCTION_MAX] = '\0';
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, name, 0).count, 1);
    pair_end(&at);
}

/* Calls beyond the family's cap are counted in the segment too. */
static void test_folded_series(void)
{
    pair at;
    pair_begin(&at, 0);
    mf_family *capped = add_family(at.metrics, MF_METRIC_COUNTER, "capped_total", labels, 3, 1);
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
    mf_family *late = add_family(at.metrics, MF_METRIC_COUNTER, "late_total", labels, 3, 0);
    (void)mf_family_counter(late, (const char *const[]){"w", "foo", "ok"});
    mf_check(!mfi_segment_keep(at.segment, late, &calls_place));
    mf_family *gauge = add_family(at.metrics, MF_METRIC_GAUGE, "gauge", labels, 3, 0);
    mf_check(!mfi_segment_keep(at.segment, gauge, &calls_place));
    mf_family *narrow = add_family(at.metrics, MF_METRIC_COUNTER, "narrow_total", labels, 2, 0);
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
        mf_family *calls = add_family(metrics, MF_METRIC_COUNTER, "calls_total", labels, 3, 0);
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
        mfi_segment_set(at.segment, MFI_SEGMENT_QUEUE_DEPTH, 9);
        mfi_segment_log(at.segment, "of the child", strlen("of the child"));
        _exit(mf_counter_value(counter) == 100 ? 0 : 1);
    }
    mf_check_int(waitpid(child, &status, 0), child);
    mf_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mfi_segment_running running[1];
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all, 2);
    mf_check_int(mfi_segment_read_running(at.reader, running, 1), 0);
    mf_check_int(facts_of(&at).gauges[MFI_SEGMENT_QUEUE_DEPTH], 0);
    mf_counter_add(counter, 1); /* the worker itself goes on */
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 1);
    pair_end(&at);
}

/* ---- A worker that scribbles ---- */

static void test_cell_that_goes_backwards(void)
{
    pair at;
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    mf_counter *counter = counter_of(&at, "foo", "ok");
    _Atomic(uint64_t) *cell = &counter->page->cells[MFI_SHARED_SHARD][counter->index];
    *cell = 10;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 10);
    *cell = 4;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 0);
    mf_check_int(facts_of(&at).ignored, 1);
    *cell = UINT64_MAX;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 0);
    mf_check_int(facts_of(&at).ignored, 2);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all_visits, 0);
    mf_check_int(facts_of(&at).ignored, 2); /* once for each time */
    pair_end(&at);
}

static void test_broken_blocks(void)
{
    pair at;
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    mf_counter_add(counter_of(&at, "foo", "ok"), 1);
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 1);
    mfi_segment_head *head = scribble_on(&at);
    uint64_t used = head->used;
    memset(head->blocks + used, 0xff, 64);
    head->used = UINT64_MAX;
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).all_visits, 0);
    mf_check_int(facts_of(&at).ignored, 1);
    mf_counter_add(counter_of(&at, "foo", "ok"), 1); /* what is known already still counts */
    mf_check_int(collect(at.reader, MFI_SEGMENT_CALLS, "foo", 0).count, 1);
    munmap(head, MFI_SEGMENT_BYTES_LEAST);
    pair_end(&at);
}

/* ---- Gauges, running calls, log ---- */

static void test_gauges(void)
{
    pair at;
    pair_begin(&at, 0);
    mfi_segment_set(at.segment, MFI_SEGMENT_QUEUE_DEPTH, 1);
    mfi_segment_set(at.segment, MFI_SEGMENT_QUEUE_BYTES, 2);
    mfi_segment_set(at.segment, MFI_SEGMENT_THREADS, 3);
    mfi_segment_set(NULL, MFI_SEGMENT_THREADS, 4);
    mfi_segment_facts facts = facts_of(&at);
    mf_check_int(facts.gauges[MFI_SEGMENT_QUEUE_DEPTH], 1);
    mf_check_int(facts.gauges[MFI_SEGMENT_QUEUE_BYTES], 2);
    mf_check_int(facts.gauges[MFI_SEGMENT_THREADS], 3);
    pair_end(&at);
}

static void test_running_calls(void)
{
    pair at;
    char name[200];
    mfi_segment_running running[MFI_SEGMENT_RUNNING];
    pair_begin(&at, 0);
    memset(name, 'a', sizeof name);
    memcpy(name + MFI_SEGMENT_FUNCTION_MAX - 1, "\xc3\xa4", 3); /* the limit cuts a character */
    mfi_segment_call call = {.function = name,
                             .correlation_id = "c-1",
                             .trace_id = "0af7651916cd43dd8448eb211c80319c",
                             .span_id = "b7ad6b7169203331",
                             .request_id = "r-1",
                             .namespace_name = "\xff",
                             .started_ns = 5};
    mfi_segment_begin(at.segment, 7, &call);
    call.function = NULL;
    mfi_segment_begin(at.segment, MFI_SEGMENT_RUNNING - 1, &call);
    mfi_segment_begin(at.segment, MFI_SEGMENT_RUNNING, &call); /* beyond the entries */
    mfi_segment_begin(NULL, 0, &call);
    mf_check_int(mfi_segment_read_running(at.reader, running, MFI_SEGMENT_RUNNING), 2);
    mf_check_int(running[0].number, 7);
    mf_check_int(strlen(running[0].function), MFI_SEGMENT_FUNCTION_MAX - 1);
    mf_check_str(running[0].correlation_id, "c-1");
    mf_check_str(running[0].trace_id, "0af7651916cd43dd8448eb211c80319c");
    mf_check_str(running[0].span_id, "b7ad6b7169203331");
    mf_check_str(running[0].request_id, "r-1");
    mf_check_str(running[0].namespace_name, "\xef\xbf\xbd");
    mf_check_int(running[0].started_ns, 5);
    mf_check_int(running[1].number, MFI_SEGMENT_RUNNING - 1);
    mf_check_str(running[1].function, "");
    mf_check_int(mfi_segment_read_running(at.reader, running, 1), 1); /* no more than asked for */
    mfi_segment_end(at.segment, 7);
    mfi_segment_end(at.segment, MFI_SEGMENT_RUNNING);
    mfi_segment_end(NULL, 0);
    mf_check_int(mfi_segment_read_running(at.reader, running, MFI_SEGMENT_RUNNING), 1);
    pair_end(&at);
}

/* A worker that was killed while it wrote an entry leaves it odd for ever. */
static void test_frozen_entry(void)
{
    pair at;
    mfi_segment_running running[2];
    pair_begin(&at, MFI_SEGMENT_BYTES_LEAST);
    mfi_segment_begin(at.segment, 0, &(mfi_segment_call){.function = "f", .started_ns = 1});
    mfi_segment_begin(at.segment, 1, &(mfi_segment_call){.function = "g", .started_ns = 1});
    mfi_segment_head *head = scribble_on(&at);
    head->running[0].version += 1;
    mf_check_int(mfi_segment_read_running(at.reader, running, 2), 1);
    mf_check_int(running[0].number, 1);
    munmap(head, MFI_SEGMENT_BYTES_LEAST);
    pair_end(&at);
}

typedef struct writer {
    mfi_segment *segment;
    _Atomic(bool) ends;
} writer;

/* Every text of a call has the same letter. */
static void *run_calls(void *argument)
{
    writer *at = argument;
    for (unsigned i = 0; !at->ends; i++) {
        char text[65] = {0};
        memset(text, 'a' + (int)(i % 26), 1 + i % 64);
        mfi_segment_begin(at->segment, 0,
                          &(mfi_segment_call){.function = text,
                                              .correlation_id = text,
                                              .request_id = text,
                                              .namespace_name = text,
                                              .started_ns = 1 + i % 26});
        mfi_segment_log(at->segment, text, strlen(text));
    }
    return NULL;
}

static void count_torn(const char *line, size_t size, void *user_data)
{
    unsigned *torn = user_data;
    *torn += size == 0 || size > 64 || strspn(line, (const char[]){line[0], '\0'}) != size;
}

/* Neither an entry nor a line is ever half of one and half of another. */
static void test_nothing_is_torn(void)
{
    pair at;
    pthread_t thread;
    unsigned torn = 0;
    pair_begin(&at, 0);
    writer from = {.segment = at.segment};
    pthread_create(&thread, NULL, run_calls, &from);
    for (int seen = 0, i = 0; i < 2000 || seen < 10; i++) {
        mfi_segment_running running;
        if (mfi_segment_read_running(at.reader, &running, 1) == 1) {
            char letter[2] = {(char)('a' + (char)running.started_ns - 1), '\0'};
            seen++;
            torn += strspn(running.function, letter) != strlen(running.function) ||
                    strcmp(running.function, running.correlation_id) != 0 ||
                    strcmp(running.function, running.request_id) != 0 ||
                    strcmp(running.function, running.namespace_name) != 0;
        }
        if (i % 100 == 0) {
            mfi_segment_read_log(at.reader, count_torn, &torn);
        }
    }
    from.ends = true;
    pthread_join(thread, NULL);
    mf_check_int(torn, 0);
    pair_end(&at);
}

typedef struct kept_lines {
    unsigned count;
    char first[64], last[64];
    size_t bytes;
} kept_lines;

static void keep_line(const char *line, size_t size, void *user_data)
{
    kept_lines *lines = user_data;
    if (lines->count == 0) {
        (void)snprintf(lines->first, sizeof lines->first, "%s", line);
    }
    (void)snprintf(lines->last, sizeof lines->last, "%s", line);
    mf_check_int(strlen(line), size);
    lines->count++;
    lines->bytes += size + 1;
}

static void test_log(void)
{
    pair at;
    kept_lines lines = {.count = 0};
    static char large[MFI_SEGMENT_LOG_BYTES + 1];
    pair_begin(&at, 0);
    mfi_segment_read_log(at.reader, keep_line, &lines);
    mf_check_int(lines.count, 0);
    mfi_segment_log(at.segment, "one\n", 4);
    mfi_segment_log(at.segment, "t\x1b[1mwo\xff", 8);
    memset(large, 'x', sizeof large);
    mfi_segment_log(at.segment, large, MFI_SEGMENT_LOG_BYTES); /* with a newline it is too long */
    mfi_segment_log(NULL, "none", 4);
    mfi_segment_read_log(at.reader, keep_line, &lines);
    mf_check_int(lines.count, 2);
    mf_check_str(lines.first, "one");
    mf_check_str(lines.last, "t\\x1b[1mwo\xef\xbf\xbd");
    for (int i = 0; i < 10000; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "line %d", i);
        mfi_segment_log(at.segment, text, (size_t)size);
    }
    lines = (kept_lines){.count = 0};
    mfi_segment_read_log(at.reader, keep_line, &lines);
    mf_check_str(lines.last, "line 9999");
    mf_check_int(lines.bytes, MFI_SEGMENT_LOG_BYTES / 10 * 10); /* whole lines, as many as fit */
    mf_check(strncmp(lines.first, "line ", 5) == 0);
    mf_check_int(atoi(lines.first + 5), 10000 - (int)lines.count);
    pair_end(&at);
}

/* ---- The parent's totals ---- */

static void add_to_histogram(const mfi_segment_delta *delta, void *user_data)
{
    if (delta->is_histogram) {
        mfi_histogram_add_cells(user_data, delta->cells, delta->sum);
    }
}

/* Over restarts the parent's histogram has what all the workers had together. */
static void test_totals_over_restarts(void)
{
    mf_metrics *metrics = make_set();
    mf_histogram *total = mf_family_histogram(
        add_family(metrics, MF_METRIC_HISTOGRAM, "total_seconds", NULL, 0, 0), NULL);
    mf_histogram *wanted = mf_family_histogram(
        add_family(metrics, MF_METRIC_HISTOGRAM, "wanted_seconds", NULL, 0, 0), NULL);
    static const uint64_t values[] = {0, 1000, 2000000, 2000001, UINT64_C(1) << 50};
    for (int restart = 0; restart < 3; restart++) {
        pair at;
        pair_begin(&at, 0);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            mf_histogram_record_ns(histogram_of(&at, "foo", "ok"), values[i]);
            mf_histogram_record_ns(wanted, values[i]);
            mfi_segment_collect(at.reader, add_to_histogram, total);
        }
        pair_end(&at);
    }
    static mfi_cells got, want;
    mfi_histogram_merge(total, &got);
    mfi_histogram_merge(wanted, &want);
    mf_check_int(got.count, 15);
    mf_check(memcmp(&got, &want, sizeof got) == 0);
    mf_metrics_destroy(metrics);
}

static const mf_test tests[] = {
    {"segment__is_sealed_and_bounded", test_make},
    {"segment__refuses_what_is_no_segment", test_refuses_what_is_no_segment},
    {"segment__one_worker_attaches", test_one_worker_attaches},
    {"segment__another_version_is_noted_and_nothing_else", test_other_version},
    {"segment__collect_reports_differences", test_differences},
    {"segment__names_and_words_are_bounded", test_names},
    {"segment__folded_series_count", test_folded_series},
    {"segment__a_family_is_kept_before_it_has_series", test_keep_comes_first},
    {"segment__a_full_segment_falls_back_to_the_heap", test_full_segment},
    {"segment__the_default_has_room_for_four_threads", test_default_size},
    {"segment__threads_lose_nothing", test_threads_lose_nothing},
    {"segment__outlives_a_killed_worker", test_outlives_a_killed_worker},
    {"segment__a_forked_child_reaches_nobody", test_forked_child},
    {"segment__a_cell_that_goes_backwards_is_ignored", test_cell_that_goes_backwards},
    {"segment__broken_blocks_are_bounded", test_broken_blocks},
    {"segment__gauges", test_gauges},
    {"segment__running_calls", test_running_calls},
    {"segment__a_frozen_entry_is_skipped", test_frozen_entry},
    {"segment__nothing_is_torn", test_nothing_is_torn},
    {"segment__log_keeps_the_last_lines", test_log},
    {"segment__totals_grow_over_restarts", test_totals_over_restarts},
};
MF_TEST_MAIN(tests)

/* Workers that misuse the memory which their parent reads: one that scribbles over all of it, one
 * of another version, one that is stopped in the middle of a write, one that forks. Whatever they
 * do, the parent's scrape is well formed and bounded, no counter goes backwards, and the other
 * workers are counted as ever.
 *
 * The workers are this program again. They find the memory as the library does, and know three
 * places in it. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"
#include "parents.h"
#include "scrapes.h"

enum {
    SCRAPES = 40,
    FORKS = 5,
    VERSION_WORD = 1,       /* its upper half is the worker's version */
    RUNNING_WORD = 4096 / 8 /* begins the first handler thread's entry; odd while that writes */
};
#define BODY_MOST ((size_t)8 * 1024 * 1024)
/* Of one scrape, in seconds of the processor: a sanitizer takes a tenth of it. */
#define WORK_MOST 20.0

/* ---- The workers ---- */

typedef struct memory {
    _Atomic(uint64_t) *words;
    size_t count;
} memory;

static bool open_memory(memory *to)
{
    struct stat at;
    const char *text = getenv("COMLINK_SEGMENT"); /* NOLINT: one thread */
    int fd = text != NULL ? atoi(text) : -1;
    if (fd < 0 || fstat(fd, &at) != 0) {
        return false;
    }
    void *found = mmap(NULL, (size_t)at.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    to->words = found;
    to->count = (size_t)at.st_size / 8;
    return found != MAP_FAILED;
}

typedef struct scribbler {
    memory to;
    bool is_blind;    /* any bytes at all; else most of them make sense */
    uint64_t *before; /* what the library had written when the first call came */
    uint64_t state;
} scribbler;

static uint64_t any(scribbler *self)
{
    self->state ^= self->state << 13; /* xorshift64 */
    self->state ^= self->state >> 7;
    self->state ^= self->state << 17;
    return self->state;
}

static uint64_t next_word(scribbler *self, size_t at)
{
    uint64_t choice = any(self);
    if (self->is_blind || choice % 64 == 0) {
        return any(self) >> choice / 64 % 64;
    }
    return choice % 8 == 1 ? self->before[at] + any(self) % 4096 : self->before[at];
}

static void *scribble(void *data)
{
    scribbler *self = data;
    for (;;) { /* ends with the process */
        for (size_t i = 0; i < self->to.count; i++) {
            atomic_store_explicit(&self->to.words[i], next_word(self, i), memory_order_relaxed);
        }
    }
    return NULL;
}

static mf_status count(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)request;
    (void)user_data;
    return mf_reply_set(reply, mf_int(1));
}

static mf_status begin_to_scribble(mf_request *request, mf_reply *reply, void *user_data)
{
    scribbler *self = user_data;
    pthread_t thread;
    (void)request;
    self->before = calloc(self->to.count, sizeof(uint64_t));
    if (self->before == NULL) {
        return MF_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < self->to.count; i++) {
        self->before[i] = atomic_load_explicit(&self->to.words[i], memory_order_relaxed);
    }
    if (pthread_create(&thread, NULL, scribble, self) != 0) {
        return MF_ERR_SYSTEM;
    }
    (void)pthread_detach(thread);
    return mf_reply_set(reply, mf_int(1));
}

/* Stops the whole process while the thread's own entry is half written. */
static mf_status stop_in_a_write(mf_request *request, mf_reply *reply, void *user_data)
{
    scribbler *self = user_data;
    (void)request;
    atomic_fetch_or(&self->to.words[RUNNING_WORD], 1);
    (void)raise(SIGSTOP);
    atomic_fetch_add(&self->to.words[RUNNING_WORD], 1);
    return mf_reply_set(reply, mf_int(1));
}

/* With what the library does at an exit. AddressSanitizer's search for leaks at an exit would see
 * threads that the fork did not take along. */
static _Noreturn void leave(int status)
{
#if defined(__SANITIZE_ADDRESS__)
    _exit(status);
#else
    exit(status); /* NOLINT: one thread */
#endif
}

/* The child uses what it has of the call, forks once more, and ends with all that exit() runs. */
static mf_status fork_and_end(mf_request *request, mf_reply *reply, void *user_data)
{
    int status = -1;
    (void)request;
    (void)user_data;
    pid_t child = fork();
    if (child == 0) {
        bool done = mf_reply_set(reply, mf_int(2)) == MF_OK;
        pid_t second = fork();
        if (second == 0) {
            leave(mf_reply_set(reply, mf_int(3)) == MF_OK ? 0 : 1);
        }
        done = done && waitpid(second, &status, 0) == second && status == 0;
        leave(done ? 0 : 1);
    }
    bool ended = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    return ended ? mf_reply_set(reply, mf_int(1)) : MF_ERR_SYSTEM;
}

/* As proc(5) has it; 0: there is no such process. */
static char state_of(int64_t pid)
{
    char path[64];
    char text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    (void)!fgets(text, sizeof text, file);
    (void)fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end != NULL ? name_end[2] : 0;
}

/* The child leaves the worker's connections, and returns from the handler: it goes on in the
 * library's code, as far as it comes with one thread, until the worker ends it. */
static mf_status fork_and_return(mf_request *request, mf_reply *reply, void *user_data)
{
    const struct rlimit none = {0, 0};
    (void)request;
    (void)user_data;
    pid_t child = fork();
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &none); /* libzmq ends such a process */
        (void)syscall(SYS_close_range, 0, ~0u, 0);
        return mf_reply_set(reply, mf_int(2));
    }
    for (unsigned looks = 0; looks < 100 && strchr("SZ", state_of(child)) == NULL; looks++) {
        (void)usleep(1000); /* it may run for ever: what it counts, it counts first */
    }
    (void)kill(child, SIGKILL);
    return waitpid(child, NULL, 0) == child ? mf_reply_set(reply, mf_int(1)) : MF_ERR_SYSTEM;
}

static mf_status add_handlers(mf_child *child, scribbler *self)
{
    const struct {
        const char *name;
        mf_handler_fn run;
    } all[] = {{"count", count},
               {"scribble", begin_to_scribble},
               {"stop", stop_in_a_write},
               {"fork_and_end", fork_and_end},
               {"fork_and_return", fork_and_return}};
    mf_status status = MF_OK;
    for (size_t i = 0; status == MF_OK && i < sizeof all / sizeof all[0]; i++) {
        status = mf_child_handle(child, all[i].name, all[i].run, self);
    }
    return status;
}

/* role: "blind", "sensible", a number (the layout version of the library that the worker has), or
 * "honest". */
static int work(const char *role)
{
    static scribbler self = {.state = 88172645463325252u};
    mf_child *child = NULL;
    mf_error error = MF_ERROR_INIT;
    if (!open_memory(&self.to)) {
        return 1;
    }
    self.is_blind = strcmp(role, "blind") == 0;
    uint64_t version = strtoull(role, NULL, 10);
    if (version != 0) { /* the library finds that another one came first, and keeps away */
        atomic_fetch_or(&self.to.words[VERSION_WORD], version << 32);
    }
    if (mf_child_create(&child, NULL, &error) != MF_OK) {
        return 1;
    }
    mf_status status = add_handlers(child, &self);
    if (status == MF_OK) {
        status = mf_child_run(child, &error);
    }
    mf_child_destroy(child);
    return status == MF_OK ? 0 : 1;
}

/* ---- The parents ---- */

typedef struct program {
    mf_runtime *runtime;
    mf_parent *parents[2]; /* the targets "first" and "second" */
    char *text;            /* of the last scrape */
} program;

static mf_parent *start_role(const program *at, const char *target, const char *role)
{
    static char self[4096];
    const char *args[] = {role, NULL}; /* and "--worker" */
    mf_check(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    mf_parent_options options = MF_PARENT_OPTIONS_INIT;
    options.runtime = at->runtime;
    options.program = self;
    options.args = args;
    options.target = target;
    options.heartbeat_interval_ms = MF_DISABLED; /* a stopped worker stays one */
    options.auto_restart = true;
    options.max_restart_attempts = MF_DISABLED;
    options.restart_backoff_ms = 1;
    options.restart_backoff_max_ms = 1;
    return start(&options);
}

static void begin(program *at, const char *first, const char *second)
{
    *at = (program){.text = NULL};
    mf_check_int(mf_runtime_create(&at->runtime, NULL, NULL), MF_OK);
    at->parents[0] = start_role(at, "first", first);
    at->parents[1] = second != NULL ? start_role(at, "second", second) : NULL;
}

static void end(program *at)
{
    mf_parent_destroy(at->parents[0]);
    mf_parent_destroy(at->parents[1]);
    mf_runtime_destroy(at->runtime);
    free(at->text);
}

static void call(mf_parent *parent, const char *function)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mf_call(parent, function, MF_ARGS(1), NULL, &error), MF_OK);
    mf_check_str(error.message, "");
}

static int64_t value_of(const program *at, const char *series)
{
    char start[300];
    int length = snprintf(start, sizeof start, "\nmultifrost_%s ", series);
    const char *found = strstr(at->text, start);
    return found != NULL ? (int64_t)strtod(found + length, NULL) : -1;
}

/* ---- Scrapes ---- */

static double worked(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void scrape(program *at)
{
    char *before = at->text;
    size_t size = 0;
    double begun = worked();
    at->text = NULL;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(at->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &at->text, &size, NULL),
                 MF_OK);
    mf_check(worked() - begun < WORK_MOST);
    mf_check(size < BODY_MOST && strlen(at->text) == size);
    check_scrape(at->text, before);
    free(before);
}

/* ---- The tests ---- */

/* One worker scribbles, is killed, and scribbles again; the other one is honest. */
static void check_scribbler(const char *role)
{
    program at;
    begin(&at, role, "honest");
    for (unsigned life = 0; life < 3; life++) {
        call(at.parents[0], "count");
        scrape(&at); /* so that the parent has taken the memory */
        call(at.parents[0], "scribble");
        for (unsigned i = 0; i < SCRAPES; i++) {
            call(at.parents[0], "count"); /* the worker itself works on */
            call(at.parents[1], "count");
            scrape(&at);
        }
        kill_worker(at.parents[0]);
        mf_check(mf_test_until(is_ready, at.parents[0], MF_TEST_PATIENCE_MS));
    }
    scrape(&at);
    mf_check_int(value_of(&at, "server_calls_started_total{target=\"second\",worker=\"second-0\","
                               "function=\"count\"}"),
                 3 * SCRAPES);
    mf_check_int(value_of(&at, "worker_segment_ignored_cells_total{target=\"second\"}"), 0);
    mf_check(value_of(&at, "worker_segment_ignored_cells_total{target=\"first\"}") > 0);
    end(&at);
}

static void test_blind_scribbler(void)
{
    check_scribbler("blind");
}

static void test_sensible_scribbler(void)
{
    check_scribbler("sensible");
}

/* Refused, counted and harmless. */
static void test_other_versions(void)
{
    program at;
    begin(&at, "2", "4294967295");
    for (size_t i = 0; i < 2; i++) {
        scrape(&at);
        call(at.parents[i], "count");
        call(at.parents[i], "scribble");
    }
    scrape(&at);
    scrape(&at);
    mf_check(strstr(at.text, "\nmultifrost_server_call") == NULL);
    mf_check(strstr(at.text, "\nmultifrost_server_queue") == NULL);
    mf_check_int(value_of(&at, "worker_segments_total{target=\"first\",result=\"other_layout\"}"),
                 1);
    mf_check_int(value_of(&at, "worker_segments_total{target=\"second\",result=\"other_layout\"}"),
                 1);
    mf_check_int(value_of(&at, "worker_segment_ignored_cells_total{target=\"first\"}"), 0);
    end(&at);
}

static bool has_stopped(void *data)
{
    return state_of(mf_parent_pid(data)) == 'T';
}

static void test_stopped_in_a_write(void)
{
    program at;
    mf_future *future = NULL;
    begin(&at, "honest", "honest");
    call(at.parents[0], "count");
    mf_check_int(mf_call_future(at.parents[0], "stop", MF_ARGS(1), NULL, &future, NULL), MF_OK);
    mf_check(mf_test_until(has_stopped, at.parents[0], MF_TEST_PATIENCE_MS));
    stop_worker(at.parents[0]); /* waits until all of its threads stand still */
    for (unsigned i = 0; i < SCRAPES; i++) {
        call(at.parents[1], "count");
        scrape(&at);
    }
    mf_check_int(value_of(&at, "server_calls_in_flight{target=\"first\",worker=\"first-0\"}"), 0);
    mf_check_int(value_of(&at, "server_calls_started_total{target=\"second\",worker=\"second-0\","
                               "function=\"count\"}"),
                 SCRAPES);
    continue_worker(at.parents[0]);
    mf_check_int(mf_future_wait(future, MF_TEST_PATIENCE_MS, NULL, NULL), MF_OK);
    mf_future_destroy(future);
    call(at.parents[0], "count");
    scrape(&at);
    mf_check_int(value_of(&at, "server_calls_total{target=\"first\",worker=\"first-0\","
                               "function=\"stop\",status=\"ok\"}"),
                 1);
    mf_check_int(value_of(&at, "worker_segment_ignored_cells_total{target=\"first\"}"), 0);
    end(&at);
}

/* At any point of a busy worker's work. */
static void test_stopped_under_load(void)
{
    enum { STOPS = 20, CALLS = 50 };
    program at;
    mf_future *futures[CALLS];
    begin(&at, "honest", NULL);
    for (unsigned i = 0; i < STOPS; i++) {
        for (unsigned j = 0; j < CALLS; j++) {
            mf_check_int(
                mf_call_future(at.parents[0], "count", MF_ARGS(1), NULL, &futures[j], NULL), MF_OK);
        }
        stop_worker(at.parents[0]);
        scrape(&at);
        scrape(&at);
        continue_worker(at.parents[0]);
        for (unsigned j = 0; j < CALLS; j++) {
            mf_check_int(mf_future_wait(futures[j], MF_TEST_PATIENCE_MS, NULL, NULL), MF_OK);
            mf_future_destroy(futures[j]);
        }
    }
    scrape(&at);
    mf_check_int(value_of(&at, "server_calls_started_total{target=\"first\",worker=\"first-0\","
                               "function=\"count\"}"),
                 (int64_t)STOPS * CALLS);
    mf_check_int(value_of(&at, "worker_segment_ignored_cells_total{target=\"first\"}"), 0);
    end(&at);
}

static void check_forked(program *at, const char *name, const char *before, const char *function,
                         const char *behind)
{
    char series[200];
    (void)snprintf(series, sizeof series, "%s{target=\"first\",%sfunction=\"%s\"%s}", name, before,
                   function, behind);
    mf_check_int(value_of(at, series), FORKS);
}

static void check_forks(const char *function)
{
    program at;
    begin(&at, "honest", NULL);
    for (unsigned i = 0; i < FORKS; i++) {
        call(at.parents[0], function);
        scrape(&at);
    }
    call(at.parents[0], "count");
    kill_worker(at.parents[0]); /* all that was counted is there */
    scrape(&at);
    check_forked(&at, "server_calls_started_total", "worker=\"first-0\",", function, "");
    check_forked(&at, "server_calls_total", "worker=\"first-0\",", function, ",status=\"ok\"");
    check_forked(&at, "server_call_duration_seconds_count", "", function, ",outcome=\"ok\"");
    mf_check_int(value_of(&at, "worker_segment_ignored_cells_total{target=\"first\"}"), 0);
    end(&at);
}

static void test_forked_child_that_ends(void)
{
    check_forks("fork_and_end");
}

static void test_forked_child_that_returns(void)
{
    check_forks("fork_and_return");
}

int main(int argc, char **argv)
{
    static const mf_test tests[] = {
        {"hostile__a_worker_scribbles_anything", test_blind_scribbler},
        {"hostile__a_worker_scribbles_what_makes_sense", test_sensible_scribbler},
        {"hostile__other_versions_are_harmless", test_other_versions},
        {"hostile__a_worker_stops_in_a_write", test_stopped_in_a_write},
        {"hostile__a_busy_worker_stops_anywhere", test_stopped_under_load},
        {"hostile__a_forked_child_that_ends_writes_nothing", test_forked_child_that_ends},
        {"hostile__a_forked_child_that_returns_writes_nothing", test_forked_child_that_returns},
    };
    if (argc == 3 && strcmp(argv[2], "--worker") == 0) {
        return work(argv[1]);
    }
    return mf_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}

/* What peers that never read cost a worker: its memory stays within the bound of its options, and a
 * good peer's calls are answered as before. */
#include <arpa/inet.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <multifrost/metrics.h>

#include "child_peer.h"
#include "core/transport/direct/zmtp.h"

enum { STRANGERS = 40, CALLS_EACH = 40, GOOD_CALLS = 50 };
#define ANSWER_BYTES ((size_t)256 * 1024)
#define BUDGET_BYTES ((size_t)8 * 1024 * 1024)
#define KEPT_BYTES                                                                                 \
    ((size_t)8 * 1024 * 1024) /* free blocks that the process keeps (base/block.h)                 \
                               */

static mf_status large(mf_request *request, mf_reply *reply, void *user_data)
{
    static char bytes[ANSWER_BYTES];
    (void)request;
    (void)user_data;
    return mf_reply_set(reply, mf_bin(bytes, sizeof bytes));
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    mf_check(file != NULL && fscanf(file, "%lu %lu", &pages, &resident) == 2);
    if (file != NULL) {
        (void)fclose(file);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- Strangers: plain sockets, which cost this process nothing ---- */

static void send_bytes(int fd, const void *bytes, size_t size)
{
    mf_check(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
}

static int stranger_connect(uint16_t port)
{
    static const int narrow = 4096;
    uint8_t greeting[MFI_ZMTP_GREETING_BYTES];
    uint8_t ready[MFI_ZMTP_READY_BYTES];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    mf_check_int(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof narrow), 0);
    mf_check_int(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    mfi_zmtp_greeting(greeting);
    send_bytes(fd, greeting, sizeof greeting);
    send_bytes(fd, ready, mfi_zmtp_ready(ready, false));
    /* libzmq takes no message before it has sent its own READY. */
    mf_check_int(recv(fd, greeting, sizeof greeting, MSG_WAITALL), sizeof greeting);
    mf_check_int(recv(fd, greeting, 2, MSG_WAITALL), 2);
    mf_check_int(recv(fd, ready, greeting[1], MSG_WAITALL), greeting[1]);
    return fd;
}

static void stranger_calls(int fd)
{
    uint8_t front[MFI_ZMTP_FRONT_BYTES];
    mfi_buf call;
    mfi_call_fields fields = {.id = "s", .function = {"large", 5}, .timestamp = 1};
    mfi_buf_init(&call, 0);
    mf_check_int(mfi_encode_call(&call, &fields, NULL), MF_OK);
    for (int i = 0; i < CALLS_EACH; i++) {
        /* The worker may have ended this connection already. */
        (void)!send(fd, front, mfi_zmtp_front(front, call.size), MSG_NOSIGNAL);
        (void)!send(fd, call.data, call.size, MSG_NOSIGNAL);
    }
    mfi_buf_fini(&call);
    /* The worker answers this stranger now, or has ended it. All the rest stays in the kernel. */
    uint8_t begin = 0;
    (void)!recv(fd, &begin, 1, 0);
}

static void good_calls(test_peer *peer)
{
    for (int i = 0; i < GOOD_CALLS; i++) {
        peer_call(peer, "g", "twice", MF_ARGS(i), mf_nil());
        peer_expect_int(peer, "g", 2 * (int64_t)i);
    }
}

static void test_peers_that_never_read_cost_a_bounded_memory(void)
{
    test_worker worker;
    test_peer good;
    int strangers[STRANGERS];
    size_t most = 0;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_queued_bytes = BUDGET_BYTES;
    options.max_message_bytes = (int64_t)4 * ANSWER_BYTES;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "large", large, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker.child, "twice", worker_twice, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&good, mf_child_port(worker.child));
    good_calls(&good);
    size_t before = resident_bytes();
    for (int i = 0; i < STRANGERS; i++) {
        strangers[i] = stranger_connect(mf_child_port(worker.child));
        stranger_calls(strangers[i]);
        good_calls(&good);
        size_t now = resident_bytes();
        most = now > most ? now : most;
    }
    good_calls(&good);
    /* What waits, the free blocks, and for each connection a message on its way. Without the bound
     * it would be 400 MiB, less what the kernel takes. */
    size_t bound = BUDGET_BYTES + KEPT_BYTES + (STRANGERS + 1) * 2 * ANSWER_BYTES;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    printf("%zu MiB of at most %zu\n", (most - before) >> 20, bound >> 20);
    mf_check(most < before + bound);
#else
    (void)bound;
    (void)before;
#endif
    for (int i = 0; i < STRANGERS; i++) {
        (void)close(strangers[i]);
    }
    peer_close(&good);
    worker_end(&worker);
}

/* One peer's waiting calls leave room for another one's. */
static void test_one_peer_does_not_fill_the_queue_for_all(void)
{
    test_worker worker;
    test_peer greedy;
    test_peer good;
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_queued = 4;
    gate_reset();
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "gate", worker_gate, NULL), MF_OK);
    worker_start(&worker);
    peer_open(&greedy, mf_child_port(worker.child));
    peer_open(&good, mf_child_port(worker.child));
    peer_call(&greedy, "0", "gate", MF_ARGS(0), mf_nil());
    gate_wait_inside(1);
    for (int i = 1; i <= 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        peer_call(&greedy, id, "gate", MF_ARGS(i), mf_nil());
    }
    peer_expect_error(&greedy, "5", "ServerOverloaded: too many calls are waiting");
    peer_call(&good, "g", "gate", MF_ARGS(7), mf_nil());
    peer_call(&good, "h", "gate", MF_ARGS(8), mf_nil()); /* beyond its share */
    peer_expect_error(&good, "h", "ServerOverloaded: too many calls are waiting");
    gate_open();
    peer_expect_int(&good, "g", 7);
    peer_close(&greedy);
    peer_close(&good);
    worker_end(&worker);
}

enum { VALUES = 50000 }; /* each takes a byte in the message and 16 as a value */

static mf_args many_values(void)
{
    static mf_value values[VALUES];
    values[0] = mf_int(4);
    return (mf_args){values, VALUES};
}

static sem_t entered;
static sem_t left;

/* Its first argument, once it is let go. */
static mf_status hold(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    (void)sem_post(&entered);
    (void)sem_wait(&left);
    return mf_reply_set(reply, mf_request_args(request).items[0]);
}

static void start_small(test_worker *worker, int32_t threads)
{
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_message_bytes = (int64_t)256 * 1024;
    options.max_queued_bytes = (int64_t)512 * 1024;
    options.threads = threads;
    mf_check_int(sem_init(&entered, 0, 0), 0);
    mf_check_int(sem_init(&left, 0, 0), 0);
    worker_create(worker, &options);
    mf_check_int(mf_child_handle(worker->child, "hold", hold, NULL), MF_OK);
    mf_check_int(mf_child_handle(worker->child, "twice", worker_twice, NULL), MF_OK);
    worker_start(worker);
}

/* Arguments that are small as bytes and large as values are served where nothing else is held. A
 * second call of that kind is refused by name meanwhile, and small ones find room. */
static void test_decoded_arguments_count(void)
{
    test_worker worker;
    test_peer alone;
    test_peer second;
    test_answer answer;
    start_small(&worker, 2);
    peer_open(&alone, mf_child_port(worker.child));
    peer_open(&second, mf_child_port(worker.child));
    peer_call(&alone, "a", "hold", many_values(), mf_nil());
    (void)sem_wait(&entered);
    for (int i = 0; i < 3; i++) {
        peer_call(&second, "n", "twice", many_values(), mf_nil());
        peer_receive(&second, &answer);
        mf_check_contains(answer.error, "max_queued_bytes");
        answer_free(&answer);
        peer_call(&second, "m", "twice", MF_ARGS(i), mf_nil());
        peer_expect_int(&second, "m", 2 * (int64_t)i);
    }
    (void)sem_post(&left);
    peer_expect_int(&alone, "a", 4);
    for (int i = 0; i < 3; i++) { /* nothing is left behind */
        (void)sem_post(&left);
        peer_call(&alone, "b", "hold", many_values(), mf_nil());
        peer_expect_int(&alone, "b", 4);
    }
    peer_close(&alone);
    peer_close(&second);
    worker_end(&worker);
}

static mf_status echo(mf_request *request, mf_reply *reply, void *user_data)
{
    (void)user_data;
    return mf_reply_set(reply, mf_request_args(request).items[0]);
}

/* The largest call that the protocol allows, and an answer of that size, pass with the default
 * options, on the run thread and on a thread of its own. */
static void test_the_largest_call_is_served(void)
{
    enum { TEXTS = 6 };
    static char text[10485760]; /* the largest text of the protocol */
    mf_value texts[TEXTS];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < TEXTS; i++) {
        texts[i] = mf_str_n(text, sizeof text);
    }
    mf_value values[] = {mf_array(texts, TEXTS), mf_str_n(text, 4190000)};
    for (int32_t threads = 1; threads <= 2; threads++) {
        test_worker worker;
        test_peer peer;
        test_answer answer;
        mf_child_options options = MF_CHILD_OPTIONS_INIT;
        options.threads = threads;
        worker_create(&worker, &options);
        mf_check_int(mf_child_handle(worker.child, "echo", echo, NULL), MF_OK);
        worker_start(&worker);
        peer_open(&peer, mf_child_port(worker.child));
        peer_call(&peer, "e", "echo", (mf_args){values, 2}, mf_nil());
        peer_receive(&peer, &answer);
        mf_check_str(answer.error, "");
        mf_check_str(answer.id, "e");
        mf_check(answer.result != NULL);
        answer_free(&answer);
        peer_close(&peer);
        worker_end(&worker);
    }
}

static _Atomic(int) served;

static mf_status large_counted(mf_request *request, mf_reply *reply, void *user_data)
{
    atomic_fetch_add(&served, 1);
    return large(request, reply, user_data);
}

static bool has_served(void *wanted)
{
    return atomic_load(&served) >= *(int *)wanted;
}

static bool has_dropped(const test_worker *worker)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(worker->runtime), MF_METRICS_PROMETHEUS_TEXT,
                                   &text, &size, NULL),
                 MF_OK);
    bool none = strstr(text, "transport_dropped_messages_total{reason=\"hwm\"} 0") != NULL;
    free(text);
    return !none;
}

/* A peer that reads late: the answers for which there was no room are errors, and none is missing.
 */
static void test_every_call_is_answered_where_answers_find_no_room(void)
{
    enum { CALLS_MAX = 10000 };
    test_worker worker;
    test_peer peer;
    test_answer answer;
    char id[16];
    int sent = 0;
    int refused = 0;
    static bool seen[CALLS_MAX];
    mf_child_options options = MF_CHILD_OPTIONS_INIT;
    options.max_queued_bytes = (int64_t)8 * ANSWER_BYTES;
    options.max_message_bytes = (int64_t)4 * ANSWER_BYTES;
    worker_create(&worker, &options);
    mf_check_int(mf_child_handle(worker.child, "large", large_counted, NULL), MF_OK);
    worker_start(&worker);
    peer_open_narrow(&peer, mf_child_port(worker.child));
    while (sent < CALLS_MAX && !has_dropped(&worker)) {
        (void)snprintf(id, sizeof id, "%d", sent++);
        peer_call(&peer, id, "large", MF_ARGS(1), mf_nil());
        mf_check(mf_test_until(has_served, &sent, MF_TEST_PATIENCE_MS));
    }
    for (int i = 0; i < sent; i++) {
        peer_receive(&peer, &answer);
        int number = (int)strtol(answer.id, NULL, 10);
        mf_check(number < sent && !seen[number]);
        seen[number] = true;
        refused += strcmp(answer.error, "ServerOverloaded: the answer finds no room in "
                                        "max_queued_bytes") == 0
                       ? 1
                       : 0;
        mf_check(answer.result != NULL || answer.error[0] != '\0');
        answer_free(&answer);
    }
    mf_check(refused > 0);
    peer_close(&peer);
    worker_end(&worker);
}

static const mf_test tests[] = {
    {"strangers__peers_that_never_read_cost_a_bounded_memory",
     test_peers_that_never_read_cost_a_bounded_memory},
    {"strangers__one_peer_does_not_fill_the_queue_for_all",
     test_one_peer_does_not_fill_the_queue_for_all},
    {"strangers__every_call_is_answered_where_answers_find_no_room",
     test_every_call_is_answered_where_answers_find_no_room},
    {"strangers__decoded_arguments_count", test_decoded_arguments_count},
    {"strangers__the_largest_call_is_served", test_the_largest_call_is_served},
};

MF_TEST_MAIN(tests)

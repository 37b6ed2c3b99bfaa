/* Connections by hand: which one goes for a new one or for its age, and what is done without
 * descriptors. The server of these tests does nothing but close what has ended. */
#include "http/acceptor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/listen.h"
#include "mf_test.h"

#define LONG_NS (1000 * MFI_NS_PER_S) /* more than any test lives */
#define CLIENTS_MAX 64

/* A server of connections that it never reads. */
typedef struct server {
    mfi_acceptor acceptor;
    mfi_listener listener;
    mfi_mutex mutex;
    mfi_cond came;
    mfi_visitor *visitors[CLIENTS_MAX]; /* in the order in which they came */
    size_t count;
    int accepted;          /* the last descriptor */
    bool has_strange_peer; /* an address that is none of IPv4 */
    bool forgets_to_find;  /* as a server that runs out of memory */
    bool makes_at_once;    /* so that a connection is not late before the test looks at it */
} server;

static bool admit(void *user_data, int fd, const struct sockaddr *address, socklen_t size)
{
    server *at = user_data;
    mfi_visitor *visitor = at->forgets_to_find ? NULL : mfi_acceptor_find(&at->acceptor, fd);
    if (at->makes_at_once) {
        mfi_acceptor_visit(&at->acceptor, visitor, MFI_VISIT_MAKING);
    }
    mfi_mutex_lock(&at->mutex);
    at->has_strange_peer |= size != sizeof(struct sockaddr_in) || address->sa_family != AF_INET;
    at->visitors[at->count++] = visitor;
    at->accepted = fd;
    mfi_cond_broadcast(&at->came);
    mfi_mutex_unlock(&at->mutex);
    return true;
}

static void start(server *at, uint32_t cap, uint64_t patience_ns)
{
    mfi_mutex_init(&at->mutex);
    mfi_cond_init(&at->came);
    mf_check_int(mfi_listen(&at->listener, "127.0.0.1", 0, NULL), MF_OK);
    at->acceptor = (mfi_acceptor){.listen_fd = at->listener.fd,
                                  .cap = cap,
                                  .patience_ns = patience_ns,
                                  .admit = admit,
                                  .user_data = at};
    mf_check_int(mfi_acceptor_start(&at->acceptor, NULL), MF_OK);
}

static size_t came(server *at)
{
    mfi_mutex_lock(&at->mutex);
    size_t count = at->count;
    mfi_mutex_unlock(&at->mutex);
    return count;
}

static void close_visitor(server *at, size_t i)
{
    int fd = at->visitors[i]->fd;
    mfi_acceptor_forget(&at->acceptor, at->visitors[i]);
    at->visitors[i] = NULL;
    (void)close(fd);
}

static void end(server *at)
{
    mfi_acceptor_stop(&at->acceptor);
    mf_check(!at->has_strange_peer);
    for (size_t i = 0; i < at->count; i++) {
        if (at->visitors[i] != NULL) {
            close_visitor(at, i);
        }
    }
    mfi_acceptor_fini(&at->acceptor);
    mfi_cond_fini(&at->came);
    mfi_mutex_fini(&at->mutex);
}

static bool wait_for_count(server *at, size_t count)
{
    uint64_t until = mfi_deadline_after_ms(mfi_monotonic_ns(), MF_TEST_PATIENCE_MS);
    mfi_mutex_lock(&at->mutex);
    while (at->count < count && mfi_cond_wait_until(&at->came, &at->mutex, until)) {
    }
    bool reached = at->count >= count;
    mfi_mutex_unlock(&at->mutex);
    return mf_check(reached);
}

/* Connects; the kernel does that before the server accepts. */
static int dial(const server *at)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(at->listener.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static int arrive(server *at)
{
    size_t count = came(at);
    int fd = dial(at);
    wait_for_count(at, count + 1);
    return fd;
}

/* Waits until the server has ended the connection. */
static bool has_ended(int fd)
{
    struct pollfd event = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&event, 1, MF_TEST_PATIENCE_MS) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static bool is_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

/* At the cap, the connection that has waited longest for a request goes, then the one whose answer
 * is taken most slowly; never one that waits for its answer. */
static void test_longest_goes(void)
{
    server at = {.count = 0};
    int fds[7];
    start(&at, 3, LONG_NS);
    for (int i = 0; i < 3; i++) {
        fds[i] = arrive(&at);
    }
    mfi_acceptor_visit(&at.acceptor, at.visitors[0], MFI_VISIT_MAKING);
    mfi_acceptor_visit(&at.acceptor, at.visitors[1], MFI_VISIT_ANSWERING);
    fds[3] = arrive(&at);
    mf_check(has_ended(fds[2]));
    mfi_acceptor_visit(&at.acceptor, at.visitors[3], MFI_VISIT_ANSWERING);
    fds[4] = arrive(&at);
    mf_check(has_ended(fds[1])); /* it takes its answer longer than the other one */
    mfi_acceptor_visit(&at.acceptor, at.visitors[3], MFI_VISIT_READING);
    fds[5] = arrive(&at);
    mf_check(has_ended(fds[4])); /* it reads longer than the other one */
    mf_check(is_open(fds[0]) && is_open(fds[3]) && is_open(fds[5]));
    close_all(fds, 6);
    end(&at);
}

/* With nothing but answers that are being made, a new one waits until one of them is made. */
static void test_makers_stay(void)
{
    server at = {.count = 0};
    int fds[3];
    start(&at, 2, LONG_NS);
    for (int i = 0; i < 2; i++) {
        fds[i] = arrive(&at);
        mfi_acceptor_visit(&at.acceptor, at.visitors[i], MFI_VISIT_MAKING);
    }
    fds[2] = dial(&at);
    struct pollfd waits = {.fd = at.listener.fd, .events = POLLIN};
    mf_check_int(poll(&waits, 1, MF_TEST_PATIENCE_MS), 1);
    mf_check(is_open(fds[0]) && is_open(fds[1]));
    mf_check_int(came(&at), 2);
    mfi_acceptor_visit(&at.acceptor, at.visitors[1], MFI_VISIT_ANSWERING);
    wait_for_count(&at, 3);
    mf_check(has_ended(fds[1]));
    mf_check(is_open(fds[0]) && is_open(fds[2]));
    close_all(fds, 3);
    end(&at);
}

/* Ended connections that are not closed yet are places only up to a bound; a close frees one. */
static void test_ended_ones_count(void)
{
    server at = {.count = 0};
    int fds[1 + MFI_ACCEPTOR_SPARE + 1];
    start(&at, 1, LONG_NS);
    for (int i = 0; i < 1 + MFI_ACCEPTOR_SPARE; i++) {
        fds[i] = arrive(&at);
    }
    fds[1 + MFI_ACCEPTOR_SPARE] = dial(&at);
    struct pollfd waits = {.fd = at.listener.fd, .events = POLLIN};
    mf_check_int(poll(&waits, 1, MF_TEST_PATIENCE_MS), 1);
    mf_check_int(came(&at), 1 + MFI_ACCEPTOR_SPARE);
    mf_check(has_ended(fds[0]));
    close_visitor(&at, 0);
    wait_for_count(&at, 1 + MFI_ACCEPTOR_SPARE + 1);
    close_all(fds, 1 + MFI_ACCEPTOR_SPARE + 1);
    end(&at);
}

/* A request that lies in the socket has come in time; who takes no answer is late as well. */
static void test_patience(void)
{
    server at = {.makes_at_once = true};
    int fds[4];
    start(&at, 8, 50 * MFI_NS_PER_MS);
    for (int i = 0; i < 4; i++) {
        fds[i] = arrive(&at);
        struct pollfd bytes = {.fd = at.visitors[i]->fd, .events = POLLIN};
        if (i == 1 || i == 2) {
            mf_check_int(send(fds[i], "G", 1, MSG_NOSIGNAL), 1);
            mf_check_int(poll(&bytes, 1, MF_TEST_PATIENCE_MS), 1);
        }
        if (i < 3) {
            mfi_acceptor_visit(&at.acceptor, at.visitors[i],
                               i == 2 ? MFI_VISIT_ANSWERING : MFI_VISIT_READING);
        }
    }
    mf_check(has_ended(fds[0]));
    mf_check(has_ended(fds[2]));
    mf_check(mfi_acceptor_is_old(&at.acceptor, at.visitors[1]));
    mf_check(is_open(fds[1]) && is_open(fds[3]));
    char byte;
    mf_check_int(recv(at.visitors[1]->fd, &byte, 1, 0), 1);
    mf_check(has_ended(fds[1])); /* now nothing lies there */
    mf_check(is_open(fds[3]));
    close_all(fds, 4);
    end(&at);
}

static void test_age(void)
{
    server at = {.count = 0};
    start(&at, 8, LONG_NS);
    int fd = arrive(&at);
    mf_check(!mfi_acceptor_is_old(&at.acceptor, at.visitors[0]));
    (void)close(fd);
    end(&at);
}

static bool is_full(void *data)
{
    server *at = data;
    mfi_mutex_lock(&at->acceptor.mutex);
    bool full = at->acceptor.is_full;
    mfi_mutex_unlock(&at->acceptor.mutex);
    return full;
}

static bool is_empty(void *data)
{
    server *at = data;
    mfi_mutex_lock(&at->acceptor.mutex);
    bool empty = at->acceptor.count == 0;
    mfi_mutex_unlock(&at->acceptor.mutex);
    return empty;
}

/* Those that the server never began are forgotten when they would be late. */
static void test_lost_ones_are_forgotten(void)
{
    server at = {.forgets_to_find = true};
    start(&at, 1, 20 * MFI_NS_PER_MS);
    int fd = dial(&at);
    wait_for_count(&at, 1);
    mf_check(mf_test_until(is_empty, &at, MF_TEST_PATIENCE_MS));
    mf_check(is_open(fd));
    (void)close(at.accepted);
    (void)close(fd);
    end(&at);
}

/* What the server closed without a word is neither ended under its old number nor kept. */
static void test_lost_ones_are_not_ended(void)
{
    server at = {.forgets_to_find = true};
    start(&at, 1, LONG_NS);
    int fd = arrive(&at);
    int lost = at.accepted;
    mf_check_int(dup2(at.listener.fd, lost), lost); /* another file has the number now */
    mf_check(has_ended(fd));
    int second = dial(&at);
    mf_check(mf_test_until(is_full, &at, MF_TEST_PATIENCE_MS)); /* it looked for one to end */
    int listens = 0;
    socklen_t size = sizeof listens;
    mfi_acceptor_stop(&at.acceptor);
    mf_check_int(getsockopt(lost, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size), 0);
    mf_check_int(listens, 1); /* shutdown() would have ended that */
    mf_check_int(at.acceptor.count, 1);
    mfi_acceptor_fini(&at.acceptor);
    mf_check_int(at.acceptor.count, 0);
    (void)close(lost);
    (void)close(fd);
    (void)close(second);
    mfi_cond_fini(&at.came);
    mfi_mutex_fini(&at.mutex);
}

/* ---- Without descriptors ---- */

static struct rlimit usual_limit;

/* Leaves no free descriptor, whatever is open. */
static void take_all_descriptors(void)
{
    struct rlimit none;
    mf_check_int(getrlimit(RLIMIT_NOFILE, &usual_limit), 0);
    none = usual_limit;
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC); /* all below it are taken */
    (void)close(next);
    none.rlim_cur = (rlim_t)next;
    mf_check_int(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_back_descriptors(void)
{
    mf_check_int(setrlimit(RLIMIT_NOFILE, &usual_limit), 0);
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * MFI_NS_PER_S + (uint64_t)time.tv_nsec;
}

/* The spare descriptor serves the first one; for the next ones the others go. */
static void test_spare_serves(void)
{
    server at = {.count = 0};
    int clients[3];
    start(&at, 16, LONG_NS);
    int first = arrive(&at); /* from here on the acceptor has its spare descriptor */
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    take_all_descriptors();
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(at.listener.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    mf_check_int(connect(clients[0], (struct sockaddr *)&to, sizeof to), 0);
    wait_for_count(&at, 2);
    mf_check(is_open(first) && is_open(clients[0]));
    mf_check_int(connect(clients[1], (struct sockaddr *)&to, sizeof to), 0);
    mf_check(has_ended(first)); /* it had waited longest */
    mf_check_int(came(&at), 2);
    close_visitor(&at, 0); /* its descriptor serves */
    wait_for_count(&at, 3);
    give_back_descriptors();
    (void)close(first);
    close_all(clients, 3);
    end(&at);
}

/* While a connection waits and there is no descriptor, the thread sleeps for most of the time. */
static void test_no_spin(void)
{
    server at = {.count = 0};
    clockid_t clock;
    start(&at, 16, LONG_NS);
    int first = arrive(&at);
    mfi_acceptor_visit(&at.acceptor, at.visitors[0], MFI_VISIT_MAKING);
    int clients[2] = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                      socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(at.listener.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    take_all_descriptors();
    mf_check_int(connect(clients[0], (struct sockaddr *)&to, sizeof to), 0);
    wait_for_count(&at, 2);
    mfi_acceptor_visit(&at.acceptor, at.visitors[1], MFI_VISIT_MAKING);
    mf_check_int(connect(clients[1], (struct sockaddr *)&to, sizeof to), 0);
    mf_check_int(pthread_getcpuclockid(at.acceptor.thread, &clock), 0);
    uint64_t wall_ns = mfi_monotonic_ns();
    uint64_t used_ns = cpu_ns(clock);
    struct timespec half = {.tv_nsec = 500000000};
    (void)nanosleep(&half, NULL); /* the span that is measured */
    used_ns = cpu_ns(clock) - used_ns;
    wall_ns = mfi_monotonic_ns() - wall_ns;
    mf_check(used_ns * 5 < wall_ns); /* a thread that spins uses all that it gets */
    mf_check_int(came(&at), 2);
    give_back_descriptors();
    wait_for_count(&at, 3);
    (void)close(first);
    close_all(clients, 2);
    end(&at);
}

static void test_never_started(void)
{
    mfi_acceptor never = {.listen_fd = -1};
    mfi_acceptor_stop(&never);
    mfi_acceptor_fini(&never);
    mf_check(!never.started);
}

static const mf_test tests[] = {
    {"acceptor__the_longest_idle_goes", test_longest_goes},
    {"acceptor__those_that_wait_for_answers_stay", test_makers_stay},
    {"acceptor__ended_ones_count_until_they_close", test_ended_ones_count},
    {"acceptor__patience_ends_and_unread_bytes_spare", test_patience},
    {"acceptor__young_ones_are_not_old", test_age},
    {"acceptor__lost_ones_are_forgotten", test_lost_ones_are_forgotten},
    {"acceptor__lost_ones_are_not_ended", test_lost_ones_are_not_ended},
    {"acceptor__the_spare_descriptor_serves", test_spare_serves},
    {"acceptor__sleeps_without_descriptors", test_no_spin},
    {"acceptor__never_started_is_nothing", test_never_started},
};
MF_TEST_MAIN(tests)

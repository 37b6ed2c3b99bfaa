/* A stranger in a process of its own, and what strangers say. It exists because a stranger has to
 * be quicker than the worker, and must not be below the worker's helper. */
#include "strangers.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"

#define INODES_MAX 256
#define HANDSHAKE_BYTES 94 /* greeting and READY of a DEALER or ROUTER */
#define OPEN_MAX_COUNT 512

/* ---- What is said ---- */

bool is_libzmq(void)
{
    const char *transport = getenv("COMLINK_TRANSPORT");
    return transport != NULL && strcmp(transport, "libzmq") == 0;
}

#define ZEROS_16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define GREETING "\xFF\0\0\0\0\0\0\0\1\x7F\3\1NULL" ZEROS_16 ZEROS_16 ZEROS_16
#define READY_ROUTER "\4\x1C\5READY\13Socket-Type\0\0\0\6ROUTER"
#define READY_DEALER "\4\x1C\5READY\13Socket-Type\0\0\0\6DEALER"
#define APP                                                                                        \
    "\xA3"                                                                                         \
    "app"                                                                                          \
    "\xAE"                                                                                         \
    "comlink_ipc_v3"
#define ID                                                                                         \
    "\xA2id\xD9\x24"                                                                               \
    "00000000-0000-4000-8000-000000000000"
#define TIMESTAMP "\xA9timestamp\xCB\x41\xD9\x55\x55\x55\x55\x55\x55"

static const char response[] = "\x85" APP ID TIMESTAMP "\xA4type\xA8response"
                               "\xA6result\xA8"
                               "INJECTED";
static const char heartbeat[] = "\x84" APP ID TIMESTAMP "\xA4type\xA9heartbeat";
static const char output[] = "\x85" APP ID TIMESTAMP "\xA4type\xA6stdout"
                             "\xA6output\xA8"
                             "INJECTED";
static const char call[] = "\x86" APP ID TIMESTAMP "\xA4type\xA4"
                           "call"
                           "\xA8"
                           "function\xA3"
                           "add"
                           "\xA4"
                           "args\x92\x28\x02";

static bool send_all(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* The delimiter, and a payload of less than 256 bytes. */
static bool send_payload(int fd, const char *bytes, size_t size)
{
    char frames[300] = {1, 0, 0, (char)size};
    memcpy(frames + 4, bytes, size);
    return send_all(fd, frames, size + 4);
}

/* libzmq closes a connection whose messages come before its own part of the handshake has gone. */
static bool read_handshake(int fd)
{
    char bytes[HANDSHAKE_BYTES];
    size_t size = 0;
    struct pollfd at = {.fd = fd, .events = POLLIN};
    while (size < sizeof bytes && poll(&at, 1, MF_TEST_PATIENCE_MS) > 0) {
        ssize_t got = recv(fd, bytes + size, sizeof bytes - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
    }
    return size == sizeof bytes;
}

bool send_as_worker(int fd)
{
    return send_all(fd, GREETING READY_ROUTER, sizeof(GREETING READY_ROUTER) - 1) &&
           (!is_libzmq() || read_handshake(fd)) &&
           send_payload(fd, response, sizeof response - 1) &&
           send_payload(fd, heartbeat, sizeof heartbeat - 1) &&
           send_payload(fd, output, sizeof output - 1);
}

bool send_as_parent(int fd)
{
    return send_all(fd, GREETING READY_DEALER, sizeof(GREETING READY_DEALER) - 1) &&
           (!is_libzmq() || read_handshake(fd)) && send_payload(fd, call, sizeof call - 1);
}

int read_until_closed(int fd, const char *text, bool *ret_came)
{
    char bytes[8192];
    size_t size = 0;
    *ret_came = false;
    for (;;) {
        struct pollfd at = {.fd = fd, .events = POLLIN};
        if (size == sizeof bytes || poll(&at, 1, MF_TEST_PATIENCE_MS) <= 0) {
            return -1;
        }
        ssize_t got = recv(fd, bytes + size, sizeof bytes - size, 0);
        if (got <= 0) {
            return (int)size;
        }
        size += (size_t)got;
        *ret_came = text != NULL && memmem(bytes, size, text, strlen(text)) != NULL;
        if (*ret_came) {
            return (int)size;
        }
    }
}

int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* ---- The process ---- */

typedef struct hunt {
    const stranger *own;
    pid_t victim;
    unsigned long long inodes[INODES_MAX]; /* of the victim's sockets */
    size_t inode_count;
    unsigned long long known[65536]; /* by port: the listener that was seen there; a later one may
                                        get the same port */
    struct pollfd open[OPEN_MAX_COUNT];
    nfds_t open_count;
} hunt;

static void read_sockets(hunt *at)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)at->victim);
    DIR *folder = opendir(path);
    at->inode_count = 0;
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char link[64] = "";
        unsigned long long inode = 0;
        (void)!readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        if (at->inode_count < INODES_MAX &&
            sscanf(link, "socket:[%llu]", &inode) == 1) { /* NOLINT: the kernel's digits */
            at->inodes[at->inode_count++] = inode;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static bool is_victims(const hunt *at, unsigned long long inode)
{
    for (size_t i = 0; i < at->inode_count; i++) {
        if (at->inodes[i] == inode) {
            return true;
        }
    }
    return false;
}

static void open_gate(const char *gate)
{
    int fd = open(gate, O_WRONLY | O_CLOEXEC); /* waits for a reader */
    if (fd >= 0) {
        (void)!write(fd, "\n", 1);
        (void)close(fd);
    }
}

static void attack(hunt *at, unsigned port)
{
    int fd = at->open_count < OPEN_MAX_COUNT ? connect_to((uint16_t)port) : -1;
    if (fd < 0) {
        return;
    }
    (void)send_as_worker(fd);
    atomic_fetch_add(&at->own->view->connects, 1);
    at->open[at->open_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    if (at->own->gate != NULL) {
        open_gate(at->own->gate);
    }
}

/* While the stranger does not attack, ports that are open by then are left alone for good. */
static void look_for_ports(hunt *at)
{
    char line[256];
    FILE *table = fopen("/proc/self/net/tcp", "re");
    read_sockets(at);
    while (table != NULL && fgets(line, sizeof line, table) != NULL) {
        unsigned port = 0;
        unsigned state = 0;
        unsigned long long inode = 0;
        if (sscanf(line, "%*s %*8x:%x %*s %x %*s %*s %*s %*s %*s %llu", &port, &state, /* NOLINT */
                   &inode) == 3 &&
            state == 0x0A && port < 65536 && is_victims(at, inode) && at->known[port] != inode) {
            if (atomic_load(&at->own->view->attacks)) { /* asked after the port was seen */
                attack(at, port);
            }
            at->known[port] = inode;
        }
    }
    if (table != NULL) {
        (void)fclose(table);
    }
}

static void read_from_open(hunt *at)
{
    char bytes[4096];
    (void)poll(at->open, at->open_count, 0);
    for (nfds_t i = 0; i < at->open_count; i++) {
        if (at->open[i].fd < 0 || at->open[i].revents == 0) {
            continue;
        }
        ssize_t got = recv(at->open[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) {
            atomic_fetch_add(&at->own->view->bytes, (int)got);
        } else if (got == 0 || errno != EAGAIN) {
            (void)close(at->open[i].fd);
            at->open[i].fd = -1;
            atomic_fetch_add(&at->own->view->closed, 1);
        }
    }
}

static void hunt_for_ever(const stranger *own, pid_t victim)
{
    static hunt at;
    at.own = own;
    at.victim = victim;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (getppid() == victim) {
        look_for_ports(&at);
        atomic_fetch_add(&own->view->looks, 1);
        read_from_open(&at);
    }
    _exit(0);
}

void start_stranger(stranger *to, const char *gate)
{
    pid_t victim = getpid();
    void *view =
        mmap(NULL, sizeof *to->view, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mf_check(view != MAP_FAILED);
    *to = (stranger){.view = view, .gate = gate};
    atomic_store(&to->view->attacks, true);
    to->pid = fork();
    if (to->pid == 0) {
        hunt_for_ever(to, victim);
    }
    mf_check(to->pid > 0);
}

void end_stranger(stranger *from)
{
    mf_check_int(kill(from->pid, SIGKILL), 0);
    mf_check_int(waitpid(from->pid, NULL, 0), from->pid);
    (void)munmap(from->view, sizeof *from->view);
}

/* ---- What is told ---- */

uint64_t counted(mf_runtime *runtime, const char *series)
{
    char *text = NULL;
    size_t size = 0;
    mf_check_int(mf_metrics_render(mf_runtime_metrics(runtime), MF_METRICS_PROMETHEUS_TEXT, &text,
                                   &size, NULL),
                 MF_OK);
    const char *at = text != NULL ? strstr(text, series) : NULL;
    uint64_t value = at != NULL ? strtoull(at + strlen(series), NULL, 10) : 0;
    free(text);
    return value;
}

typedef struct expected {
    mf_runtime *runtime;
    const char *series;
    uint64_t value;
} expected;

static bool is_counted(void *data)
{
    const expected *at = data;
    return counted(at->runtime, at->series) >= at->value;
}

void await_count(mf_runtime *runtime, const char *series, uint64_t value)
{
    expected at = {.runtime = runtime, .series = series, .value = value};
    mf_check(mf_test_until(is_counted, &at, MF_TEST_PATIENCE_MS));
    mf_check_int(counted(runtime, series), value);
}

mf_runtime *make_runtime(const char *log)
{
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    options.log_file = log;
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    return runtime;
}

const char *log_path(void)
{
    static char path[300];
    static int count;
    (void)snprintf(path, sizeof path, "%s/log%d", mf_test_temp_dir(), count++);
    return path;
}

int count_lines(const char *path, const char *text)
{
    char line[4096];
    int count = 0;
    FILE *file = fopen(path, "re");
    mf_check(file != NULL);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, text) != NULL ? 1 : 0;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

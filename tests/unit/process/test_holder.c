/* Who holds the other end of a connection: this process, its children and theirs, one that has
 * closed it; over IPv4 and IPv6; and what is left where the kernel refuses to tell. */
#include "core/process/holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mf_refuse.h"
#include "mf_test.h"

typedef struct connection {
    int listener, client, server;
} connection;

static socklen_t loopback(int family, struct sockaddr_storage *to)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    memset(to, 0, sizeof *to);
    if (family == AF_INET) {
        memcpy(to, &v4, sizeof v4);
        return sizeof v4;
    }
    memcpy(to, &v6, sizeof v6);
    return sizeof v6;
}

static int listen_on(int family)
{
    struct sockaddr_storage address;
    socklen_t size = loopback(family, &address);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 4) == 0);
    return fd;
}

/* A client may be of IPv6 although the listener is of IPv4. */
static int connect_to(int listener, int family)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    mf_check(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    if (family == AF_INET6 && address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address;
        struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = v4->sin_port};
        (void)inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
        memcpy(&address, &mapped, sizeof mapped);
        size = sizeof mapped;
    }
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check(fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0);
    return fd;
}

static connection connect_pair(int listener_family, int client_family)
{
    connection made = {.listener = listen_on(listener_family)};
    made.client = connect_to(made.listener, client_family);
    made.server = accept4(made.listener, NULL, NULL, SOCK_CLOEXEC);
    mf_check(made.server >= 0);
    return made;
}

static void close_all(const connection *made)
{
    (void)close(made->client);
    (void)close(made->server);
    (void)close(made->listener);
}

static uint64_t inode_of(int fd)
{
    struct stat status = {0};
    mf_check(fstat(fd, &status) == 0);
    return status.st_ino;
}

static void check_known(int fd, uint64_t inode)
{
    mfi_holder holder;
    mf_check_int(mfi_holder_find(fd, &holder), MFI_HOLDER_KNOWN);
    mf_check_int(holder.uid, getuid());
    mf_check_int(holder.inode, inode);
}

static void test_the_other_end_is_told(void)
{
    static const int families[][2] = {
        {AF_INET, AF_INET}, {AF_INET, AF_INET6}, {AF_INET6, AF_INET6}};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        connection made = connect_pair(families[i][0], families[i][1]);
        check_known(made.server, inode_of(made.client));
        check_known(made.client, inode_of(made.server));
        close_all(&made);
    }
}

/* The server's end, looked at from a thread that may open no socket. */
static void find_again(void *data)
{
    const connection *made = data;
    check_known(made->server, inode_of(made->client));
}

static void test_without_netlink_the_tables_are_read(void)
{
    static const long refused[] = {SYS_socket};
    static const int families[][2] = {
        {AF_INET, AF_INET}, {AF_INET, AF_INET6}, {AF_INET6, AF_INET6}};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        connection made = connect_pair(families[i][0], families[i][1]);
        (void)mf_test_refusing(refused, 1, EPERM, find_again, &made);
        close_all(&made);
    }
}

static void find_nothing(void *data)
{
    const connection *made = data;
    mfi_holder holder;
    mf_check_int(mfi_holder_find(made->server, &holder), MFI_HOLDER_UNKNOWN);
    holder = (mfi_holder){.uid = getuid(), .inode = inode_of(made->client)};
    mf_check_int(mfi_holder_in_tree(&holder, getpid(), NULL), MFI_HOLDING_USER);
    holder.uid = getuid() + 1;
    mf_check_int(mfi_holder_in_tree(&holder, getpid(), NULL), MFI_HOLDING_UNKNOWN);
}

static void test_a_kernel_that_tells_nothing_is_unknown(void)
{
    static const long refused[] = {SYS_socket, SYS_openat};
    connection made = connect_pair(AF_INET, AF_INET);
    (void)mf_test_refusing(refused, 2, EACCES, find_nothing, &made);
    close_all(&made);
}

static void test_a_closed_end_is_gone(void)
{
    mfi_holder holder;
    connection made = connect_pair(AF_INET, AF_INET);
    (void)close(made.client);
    mf_check_int(mfi_holder_find(made.server, &holder), MFI_HOLDER_GONE);
    made.client = listen_on(AF_INET); /* not connected */
    mf_check_int(mfi_holder_find(made.client, &holder), MFI_HOLDER_GONE);
    close_all(&made);
}

/* ---- From another address of this host ---- */

#define OTHER_ADDRESS "10.9.8.7"
#define SECOND_ADDRESS "10.9.8.6"

/* A network of this process alone, whose loopback has OTHER_ADDRESS and SECOND_ADDRESS. False where
 * that is not allowed. */
static bool enter_network(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP};
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)strcpy(request.ifr_name, "lo"); /* NOLINT: it fits */
    bool is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    for (size_t i = 0; i < 2; i++) {
        (void)strcpy(request.ifr_name, i == 0 ? "lo:1" : "lo:2"); /* NOLINT: it fits */
        (void)inet_pton(AF_INET, i == 0 ? OTHER_ADDRESS : SECOND_ADDRESS, &address.sin_addr);
        memcpy(&request.ifr_addr, &address, sizeof address);
        is_up = is_up && ioctl(fd, SIOCSIFADDR, &request) == 0;
    }
    (void)close(fd);
    return is_up;
}

/* A listener on all addresses, and a client of OTHER_ADDRESS that connects to `to`. */
static connection connect_from_other(const char *to)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    struct sockaddr_in peer = {.sin_family = AF_INET};
    socklen_t size = sizeof own;
    connection made = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                       .client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    mf_check(bind(made.listener, (struct sockaddr *)&own, sizeof own) == 0);
    mf_check(listen(made.listener, 4) == 0);
    mf_check(getsockname(made.listener, (struct sockaddr *)&own, &size) == 0);
    (void)inet_pton(AF_INET, OTHER_ADDRESS, &peer.sin_addr);
    mf_check(bind(made.client, (struct sockaddr *)&peer, sizeof peer) == 0);
    (void)inet_pton(AF_INET, to, &own.sin_addr);
    mf_check(connect(made.client, (struct sockaddr *)&own, sizeof own) == 0);
    made.server = accept4(made.listener, NULL, NULL, SOCK_CLOEXEC);
    mf_check(made.server >= 0);
    return made;
}

/* Who sends and closes at once is not taken for another host's. */
static int check_other_address(void)
{
    static const char *const targets[] = {"127.0.0.1", SECOND_ADDRESS};
    mfi_holder holder;
    int wrong = 0;
    for (size_t i = 0; i < 2; i++) {
        connection made = connect_from_other(targets[i]);
        wrong += mfi_holder_find(made.server, &holder) != MFI_HOLDER_KNOWN;
        (void)write(made.client, "x", 1);
        (void)close(made.client);
        wrong += mfi_holder_find(made.server, &holder) != MFI_HOLDER_GONE;
        (void)close(made.server);
        (void)close(made.listener);
    }
    return wrong;
}

static void test_another_address_is_no_other_host(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(enter_network() ? check_other_address() : 77);
    }
    mf_check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        (void)fprintf(stderr, "skipped: no network namespaces here\n");
        return;
    }
    mf_check_int(WEXITSTATUS(status), 0);
}

/* ---- A tree with a process that nobody has waited for ---- */

static int check_unwaited(int server)
{
    mfi_holder holder;
    pid_t dead = fork();
    if (dead == 0) {
        _exit(0);
    }
    siginfo_t info;
    if (waitid(P_PID, (id_t)dead, &info, WEXITED | WNOWAIT) != 0 ||
        mfi_holder_find(server, &holder) != MFI_HOLDER_KNOWN) {
        return 1;
    }
    holder.inode += UINT64_C(1) << 40; /* no socket has it */
    return mfi_holder_in_tree(&holder, getpid(), NULL) == MFI_HOLDING_NO ? 0 : 2;
}

/* /proc closes what is left of a process to all users but root. */
static void test_an_unwaited_process_hides_nothing(void)
{
    int status = 0;
    connection made = connect_pair(AF_INET, AF_INET);
    pid_t pid = fork();
    if (pid == 0) {
        bool is_user = getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
        (void)prctl(PR_SET_DUMPABLE, 1); /* else its own descriptors are hidden too */
        _exit(is_user ? check_unwaited(made.server) : 3);
    }
    mf_check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    mf_check_int(WEXITSTATUS(status), 0);
    close_all(&made);
}

/* A process that connects, says so, and waits for its end. below: it lets a child of its own do
 * that. */
static pid_t start_client(int listener, bool below, int *ret_said)
{
    int said[2];
    mf_check(pipe(said) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        pid_t child = below ? fork() : 0;
        if (child == 0) {
            (void)connect_to(listener, AF_INET);
            (void)!write(said[1], "x", 1);
        }
        (void)close(said[1]);
        for (;;) {
            (void)pause();
        }
    }
    (void)close(said[1]);
    char byte = 0;
    mf_check_int(read(said[0], &byte, 1), 1);
    *ret_said = said[0];
    return pid;
}

/* The pipe ends when the last process of the tree has ended. */
static void end_client(pid_t pid, pid_t holder, int said)
{
    char byte = 0;
    if (holder > 1 && holder != pid) {
        (void)kill(holder, SIGKILL);
    }
    if (pid > 1) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    (void)!read(said, &byte, 1);
    (void)close(said);
}

/* A process that ends closes its descriptors one after the other. */
static bool is_gone(void *data)
{
    mfi_holder holder;
    return mfi_holder_find(*(const int *)data, &holder) == MFI_HOLDER_GONE;
}

static void check_tree(bool below)
{
    int said = -1;
    int said_by_another = -1;
    pid_t holding = 0;
    mfi_holder holder;
    int listener = listen_on(AF_INET);
    pid_t pid = start_client(listener, below, &said);
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    pid_t another = start_client(listener, false, &said_by_another);
    mf_check_int(mfi_holder_find(server, &holder), MFI_HOLDER_KNOWN);
    mf_check_int(mfi_holder_in_tree(&holder, pid, &holding), MFI_HOLDING_YES);
    mf_check(below ? holding > 1 && holding != pid : holding == pid);
    mf_check_int(mfi_holder_in_tree(&holder, getpid(), NULL), MFI_HOLDING_YES);
    mf_check_int(mfi_holder_in_tree(&holder, another, NULL), MFI_HOLDING_NO);
    mf_check_int(mfi_holder_in_tree(&holder, 0, NULL), MFI_HOLDING_UNKNOWN);
    end_client(another, 0, said_by_another);
    end_client(pid, holding, said);
    mf_check(mf_test_until(is_gone, &server, MF_TEST_PATIENCE_MS));
    (void)close(server);
    (void)close(listener);
}

static void test_a_child_holds_it(void)
{
    check_tree(false);
}

static void test_a_child_of_a_child_holds_it(void)
{
    check_tree(true);
}

/* A process whose children come and go all the time. One of them connects, and stays; its list of
 * children may lack that one for a moment. */
static pid_t start_forking(int listener)
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    for (int i = 0; i < 8; i++) { /* those that end stand before the one that stays */
        if (fork() == 0) {
            _exit(0);
        }
    }
    if (fork() == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)connect_to(listener, AF_INET);
        for (;;) {
            (void)pause();
        }
    }
    for (;;) {
        (void)wait(NULL);
        if (fork() == 0) {
            _exit(0);
        }
    }
}

static void test_a_holder_is_found_while_processes_fork(void)
{
    enum { LOOKS = 300 };
    mfi_holder holder;
    int missed = 0;
    int listener = listen_on(AF_INET);
    pid_t pid = start_forking(listener);
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    mf_check_int(mfi_holder_find(server, &holder), MFI_HOLDER_KNOWN);
    for (int i = 0; i < LOOKS; i++) {
        missed += mfi_holder_in_tree(&holder, pid, NULL) == MFI_HOLDING_YES ? 0 : 1;
    }
    mf_check_int(missed, 0);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    mf_check(mf_test_until(is_gone, &server, MF_TEST_PATIENCE_MS));
    (void)close(server);
    (void)close(listener);
}

static const mf_test tests[] = {
    {"holder__the_other_end_is_told", test_the_other_end_is_told},
    {"holder__without_netlink_the_tables_are_read", test_without_netlink_the_tables_are_read},
    {"holder__a_kernel_that_tells_nothing_is_unknown", test_a_kernel_that_tells_nothing_is_unknown},
    {"holder__a_closed_end_is_gone", test_a_closed_end_is_gone},
    {"holder__a_child_holds_it", test_a_child_holds_it},
    {"holder__a_child_of_a_child_holds_it", test_a_child_of_a_child_holds_it},
    {"holder__another_address_is_no_other_host", test_another_address_is_no_other_host},
    {"holder__an_unwaited_process_hides_nothing", test_an_unwaited_process_hides_nothing},
    {"holder__is_found_while_processes_fork", test_a_holder_is_found_while_processes_fork},
};

MF_TEST_MAIN(tests)

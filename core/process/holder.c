/* Asks the kernel for the holder of a socket. It exists because a port on loopback is open to every
 * user of the host: a stranger that connects first would be taken for the worker. */
#include "core/process/holder.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "core/process/alive.h"

#define NOBODY ((uid_t)-1) /* no uid was told */
#define TREE_MAX 4096      /* processes of a tree that are looked at */
#define LOOKS_MOST 4       /* at a tree that changes while it is read */
/* What follows the addresses in a line of /proc/net/tcp: uid and inode. */
#define OWNER "%*s %*s %*s %*s %u %*s %llu"

/* ---- The two ends ---- */

/* An end of a connection, as an IPv6 address. */
typedef struct tcp_end {
    struct in6_addr address;
    uint16_t port; /* of the host's byte order */
} tcp_end;

typedef struct connection_ends {
    tcp_end own, other;
} connection_ends;

static void map_v4(struct in6_addr *to, struct in_addr from)
{
    memset(to, 0, sizeof *to);
    to->s6_addr[10] = 0xff;
    to->s6_addr[11] = 0xff;
    memcpy(&to->s6_addr[12], &from, sizeof from);
}

static bool read_end(int fd, int (*ask)(int, struct sockaddr *, socklen_t *), tcp_end *ret_end)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    socklen_t size = sizeof name;
    if (ask(fd, &name.any, &size) != 0) {
        return false;
    }
    if (name.any.sa_family == AF_INET) {
        map_v4(&ret_end->address, name.v4.sin_addr);
        ret_end->port = ntohs(name.v4.sin_port);
    } else if (name.any.sa_family == AF_INET6) {
        ret_end->address = name.v6.sin6_addr;
        ret_end->port = ntohs(name.v6.sin6_port);
    }
    return name.any.sa_family == AF_INET || name.any.sa_family == AF_INET6;
}

static bool is_loopback(const struct in6_addr *address)
{
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

/* Only this host reaches its loopback, from any of its addresses. */
static bool is_local(const connection_ends *ends)
{
    return is_loopback(&ends->other.address) || is_loopback(&ends->own.address) ||
           memcmp(&ends->other.address, &ends->own.address, sizeof ends->own.address) == 0;
}

/* ---- By netlink ---- */

typedef struct diag_request {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
} diag_request;

/* The kernel finds a socket by its own ends: those of the connection, the other way round. */
static void write_request(diag_request *request, const connection_ends *ends)
{
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(&ends->other.address);
    size_t skipped = is_v4 ? 12 : 0;
    *request = (diag_request){.head = {.nlmsg_len = sizeof *request,
                                       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                       .nlmsg_flags = NLM_F_REQUEST},
                              .body = {.sdiag_family = is_v4 ? AF_INET : AF_INET6,
                                       .sdiag_protocol = IPPROTO_TCP,
                                       .idiag_states = UINT32_MAX}};
    struct inet_diag_sockid *id = &request->body.id;
    id->idiag_sport = htons(ends->other.port);
    id->idiag_dport = htons(ends->own.port);
    memcpy(id->idiag_src, ends->other.address.s6_addr + skipped, 16 - skipped);
    memcpy(id->idiag_dst, ends->own.address.s6_addr + skipped, 16 - skipped);
    id->idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

/* A socket that no process holds any more has no inode, and its uid says nothing. */
static mfi_holder_source judge(uint32_t uid, uint64_t inode, mfi_holder *ret_holder)
{
    *ret_holder = (mfi_holder){.uid = uid, .inode = inode};
    return inode != 0 ? MFI_HOLDER_KNOWN : MFI_HOLDER_GONE;
}

/* Without an established connection of these ends, the kernel tells of a listener at that port. */
static bool is_about(const struct inet_diag_msg *found, const connection_ends *ends)
{
    return found->id.idiag_sport == htons(ends->other.port) &&
           found->id.idiag_dport == htons(ends->own.port);
}

static mfi_holder_source read_answer(int netlink, const connection_ends *ends,
                                     mfi_holder *ret_holder)
{
    union {
        struct nlmsghdr head;
        char bytes[1024];
    } answer;
    ssize_t size = 0;
    do {
        size = recv(netlink, &answer, sizeof answer, 0);
    } while (size < 0 && errno == EINTR);
    if (size < (ssize_t)NLMSG_LENGTH(0) || !NLMSG_OK(&answer.head, (size_t)size)) {
        return MFI_HOLDER_UNKNOWN;
    }
    if (answer.head.nlmsg_type == NLMSG_ERROR) {
        struct nlmsgerr failure = {.error = -EPROTO};
        if (answer.head.nlmsg_len >= NLMSG_LENGTH(sizeof failure)) {
            memcpy(&failure, NLMSG_DATA(&answer.head), sizeof failure);
        }
        return failure.error == -ENOENT ? MFI_HOLDER_GONE : MFI_HOLDER_UNKNOWN;
    }
    struct inet_diag_msg found;
    if (answer.head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        answer.head.nlmsg_len < NLMSG_LENGTH(sizeof found)) {
        return MFI_HOLDER_UNKNOWN;
    }
    memcpy(&found, NLMSG_DATA(&answer.head), sizeof found);
    if (!is_about(&found, ends)) {
        return MFI_HOLDER_GONE;
    }
    return judge(found.idiag_uid, found.idiag_inode, ret_holder);
}

/* What it means that a file or socket could not be opened. */
static mfi_holder_source failure(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == ENOBUFS
               ? MFI_HOLDER_NO_ROOM
               : MFI_HOLDER_UNKNOWN;
}

static mfi_holder_source ask_netlink(const connection_ends *ends, mfi_holder *ret_holder)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct timeval patience = {.tv_sec = 1}; /* the kernel answers within the send */
    mfi_holder_source source = MFI_HOLDER_UNKNOWN;
    diag_request request;
    int netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0) {
        return failure(errno);
    }
    write_request(&request, ends);
    if (setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        sendto(netlink, &request, sizeof request, 0, (const struct sockaddr *)&kernel,
               sizeof kernel) == (ssize_t)sizeof request) {
        source = read_answer(netlink, ends, ret_holder);
    }
    (void)close(netlink);
    return source;
}

/* ---- By /proc/net ---- */

/* The kernel writes an address as words of 32 bits in the host's byte order, in hexadecimal. */
static void format_end(char *to, size_t size, const tcp_end *end, bool is_v4)
{
    uint32_t words[4];
    memcpy(words, end->address.s6_addr, sizeof words);
    if (is_v4) {
        (void)mfi_str_format(to, size, "%08X:%04X", words[3], end->port);
    } else {
        (void)mfi_str_format(to, size, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2],
                             words[3], end->port);
    }
}

/* Looks for the line "sl: local remote st queues timer retries uid timeout inode ...". */
static mfi_holder_source search_table(const char *path, const connection_ends *ends, bool is_v4,
                                      mfi_holder *ret_holder)
{
    char line[512];
    char wanted[96];
    char local[48];
    char remote[48];
    FILE *table = fopen(path, "re");
    mfi_holder_source source = table != NULL ? MFI_HOLDER_GONE : failure(errno);
    format_end(local, sizeof local, &ends->other, is_v4);
    format_end(remote, sizeof remote, &ends->own, is_v4);
    (void)mfi_str_format(wanted, sizeof wanted, ": %s %s ", local, remote);
    while (source == MFI_HOLDER_GONE && table != NULL && fgets(line, sizeof line, table) != NULL) {
        unsigned uid = 0;
        unsigned long long inode = 0;
        const char *at = strstr(line, wanted);
        int read = at == NULL ? 0 /* NOLINTNEXTLINE: the kernel's own digits */
                              : sscanf(at + strlen(wanted), OWNER, &uid, &inode);
        if (read == 2) {
            source = judge(uid, inode, ret_holder);
            break;
        }
    }
    if (table != NULL) {
        (void)fclose(table);
    }
    return source;
}

/* A socket of IPv6 may carry a connection of IPv4: it stands in the other table. */
static mfi_holder_source ask_proc(const connection_ends *ends, mfi_holder *ret_holder)
{
    mfi_holder_source source = MFI_HOLDER_GONE;
    if (IN6_IS_ADDR_V4MAPPED(&ends->other.address)) {
        source = search_table("/proc/self/net/tcp", ends, true, ret_holder);
    }
    if (source != MFI_HOLDER_GONE) {
        return source;
    }
    mfi_holder_source v6 = search_table("/proc/self/net/tcp6", ends, false, ret_holder);
    /* A kernel without IPv6 has no such table. */
    return v6 == MFI_HOLDER_UNKNOWN && IN6_IS_ADDR_V4MAPPED(&ends->other.address) ? MFI_HOLDER_GONE
                                                                                  : v6;
}

/* A kernel that has no module for the question says that there is no such socket. It says so of
 * this process's own end too. */
static bool netlink_knows(const connection_ends *ends)
{
    connection_ends turned = {.own = ends->other, .other = ends->own};
    mfi_holder own;
    return ask_netlink(&turned, &own) == MFI_HOLDER_KNOWN;
}

mfi_holder_source mfi_holder_find(int fd, mfi_holder *ret_holder)
{
    connection_ends ends;
    *ret_holder = (mfi_holder){.uid = NOBODY};
    if (!read_end(fd, getpeername, &ends.other) || !read_end(fd, getsockname, &ends.own)) {
        return MFI_HOLDER_GONE;
    }
    mfi_holder_source source = ask_netlink(&ends, ret_holder);
    if (source == MFI_HOLDER_UNKNOWN || (source == MFI_HOLDER_GONE && !netlink_knows(&ends))) {
        source = ask_proc(&ends, ret_holder);
    }
    /* A process of this host may connect from any address of the host, so the address tells only
     * what a connection is of which the kernel does not know the other end. An end that was closed
     * is known for a while, with a uid that says nothing. */
    bool is_unheard =
        (source == MFI_HOLDER_GONE && ret_holder->uid == NOBODY) || source == MFI_HOLDER_UNKNOWN;
    return is_unheard && !is_local(&ends) ? MFI_HOLDER_REMOTE : source;
}

/* ---- The tree ---- */

/* The processes of a tree, the root first; each one's children are added when it is looked at. */
typedef struct tree {
    pid_t pids[TREE_MAX];
    size_t count;
    bool is_whole; /* every process was read, with its children */
    bool has_user; /* a process that could not be read runs as the socket's user */
} tree;

/* A folder may be open to this process, and its links not: *ret_read becomes false. */
static bool names_socket(int folder, const char *name, const char *wanted, bool *ret_read)
{
    char link[64];
    ssize_t size = readlinkat(folder, name, link, sizeof link - 1);
    if (size <= 0) {
        *ret_read = *ret_read && (size == 0 || (errno != EACCES && errno != EPERM));
        return false;
    }
    link[size] = '\0';
    return strcmp(link, wanted) == 0;
}

/* Whether a file cannot be read because the process has ended, and not because it is hidden. What
 * is left of a process that nobody has waited for is closed to all users but root. */
static bool has_ended(pid_t pid, int reason)
{
    bool may_have = reason == ENOENT || reason == EACCES || reason == EPERM;
    return reason == ESRCH || (may_have && !mfi_process_alive(pid, NULL));
}

/* Whether a process has the socket open. *ret_read becomes false if its descriptors are hidden; one
 * that has ended has none. */
static bool has_socket(pid_t pid, const char *wanted, bool *ret_read)
{
    char path[48];
    bool has = false;
    (void)mfi_str_format(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        *ret_read = has_ended(pid, errno);
        return false;
    }
    *ret_read = true;
    for (const struct dirent *entry = NULL; !has && (entry = readdir(folder)) != NULL;) {
        has =
            entry->d_name[0] != '.' && names_socket(dirfd(folder), entry->d_name, wanted, ret_read);
    }
    (void)closedir(folder);
    *ret_read = *ret_read || has_ended(pid, EACCES); /* meanwhile */
    return has;
}

static void add_child(tree *of, pid_t pid)
{
    if (of->count < TREE_MAX) {
        of->pids[of->count++] = pid;
    } else {
        of->is_whole = false;
    }
}

static bool add_children_of_thread(tree *of, pid_t pid, const char *thread)
{
    char path[80];
    int child = 0;
    (void)mfi_str_format(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, thread);
    FILE *list = fopen(path, "re");
    if (list == NULL) {
        return errno == ENOENT && access("/proc/thread-self/children", F_OK) == 0;
    }
    while (fscanf(list, "%d", &child) == 1) { /* NOLINT: the kernel's own digits */
        add_child(of, (pid_t)child);
    }
    (void)fclose(list);
    return true;
}

/* Each thread of a process may have children. */
static void add_children(tree *of, pid_t pid)
{
    char path[48];
    (void)mfi_str_format(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (threads == NULL) {
        of->is_whole = of->is_whole && has_ended(pid, errno);
        return;
    }
    for (const struct dirent *entry = NULL; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] != '.' && !add_children_of_thread(of, pid, entry->d_name)) {
            of->is_whole = false;
        }
    }
    (void)closedir(threads);
}

/* The descriptors of a process are hidden, its user need not be. */
static void note_hidden(tree *of, pid_t pid, uid_t uid)
{
    char path[32];
    struct stat status;
    (void)mfi_str_format(path, sizeof path, "/proc/%d", (int)pid);
    of->is_whole = false;
    of->has_user = of->has_user || (stat(path, &status) == 0 && status.st_uid == uid);
}

/* The process that has the socket open; 0: none that was read. */
static pid_t look(tree *of, const mfi_holder *holder, pid_t root)
{
    char wanted[48];
    (void)mfi_str_format(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long)holder->inode);
    of->count = 0;
    of->is_whole = true;
    of->has_user = false;
    add_child(of, root);
    for (size_t i = 0; i < of->count; i++) {
        bool was_read = false;
        if (has_socket(of->pids[i], wanted, &was_read)) {
            return of->pids[i];
        }
        if (!was_read) {
            note_hidden(of, of->pids[i], holder->uid);
        }
        add_children(of, of->pids[i]);
    }
    return 0;
}

static bool are_same(const tree *a, const tree *b)
{
    return a->count == b->count && memcmp(a->pids, b->pids, a->count * sizeof a->pids[0]) == 0;
}

/* Whether /proc shows this process by its own pid. It may be absent, or of another namespace. */
static bool proc_is_own(void)
{
    char link[24];
    char own[24];
    ssize_t size = readlink("/proc/self", link, sizeof link - 1);
    (void)mfi_str_format(own, sizeof own, "%d", (int)getpid());
    return size > 0 && (size_t)size == strlen(own) && memcmp(link, own, (size_t)size) == 0;
}

/* A list of children may lack one while another one ends, and an orphan may move while the tree is
 * read. So a holder that is not found is looked for until the tree was the same twice. */
mfi_holding mfi_holder_in_tree(const mfi_holder *holder, pid_t root, pid_t *ret_pid)
{
    pid_t found = 0;
    bool is_settled = false;
    tree *looks = root > 0 && proc_is_own() ? calloc(2, sizeof *looks) : NULL;
    if (looks == NULL) {
        return MFI_HOLDING_UNKNOWN;
    }
    const tree *last = looks;
    for (int i = 0; i < LOOKS_MOST && found == 0 && !is_settled; i++) {
        found = look(&looks[i % 2], holder, root);
        last = &looks[i % 2];
        is_settled = i > 0 && are_same(&looks[0], &looks[1]);
    }
    mfi_holding holding = found != 0       ? MFI_HOLDING_YES
                          : last->is_whole ? MFI_HOLDING_NO
                          : last->has_user ? MFI_HOLDING_USER
                                           : MFI_HOLDING_UNKNOWN;
    free(looks);
    if (found != 0 && ret_pid != NULL) {
        *ret_pid = found;
    }
    return holding;
}

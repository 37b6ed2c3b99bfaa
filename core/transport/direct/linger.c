/* Sends the unsent bytes of closed connections, on one thread that runs only while there are any.
 * Usually the kernel has taken all bytes before, and no thread starts. The thread also reads and
 * drops what the peer still sends, because a kernel that has unread bytes when a socket is closed
 * drops the unsent ones. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/transport/direct/direct.h"

#define LOOKED_AT 64 /* connections in one poll(); the others wait for their turn */
#define LOOK_MS 20   /* between polls, so that other and new connections and deadlines get a turn */
#define DISCARDS 64  /* reads from one connection in a turn */

struct mfi_lingering {
    mfi_mutex mutex;
    mfi_direct_peer *peers; /* guarded by mutex; deadline_ns: until when to send */
    pthread_t thread;
    bool has_thread; /* guarded by mutex; the thread must be joined */
    bool is_running; /* guarded by mutex; the thread reads the list again before it ends */
};

mfi_lingering *mfi_lingering_create(void)
{
    mfi_lingering *lingering = calloc(1, sizeof *lingering);
    if (lingering != NULL) {
        mfi_mutex_init(&lingering->mutex);
    }
    return lingering;
}

/* Whether the kernel has sent all bytes. Unsent bytes are lost if the peer sends anything after the
 * close. SIOCOUTQNSD gives the same number, but valgrind does not know it. A kernel before Linux
 * 4.6 answers with a shorter struct, and the number stays 0. */
static bool is_all_sent(int fd)
{
    struct tcp_info info = {.tcpi_notsent_bytes = 0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_notsent_bytes == 0;
}

/* Sends as much as possible; true if all bytes are sent or the peer reads no more. */
static bool is_over(mfi_direct_peer *peer)
{
    char unread[4096];
    ssize_t got = 1;
    mfi_io io = mfi_connection_flush(&peer->connection);
    for (int i = 0; i < DISCARDS && got > 0; i++) {
        got = recv(peer->connection.fd, unread, sizeof unread, MSG_DONTWAIT);
    }
    bool has_ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    return has_ended || io == MFI_IO_FAILED ||
           (io == MFI_IO_DONE && is_all_sent(peer->connection.fd));
}

static void end(mfi_direct_peer *peer)
{
    mfi_connection_fini(&peer->connection);
    free(peer);
}

/* Sends as much as possible, and removes peers that are done or too late. */
static void send_some(mfi_direct_peer **list)
{
    uint64_t now = mfi_monotonic_ns();
    for (mfi_direct_peer **link = list; *link != NULL;) {
        mfi_direct_peer *peer = *link;
        if (now >= peer->deadline_ns || is_over(peer)) {
            *link = peer->next;
            end(peer);
        } else {
            link = &peer->next;
        }
    }
}

static void wait_for_room(const mfi_direct_peer *list)
{
    struct pollfd fds[LOOKED_AT];
    nfds_t count = 0;
    for (const mfi_direct_peer *peer = list; peer != NULL && count < LOOKED_AT; peer = peer->next) {
        bool waits = mfi_connection_has_unsent(&peer->connection); /* else the kernel has bytes */
        fds[count++] =
            (struct pollfd){.fd = peer->connection.fd, .events = waits ? POLLOUT : POLLIN};
    }
    (void)poll(fds, count, LOOK_MS);
}

static void *run(void *argument)
{
    mfi_lingering *lingering = argument;
    mfi_direct_peer *list = NULL;
    bool goes_on = true;
    while (goes_on) {
        mfi_mutex_lock(&lingering->mutex);
        mfi_direct_peer **link = &list;
        while (*link != NULL) {
            link = &(*link)->next;
        }
        *link = lingering->peers;
        lingering->peers = NULL;
        goes_on = list != NULL;
        lingering->is_running = goes_on;
        mfi_mutex_unlock(&lingering->mutex);
        send_some(&list);
        if (list != NULL) {
            wait_for_room(list);
        }
    }
    return NULL;
}

void mfi_linger(mfi_lingering *lingering, mfi_direct_peer *peer, int64_t linger_ms)
{
    bool goes_on = true;
    if (peer->connection.phase != MFI_CONNECTION_UP || is_over(peer)) {
        end(peer);
        return;
    }
    peer->deadline_ns = mfi_deadline_after_ms(mfi_monotonic_ns(), linger_ms);
    mfi_mutex_lock(&lingering->mutex);
    if (!lingering->is_running) {
        if (lingering->has_thread) {
            (void)pthread_join(lingering->thread, NULL); /* the thread is about to end */
        }
        lingering->has_thread =
            mfi_thread_start(&lingering->thread, "mf-linger", run, lingering) == 0;
        lingering->is_running = lingering->has_thread;
        goes_on = lingering->has_thread;
    }
    if (goes_on) {
        peer->next = lingering->peers;
        lingering->peers = peer;
    }
    mfi_mutex_unlock(&lingering->mutex);
    if (!goes_on) {
        end(peer);
    }
}

void mfi_lingering_destroy(mfi_lingering *lingering)
{
    if (lingering->has_thread) {
        (void)pthread_join(lingering->thread, NULL);
    }
    mfi_mutex_fini(&lingering->mutex);
    free(lingering);
}

/* Accepts connections for the endpoint. libmicrohttpd's own acceptor stops at its limit, so that a
 * hundred idle connections would keep every probe out, and spins when descriptors run out. This one
 * makes room: the connection that has waited longest for its client goes. */
#include "http/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define BACKOFF_NS (100 * MFI_NS_PER_MS) /* without a descriptor for a connection */
#define BURST 16                         /* connections that are accepted before the next sweep */

static void wake(mfi_acceptor *acceptor)
{
    uint64_t one = 1;
    (void)!write(acceptor->wake_fd, &one, sizeof one); /* fails only while it is readable anyway */
}

/* ---- Which connection goes ---- */

/* The owner of the connection sees its end and closes the descriptor. */
static void end_visitor(mfi_visitor *visitor)
{
    visitor->is_ending = true;
    (void)shutdown(visitor->fd, SHUT_RDWR);
}

static bool has_unread_bytes(int fd)
{
    int size = 0;
    return ioctl(fd, FIONREAD, &size) == 0 && size > 0;
}

static void drop(mfi_acceptor *acceptor, mfi_visitor *visitor)
{
    mfi_list_remove(&acceptor->visitors, &visitor->node);
    acceptor->count--;
    free(visitor->user_data);
    free(visitor);
}

/* Whether the descriptor of a visitor is surely open. The server may close one that it never
 * began, for want of memory, without a word; the number may be another file's by then. */
static bool may_end(const mfi_visitor *visitor)
{
    return visitor->is_known && !visitor->is_ending && visitor->visit != MFI_VISIT_MAKING;
}

/* Ends the connections that have waited too long for their clients. Returns when the next one may
 * have. A request that lies in the socket has come in time. */
static uint64_t end_late(mfi_acceptor *acceptor, uint64_t now)
{
    uint64_t next = MFI_NEVER;
    mfi_mutex_lock(&acceptor->mutex);
    for (mfi_list_node *node = acceptor->visitors.first, *behind = NULL; node != NULL;
         node = behind) {
        mfi_visitor *at = MFI_CONTAINER(node, mfi_visitor, node);
        uint64_t limit = at->since_ns + acceptor->patience_ns;
        behind = node->next;
        if (at->is_known && !may_end(at)) {
            continue;
        }
        if (now >= limit && !at->is_known) {
            drop(acceptor, at);
        } else if (now >= limit && !(at->visit == MFI_VISIT_READING && has_unread_bytes(at->fd))) {
            end_visitor(at);
        } else {
            limit = now >= limit ? now + BACKOFF_NS : limit;
            next = limit < next ? limit : next;
        }
    }
    mfi_mutex_unlock(&acceptor->mutex);
    return next;
}

/* Ends the connection that has waited longest for a request or for its rest, else the one whose
 * answer is taken most slowly. False if there is none. */
static bool end_longest(mfi_acceptor *acceptor)
{
    mfi_visitor *longest = NULL;
    for (mfi_list_node *node = acceptor->visitors.first; node != NULL; node = node->next) {
        mfi_visitor *at = MFI_CONTAINER(node, mfi_visitor, node);
        if (!may_end(at)) {
            continue;
        }
        if (longest == NULL || at->visit < longest->visit ||
            (at->visit == longest->visit && at->since_ns < longest->since_ns)) {
            longest = at;
        }
    }
    if (longest != NULL) {
        end_visitor(longest);
    }
    return longest != NULL;
}

static size_t count_lasting(mfi_acceptor *acceptor)
{
    size_t count = 0;
    for (mfi_list_node *node = acceptor->visitors.first; node != NULL; node = node->next) {
        count += MFI_CONTAINER(node, mfi_visitor, node)->is_ending ? 0 : 1;
    }
    return count;
}

/* Whether one more connection may come now; ends another one for it if need be. */
static bool make_room(mfi_acceptor *acceptor)
{
    mfi_mutex_lock(&acceptor->mutex);
    bool has_room = acceptor->count < acceptor->cap + MFI_ACCEPTOR_SPARE &&
                    (count_lasting(acceptor) < acceptor->cap || end_longest(acceptor));
    acceptor->is_full = !has_room;
    mfi_mutex_unlock(&acceptor->mutex);
    return has_room;
}

/* ---- Accepting ---- */

static void close_spare(mfi_acceptor *acceptor)
{
    if (acceptor->spare_fd >= 0) {
        (void)close(acceptor->spare_fd);
        acceptor->spare_fd = -1;
    }
}

/* Without a descriptor the spare one serves: a probe of the process's health must be answered
 * then above all. */
static int accept_one(mfi_acceptor *acceptor, struct sockaddr_storage *address, socklen_t *size)
{
    for (int try = 0;; try++) {
        *size = sizeof *address;
        int fd = accept4(acceptor->listen_fd, (struct sockaddr *)address, size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        bool is_short = fd < 0 && (errno == EMFILE || errno == ENFILE);
        if (!is_short || acceptor->spare_fd < 0 || try > 0) {
            return fd;
        }
        close_spare(acceptor);
    }
}

/* Whether an error of accept() lasts until something is freed. The others are those of the one
 * connection, which is gone. */
static bool is_shortage(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
}

static bool admit(mfi_acceptor *acceptor, int fd, const struct sockaddr_storage *address,
                  socklen_t size)
{
    mfi_visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL) {
        (void)close(fd);
        return false;
    }
    visitor->fd = fd;
    visitor->came_ns = visitor->since_ns = mfi_monotonic_ns();
    mfi_mutex_lock(&acceptor->mutex);
    mfi_list_push_back(&acceptor->visitors, &visitor->node);
    acceptor->count++;
    mfi_mutex_unlock(&acceptor->mutex);
    if (acceptor->admit(acceptor->user_data, fd, (const struct sockaddr *)address, size)) {
        return true;
    }
    mfi_acceptor_forget(acceptor, visitor);
    return false;
}

/* Accepts what waits. Returns until when further connections have to wait, unless one ends: 0 if
 * they need not. */
static uint64_t accept_waiting(mfi_acceptor *acceptor)
{
    for (int i = 0; i < BURST; i++) {
        struct sockaddr_storage address;
        socklen_t size = 0;
        struct pollfd waiting = {.fd = acceptor->listen_fd, .events = POLLIN};
        if (poll(&waiting, 1, 0) != 1) {
            return 0;
        }
        if (!make_room(acceptor)) {
            return mfi_monotonic_ns() + BACKOFF_NS;
        }
        int fd = accept_one(acceptor, &address, &size);
        if (fd >= 0) {
            (void)admit(acceptor, fd, &address, size);
        } else if (is_shortage(errno)) {
            mfi_mutex_lock(&acceptor->mutex);
            (void)end_longest(acceptor);
            mfi_mutex_unlock(&acceptor->mutex);
            return mfi_monotonic_ns() + BACKOFF_NS;
        }
    }
    return 0;
}

/* Sleeps until a connection comes (unless they have to wait until `hold_ns`), a place is free, or
 * `until_ns`. Returns whether a connection waits. */
static bool sleep_until(mfi_acceptor *acceptor, uint64_t hold_ns, uint64_t until_ns)
{
    uint64_t now = mfi_monotonic_ns();
    bool listens = hold_ns <= now;
    uint64_t end = listens || until_ns < hold_ns ? until_ns : hold_ns;
    struct pollfd events[] = {{.fd = acceptor->wake_fd, .events = POLLIN},
                              {.fd = listens ? acceptor->listen_fd : -1, .events = POLLIN}};
    (void)poll(events, 2, mfi_poll_timeout_ms(end, now));
    return (events[1].revents & POLLIN) != 0;
}

static bool was_woken(mfi_acceptor *acceptor)
{
    uint64_t count = 0;
    return read(acceptor->wake_fd, &count, sizeof count) > 0;
}

static bool is_stopping(mfi_acceptor *acceptor)
{
    mfi_mutex_lock(&acceptor->mutex);
    bool stopping = acceptor->stopping;
    mfi_mutex_unlock(&acceptor->mutex);
    return stopping;
}

static void *run(void *argument)
{
    mfi_acceptor *acceptor = argument;
    uint64_t hold_ns = 0;
    while (!is_stopping(acceptor)) {
        if (acceptor->spare_fd < 0) {
            acceptor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
        uint64_t next = end_late(acceptor, mfi_monotonic_ns());
        bool has_waiting = sleep_until(acceptor, hold_ns, next);
        if (was_woken(acceptor)) {
            hold_ns = 0; /* a connection ended: there is a place */
        } else if (has_waiting) {
            hold_ns = accept_waiting(acceptor);
        }
    }
    return NULL;
}

/* ---- Visitors ---- */

/* A connection that has become one that can be ended is a place for one that waits. */
static void tell_of_room(mfi_acceptor *acceptor)
{
    if (acceptor->is_full) {
        acceptor->is_full = false;
        wake(acceptor);
    }
}

mfi_visitor *mfi_acceptor_find(mfi_acceptor *acceptor, int fd)
{
    mfi_visitor *found = NULL;
    mfi_mutex_lock(&acceptor->mutex);
    for (mfi_list_node *node = acceptor->visitors.first; node != NULL; node = node->next) {
        mfi_visitor *at = MFI_CONTAINER(node, mfi_visitor, node);
        if (at->fd == fd && !at->is_known) {
            at->is_known = true;
            found = at;
            break;
        }
    }
    tell_of_room(acceptor);
    mfi_mutex_unlock(&acceptor->mutex);
    return found;
}

void mfi_acceptor_visit(mfi_acceptor *acceptor, mfi_visitor *visitor, mfi_visit visit)
{
    mfi_mutex_lock(&acceptor->mutex);
    visitor->visit = visit;
    visitor->since_ns = mfi_monotonic_ns();
    tell_of_room(acceptor);
    mfi_mutex_unlock(&acceptor->mutex);
}

bool mfi_acceptor_is_old(mfi_acceptor *acceptor, const mfi_visitor *visitor)
{
    return mfi_monotonic_ns() - visitor->came_ns >= acceptor->patience_ns;
}

void mfi_acceptor_forget(mfi_acceptor *acceptor, mfi_visitor *visitor)
{
    mfi_mutex_lock(&acceptor->mutex); /* afterwards no sweep touches the descriptor */
    drop(acceptor, visitor);
    mfi_mutex_unlock(&acceptor->mutex);
    wake(acceptor);
}

/* ---- Life ---- */

mf_status mfi_acceptor_start(mfi_acceptor *acceptor, mf_error *error)
{
    mfi_mutex_init(&acceptor->mutex);
    acceptor->spare_fd = -1;
    acceptor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int reason = errno;
    if (acceptor->wake_fd >= 0) {
        reason = mfi_thread_start(&acceptor->thread, "mf-http-accept", run, acceptor);
        acceptor->started = reason == 0;
    }
    if (acceptor->started) {
        return MF_OK;
    }
    if (acceptor->wake_fd >= 0) {
        (void)close(acceptor->wake_fd);
    }
    mfi_mutex_fini(&acceptor->mutex);
    return mfi_fail_errno(error, MF_ERR_SYSTEM, reason, "cannot start the HTTP acceptor");
}

void mfi_acceptor_stop(mfi_acceptor *acceptor)
{
    if (!acceptor->started) {
        return;
    }
    mfi_mutex_lock(&acceptor->mutex);
    acceptor->stopping = true;
    mfi_mutex_unlock(&acceptor->mutex);
    wake(acceptor);
    (void)pthread_join(acceptor->thread, NULL);
    (void)close(acceptor->listen_fd);
    close_spare(acceptor);
}

void mfi_acceptor_fini(mfi_acceptor *acceptor)
{
    if (acceptor->started) {
        /* The server never began these. */
        for (mfi_list_node *node = acceptor->visitors.first, *next = NULL; node != NULL;
             node = next) {
            next = node->next;
            drop(acceptor, MFI_CONTAINER(node, mfi_visitor, node));
        }
        (void)close(acceptor->wake_fd);
        mfi_mutex_fini(&acceptor->mutex);
    }
}

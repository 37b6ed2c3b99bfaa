/* mf_admin: the socket, its thread, and its connections. It exists so that commands are served
 * while the engine is busy or stuck, by a thread that nothing else waits for. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <multifrost/admin.h>

#include "admin/client.h"
#include "admin/commands.h"
#include "admin/path.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/str.h"
#include "core/runtime/runtime.h"

#define CLIENTS 8
#define PAUSE_MS 100 /* without a descriptor for a connection */

struct mf_admin {
    mf_runtime *runtime;
    mfi_admin_path path;
    int listen_fd, stop_fd;
    pthread_t thread;
    mfi_admin_client clients[CLIENTS];
};

/* ---- Connections ---- */

static void answer(void *self, const mfi_admin_client *client, const char *line, size_t length,
                   mfi_buf *out)
{
    const mf_admin *admin = self;
    mfi_admin_obey(admin->runtime, &(mfi_admin_asker){.uid = client->uid, .pid = client->pid}, line,
                   length, out);
}

/* A free place; if there is none, the client that was silent longest gives way. */
static mfi_admin_client *find_place(mf_admin *admin)
{
    mfi_admin_client *oldest = &admin->clients[0];
    for (size_t i = 0; i < CLIENTS; i++) {
        mfi_admin_client *at = &admin->clients[i];
        if (at->fd < 0) {
            return at;
        }
        oldest = at->heard_ns < oldest->heard_ns ? at : oldest;
    }
    mfi_admin_client_end(oldest);
    return oldest;
}

/* The visitor is another user's process: it gets one line, and may not stay. */
static void send_away(mf_admin *admin, int fd, int64_t uid)
{
    char why[128];
    mfi_buf out;
    mfi_buf_init(&out, MFI_ADMIN_OUT_MAX);
    (void)mfi_str_format(why, sizeof why, "user %lld may not ask: only user %u and root may",
                         (long long)uid, (unsigned)geteuid());
    mfi_admin_refuse(&out, why);
    (void)!send(fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    mfi_buf_fini(&out);
    (void)close(fd);
    mfi_observe_admin_command(admin->runtime->observer, MFI_ADMIN_CONNECT, MFI_ADMIN_ERROR);
}

/* False while there is no descriptor for a connection. */
static bool accept_one(mf_admin *admin)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    int fd = accept4(admin->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        send_away(admin, fd, (int64_t)peer.uid);
        return true;
    }
    mfi_admin_client_init(find_place(admin), fd, (int64_t)peer.uid, (int64_t)peer.pid,
                          mfi_monotonic_ns());
    mfi_observe_admin_command(admin->runtime->observer, MFI_ADMIN_CONNECT, MFI_ADMIN_OK);
    return true;
}

/* ---- The thread ---- */

static void serve_clients(mf_admin *admin, const struct pollfd *polled)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        mfi_admin_client *client = &admin->clients[i];
        bool has_turn = client->fd >= 0 && polled[i].fd == client->fd &&
                        (polled[i].revents != 0 || mfi_admin_client_has_line(client));
        if (has_turn && !mfi_admin_client_serve(client, mfi_monotonic_ns(), answer, admin)) {
            mfi_admin_client_end(client);
        }
    }
}

static void *run(void *argument)
{
    mf_admin *admin = argument;
    bool can_accept = true;
    for (;;) {
        struct pollfd polled[CLIENTS + 2];
        int wait_ms = can_accept ? -1 : PAUSE_MS;
        for (size_t i = 0; i < CLIENTS; i++) {
            mfi_admin_client *client = &admin->clients[i];
            polled[i] = (struct pollfd){
                .fd = client->fd, .events = mfi_admin_client_waits(client) ? POLLOUT : POLLIN};
            wait_ms = mfi_admin_client_has_line(client) ? 0 : wait_ms;
        }
        polled[CLIENTS] = (struct pollfd){.fd = admin->stop_fd, .events = POLLIN};
        polled[CLIENTS + 1] =
            (struct pollfd){.fd = can_accept ? admin->listen_fd : -1, .events = POLLIN};
        (void)poll(polled, CLIENTS + 2, wait_ms);
        if (polled[CLIENTS].revents != 0) {
            return NULL;
        }
        serve_clients(admin, polled);
        can_accept = !can_accept || polled[CLIENTS + 1].revents == 0 || accept_one(admin);
    }
}

/* ---- Life ---- */

static void close_all(mf_admin *admin)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        if (admin->clients[i].fd >= 0) {
            mfi_admin_client_end(&admin->clients[i]);
        }
    }
    if (admin->listen_fd >= 0) {
        mfi_admin_path_close(&admin->path); /* first, so that nobody finds it dead */
        (void)close(admin->listen_fd);
    }
    if (admin->stop_fd >= 0) {
        (void)close(admin->stop_fd);
    }
    mfi_runtime_unref(admin->runtime);
    free(admin);
}

static mf_status open_all(mf_admin *admin, const mf_admin_options *options, mf_error *error)
{
    admin->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (admin->stop_fd < 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make an eventfd");
    }
    mf_status status = mfi_admin_path_listen(&admin->path, &admin->listen_fd, options->path,
                                             admin->runtime->service, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_observe_admin_begin(admin->runtime->observer);
    int result = mfi_thread_start(&admin->thread, "mf-admin", run, admin);
    return result == 0 ? MF_OK
                       : mfi_fail_errno(error, MF_ERR_SYSTEM, result, "cannot start a thread");
}

mf_status mf_admin_create(mf_admin **ret_admin, mf_runtime *runtime,
                          const mf_admin_options *options, mf_error *error)
{
    mf_admin_options from;
    if (ret_admin == NULL || runtime == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is NULL",
                        runtime == NULL ? "runtime" : "ret_admin");
    }
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_admin_options", error);
    if (status != MF_OK) {
        return status;
    }
    mf_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for an admin socket");
    }
    admin->listen_fd = -1;
    admin->stop_fd = -1;
    for (size_t i = 0; i < CLIENTS; i++) {
        admin->clients[i].fd = -1;
    }
    status = mfi_runtime_use(&admin->runtime, runtime, "parent", error);
    if (status == MF_OK) {
        status = open_all(admin, &from, error);
    }
    if (status != MF_OK) {
        close_all(admin);
        return status;
    }
    *ret_admin = admin;
    return MF_OK;
}

void mf_admin_destroy(mf_admin *admin)
{
    if (admin == NULL || mfi_runtime_check(admin->runtime, NULL) != MF_OK) {
        return; /* after a fork, the socket is the other process's */
    }
    uint64_t one = 1;
    (void)!write(admin->stop_fd, &one, sizeof one);
    (void)pthread_join(admin->thread, NULL);
    close_all(admin);
}

const char *mf_admin_path(const mf_admin *admin)
{
    return admin != NULL ? admin->path.text : NULL;
}

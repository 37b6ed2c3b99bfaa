/* Takes lines from a connection and gives answers. It exists so that a client that sends too much,
 * or takes nothing, holds up only itself and a bounded amount of memory. */
#include "admin/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_MOST 16 /* of one client in a turn */

void mfi_admin_client_init(mfi_admin_client *client, int fd, int64_t uid, int64_t pid,
                           uint64_t now_ns)
{
    client->fd = fd;
    client->uid = uid;
    client->pid = pid;
    client->heard_ns = now_ns;
    client->skipping = false;
    client->held = 0;
    client->sent = 0;
    mfi_buf_init(&client->out, MFI_ADMIN_OUT_MAX);
}

void mfi_admin_client_end(mfi_admin_client *client)
{
    (void)close(client->fd);
    client->fd = -1;
    mfi_buf_fini(&client->out);
}

/* False: the client is gone. */
static bool send_waiting(mfi_admin_client *client, uint64_t now_ns)
{
    while (mfi_admin_client_waits(client)) {
        ssize_t sent = send(client->fd, client->out.data + client->sent,
                            client->out.size - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EINTR) {
            return errno == EAGAIN;
        }
        if (sent > 0) {
            client->sent += (size_t)sent;
            client->heard_ns = now_ns;
        }
    }
    mfi_buf_clear(&client->out);
    client->sent = 0;
    return true;
}

/* Answers the first whole line that is held. False if there is none. */
static bool answer_one(mfi_admin_client *client, mfi_admin_answer_fn answer, void *self)
{
    const char *end = memchr(client->in, '\n', client->held);
    if (end == NULL && client->held > MFI_ADMIN_LINE_MAX) {
        if (!client->skipping) {
            client->skipping = true;
            answer(self, client, NULL, 0, &client->out);
        }
        client->held = 0;
        return mfi_admin_client_waits(client);
    }
    if (end == NULL) {
        return false;
    }
    size_t length = (size_t)(end - client->in);
    bool was_skipped = client->skipping;
    client->skipping = false;
    if (!was_skipped) {
        answer(self, client, client->in, length, &client->out);
    }
    client->held -= length + 1;
    memmove(client->in, end + 1, client->held);
    return true;
}

bool mfi_admin_client_serve(mfi_admin_client *client, uint64_t now_ns, mfi_admin_answer_fn answer,
                            void *self)
{
    if (!send_waiting(client, now_ns)) {
        return false;
    }
    for (int reads = 0; !mfi_admin_client_waits(client) && reads < READS_MOST;) {
        if (answer_one(client, answer, self)) {
            return send_waiting(client, now_ns);
        }
        ssize_t got = recv(client->fd, client->in + client->held, sizeof client->in - client->held,
                           MSG_DONTWAIT);
        if (got > 0) {
            client->held += (size_t)got;
            client->heard_ns = now_ns;
            reads++;
        } else if (got == 0 || errno != EINTR) {
            return got != 0 && errno == EAGAIN;
        }
    }
    return true;
}

bool mfi_admin_client_has_line(const mfi_admin_client *client)
{
    return client->fd >= 0 && !mfi_admin_client_waits(client) &&
           (client->held > MFI_ADMIN_LINE_MAX || memchr(client->in, '\n', client->held) != NULL);
}

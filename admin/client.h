/* One connection at an admin socket: lines in, lines out, both bounded. */
#ifndef MFI_ADMIN_CLIENT_H
#define MFI_ADMIN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define MFI_ADMIN_LINE_MAX ((size_t)4096) /* bytes of a line, without its newline */
#define MFI_ADMIN_OUT_MAX ((size_t)65536) /* bytes of an answer, with its newline */

typedef struct mfi_admin_client {
    int fd; /* -1: the place is free */
    int64_t uid, pid;
    uint64_t heard_ns; /* when it last sent something, or took something */
    bool skipping;     /* the line is too long: what comes up to its end is dropped */
    size_t held;       /* bytes in `in` */
    char in[MFI_ADMIN_LINE_MAX + 1];
    mfi_buf out; /* what the client has not taken yet */
    size_t sent; /* bytes of it that were */
} mfi_admin_client;

/* line NULL: it was too long. The answer, with its newline, goes into `out`. */
typedef void (*mfi_admin_answer_fn)(void *self, const mfi_admin_client *client, const char *line,
                                    size_t length, mfi_buf *out);

void mfi_admin_client_init(mfi_admin_client *client, int fd, int64_t uid, int64_t pid,
                           uint64_t now_ns);
/* Closes the connection; the place is free again. */
void mfi_admin_client_end(mfi_admin_client *client);
/* One turn of a client that sent something, or takes something: at most one line is answered, so
 * that no client holds up the others, or the end of the socket, for longer than one command. While
 * an answer waits, no further line is read. False: the client is gone. */
bool mfi_admin_client_serve(mfi_admin_client *client, uint64_t now_ns, mfi_admin_answer_fn answer,
                            void *self);
/* Whether a whole line is held for the next turn: the client need not send anything for it. */
bool mfi_admin_client_has_line(const mfi_admin_client *client);
/* Whether an answer waits for the client. */
static inline bool mfi_admin_client_waits(const mfi_admin_client *client)
{
    return client->sent < client->out.size;
}

#endif

/* The listening socket and the connections that came from it: how many there are, how long each may
 * wait, and which one goes for a new one.
 *
 * A connection waits for its client (for a request, for the rest of one, or until an answer is
 * taken), or the client waits for an answer that is being made. Only the first kind is ended. */
#ifndef MFI_HTTP_ACCEPTOR_H
#define MFI_HTTP_ACCEPTOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <multifrost/error.h>

#include "base/list.h"
#include "base/mutex.h"

#define MFI_ACCEPTOR_SPARE 16 /* connections beyond the cap while ended ones still close */

typedef enum mfi_visit {
    MFI_VISIT_READING,   /* idle, or in the middle of a request */
    MFI_VISIT_MAKING,    /* an answer is being made */
    MFI_VISIT_ANSWERING, /* the client takes the answer */
} mfi_visit;

/* A connection. */
typedef struct mfi_visitor {
    mfi_list_node node; /* in the acceptor's list */
    int fd;             /* open as long as the visitor is listed */
    mfi_visit visit;
    bool is_ending;             /* shut down; its owner has not closed it yet */
    bool is_known;              /* mfi_acceptor_find() found it */
    uint64_t came_ns, since_ns; /* monotonic: the connection; its present visit */
    void *user_data;            /* of the server; freed with free() */
} mfi_visitor;

typedef struct mfi_acceptor {
    int listen_fd;
    uint32_t cap;
    uint64_t patience_ns; /* for which a connection waits for its client */
    /* Takes over the descriptor; false if it could not, and has closed the descriptor. */
    bool (*admit)(void *user_data, int fd, const struct sockaddr *address, socklen_t size);
    void *user_data;
    int wake_fd, spare_fd; /* spare_fd is given up for a connection when descriptors run out */
    pthread_t thread;
    bool started;
    mfi_mutex mutex;   /* guards the members below */
    mfi_list visitors; /* the oldest first */
    size_t count;
    bool is_full; /* a connection waits for a place */
    bool stopping;
} mfi_acceptor;

/* Starts the thread. The caller has set the members above wake_fd. listen_fd stays the caller's if
 * this fails, else it is the acceptor's. */
mf_status mfi_acceptor_start(mfi_acceptor *acceptor, mf_error *error);
/* Ends the thread and closes the listening socket; connections stay. All zero is a no-op. */
void mfi_acceptor_stop(mfi_acceptor *acceptor);
/* After the last connection has closed. Frees visitors that were never found. All zero is a
 * no-op. */
void mfi_acceptor_fini(mfi_acceptor *acceptor);

/* The visitor of a descriptor that was admitted; NULL if there is none. */
mfi_visitor *mfi_acceptor_find(mfi_acceptor *acceptor, int fd);
/* Begins the next visit of a connection. */
void mfi_acceptor_visit(mfi_acceptor *acceptor, mfi_visitor *visitor, mfi_visit visit);
/* Whether the next answer should be the connection's last one. */
bool mfi_acceptor_is_old(mfi_acceptor *acceptor, const mfi_visitor *visitor);
/* Frees a visitor, before its descriptor is closed. */
void mfi_acceptor_forget(mfi_acceptor *acceptor, mfi_visitor *visitor);

#endif

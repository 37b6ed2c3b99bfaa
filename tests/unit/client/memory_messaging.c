/* A transport within one process: a send copies the message into the list of the other end. It
 * exists so that tests run the engine without sockets and without libzmq. */
#include "memory_messaging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mutex.h"

#define ENDS_MAX 8

typedef struct packet {
    struct packet *next;
    mfi_route from;
    size_t size;
    uint8_t bytes[];
} packet;

typedef struct end {
    mfi_transport base; /* first member */
    struct memory *memory;
    bool is_child;
    uint8_t number; /* its name as a route */
    uint16_t port;  /* where it is bound, or connected to */
    int ready_fd, events_fd;
    packet *first, *last; /* what it has to receive */
    bool was_connected;   /* and has told so */
} end;

typedef struct memory {
    mfi_messaging base; /* first member */
    mfi_mutex mutex;    /* all of it */
    end *ends[ENDS_MAX];
} memory;

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    (void)written;
}

/* The child answers by number, parents send to the child of their port. */
static end *find_locked(memory *self, const end *from, const mfi_route *route)
{
    for (size_t i = 0; i < ENDS_MAX; i++) {
        end *at = self->ends[i];
        bool fits = at != NULL && (from->is_child ? !at->is_child && route->size == 1 &&
                                                        at->number == route->bytes[0]
                                                  : at->is_child && at->port == from->port);
        if (fits) {
            return at;
        }
    }
    return NULL;
}

static mfi_io memory_send(mfi_transport *base, const mfi_route *route, mfi_buf *payload)
{
    end *self = (end *)base;
    packet *made = malloc(sizeof *made + payload->size);
    if (made == NULL) {
        return MFI_IO_FAILED;
    }
    made->next = NULL;
    made->from = (mfi_route){.size = 1, .bytes = {self->number}};
    made->size = payload->size;
    memcpy(made->bytes, payload->data, payload->size);
    mfi_mutex_lock(&self->memory->mutex);
    end *to = find_locked(self->memory, self, route);
    if (to != NULL) {
        if (to->last != NULL) {
            to->last->next = made;
        } else {
            to->first = made;
        }
        to->last = made;
        wake(to->ready_fd);
    }
    mfi_mutex_unlock(&self->memory->mutex);
    if (to == NULL) {
        free(made);
        return self->is_child ? MFI_IO_UNROUTABLE : MFI_IO_AGAIN;
    }
    return MFI_IO_DONE;
}

static void release(mfi_message *message)
{
    void *owner = NULL;
    memcpy(&owner, message->storage, sizeof owner);
    free(owner);
}

/* Like libzmq's, the descriptor is quiet only from the first "again" on. */
static mfi_io memory_receive(mfi_transport *base, mfi_route *ret_route, mfi_message *ret_message)
{
    end *self = (end *)base;
    uint64_t counter = 0;
    mfi_mutex_lock(&self->memory->mutex);
    packet *taken = self->first;
    if (taken != NULL) {
        self->first = taken->next;
        self->last = self->first != NULL ? self->last : NULL;
    } else {
        ssize_t got = read(self->ready_fd, &counter, sizeof counter);
        (void)got;
    }
    mfi_mutex_unlock(&self->memory->mutex);
    if (taken == NULL) {
        return MFI_IO_AGAIN;
    }
    *ret_route = taken->from;
    memcpy(ret_message->storage, &taken, sizeof taken);
    ret_message->data = taken->bytes;
    ret_message->size = taken->size;
    ret_message->release = release;
    return MFI_IO_DONE;
}

static int memory_readiness(const mfi_transport *base)
{
    return ((const end *)base)->ready_fd;
}

static bool memory_can_go_on(mfi_transport *base)
{
    end *self = (end *)base;
    mfi_mutex_lock(&self->memory->mutex);
    bool can = self->first != NULL || (!self->is_child && find_locked(self->memory, self, NULL));
    mfi_mutex_unlock(&self->memory->mutex);
    return can;
}

static int memory_events_readiness(const mfi_transport *base)
{
    return ((const end *)base)->events_fd;
}

static mfi_peer_event memory_next_event(mfi_transport *base)
{
    end *self = (end *)base;
    uint64_t counter = 0;
    ssize_t got = read(self->events_fd, &counter, sizeof counter);
    bool first = got > 0 && !self->was_connected;
    self->was_connected = self->was_connected || first;
    return first ? MFI_PEER_CONNECTED : MFI_PEER_NONE;
}

static void memory_close(mfi_transport *base)
{
    end *self = (end *)base;
    mfi_mutex_lock(&self->memory->mutex);
    self->memory->ends[self->number] = NULL;
    mfi_mutex_unlock(&self->memory->mutex);
    for (packet *at = self->first; at != NULL;) {
        packet *next = at->next;
        free(at);
        at = next;
    }
    (void)close(self->ready_fd);
    (void)close(self->events_fd);
    free(self);
}

static const mfi_transport_ops memory_ops = {
    .send = memory_send,
    .receive = memory_receive,
    .readiness = memory_readiness,
    .can_go_on = memory_can_go_on,
    .events_readiness = memory_events_readiness,
    .next_event = memory_next_event,
    .close = memory_close,
};

/* A port that is bound without a number gets one that depends on the place in the table. */
static mf_status memory_open(mfi_messaging *messaging, mfi_transport **ret_transport,
                             const mfi_transport_options *options, mf_error *error)
{
    memory *self = (memory *)messaging;
    mfi_mutex_lock(&self->mutex);
    uint8_t number = 0;
    while (number < ENDS_MAX && self->ends[number] != NULL) {
        number++;
    }
    end *made = number < ENDS_MAX ? calloc(1, sizeof *made) : NULL;
    if (made != NULL) {
        *made = (end){.base = {.ops = &memory_ops},
                      .memory = self,
                      .is_child = options->is_child,
                      .number = number,
                      .port = options->port != 0 ? options->port : (uint16_t)(40000 + number),
                      .ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                      .events_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
        (void)snprintf(made->base.endpoint, sizeof made->base.endpoint, "tcp://%s:%u",
                       options->address, (unsigned)made->port);
        self->ends[number] = made;
    }
    mfi_mutex_unlock(&self->mutex);
    if (made == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no place for one more transport");
    }
    *ret_transport = &made->base;
    return MF_OK;
}

static void memory_destroy(mfi_messaging *messaging)
{
    memory *self = (memory *)messaging;
    mfi_mutex_fini(&self->mutex);
    free(self);
}

mfi_messaging *memory_messaging_create(void)
{
    memory *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->base = (mfi_messaging){.open = memory_open, .destroy = memory_destroy};
    mfi_mutex_init(&self->mutex);
    return &self->base;
}

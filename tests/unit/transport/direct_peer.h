/* Transports that a test drives on its own thread. While one of these functions waits, it drives
 * all open ends except deaf ones. */
#ifndef DIRECT_PEER_H
#define DIRECT_PEER_H

#include "core/transport/transport.h"
#include "mf_test.h"

#define PATIENCE_MS MF_TEST_PATIENCE_MS
#define DESCRIPTORS_MAX 1024 /* of the test */

/* ---- Ends: transports ---- */

typedef struct got {
    struct got *next;
    mfi_route route;
    size_t size;
    uint8_t bytes[];
} got;

typedef struct end {
    mfi_transport *transport;
    bool is_child;
    bool is_deaf;                     /* nobody drives it */
    got *first, **last;               /* what it received and nobody took yet */
    size_t count;                     /* of those */
    unsigned events[MFI_PEER_EVENTS]; /* of each kind so far */
    unsigned malformed;               /* MFI_IO_MALFORMED so far */
    unsigned wrong;                   /* MFI_IO_WRONG_PEER so far */
    mfi_route last_peer;              /* who sent the last message */
} end;

mfi_messaging *messaging_of(bool is_zmq);
/* A parent or child that binds, or connects, to that port of 127.0.0.1. What it has left to send
 * when it is closed is sent, however long that takes. */
mfi_transport_options end_options(bool is_child, bool binds, uint16_t port);
void end_open(end *to, mfi_messaging *messaging, const mfi_transport_options *options);
void end_close(end *from); /* also one that is closed */
uint16_t end_port(const end *from);

/* One turn: reads from all ends; if nothing came, waits until one of them has something, or fd
 * (unless it is -1) is ready for `events`, or the time is over. */
void turn(int fd, short events, int timeout_ms);

/* Once. The payload is `size` bytes that only this number has, the number first if there is room.
 */
mfi_io try_send(end *from, const mfi_route *to, uint32_t number, size_t size);
/* Waits until it can be sent. */
void send_numbered(end *from, const mfi_route *to, uint32_t number, size_t size);
/* Waits for the next message, and checks that it is that one. */
void expect_numbered(end *at, uint32_t number, size_t size);
/* There and back. */
void exchange(end *parent, end *child, uint32_t number, size_t size);
/* Waits until that many events of that kind have come in all. */
void expect_events(end *at, mfi_peer_event event, unsigned count);
bool wait_for_count(end *at, size_t count); /* of messages that nobody took */
void drop_messages(end *at);
bool is_quiet(const end *at); /* nothing wakes the driver of this end */
/* Drives all ends until nothing wakes the driver of that one; false if something does for ever. */
bool gets_quiet(end *at);

/* The kernel keeps but little for the connections that this process has by now, whatever the
 * machine is set to: less than NARROW_BYTES from one side to the other. */
#define NARROW_BYTES ((size_t)1024 * 1024)
void narrow_sockets(void);

/* Bytes of the heap; none under a sanitizer, which has its own. */
size_t heap_bytes(void);

/* Somewhere for parents, who have one place to send to. */
extern const mfi_route nowhere;

/* ---- A child, and a parent that is connected to it ---- */

typedef struct few {
    mfi_messaging *messaging;
    end child, parent;
} few;

void few_open(few *to);
void few_close(few *from);
void few_another_parent(few *at, end *ret_parent);
int few_connect_raw(few *at); /* past its handshake */

#endif

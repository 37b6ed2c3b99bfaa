/* A parent whose peer is the test: its link has operations that only count, its transport is in
 * memory, and the test itself takes and answers the messages of the other end. */
#ifndef CLIENT_RIG_H
#define CLIENT_RIG_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <multifrost/call.h>

#include "core/client/parent.h"
#include "mf_test.h"

#define RIG_EVENTS_MAX 8

typedef struct client_rig {
    mf_runtime *runtime;
    mf_parent *parent;
    mfi_link *link; /* the parent's */
    mfi_transport *peer;
    mfi_peer_ops ops;
    mfi_transport_ops wrapped; /* of the parent's transport: the events of peers are the test's */
    int events_fd;
    _Atomic(int) events[RIG_EVENTS_MAX];
    _Atomic(int) events_made, events_read;
    /* What the next begin does. */
    _Atomic(int) begin_status; /* mf_status */
    _Atomic(int) begin_event;  /* mfi_life_event */
    /* How often the link has asked the peer for what. */
    _Atomic(int) begins, readies, ends, messages, kills, closes, checks, disconnects;
    _Atomic(int) stopped; /* to so many questions the answer is that the process is stopped */
} client_rig;

/* owns: as of a process, whose end is brought about; else as of a service. */
void rig_options(mf_parent_options *options);
void rig_init(client_rig *rig, const mf_parent_options *options, bool owns);
/* Stops the parent, ending its peer if it has to, and frees. */
void rig_fini(client_rig *rig);

/* ---- The other end ---- */

typedef struct rig_message {
    mfi_route from;
    mfi_message message;
    mfi_envelope envelope;
} rig_message;

/* The next message that the parent sends is of this type, and calls this function (or NULL). */
void rig_take(client_rig *rig, rig_message *message, mfi_message_type type, const char *function);
/* A heartbeat's answer; the number 1 for a call. Releases the message. */
void rig_answer(client_rig *rig, rig_message *message);
void rig_drop(rig_message *message);
/* What is sent as if by the peer. Gives the buffer up. */
void rig_send(client_rig *rig, const rig_message *to, mfi_buf *bytes);

typedef struct rig_outcome {
    sem_t ended;
    mf_status status;
    char text[256];
} rig_outcome;

/* Takes a call. False if it ended before it was sent. */
bool rig_take_unless(client_rig *rig, rig_message *message, const char *function,
                     rig_outcome *outcome);

/* ---- The link's peer ---- */

/* The process has ended, as spawned.c would report it. */
void rig_exit(client_rig *rig, const char *why);
/* The same, right after something that the engine has no time to see before: an answer of the peer,
 * or a call of the program. */
void rig_answer_and_exit(client_rig *rig, rig_message *message, const char *why);
void rig_call_and_exit(client_rig *rig, const char *function, rig_outcome *outcome,
                       const char *why);
void rig_step(client_rig *rig, mfi_life_event event);
/* The drained peer closes its last connection, if it is still drained. */
void rig_peer_gone(client_rig *rig);
void rig_peer_event(client_rig *rig, mfi_peer_event event);
mfi_life_phase rig_phase(client_rig *rig);
bool rig_until_phase(client_rig *rig, mfi_life_phase phase);
bool rig_until(const _Atomic(int) *counter, int count);
bool rig_until_state(client_rig *rig, mf_parent_state state);

/* Starts it, and answers the first heartbeat. */
void rig_start(client_rig *rig);

/* ---- The program ---- */

/* For a start, without waiting. */
void rig_start_async(client_rig *rig, rig_outcome *outcome);
/* A call, without waiting. */
void rig_call(client_rig *rig, const char *function, rig_outcome *outcome);
void rig_call_with(client_rig *rig, const char *function, const mf_call_options *options,
                   rig_outcome *outcome);
mf_status rig_await(rig_outcome *outcome);

/* Stop and restart wait: on a thread of their own. */
typedef struct rig_request {
    client_rig *rig;
    pthread_t thread;
    mf_status status;
    mf_error error;
} rig_request;
void rig_stop_begin(client_rig *rig, rig_request *request);
void rig_restart_begin(client_rig *rig, rig_request *request);
mf_status rig_request_end(rig_request *request);

#endif

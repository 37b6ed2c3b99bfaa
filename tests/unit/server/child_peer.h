/* A worker in this process, and peers that each are a bare DEALER. */
#ifndef CHILD_PEER_H
#define CHILD_PEER_H

#include <pthread.h>

#include <multifrost/child.h>

#include "core/wire/envelope.h"
#include "mf_test.h"

typedef struct test_worker {
    mf_runtime *runtime;
    mf_child *child;
    pthread_t thread;
    bool running;
    mf_status status; /* of the run, once it was joined */
    mf_error error;
} test_worker;

/* Makes one in service mode; service_id, registry and more come from the options. */
void worker_create(test_worker *worker, mf_child_options *options);
void worker_start(test_worker *worker); /* returns when it is bound */
void worker_join(test_worker *worker);
/* Stops, joins, frees. */
void worker_end(test_worker *worker);
/* A registry folder that no other test has; for mf_child_options. */
const char *registry_folder(void);

/* Twice its argument. */
mf_status worker_twice(mf_request *request, mf_reply *reply, void *user_data);
/* Its argument, once the gate is open. */
mf_status worker_gate(mf_request *request, mf_reply *reply, void *user_data);
void gate_reset(void); /* closed, and nobody inside */
void gate_open(void);
void gate_wait_inside(int wanted); /* until as many handlers wait */
/* Makes and starts one that has "twice" and "gate". */
void worker_start_plain(test_worker *worker, int32_t threads);

typedef struct test_peer {
    void *context;
    void *socket;
} test_peer;

void peer_open(test_peer *peer, uint16_t port);
/* One that keeps nothing that it has not read. */
void peer_open_narrow(test_peer *peer, uint16_t port);
void peer_close(test_peer *peer);
void peer_send(test_peer *peer, const void *bytes, size_t size);
/* metadata may be nil. */
void peer_call(test_peer *peer, const char *id, const char *function, mf_args args,
               mf_value metadata);
void peer_shutdown(test_peer *peer);
void peer_heartbeat(test_peer *peer, const char *id);

/* An answer; texts point into it. */
typedef struct test_answer {
    mfi_message_type type; /* 0: none came */
    char id[64];
    char error[256];
    mf_document *result; /* NULL: none */
    mf_document *metadata;
} test_answer;
/* Waits for the next message. */
void peer_receive(test_peer *peer, test_answer *ret_answer);
/* The same, which must be a result (error: that error) for this id. */
void peer_expect_int(test_peer *peer, const char *id, int64_t result);
void peer_expect_error(test_peer *peer, const char *id, const char *text);
/* From the first on the end of the peer's connection is seen. The second waits for it, and is true
 * if no message was left to be received before. */
void *peer_watch_end(const test_peer *peer);
bool peer_ends_without_a_message(const test_peer *peer, void *watch);
void answer_free(test_answer *answer);

#endif

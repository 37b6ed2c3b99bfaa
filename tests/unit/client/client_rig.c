/* The parent's transport, its peer and the other end: see client_rig.h. What the program asks of
 * the parent is in rig_program.c. */
#include "client_rig.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "memory_messaging.h"

#define RIG_PORT 40900
#define RIG_PID 1234

/* ---- The parent's transport ---- */

static client_rig *wrapping; /* of the test that runs */

static mfi_peer_event next_event(mfi_transport *transport)
{
    uint64_t counter = 0;
    ssize_t got = read(wrapping->events_fd, &counter, sizeof counter);
    int number = atomic_load(&wrapping->events_read);
    (void)transport;
    (void)got;
    if (number >= atomic_load(&wrapping->events_made)) {
        return MFI_PEER_NONE;
    }
    atomic_store(&wrapping->events_read, number + 1);
    return (mfi_peer_event)atomic_load(&wrapping->events[number]);
}

static int events_readiness(const mfi_transport *transport)
{
    (void)transport;
    return wrapping->events_fd;
}

void rig_peer_event(client_rig *rig, mfi_peer_event event)
{
    uint64_t one = 1;
    int number = atomic_load(&rig->events_made);
    mf_check(number < RIG_EVENTS_MAX);
    atomic_store(&rig->events[number], (int)event);
    atomic_store(&rig->events_made, number + 1);
    mf_check_int(write(rig->events_fd, &one, sizeof one), sizeof one);
}

/* ---- The peer's operations: engine thread ---- */

static mf_status begin(void *self, mfi_life_event *ret_event, mf_error *error)
{
    client_rig *rig = self;
    mfi_calls *calls = rig->link->calls;
    mfi_transport_options options = {.binds = true, .address = "127.0.0.1", .port = RIG_PORT};
    atomic_fetch_add(&rig->begins, 1);
    mf_status status = (mf_status)atomic_load(&rig->begin_status);
    *ret_event = (mfi_life_event)atomic_load(&rig->begin_event);
    if (status != MF_OK) {
        return mfi_fail(error, status, "the rig refuses");
    }
    if (*ret_event == MFI_LIFE_ON_NOT_FOUND) {
        return MF_OK;
    }
    if (*ret_event == MFI_LIFE_ON_ABORT) {
        mfi_state_set_exit_text(rig->link->state, "the rig aborts");
        rig->link->failure = MF_ERR_SYSTEM;
    }
    status = mfi_calls_open_transport(calls, &options, error);
    if (status != MF_OK) {
        return status;
    }
    rig->wrapped = *calls->transport->ops;
    rig->wrapped.next_event = next_event;
    rig->wrapped.events_readiness = events_readiness;
    calls->transport->ops = &rig->wrapped;
    atomic_store(&rig->link->state->pid, RIG_PID);
    return mfi_link_watch(rig->link, error);
}

static void ready(void *self)
{
    atomic_fetch_add(&((client_rig *)self)->readies, 1);
}

static void end(void *self, bool by_message)
{
    client_rig *rig = self;
    atomic_fetch_add(&rig->messages, by_message ? 1 : 0);
    atomic_fetch_add(&rig->ends, 1);
    if (!rig->ops.owns_process) {
        mfi_link_step(rig->link, MFI_LIFE_ON_ENDED);
    }
}

static void kill_peer(void *self)
{
    atomic_fetch_add(&((client_rig *)self)->kills, 1);
}

static bool is_stopped(void *self)
{
    return atomic_fetch_sub(&((client_rig *)self)->stopped, 1) > 0;
}

/* The operations of spawn mode, which the link itself does not tell apart. */
static void refused(void *self)
{
    mfi_spawned_refused(&((client_rig *)self)->parent->spawned);
}

static void connected(void *self)
{
    mfi_spawned_connected(&((client_rig *)self)->parent->spawned);
}

static void close_peer(void *self)
{
    atomic_fetch_add(&((client_rig *)self)->closes, 1);
}

static void check(void *self, bool disconnected)
{
    client_rig *rig = self;
    atomic_fetch_add(&rig->disconnects, disconnected ? 1 : 0);
    atomic_fetch_add(&rig->checks, 1);
}

/* ---- Life ---- */

void rig_options(mf_parent_options *options)
{
    *options = (mf_parent_options)MF_PARENT_OPTIONS_INIT;
    options->program = "/nonexistent/unused";
    options->target = "math";
    options->heartbeat_interval_ms = MF_DISABLED;
    options->restart_backoff_ms = 1;
    options->stop_timeout_ms = MF_TEST_PATIENCE_MS;
    options->start_timeout_ms = MF_TEST_PATIENCE_MS;
    options->call_timeout_ms = MF_TEST_PATIENCE_MS;
}

void rig_init(client_rig *rig, const mf_parent_options *options, bool owns)
{
    mf_error error = MF_ERROR_INIT;
    mf_parent_options with = *options;
    mfi_transport_options peer = {.is_child = true, .address = "127.0.0.1", .port = RIG_PORT};
    memset(rig, 0, sizeof *rig);
    wrapping = rig;
    rig->events_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_store(&rig->begin_event, MFI_LIFE_ON_PEER);
    mf_check_int(mf_runtime_create(&rig->runtime, NULL, &error), MF_OK);
    rig->runtime->messaging->destroy(rig->runtime->messaging);
    rig->runtime->messaging = memory_messaging_create();
    mf_check_int(rig->runtime->messaging->open(rig->runtime->messaging, &rig->peer, &peer, &error),
                 MF_OK);
    with.runtime = rig->runtime;
    mf_check_int(mf_parent_create(&rig->parent, &with, &error), MF_OK);
    mf_check_str(error.message, "");
    rig->ops = (mfi_peer_ops){.owns_process = owns,
                              .begin = begin,
                              .ready = ready,
                              .end = end,
                              .kill = kill_peer,
                              .is_stopped = is_stopped,
                              .refused = refused,
                              .connected = connected,
                              .close = close_peer,
                              .check = check};
    rig->link = &rig->parent->link;
    rig->link->ops = &rig->ops;
    rig->link->peer = rig;
}

void rig_fini(client_rig *rig)
{
    rig_request stop;
    rig_stop_begin(rig, &stop);
    while (mf_parent_get_state(rig->parent) != MF_PARENT_STOPPED) {
        if (rig->ops.owns_process && rig_phase(rig) == MFI_LIFE_STOPPING) {
            rig_step(rig, MFI_LIFE_ON_ENDED);
        }
        (void)poll(NULL, 0, 1);
    }
    mf_check_int(rig_request_end(&stop), MF_OK);
    mf_parent_destroy(rig->parent);
    rig->peer->ops->close(rig->peer);
    mf_runtime_destroy(rig->runtime);
    (void)close(rig->events_fd);
}

/* ---- The other end ---- */

static bool has_received(client_rig *rig, rig_message *message)
{
    memset(message, 0, sizeof *message);
    return rig->peer->ops->receive(rig->peer, &message->from, &message->message) != MFI_IO_AGAIN;
}

static void check_message(rig_message *message, mfi_message_type type, const char *function)
{
    mfi_reject reject = MFI_REJECT_NONE;
    mf_check_int(mfi_envelope_decode(message->message.data, message->message.size,
                                     &mfi_limits_default, &message->envelope, &reject, NULL),
                 MF_OK);
    mf_check_int(message->envelope.type, type);
    if (function != NULL) {
        mf_check_int(message->envelope.function.size, strlen(function));
        mf_check(message->envelope.function.data != NULL &&
                 memcmp(message->envelope.function.data, function, strlen(function)) == 0);
    }
}

void rig_take(client_rig *rig, rig_message *message, mfi_message_type type, const char *function)
{
    struct pollfd wake = {.fd = rig->peer->ops->readiness(rig->peer), .events = POLLIN};
    while (!has_received(rig, message) && poll(&wake, 1, MF_TEST_PATIENCE_MS) > 0) {
    }
    check_message(message, type, function);
}

bool rig_take_unless(client_rig *rig, rig_message *message, const char *function,
                     rig_outcome *outcome)
{
    while (!has_received(rig, message)) {
        int ended = 0;
        (void)sem_getvalue(&outcome->ended, &ended);
        if (ended != 0) {
            return false;
        }
        (void)poll(NULL, 0, 1);
    }
    check_message(message, MFI_MESSAGE_CALL, function);
    return true;
}

void rig_drop(rig_message *message)
{
    mfi_message_release(&message->message);
}

void rig_send(client_rig *rig, const rig_message *to, mfi_buf *bytes)
{
    mf_check_int(rig->peer->ops->send(rig->peer, &to->from, bytes), MFI_IO_DONE);
    mfi_buf_fini(bytes);
}

void rig_answer(client_rig *rig, rig_message *message)
{
    mfi_buf bytes;
    mf_value one = mf_int(1);
    mfi_heartbeat_answer answer = {.id = message->envelope.id};
    mfi_reply_times times = {.timestamp_received = 1};
    mfi_buf_init(&bytes, 0);
    if (message->envelope.type == MFI_MESSAGE_HEARTBEAT) {
        mf_check_int(mfi_encode_heartbeat_answer(&bytes, &answer, 1, NULL), MF_OK);
    } else {
        mf_check_int(mfi_encode_response(&bytes, message->envelope.id, &one, 1, &mfi_limits_default,
                                         &times, NULL),
                     MF_OK);
    }
    rig_send(rig, message, &bytes);
    rig_drop(message);
}

/* ---- The link's peer ---- */

typedef struct order {
    client_rig *rig;
    const char *why;
    rig_message *message; /* to be answered before, or NULL */
    const char *function; /* to be called before, or NULL */
    rig_outcome *outcome;
    mfi_life_event event;
    mfi_life_phase phase;
} order;

static void exit_on_engine(void *data)
{
    const order *at = data;
    mfi_link *link = at->rig->link;
    char why[MFI_EXIT_TEXT_MAX];
    mf_error error = MF_ERROR_INIT;
    mfi_life_phase phase = link->phase;
    if (at->message != NULL) {
        rig_answer(at->rig, at->message);
    }
    if (at->function != NULL) {
        rig_call(at->rig, at->function, at->outcome);
    }
    mfi_state_copy_exit_text(link->state, why);
    if (phase == MFI_LIFE_ABORTING || phase == MFI_LIFE_ABORTING_AGAIN) {
        (void)mfi_fail(&error, link->failure, "%s", why);
        mfi_link_start_failed(link, &error, MFI_RESTART_START_TIMEOUT);
    } else if (phase == MFI_LIFE_STARTING) {
        (void)mfi_fail(&error, MF_ERR_START_FAILED, "it %s", at->why);
        mfi_link_start_failed(link, &error, MFI_RESTART_EXIT_ERROR);
    } else if (phase == MFI_LIFE_STOPPING || phase == MFI_LIFE_REPLACING) {
        mfi_link_step(link, MFI_LIFE_ON_ENDED);
    } else {
        bool killed = phase == MFI_LIFE_KILLING || phase == MFI_LIFE_KILLING_AGAIN;
        mfi_unfit cause = {.restart = MFI_RESTART_EXIT_ERROR, .reason = {.rule = MFI_RULE_EXIT}};
        mfi_loss loss = mfi_link_lost(link, killed ? why : at->why, killed ? &link->unfit : &cause);
        mfi_link_close_lost(link, &loss);
    }
}

void rig_exit(client_rig *rig, const char *why)
{
    order at = {.rig = rig, .why = why};
    mfi_loop_call(rig->runtime->loop, exit_on_engine, &at);
}

void rig_answer_and_exit(client_rig *rig, rig_message *message, const char *why)
{
    order at = {.rig = rig, .why = why, .message = message};
    mfi_loop_call(rig->runtime->loop, exit_on_engine, &at);
}

void rig_call_and_exit(client_rig *rig, const char *function, rig_outcome *outcome, const char *why)
{
    order at = {.rig = rig, .why = why, .function = function, .outcome = outcome};
    mfi_loop_call(rig->runtime->loop, exit_on_engine, &at);
}

static void step_on_engine(void *data)
{
    const order *at = data;
    mfi_link_step(at->rig->link, at->event);
}

void rig_step(client_rig *rig, mfi_life_event event)
{
    order at = {.rig = rig, .event = event};
    mfi_loop_call(rig->runtime->loop, step_on_engine, &at);
}

static void peer_gone_on_engine(void *data)
{
    mfi_link *link = ((const order *)data)->rig->link;
    if (link->phase == MFI_LIFE_HOLDING || link->phase == MFI_LIFE_DRAINING) {
        mfi_link_step(link, MFI_LIFE_ON_PEER_GONE);
    }
}

void rig_peer_gone(client_rig *rig)
{
    order at = {.rig = rig};
    mfi_loop_call(rig->runtime->loop, peer_gone_on_engine, &at);
}

static void read_phase(void *data)
{
    order *at = data;
    at->phase = at->rig->link->phase;
}

mfi_life_phase rig_phase(client_rig *rig)
{
    order at = {.rig = rig};
    mfi_loop_call(rig->runtime->loop, read_phase, &at);
    return at.phase;
}

static bool is_in_phase(void *data)
{
    const order *at = data;
    return rig_phase(at->rig) == at->phase;
}

bool rig_until_phase(client_rig *rig, mfi_life_phase phase)
{
    order at = {.rig = rig, .phase = phase};
    return mf_test_until(is_in_phase, &at, MF_TEST_PATIENCE_MS);
}

typedef struct counted {
    const _Atomic(int) *counter;
    int count;
} counted;

static bool has_count(void *data)
{
    const counted *at = data;
    return atomic_load(at->counter) >= at->count;
}

bool rig_until(const _Atomic(int) *counter, int count)
{
    counted at = {.counter = counter, .count = count};
    return mf_test_until(has_count, &at, MF_TEST_PATIENCE_MS);
}

typedef struct wanted {
    client_rig *rig;
    mf_parent_state state;
} wanted;

static bool is_in_state(void *data)
{
    const wanted *at = data;
    return mf_parent_get_state(at->rig->parent) == at->state;
}

bool rig_until_state(client_rig *rig, mf_parent_state state)
{
    wanted at = {.rig = rig, .state = state};
    return mf_test_until(is_in_state, &at, MF_TEST_PATIENCE_MS);
}

void rig_start(client_rig *rig)
{
    rig_message beat;
    rig_outcome started;
    rig_start_async(rig, &started);
    rig_take(rig, &beat, MFI_MESSAGE_HEARTBEAT, NULL);
    mf_check_int(mf_parent_get_state(rig->parent), MF_PARENT_STARTING);
    rig_answer(rig, &beat);
    mf_check_int(rig_await(&started), MF_OK);
    mf_check_int(mf_parent_get_state(rig->parent), MF_PARENT_READY);
}

/* The worker's process, from start to end. Everything here runs on the engine thread.
 *
 *   NONE -> STARTING -> RUNNING -> GONE             its own end
 *               |          |
 *               |          +-----> STOPPING -> GONE a stop: SHUTDOWN, SIGTERM, SIGKILL
 *               +-> KILLING -> GONE                 the start failed, or was stopped
 *
 * In GONE the transport is closed as soon as no thread drives it, and only then does the state that
 * users see become FAILED or STOPPED. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/engine/parent.h"

#define READ_BYTES 16384
/* So much of a worker's output is read in one turn; the rest waits for the next. */
#define READS_PER_TURN 16
#define QUEUE_MESSAGES 10000
#define LINGER_MS 500

static mfi_loop *loop_of(const mf_parent *parent)
{
    return parent->runtime->loop;
}

static void observe(mf_parent *parent, const mfi_process_event *event)
{
    mfi_observe_process_changed(parent->runtime->observer, parent->observed, event);
}

/* ---- Output ---- */

void mfi_worker_output(mf_parent *parent, bool is_stderr, const char *text, size_t length)
{
    while (length > 0) { /* a message may hold several lines */
        const char *newline = memchr(text, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - text) : length;
        size_t used = newline != NULL ? line + 1 : line;
        if (line > 0) {
            mfi_observe_output_line(parent->runtime->observer, parent->observed, is_stderr, text,
                                    line, false);
            if (parent->settings.on_output != NULL) {
                parent->settings.on_output(text, line, is_stderr, parent->settings.user_data);
            }
        }
        text += used;
        length -= used;
    }
}

static void on_line(void *self, const char *text, size_t length)
{
    mfi_stream *stream = self;
    mfi_worker_output(stream->parent, stream->is_stderr, text, length);
}

/* Reads what is there. At the end of the stream its descriptor is given up by teardown. */
static void drain_stream(mfi_stream *stream, int reads)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < reads && stream->source.fd >= 0; i++) {
        ssize_t got = read(stream->source.fd, bytes, sizeof bytes);
        if (got > 0) {
            mfi_lines_feed(&stream->lines, bytes, (size_t)got);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            mfi_source_remove(loop_of(stream->parent), &stream->source);
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void on_stream(mfi_source *source, uint32_t events)
{
    (void)events;
    drain_stream(MFI_CONTAINER(source, mfi_stream, source), READS_PER_TURN);
}

/* ---- Peer events ---- */

static void on_monitor(mfi_source *source, uint32_t events)
{
    (void)events;
    mf_parent *parent = MFI_CONTAINER(source, mf_parent, monitor_source);
    mfi_peer_event event = MFI_PEER_NONE;
    while ((event = parent->transport->ops->next_event(parent->transport)) != MFI_PEER_NONE) {
        mfi_transport_event seen = {.text = parent->transport->endpoint};
        if (event == MFI_PEER_CONNECTED) {
            parent->connections++;
            seen.what = parent->connections > 1 ? MFI_TRANSPORT_EXTRA_CONNECTION
                        : parent->was_connected ? MFI_TRANSPORT_RECONNECTED
                                                : MFI_TRANSPORT_CONNECTED;
            parent->was_connected = true;
        } else {
            seen.what = MFI_TRANSPORT_DISCONNECTED;
            seen.reason = event == MFI_PEER_HANDSHAKE_FAILED ? "handshake_failed"
                          : parent->stop_asked               ? "shutdown"
                                                             : "closed";
            if (event == MFI_PEER_DISCONNECTED && parent->connections > 0) {
                parent->connections--;
            }
        }
        mfi_observe_transport_event(parent->runtime->observer, parent->observed, &seen);
    }
}

/* ---- The end of a start ---- */

/* The new state, and the outcome of the start for who waits for it. The callback comes last, so
 * that it sees what has become of the parent. */
static void finish_start(mf_parent *parent, mf_status status, mf_parent_state state)
{
    mf_error error;
    mfi_error_clear(&error);
    mfi_mutex_lock(&parent->mutex);
    mf_start_fn done = parent->start_done;
    void *user_data = parent->start_data;
    parent->start_done = NULL;
    parent->start_status = status;
    if (status != MF_OK) {
        (void)mfi_fail(&error, status, "%s", parent->exit_text);
    }
    mfi_mutex_unlock(&parent->mutex);
    mfi_parent_set_state(parent, state);
    if (done != NULL) {
        done(status, status != MF_OK ? &error : NULL, user_data);
    }
}

void mfi_worker_ready(mf_parent *parent)
{
    if (parent->phase != MFI_WORKER_STARTING) {
        return;
    }
    uint64_t now = mfi_loop_now(loop_of(parent));
    parent->phase = MFI_WORKER_RUNNING;
    mfi_timer_cancel(loop_of(parent), &parent->start_timer);
    if (parent->settings.heartbeat_interval_ms != MF_DISABLED) {
        (void)mfi_timer_set(loop_of(parent), &parent->heartbeat_timer,
                            mfi_deadline_after_ms(now, parent->settings.heartbeat_interval_ms));
    }
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_READY,
                                         .pid = parent->process.pid,
                                         .duration_ns = now - parent->spawned_ns});
    finish_start(parent, MF_OK, MF_PARENT_READY);
}

/* ---- Teardown ---- */

static void set_exit_text(mf_parent *parent, const char *text)
{
    mfi_mutex_lock(&parent->mutex);
    (void)mfi_str_copy(parent->exit_text, sizeof parent->exit_text, text);
    mfi_mutex_unlock(&parent->mutex);
}

/* Nobody drives any more: the socket goes, stragglers end, users see the final state. */
static void on_driver_closed(void *self)
{
    mf_parent *parent = self;
    mfi_source_remove(loop_of(parent), &parent->monitor_source);
    if (parent->transport != NULL) {
        parent->transport->ops->close(parent->transport);
        parent->transport = NULL;
    }
    mfi_parent_drop_queue(parent);
    (void)mfi_calls_fail_all(parent, parent->stop_asked ? MF_ERR_CANCELLED : MF_ERR_NOT_RUNNING,
                             NULL);
    if (parent->stop_asked) {
        observe(parent, &(mfi_process_event){.what = MFI_PROCESS_STOPPED});
    }
    mf_parent_state state = parent->stop_asked ? MF_PARENT_STOPPED : MF_PARENT_FAILED;
    if (parent->failure != MF_OK) {
        finish_start(parent, parent->failure, state);
    } else {
        mfi_parent_set_state(parent, state);
    }
}

static void close_process(mf_parent *parent)
{
    mfi_source_remove(loop_of(parent), &parent->process_source);
    for (int i = 0; i < 2; i++) {
        mfi_stream *stream = &parent->streams[i];
        /* The pipe holds 64 KiB at most, and nobody writes any more. */
        drain_stream(stream, READS_PER_TURN);
        mfi_lines_end(&stream->lines);
        mfi_source_remove(loop_of(parent), &stream->source);
    }
    mfi_process_close(&parent->process);
    atomic_store_explicit(&parent->pid, 0, memory_order_relaxed);
}

static void teardown(mf_parent *parent)
{
    mfi_loop *loop = loop_of(parent);
    parent->phase = MFI_WORKER_GONE;
    mfi_timer_cancel(loop, &parent->start_timer);
    mfi_timer_cancel(loop, &parent->stop_timer);
    mfi_timer_cancel(loop, &parent->heartbeat_timer);
    close_process(parent);
    mfi_driver_close(&parent->driver, on_driver_closed);
}

/* ---- Exit ---- */

static void worker_exited(mf_parent *parent, const mfi_exit *ended)
{
    char text[MFI_EXIT_TEXT_MAX];
    char reason[MFI_EXIT_TEXT_MAX];
    mf_context oldest = {0};
    bool expected = parent->stop_asked || parent->phase == MFI_WORKER_KILLING;
    (void)mfi_exit_text(text, sizeof text, ended);
    uint32_t failed = 0;
    if (parent->phase == MFI_WORKER_STARTING) {
        parent->failure = MF_ERR_START_FAILED;
        (void)mfi_str_format(reason, sizeof reason, "worker '%s' ended before it was ready: it %s",
                             parent->settings.worker, text);
        set_exit_text(parent, reason);
        failed = mfi_calls_fail_all(parent, MF_ERR_NOT_RUNNING, &oldest);
    } else if (!expected) {
        set_exit_text(parent, text);
        /* From here on new calls are refused; those in flight fail at once. */
        mfi_parent_set_state(parent, MF_PARENT_FAILED);
        failed = mfi_calls_fail_all(parent, MF_ERR_WORKER_EXITED, &oldest);
    }
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_EXITED,
                                         .pid = parent->process.pid,
                                         .expected = expected,
                                         .exit_known = ended->known,
                                         .exit_code = ended->code,
                                         .signal = ended->signal,
                                         .text = text,
                                         .pending_failed = failed});
    if (!expected) {
        mfi_circuit_trip(&parent->circuit, MFI_RULE_EXIT,
                         (double)(ended->signal != 0 ? ended->signal : ended->code), 0,
                         MF_ERR_WORKER_EXITED, oldest.correlation_id, oldest.trace_id);
    }
    teardown(parent);
}

static void on_process(mfi_source *source, uint32_t events)
{
    (void)events;
    mf_parent *parent = MFI_CONTAINER(source, mf_parent, process_source);
    mfi_exit ended;
    if (mfi_process_reap(&parent->process, &ended)) {
        worker_exited(parent, &ended);
    }
}

/* ---- Start ---- */

static mf_status open_transport(mf_parent *parent, mf_error *error)
{
    mfi_transport_options options = {.context = parent->runtime->messaging,
                                     .binds = true,
                                     .address = parent->settings.bind_address,
                                     .port = parent->settings.port,
                                     .max_message_bytes = parent->settings.max_message_bytes,
                                     .queue_messages = QUEUE_MESSAGES,
                                     .linger_ms = LINGER_MS};
    mf_status status = mfi_transport_zmq_open(&parent->transport, &options, error);
    if (status == MF_OK) {
        mfi_mutex_lock(&parent->mutex);
        (void)mfi_str_copy(parent->endpoint, sizeof parent->endpoint, parent->transport->endpoint);
        mfi_mutex_unlock(&parent->mutex);
    }
    return status;
}

/* The spawn contract of the protocol, on top of the user's own environment. */
static mf_status spawn(mf_parent *parent, mf_error *error)
{
    char port[64];
    const char *colon = strrchr(parent->transport->endpoint, ':');
    (void)mfi_str_format(port, sizeof port, "COMLINK_ZMQ_PORT=%s", colon != NULL ? colon + 1 : "");
    size_t count = 0;
    while (parent->settings.env[count] != NULL) {
        count++;
    }
    const char **env = calloc(count + 3, sizeof *env);
    if (env == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the worker's environment");
    }
    for (size_t i = 0; i < count; i++) {
        env[i] = parent->settings.env[i];
    }
    env[count] = port;
    env[count + 1] = "COMLINK_WORKER_MODE=1";
    mfi_spawn_options options = {.program = parent->settings.program,
                                 .args = (const char *const *)parent->settings.args,
                                 .env = env,
                                 .working_directory = parent->settings.working_directory};
    mf_status status = mfi_process_spawn(&parent->process, &options, error);
    free(env);
    return status;
}

static mf_status watch(mf_parent *parent, mf_error *error)
{
    const mfi_process *process = &parent->process;
    const mfi_transport *transport = parent->transport;
    mf_status status =
        mfi_source_add(loop_of(parent), &parent->process_source, process->pidfd, EPOLLIN, error);
    if (status == MF_OK) {
        status = mfi_source_add(loop_of(parent), &parent->streams[0].source, process->stdout_fd,
                                EPOLLIN, error);
    }
    if (status == MF_OK) {
        status = mfi_source_add(loop_of(parent), &parent->streams[1].source, process->stderr_fd,
                                EPOLLIN, error);
    }
    if (status == MF_OK) {
        status = mfi_source_add(loop_of(parent), &parent->monitor_source,
                                transport->ops->events_readiness(transport), EPOLLIN, error);
    }
    if (status == MF_OK) {
        status = mfi_driver_open(&parent->driver, transport->ops->readiness(transport), error);
    }
    return status;
}

/* The start failed and no worker runs (any more). */
static void start_failed(mf_parent *parent, const mf_error *error)
{
    parent->failure = error->code;
    set_exit_text(parent, error->message);
    (void)mfi_calls_fail_all(parent, MF_ERR_NOT_RUNNING, NULL);
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_FAILED, .text = error->message});
    teardown(parent);
}

void mfi_worker_start(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, start_task);
    mf_error error;
    mfi_error_clear(&error);
    if (parent->phase != MFI_WORKER_NONE || parent->stop_asked) {
        return; /* a stop came first, and ends it all */
    }
    parent->spawned_ns = mfi_loop_now(loop_of(parent));
    mf_status status = open_transport(parent, &error);
    if (status == MF_OK) {
        status = spawn(parent, &error);
    }
    if (status != MF_OK) {
        start_failed(parent, &error);
        return;
    }
    parent->phase = MFI_WORKER_STARTING;
    atomic_store_explicit(&parent->pid, parent->process.pid, memory_order_relaxed);
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_SPAWNED, .pid = parent->process.pid});
    if (watch(parent, &error) != MF_OK) {
        mfi_process_kill(&parent->process);
        start_failed(parent, &error);
        return;
    }
    (void)mfi_timer_set(
        loop_of(parent), &parent->start_timer,
        mfi_deadline_after_ms(parent->spawned_ns, parent->settings.start_timeout_ms));
    /* It leaves as soon as the worker's connection can take it; the answer makes it ready. */
    mfi_heartbeat_send(parent, parent->settings.start_timeout_ms);
}

static void on_start_timeout(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, start_timer);
    char reason[MFI_EXIT_TEXT_MAX];
    (void)mfi_str_format(
        reason, sizeof reason, "worker '%s' %s within %lld ms", parent->settings.worker,
        parent->was_connected ? "connected but answered no heartbeat" : "did not connect",
        (long long)parent->settings.start_timeout_ms);
    set_exit_text(parent, reason);
    parent->failure = MF_ERR_START_TIMEOUT;
    parent->phase = MFI_WORKER_KILLING;
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_FAILED, .text = reason});
    (void)mfi_calls_fail_all(parent, MF_ERR_NOT_RUNNING, NULL);
    mfi_process_kill(&parent->process);
}

/* ---- Stop ---- */

static void send_shutdown(mf_parent *parent)
{
    mfi_slot *slot = mfi_pending_acquire(&parent->pending);
    double timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    if (slot == NULL) {
        return; /* SIGTERM follows */
    }
    atomic_store_explicit(&slot->traffic, MFI_TRAFFIC_CONTROL, memory_order_relaxed);
    atomic_store_explicit(&slot->deadline_ns, MFI_NEVER, memory_order_relaxed);
    if (mfi_encode_shutdown(&slot->out, slot->id, timestamp, NULL) != MF_OK) {
        mfi_slot_abandon(&parent->pending, slot);
        return;
    }
    slot->ended = mfi_worker_shutdown_ended;
    mfi_call_submit_async(parent, slot);
}

void mfi_worker_shutdown_ended(void *owner, mfi_slot *slot)
{
    (void)owner; /* SHUTDOWN has no answer: its slot ends with the rest */
    (void)slot;
}

/* SHUTDOWN at once, SIGTERM at half of the time, SIGKILL at its end. */
static void on_stop_timer(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, stop_timer);
    parent->stop_step++;
    if (parent->stop_step == 1) {
        mfi_process_signal(&parent->process, SIGTERM);
        (void)mfi_timer_set(loop_of(parent), timer,
                            mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)),
                                                  parent->settings.stop_timeout_ms / 2));
    } else {
        mfi_process_kill(&parent->process);
    }
}

void mfi_worker_stop(mfi_task *task)
{
    mf_parent *parent = MFI_CONTAINER(task, mf_parent, stop_task);
    if (parent->stop_asked) {
        return;
    }
    mfi_worker_phase before = parent->phase;
    mf_parent_state state = mfi_parent_state(parent);
    parent->stop_asked = true;
    mfi_timer_cancel(loop_of(parent), &parent->heartbeat_timer);
    mfi_timer_cancel(loop_of(parent), &parent->start_timer);
    if (before == MFI_WORKER_GONE) {
        if (state == MF_PARENT_FAILED && parent->transport == NULL) {
            mfi_parent_set_state(parent, MF_PARENT_STOPPED);
        } /* else on_driver_closed will */
        return;
    }
    mfi_parent_set_state(parent, MF_PARENT_STOPPING);
    (void)mfi_calls_fail_all(parent, MF_ERR_CANCELLED, NULL);
    if (before == MFI_WORKER_NONE || before == MFI_WORKER_STARTING) {
        parent->failure = MF_ERR_CANCELLED;
        set_exit_text(parent, "it was stopped before it was ready");
    }
    if (before == MFI_WORKER_NONE) {
        teardown(parent);
        return;
    }
    if (before == MFI_WORKER_RUNNING) {
        parent->phase = MFI_WORKER_STOPPING;
        send_shutdown(parent);
    } else {
        parent->phase = MFI_WORKER_KILLING;
        mfi_process_signal(&parent->process, SIGTERM);
    }
    (void)mfi_timer_set(
        loop_of(parent), &parent->stop_timer,
        mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)), parent->settings.stop_timeout_ms / 2));
}

void mfi_worker_init(mf_parent *parent)
{
    mfi_process_init(&parent->process);
    mfi_task_init(&parent->start_task, mfi_worker_start);
    mfi_task_init(&parent->stop_task, mfi_worker_stop);
    mfi_timer_init(&parent->start_timer, on_start_timeout);
    mfi_timer_init(&parent->stop_timer, on_stop_timer);
    mfi_source_init(&parent->process_source, on_process);
    mfi_source_init(&parent->monitor_source, on_monitor);
    for (int i = 0; i < 2; i++) {
        mfi_stream *stream = &parent->streams[i];
        stream->parent = parent;
        stream->is_stderr = i == 1;
        mfi_source_init(&stream->source, on_stream);
        mfi_lines_init(&stream->lines, on_line, stream);
    }
}

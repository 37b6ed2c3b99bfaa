/* Spawn mode: the worker's process. Everything here runs on the engine thread. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/parent.h"
#include "core/wire/limits.h"

#define READ_BYTES 16384
/* So much of a worker's output is read in one turn; the rest waits for the next. */
#define READS_PER_TURN 16
#define QUEUE_MESSAGES 10000
#define LINGER_MS 500
#define UNWATCHED_LOOK_NS (5 * MFI_NS_PER_MS)

static mfi_loop *loop_of(const mf_parent *parent)
{
    return parent->runtime->loop;
}

static void observe(mf_parent *parent, const mfi_process_event *event)
{
    mfi_observe_process_changed(parent->observed, event);
}

/* ---- Output ---- */

void mfi_worker_output(mf_parent *parent, bool is_stderr, const char *text, size_t length)
{
    while (length > 0) { /* a message may hold several lines */
        const char *newline = memchr(text, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - text) : length;
        size_t used = newline != NULL ? line + 1 : line;
        if (line > 0) {
            mfi_observe_output_line(parent->observed, is_stderr, text, line);
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

/* ---- Start ---- */

static void on_stop_timer(mfi_timer *timer);
static void on_process(mfi_source *source, uint32_t events);

static mf_status open_transport(mf_parent *parent, mf_error *error)
{
    mfi_transport_options options = {.binds = true,
                                     .address = parent->settings.bind_address,
                                     .port = parent->settings.port,
                                     .max_message_bytes = parent->settings.max_message_bytes,
                                     .queue_messages = QUEUE_MESSAGES,
                                     .linger_ms = LINGER_MS};
    mfi_messaging *messaging = parent->runtime->messaging;
    return messaging->open(messaging, &parent->transport, &options, error);
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
    mf_status status =
        mfi_source_add(loop_of(parent), &parent->process_source, process->exit_fd, EPOLLIN, error);
    if (status == MF_OK) {
        status = mfi_source_add(loop_of(parent), &parent->streams[0].source, process->stdout_fd,
                                EPOLLIN, error);
    }
    if (status == MF_OK) {
        status = mfi_source_add(loop_of(parent), &parent->streams[1].source, process->stderr_fd,
                                EPOLLIN, error);
    }
    return status == MF_OK ? mfi_link_watch(parent, error) : status;
}

mf_status mfi_worker_begin(mf_parent *parent, mf_error *error)
{
    mf_status status = open_transport(parent, error);
    if (status == MF_OK) {
        status = spawn(parent, error);
    }
    if (status != MF_OK) {
        return status;
    }
    parent->phase = MFI_LINK_STARTING;
    atomic_store_explicit(&parent->pid, parent->process.pid, memory_order_relaxed);
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_SPAWNED, .pid = parent->process.pid});
    status = watch(parent, error);
    if (status != MF_OK) { /* it goes on when the process has ended */
        mfi_link_set_exit_text(parent, error->message);
        parent->failure = status;
        mfi_worker_kill(parent, MFI_ENDING_START);
        if (parent->process_source.fd < 0) {
            on_stop_timer(&parent->stop_timer);
        }
    }
    return MF_OK;
}

/* ---- End ---- */

void mfi_worker_kill(mf_parent *parent, mfi_ending ending)
{
    parent->phase = MFI_LINK_ENDING;
    parent->ending = ending;
    mfi_process_kill(&parent->process);
}

static void shutdown_ended(void *owner, mfi_slot *slot)
{
    (void)owner; /* SHUTDOWN has no answer: its slot ends with the rest */
    (void)slot;
}

static void send_shutdown(mf_parent *parent)
{
    mfi_slot *slot = mfi_pending_acquire(&parent->pending);
    double timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    if (slot == NULL) {
        return; /* SIGTERM follows */
    }
    atomic_store_explicit(&slot->traffic, MFI_TRAFFIC_CONTROL, memory_order_relaxed);
    atomic_store_explicit(&slot->sent_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->deadline_ns, MFI_NEVER, memory_order_relaxed);
    if (mfi_encode_shutdown(&slot->out, slot->id, timestamp, NULL) != MF_OK) {
        mfi_slot_abandon(&parent->pending, slot);
        return;
    }
    slot->ended = shutdown_ended;
    mfi_call_submit_async(parent, slot, NULL);
}

static void on_stop_timer(mfi_timer *timer)
{
    mf_parent *parent = MFI_CONTAINER(timer, mf_parent, stop_timer);
    if (parent->process_source.fd < 0) { /* nothing tells of its exit */
        (void)mfi_timer_set(loop_of(parent), timer,
                            mfi_loop_now(loop_of(parent)) + UNWATCHED_LOOK_NS);
        on_process(&parent->process_source, 0); /* cancels the timer if it has ended */
        return;
    }
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

void mfi_worker_end(mf_parent *parent, mfi_ending ending, bool shutdown)
{
    parent->phase = MFI_LINK_ENDING;
    parent->ending = ending;
    parent->stop_step = shutdown ? 0 : 1;
    if (shutdown) {
        send_shutdown(parent);
    } else {
        mfi_process_signal(&parent->process, SIGTERM);
    }
    (void)mfi_timer_set(
        loop_of(parent), &parent->stop_timer,
        mfi_deadline_after_ms(mfi_loop_now(loop_of(parent)), parent->settings.stop_timeout_ms / 2));
}

void mfi_worker_close(mf_parent *parent)
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
}

/* ---- Exit ---- */

static mfi_restart_reason reason_of(const mfi_exit *ended)
{
    return ended->signal != 0 ? MFI_RESTART_SIGNAL
           : ended->code == 0 ? MFI_RESTART_EXIT_OK
                              : MFI_RESTART_EXIT_ERROR;
}

/* Nobody asked for this end. Gives how many calls it ended. */
static uint32_t crashed(mf_parent *parent, const mfi_exit *ended, const char *text,
                        mf_context *ret_oldest)
{
    char why[MFI_EXIT_TEXT_MAX];
    if (parent->ending == MFI_ENDING_HEARTBEAT) { /* the exit itself says nothing */
        mfi_mutex_lock(&parent->mutex);
        (void)mfi_str_copy(why, sizeof why, parent->exit_text);
        mfi_mutex_unlock(&parent->mutex);
        return mfi_link_lost(parent, why, MFI_RESTART_HEARTBEAT, ret_oldest);
    }
    return mfi_link_lost(parent, text, reason_of(ended), ret_oldest);
}

/* The exit is the end of a start. What was not ready yet is not lost: its start has failed. */
static void start_ended(mf_parent *parent, const mfi_exit *ended, const char *text)
{
    mf_error error;
    mfi_error_clear(&error);
    bool ended_by_us = parent->ending == MFI_ENDING_START;
    if (ended_by_us) {
        mfi_mutex_lock(&parent->mutex);
        (void)mfi_fail(&error, parent->failure, "%s", parent->exit_text);
        mfi_mutex_unlock(&parent->mutex);
    } else {
        (void)mfi_fail(&error, MF_ERR_START_FAILED, "worker '%s' ended before it was ready: it %s",
                       parent->settings.worker, text);
    }
    mfi_link_start_failed(parent, &error,
                          ended_by_us ? MFI_RESTART_START_TIMEOUT : reason_of(ended));
}

static void worker_exited(mf_parent *parent, const mfi_exit *ended)
{
    char text[MFI_EXIT_TEXT_MAX];
    mfi_link_phase before = parent->phase;
    mfi_ending ending = parent->ending;
    bool expected =
        ending == MFI_ENDING_STOP || ending == MFI_ENDING_RESTART || ending == MFI_ENDING_START;
    bool started = before != MFI_LINK_STARTING && ending != MFI_ENDING_START;
    bool crash = started && !expected;
    mf_context oldest = {0};
    int64_t pid = parent->process.pid;
    (void)mfi_exit_text(text, sizeof text, ended);
    mfi_mutex_lock(&parent->mutex);
    parent->last_exit = *ended;
    (void)mfi_str_copy(parent->last_exit_text, sizeof parent->last_exit_text, text);
    mfi_mutex_unlock(&parent->mutex);
    uint32_t failed = crash ? crashed(parent, ended, text, &oldest) : 0;
    observe(parent, &(mfi_process_event){.what = MFI_PROCESS_EXITED,
                                         .pid = pid,
                                         .expected = expected,
                                         .exit_known = ended->known,
                                         .exit_code = ended->code,
                                         .signal = ended->signal,
                                         .text = text,
                                         .pending_failed = failed});
    if (ending == MFI_ENDING_RESTART) {
        parent->again = true;
        parent->again_wait_ns = 0;
    }
    if (crash) {
        mfi_link_close_lost(parent, &oldest);
    } else if (started || ending == MFI_ENDING_STOP) {
        mfi_link_close(parent);
    } else {
        start_ended(parent, ended, text);
    }
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

void mfi_worker_init(mf_parent *parent)
{
    mfi_process_init(&parent->process);
    mfi_timer_init(&parent->stop_timer, on_stop_timer);
    mfi_source_init(&parent->process_source, on_process);
    for (int i = 0; i < 2; i++) {
        mfi_stream *stream = &parent->streams[i];
        stream->parent = parent;
        stream->is_stderr = i == 1;
        mfi_source_init(&stream->source, on_stream);
        mfi_lines_init(&stream->lines, MFI_OUTPUT_MAX_BYTES, on_line, stream);
    }
}

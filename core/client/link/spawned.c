/* Spawn mode: the worker's process, from its spawn to its exit. It exists so that the link needs to
 * know nothing of processes: what happens to the process becomes an event of the link. */
#include "core/client/link/spawned.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/client/output.h"

#define READ_BYTES 16384
/* Reads of one stream in one turn. The rest waits for the next turn, so that a worker that prints
 * much cannot hold the engine. */
#define READS_PER_TURN 16
#define UNWATCHED_LOOK_NS (5 * MFI_NS_PER_MS) /* between checks of a process without pidfd */

static void observe(const mfi_spawned *spawned, const mfi_process_event *event)
{
    mfi_observe_process_changed(spawned->state->observed, event);
}

/* ---- Output ---- */

static void on_line(void *self, const char *text, size_t length)
{
    mfi_stream *stream = self;
    mfi_output_show(stream->state, stream->is_stderr, text, length);
}

/* Reads the waiting output. The descriptor of a stream that has ended is closed with the process.
 */
static void drain_stream(mfi_stream *stream, int reads)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < reads && stream->source.fd >= 0; i++) {
        ssize_t got = read(stream->source.fd, bytes, sizeof bytes);
        if (got > 0) {
            mfi_lines_feed(&stream->lines, bytes, (size_t)got);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            mfi_source_remove(stream->state->loop, &stream->source);
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

static mf_status open_transport(mfi_spawned *spawned, mf_error *error)
{
    const mfi_parent_settings *settings = &spawned->state->settings;
    mfi_transport_options options = {
        .binds = true, .address = settings->bind_address, .port = settings->port};
    return mfi_calls_open_transport(spawned->link->calls, &options, error);
}

/* Spawns the worker: the protocol's environment variables, added to the user's environment. */
static mf_status spawn(mfi_spawned *spawned, mf_error *error)
{
    const mfi_parent_settings *settings = &spawned->state->settings;
    char port[64];
    const char *colon = strrchr(spawned->link->calls->transport->endpoint, ':');
    (void)mfi_str_format(port, sizeof port, "COMLINK_ZMQ_PORT=%s", colon != NULL ? colon + 1 : "");
    size_t count = 0;
    while (settings->env[count] != NULL) {
        count++;
    }
    const char **env = calloc(count + 3, sizeof *env);
    if (env == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the worker's environment");
    }
    for (size_t i = 0; i < count; i++) {
        env[i] = settings->env[i];
    }
    env[count] = port;
    env[count + 1] = "COMLINK_WORKER_MODE=1";
    mfi_spawn_options options = {.program = settings->program,
                                 .args = (const char *const *)settings->args,
                                 .env = env,
                                 .working_directory = settings->working_directory};
    mf_status status = mfi_process_spawn(&spawned->process, &options, error);
    free(env);
    if (status == MF_ERR_START_FAILED && options.working_directory != NULL &&
        access(options.working_directory, X_OK) != 0) {
        return mfi_fail_errno(error, status, errno, "cannot start '%s' in working_directory '%s'",
                              settings->program, options.working_directory);
    }
    return status;
}

static mf_status watch(mfi_spawned *spawned, mf_error *error)
{
    const mfi_process *process = &spawned->process;
    mf_status status = mfi_source_add(spawned->state->loop, &spawned->process_source,
                                      process->exit_fd, EPOLLIN, error);
    if (status == MF_OK) {
        status = mfi_source_add(spawned->state->loop, &spawned->streams[0].source,
                                process->stdout_fd, EPOLLIN, error);
    }
    if (status == MF_OK) {
        status = mfi_source_add(spawned->state->loop, &spawned->streams[1].source,
                                process->stderr_fd, EPOLLIN, error);
    }
    return status == MF_OK ? mfi_link_watch(spawned->link, error) : status;
}

static mf_status begin(void *self, mfi_life_event *ret_event, mf_error *error)
{
    mfi_spawned *spawned = self;
    mf_status status = open_transport(spawned, error);
    mfi_tail_clear(&spawned->state->tails[0]);
    mfi_tail_clear(&spawned->state->tails[1]);
    if (status == MF_OK) {
        status = spawn(spawned, error);
    }
    if (status != MF_OK) {
        return status;
    }
    int64_t pid = spawned->process.pid;
    atomic_store_explicit(&spawned->state->pid, pid, memory_order_relaxed);
    observe(spawned, &(mfi_process_event){.what = MFI_PROCESS_SPAWNED, .pid = pid});
    status = watch(spawned, error);
    *ret_event = status == MF_OK ? MFI_LIFE_ON_PEER : MFI_LIFE_ON_ABORT;
    if (status != MF_OK) { /* the start fails when the process has ended */
        mfi_state_set_exit_text(spawned->state, error->message);
        spawned->link->failure = status;
    }
    return MF_OK;
}

/* ---- Exit ---- */

static mfi_restart_reason reason_of(const mfi_exit *ended)
{
    return ended->signal != 0 ? MFI_RESTART_SIGNAL
           : ended->code == 0 ? MFI_RESTART_EXIT_OK
                              : MFI_RESTART_EXIT_ERROR;
}

/* The process ended by itself, or the link ended it because it was frozen. */
static mfi_loss crashed(mfi_spawned *spawned, const mfi_exit *ended, const char *text)
{
    char why[MFI_EXIT_TEXT_MAX];
    mfi_life_phase phase = spawned->link->phase;
    if (phase != MFI_LIFE_KILLING && phase != MFI_LIFE_KILLING_AGAIN) {
        return mfi_link_lost(spawned->link, text, reason_of(ended));
    }
    /* The exit itself says nothing about the reason. */
    mfi_state_copy_exit_text(spawned->state, why);
    return mfi_link_lost(spawned->link, why, MFI_RESTART_HEARTBEAT);
}

/* A process that was not ready yet is not lost. Its start has failed. */
static void start_ended(mfi_spawned *spawned, const mfi_exit *ended, const char *text, bool by_us)
{
    char why[MFI_EXIT_TEXT_MAX];
    mf_error error;
    mfi_error_clear(&error);
    if (by_us) {
        mfi_state_copy_exit_text(spawned->state, why);
        (void)mfi_fail(&error, spawned->link->failure, "%s", why);
    } else {
        (void)mfi_fail(&error, MF_ERR_START_FAILED, "worker '%s' ended before it was ready: it %s",
                       spawned->state->settings.worker, text);
    }
    mfi_tail_explain(&spawned->state->tails[1], "stderr", error.message, MFI_EXPLAINED_MAX);
    mfi_link_start_failed(spawned->link, &error,
                          by_us ? MFI_RESTART_START_TIMEOUT : reason_of(ended));
}

static void note_exit(mfi_state *state, const mfi_exit *ended, const char *text)
{
    mfi_mutex_lock(&state->mutex);
    state->last_exit = *ended;
    (void)mfi_str_copy(state->last_exit_text, sizeof state->last_exit_text, text);
    mfi_mutex_unlock(&state->mutex);
}

/* Reads what the process printed last, which its end is explained with. */
static void read_rest(mfi_spawned *spawned)
{
    for (int i = 0; i < 2; i++) {
        /* The pipe holds 64 KiB at most, and no process writes to it any more. */
        drain_stream(&spawned->streams[i], READS_PER_TURN);
        mfi_lines_end(&spawned->streams[i].lines);
    }
}

static void process_exited(mfi_spawned *spawned, const mfi_exit *ended)
{
    char text[MFI_EXIT_TEXT_MAX];
    mfi_loss loss = {0};
    mfi_remains remains = {0};
    read_rest(spawned);
    mfi_life_phase phase = spawned->link->phase;
    bool aborted = phase == MFI_LIFE_ABORTING || phase == MFI_LIFE_ABORTING_AGAIN;
    bool asked = phase == MFI_LIFE_STOPPING || phase == MFI_LIFE_REPLACING;
    bool crash = !aborted && !asked && phase != MFI_LIFE_STARTING;
    (void)mfi_exit_text(text, sizeof text, ended);
    note_exit(spawned->state, ended, text);
    if (crash) {
        loss = crashed(spawned, ended, text);
        remains = mfi_link_remains(spawned->link);
        remains.calls = loss.ended.list;
        remains.named = loss.ended.named;
    }
    observe(spawned, &(mfi_process_event){.what = MFI_PROCESS_EXITED,
                                          .pid = spawned->process.pid,
                                          .expected = aborted || asked,
                                          .exit_known = ended->known,
                                          .exit_code = ended->code,
                                          .signal = ended->signal,
                                          .text = text,
                                          .pending_failed = loss.calls,
                                          .remains = crash ? &remains : NULL});
    if (crash) {
        mfi_link_close_lost(spawned->link, &loss);
    } else if (asked) {
        mfi_link_step(spawned->link, MFI_LIFE_ON_ENDED);
    } else {
        start_ended(spawned, ended, text, aborted);
    }
}

static void on_process(mfi_source *source, uint32_t events)
{
    (void)events;
    mfi_spawned *spawned = MFI_CONTAINER(source, mfi_spawned, process_source);
    mfi_exit ended;
    if (mfi_process_reap(&spawned->process, &ended)) {
        process_exited(spawned, &ended);
    }
}

/* ---- End ---- */

/* SHUTDOWN has no answer: its attempt ends with all others. */
static void ignore(void *calls, mfi_slot *slot)
{
    (void)calls;
    (void)slot;
}

static void send_shutdown(mfi_calls *calls)
{
    mfi_slot *slot = mfi_slots_acquire(&calls->slots);
    double timestamp = (double)mfi_wall_ns() / (double)MFI_NS_PER_S;
    if (slot == NULL) {
        return; /* SIGTERM follows */
    }
    atomic_store_explicit(&slot->traffic, MFI_TRAFFIC_CONTROL, memory_order_relaxed);
    atomic_store_explicit(&slot->sent_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->deadline_ns, MFI_NEVER, memory_order_relaxed);
    if (mfi_encode_shutdown(&slot->out, slot->id, timestamp, NULL) != MF_OK) {
        mfi_slot_abandon(&calls->slots, slot);
        return;
    }
    slot->on_delivered = ignore;
    mfi_call_submit_async(calls, slot, NULL);
}

/* The next step of ending follows after half of the stop timeout. */
static void set_stop_timer(mfi_spawned *spawned)
{
    mfi_loop *loop = spawned->state->loop;
    int64_t half_ms = spawned->state->settings.stop_timeout_ms / 2;
    (void)mfi_timer_set(loop, &spawned->stop_timer,
                        mfi_deadline_after_ms(mfi_loop_now(loop), half_ms));
}

/* The exit cannot be watched, so the process is checked every 5 ms. */
static void look_for_exit(mfi_spawned *spawned)
{
    mfi_loop *loop = spawned->state->loop;
    (void)mfi_timer_set(loop, &spawned->stop_timer, mfi_loop_now(loop) + UNWATCHED_LOOK_NS);
    on_process(&spawned->process_source, 0); /* cancels the timer if the process has ended */
}

static void on_stop_timer(mfi_timer *timer)
{
    mfi_spawned *spawned = MFI_CONTAINER(timer, mfi_spawned, stop_timer);
    if (spawned->process_source.fd < 0) {
        look_for_exit(spawned);
        return;
    }
    spawned->stop_step++;
    if (spawned->stop_step == 1) {
        mfi_process_signal(&spawned->process, SIGTERM);
        set_stop_timer(spawned);
    } else {
        mfi_process_kill(&spawned->process);
    }
}

static void kill_process(void *self)
{
    mfi_spawned *spawned = self;
    mfi_process_kill(&spawned->process);
    if (spawned->process_source.fd < 0) {
        look_for_exit(spawned);
    }
}

static void end(void *self, bool by_message)
{
    mfi_spawned *spawned = self;
    spawned->stop_step = by_message ? 0 : 1;
    if (by_message) {
        send_shutdown(spawned->link->calls);
    } else {
        mfi_process_signal(&spawned->process, SIGTERM);
    }
    set_stop_timer(spawned);
}

static void close_process(void *self)
{
    mfi_spawned *spawned = self;
    mfi_timer_cancel(spawned->state->loop, &spawned->stop_timer);
    mfi_source_remove(spawned->state->loop, &spawned->process_source);
    read_rest(spawned);
    for (int i = 0; i < 2; i++) {
        mfi_source_remove(spawned->state->loop, &spawned->streams[i].source);
    }
    mfi_process_close(&spawned->process);
}

/* The end of the connection means nothing: the link waits for the process's exit. */
static void check(void *self, bool disconnected)
{
    (void)self;
    (void)disconnected;
}

const mfi_peer_ops mfi_spawned_ops = {.owns_process = true,
                                      .begin = begin,
                                      .end = end,
                                      .kill = kill_process,
                                      .close = close_process,
                                      .check = check};

void mfi_spawned_init(mfi_spawned *spawned, mfi_link *link, mfi_state *state)
{
    spawned->link = link;
    spawned->state = state;
    mfi_process_init(&spawned->process);
    mfi_timer_init(&spawned->stop_timer, on_stop_timer);
    mfi_source_init(&spawned->process_source, on_process);
    for (int i = 0; i < 2; i++) {
        mfi_stream *stream = &spawned->streams[i];
        stream->state = state;
        stream->is_stderr = i == 1;
        mfi_source_init(&stream->source, on_stream);
        mfi_lines_init(&stream->lines, MFI_OUTPUT_MAX_BYTES, on_line, stream);
    }
}

/* Spawn mode: the worker's process, from its spawn to its exit. It exists so that the link needs to
 * know nothing of processes: what happens to the process becomes an event of the link. */
#include "core/client/link/spawned.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "core/process/private.h"
#include "core/process/stopped.h"
#include "core/runtime/runtime.h"

/* Between two looks for the end of a helper that cannot be watched: at first, and at last. */
#define FIRST_LOOK_NS (MFI_NS_PER_MS / 16)
#define LAST_LOOK_NS (5 * MFI_NS_PER_MS)
/* What a helper may take to act on a kill, and after that to be killed itself. Their sum is what
 * parent.h promises beyond stop_timeout_ms. */
#define KILL_MS 2000
#define FORCE_MS 1000
/* From the end of a worker's connection until it counts as cut off: longer than the helper takes to
 * report an exit, so that an exit is never told as a lost connection. */
#define CUT_OFF_NS ((MFI_EXEC_CLEAR_MS + 500) * MFI_NS_PER_MS)

/* ---- Output ---- */

/* The descriptor of a stream that has ended is closed with the process. */
static void on_stream(mfi_source *source, uint32_t events)
{
    mfi_stream *stream = MFI_CONTAINER(source, mfi_stream, source);
    (void)events;
    if (!mfi_output_read(stream->output, stream->is_stderr)) {
        mfi_source_remove(stream->output->state->loop, source);
    }
}

/* ---- Start ---- */

static mf_status open_transport(mfi_spawned *spawned, mf_error *error)
{
    const mfi_parent_settings *settings = &spawned->state->settings;
    mfi_transport_options options = {.binds = true,
                                     .address = settings->bind_address,
                                     .port = settings->port,
                                     .admits = mfi_admission_admits,
                                     .admits_data = &spawned->admission};
    return mfi_calls_open_transport(spawned->link->calls, &options, error);
}

/* Spawns the worker: the protocol's environment variables, added to the user's environment. */
static mf_status spawn(mfi_spawned *spawned, mf_error *error)
{
    const mfi_parent_settings *settings = &spawned->state->settings;
    char port[64];
    mfi_start_environment trace;
    char worker[sizeof MFI_PRIVATE_WORKER + 96];
    const char *colon = strrchr(spawned->link->calls->transport->endpoint, ':');
    (void)mfi_str_format(port, sizeof port, MFI_PRIVATE_PORT "=%s", colon != NULL ? colon + 1 : "");
    (void)mfi_str_format(worker, sizeof worker, MFI_PRIVATE_WORKER "=%s", settings->worker);
    size_t count = 0;
    while (settings->env[count] != NULL) {
        count++;
    }
    const char **env = calloc(count + 6, sizeof *env);
    if (env == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the worker's environment");
    }
    count = 0;
    for (size_t i = 0; settings->env[i] != NULL; i++) {
        if (!mfi_private_is(settings->env[i])) {
            env[count++] = settings->env[i];
        }
    }
    env[count] = port;
    env[count + 1] = MFI_PRIVATE_MODE "=1";
    env[count + 2] = worker;
    (void)mfi_start_span_environment(spawned->link, (const char *const *)settings->env, &trace,
                                     &env[count + 3]);
    int segment = spawned->state->runtime->makes_segments
                      ? mfi_target_begin_segment(spawned->state->observed)
                      : -1;
    mfi_spawn_options options = {.segment_fd = segment > 0 ? segment : 0,
                                 .program = settings->program,
                                 .args = (const char *const *)settings->args,
                                 .env = env,
                                 .working_directory = settings->working_directory};
    mfi_process_reap_left();
    mf_status status = mfi_process_spawn(&spawned->process, &options, error);
    spawned->admission.root = spawned->process.helper_pid; /* nothing is accepted before */
    free(env);
    if (segment >= 0) {
        (void)close(segment);
    }
    if (status != MF_OK) { /* no process will end */
        mfi_target_end_segment(spawned->state->observed);
    }
    return status;
}

static mf_status watch(mfi_spawned *spawned, mf_error *error)
{
    const mfi_process *process = &spawned->process;
    mf_status status = mfi_source_add(spawned->state->loop, &spawned->process_source,
                                      process->status_fd, EPOLLIN, error);
    if (status == MF_OK && process->pidfd >= 0) {
        status = mfi_source_add(spawned->state->loop, &spawned->helper_source, process->pidfd,
                                EPOLLIN, error);
    }
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
    mfi_state_clear_tails(spawned->state);
    if (status == MF_OK) {
        status = spawn(spawned, error);
    }
    if (status != MF_OK) {
        return status;
    }
    spawned->reported = false;
    spawned->stop_step = 0;
    mfi_output_open(&spawned->link->calls->output, spawned->process.stdout_fd,
                    spawned->process.stderr_fd);
    status = watch(spawned, error);
    *ret_event = status == MF_OK ? MFI_LIFE_ON_PEER : MFI_LIFE_ON_ABORT;
    if (status != MF_OK) { /* the start fails when the process has ended */
        mfi_state_set_exit_text(spawned->state, error->message);
        spawned->link->failure = status;
    }
    return MF_OK;
}

/* The worker may answer before the helper has reported its start. Its pid was reported before. */
static void ready(void *self)
{
    mfi_spawned *spawned = self;
    (void)mfi_process_read(&spawned->process, NULL);
    mfi_spawned_report_start(spawned);
}

/* ---- Exit ---- */

/* The end is near, or cannot be watched: the process is looked at until it has ended. */
static void look_later(mfi_spawned *spawned)
{
    mfi_loop *loop = spawned->state->loop;
    (void)mfi_timer_set(loop, &spawned->look_timer, mfi_loop_now(loop) + spawned->look_wait_ns);
    spawned->look_wait_ns *= spawned->look_wait_ns < LAST_LOOK_NS ? 2 : 1;
}

static void look_for_exit(mfi_spawned *spawned)
{
    mfi_exit ended;
    if (mfi_process_reap(&spawned->process, &ended)) {
        mfi_spawned_exited(spawned, &ended);
    } else {
        look_later(spawned);
    }
}

static void on_look_timer(mfi_timer *timer)
{
    look_for_exit(MFI_CONTAINER(timer, mfi_spawned, look_timer));
}

/* A report of the helper. After its last one, or at the end of the pipe, the helper ends within an
 * instant. Only the program's waits tell when, so the pipe is watched no more. */
static void on_process(mfi_source *source, uint32_t events)
{
    mfi_spawned *spawned = MFI_CONTAINER(source, mfi_spawned, process_source);
    bool at_end = false;
    (void)events;
    mfi_process_stage stage = mfi_process_read(&spawned->process, &at_end);
    if (stage != MFI_STAGE_STARTING && stage != MFI_STAGE_FAILED) {
        mfi_spawned_report_start(spawned);
    }
    if (at_end || stage == MFI_STAGE_ENDED || stage == MFI_STAGE_FAILED) {
        mfi_source_remove(spawned->state->loop, source);
        look_for_exit(spawned);
    }
}

/* The helper has ended. The end of its pipe may tell the same, but not while a fork of the program
 * holds the other end. */
static void on_helper(mfi_source *source, uint32_t events)
{
    mfi_spawned *spawned = MFI_CONTAINER(source, mfi_spawned, helper_source);
    (void)events;
    mfi_source_remove(spawned->state->loop, source);
    mfi_source_remove(spawned->state->loop, &spawned->process_source);
    look_for_exit(spawned);
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

static void set_stop_timer(mfi_spawned *spawned, int64_t wait_ms)
{
    mfi_loop *loop = spawned->state->loop;
    (void)mfi_timer_set(loop, &spawned->stop_timer,
                        mfi_deadline_after_ms(mfi_loop_now(loop), wait_ms));
}

/* Each step of ending has its time, also the last ones: a helper may be stopped or stuck. */
typedef enum stop_step {
    STEP_MESSAGE,
    STEP_TERM,
    STEP_KILL,
    STEP_FORCE,
    STEP_GIVE_UP,
} stop_step;

/* The helper may have ended unseen, so there is one more look. */
static void give_up(mfi_spawned *spawned)
{
    mfi_exit ended;
    if (!mfi_process_reap(&spawned->process, &ended)) {
        ended = mfi_exit_given_up();
        mfi_source_remove(spawned->state->loop, &spawned->helper_source);
        mfi_runtime_leave_process(spawned->state->runtime, &spawned->process);
    }
    mfi_spawned_exited(spawned, &ended);
}

static void take_step(mfi_spawned *spawned, stop_step step)
{
    int64_t half_ms = spawned->state->settings.stop_timeout_ms / 2;
    spawned->stop_step = step;
    switch (step) {
    case STEP_MESSAGE:
        send_shutdown(spawned->link->calls);
        set_stop_timer(spawned, half_ms);
        break;
    case STEP_TERM:
        mfi_process_wake(&spawned->process);
        mfi_process_signal(&spawned->process, SIGTERM);
        set_stop_timer(spawned, half_ms);
        break;
    case STEP_KILL:
        mfi_process_kill(&spawned->process);
        set_stop_timer(spawned, KILL_MS);
        break;
    case STEP_FORCE:
        mfi_process_force(&spawned->process);
        set_stop_timer(spawned, FORCE_MS);
        break;
    case STEP_GIVE_UP:
        give_up(spawned);
        break;
    }
}

static void on_stop_timer(mfi_timer *timer)
{
    mfi_spawned *spawned = MFI_CONTAINER(timer, mfi_spawned, stop_timer);
    take_step(spawned, (stop_step)(spawned->stop_step + 1));
}

static void kill_process(void *self)
{
    mfi_spawned *spawned = self;
    take_step(spawned, STEP_KILL);
    if (spawned->process_source.fd < 0) { /* it could not be watched */
        look_later(spawned);
    }
}

static void end(void *self, bool by_message)
{
    take_step(self, by_message ? STEP_MESSAGE : STEP_TERM);
}

static void close_process(void *self)
{
    mfi_spawned *spawned = self;
    mfi_timer_cancel(spawned->state->loop, &spawned->stop_timer);
    mfi_timer_cancel(spawned->state->loop, &spawned->look_timer);
    spawned->look_wait_ns = FIRST_LOOK_NS;
    mfi_timer_cancel(spawned->state->loop, &spawned->cut_timer);
    mfi_source_remove(spawned->state->loop, &spawned->process_source);
    mfi_source_remove(spawned->state->loop, &spawned->helper_source);
    mfi_output_close(&spawned->link->calls->output);
    for (int i = 0; i < 2; i++) {
        mfi_source_remove(spawned->state->loop, &spawned->streams[i].source);
    }
    mfi_process_close(&spawned->process);
}

static void signal_process(void *self, int number)
{
    mfi_spawned *spawned = self;
    mfi_process_signal_worker(&spawned->process, number);
}

static bool is_stopped(void *self)
{
    const mfi_spawned *spawned = self;
    return mfi_process_is_stopped(spawned->process.pid);
}

/* A process that ends closes its connection first, and libzmq connects again after 100 ms. A worker
 * that does neither within the bound can be called no more. A helper that was stopped is continued,
 * so that it can report an exit. */
static void check(void *self, bool disconnected)
{
    mfi_spawned *spawned = self;
    mfi_loop *loop = spawned->state->loop;
    if (disconnected && spawned->process_source.fd >= 0) {
        mfi_process_wake(&spawned->process);
    }
    if (disconnected && spawned->link->phase == MFI_LIFE_RUNNING) {
        (void)mfi_timer_set(loop, &spawned->cut_timer, mfi_loop_now(loop) + CUT_OFF_NS);
    }
}

static void on_cut_timer(mfi_timer *timer)
{
    mfi_spawned *spawned = MFI_CONTAINER(timer, mfi_spawned, cut_timer);
    if (spawned->link->phase == MFI_LIFE_RUNNING && spawned->link->connections == 0) {
        mfi_link_cut_off(spawned->link);
    }
}

const mfi_peer_ops mfi_spawned_ops = {.owns_process = true,
                                      .begin = begin,
                                      .ready = ready,
                                      .end = end,
                                      .kill = kill_process,
                                      .signal = signal_process,
                                      .is_stopped = is_stopped,
                                      .refused = mfi_spawned_refused,
                                      .connected = mfi_spawned_connected,
                                      .close = close_process,
                                      .check = check};

void mfi_spawned_init(mfi_spawned *spawned, mfi_link *link, mfi_state *state)
{
    spawned->link = link;
    spawned->state = state;
    mfi_process_init(&spawned->process);
    mfi_timer_init(&spawned->stop_timer, on_stop_timer);
    mfi_timer_init(&spawned->look_timer, on_look_timer);
    spawned->look_wait_ns = FIRST_LOOK_NS;
    mfi_timer_init(&spawned->cut_timer, on_cut_timer);
    mfi_source_init(&spawned->process_source, on_process);
    mfi_source_init(&spawned->helper_source, on_helper);
    for (int i = 0; i < 2; i++) {
        mfi_stream *stream = &spawned->streams[i];
        stream->output = &link->calls->output;
        stream->is_stderr = i == 1;
        mfi_source_init(&stream->source, on_stream);
    }
}

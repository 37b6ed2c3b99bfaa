/* What the worker prints, and which call printed it.
 *
 * A line carries no id, so the calls that are unanswered when the line is read are its candidates.
 * A silent worker's pipes are read by the engine thread alone, some time after the line was
 * printed: its first lines may belong to a call that was answered before they were read. From then
 * on, until one second passes without a line, the thread that takes an answer empties the pipes
 * before the answered call ends. A line that is read later was then printed later.
 *
 * It exists so that pipes and messages lead to the same records. The pipes stand beside the calls,
 * not in the link, because the thread that takes an answer knows no link. */
#include "core/client/calls/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "core/observe/observe.h"

#define READ_BYTES 16384
/* Reads of one stream in one round. The rest waits for the next round, so that a worker that prints
 * much holds no thread. */
#define READS_PER_ROUND 16
#define SILENT_NS MFI_NS_PER_S
/* Lines that may wait for on_output. Beyond this, pipes are not read and messages are dropped. */
#define WAITING_MAX 1024
#define LOOKS_FOR_A_CALL                                                                           \
    3 /* a call may end between the look at the table and the copy of its ids */

typedef struct waiting_line {
    mfi_mpsc_node node; /* first member */
    bool is_stderr;
    size_t length;
    char text[];
} waiting_line;

/* ---- Which call ---- */

typedef struct open_calls {
    uint32_t count;
    mfi_slot *oldest; /* the one that was sent first */
    uint64_t state, sent_ns, started_ns;
} open_calls;

static void compare_open(mfi_slot *slot, uint64_t state, void *user_data)
{
    open_calls *open = user_data;
    uint64_t sent = atomic_load_explicit(&slot->sent_ns, memory_order_relaxed);
    uint64_t started = atomic_load_explicit(&slot->started_ns, memory_order_relaxed);
    if (atomic_load_explicit(&slot->traffic, memory_order_relaxed) != MFI_TRAFFIC_CALL ||
        sent == 0 || sent == MFI_NEVER) {
        return;
    }
    bool is_older = open->count == 0 || sent < open->sent_ns ||
                    (sent == open->sent_ns && started < open->started_ns);
    open->count++;
    if (is_older) {
        open->oldest = slot;
        open->state = state;
        open->sent_ns = sent;
        open->started_ns = started;
    }
}

/* False if the call has ended meanwhile. */
static bool copy_ids(const open_calls *open, mfi_origin *to)
{
    if (!mfi_slot_pin(open->oldest, open->state)) {
        return false;
    }
    const mf_context *context = &open->oldest->span->context;
    memcpy(to->correlation_id, context->correlation_id, sizeof to->correlation_id);
    memcpy(to->trace_id, context->trace_id, sizeof to->trace_id);
    mfi_slot_unpin(open->oldest);
    return true;
}

/* The call that the peer runs now. */
static void find_origin(const mfi_output *output, mfi_origin *to)
{
    uint32_t gone = atomic_load_explicit(&output->signs->given_up, memory_order_relaxed);
    bool in_order = mfi_signs_in_order(output->signs);
    open_calls open = {0};
    *to = (mfi_origin){.counts_open = true};
    for (int i = 0; i < LOOKS_FOR_A_CALL; i++) {
        open = (open_calls){0};
        mfi_slots_visit(output->slots, compare_open, &open);
        bool is_known = open.count > 0 && gone == 0 && (open.count == 1 || in_order);
        if (!is_known) {
            break;
        }
        if (copy_ids(&open, to)) {
            to->counts_open = false;
            to->is_likely = open.count > 1;
            return;
        }
    }
    to->open_calls = open.count + gone;
}

/* ---- To the log, and to the program ---- */

static bool keep_for_program(mfi_output *output, bool is_stderr, const char *text, size_t length)
{
    if (output->state->settings.on_output == NULL) {
        return true;
    }
    waiting_line *line = malloc(sizeof *line + length);
    if (line == NULL) {
        return false;
    }
    line->is_stderr = is_stderr;
    line->length = length;
    memcpy(line->text, text, length);
    atomic_fetch_add_explicit(&output->waiting, 1, memory_order_relaxed);
    mfi_mpsc_push(&output->queue, &line->node);
    (void)mfi_loop_post(output->state->loop, &output->task);
    return true;
}

static bool show(mfi_output *output, bool is_stderr, const char *text, size_t length,
                 const mfi_origin *origin)
{
    mfi_state_keep_line(output->state, is_stderr, text, length);
    mfi_observe_output_line(output->state->observed,
                            &(mfi_output_event){.is_stderr = is_stderr,
                                                .text = text,
                                                .length = length,
                                                .correlation_id = origin->correlation_id,
                                                .trace_id = origin->trace_id,
                                                .is_likely = origin->is_likely,
                                                .counts_open = origin->counts_open,
                                                .open_calls = origin->open_calls});
    return keep_for_program(output, is_stderr, text, length);
}

static void run_callbacks(mfi_task *task)
{
    mfi_output *output = MFI_CONTAINER(task, mfi_output, task);
    const mfi_parent_settings *settings = &output->state->settings;
    mfi_turn turn = mfi_turn_begin(output->state->loop);
    for (mfi_mpsc_node *node = NULL; (node = mfi_mpsc_pop(&output->queue)) != NULL;) {
        waiting_line *line = (waiting_line *)(void *)node;
        atomic_fetch_sub_explicit(&output->waiting, 1, memory_order_relaxed);
        settings->on_output(line->text, line->length, line->is_stderr, settings->user_data);
        free(line);
        if (mfi_turn_is_over(&turn)) { /* a worker may print without end */
            (void)mfi_loop_post(output->state->loop, task);
            return;
        }
    }
}

static bool has_room(const mfi_output *output)
{
    return atomic_load_explicit(&output->waiting, memory_order_relaxed) < WAITING_MAX;
}

/* ---- Pipes ---- */

static void on_line(void *self, const char *text, size_t length)
{
    const mfi_output_stream *stream = self;
    if (length > 0) {
        stream->output->printed = true;
        (void)show(stream->output, stream->is_stderr, text, length, &stream->origin);
    }
}

/* True if the pipe is empty. */
static bool read_stream(mfi_output_stream *stream, bool all)
{
    char bytes[READ_BYTES];
    mfi_output *output = stream->output;
    for (int i = 0; i < READS_PER_ROUND && stream->fd >= 0; i++) {
        if (!all && !has_room(output)) {
            return false;
        }
        ssize_t got = read(stream->fd, bytes, sizeof bytes);
        if (got > 0) {
            find_origin(output, &stream->origin);
            stream->origin.is_likely = stream->origin.is_likely || !output->was_emptied;
            mfi_lines_feed(&stream->lines, bytes, (size_t)got);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            stream->fd = -1;
        } else if (errno == EAGAIN) {
            return true;
        }
    }
    return stream->fd < 0;
}

static bool read_both(mfi_output *output, bool all)
{
    bool first = read_stream(&output->streams[0], all);
    bool second = read_stream(&output->streams[1], all);
    return first && second;
}

/* Mutex held. all: also beyond what may wait for on_output. */
static void read_round(mfi_output *output, bool all)
{
    output->printed = false;
    bool is_empty = read_both(output, all);
    if (output->printed &&
        !atomic_exchange_explicit(&output->talkative, true, memory_order_seq_cst)) {
        /* An answer that was taken before the exchange left its lines in the pipes. */
        is_empty = read_both(output, all);
    }
    output->was_emptied =
        is_empty && atomic_load_explicit(&output->talkative, memory_order_relaxed);
    output->printed_ns = output->printed ? mfi_monotonic_ns() : output->printed_ns;
}

void mfi_output_empty(mfi_output *output)
{
    mfi_mutex_lock(&output->mutex);
    read_round(output, false);
    if (output->was_emptied && !output->printed &&
        mfi_monotonic_ns() > output->printed_ns + SILENT_NS) {
        output->was_emptied = false;
        atomic_store_explicit(&output->talkative, false, memory_order_relaxed);
    }
    mfi_mutex_unlock(&output->mutex);
}

bool mfi_output_read(mfi_output *output, bool is_stderr)
{
    mfi_mutex_lock(&output->mutex);
    read_round(output, false);
    bool is_open = output->streams[is_stderr ? 1 : 0].fd >= 0;
    mfi_mutex_unlock(&output->mutex);
    return is_open;
}

static void read_rest(mfi_output *output)
{
    read_round(output, true); /* a pipe holds 64 KiB, and no process writes to it any more */
    for (int i = 0; i < 2; i++) {
        mfi_lines_end(&output->streams[i].lines);
    }
}

void mfi_output_exited(mfi_output *output)
{
    mfi_mutex_lock(&output->mutex);
    read_rest(output);
    mfi_mutex_unlock(&output->mutex);
}

void mfi_output_close(mfi_output *output)
{
    mfi_mutex_lock(&output->mutex);
    read_rest(output);
    output->streams[0].fd = output->streams[1].fd = -1;
    output->was_emptied = false;
    atomic_store_explicit(&output->talkative, false, memory_order_relaxed);
    mfi_mutex_unlock(&output->mutex);
}

void mfi_output_open(mfi_output *output, int stdout_fd, int stderr_fd)
{
    mfi_mutex_lock(&output->mutex);
    output->streams[0].fd = stdout_fd;
    output->streams[1].fd = stderr_fd;
    mfi_mutex_unlock(&output->mutex);
}

/* ---- Messages ---- */

/* A worker that knows the call says so. Else a message is received before the answer of its call,
 * so the rule for pipes that were emptied holds. A service's messages go to all of its parents: the
 * call may be that of another one. */
static void find_message_origin(const mfi_output *output, const mfi_envelope *envelope,
                                mfi_origin *to)
{
    mfi_metadata metadata;
    mfi_metadata_read(envelope->metadata, &metadata);
    *to = (mfi_origin){0};
    if (!mfi_state_connects(output->state)) {
        find_origin(output, to);
    }
    mfi_text id = metadata.correlation_id;
    if (id.data != NULL && (id.size != strlen(to->correlation_id) ||
                            memcmp(id.data, to->correlation_id, id.size) != 0)) {
        *to = (mfi_origin){0};
        (void)mfi_str_copy_n(to->correlation_id, sizeof to->correlation_id, id.data, id.size);
    } else if (id.data != NULL) {
        to->is_likely = false;
    }
}

typedef struct output_message {
    mfi_output *output;
    mfi_origin origin;
    bool is_stderr;
    bool is_kept; /* so far */
} output_message;

static void on_message_line(void *self, const char *text, size_t length)
{
    output_message *message = self;
    if (length > 0) {
        message->is_kept =
            has_room(message->output) &&
            show(message->output, message->is_stderr, text, length, &message->origin) &&
            message->is_kept;
    }
}

/* A message may have any number of lines of any length, so it is cut as the pipes are. */
bool mfi_output_message(mfi_output *output, const mfi_envelope *envelope)
{
    mfi_lines lines;
    output_message message = {.output = output,
                              .is_stderr = envelope->type == MFI_MESSAGE_STDERR,
                              .is_kept = has_room(output)};
    if (!message.is_kept) {
        return false;
    }
    find_message_origin(output, envelope, &message.origin);
    mfi_lines_init(&lines, MFI_OUTPUT_MAX_BYTES, on_message_line, &message);
    mfi_lines_feed(&lines, envelope->output.data, envelope->output.size);
    mfi_lines_end(&lines);
    return message.is_kept;
}

/* ---- Life ---- */

bool mfi_output_is_settled(mfi_output *output)
{
    return mfi_mpsc_empty(&output->queue);
}

void mfi_output_init(mfi_output *output, mfi_state *state, mfi_slots *slots, const mfi_signs *signs)
{
    output->state = state;
    output->slots = slots;
    output->signs = signs;
    mfi_mutex_init(&output->mutex);
    mfi_mpsc_init(&output->queue);
    mfi_task_init(&output->task, run_callbacks);
    for (int i = 0; i < 2; i++) {
        mfi_output_stream *stream = &output->streams[i];
        stream->output = output;
        stream->is_stderr = i == 1;
        stream->fd = -1;
        mfi_lines_init(&stream->lines, MFI_OUTPUT_MAX_BYTES, on_line, stream);
    }
}

void mfi_output_fini(mfi_output *output)
{
    if (output->state != NULL) {
        mfi_mutex_fini(&output->mutex);
    }
}

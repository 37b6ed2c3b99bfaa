/* What the worker prints: read from its pipes or received in messages, logged with the ids of the
 * call that printed it, and given to the program. */
#ifndef MFI_CLIENT_CALLS_OUTPUT_H
#define MFI_CLIENT_CALLS_OUTPUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lines.h"
#include "base/mpsc.h"
#include "base/mutex.h"
#include "core/client/calls/signs.h"
#include "core/client/calls/slots.h"
#include "core/client/state.h"
#include "core/engine/loop.h"
#include "core/wire/envelope.h"

typedef struct mfi_output mfi_output;

/* The call that a line belongs to, as far as it is known. */
typedef struct mfi_origin {
    char correlation_id[MF_CORRELATION_ID_MAX]; /* "": not known */
    char trace_id[MF_TRACE_ID_MAX];
    bool is_likely;      /* the call may be another one */
    bool counts_open;    /* no call is known, because of open_calls */
    uint32_t open_calls; /* number of calls that may have printed it */
} mfi_origin;

/* One pipe of the process. */
typedef struct mfi_output_stream {
    mfi_output *output;
    mfi_lines lines;
    bool is_stderr;
    int fd;            /* -1: there is no process, or its stream has ended */
    mfi_origin origin; /* of the bytes that were read last */
} mfi_output_stream;

struct mfi_output {
    mfi_state *state;
    mfi_slots *slots;
    const mfi_signs *signs;
    /* From a line until one second without one. Meanwhile the thread that takes an answer empties
     * the pipes before the answered call ends, so that no line of that call is left. */
    _Atomic(bool) talkative;

    /* Lines on their way to the program's on_output. */
    _Atomic(uint32_t) waiting;
    mfi_mpsc queue;
    mfi_task task;

    mfi_mutex mutex;
    mfi_output_stream streams[2]; /* stdout, stderr; guarded by mutex, as is the rest */
    bool was_emptied;             /* while talkative: no answered call has left a line */
    bool printed;                 /* the present round has shown a line */
    uint64_t printed_ns;          /* when a line was last shown */
};

/* All are borrowed. */
void mfi_output_init(mfi_output *output, mfi_state *state, mfi_slots *slots,
                     const mfi_signs *signs);
void mfi_output_fini(mfi_output *output);

/* ---- Pipes: engine thread ---- */

/* A process was started. Its descriptors are borrowed until mfi_output_close(). */
void mfi_output_open(mfi_output *output, int stdout_fd, int stderr_fd);
/* Reads what waits in both pipes, a bounded amount. False if this stream has ended. */
bool mfi_output_read(mfi_output *output, bool is_stderr);
/* The process has ended: reads the rest, before its calls end. */
void mfi_output_exited(mfi_output *output);
/* Reads the rest. The descriptors are not used any more. */
void mfi_output_close(mfi_output *output);

/* ---- Any thread ---- */

/* For mfi_output_before_answer(). */
void mfi_output_empty(mfi_output *output);
/* An answer was received, and its call has not ended yet. */
static inline void mfi_output_before_answer(mfi_output *output)
{
    if (atomic_load_explicit(&output->talkative, memory_order_relaxed)) {
        mfi_output_empty(output);
    }
}
/* A message with text that the worker printed. False if some of the text was dropped, because too
 * much waits for on_output. */
bool mfi_output_message(mfi_output *output, const mfi_envelope *envelope);
/* Nothing is on its way to on_output. */
bool mfi_output_is_settled(mfi_output *output);

#endif

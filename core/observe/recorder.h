/* The recorder: the calls that are open, and the last ones that ended, with their phases and ids.
 * Never arguments or results.
 *
 * One table holds both: a call takes the entry of a call that ended long ago, and its entry stays
 * when it ends. Threads take entries from lanes of their own, so that no two callers write one
 * cache line. An entry is written between two changes of its version; a reader takes whole entries
 * and makes no caller wait. Failures and the slowest calls are copied to places of their own, so
 * that a flood of other calls does not overwrite them. */
#ifndef MFI_OBSERVE_RECORDER_H
#define MFI_OBSERVE_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/probe.h>

#include "core/observe/span.h"

typedef struct mfi_recorder mfi_recorder;

#define MFI_RECORDER_BYTES_DEFAULT ((size_t)1024 * 1024)
#define MFI_RECORDER_BYTES_LEAST ((size_t)64 * 1024)
#define MFI_RECORDER_BYTES_MOST ((size_t)64 * 1024 * 1024)
#define MFI_RECORDER_SECONDS_DEFAULT 600

/* All memory is taken here. bytes is within the bounds above. Ended calls are shown for keep_ns. */
mf_status mfi_recorder_create(mfi_recorder **ret_recorder, size_t bytes, uint64_t keep_ns,
                              mf_error *error);
/* NULL is a no-op. */
void mfi_recorder_destroy(mfi_recorder *recorder);

/* The names of a function as an entry holds them: made once, copied by each call. */
#define MFI_RECORDED_NAME_WORDS 23
typedef struct mfi_recorded_names {
    struct mfi_recorder_group *group; /* of the slowest calls; NULL: the last one */
    uint64_t words[MFI_RECORDED_NAME_WORDS];
    uint32_t lengths; /* of target, worker and function, 8 bits each */
    uint32_t count;   /* of words in use */
} mfi_recorded_names;

/* target or worker may be NULL. Texts are cut: at 55, 63 and 63 bytes. recorder NULL: the calls
 * have no group of their own. */
void mfi_recorder_name(mfi_recorder *recorder, mfi_recorded_names *ret_names, const char *target,
                       const char *worker, const char *function);

/* The caller's side. Each keeps the call's place in span->recorded. `names` belongs to the function
 * as called. */
void mfi_recorder_client_begin(mfi_recorder *recorder, mfi_client_span *span,
                               const mfi_recorded_names *names);
/* Any thread, also after the end of the attempt: its message was sent. */
void mfi_recorder_client_sent(const mfi_recorded *recorded);
/* The present attempt failed; the next one follows at retry_ns (monotonic). */
void mfi_recorder_client_waits(mfi_client_span *span, uint64_t retry_ns);
/* The next attempt begins. */
void mfi_recorder_client_again(mfi_client_span *span);
void mfi_recorder_client_end(mfi_recorder *recorder, const mfi_client_span *span,
                             const mfi_recorded_names *names, const mf_error *error);

/* The worker's side: one entry for each handler that runs, and each answer that is deferred. */
void mfi_recorder_server_begin(mfi_recorder *recorder, mfi_server_span *span,
                               const mfi_recorded_names *names);
/* The handler returned, and the answer follows. */
void mfi_recorder_server_deferred(const mfi_server_span *span);
void mfi_recorder_server_end(mfi_recorder *recorder, const mfi_server_span *span,
                             const mfi_recorded_names *names, const mf_error *error);

/* Shows the calls of a query; see mf_probe.visit_calls. False: no memory. */
bool mfi_recorder_visit(mfi_recorder *recorder, const mf_call_query *query, uint64_t now_ns,
                        mf_call_visit_fn visit, void *user_data, mf_call_counts *ret_counts);

#endif

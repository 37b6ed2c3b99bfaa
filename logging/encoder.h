/* Records as lines of text. */
#ifndef MFI_LOGGING_ENCODER_H
#define MFI_LOGGING_ENCODER_H

#include <limits.h>

#include "base/buf.h"
#include "logging/record.h"

#define MFI_LINE_MAX_BYTES ((size_t)8192)    /* of a line; texts are cut until the line fits */
#define MFI_LINE_MAX_PIPE ((size_t)PIPE_BUF) /* with its newline: a write that is not split */

/* What the lines of one thread repeat. */
typedef struct mfi_line_head {
    mfi_buf constant;      /* JSON of the fields that every line repeats: service to "tid": */
    bool cut;              /* a text of these was cut */
    uint64_t stamp_second; /* the second whose text `stamp` holds: "2026-11-24T04:00:00" */
    char stamp[24];
} mfi_line_head;

/* Writes head->constant. False without memory. */
bool mfi_encoder_constant(mfi_line_head *head, const char *service, const char *instance,
                          const char *role);
/* Append one record as a line of at most `max` bytes, without a newline. max is at least 2048 and
 * at most MFI_LINE_MAX_BYTES. */
void mfi_encoder_json(mfi_buf *to, mfi_line_head *head, const mfi_record *record, size_t max);
void mfi_encoder_human(mfi_buf *to, const mfi_record *record, size_t max);

#endif

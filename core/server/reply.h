/* The answer to one call, while the handler makes it. */
#ifndef MFI_SERVER_REPLY_H
#define MFI_SERVER_REPLY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/child.h>

#include "core/server/load.h"
#include "core/server/message.h"

struct mfi_deferrals;

/* Pairs for an answer's metadata. */
typedef struct mfi_reply_pairs mfi_reply_pairs;

/* Setting an answer changes nothing outside of this struct. */
struct mf_reply {
    mfi_channel *channel;            /* the answer is sent through it */
    struct mfi_deferrals *deferrals; /* takes the answer over if it is deferred */
    mfi_server_span *span;
    mfi_text id;
    mfi_out *out; /* the answer so far: a response without its metadata */
    mfi_limits limits;
    double received;      /* wall clock, seconds */
    uint64_t deadline_ns; /* of the caller */
    bool has_result;
    bool has_error;
    mfi_buf error_text;
    mfi_reply_pairs *pairs; /* NULL: none */
    uint64_t deferred;      /* number of the deferred answer that took over; 0: none */
    mfi_load *load;         /* NULL: the answer carries none */
    mfi_handler_mark *mark; /* of the thread whose handler ends with the answer; or NULL */
    bool has_pushback;      /* an error answer carries retry_after_ms */
    int64_t retry_after_ms;
};

/* False without memory: the reply can then only be finished, and the answer is lost. The reply can
 * be deferred only after its `deferrals` is set. */
bool mfi_reply_init(mf_reply *reply, mfi_channel *channel, const mfi_route *route, mfi_text id,
                    mfi_server_span *span, uint64_t now_ns);
void mfi_reply_fini(mf_reply *reply);
void mfi_reply_verror(mf_reply *reply, const char *type, const char *format, va_list args)
    MF_PRINTF(3, 0);
/* Completes and queues the answer, ends the span, and frees the reply's memory. */
void mfi_reply_finish(mf_reply *reply, mf_status status);
/* Replaces the content of the buffer by an error answer. If that is too large for a message, its
 * text is shortened and the handler's metadata removed, because a caller must not wait for its
 * timeout. */
bool mfi_reply_encode_error(mfi_buf *to, mfi_text id, mfi_text text, double timestamp,
                            const mfi_reply_times *times);

#endif

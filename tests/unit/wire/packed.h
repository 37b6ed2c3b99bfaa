/* What msgpack-c writes for each of our messages, field by field: the judge of our encoders. */
#ifndef MF_TEST_PACKED_H
#define MF_TEST_PACKED_H

#include <msgpack.h>

#include "core/wire/envelope.h"

/* Everything that one of the encoders may be given. */
typedef enum packed_kind {
    CALL,
    RESPONSE,
    FAILURE,
    HEARTBEAT,
    ANSWER,
    OUTPUT,
    SHUTDOWN,
    KINDS
} packed_kind;

typedef struct packed_message {
    packed_kind kind;
    mfi_call_fields call; /* its id and timestamp are those of all kinds */
    mfi_text text;
    mf_value result;
    mfi_reply_times times;
    mfi_heartbeat_answer answer;
    bool is_stderr;
} packed_message;

void packed_write(msgpack_packer *to, const packed_message *of);

#endif

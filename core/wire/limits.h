/* Every cap on what goes over the wire, in one place. */
#ifndef MFI_WIRE_LIMITS_H
#define MFI_WIRE_LIMITS_H

#include <multifrost/value.h>

/* Default for one whole message, both ways (options may lower it); ZMQ_MAXMSGSIZE is the
 * backstop behind the check. */
#define MFI_MESSAGE_MAX_BYTES ((size_t)64 * 1024 * 1024)
/* The least that an option may lower it to: an error answer with a short text has to fit, whatever
 * its id. */
#define MFI_MESSAGE_LEAST_BYTES ((size_t)1024)
/* One str or bin: 10 MB of the protocol. */
#define MFI_STRING_MAX_BYTES ((size_t)10485760)
/* Items of one array, pairs of one map. */
#define MFI_CONTAINER_MAX_ITEMS 100000u
/* The most that an option may raise it to. */
#define MFI_ITEMS_MOST ((size_t)16 * 1024 * 1024)
/* Containers within containers, the message's own map included. */
#define MFI_DEPTH_MAX MF_VALUE_DEPTH_MAX
/* All metadata of one message that we make. */
#define MFI_METADATA_MAX_BYTES ((size_t)4096)
/* Names: function, namespace, client name, service id. */
#define MFI_NAME_MAX_BYTES ((size_t)256)
/* A message id that we echo. Ours have 36. */
#define MFI_ID_MAX_BYTES ((size_t)128)
/* The text of an error answer, and one line of output. */
#define MFI_ERROR_TEXT_MAX_BYTES ((size_t)16384)
/* The same where the whole would be too large for a message. */
#define MFI_ERROR_TEXT_SHORT_BYTES ((size_t)256)
#define MFI_OUTPUT_MAX_BYTES ((size_t)8192)

/* What the options may set for the two caps above: string_bytes from 1 to the largest message,
 * items from 1 to this. */
#define MFI_CONTAINER_MOST_ITEMS 16777216u

/* Lower ones would refuse what every message has: its own pairs and metadata, names, ids. */
#define MFI_ITEMS_LEAST ((size_t)16)
#define MFI_STRING_LEAST MFI_NAME_MAX_BYTES

/* What a parent or child may set for itself. NULL stands for the defaults wherever one is taken. */
typedef struct mfi_limits {
    size_t string_bytes; /* max_string_bytes: of one str, bin or ext */
    uint32_t items;      /* max_items: of one array; pairs of one map */
} mfi_limits;
extern const mfi_limits mfi_limits_default;

/* The words for a limit that was met, the same for what is sent and what came: path of the value,
 * its size, the limit by its option's name. All return MF_ERR_LIMIT. */
mf_status mfi_fail_string_bytes(const mfi_limits *limits, const char *path, mf_type type,
                                uint64_t size, mf_error *error);
mf_status mfi_fail_items(const mfi_limits *limits, const char *path, mf_type type, uint64_t count,
                         mf_error *error);
mf_status mfi_fail_depth(const char *path, mf_error *error);

/* A size or count of an option: zero takes the preset; MF_ERR_INVALID_ARGUMENT names the option
 * that is out of range. */
mf_status mfi_limit_pick(const char *name, int64_t given, size_t preset, size_t least, size_t most,
                         size_t *ret_size, mf_error *error);
/* The limits from their two options. */
mf_status mfi_limits_pick(mfi_limits *ret_limits, int64_t max_string_bytes, int64_t max_items,
                          mf_error *error);

#endif

/* Every cap on the messages, in one place. */
#ifndef MFI_WIRE_LIMITS_H
#define MFI_WIRE_LIMITS_H

#include <multifrost/value.h>

/* Bytes of one whole message, in both directions; the default, which an option may lower.
 * ZMQ_MAXMSGSIZE is a second check with libzmq. */
#define MFI_MESSAGE_MAX_BYTES ((size_t)64 * 1024 * 1024)
/* The lowest value of that option, because an error answer with a short text has to fit, with any
 * id. */
#define MFI_MESSAGE_LEAST_BYTES ((size_t)1024)
/* Bytes of one str or bin; the protocol's 10 MiB. */
#define MFI_STRING_MAX_BYTES ((size_t)10485760)
/* Items of one array or pairs of one map; the protocol's number. */
#define MFI_CONTAINER_MAX_ITEMS 100000u
/* The highest value of the option for items. */
#define MFI_ITEMS_MOST ((size_t)16 * 1024 * 1024)
/* Levels of containers, the message's own map included; as public. */
#define MFI_DEPTH_MAX MF_VALUE_DEPTH_MAX
/* Bytes of all metadata in one message that the library makes. */
#define MFI_METADATA_MAX_BYTES ((size_t)4096)
/* Names: function, namespace, client name, service id. */
#define MFI_NAME_MAX_BYTES ((size_t)256)
/* Bytes of a message id that is repeated in an answer. The library's ids have 36. */
#define MFI_ID_MAX_BYTES ((size_t)128)
/* Bytes of an error answer's text. */
#define MFI_ERROR_TEXT_MAX_BYTES ((size_t)16384)
/* The same where a longer text would not fit the message. */
#define MFI_ERROR_TEXT_SHORT_BYTES ((size_t)256)
#define MFI_OUTPUT_MAX_BYTES ((size_t)8192)

/* The highest value that the options may set for the items of one container. For string_bytes that
 * is the largest message. */
#define MFI_CONTAINER_MOST_ITEMS 16777216u

/* The lowest values, because every message has pairs, metadata, names and ids of its own. */
#define MFI_ITEMS_LEAST ((size_t)16)
#define MFI_STRING_LEAST MFI_NAME_MAX_BYTES

/* The limits of one parent or child. NULL stands for the defaults wherever limits are passed. */
typedef struct mfi_limits {
    size_t string_bytes; /* max_string_bytes: of one str, bin or ext */
    uint32_t items;      /* max_items: of one array; pairs of one map */
} mfi_limits;
extern const mfi_limits mfi_limits_default;

/* Errors about a limit, with the same words for sending and receiving: path of the value, its size,
 * and the option's name. All return MF_ERR_LIMIT. */
mf_status mfi_limits_fail_string_bytes(const mfi_limits *limits, const char *path, mf_type type,
                                       uint64_t size, mf_error *error);
mf_status mfi_limits_fail_items(const mfi_limits *limits, const char *path, mf_type type,
                                uint64_t count, mf_error *error);
mf_status mfi_limits_fail_depth(const char *path, mf_error *error);

/* Picks a size or count from an option: 0 gives the preset. MF_ERR_INVALID_ARGUMENT names an option
 * that is out of range. */
mf_status mfi_limit_pick(const char *name, int64_t given, size_t preset, size_t least, size_t most,
                         size_t *ret_size, mf_error *error);
/* Picks the limits from their two options. */
mf_status mfi_limits_pick(mfi_limits *ret_limits, int64_t max_string_bytes, int64_t max_items,
                          mf_error *error);

#endif

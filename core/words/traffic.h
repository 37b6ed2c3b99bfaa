/* The types of messages, and their directions, as the metrics count them. */
#ifndef MFI_WORDS_TRAFFIC_H
#define MFI_WORDS_TRAFFIC_H

#include "core/words/words.h"

#define MFI_TRAFFIC_TYPES(X)                                                                       \
    X(MFI_TRAFFIC_CALL, "call")                                                                    \
    X(MFI_TRAFFIC_RESPONSE, "response")                                                            \
    X(MFI_TRAFFIC_ERROR, "error")                                                                  \
    X(MFI_TRAFFIC_HEARTBEAT, "heartbeat")                                                          \
    X(MFI_TRAFFIC_OUTPUT, "output")                                                                \
    X(MFI_TRAFFIC_CONTROL, "control")                                                              \
    X(MFI_TRAFFIC_OTHER, "other")

typedef enum mfi_traffic { MFI_TRAFFIC_TYPES(MFI_WORD_VALUE) MFI_TRAFFIC_COUNT } mfi_traffic;

static inline const char *mfi_traffic_word(mfi_traffic type)
{
    static const char *const words[] = {MFI_TRAFFIC_TYPES(MFI_WORD_TEXT)};
    return words[type];
}

#define MFI_DIRECTIONS(X)                                                                          \
    X(MFI_DIRECTION_RECEIVED, "received")                                                          \
    X(MFI_DIRECTION_SENT, "sent")

typedef enum mfi_direction { MFI_DIRECTIONS(MFI_WORD_VALUE) MFI_DIRECTION_COUNT } mfi_direction;

static inline const char *mfi_direction_word(mfi_direction direction)
{
    static const char *const words[] = {MFI_DIRECTIONS(MFI_WORD_TEXT)};
    return words[direction];
}

#endif

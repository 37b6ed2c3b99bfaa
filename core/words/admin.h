/* The commands that an admin socket takes, and the words in them. */
#ifndef MFI_WORDS_ADMIN_H
#define MFI_WORDS_ADMIN_H

#include "core/words/words.h"

/* The last two are no commands: a line that names none, and a visitor that may not ask. */
#define MFI_ADMIN_COMMANDS(X)                                                                      \
    X(MFI_ADMIN_LOG_LEVEL, "log_level")                                                            \
    X(MFI_ADMIN_CIRCUIT, "circuit")                                                                \
    X(MFI_ADMIN_DRAIN, "drain")                                                                    \
    X(MFI_ADMIN_RESTART, "restart")                                                                \
    X(MFI_ADMIN_FAULT, "fault")                                                                    \
    X(MFI_ADMIN_STATUS, "status")                                                                  \
    X(MFI_ADMIN_HELP, "help")                                                                      \
    X(MFI_ADMIN_UNKNOWN, "unknown")                                                                \
    X(MFI_ADMIN_CONNECT, "connect")

typedef enum mfi_admin_command {
    MFI_ADMIN_COMMANDS(MFI_WORD_VALUE) MFI_ADMIN_COMMAND_COUNT
} mfi_admin_command;

static inline const char *mfi_admin_command_word(mfi_admin_command command)
{
    static const char *const words[] = {MFI_ADMIN_COMMANDS(MFI_WORD_TEXT)};
    return words[command < MFI_ADMIN_COMMAND_COUNT ? command : MFI_ADMIN_UNKNOWN];
}

#define MFI_ADMIN_RESULTS(X)                                                                       \
    X(MFI_ADMIN_OK, "ok")                                                                          \
    X(MFI_ADMIN_ERROR, "error")

typedef enum mfi_admin_result {
    MFI_ADMIN_RESULTS(MFI_WORD_VALUE) MFI_ADMIN_RESULT_COUNT
} mfi_admin_result;

static inline const char *mfi_admin_result_word(mfi_admin_result result)
{
    static const char *const words[] = {MFI_ADMIN_RESULTS(MFI_WORD_TEXT)};
    return words[result];
}

/* What an operator makes of a circuit. */
#define MFI_CIRCUIT_ORDERS(X)                                                                      \
    X(MFI_ORDER_FORCE_OPEN, "force_open")                                                          \
    X(MFI_ORDER_FORCE_CLOSED, "force_closed")                                                      \
    X(MFI_ORDER_RESET, "reset")                                                                    \
    X(MFI_ORDER_AUTO, "auto")

typedef enum mfi_circuit_order {
    MFI_CIRCUIT_ORDERS(MFI_WORD_VALUE) MFI_ORDER_COUNT
} mfi_circuit_order;

static inline const char *mfi_circuit_order_word(mfi_circuit_order order)
{
    static const char *const words[] = {MFI_CIRCUIT_ORDERS(MFI_WORD_TEXT)};
    return words[order];
}

/* What an injected fault does to a call. */
#define MFI_FAULT_KINDS(X)                                                                         \
    X(MFI_FAULT_DELAY, "delay")                                                                    \
    X(MFI_FAULT_DROP, "drop")                                                                      \
    X(MFI_FAULT_ERROR, "error")                                                                    \
    X(MFI_FAULT_CRASH, "crash")                                                                    \
    X(MFI_FAULT_FREEZE, "freeze")

typedef enum mfi_fault_kind { MFI_FAULT_KINDS(MFI_WORD_VALUE) MFI_FAULT_COUNT } mfi_fault_kind;

static inline const char *mfi_fault_word(mfi_fault_kind kind)
{
    static const char *const words[] = {MFI_FAULT_KINDS(MFI_WORD_TEXT)};
    return words[kind];
}

#endif

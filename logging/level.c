/* Reads and writes the words of the levels, and picks the level with which a logger begins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "logging/logger.h"

static const char *const words[] = {"", "trace", "debug", "info", "warn", "error", "fatal", "off"};

const char *mfi_level_word(mf_log_level level)
{
    return words[level];
}

static bool is_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    return strlen(text) == length && mfi_str_same(text, word, length);
}

mf_status mf_log_parse_level(const char *text, mf_log_level *ret_level, mf_error *error)
{
    if (text == NULL || ret_level == NULL) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "text and ret_level must not be NULL");
    }
    if (is_word(text, "warning")) {
        *ret_level = MF_LOG_WARN;
        return MF_OK;
    }
    for (int level = MF_LOG_TRACE; level <= MF_LOG_OFF; level++) {
        if (is_word(text, words[level])) {
            *ret_level = (mf_log_level)level;
            return MF_OK;
        }
    }
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                    "'%.32s' is no log level: use trace, debug, info, warn, error, fatal or off",
                    text);
}

mf_status mfi_level_pick(mf_log_level given, mf_log_level *ret_level, mf_error *error)
{
    mf_error reason;
    if (given < MF_LOG_DEFAULT || given > MF_LOG_OFF) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "log level %d does not exist", (int)given);
    }
    *ret_level = given != MF_LOG_DEFAULT ? given : MF_LOG_INFO;
    const char *text = getenv("COMLINK_LOG_LEVEL"); /* NOLINT: read once, at creation */
    if (given != MF_LOG_DEFAULT || text == NULL || text[0] == '\0') {
        return MF_OK;
    }
    mf_status status = mf_log_parse_level(text, ret_level, &reason);
    return status == MF_OK ? MF_OK
                           : mfi_fail(error, status, "COMLINK_LOG_LEVEL: %s", reason.message);
}

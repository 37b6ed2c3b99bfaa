/* Adds the sink that COMLINK_LOG_SINK names, so that a person sees the log of a program whose code
 * adds no sink. */
#include "logging/environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"

#define VARIABLE "COMLINK_LOG_SINK"

static bool is_path(const char *text)
{
    return text[0] == '/' || strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0;
}

mf_status mfi_log_add_from_environment(mf_logger *logger, mf_error *error)
{
    mf_error reason;
    mf_status status = MF_OK;
    /* A program with the rights of another user writes no file that its caller chose. */
    const char *text = secure_getenv(VARIABLE); /* NOLINT: read once, at creation */
    if (text == NULL || text[0] == '\0') {
        return MF_OK;
    }
    if (strcmp(text, "stderr") == 0) {
        status = mf_log_add_fd(logger, STDERR_FILENO, MF_LOG_JSON, &reason);
    } else if (strcmp(text, "stdout") == 0) {
        status = mf_log_add_fd(logger, STDOUT_FILENO, MF_LOG_JSON, &reason);
    } else if (is_path(text)) {
        status = mf_log_add_file(logger, text, MF_LOG_JSON, &reason);
    } else {
        char shown[128];
        (void)mfi_str_copy_visible(shown, sizeof shown, text, strlen(text));
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        VARIABLE " is '%s'; it must be stderr, stdout, or a path that begins with "
                                 "/, ./ or ../",
                        shown);
    }
    return status == MF_OK ? MF_OK : mfi_fail(error, status, VARIABLE ": %s", reason.message);
}

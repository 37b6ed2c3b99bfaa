/* Looks codes up in the one table of names, levels and texts. Every message of an error is filled
 * in and cut here. */
#define MFI_BASE_ERROR_C
#include "base/error.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

typedef struct code_row {
    mf_status code;
    const char *name, *status, *level, *kind, *text;
} code_row;

static const code_row rows[] = {
#define CODE_ROW(NAME, number, name, status, level, kind, text)                                    \
    {MF_##NAME, name, status, level, kind, text},
    MF_STATUS_TABLE(CODE_ROW)
#undef CODE_ROW
};

static const code_row unknown_row = {MF_ERR_INTERNAL, "unknown", "internal",
                                     "error",         "other",   "unknown status"};

/* The numbers are dense, so the table is its own index. */
static const code_row *row_of(mf_status status)
{
    size_t index = (size_t)status;
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : &unknown_row;
}

const char *mf_strerror(mf_status status)
{
    return row_of(status)->text;
}

const char *mf_err_name(mf_status status)
{
    return row_of(status)->name;
}

const char *mf_err_status(mf_status status)
{
    return row_of(status)->status;
}

const char *mf_err_kind(mf_status status)
{
    return row_of(status)->kind;
}

const char *mfi_err_level(mf_status status)
{
    return row_of(status)->level;
}

const char *mf_error_text(const mf_error *error)
{
    if (error == NULL) {
        return mf_strerror(MF_OK);
    }
    return error->message[0] != '\0' ? error->message : mf_strerror(error->code);
}

void mfi_error_clear(mf_error *error)
{
    if (error != NULL) {
        error->struct_size = sizeof *error;
        error->code = MF_OK;
        error->message[0] = '\0';
        error->remote_type[0] = '\0';
        error->remote_traceback[0] = '\0';
    }
}

mf_status mfi_vfail(mf_error *error, mf_status code, const char *format, va_list args)
{
    if (error != NULL) {
        mfi_error_clear(error);
        error->code = code;
        int length = vsnprintf(error->message, sizeof error->message, format, args);
        if (length >= (int)sizeof error->message) {
            size_t cut = mfi_utf8_prefix(error->message, (size_t)length, sizeof error->message - 1);
            error->message[cut] = '\0';
        }
    }
    return code;
}

mf_status mfi_fail(mf_error *error, mf_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)mfi_vfail(error, code, format, args);
    va_end(args);
    return code;
}

mf_status mfi_fail_null(mf_error *error, const char *name)
{
    return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s is NULL", name);
}

mf_status mfi_fail_errno(mf_error *error, mf_status code, int errno_value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)mfi_vfail(error, code, format, args);
    va_end(args);
    if (error != NULL) {
        char reason[128];
        size_t length = strlen(error->message);
        /* The GNU form returns the text, which may or may not be in the buffer. */
        const char *text = strerror_r(errno_value, reason, sizeof reason);
        (void)mfi_str_format(error->message + length, sizeof error->message - length, ": %s", text);
    }
    return code;
}

void mfi_error_copy(mf_error *to, const mf_error *from)
{
    if (to == NULL || from == NULL || to == from) {
        return;
    }
    to->code = from->code;
    (void)mfi_str_copy(to->message, sizeof to->message, from->message);
    (void)mfi_str_copy(to->remote_type, sizeof to->remote_type, from->remote_type);
    (void)mfi_str_copy(to->remote_traceback, sizeof to->remote_traceback, from->remote_traceback);
}

mf_status mfi_options_copy(void *ret_copy, size_t known, size_t least, const void *options,
                           const char *type_name, mf_error *error)
{
    memset(ret_copy, 0, known);
    if (options == NULL) {
        return MF_OK;
    }
    size_t size = 0;
    memcpy(&size, options, sizeof size);
    if (size < least) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "%s.struct_size is %zu, at least %zu is needed: use its _INIT macro",
                        type_name, size, least);
    }
    if (size > known + MFI_OPTIONS_TAIL_MAX) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "%s.struct_size is %zu, which no version has: use its _INIT macro",
                        type_name, size);
    }
    const unsigned char *bytes = options;
    for (size_t i = known; i < size; i++) {
        if (bytes[i] != 0) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "%s has an option at byte %zu that this version does not know",
                            type_name, i);
        }
    }
    memcpy(ret_copy, options, size < known ? size : known);
    return MF_OK;
}

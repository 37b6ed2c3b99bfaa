/* Filling of mf_error. Every function accepts a NULL error. */
#ifndef MFI_BASE_ERROR_H
#define MFI_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#include <multifrost/error.h>

/* Stores the code and a formatted message (cut to MF_ERROR_MESSAGE_MAX bytes between characters),
 * clears the remote fields, and returns the code, so that `return mfi_fail(...)` works. */
mf_status mfi_fail(mf_error *error, mf_status code, const char *format, ...) MF_PRINTF(3, 4);
mf_status mfi_vfail(mf_error *error, mf_status code, const char *format, va_list args)
    MF_PRINTF(3, 0);

/* "<name> is NULL": MF_ERR_INVALID_ARGUMENT. */
mf_status mfi_fail_null(mf_error *error, const char *name);

/* As mfi_fail(), with ": <strerror(errno_value)>" appended. The number is not stored. */
mf_status mfi_fail_errno(mf_error *error, mf_status code, int errno_value, const char *format, ...)
    MF_PRINTF(4, 5);

#if defined(__clang_analyzer__) && !defined(MFI_BASE_ERROR_C)
/* The static analyzer does not look into other files. The macros show it that the result is the
 * code that was passed in, never MF_OK. */
#define mfi_fail(error, code, ...) ((void)mfi_fail(error, code, __VA_ARGS__), (code))
#define mfi_fail_errno(error, code, number, ...)                                                   \
    ((void)mfi_fail_errno(error, code, number, __VA_ARGS__), (code))
#endif

/* Empties an error without touching the rest of its 3 KiB. */
void mfi_error_clear(mf_error *error);

/* The log level word of a code, from the table ("warn"). */
const char *mfi_err_level(mf_status status);

/* Copies code and texts; either may be NULL. */
void mfi_error_copy(mf_error *to, const mf_error *from);

/* Checks an options struct that begins with size_t struct_size.
 * `known` is the library's sizeof, `least` the smallest size ever released, both in bytes. A
 * smaller size is an error; a larger one is accepted only if its unknown tail is all zero and has
 * at most MFI_OPTIONS_TAIL_MAX bytes, so that a wild size is refused before memory is read that is
 * not of the struct. On MF_OK `ret_copy` (known bytes) holds the options, a missing tail zeroed.
 * NULL options give all zero. */
#define MFI_OPTIONS_TAIL_MAX ((size_t)1024)
mf_status mfi_options_copy(void *ret_copy, size_t known, size_t least, const void *options,
                           const char *type_name, mf_error *error);

#endif

/**
 * @file export.h
 * Macros that every public header needs. No declarations of its own.
 */
#ifndef MULTIFROST_EXPORT_H
#define MULTIFROST_EXPORT_H

/** Marks a function that the shared library exports; all others are hidden. */
#if defined(__GNUC__)
#define MF_API __attribute__((visibility("default")))
/** The caller must check the result, because it carries an error. */
#define MF_NODISCARD __attribute__((warn_unused_result))
/** Lets the compiler check a printf-style format at argument f, values from argument a on. */
#define MF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define MF_API
#define MF_NODISCARD
#define MF_PRINTF(f, a)
#endif

#ifdef __cplusplus
#define MF_EXTERN_C_BEGIN extern "C" {
#define MF_EXTERN_C_END }
#else
#define MF_EXTERN_C_BEGIN
#define MF_EXTERN_C_END
#endif

#include <stddef.h>
#include <stdint.h>

/* The value of the MF_*_INIT macros: all zero but the leading struct_size. In C++ a function makes
 * it, because C++ has no designated initializers before C++20. */
#ifdef __cplusplus
template <typename T> inline T mf_detail_init()
{
    T value = T();
    value.struct_size = sizeof(T);
    return value;
}
#define MF_DETAIL_INIT(type) mf_detail_init<type>()
#else
#define MF_DETAIL_INIT(type)                                                                       \
    {                                                                                              \
        .struct_size = sizeof(type)                                                                \
    }
#endif

/** No deadline. Accepted wherever a timeout in milliseconds is. */
#define MF_TIMEOUT_INFINITE INT64_MAX
/** Switches off the feature that an option limits or times (a cap, a heartbeat). */
#define MF_DISABLED (-1)

#endif

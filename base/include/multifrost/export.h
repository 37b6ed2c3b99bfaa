/**
 * @file export.h
 * Compiler glue that every public header needs. No declarations of its own.
 */
#ifndef MULTIFROST_EXPORT_H
#define MULTIFROST_EXPORT_H

/** Marks what the shared library exports; all else is hidden. */
#if defined(__GNUC__)
#define MF_API __attribute__((visibility("default")))
/** The result carries an error that must be looked at. */
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

/* What the MF_*_INIT macros stand for: all zero but the leading struct_size. C++ has no designated
 * initializers before C++20, so there a function makes it. */
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

/** Wait as long as it takes. Accepted wherever a timeout in milliseconds is. */
#define MF_TIMEOUT_INFINITE INT64_MAX
/** Switches off the feature that an option bounds or times (a cap, a heartbeat). */
#define MF_DISABLED (-1)

#endif

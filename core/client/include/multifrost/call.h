/**
 * @file call.h
 * Calls of remote functions: waiting, with a callback, or with a future.
 */
#ifndef MULTIFROST_CALL_H
#define MULTIFROST_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/parent.h>
#include <multifrost/retry.h>
#include <multifrost/value.h>

MF_EXTERN_C_BEGIN

/** The result of a call, and the memory that its values point into. One thread at a time. May
 *  outlive its parent. */
typedef struct mf_result mf_result;
/** An asynchronous call that a thread can wait for. Thread-safe; one waiting thread at a time. */
typedef struct mf_future mf_future;

/** Options of one call. Set by MF_CALL_OPTIONS_INIT; zero means the default. All copied. */
typedef struct mf_call_options {
    size_t struct_size;
    int64_t timeout_ms;         /**< Default: the parent's call_timeout_ms; MF_TIMEOUT_INFINITE. */
    const char *namespace_name; /**< Default: the parent's. */
    const char *client_name;    /**< Default: the parent's. */
    const char *correlation_id; /**< [A-Za-z0-9._:-]{1,128}; default: of the call that runs on this
                                     thread, else the trace id. */
    const char *traceparent;    /**< W3C form; default: of the call that runs on this thread, else
                                     a new trace. */
    const mf_value *metadata;   /**< A map that is sent with the call, or NULL; at most 4 KiB
                                     encoded. Its `tracestate` and `baggage` are not sent. */
    const mf_retry_policy *retry; /**< NULL: one attempt. */
    bool idempotent;              /**< The function may run more than once for one call. */
    /** W3C form, of the trace in `traceparent`; without that option it is ignored. A malformed one
     * is left out; of one with more than 512 bytes whole entries are. Default without traceparent:
     * of the call that runs on this thread. */
    const char *tracestate;
    /** W3C form, at most 1,024 bytes; members are left out that mf_runtime_options.baggage_keys
     * does not allow, or that do not fit. A malformed one is left out. Default: of the call that
     * runs on this thread; "" sends none. */
    const char *baggage;
} mf_call_options;
#define MF_CALL_OPTIONS_INIT MF_DETAIL_INIT(mf_call_options)

/**
 * Calls a remote function with options and waits for its result.
 *
 * @param parent     Borrowed; not NULL.
 * @param function   Not NULL. UTF-8, 1 to 256 bytes. Copied.
 * @param args       MF_ARGS(...) or MF_NO_ARGS. Borrowed until the return.
 * @param options    NULL for defaults. Copied.
 * @param ret_result NULL, or on MF_OK a result for mf_result_destroy(); untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return MF_OK;
 *         MF_ERR_REMOTE, MF_ERR_FUNCTION_NOT_FOUND (error has the remote text);
 *         MF_ERR_TIMEOUT; MF_ERR_CIRCUIT_OPEN;
 *         MF_ERR_NOT_RUNNING (before the start, after a stop, without a worker);
 *         MF_ERR_WORKER_EXITED (during the call; the text says how);
 *         MF_ERR_CANCELLED (stopped during the call); MF_ERR_TOO_MANY_CALLS;
 *         MF_ERR_INVALID_ARGUMENT (an option, or a value that cannot be sent);
 *         MF_ERR_LIMIT (message too large); MF_ERR_PROTOCOL (malformed answer);
 *         MF_ERR_IO (the transport did not accept the message);
 *         MF_ERR_WOULD_DEADLOCK (in a callback of the same runtime);
 *         MF_ERR_FORKED; MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_call_with(mf_parent *parent, const char *function, mf_args args,
                                           const mf_call_options *options, mf_result **ret_result,
                                           mf_error *error);

/**
 * Calls a remote function with default options and waits for its result.
 *
 * @param parent     As for mf_call_with(), like all other parameters.
 * @param function   UTF-8, 1 to 256 bytes.
 * @param args       MF_ARGS(...) or MF_NO_ARGS.
 * @param ret_result NULL, or on MF_OK a result for mf_result_destroy().
 * @param error      NULL, or filled on failure.
 * @return As mf_call_with().
 * @par Threads  Thread-safe.
 * @par Blocking At most the parent's call_timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_call(mf_parent *parent, const char *function, mf_args args,
                                      mf_result **ret_result, mf_error *error);

/**
 * Runs once when an asynchronous call has ended. Must not block.
 *
 * @param status    The outcome.
 * @param result    Transferred: for mf_result_destroy(). NULL unless status is MF_OK.
 * @param error     Borrowed until the return.
 * @param user_data As given with the callback.
 * @par Threads The engine thread.
 */
typedef void (*mf_call_fn)(mf_status status, mf_result *result, const mf_error *error,
                           void *user_data);

/**
 * Calls a remote function without waiting.
 *
 * @param parent    Borrowed; not NULL.
 * @param function  UTF-8, 1 to 256 bytes. Copied.
 * @param args      MF_ARGS(...) or MF_NO_ARGS. Borrowed until the return.
 * @param options   NULL for defaults. Copied.
 * @param done      Not NULL. Called exactly once if MF_OK is returned, else never.
 * @param user_data Passed to done.
 * @param error     NULL, or filled on failure.
 * @return MF_OK if the call was begun; else the reason why it was refused, as mf_call_with().
 * @par Threads  Thread-safe, also in callbacks.
 * @par Blocking No.
 */
MF_API MF_NODISCARD mf_status mf_call_async(mf_parent *parent, const char *function, mf_args args,
                                            const mf_call_options *options, mf_call_fn done,
                                            void *user_data, mf_error *error);

/**
 * Calls a remote function without waiting; a thread can wait for its future.
 *
 * @param parent     As for mf_call_async(), like function, args, options and error.
 * @param function   UTF-8, 1 to 256 bytes.
 * @param args       MF_ARGS(...) or MF_NO_ARGS.
 * @param options    NULL for defaults.
 * @param ret_future Not NULL. On MF_OK a future for mf_future_destroy(); untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return As mf_call_async().
 * @par Threads  Thread-safe, also in callbacks.
 * @par Blocking No.
 */
MF_API MF_NODISCARD mf_status mf_call_future(mf_parent *parent, const char *function, mf_args args,
                                             const mf_call_options *options, mf_future **ret_future,
                                             mf_error *error);

/**
 * Waits for the call's end and takes its outcome.
 *
 * @param future     Not NULL.
 * @param timeout_ms At least 0.
 * @param ret_result NULL, or on MF_OK the result, transferred.
 * @param error      NULL, or filled on failure.
 * @return The outcome, as mf_call_with(). MF_ERR_TIMEOUT with a text that says so if only the wait
 *         timed out: the call continues, and may be waited for again. MF_ERR_STATE if the outcome
 *         was taken before; MF_ERR_INVALID_ARGUMENT; MF_ERR_WOULD_DEADLOCK on the engine thread,
 *         unless timeout_ms is 0.
 * @par Threads  Thread-safe; one waiting thread at a time.
 * @par Blocking At most timeout_ms; 0 only checks.
 */
MF_API MF_NODISCARD mf_status mf_future_wait(mf_future *future, int64_t timeout_ms,
                                             mf_result **ret_result, mf_error *error);

/**
 * Ends the call now, with MF_ERR_CANCELLED, if it has not ended yet. The worker does not learn of
 * it, and may still run the call.
 *
 * @param future NULL is a no-op.
 * @par Threads Thread-safe, also in callbacks. Not after the parent was destroyed.
 */
MF_API void mf_future_cancel(mf_future *future);

/**
 * Checks whether the call has ended.
 *
 * @param future NULL gives false.
 * @return True if the call has ended.
 * @par Threads Thread-safe.
 */
MF_API bool mf_future_is_done(const mf_future *future);

/**
 * Waits until all futures have ended. mf_future_wait() with 0 then takes every outcome.
 *
 * @param futures    Borrowed; not NULL. NULL entries are skipped.
 * @param count      Entries of futures.
 * @param timeout_ms At least 0.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_TIMEOUT naming how many calls have not ended; MF_ERR_INVALID_ARGUMENT;
 *         MF_ERR_WOULD_DEADLOCK on the engine thread, unless timeout_ms is 0.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms; 0 only checks.
 */
MF_API MF_NODISCARD mf_status mf_futures_wait_all(mf_future *const *futures, size_t count,
                                                  int64_t timeout_ms, mf_error *error);

/**
 * Waits until one of the futures has ended.
 *
 * @param futures    Borrowed; not NULL. NULL entries are skipped.
 * @param count      Entries of futures.
 * @param timeout_ms At least 0.
 * @param ret_index  Not NULL. On MF_OK the index of the first future that has ended.
 * @param error      NULL, or filled on failure.
 * @return As mf_futures_wait_all(); MF_ERR_INVALID_ARGUMENT also if all entries are NULL.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms; 0 only checks.
 */
MF_API MF_NODISCARD mf_status mf_futures_wait_any(mf_future *const *futures, size_t count,
                                                  int64_t timeout_ms, size_t *ret_index,
                                                  mf_error *error);

/**
 * Frees the future. A call that has not ended continues; its outcome is discarded.
 *
 * @param future NULL is a no-op.
 * @par Threads Thread-safe; no other thread may use the future any more.
 */
MF_API void mf_future_destroy(mf_future *future);

/**
 * Reserves a metrics label for a function before it is called. The first 32 function names of a
 * target have labels of their own; later names share one.
 *
 * @param parent   Borrowed; not NULL.
 * @param function UTF-8, 1 to 256 bytes. Copied.
 * @param error    NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_LIMIT if 32 names have labels already.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_parent_prepare(mf_parent *parent, const char *function,
                                                mf_error *error);

/* ---- Results: one thread at a time ---- */

/** Frees the result and all its values. In builds without NDEBUG, a second call for one result ends
 *  the program with a message. @param result NULL is a no-op.
 *  @par Threads One thread at a time. */
MF_API void mf_result_destroy(mf_result *result);
/** Gives the value, decoded at the first read. @param result NULL gives nil.
 *  @return Never NULL; nil without memory. Borrowed as long as the result.
 *  @par Threads One thread at a time. */
MF_API const mf_value *mf_result_value(mf_result *result);
/** Gives the metadata of the answer. @param result NULL gives nil.
 *  @return A map; nil if the answer had none. Borrowed as long as the result.
 *  @par Threads One thread at a time. */
MF_API const mf_value *mf_result_metadata(mf_result *result);
/**
 * Reads the value as a C type: mf_result_read(result, MF_OUT(&number), &error).
 *
 * @param result Not NULL.
 * @param out    The variable; untouched on failure. A text is borrowed as long as the result.
 * @param error  NULL, or filled on failure.
 * @return MF_OK; MF_ERR_TYPE naming both types; MF_ERR_INVALID_ARGUMENT; MF_ERR_PROTOCOL or
 *         MF_ERR_LIMIT if the value cannot be decoded; MF_ERR_NO_MEMORY.
 * @par Threads One thread at a time.
 */
MF_API MF_NODISCARD mf_status mf_result_read(mf_result *result, mf_out out, mf_error *error);
/** Gives the value as an integer; 0 if it is of another type. @param result NULL gives 0.
 *  @return The value. @par Threads One thread at a time. */
MF_API int64_t mf_result_int(mf_result *result);
/** Gives the value as a floating-point number; 0.0 if it is of another type. @param result NULL
 *  gives 0.0. @return The value. @par Threads One thread at a time. */
MF_API double mf_result_double(mf_result *result);
/** Gives the value as a bool; false if it is of another type. @param result NULL gives false.
 *  @return The value. @par Threads One thread at a time. */
MF_API bool mf_result_bool(mf_result *result);
/** Gives the value as a text; "" if it is of another type. @param result NULL gives "".
 *  @return Never NULL; borrowed as long as the result. @par Threads One thread at a time. */
MF_API const char *mf_result_str(mf_result *result);

MF_EXTERN_C_END

#endif

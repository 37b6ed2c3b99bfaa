/**
 * @file child.h
 * The worker side: registers functions and answers calls.
 */
#ifndef MULTIFROST_CHILD_H
#define MULTIFROST_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/runtime.h>
#include <multifrost/value.h>

MF_EXTERN_C_BEGIN

typedef struct mf_child mf_child;       /**< A worker. Every function names its threads. */
typedef struct mf_request mf_request;   /**< One call, as long as its handler runs. */
typedef struct mf_reply mf_reply;       /**< The answer to it, as long as the handler runs. */
typedef struct mf_deferred mf_deferred; /**< An answer that any thread gives later. */

/** Set by MF_CHILD_OPTIONS_INIT; zero means the default. Texts are copied. */
typedef struct mf_child_options {
    size_t struct_size;
    mf_runtime *runtime;        /**< NULL: a private one, role "child", destroyed with the child. */
    const char *service_id;     /**< For a child that no parent spawned; ignored when
                                     COMLINK_ZMQ_PORT is set. */
    const char *namespace_name; /**< Calls for another namespace are ignored; default "default". */
    bool no_signals;            /**< SIGTERM and SIGINT are left unchanged. */
    bool no_output_capture;     /**< stdout and stderr are left unchanged in any case. */
    int32_t max_queued;         /**< Waiting calls, and deferred answers that are not given yet;
                                     default 10,000. Further calls are refused
                                     ("ServerOverloaded"). */
    int64_t max_message_bytes;  /**< Both ways; at least 1,024; default and most 67,108,864. */
    int64_t max_string_bytes;   /**< One str or bin, both ways; at least 256; default 10,485,760. */
    int64_t max_items; /**< Of one array or map, both ways; at least 16; default 100,000. */
    int32_t threads;   /**< Threads that run handlers; default 1: that of mf_child_run(). */
    int64_t deferred_timeout_ms;      /**< Time to give a deferred answer; default 30,000. */
    const char *bind_address;         /**< Service mode: IPv4 address; default "127.0.0.1". Another
                                           than loopback is logged as a warning. */
    uint16_t port;                    /**< Service mode: default 0, a free port. */
    const char *registry_directory;   /**< Where services.json is; default "$HOME/.multifrost". */
    int64_t lock_timeout_ms;          /**< Wait for the registry's locks, and for services.json
                                           while it is empty or cut; default 10,000. */
    void (*on_stop)(void *user_data); /**< Runs on mf_child_run()'s thread before it returns. */
    void *user_data;                  /**< For on_stop. */
    int64_t max_queued_bytes; /**< Of all that waits, over all connections: calls for a handler,
                                 decoded arguments, parts of messages, and messages that peers do
                                 not accept. Beyond it, calls are refused ("ServerOverloaded"),
                                 and the peer that holds the most unsent bytes is disconnected.
                                 An answer that finds no room becomes that error too.
                                 Decoded arguments that take more are let through where nothing
                                 else is held, and refused ("ValueError") otherwise.
                                 At least max_message_bytes; default 67,108,864. */
    bool forward_output; /**< Service mode: what the process prints is sent to its callers, and no
                            longer goes where stdout and stderr lead (a journal, the log of a
                            container). What was printed and not yet sent is lost when the process
                            crashes: most often its last lines. Default: it is not sent. */
    const char *bind; /**< A fixed address, "tcp://127.0.0.1:5555": the child binds it and does not
                           register; service_id, if given, only names it. The address is a numeric
                           IPv4 address, an IPv6 address in brackets, or localhost; the port is 0 to
                           65,535, 0 for a free one. Default: COMLINK_BIND, for programs that cannot
                           be changed. Both are ignored when COMLINK_ZMQ_PORT is set. Excludes
                           bind_address and port; COMLINK_BIND comes before these two. A child at
                           another address than loopback logs a warning: whoever reaches the address
                           can call. */
    const char *const *allow_users; /**< A child that binds: users, by name or number,
                                         NULL-terminated, at most 32, that may connect beside the
                                         service's own and root. On loopback the kernel tells whose
                                       a connection is; others are closed. Connections from other
                                         hosts, which only another address brings, are not checked.
                                         Default NULL: no more. Copied. */
    int32_t handler_sampling;       /**< One call in so many, in the mean, is measured: how long its
                                         handler ran on a processor, waited for one, and was blocked.
                                         Default 64; 1: each call; MF_DISABLED: none. A measured call
                                         costs four system calls. */
} mf_child_options;
#define MF_CHILD_OPTIONS_INIT MF_DETAIL_INIT(mf_child_options)

/**
 * Makes a worker. If the environment has COMLINK_ZMQ_PORT, the worker connects to the parent at
 * that port (spawn mode). Else, with `bind` or COMLINK_BIND, it binds that address and does not
 * register. Else it binds a port of its own and registers as service_id (service mode). The
 * variables that the parent set (COMLINK_ZMQ_PORT, COMLINK_WORKER_MODE, COMLINK_WORKER_NAME,
 * COMLINK_OUTPUT_PIPES), and COMLINK_BIND, are removed from the environment: programs that the
 * worker starts do not inherit them, and a second child of the process finds none.
 *
 * @param ret_child Not NULL. On MF_OK a child for mf_child_destroy(); untouched on failure.
 * @param options   NULL for defaults. Copied.
 * @param error     NULL, or filled on failure. A worker program prints the text to stderr and exits
 *                  with status 1.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the option, or the port that is not 1024 to 65535;
 *         MF_ERR_LIMIT (allow_users); MF_ERR_NOT_FOUND without COMLINK_ZMQ_PORT, bind,
 *         COMLINK_BIND and service_id; MF_ERR_NO_MEMORY; MF_ERR_SYSTEM; MF_ERR_FORKED; errors of
 *         mf_runtime_create().
 * @par Threads Thread-safe, except that no other thread may use the environment meanwhile.
 */
MF_API MF_NODISCARD mf_status mf_child_create(mf_child **ret_child, const mf_child_options *options,
                                              mf_error *error);
/** Frees the worker. Not while mf_child_run() runs. @param child NULL is a no-op.
 *  @par Threads No other thread may use the child any more. */
MF_API void mf_child_destroy(mf_child *child);

/**
 * Answers one call: reads the arguments, sets the reply, returns MF_OK. May block, and may call
 * other parents. A process that it forks must exec or end, and not return from the handler: the
 * worker's connections would be its own, too.
 *
 * @param request   Borrowed until the return.
 * @param reply     Borrowed until the return.
 * @param user_data As given to mf_child_handle().
 * @return MF_OK. Any other status becomes an error answer, with the text of a failed
 *         mf_request_unpack(), else with the text of the status.
 * @par Threads The thread of mf_child_run(); with `threads`, one of the handler threads.
 */
typedef mf_status (*mf_handler_fn)(mf_request *request, mf_reply *reply, void *user_data);

/**
 * Registers a function. Only before mf_child_run().
 *
 * @param child     Borrowed; NULL gives MF_ERR_INVALID_ARGUMENT.
 * @param name      UTF-8, 1 to 256 bytes. Copied. Names that begin with "_" are private: calls of
 *                  them are refused. "ping", "list_functions" and "listFunctions" exist already,
 *                  and may be replaced.
 * @param handler   Not NULL.
 * @param user_data Passed to handler.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_EXISTS; MF_ERR_STATE (mf_child_run() was called);
 *         MF_ERR_LIMIT (more than 4,096 functions); MF_ERR_NO_MEMORY. mf_child_run() returns the
 *         first failure too.
 * @par Threads One thread at a time.
 */
MF_API mf_status mf_child_handle(mf_child *child, const char *name, mf_handler_fn handler,
                                 void *user_data);

/**
 * Connects (spawn mode), or binds and, in service mode, registers. Then answers calls until
 * SIGTERM, SIGINT, SHUTDOWN, mf_child_stop() or, in spawn mode, the end of the parent process.
 *
 * A worker that seems to be an orphan from the beginning (its parent process is of another session)
 * ends if its connection is not accepted within ten seconds.
 *
 * In service mode, a worker whose entry vanishes from the registry registers again within a second,
 * unless another live service has its name.
 *
 * In spawn mode, what the process prints reaches the parent. A parent of this library reads the
 * pipes to which stdout and stderr lead, so that nothing is lost when the worker crashes; stdout is
 * flushed after each line. For all other parents, stdout and stderr are captured while the worker
 * runs, and every line is sent as a message with the correlation id of the call that printed it.
 * In service mode they are left unchanged, unless forward_output is set.
 *
 * @param child Borrowed; not NULL.
 * @param error NULL, or filled on failure.
 * @return MF_OK; the first failure of mf_child_handle(); MF_ERR_STATE (ran before, or on the engine
 *         thread); MF_ERR_EXISTS ("FATAL: Service 'x' already running (PID: n, port: p)");
 *         MF_ERR_ADDRESS_IN_USE naming the address; MF_ERR_TIMEOUT (the registry's locks);
 *         MF_ERR_PROTOCOL (the registry's file is broken, or stayed cut for lock_timeout_ms);
 *         MF_ERR_LIMIT (no descriptors are left); MF_ERR_IO (the registry's file, folder or lock
 *         cannot be used); MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED; MF_ERR_NO_MEMORY;
 *         MF_ERR_SYSTEM.
 * @par Threads  One thread; the handlers run on it unless `threads` is more than 1.
 * @par Blocking Until the worker has stopped.
 */
MF_API mf_status mf_child_run(mf_child *child, mf_error *error);

/** Makes mf_child_run() return after the running handlers. @param child NULL is a no-op.
 *  @par Threads Thread-safe, also in signal handlers. */
MF_API void mf_child_stop(mf_child *child);

/** Reads the port. @param child Borrowed; NULL gives 0.
 *  @return The port that is bound in service mode or at a fixed address; 0 before. @par Threads
 * Thread-safe. */
MF_API uint16_t mf_child_port(mf_child *child);

/* ---- Requests: on the handler's thread, until the handler returns ---- */

/** Gives the name of the called function. @param request Borrowed; NULL gives NULL.
 *  @return Borrowed from the request. @par Threads The handler's. */
MF_API const char *mf_request_function(const mf_request *request);
/** Gives all arguments. @param request Borrowed; NULL gives none. @return Borrowed from the
 * request.
 *  @par Threads The handler's. */
MF_API mf_args mf_request_args(const mf_request *request);
/** Gives the call's metadata, decoded at the first read. @param request Borrowed; NULL gives nil.
 *  @return A map; nil if the call had none. Borrowed from the request. @par Threads The handler's.
 */
MF_API const mf_value *mf_request_metadata(mf_request *request);
/** Gives the ids of the call (correlation, trace, request). They are also the thread's current ids.
 *  @param request Borrowed; NULL gives NULL. @return Borrowed from the request. @par Threads The
 * handler's. */
MF_API const mf_context *mf_request_context(const mf_request *request);
/** Gives the tracestate that came with the call's trace (W3C), as it is passed on: at most 512
 * bytes.
 *  @param request Borrowed; NULL gives NULL. @return Borrowed from the request; NULL if there is
 * none.
 *  @par Threads The handler's. */
MF_API const char *mf_request_tracestate(const mf_request *request);
/** Gives the baggage that came with the call (W3C), as it is passed on: the members that
 *  mf_runtime_options.baggage_keys allows, at most 1,024 bytes, percent-encoded as they came.
 *  @param request Borrowed; NULL gives NULL. @return Borrowed from the request; NULL if there is
 * none.
 *  @par Threads The handler's. */
MF_API const char *mf_request_baggage(const mf_request *request);
/** Gives the name of the caller. @param request Borrowed; NULL gives NULL.
 *  @return Borrowed from the request; NULL if the caller sent none. @par Threads The handler's. */
MF_API const char *mf_request_client_name(mf_request *request);
/** Reads how long the caller still waits. Calls that the handler makes end before that time too.
 *  @param request Borrowed; NULL gives MF_TIMEOUT_INFINITE. @return Milliseconds;
 * MF_TIMEOUT_INFINITE if the caller sent no deadline. @par Threads The handler's. */
MF_API int64_t mf_request_deadline_ms(const mf_request *request);
/**
 * Reads exactly `count` arguments. In C, mf_request_unpack() is shorter.
 *
 * @param request Borrowed; not NULL.
 * @param outs    The variables; not NULL. A text is borrowed from the request.
 * @param count   Entries of outs.
 * @return MF_OK; MF_ERR_TYPE; MF_ERR_INVALID_ARGUMENT.
 * @par Threads The handler's.
 */
MF_API MF_NODISCARD mf_status mf_request_read(mf_request *request, const mf_out *outs,
                                              uint32_t count);

#ifndef __cplusplus
/** Reads all arguments into typed variables: mf_request_unpack(request, &a, &b). */
#define mf_request_unpack(request, ...)                                                            \
    mf_request_read((request), (const mf_out[]){MF_DETAIL_FOR_EACH(MF_OUT, __VA_ARGS__)},          \
                    MF_DETAIL_COUNT(__VA_ARGS__))
/** Sets the result from a C value: mf_reply_value(reply, a + b). */
#define mf_reply_value(reply, x) mf_reply_set((reply), MF_VALUE(x))
#endif

/* ---- Replies: on the handler's thread, until the handler returns ---- */

/**
 * Sets the result. Without a result the answer is nil.
 *
 * @param reply Borrowed; not NULL.
 * @param value Copied.
 * @return MF_OK; MF_ERR_STATE (the reply is deferred); MF_ERR_INVALID_ARGUMENT; else the reason why
 * the value cannot be sent, which then is the answer.
 * @par Threads The handler's.
 */
MF_API mf_status mf_reply_set(mf_reply *reply, mf_value value);
/**
 * Makes the answer an error "<type>: <text>". Control characters become blanks.
 *
 * @param reply  Borrowed; not NULL.
 * @param type   A class or code such as "ValueError", at most 256 bytes. NULL: the text alone.
 * @param format As for printf; NULL counts as "".
 * @return MF_OK; MF_ERR_STATE (the reply is deferred); MF_ERR_INVALID_ARGUMENT.
 * @par Threads The handler's.
 */
MF_API mf_status mf_reply_error(mf_reply *reply, const char *type, const char *format, ...)
    MF_PRINTF(3, 4);

/**
 * Says when the caller may try again, if the answer becomes an error. A caller of this library
 * whose call has a retry policy follows it: after that time it makes the next attempt, also of a
 * call that is not marked idempotent, or makes none. Other callers ignore it.
 *
 * @param reply          Borrowed; not NULL.
 * @param retry_after_ms 0 to 86,400,000; negative: the call must not be tried again.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_STATE (the reply is deferred).
 * @par Threads The handler's.
 */
MF_API mf_status mf_reply_retry_after(mf_reply *reply, int64_t retry_after_ms);

/**
 * Adds a pair to the answer's metadata.
 *
 * @param reply Borrowed; not NULL.
 * @param key   Not NULL. UTF-8, 1 to 256 bytes, none of the protocol's keys. Copied.
 * @param value A bool, a number or a str. Copied.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_LIMIT beyond 16 pairs or 4 KiB; MF_ERR_STATE (the
 *         reply is deferred); MF_ERR_NO_MEMORY.
 * @par Threads The handler's.
 */
MF_API mf_status mf_reply_metadata(mf_reply *reply, const char *key, mf_value value);

/**
 * Defers the answer. The handler then returns MF_OK without setting a result. Any thread calls
 * mf_deferred_set() or mf_deferred_error() once, which frees the handle. If no thread does so
 * within deferred_timeout_ms, or if the worker stops, the caller gets an error answer; the handle
 * stays valid until its one call.
 *
 * @param reply Borrowed; NULL gives NULL.
 * @return A handle for the one call; NULL without memory, or if the reply is deferred already.
 * @par Threads The handler's.
 */
MF_API MF_NODISCARD mf_deferred *mf_reply_defer(mf_reply *reply);
/**
 * Answers with a value, and frees the handle.
 *
 * @param deferred Transferred; NULL gives MF_ERR_INVALID_ARGUMENT.
 * @param value    Copied.
 * @return MF_OK; MF_ERR_TIMEOUT or MF_ERR_CANCELLED (the caller got an error answer before);
 *         MF_ERR_INVALID_ARGUMENT; else the reason why the value cannot be sent, which then is the
 *         answer.
 * @par Threads Thread-safe.
 */
MF_API mf_status mf_deferred_set(mf_deferred *deferred, mf_value value);
/**
 * Answers with an error, as mf_reply_error(), and frees the handle.
 *
 * @param deferred Transferred; NULL gives MF_ERR_INVALID_ARGUMENT.
 * @param type     A class or code, at most 256 bytes. NULL: the text alone.
 * @param format   As for printf; NULL counts as "".
 * @return MF_OK; MF_ERR_TIMEOUT or MF_ERR_CANCELLED (the caller got an error answer before);
 *         MF_ERR_INVALID_ARGUMENT.
 * @par Threads Thread-safe.
 */
MF_API mf_status mf_deferred_error(mf_deferred *deferred, const char *type, const char *format, ...)
    MF_PRINTF(3, 4);

MF_EXTERN_C_END

#endif

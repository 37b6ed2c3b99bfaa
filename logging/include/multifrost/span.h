/**
 * @file span.h
 * What was traced: one span for each call, attempt, handler and start of a worker that has ended.
 *
 * A program passes a span observer to its runtime (mf_runtime_options.span_observer), for example
 * to export spans to a collector.
 */
#ifndef MULTIFROST_SPAN_H
#define MULTIFROST_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

/** The side of a span. The numbers are those of OpenTelemetry's SpanKind. */
typedef enum mf_span_kind {
    MF_SPAN_KIND_INTERNAL = 1, /**< The start of a worker. */
    MF_SPAN_KIND_SERVER = 2,   /**< A handler. */
    MF_SPAN_KIND_CLIENT = 3,   /**< A call or an attempt. */
} mf_span_kind;

/** What a span describes. */
typedef enum mf_span_type {
    MF_SPAN_CALL = 0,         /**< A call as its caller sees it, with all attempts. */
    MF_SPAN_ATTEMPT = 1,      /**< One attempt of a call that may have several. */
    MF_SPAN_HANDLER = 2,      /**< A call as its worker sees it. */
    MF_SPAN_WORKER_START = 3, /**< From the spawn until it is ready, or has failed. */
} mf_span_type;

/** Where the time went, in nanoseconds; -1: not known, or not reached. A handler's span has
 *  peer_queue_ns and handler_ns alone, a start has none. Those of a call whose attempts have spans
 *  are those of its last attempt. */
typedef struct mf_span_phases {
    int64_t send_wait_ns;    /**< From the attempt's begin until the message was sent. */
    int64_t wire_ns;         /**< Both ways, without the worker's part. */
    int64_t peer_queue_ns;   /**< In the worker, before the handler began. */
    int64_t handler_ns;      /**< The handler's run. */
    int64_t receive_wait_ns; /**< From the answer's arrival until the caller had it. */
} mf_span_phases;

/** A span that has ended. All texts are borrowed until the observer returns; a text that does not
 *  apply is NULL. New fields are added at the end: struct_size tells which ones there are. */
typedef struct mf_span {
    size_t struct_size;
    mf_span_type type;
    mf_span_kind kind;
    const char *name;     /**< The function; "worker_start" for a start. */
    const char *target;   /**< Call, attempt, start: the name of the target. */
    const char *worker;   /**< The worker's name, such as "math-0". */
    const char *function; /**< As called, also if no such function exists. NULL for a start. */
    const char *namespace_name; /**< Of the function, or NULL. */
    const char *trace_id;       /**< 32 hexadecimal digits. */
    const char *span_id;        /**< 16 hexadecimal digits. */
    const char *parent_span_id; /**< NULL: the span is the root of its trace in this program. */
    uint8_t trace_flags;    /**< As they came with the trace. Bit 0, sampled, is never invented. */
    const char *tracestate; /**< NULL: messages carry none yet. */
    uint64_t start_wall_ns; /**< Since the Unix epoch. */
    uint64_t end_wall_ns;
    uint64_t start_ns; /**< CLOCK_MONOTONIC; the duration is end_ns - start_ns. */
    uint64_t end_ns;
    mf_status status;
    const char *status_text; /**< "ok", "timeout": the words of the label `status`. */
    const char *error_text;  /**< NULL if the status is MF_OK. */
    uint32_t attempt; /**< Attempt: its number, from 1. Call: how many were begun; 0: refused before
                           the first. Else 0. */
    const char *correlation_id;
    uint64_t request_bytes; /**< Encoded; 0: not sent, or not known. */
    uint64_t response_bytes;
    mf_span_phases phases;
} mf_span;

/**
 * Receives one span, once, when it has ended.
 *
 * Which spans there are:
 * - A call has one span. If retries are off for the call (no retry policy, or max_attempts 1), that
 *   span's id is the one in the message, so it is the parent of the worker's span.
 * - If retries are on for the call, each attempt has a span too, also if only one was made. The
 *   ids in messages, in log records and in exemplars are those of the attempts, and the call's span
 *   is the parent of the attempts' spans. An attempt's span ends before that of its call.
 * - Every call that reaches a worker has a span there, also if it is refused there.
 * - Every start of a worker's process has one, successful or not. The first start is part of the
 *   trace that was current when the parent was started, any start of the trace in the program's
 *   environment variable TRACEPARENT, and else it begins a trace.
 *
 * The function runs on the thread on which the span ended: that of the caller for a call that
 * waits, the thread that answered for a handler, the engine thread for the rest. Several threads
 * call it at the same time. It must not block: calls wait for it, and on the engine thread
 * everything waits. It must not call functions of parents, pools, children or the runtime; what it
 * needs later it copies.
 *
 * Spans whose sampled flag is not set are passed too. Whether to keep them is the observer's
 * choice.
 *
 * @param span      Borrowed until the return, with all texts.
 * @param user_data Of mf_span_observer.
 */
typedef void (*mf_span_fn)(const mf_span *span, void *user_data);

/** A function of the user that receives spans. */
typedef struct mf_span_observer {
    mf_span_fn fn;   /**< NULL: nobody, at no cost. */
    void *user_data; /**< Passed to fn. Valid until the runtime's last user is destroyed. */
} mf_span_observer;

MF_EXTERN_C_END

#endif

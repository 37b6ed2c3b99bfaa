/* The worker's side of the memory that its parent made for it: the series of handlers keep their
 * cells there, and each handler thread says what it runs. It exists so that the parent knows both
 * after the worker is gone. */
#include <unistd.h>

#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "logging/logger.h"
#include "metrics/segment.h"

static const char *const statuses[] = {MFI_CALL_STATUSES(MFI_WORD_TEXT)};
static const char *const stages[] = {MFI_EXPIRIES(MFI_WORD_TEXT)};

/* How a handler ended: by the library's names an outcome, by those of OpenTelemetry a status, which
 * a good end has not. */
static const char *const states[] = {MFI_HANDLER_STATES(MFI_WORD_TEXT)};
#define PLAIN(value, word) (word),
static const char *const ends[] = {MFI_OUTCOMES(PLAIN) MFI_CALL_STATUSES(PLAIN)};

#define NONE (-1)
#define WORDS(list) (list), sizeof(list) / sizeof(list)[0]

/* The labels of each family stand in catalogue.h. */
static void keep_families(mfi_observer *observer)
{
    const mfi_families *all = &observer->families;
    int name = observer->otel_names ? 2 : 1; /* of the labels of a duration */
    const struct {
        mf_family *family;
        mfi_segment_place place;
    } kept[] = {
        {all->server_started, {MFI_SEGMENT_CALLS_STARTED, 2, NONE, NULL, 0}},
        {all->server_calls, {MFI_SEGMENT_CALLS, 2, 3, WORDS(statuses)}},
        {all->server_duration, {MFI_SEGMENT_DURATION, name, name + 1, WORDS(ends)}},
        {all->server_queue_wait, {MFI_SEGMENT_QUEUE_WAIT, NONE, NONE, NULL, 0}},
        {all->server_expired, {MFI_SEGMENT_EXPIRED, NONE, 2, WORDS(stages)}},
        {all->server_unknown, {MFI_SEGMENT_UNKNOWN, NONE, NONE, NULL, 0}},
        {all->server_busy, {MFI_SEGMENT_BUSY_NS, NONE, NONE, NULL, 0}},
        {all->handler_state, {MFI_SEGMENT_STATE_NS, NONE, 2, WORDS(states)}},
    };
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        (void)mfi_segment_keep(observer->segment, kept[i].family, &kept[i].place);
    }
    mf_gauge_set(mf_family_gauge(all->exposed_by_parent, NULL), 1);
}

static void keep_line(void *segment, const char *line, size_t size)
{
    mfi_segment_log(segment, line, size);
}

void mfi_observer_attach(mfi_observer *observer, int fd, uint32_t handlers)
{
    if (fd <= STDERR_FILENO) {
        return;
    }
    if (observer->segment == NULL &&
        mfi_segment_attach(fd, &observer->segment) == MFI_SEGMENT_ATTACHED) {
        mfi_segment_set(observer->segment, MFI_SEGMENT_THREADS, handlers);
        mfi_log_set_tail(observer->logger, keep_line, observer->segment);
        if (observer->metrics != NULL) {
            keep_families(observer);
        }
    }
    (void)close(fd);
}

struct mfi_segment *mfi_observer_segment(const mfi_observer *observer)
{
    return observer != NULL ? observer->segment : NULL;
}

void mfi_segment_began(const mfi_server_span *span)
{
    mfi_segment *segment = span->target->observer->segment;
    if (segment == NULL) {
        return;
    }
    const mf_context *context = &span->context;
    mfi_segment_begin(
        segment, span->handler,
        &(mfi_segment_call){.key = span->function->name != NULL ? span->function : NULL,
                            .function = span->function_name,
                            .correlation_id = context->correlation_id,
                            .trace_id = context->trace_id,
                            .span_id = context->span_id,
                            .request_id = context->request_id,
                            .namespace_name = span->namespace_name,
                            .started_ns = span->begun_ns});
}

void mfi_segment_returned(const mfi_target *target, uint32_t handler)
{
    mfi_segment_end(target->observer->segment, handler);
}

void mfi_segment_waits(const mfi_target *target, int32_t calls, int64_t bytes)
{
    if (target != NULL && target->observer->segment != NULL) {
        mfi_segment_queue(target->observer->segment, calls, bytes);
    }
}

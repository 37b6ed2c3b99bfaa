/* A segment and its reader: see segment_support.h. */
#include "segment_support.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const statuses[] = {"ok", "error"};
const char *const segment_labels[3] = {"worker", "function", "status"};
const mfi_segment_place calls_place = {MFI_SEGMENT_CALLS, 1, 2, statuses, 2};
static const mfi_segment_place duration_place = {MFI_SEGMENT_DURATION, 1, 2, statuses, 2};

void pair_begin(pair *at, size_t size)
{
    at->fd = mfi_segment_make(size);
    mf_check(at->fd >= 0);
    mf_check_int(mfi_segment_attach(at->fd, &at->segment), MFI_SEGMENT_ATTACHED);
    at->reader = mfi_segment_open(at->fd);
    mf_check(at->reader != NULL);
    at->metrics = make_set();
    at->calls = add_family(at->metrics, MF_METRIC_COUNTER, "calls_total", segment_labels, 3, 0);
    at->duration =
        add_family(at->metrics, MF_METRIC_HISTOGRAM, "call_seconds", segment_labels, 3, 0);
    mf_check(mfi_segment_keep(at->segment, at->calls, &calls_place));
    mf_check(mfi_segment_keep(at->segment, at->duration, &duration_place));
}

void pair_end(pair *at)
{
    mf_metrics_destroy(at->metrics);
    mfi_segment_close(at->reader);
    mfi_segment_detach(at->segment);
    close(at->fd);
}

mf_counter *counter_of(const pair *at, const char *function, const char *status)
{
    return mf_family_counter(at->calls, (const char *const[]){"w", function, status});
}

mf_histogram *histogram_of(const pair *at, const char *function, const char *status)
{
    return mf_family_histogram(at->duration, (const char *const[]){"w", function, status});
}

static void add_up(const mfi_segment_delta *delta, void *user_data)
{
    totals *to = user_data;
    uint64_t count = delta->is_histogram ? delta->cells->count : delta->count;
    to->all += count;
    to->all_visits++;
    if (delta->family == to->family && delta->word == to->word &&
        strcmp(delta->function, to->function) == 0) {
        to->count += count;
        to->sum += delta->sum;
        to->visits++;
    }
}

totals collect(mfi_segment_reader *reader, mfi_segment_family family, const char *function,
               unsigned word)
{
    totals found = {.family = family, .function = function, .word = word};
    mfi_segment_collect(reader, add_up, &found);
    return found;
}

mfi_segment_facts facts_of(const pair *at)
{
    mfi_segment_facts facts;
    mfi_segment_read(at->reader, &facts);
    return facts;
}

mfi_segment_head *scribble_on(const pair *at)
{
    void *head = mmap(NULL, MFI_SEGMENT_BYTES_LEAST, PROT_READ | PROT_WRITE, MAP_SHARED, at->fd, 0);
    mf_check(head != MAP_FAILED);
    return head;
}
